//! A client that waits for its answers.

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hostlet_model::Name;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, socket_with};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value, json};

use crate::frame::{FrameError, Frames, deadline, transmit};
use crate::message::{Call, Reply, SERVICE};
use crate::{Error, INTERFACE, Info, Lease, LoggedIn, Login, Open, Opened, Pool, Session};

/// The longest answer, in bytes: room for the leases of a whole installation.
const LONGEST: usize = 64 * 1024 * 1024;

/// The system's hostletd is the service manager's; one with a root of its own listens at `ROOT/run/hostletd.sock`.
fn how_to_start(socket: &Path) -> String {
    let run = socket.parent().filter(|run| run.ends_with("run"));
    match run.and_then(Path::parent) {
        Some(root) => format!("start it as root with 'hostletd --root {}'", root.display()),
        None => "start it with 'systemctl start hostletd' or run 'hostletd' as root".to_owned(),
    }
}

/// Why there is no answer. Each message says what was tried and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "hostletd is not running ({} {why}): {}",
        .path.display(), how_to_start(.path)
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// How that showed.
        why: &'static str,
    },
    /// The socket is there and cannot be used.
    #[error("cannot reach hostletd at {}: {source}{}", .path.display(), hint(.source))]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The connection ended before the answer was there.
    #[error(
        "hostletd closed the connection before it answered {method}: it was stopped, or refused the connection; its log says why (journalctl -u hostletd), then try again"
    )]
    Closed {
        /// What was asked.
        method: &'static str,
    },
    /// The answer did not come in time.
    #[error(
        "hostletd did not answer {method} within {} s: its log may say why (journalctl -u hostletd)",
        .deadline.as_secs_f64()
    )]
    Late {
        /// What was asked.
        method: &'static str,
        /// How long was waited.
        deadline: Duration,
    },
    /// The connection failed.
    #[error("the connection to hostletd failed while it was asked to {method}: {source}")]
    Io {
        /// What was asked.
        method: &'static str,
        /// Why.
        source: io::Error,
    },
    /// What answered is not understood.
    #[error(
        "hostletd's answer to {method} is not understood: {why}; are hostlet and hostletd of the same version?"
    )]
    Answer {
        /// What was asked.
        method: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// hostletd said no.
    #[error(transparent)]
    Refused(#[from] Error),
}

fn hint(source: &io::Error) -> &'static str {
    match source.kind() {
        io::ErrorKind::PermissionDenied => {
            "; its callers need search permission on the directory and write permission on the socket: start hostletd anew, which sets both"
        }
        io::ErrorKind::WouldBlock => "; it has more callers than it can take: try again",
        _ => "",
    }
}

/// A connection to hostletd.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    frames: Frames,
    deadline: Duration,
}

