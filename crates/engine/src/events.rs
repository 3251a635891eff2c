//! What the kernel part refused and dropped.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use hostlet_kernel::{Event, Kernel, Reason};
use hostlet_model::{HostletId, Name};
use hostlet_platform::proc;
use hostlet_platform::sockdiag::{self, Filter, Protocol, Socket};
use hostlet_store::HistoryQuery;
use jiff::{SignedDuration, Timestamp};

use crate::Engine;
use crate::error::Result;
use crate::machine::Machine;
use crate::report::{EventLine, EventReport, LostReport};
use crate::sockets::holders;

/// How long to wait before looking whether the kernel part was made anew.
const PATIENCE: Duration = Duration::from_secs(1);

impl Engine {
    /// Hands over the events of one hostlet, or of all, the oldest first, and how many are lost; with `follow`, goes on
    /// until told to stop. Whether the kernel part was there, which keeps them, is returned: it goes with the last hostlet.
    ///
    /// # Errors
    /// There is no hostlet of that name, or the kernel part cannot be read.
    pub fn events(
        &self,
        name: Option<&Name>,
        since: Option<Timestamp>,
        follow: bool,
        take: &mut dyn FnMut(&EventLine) -> ControlFlow<()>,
    ) -> Result<bool> {
        let mut machine = self.reading("read events")?;
        if !follow {
            machine.must_have_tables()?;
        }
        if let Some(name) = name {
            was_there(&machine, name)?;
        }
        let mut kernel = machine.kernel.take();
        let mut last = 0;
        loop {
            if let Some(kernel) = &kernel {
                let events = kernel.events(last)?;
                let whose = self.whose(&events)?;
                for event in events {
                    let until = moment(event.since_boot);
                    let lost = event.seq - last - 1;
                    last = event.seq;
                    if since.is_some_and(|since| until < since) {
                        continue;
                    }
                    // Whose they were, only they said.
                    let before = (lost > 0).then_some(EventLine::Lost(LostReport { lost, until }));
                    let whose = holder_at(&whose, event.id, until);
                    let itself = name
                        .is_none_or(|wanted| whose == Some(wanted))
                        .then(|| EventLine::Event(Box::new(report(event, until, whose))));
                    if before
                        .iter()
                        .chain(&itself)
                        .any(|line| take(line).is_break())
                    {
                        return Ok(true);
                    }
                }
            }
            if !follow {
                return Ok(kernel.is_some());
            }
            kernel = self.wait_for_more(kernel, &mut last)?;
        }
    }

    /// Whose these numbers are, and were where that is needed.
    fn whose(&self, events: &[Event]) -> Result<Numbers> {
        if events.is_empty() {
            return Ok(Numbers::new());
        }
        let machine = self.reading("read events")?;
        let here = machine.store.all()?.into_iter();
        let mut whose: Numbers = here.map(|d| ((d.id, d.created), d.name)).collect();
        if !events
            .iter()
            .all(|e| held(&whose, e.id, moment(e.since_boot)).is_some())
        {
            whose.extend(machine.store.numbers()?);
        }
        Ok(whose)
    }

