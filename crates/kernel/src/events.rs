//! Reading the events: a ring in the kernel that readers do not empty, so that every reader
//! sees the same and what happened while nobody looked is there.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use libbpf_rs::{ErrorKind, RingBufferBuilder};

use crate::abi::{
    self, HL_CALL_BIND, HL_CALL_CONNECT, HL_CALL_LISTEN, HL_CALL_RECEIVE, HL_CALL_SENDMSG,
    HL_CALL_SOCKET, HL_CALL_TRANSMIT, HL_EVENTS, HL_REASON_ACCEPTED, HL_REASON_DUAL_STACK,
    HL_REASON_FOREIGN_ADDRESS, HL_REASON_FOREIGN_LOOPBACK, HL_REASON_FOREIGN_SOURCE,
    HL_REASON_NO_ADDRESS, HL_REASON_NO_ROUTE, HL_REASON_PORT_HELD, HL_REASON_PROTOCOL,
    HL_REASON_RAW, HL_REASON_REMOVED, HL_REASON_TABLE_FULL, Plain, hl_event,
};
use crate::error::{Error, Result};
use crate::install::Kernel;

/// How often an event that is only begun is looked at again: it takes its writer less than a microsecond.
const UNFINISHED: u32 = 1000;

/// What a process, or a packet, tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// bind
    Bind,
    /// connect
    Connect,
    /// sendto, sendmsg, sendmmsg
    Send,
    /// socket
    Socket,
    /// listen
    Listen,
    /// a packet arrived
    Receive,
    /// a packet was about to leave
    Transmit,
    /// one that this program does not know
    Other(u16),
}

/// Why it was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The address is not in the set.
    ForeignAddress,
    /// The source is not in the set.
    ForeignSource,
    /// The hostlet has no address of that family.
    NoAddress,
    /// The protocol cannot be confined.
    Protocol,
    /// Raw sockets were not granted.
    Raw,
    /// A socket of the host holds the port on the wildcard.
    PortHeld,
    /// A loopback address that is not the hostlet's.
    ForeignLoopback,
    /// A kernel table is full.
    TableFull,
    /// The hostlet is being removed.
    Removed,
    /// No route leads there from the hostlet's addresses (row B10).
    NoRoute,
    /// A socket of both families, bound to `::` and a port by number, cannot connect to IPv6.
    DualStack,
    /// A socket that was accepted from another listens: nobody can be given to it.
    Accepted,
    /// One that this program does not know.
    Other(u16),
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bind => f.write_str("bind"),
            Self::Connect => f.write_str("connect"),
            Self::Send => f.write_str("send"),
            Self::Socket => f.write_str("socket"),
            Self::Listen => f.write_str("listen"),
            Self::Receive => f.write_str("receive"),
            Self::Transmit => f.write_str("transmit"),
            Self::Other(n) => write!(f, "call-{n}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Self::ForeignAddress => "foreign-address",
            Self::ForeignSource => "foreign-source",
            Self::NoAddress => "no-address",
            Self::Protocol => "protocol",
            Self::Raw => "raw",
            Self::PortHeld => "port-held",
            Self::ForeignLoopback => "foreign-loopback",
            Self::TableFull => "table-full",
            Self::Removed => "removed",
            Self::NoRoute => "no-route",
            Self::DualStack => "dual-stack",
            Self::Accepted => "accepted",
            Self::Other(n) => return write!(f, "reason-{n}"),
        };
        f.write_str(text)
    }
}

/// A refusal (row C6).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its number, from 1 on.
    pub seq: u64,
    /// When, since the machine's start, suspended time included.
    pub since_boot: Duration,
    /// The hostlet's id.
    pub id: u32,
    /// The process; none for a packet.
    pub pid: Option<u32>,
    /// Its user.
    pub uid: u32,
    /// The program's name (the first 15 bytes).
    pub comm: String,
    /// What was tried.
    pub call: Call,
    /// Why it was refused.
    pub reason: Reason,
    /// The errno that the program got; 0 for a dropped packet.
    pub errno: i32,
    /// The protocol's number.
    pub protocol: u16,
    /// The address that was asked for; none where there was none.
    pub address: Option<IpAddr>,
    /// Its port.
    pub port: u16,
    /// The other end, where there is one.
    pub other: Option<IpAddr>,
    /// How many of the same went unreported before this one.
    pub more: u64,
}

