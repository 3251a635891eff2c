//! The server's side of one connection.

use std::fmt;
use std::io;
use std::os::unix::net::UnixStream;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::frame::{FrameError, Frames, transmit};
use crate::message::{Call, Fault, Parameters, Reply, SERVICE};
use crate::types::Info;
use crate::{DESCRIPTION, Error, INTERFACE, Login, Open, Service};

/// What a peer may take of the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest message, in bytes; 256 KiB by default.
    pub message: usize,
    /// How long the rest of a begun message may take, and the peer to take an answer; 30 s by default.
    pub rest: Duration,
    /// How long the peer may say nothing; 60 s by default.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 256 * 1024,
            rest: Duration::from_secs(30),
            idle: Duration::from_secs(60),
        }
    }
}

/// Why a connection came to its end. The text is for the log.
#[derive(Debug)]
#[non_exhaustive]
pub enum Ended {
    /// The peer closed it.
    Closed,
    /// The peer closed it in the middle of a message, or before it had its answer.
    Broken,
    /// The peer said nothing for too long.
    Idle,
    /// The peer began a message and did not end it, or did not take its answer, in time.
    Slow,
    /// The peer's message is longer than allowed.
    TooLong,
    /// The peer's message is no call.
    Malformed(String),
    /// The socket failed.
    Io(io::Error),
}

impl fmt::Display for Ended {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("closed by the client"),
            Self::Broken => f.write_str("closed by the client in the middle of a call"),
            Self::Idle => f.write_str("the client said nothing for too long"),
            Self::Slow => f.write_str("the client was too slow to send or to take a message"),
            Self::TooLong => f.write_str("the client's message is too long"),
            Self::Malformed(why) => write!(f, "the client's message is no Varlink call: {why}"),
            Self::Io(error) => write!(f, "the connection failed: {error}"),
        }
    }
}

impl From<FrameError> for Ended {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Closed { inside: false } => Self::Closed,
            FrameError::Closed { inside: true } => Self::Broken,
            FrameError::Late { inside: false } => Self::Idle,
            FrameError::Late { inside: true } => Self::Slow,
            FrameError::TooLong => Self::TooLong,
            FrameError::Io(error) => Self::Io(error),
        }
    }
}

/// Answers the calls that come over a connection, one after the other, until it ends.
///
/// Nothing that the peer sends makes it panic. Shutting the stream down from elsewhere ends it after the call that is being answered.
pub fn serve_connection(stream: &UnixStream, service: &mut dyn Service, limits: &Limits) -> Ended {
    let mut frames = Frames::new(limits.message);
    loop {
        match serve_call(stream, &mut frames, service, limits) {
            Ok(()) => {}
            Err(ended) => return ended,
        }
    }
}

/// Says no to a connection as a whole, before its first call: the client takes it as the answer to that. Close it afterwards.
///
/// # Errors
/// The peer does not take it; then there is nothing more to do.
pub fn refuse_connection(stream: &UnixStream, error: &Error, limits: &Limits) -> Result<(), Ended> {
    let reply = Reply::from(Err(Fault::Ours(error.clone())));
    let text = serde_json::to_vec(&reply).map_err(|error| Ended::Io(error.into()))?;
    Ok(transmit(stream, text, limits.rest)?)
}

fn serve_call(
    stream: &UnixStream,
    frames: &mut Frames,
    service: &mut dyn Service,
    limits: &Limits,
) -> Result<(), Ended> {
    let message = frames.receive(stream, limits.idle, limits.rest)?;
    let mut call: Call =
        serde_json::from_slice(&message).map_err(|error| Ended::Malformed(error.to_string()))?;
    let wants_answer = call.oneway != Some(true);
    let reply = Reply::from(answer(&mut call, service));
    if !wants_answer {
        return Ok(());
    }
    let text = serde_json::to_vec(&reply).map_err(|error| Ended::Io(error.into()))?;
    transmit(stream, text, limits.rest).map_err(|error| {
        // The connection is over, and so is the service; its panic told itself to the log.
        let _ = catch_unwind(AssertUnwindSafe(|| service.undelivered()));
        Ended::from(error)
    })
}

