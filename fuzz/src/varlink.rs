//! The server's side of a connection lives through whatever a peer sends.

use std::io::Write;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use hostlet_wire::{
    Ended, Error, Lease, Limits, LoggedIn, Login, Name, Open, Opened, Pool, Service, Session,
    serve_connection,
};

/// Answers with what it was asked.
struct Echo;

impl Service for Echo {
    fn open(&mut self, request: Open) -> Result<Opened, Error> {
        let text = format!("{request:?}");
        request.name.map_or(Err(Error::Failed(text)), |name| {
            Ok(Opened {
                name,
                addresses: Vec::new(),
            })
        })
    }

    fn join(&mut self, name: Name) -> Result<String, Error> {
        Ok(name.to_string())
    }

    fn login(&mut self, request: Login) -> Result<LoggedIn, Error> {
        Err(Error::NoAddress {
            pool: request.service,
            message: request.user,
        })
    }

    fn logout(&mut self, session: u64) -> Result<(), Error> {
        Err(Error::NotFound(session.to_string()))
    }

    fn sessions(&mut self) -> Result<Vec<Session>, Error> {
        Ok(Vec::new())
    }

    fn close(&mut self, name: Name, kill: bool) -> Result<(), Error> {
        Err(Error::NotFound(format!("{name} {kill}")))
    }

    fn leases(&mut self) -> Result<Vec<Lease>, Error> {
        Ok(Vec::new())
    }

    fn pools(&mut self) -> Result<Vec<Pool>, Error> {
        Ok(Vec::new())
    }

    fn reload(&mut self, dry_run: bool) -> Result<Vec<String>, Error> {
        Ok(vec![dry_run.to_string()])
    }
}

/// What is done with an input.
pub fn run(data: &[u8]) {
    // What a socket holds without a reader.
    let data = &data[..data.len().min(64 * 1024)];
    let (mut here, there) = UnixStream::pair().expect("a pair of sockets");
    here.write_all(data).expect("the socket holds it");
    here.shutdown(Shutdown::Write).expect("it is connected");
    let limits = Limits {
        message: 32 * 1024,
        // Nobody reads the answers: too many of them end the connection.
        rest: Duration::from_millis(5),
        idle: Duration::from_secs(5),
    };
    let ended = serve_connection(&there, &mut Echo, &limits);
    assert!(
        !matches!(ended, Ended::Idle | Ended::Io(_)),
        "everything was there: {ended}"
    );
}
