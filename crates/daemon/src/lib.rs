//! hostletd: lends addresses, and looks after everything that must live on (rows B3 to B7, B15, B16).
//!
//! It is in nobody's path: members' calls and packets never see it. Killed at any moment it leaves hostlets confined and
//! addresses with their holders; the next one takes over.
//!
//! Four kinds of threads. One accepts; one serves each connection, and waits there for as long as the caller does. The
//! [`keeper`] waits for the network, for ends and for moments. The [`jobs`] thread does what needs the engine when
//! nobody waits for it. What is lent is in the [`ledger`], written down before it is used.

mod address;
mod clock;
mod draw;
mod ending;
mod ends;
mod jobs;
mod keeper;
mod leasing;
mod ledger;
mod links;
mod listen;
mod log;
mod make;
mod open;
mod peer;
mod programs;
mod recover;
mod reload;
mod serve;
mod sessions;
mod settled;
mod shared;
mod terms;
mod wanted;

use std::fs::{self, File};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostlet_engine::{Engine, Paths};
use hostlet_platform::neighbour::Announcer;
use hostlet_store::Store;
use rustix::fs::{FlockOperation, flock};

pub use clock::Clock;

use keeper::{Keeper, Order};
use ledger::Ledger;
use listen::{Connections, Door};
use sessions::Sessions;
use shared::Shared;

/// A running hostletd, in the network namespace of the thread that started it.
pub struct Daemon {
    shared: Arc<Shared>,
    jobs: jobs::Jobs,
    door: Arc<Door>,
    connections: Arc<Connections>,
    threads: Vec<JoinHandle<()>>,
    _lock: File,
}

impl Daemon {
    /// Takes over what is there, and listens: on the socket of the installation, or on one that the service manager made.
    ///
    /// # Errors
    /// The configuration is wrong, another hostletd serves the installation, or something needed cannot be had.
    pub fn start(paths: Paths, clock: Arc<Clock>, given: Option<UnixListener>) -> Result<Self> {
        raise_limits();
        let engine = Engine::new(paths, log::warn);
        let (config, as_it_is) = settled::load(&engine)?;
        engine.keep_config(config.clone());
        let lock = lock(engine.paths())?;
        let store = Store::open_to_stay(&engine.paths().db)?;
        let ledger = Ledger::open(Box::new(store))?;
        let sessions = Sessions::open(&engine.paths().db)?;
        let (orders, incoming) = keeper::queue()?;
        let socket = engine.paths().socket();
        let announcer = Announcer::open().context("cannot open a packet socket")?;
        let shared = Arc::new(Shared::new(
            engine, clock, orders, config, ledger, sessions, announcer,
        ));
        let (jobs, work) = jobs::queue();
        let state = Store::open_to_stay(&shared.engine.paths().db)?;
        let keeper = Keeper::new(Arc::clone(&shared), jobs.clone(), incoming)?;
        let mut threads = vec![thread("keeper", move || keeper.run())?];
        let of_jobs = Arc::clone(&shared);
        threads.push(thread("jobs", move || jobs::work(&of_jobs, &work, &state))?);
        for line in reload::not_lent(&shared.config()) {
            log::warning(format_args!("{line}"));
        }
        reload::log_doubts(&shared);
        recover::recover(&shared)?;
        sessions::prepare(&shared);
        shared.programs.start(&shared);
        let door = match given {
            Some(listener) => Door::new(listener, false),
            None => Door::new(listen::bind(&socket)?, true),
        };
        let door = Arc::new(door.context("cannot wait for callers")?);
        // Not before: one that could not start has taken nothing over.
        if as_it_is {
            settled::keep(shared.engine.paths(), &shared.config());
        }
        let connections = Arc::new(Connections::default());
        let accepting = (
            Arc::clone(&door),
            Arc::clone(&shared),
            Arc::clone(&connections),
        );
        threads.push(thread("accept", move || {
            listen::accept(&accepting.0, &accepting.1, &accepting.2);
        })?);
        Ok(Self {
            shared,
            jobs,
            door,
            connections,
            threads,
            _lock: lock,
        })
    }

    /// Reads the configuration anew; what is wrong with it is said, and then nothing changes.
    pub fn reload(&self) {
        if let Err(error) = reload::reload(&self.shared, false) {
            log::warning(format_args!("the configuration stays as it was: {error}"));
        }
    }

    /// Sets the clock ahead, so that what is due by then happens now. For tests.
    pub fn advance(&self, by: Duration) {
        self.shared.clock.advance(by);
        self.shared.orders.give(Order::Tick);
    }

    /// Ends. Calls under way are answered; holders keep their addresses, and leases run on.
    pub fn stop(mut self) {
        self.door.shut();
        self.shared.programs.stop();
        self.connections.end();
        self.shared.orders.give(Order::Stop);
        self.jobs.give(jobs::Job::Stop);
        for thread in self.threads.drain(..) {
            // One that panicked has said so.
            let _ = thread.join();
        }
    }
}

/// Two that lend from one store would not know of each other.
fn lock(paths: &Paths) -> Result<File> {
    fs::create_dir_all(&paths.run)
        .with_context(|| format!("cannot make {}", paths.run.display()))?;
    let path = paths.run.join("hostletd.lock");
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .with_context(|| format!("cannot open {}; hostletd needs root", path.display()))?;
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => bail!(
            "another hostletd serves this installation (it holds {}); end it first, or use --root DIR for an installation of its own",
            path.display()
        ),
        Err(error) => bail!("cannot lock {}: {error}", path.display()),
    }
}

fn thread(name: &str, work: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>> {
    let builder = std::thread::Builder::new().name(name.to_owned());
    builder
        .spawn(work)
        .with_context(|| format!("cannot start the thread '{name}'"))
}

/// Each hostlet of a lease takes a descriptor: the limit of a shell is soon too low.
fn raise_limits() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    // Without it there is room for less, which is said when it comes to that.
    let _ = setrlimit(
        Resource::Nofile,
        Rlimit {
            current: now.maximum,
            maximum: now.maximum,
        },
    );
}
