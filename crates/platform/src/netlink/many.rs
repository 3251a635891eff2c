//! Many addresses at once: a question and an answer for each take longer than what the kernel does for it.

use std::io;
use std::net::IpAddr;

use netlink_packet_core::{Emitable, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::AddressMessage;
use netlink_sys::protocols::NETLINK_ROUTE;

use super::change::{address_message, is_gone, new_address, own_address, refused};
use super::transport::{Connection, Message};
use super::{AddressKind, NetError, mirror};

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
    let now = &all[..all.len().min(TOGETHER)];
    let message = |p: &Placed| own_address(p.ifindex, p.addr, p.prefix_len, kind, u32::MAX);
    let messages: Vec<_> = now.iter().map(message).collect();
    let add = || change_all(libc::RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &messages);
    let outcome = mirror::change(add, |errors, known| {
        for p in made(now, errors) {
            mirror::enter(known, new_address(p.ifindex, p.addr, p.prefix_len));
        }
    });
    let mut errors = match outcome {
        Ok(errors) => errors,
        Err(error) => return (0, Err(error)),
    };
    let Some(failed) = errors.iter().position(Option::is_some) else {
        return (now.len(), Ok(true));
    };
    // All up to one, or it alone: those behind it are not there yet for whoever takes back.
    let behind = made(&now[failed..], &errors[failed..]);
    let behind: Vec<_> = behind.copied().collect();
    let mut left = &behind[..];
    while !left.is_empty() {
        let (count, taken) = del_addresses(left);
        left = &left[count..];
        if let Err(error) = taken {
            return (failed, Err(error));
        }
    }
    let p = now[failed];
    match errors.swap_remove(failed) {
        Some(error) if error.raw_os_error() != Some(libc::EEXIST) => {
            let error = refused(p.ifindex, p.addr, p.prefix_len, "add", "to")(error);
            (failed, Err(error))
        }
        _ => (failed, Ok(false)),
    }
}

/// Takes the first of many addresses off their interfaces. So many are not there any more; an error is of the one behind them. None of
/// them may be one that takes others of its subnet along: see [`super::del_address`].
pub fn del_addresses(all: &[Placed]) -> (usize, Result<(), NetError>) {
    let now = &all[..all.len().min(TOGETHER)];
    let message = |p: &Placed| address_message(p.ifindex, p.addr, p.prefix_len);
    let messages: Vec<_> = now.iter().map(message).collect();
    let del = || change_all(libc::RTM_DELADDR, 0, &messages);
    let outcome = mirror::change(del, |errors, known| {
        for p in made(now, errors) {
            mirror::strike(known, p.ifindex, p.addr, p.prefix_len);
        }
    });
    let errors = match outcome {
        Ok(errors) => errors,
        Err(error) => return (0, Err(error)),
    };
    let mut all = errors.into_iter().enumerate();
    let failed = all.find_map(|(at, error)| Some((at, error.filter(|e| !is_gone(e))?)));
    match failed {
        None => (now.len(), Ok(())),
        Some((at, error)) => {
            let p = now[at];
            let error = refused(p.ifindex, p.addr, p.prefix_len, "remove", "from")(error);
            (at, Err(error))
        }
    }
}

type Refused = Option<io::Error>;

/// Those that were not refused.
fn made<'a>(all: &'a [Placed], errors: &'a [Refused]) -> impl Iterator<Item = &'a Placed> {
    let made = all.iter().zip(errors).filter(|(_, error)| error.is_none());
    made.map(|(placed, _)| placed)
}

fn change_all(
    kind: u16,
    flags: u16,
    requests: &[AddressMessage],
) -> Result<Vec<Refused>, NetError> {
    let message = |request: &AddressMessage| {
        let mut body = vec![0; request.buffer_len()];
        request.emit(&mut body);
        Message { kind, body }
    };
    let messages: Vec<Message> = requests.iter().map(message).collect();
    let sent = Connection::with(NETLINK_ROUTE, |c| c.change_all(&messages, flags));
    sent.map_err(|source| NetError::Change {
        what: format!("change {} addresses", requests.len()),
        source,
    })
}