/// Calls the method that is named.
fn answer(call: &mut Call, service: &mut dyn Service) -> Result<Value, Fault> {
    if call.upgrade == Some(true) {
        return Err(Fault::Parameter("upgrade".to_owned()));
    }
    let parameters = Parameters::of(call);
    let Some((interface, method)) = call.method.rsplit_once('.') else {
        return Err(Fault::Method(call.method.clone()));
    };
    match interface {
        SERVICE => about(method, parameters),
        // A panic leaves the service as a returned error would: it keeps nothing half-done across calls.
        INTERFACE => catch_unwind(AssertUnwindSafe(|| ours(method, parameters, service)))
            .unwrap_or_else(|_| {
                Err(Fault::Ours(Error::Failed(
                    "hostletd failed inside while answering; its log says where (journalctl -u hostletd)".to_owned(),
                )))
            }),
        other => Err(Fault::Interface(other.to_owned())),
    }
    .map_err(|fault| match fault {
        // The whole name, as the call had it.
        Fault::Method(_) => Fault::Method(call.method.clone()),
        fault => fault,
    })
}

fn about(method: &str, mut given: Parameters) -> Result<Value, Fault> {
    match method {
        "GetInfo" => {
            given.end()?;
            value(&Info {
                vendor: "hostlet".to_owned(),
                product: "hostletd".to_owned(),
                version: env!("CARGO_PKG_VERSION").to_owned(),
                url: env!("CARGO_PKG_REPOSITORY").to_owned(),
                interfaces: vec![SERVICE.to_owned(), INTERFACE.to_owned()],
            })
        }
        "GetInterfaceDescription" => {
            let name: Option<String> = given.parsed("interface")?;
            given.end()?;
            match Parameters::needed("interface", name)?.as_str() {
                INTERFACE => Ok(json!({ "description": DESCRIPTION })),
                SERVICE => Ok(json!({ "description": SERVICE_DESCRIPTION })),
                other => Err(Fault::Interface(other.to_owned())),
            }
        }
        _ => Err(Fault::Method(method.to_owned())),
    }
}

fn ours(method: &str, mut given: Parameters, service: &mut dyn Service) -> Result<Value, Fault> {
    match method {
        "Open" => {
            let request = open(given)?;
            value(&service.open(request)?)
        }
        "Join" => {
            let name = given.parsed("name")?;
            given.end()?;
            let cgroup = service.join(Parameters::needed("name", name)?)?;
            Ok(json!({ "cgroup": cgroup }))
        }
        "Login" => {
            let request = login(given)?;
            value(&service.login(request)?)
        }
        "Logout" => {
            let session = given.number("session")?;
            given.end()?;
            service.logout(Parameters::needed("session", session)?)?;
            Ok(Value::Object(Map::new()))
        }
        "Sessions" => {
            given.end()?;
            Ok(json!({ "sessions": service.sessions()? }))
        }
        "Close" => {
            let name = given.parsed("name")?;
            let kill = given.flag("kill")?.unwrap_or(false);
            given.end()?;
            service.close(Parameters::needed("name", name)?, kill)?;
            Ok(Value::Object(Map::new()))
        }
        "Leases" => {
            given.end()?;
            Ok(json!({ "leases": service.leases()? }))
        }
        "Pools" => {
            given.end()?;
            Ok(json!({ "pools": service.pools()? }))
        }
        "Reload" => {
            let dry_run = given.flag("dry_run")?.unwrap_or(false);
            given.end()?;
            Ok(json!({ "changes": service.reload(dry_run)? }))
        }
        _ => Err(Fault::Method(method.to_owned())),
    }
}

fn open(mut given: Parameters) -> Result<Open, Fault> {
    let request = Open {
        name: given.parsed("name")?,
        pools: given.all_parsed("pools")?,
        request: given.all_parsed("request")?,
        source: given.parsed("source")?.unwrap_or_default(),
        host_loopback: given.all_parsed("host_loopback")?,
        guard: given.flag("guard")?.unwrap_or(true),
        raw: given.flag("raw")?.unwrap_or(false),
        keep: given.flag("keep")?.unwrap_or(false),
        program: given.texts("program")?,
    };
    given.end()?;
    if request.pools.is_empty() {
        return Err(Fault::Parameter("pools".to_owned()));
    }
    Ok(request)
}

fn login(mut given: Parameters) -> Result<Login, Fault> {
    let request = Login {
        user: Parameters::needed("user", given.parsed("user")?)?,
        service: Parameters::needed("service", given.parsed("service")?)?,
        tty: given.parsed("tty")?,
        remote: given.parsed("remote")?,
    };
    given.end()?;
    Ok(request)
}

fn value(answer: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(answer).map_err(|error| {
        Fault::Ours(Error::Failed(format!(
            "the answer cannot be written as JSON: {error}"
        )))
    })
}

/// What <https://varlink.org/Service> says about every service.
const SERVICE_DESCRIPTION: &str = include_str!("org.varlink.service.varlink");
