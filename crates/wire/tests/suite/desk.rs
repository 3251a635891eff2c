//! A small service, and a connection to it.

use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use hostlet_model::Name;
use hostlet_wire::{
    Address, Aside, Decision, Ended, Error, Lease, Lent, Limits, LoggedIn, Login, Open, Opened,
    Pool, Service, Session, serve_connection,
};

pub fn name(text: &str) -> Name {
    text.parse().unwrap()
}

/// What was asked, in order.
pub type Asked = Arc<Mutex<Vec<String>>>;

/// Knows the pool `office`, the hostlet `web`, and answers every kind of error.
#[derive(Default)]
pub struct Desk {
    pub asked: Asked,
    pub opened: Arc<Mutex<Option<Open>>>,
    /// How many leases it has.
    pub leases: usize,
    /// Panics when it hears that an answer was not taken.
    pub clumsy: bool,
}

impl Desk {
    fn note(&self, what: impl Into<String>) {
        self.asked.lock().unwrap().push(what.into());
    }
}

pub fn address() -> Address {
    Address {
        address: "192.0.2.100".parse().unwrap(),
        prefix: 24,
        pool: name("office"),
        interface: "eth0".to_owned(),
        expires: Some("2026-01-31T12:00:00Z".to_owned()),
    }
}

pub fn lease() -> Lease {
    Lease {
        address: "2001:db8::5".parse().unwrap(),
        prefix: 64,
        pool: name("office"),
        interface: "eth0".to_owned(),
        hostlet: name("web"),
        user: "alice".to_owned(),
        uid: 1000,
        program: vec!["nginx".to_owned()],
        holder: 7,
        since: "2026-01-31T12:00:00Z".to_owned(),
        state: "held".to_owned(),
        hardware: None,
        server: Some("192.0.2.1".to_owned()),
        renew: None,
        rebind: None,
        expires: None,
    }
}

pub fn pool() -> Pool {
    Pool {
        name: name("office"),
        interface: "eth0".to_owned(),
        kind: "static".to_owned(),
        families: vec!["ipv4".to_owned()],
        ranges: vec!["192.0.2.100-192.0.2.199".to_owned()],
        size: Some("18446744073709551616".to_owned()),
        held: 3,
        lent: vec![Lent {
            family: "ipv4".to_owned(),
            size: Some("100".to_owned()),
            held: 3,
        }],
        asides: vec![Aside {
            address: "192.0.2.101".parse().unwrap(),
            until: "2026-01-31T12:00:00Z".to_owned(),
            why: "02:00:00:00:00:01 answered".to_owned(),
        }],
        may_use: vec!["user:alice".to_owned()],
    }
}

pub fn session() -> Session {
    Session {
        number: 3,
        hostlet: Some(name("alice-1")),
        user: "alice".to_owned(),
        uid: 1000,
        service: "sshd".to_owned(),
        tty: None,
        remote: Some("192.0.2.9".to_owned()),
        since: "2026-01-31T12:00:00Z".to_owned(),
        leader: 4711,
        rule: Some(name("staff")),
        state: "open".to_owned(),
        addresses: vec!["192.0.2.100".parse().unwrap()],
        programs: vec!["bash".to_owned()],
    }
}

impl Service for Desk {
    fn open(&mut self, request: Open) -> Result<Opened, Error> {
        self.note("open");
        *self.opened.lock().unwrap() = Some(request.clone());
        match request.pools[0].as_str() {
            "office" => Ok(Opened {
                name: request.name.unwrap_or_else(|| name("office-1")),
                addresses: vec![address()],
            }),
            "empty" => Err(Error::NoAddress {
                pool: "empty".to_owned(),
                message: "pool 'empty' has no address left: bob holds 192.0.2.7".to_owned(),
            }),
            "secret" => Err(Error::NotAllowed("not you".to_owned())),
            "odd" => Err(Error::BadRequest("odd".to_owned())),
            "broken" => Err(Error::Failed("the disk is full".to_owned())),
            "panic" => panic!("a panic that the test wants"),
            other => Err(Error::NotFound(format!("there is no pool '{other}'"))),
        }
    }

    fn join(&mut self, name: Name) -> Result<String, Error> {
        self.note(format!("join {name}"));
        Ok(format!("/hostlet/{name}"))
    }

    fn login(&mut self, request: Login) -> Result<LoggedIn, Error> {
        self.note(format!("login {request:?}"));
        if request.user == "mallory" {
            return Err(Error::NotAllowed("not you".to_owned()));
        }
        Ok(LoggedIn {
            decision: Decision::Hostlet,
            session: Some(3),
            name: Some(name("alice-1")),
            addresses: vec!["192.0.2.100".parse().unwrap()],
            rule: Some(name("staff")),
            message: None,
        })
    }

    fn logout(&mut self, session: u64) -> Result<(), Error> {
        self.note(format!("logout {session}"));
        Ok(())
    }

    fn sessions(&mut self) -> Result<Vec<Session>, Error> {
        self.note("sessions");
        Ok(vec![session()])
    }

    fn close(&mut self, name: Name, kill: bool) -> Result<(), Error> {
        self.note(format!("close {name} {kill}"));
        Ok(())
    }

    fn leases(&mut self) -> Result<Vec<Lease>, Error> {
        self.note("leases");
        Ok(vec![lease(); self.leases])
    }

    fn pools(&mut self) -> Result<Vec<Pool>, Error> {
        self.note("pools");
        Ok(vec![pool()])
    }

    fn reload(&mut self, dry_run: bool) -> Result<Vec<String>, Error> {
        self.note(format!("reload {dry_run}"));
        Ok(vec!["pool office: new".to_owned()])
    }

    fn undelivered(&mut self) {
        self.note("undelivered");
        assert!(!self.clumsy);
    }
}

/// A connection to a desk that is served by a thread, which gives back why the connection ended.
pub fn connect(mut desk: Desk, limits: Limits) -> (UnixStream, JoinHandle<Ended>) {
    let (here, there) = UnixStream::pair().unwrap();
    let served = std::thread::spawn(move || serve_connection(&there, &mut desk, &limits));
    (here, served)
}
