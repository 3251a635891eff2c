//! The one thread that waits: for answers of DHCP servers, moments at which a lease has to be renewed, ends of
//! hostlets, changes of the network, and orders of the other threads. It does what is quick itself; what needs the
//! engine goes to the [`crate::jobs`].

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use hostlet_lease::{Client, Terms, Time};
use hostlet_model::Name;
use hostlet_platform::netlink::{Following, RouteWatch};
use hostlet_store::Lease;
use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};

use crate::ends::Ends;
use crate::jobs::{Job, Jobs};
use crate::leasing::{Found, Key, Leasing};
use crate::log;
use crate::shared::Shared;

/// How long the network may go on changing before the kernel's picture of it is made anew: a hundred
/// addresses at once are one change.
const SETTLE: Duration = Duration::from_millis(50);
/// How long to wait with what failed.
pub(crate) const AGAIN: Duration = Duration::from_secs(10);

/// What other threads want of the keeper.
pub(crate) enum Order {
    /// Get a lease from a server.
    Lease {
        key: Key,
        client: Box<Client>,
        /// What is written down of the lease; its address is filled in.
        template: Box<Lease>,
        probe: Option<Duration>,
        set_aside: Duration,
        /// Who waits; none where it is had already.
        waiting: Option<Sender<Answer>>,
        /// The address that it holds already.
        held: Option<IpAddr>,
    },
    /// Somebody answered on the wire for the address that a server acknowledged, or nobody, or it could not be asked.
    Probed {
        key: Key,
        address: IpAddr,
        found: Found,
    },
    /// The address is on its interface, or the hostlet knows that its lease is lost; its client may go on.
    GoOn { key: Key },
    /// End these leases at their servers, and say when that is sent.
    Release { which: Which, done: Sender<()> },
    /// Tell when the hostlet's last process ends, and when that process does.
    Watch {
        hostlet: Name,
        cgroup: PathBuf,
        process: Option<OwnedFd>,
    },
    /// Tell when this process ends, too: another one whose end may be the hostlet's.
    WatchProcess {
        hostlet: Name,
        process: Option<OwnedFd>,
    },
    /// Have this done after a while.
    After { wait: Duration, job: Job },
    /// It is gone.
    Unwatch { hostlet: Name },
    /// Something could not be given back: try again in a while.
    Later,
    /// The clock was set ahead.
    Tick,
    /// hostletd ends; what is held stays held.
    Stop,
}

/// Which leases are meant.
#[derive(Debug, Clone)]
pub(crate) enum Which {
    /// This one.
    Key(Key),
    /// All of a hostlet.
    Hostlet(Name),
}

/// What became of a wish for a lease.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It is there.
    Bound(Box<Terms>),
    /// The server, or the record, said no. The client goes on trying.
    Refused(String),
}

/// Where the other threads put their orders.
#[derive(Debug, Clone)]
pub(crate) struct Orders {
    sender: Sender<Order>,
    wake: Arc<OwnedFd>,
}

impl Orders {
    pub fn give(&self, order: Order) {
        // Nobody reads any more only when hostletd ends.
        if self.sender.send(order).is_ok() {
            // A counter that is full wakes as well.
            let _ = rustix::io::write(&*self.wake, &1_u64.to_ne_bytes());
        }
    }

    /// Ends leases at their servers; comes back when the messages are sent.
    pub fn release(&self, which: Which) {
        let (done, sent) = channel();
        self.give(Order::Release { which, done });
        // An error: the keeper is gone, and hostletd about to end.
        let _ = sent.recv();
    }
}

/// The two ends of the queue of orders.
pub(crate) fn queue() -> io::Result<(Orders, Incoming)> {
    let (sender, receiver) = channel();
    let wake = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
    let orders = Orders {
        sender,
        wake: Arc::clone(&wake),
    };
    Ok((orders, Incoming { receiver, wake }))
}

/// Orders that were given.
pub(crate) struct Incoming {
    receiver: Receiver<Order>,
    wake: Arc<OwnedFd>,
}

/// Who woke the keeper.
pub(crate) mod token {
    pub const ORDERS: u64 = 0;
    pub const TIMER: u64 = 1;
    pub const CGROUPS: u64 = 2;
    pub const NETWORK: u64 = 3;
    /// Added to the index of an interface.
    pub const SOCKET4: u64 = 1 << 32;
    pub const SOCKET6: u64 = 2 << 32;
    /// Added to a number of a watched process.
    pub const PROCESS: u64 = 3 << 32;
}

/// The thread's own things.
pub(crate) struct Keeper {
    pub shared: Arc<Shared>,
    pub jobs: Jobs,
    pub epoll: OwnedFd,
    incoming: Incoming,
    timer: OwnedFd,
    armed: Option<Time>,
    network: RouteWatch,
    /// As long as it is there, the tables of the network are read from memory, by all threads.
    _following: Following,
    changed: Option<Time>,
    again: Option<Time>,
    /// What is to be done, and when; there are few.
    after: Vec<(Time, Job)>,
    pub ends: Ends,
    pub leasing: Leasing,
}