impl Event {
    fn from_kernel(e: &hl_event) -> Self {
        let some = |a| Some(abi::ip(a)).filter(|ip| *ip != IpAddr::from([0u16; 8]));
        Self {
            seq: e.seq,
            since_boot: Duration::from_nanos(e.time),
            id: e.id,
            pid: (e.pid != 0).then_some(e.pid),
            uid: e.uid,
            comm: e
                .comm
                .iter()
                .take_while(|c| **c != 0)
                .map(|c| char::from(*c as u8))
                .collect(),
            call: match u32::from(e.call) {
                HL_CALL_BIND => Call::Bind,
                HL_CALL_CONNECT => Call::Connect,
                HL_CALL_SENDMSG => Call::Send,
                HL_CALL_SOCKET => Call::Socket,
                HL_CALL_LISTEN => Call::Listen,
                HL_CALL_RECEIVE => Call::Receive,
                HL_CALL_TRANSMIT => Call::Transmit,
                _ => Call::Other(e.call),
            },
            reason: match u32::from(e.reason) {
                HL_REASON_FOREIGN_ADDRESS => Reason::ForeignAddress,
                HL_REASON_FOREIGN_SOURCE => Reason::ForeignSource,
                HL_REASON_NO_ADDRESS => Reason::NoAddress,
                HL_REASON_PROTOCOL => Reason::Protocol,
                HL_REASON_RAW => Reason::Raw,
                HL_REASON_PORT_HELD => Reason::PortHeld,
                HL_REASON_FOREIGN_LOOPBACK => Reason::ForeignLoopback,
                HL_REASON_TABLE_FULL => Reason::TableFull,
                HL_REASON_REMOVED => Reason::Removed,
                HL_REASON_NO_ROUTE => Reason::NoRoute,
                HL_REASON_DUAL_STACK => Reason::DualStack,
                HL_REASON_ACCEPTED => Reason::Accepted,
                _ => Reason::Other(e.reason),
            },
            errno: -e.error,
            protocol: e.proto,
            address: if e.family == 0 {
                None
            } else {
                some(&e.addr).or(Some(abi::ip(&e.addr)))
            },
            port: e.port,
            other: some(&e.other),
            more: e.more,
        }
    }
}

impl Kernel {
    /// The events after number `since` that are still in the ring, oldest first. Of numbers that are missing between them, others
    /// have taken the places.
    ///
    /// # Errors
    /// If the ring cannot be read.
    pub fn events(&self, since: u64) -> Result<Vec<Event>> {
        let written = self.read_globals()?.events;
        let oldest = written.saturating_sub(u64::from(HL_EVENTS)) + 1;
        let mut all = Vec::new();
        for seq in (since + 1).max(oldest)..=written {
            all.extend(self.event(seq)?.map(|e| Event::from_kernel(&e)));
        }
        Ok(all)
    }

    /// An event that was begun; none if another has its place.
    fn event(&self, seq: u64) -> Result<Option<hl_event>> {
        let index = (seq % u64::from(HL_EVENTS)) as u32;
        let read = || self.get("events", &index.to_ne_bytes());
        for _ in 0..UNFINISHED {
            let (first, then) = (read()?, read()?);
            let [event, after] =
                [first, then].map(|b| hl_event::from_bytes(&b.unwrap_or_default()));
            // The same before and after: nobody wrote meanwhile.
            if event.seq == seq && after.seq == seq {
                return Ok(Some(event));
            }
            if after.seq > seq {
                break;
            }
            // Whoever writes it may wait for his turn on a processor.
            std::thread::yield_now();
        }
        Ok(None)
    }

    /// Something to wait on for new events.
    ///
    /// # Errors
    /// If the wake-up buffer cannot be opened.
    pub fn watcher(&self) -> Result<Watcher> {
        let wake = self.map("wake")?;
        let failed = |cause| Error::Table {
            what: "wait on",
            table: "wake",
            cause,
        };
        let mut builder = RingBufferBuilder::new();
        builder.add(wake, |_| 0).map_err(failed)?;
        let ring = builder.build().map_err(failed)?;
        Ok(Watcher { ring })
    }
}

/// Waits for events to be written.
pub struct Watcher {
    ring: libbpf_rs::RingBuffer<'static>,
}

impl Watcher {
    /// Waits until something was written, the time is over, or a signal came, as to who is stopped and goes on.
    ///
    /// # Errors
    /// If waiting fails.
    pub fn wait(&self, timeout: Duration) -> Result<()> {
        match self.ring.poll(timeout) {
            Err(cause) if cause.kind() != ErrorKind::Interrupted => Err(Error::Table {
                what: "wait on",
                table: "wake",
                cause,
            }),
            _ => Ok(()),
        }
    }

    /// A descriptor that is readable when something was written; then call [`Watcher::wait`]
    /// with no time to make it unreadable again.
    #[must_use]
    pub fn fd(&self) -> i32 {
        self.ring.epoll_fd()
    }
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watcher").field("fd", &self.fd()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_fills_its_place_is_taken_whole() {
        let mut e = hl_event {
            seq: 1,
            ..Default::default()
        };
        e.comm = [b'a' as _; 16];
        assert_eq!(Event::from_kernel(&e).comm, "a".repeat(16));
    }
}