impl Client {
    /// Connects to the socket at `path`. That, and each call afterwards, may take up to `deadline`.
    ///
    /// # Errors
    /// [`ClientError::NotRunning`] if nobody listens there, [`ClientError::Connect`] for any other reason.
    pub fn connect(path: &Path, deadline: Duration) -> Result<Self, ClientError> {
        let not_running = |why| ClientError::NotRunning {
            path: path.to_path_buf(),
            why,
        };
        let stream = connect(path, deadline).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => not_running("is not there"),
            io::ErrorKind::ConnectionRefused => not_running("has no listener"),
            _ => ClientError::Connect {
                path: path.to_path_buf(),
                source,
            },
        })?;
        Ok(Self::over(stream, deadline))
    }

    /// Speaks over a socket that is connected already.
    #[must_use]
    pub fn over(stream: UnixStream, deadline: Duration) -> Self {
        Self {
            stream,
            frames: Frames::new(LONGEST),
            deadline,
        }
    }

    /// Has a hostlet made with addresses out of pools.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn open(&mut self, request: &Open) -> Result<Opened, ClientError> {
        self.call(INTERFACE, "Open", parameters("Open", request)?)
    }

    /// Says that a user logs in whose session this process begins; where it gets a hostlet, [`Client::join`] it over the same
    /// connection.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, where the login is to be refused, or there was no answer.
    pub fn login(&mut self, request: &Login) -> Result<LoggedIn, ClientError> {
        self.call(INTERFACE, "Login", parameters("Login", request)?)
    }

    /// Says that a session was closed.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn logout(&mut self, session: u64) -> Result<(), ClientError> {
        let Nothing {} = self.call(INTERFACE, "Logout", json!({ "session": session }))?;
        Ok(())
    }

    /// The sessions that this process may see.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn sessions(&mut self) -> Result<Vec<Session>, ClientError> {
        self.field("Sessions", json!({}), "sessions")
    }

    /// From now on a call may take that long; for a caller who has one deadline for several calls.
    pub fn set_deadline(&mut self, deadline: Duration) {
        self.deadline = deadline;
    }

    /// Makes this process a member of a hostlet; gives back the cgroup it is in then, as `/proc/self/cgroup` names it.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn join(&mut self, name: &Name) -> Result<String, ClientError> {
        self.field("Join", json!({ "name": name }), "cgroup")
    }

    /// Ends a hostlet; `kill`: its members are killed first.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn close(&mut self, name: &Name, kill: bool) -> Result<(), ClientError> {
        let Nothing {} = self.call(INTERFACE, "Close", json!({ "name": name, "kill": kill }))?;
        Ok(())
    }

    /// The leases that this process may see.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn leases(&mut self) -> Result<Vec<Lease>, ClientError> {
        self.field("Leases", json!({}), "leases")
    }

    /// The pools that this process may see.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn pools(&mut self) -> Result<Vec<Pool>, ClientError> {
        self.field("Pools", json!({}), "pools")
    }

    /// Has the configuration read anew; gives back a line for each change. `dry_run`: nothing is done.
    ///
    /// # Errors
    /// [`ClientError::Refused`] with hostletd's reason, or there was no answer.
    pub fn reload(&mut self, dry_run: bool) -> Result<Vec<String>, ClientError> {
        self.field("Reload", json!({ "dry_run": dry_run }), "changes")
    }

    /// Who answers.
    ///
    /// # Errors
    /// There was no answer.
    pub fn info(&mut self) -> Result<Info, ClientError> {
        self.call(SERVICE, "GetInfo", json!({}))
    }

    /// A call whose answer has one field.
    fn field<T: DeserializeOwned>(
        &mut self,
        method: &'static str,
        parameters: Value,
        field: &'static str,
    ) -> Result<T, ClientError> {
        let mut answer: Map<String, Value> = self.call(INTERFACE, method, parameters)?;
        let value = answer.remove(field).unwrap_or_default();
        serde_json::from_value(value).map_err(|e| ClientError::Answer {
            method,
            why: format!("{field}: {e}"),
        })
    }

    fn call<T: DeserializeOwned>(
        &mut self,
        interface: &str,
        method: &'static str,
        parameters: Value,
    ) -> Result<T, ClientError> {
        let wrong = |why: String| ClientError::Answer { method, why };
        let call = Call {
            method: format!("{interface}.{method}"),
            parameters: parameters.as_object().cloned(),
            oneway: None,
            more: None,
            upgrade: None,
        };
        let text = serde_json::to_vec(&call).map_err(|e| wrong(e.to_string()))?;
        // One for all of it, whatever the server does in pieces.
        let until = deadline(self.deadline);
        let sent = match transmit(&self.stream, text, self.deadline) {
            // A server that refuses a connection says why before it closes.
            Err(FrameError::Closed { .. }) => Ok(()),
            sent => sent,
        };
        let answer = sent
            .and_then(|()| self.frames.receive_until(&self.stream, until))
            .map_err(|error| self.failed(method, error))?;
        let reply: Reply = serde_json::from_slice(&answer).map_err(|e| wrong(e.to_string()))?;
        if let Some(name) = reply.error {
            return Err(match Error::from_wire(&name, &reply.parameters) {
                Some(error) => ClientError::Refused(error),
                None => wrong(format!("{name} {}", reply.parameters)),
            });
        }
        let parameters = match reply.parameters {
            Value::Null => json!({}),
            given => given,
        };
        serde_json::from_value(parameters).map_err(|e| wrong(e.to_string()))
    }

    fn failed(&self, method: &'static str, error: FrameError) -> ClientError {
        match error {
            FrameError::Closed { .. } => ClientError::Closed { method },
            FrameError::Late { .. } => ClientError::Late {
                method,
                deadline: self.deadline,
            },
            FrameError::TooLong => ClientError::Answer {
                method,
                why: format!("it is longer than {LONGEST} bytes"),
            },
            FrameError::Io(source) => ClientError::Io { method, source },
        }
    }
}

fn parameters(method: &'static str, request: &impl serde::Serialize) -> Result<Value, ClientError> {
    serde_json::to_value(request).map_err(|e| ClientError::Answer {
        method,
        why: e.to_string(),
    })
}

/// An answer without fields.
#[derive(serde::Deserialize)]
struct Nothing {}

/// How long [`is_running`] waits for a server that has too many callers.
const A_MOMENT: Duration = Duration::from_secs(1);

/// Whether somebody listens at the socket.
#[must_use]
pub fn is_running(path: &Path) -> bool {
    match connect(path, A_MOMENT) {
        Ok(_) => true,
        // Its queue of callers is full: so there is one.
        Err(error) => error.kind() == io::ErrorKind::WouldBlock,
    }
}

/// The standard library's connect waits for ever where the queue of callers is full.
fn connect(path: &Path, deadline: Duration) -> io::Result<UnixStream> {
    let address = SocketAddrUnix::new(path)?;
    let socket = socket_with(
        AddressFamily::UNIX,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        None,
    )?;
    // Zero would be no limit.
    let deadline = deadline.max(Duration::from_millis(1));
    set_socket_timeout(&socket, Timeout::Send, Some(deadline))?;
    rustix::net::connect(&socket, &address)?;
    Ok(UnixStream::from(socket))
}