    /// Waits for an event, or for the kernel part to come (again).
    fn wait_for_more(&self, kernel: Option<Kernel>, last: &mut u64) -> Result<Option<Kernel>> {
        match kernel {
            Some(kernel) => {
                kernel.watcher()?.wait(PATIENCE)?;
                if self.paths.pins.exists() {
                    return Ok(Some(kernel));
                }
            }
            None => {
                let nothing: &mut [rustix::event::PollFd<'_>] = &mut [];
                let second = rustix::event::Timespec {
                    tv_sec: 1,
                    tv_nsec: 0,
                };
                // A signal ends the command by itself.
                let _ = rustix::event::poll(nothing, Some(&second));
            }
        }
        *last = 0;
        Ok(Kernel::open(&self.paths.pins)?)
    }
}

/// There is such a hostlet, or was.
fn was_there(machine: &Machine<'_>, name: &Name) -> Result<()> {
    let query = HistoryQuery {
        hostlet: Some(name.clone()),
        ..HistoryQuery::default()
    };
    match machine.definition(name) {
        Err(unknown) if machine.store.history(&query)?.is_empty() => Err(unknown),
        _ => Ok(()),
    }
}

/// Who has or had each number, by the number and since when: they are used again.
type Numbers = BTreeMap<(HostletId, Timestamp), Name>;

/// Who had a number then.
fn held(whose: &Numbers, id: u32, then: Timestamp) -> Option<&Name> {
    let id = HostletId(id);
    whose
        .range((id, Timestamp::MIN)..=(id, then))
        .next_back()
        .map(|(_, name)| name)
}

/// The same; where the clock was set meanwhile, the first who had it.
fn holder_at(whose: &Numbers, id: u32, then: Timestamp) -> Option<&Name> {
    let first = || {
        let id = HostletId(id);
        whose.range((id, then)..=(id, Timestamp::MAX)).next()
    };
    held(whose, id, then).or_else(|| first().map(|(_, name)| name))
}

fn report(event: Event, time: Timestamp, whose: Option<&Name>) -> EventReport {
    EventReport {
        seq: event.seq,
        time,
        hostlet: whose.map_or_else(|| format!("#{}", event.id), ToString::to_string),
        pid: event.pid.unwrap_or(0),
        program: event.comm,
        uid: event.uid,
        call: event.call.to_string(),
        protocol: protocol(event.protocol),
        address: event
            .address
            .map_or_else(|| "-".to_owned(), |a| a.to_string()),
        port: event.port,
        other: event.other.map(|a| a.to_string()),
        reason: event.reason.to_string(),
        error: if event.errno == 0 {
            "dropped".to_owned()
        } else {
            errno_name(event.errno)
        },
        more: event.more,
        holder: match event.reason {
            Reason::PortHeld => holder(event.port, |_| true),
            _ => None,
        },
    }
}

/// Who has such a UDP socket on the wildcard at this port; it cannot be told of the past.
pub(crate) fn holder(port: u16, such: impl Fn(&Socket) -> bool) -> Option<String> {
    let holds = |s: &Socket| {
        s.protocol == Protocol::Udp
            && s.local.ip().is_unspecified()
            && s.local.port() == port
            && such(s)
    };
    let listed = sockdiag::sockets(&Filter {
        protocols: vec![Protocol::Udp],
        ..Filter::default()
    })
    .ok()?;
    let socket = listed.into_iter().find(holds)?;
    let processes = holders(&proc::all().unwrap_or_default());
    let first = processes.get(&socket.inode).and_then(|all| all.first());
    Some(first.map_or_else(
        || format!("uid {}", socket.uid),
        |p| format!("{}[{}]", p.comm, p.pid),
    ))
}

/// The kernel counts from the start of the machine.
fn moment(since_boot: Duration) -> Timestamp {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    let up = SignedDuration::new(now.tv_sec, i32::try_from(now.tv_nsec).unwrap_or(0));
    let then = SignedDuration::try_from(since_boot).unwrap_or(up);
    Timestamp::now()
        .checked_sub(up - then)
        .unwrap_or(Timestamp::UNIX_EPOCH)
}

fn protocol(number: u16) -> String {
    match i32::from(number) {
        libc::IPPROTO_TCP => "tcp".to_owned(),
        libc::IPPROTO_UDP => "udp".to_owned(),
        libc::IPPROTO_UDPLITE => "udplite".to_owned(),
        libc::IPPROTO_ICMP => "icmp".to_owned(),
        libc::IPPROTO_ICMPV6 => "icmpv6".to_owned(),
        libc::IPPROTO_SCTP => "sctp".to_owned(),
        libc::IPPROTO_DCCP => "dccp".to_owned(),
        libc::IPPROTO_MPTCP => "mptcp".to_owned(),
        0 => "ip".to_owned(),
        other => format!("proto-{other}"),
    }
}

fn errno_name(errno: i32) -> String {
    let known = [
        (libc::EADDRNOTAVAIL, "EADDRNOTAVAIL"),
        (libc::EADDRINUSE, "EADDRINUSE"),
        (libc::EINVAL, "EINVAL"),
        (libc::EPERM, "EPERM"),
        (libc::EACCES, "EACCES"),
        (libc::ENETUNREACH, "ENETUNREACH"),
        (libc::EHOSTUNREACH, "EHOSTUNREACH"),
        (libc::ECONNREFUSED, "ECONNREFUSED"),
        (libc::EPROTONOSUPPORT, "EPROTONOSUPPORT"),
        (libc::EAFNOSUPPORT, "EAFNOSUPPORT"),
        (libc::ESOCKTNOSUPPORT, "ESOCKTNOSUPPORT"),
        (libc::ENOBUFS, "ENOBUFS"),
        (libc::ENOMEM, "ENOMEM"),
    ];
    known
        .iter()
        .find(|(n, _)| *n == errno)
        .map_or_else(|| format!("errno {errno}"), |(_, t)| (*t).to_owned())
}