impl Keeper {
    /// Everything that is waited for, in the network namespace of this thread.
    pub fn new(shared: Arc<Shared>, jobs: Jobs, incoming: Incoming) -> anyhow::Result<Self> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let timer = timerfd_create(
            TimerfdClockId::Boottime,
            TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK,
        )?;
        let network = RouteWatch::open()?;
        let following = Following::begin()?;
        shared.engine.stay();
        let ends = Ends::new()?;
        for (fd, token) in [
            (incoming.wake.as_fd(), token::ORDERS),
            (timer.as_fd(), token::TIMER),
            (ends.cgroups(), token::CGROUPS),
            (network.as_fd(), token::NETWORK),
        ] {
            listen(&epoll, fd, token)?;
        }
        Ok(Self {
            shared,
            jobs,
            epoll,
            incoming,
            timer,
            armed: None,
            network,
            _following: following,
            changed: None,
            again: None,
            after: Vec::new(),
            ends,
            leasing: Leasing::default(),
        })
    }

    /// Waits and acts until hostletd is told to stop.
    pub fn run(mut self) {
        let mut events = Vec::with_capacity(256);
        loop {
            self.arm();
            events.clear();
            match epoll::wait(
                &self.epoll,
                rustix::buffer::spare_capacity(&mut events),
                None,
            ) {
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => {
                    log::warning(format_args!("cannot wait for events: {error}"));
                    return;
                }
            }
            let tokens: Vec<u64> = events.iter().map(|e| e.data.u64()).collect();
            for token in tokens {
                if !self.heard(token) {
                    return;
                }
            }
            self.due();
        }
    }

    /// False: stop.
    fn heard(&mut self, token: u64) -> bool {
        match token {
            token::ORDERS => {
                drain(&*self.incoming.wake);
                while let Ok(order) = self.incoming.receiver.try_recv() {
                    if matches!(order, Order::Stop) {
                        return false;
                    }
                    self.obey(order);
                }
            }
            token::TIMER => {
                drain(&self.timer);
                self.armed = None;
            }
            token::CGROUPS => {
                for (hostlet, gone) in self.ends.ended() {
                    self.jobs.give(Job::Ended { hostlet, gone });
                }
            }
            token::NETWORK => match self.network.drain() {
                Ok(false) => {}
                Ok(true) => {
                    let at = self.shared.clock.now() + SETTLE;
                    self.changed.get_or_insert(at);
                }
                Err(error) => log::warning(format_args!("{error}")),
            },
            process if process >= token::PROCESS => {
                if let Some(hostlet) = self
                    .ends
                    .process_ended(&self.epoll, process - token::PROCESS)
                {
                    let gone = false;
                    self.jobs.give(Job::Ended { hostlet, gone });
                }
            }
            socket => self.received(socket),
        }
        true
    }

    fn obey(&mut self, order: Order) {
        match order {
            Order::Watch {
                hostlet,
                cgroup,
                process,
            } => {
                let watched = self.ends.watch(&self.epoll, &hostlet, &cgroup, process);
                if let Err(error) = watched {
                    log::warning(format_args!(
                        "cannot watch for the end of hostlet '{hostlet}': {error}"
                    ));
                }
            }
            Order::WatchProcess { hostlet, process } => {
                let watched = process.map(|p| self.ends.watch_process(&self.epoll, &hostlet, p));
                if let Some(Err(error)) = watched {
                    log::warning(format_args!(
                        "cannot watch for the end of a session in hostlet '{hostlet}': {error}"
                    ));
                }
            }
            Order::After { wait, job } => {
                let at = self.shared.clock.now() + wait;
                self.after.push((at, job));
            }
            Order::Later => {
                let at = self.shared.clock.now() + AGAIN;
                self.again.get_or_insert(at);
            }
            Order::Unwatch { hostlet } => self.ends.unwatch(&self.epoll, &hostlet),
            // The timer is armed anew each time.
            Order::Tick | Order::Stop => self.armed = None,
            Order::Lease { .. }
            | Order::Probed { .. }
            | Order::GoOn { .. }
            | Order::Release { .. } => {
                self.obey_leasing(order);
            }
        }
    }

    /// Does what has become due.
    fn due(&mut self) {
        let now = self.shared.clock.now();
        if self.changed.is_some_and(|at| at <= now) {
            self.changed = None;
            self.jobs.give(Job::NetworkChanged);
            self.follow_interfaces();
        }
        if self.again.is_some_and(|at| at <= now) {
            self.again = None;
            self.jobs.give(Job::Again);
        }
        for (_, job) in self.after.extract_if(.., |(at, _)| *at <= now) {
            self.jobs.give(job);
        }
        self.timers(now);
    }

    /// Sets the timer to whatever comes next.
    fn arm(&mut self) {
        let after = self.after.iter().map(|(at, _)| *at).min();
        let next = [self.leasing.next_timeout(), self.changed, self.again, after]
            .into_iter()
            .flatten()
            .min();
        if next == self.armed {
            return;
        }
        // A moment that is past must not switch the timer off.
        let wait = next.map(|at| self.shared.clock.until(at).max(Duration::from_nanos(1)));
        let value = wait.unwrap_or_default();
        let zero = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let spec = Itimerspec {
            it_interval: zero,
            it_value: Timespec {
                tv_sec: i64::try_from(value.as_secs()).unwrap_or(i64::MAX),
                tv_nsec: value.subsec_nanos().into(),
            },
        };
        match timerfd_settime(&self.timer, TimerfdTimerFlags::empty(), &spec) {
            Ok(_) => self.armed = next,
            Err(error) => log::warning(format_args!("cannot set the timer: {error}")),
        }
    }
}

/// Has a descriptor wake the keeper when it can be read.
pub(crate) fn listen(epoll: &OwnedFd, fd: impl AsFd, token: u64) -> io::Result<()> {
    let data = epoll::EventData::new_u64(token);
    Ok(epoll::add(epoll, fd, data, epoll::EventFlags::IN)?)
}

/// Empties a counter; what it said is known.
fn drain(fd: impl AsFd) {
    let mut count = [0_u8; 8];
    let _ = rustix::io::read(fd, &mut count);
}
