//! Many addresses at once: a question and an answer for each take longer than what the kernel does for it.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{Emitable, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::AddressMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::change::{address_message, is_gone, new_address, own_address, refused};
use super::transport::{Connection, Message};
use super::{AddressKind, NetError, mirror, observe};

/// As many go at once as leave room for what the kernel tells of each of them to those who listen.
const TOGETHER: usize = 32;

/// An address and where it is, or is to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The interface.
    pub ifindex: u32,
    /// The address.
    pub addr: IpAddr,
    /// How much of it is the on-link prefix.
    pub prefix_len: u8,
}

/// As [`super::add_address`], for the first of many. So many were put there; false, or an error, is of the one behind them.
pub fn add_addresses(all: &[Placed], kind: AddressKind) -> (usize, Result<bool, NetError>) {
    add_for(all, kind, u32::MAX)
}

/// The same, for so many seconds: the largest number is for ever.
pub(super) fn add_for(
    all: &[Placed],
    kind: AddressKind,
    valid: u32,
) -> (usize, Result<bool, NetError>) {
    match Change::Add(kind, valid).up_to_first(all) {
        (done, Err(NetError::Change { source, .. })) if is_there(&source) => (done, Ok(false)),
        (done, outcome) => (done, outcome.map(|()| true)),
    }
}

/// Takes the first of many addresses off their interfaces. So many are not there any more; an error is of the one behind them. None of
/// them may be one that takes others of its subnet along: see [`super::del_address`].
pub fn del_addresses(all: &[Placed]) -> (usize, Result<(), NetError>) {
    Change::Del.up_to_first(all)
}

/// Each address's error, if there was one.
type Refused = Option<io::Error>;

#[derive(Clone, Copy)]
enum Change {
    /// Of that kind, valid for so many seconds.
    Add(AddressKind, u32),
    Del,
}

impl Change {
    /// All up to one, and nothing behind it: whoever takes back what was done goes by the count.
    fn up_to_first(self, all: &[Placed]) -> (usize, Result<(), NetError>) {
        let now = &all[..all.len().min(TOGETHER)];
        let mut errors = match self.each(now) {
            Ok(errors) => errors,
            Err(error) => return (0, Err(error)),
        };
        let fails = |e: &io::Error| matches!(self, Change::Add(..)) || !is_gone(e);
        let mut refused = errors.iter_mut().enumerate();
        let first = refused.find_map(|(at, error)| Some((at, error.take_if(|e| fails(e))?)));
        let Some((failed, source)) = first else {
            return (now.len(), Ok(()));
        };
        let behind = made(&now[failed + 1..], &errors[failed + 1..]);
        let behind: Vec<Placed> = behind.copied().collect();
        let error = self.error(&now[failed], source);
        match self.take_back(&behind) {
            Ok(()) => (failed, Err(error)),
            Err(undo) => (failed, Err(left(error, undo))),
        }
    }

    /// Takes back as many as can be.
    fn take_back(self, done: &[Placed]) -> Result<(), NetError> {
        let undo = match self {
            Change::Add(..) => Change::Del,
            // Nobody takes others than these off together.
            Change::Del => Change::Add(AddressKind::Plain, u32::MAX),
        };
        if done.is_empty() {
            return Ok(());
        }
        for (placed, error) in done.iter().zip(undo.each(done)?) {
            match error {
                Some(error) if !is_there(&error) && !is_gone(&error) => {
                    return Err(undo.error(placed, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Each that can be.
    fn each(self, now: &[Placed]) -> Result<Vec<Refused>, NetError> {
        mirror::change(
            || self.ask(now),
            |errors, known| {
                for p in made(now, errors) {
                    match self {
                        Change::Add(..) => {
                            mirror::enter(known, new_address(p.ifindex, p.addr, p.prefix_len));
                        }
                        Change::Del => mirror::strike(known, p.ifindex, p.addr, p.prefix_len),
                    }
                }
            },
        )
    }

    fn ask(self, now: &[Placed]) -> Result<Vec<Refused>, NetError> {
        let (kind, flags) = match self {
            Change::Add(..) => (libc::RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL),
            Change::Del => (libc::RTM_DELADDR, 0),
        };
        let message = |p: &Placed| {
            let request = self.request(p);
            let mut body = vec![0; request.buffer_len()];
            request.emit(&mut body);
            Message { kind, body }
        };
        let messages: Vec<Message> = now.iter().map(message).collect();
        let source = match Connection::with(NETLINK_ROUTE, |c| c.change_all(&messages, flags)) {
            Ok(errors) => return Ok(errors),
            Err(source) => source,
        };
        // The answer is lost. What the kernel did shows by what is there; of another's address nothing is said.
        let known = match observe::addresses() {
            Ok(known) => known,
            Err(undo) => return Err(left(self.error(&now[0], source), undo)),
        };
        let done = |p: &Placed| {
            let mut its = known
                .iter()
                .filter(|a| (a.ifindex, a.addr, a.prefix_len) == (p.ifindex, p.addr, p.prefix_len));
            match self {
                Change::Add(..) => its.any(|a| a.ours),
                Change::Del => its.next().is_none(),
            }
        };
        let same = || match source.raw_os_error() {
            Some(code) => io::Error::from_raw_os_error(code),
            None => io::Error::new(source.kind(), source.to_string()),
        };
        Ok(now.iter().map(|p| (!done(p)).then(same)).collect())
    }

    fn request(self, p: &Placed) -> AddressMessage {
        match self {
            Change::Add(kind, valid) => own_address(p.ifindex, p.addr, p.prefix_len, kind, valid),
            Change::Del => address_message(p.ifindex, p.addr, p.prefix_len),
        }
    }

    fn error(self, p: &Placed, source: io::Error) -> NetError {
        let (verb, place) = match self {
            Change::Add(..) => ("add", "to"),
            Change::Del => ("remove", "from"),
        };
        refused(p.ifindex, p.addr, p.prefix_len, verb, place)(source)
    }
}

pub(super) fn left(error: NetError, undo: NetError) -> NetError {
    NetError::Left {
        error: Box::new(error),
        undo: Box::new(undo),
    }
}

pub(super) fn is_there(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EEXIST)
}

/// Those that were not refused.
fn made<'a>(all: &'a [Placed], errors: &'a [Refused]) -> impl Iterator<Item = &'a Placed> {
    let made = all.iter().zip(errors).filter(|(_, error)| error.is_none());
    made.map(|(placed, _)| placed)
}
