//! Readiness, by every call that tells it.

use std::os::fd::{AsRawFd, RawFd};

use super::sockets::own;
use super::{Outcome, check, patience, patience_ms, usage};

/// How long "nothing happens" is watched. Packets between namespaces of one
/// machine are delivered within the sending call; this is for slow machines.
const QUIET_MS: i32 = 150;

pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        // What is ready now or becomes so while we wait for one of the wanted.
        ("poll", [wanted]) => Ok(show(poll(fd, parse(wanted)?, patience_ms())?)),
        ("poll", []) => Ok(show(poll(
            fd,
            libc::POLLIN | libc::POLLOUT | libc::POLLRDHUP,
            0,
        )?)),
        ("quiet", []) => Ok(match poll(fd, libc::POLLIN, QUIET_MS.min(patience_ms()))? {
            0 => "quiet".into(),
            events => show(events),
        }),
        ("epoll", [wanted]) => epoll(fd, parse(wanted)?),
        ("select", [wanted]) => select(fd, parse(wanted)?),
        _ => usage("poll|epoll|select SOCKET in|out|…, quiet SOCKET"),
    }
}

const NAMES: [(libc::c_short, &str); 6] = [
    (libc::POLLIN, "in"),
    (libc::POLLOUT, "out"),
    (libc::POLLRDHUP, "rdhup"),
    (libc::POLLHUP, "hup"),
    (libc::POLLERR, "err"),
    (libc::POLLNVAL, "nval"),
];

fn parse(text: &str) -> Result<libc::c_short, super::Trouble> {
    let mut events = 0;
    for word in text.split('+') {
        match NAMES.iter().find(|(_, name)| *name == word) {
            Some((event, _)) => events |= event,
            None => return usage(format!("no event {word}")),
        }
    }
    Ok(events)
}

pub(crate) fn show(events: libc::c_short) -> String {
    let names: Vec<&str> = NAMES
        .iter()
        .filter(|(event, _)| events & event != 0)
        .map(|(_, name)| *name)
        .collect();
    if names.is_empty() {
        "not-ready".into()
    } else {
        names.join("+")
    }
}

pub(crate) fn poll(
    fd: RawFd,
    events: libc::c_short,
    wait: i32,
) -> Result<libc::c_short, super::Trouble> {
    let mut poll = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one entry, as said.
    check(unsafe { libc::poll(&raw mut poll, 1, wait) })?;
    Ok(poll.revents)
}

fn epoll(fd: RawFd, events: libc::c_short) -> Outcome {
    // SAFETY: takes no pointers.
    let set = own(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
    // The bits of poll and epoll are the same.
    let mut event = libc::epoll_event {
        events: u32::from(events as u16),
        u64: 7,
    };
    // SAFETY: the event lives through the call.
    check(unsafe { libc::epoll_ctl(set.as_raw_fd(), libc::EPOLL_CTL_ADD, fd, &raw mut event) })?;
    let mut found = libc::epoll_event { events: 0, u64: 0 };
    // SAFETY: room for one event, as said.
    let count =
        check(unsafe { libc::epoll_wait(set.as_raw_fd(), &raw mut found, 1, patience_ms()) })?;
    if count == 0 {
        return Ok("not-ready".into());
    }
    let bits = found.events;
    Ok(show(bits as libc::c_short))
}

fn select(fd: RawFd, events: libc::c_short) -> Outcome {
    // SAFETY: all zeroes is an empty set.
    let (mut read, mut write): (libc::fd_set, libc::fd_set) = unsafe { std::mem::zeroed() };
    if events & libc::POLLIN != 0 {
        // SAFETY: descriptors of a test are below FD_SETSIZE.
        unsafe { libc::FD_SET(fd, &raw mut read) };
    }
    if events & libc::POLLOUT != 0 {
        // SAFETY: as above.
        unsafe { libc::FD_SET(fd, &raw mut write) };
    }
    let mut wait = patience();
    // SAFETY: all three live through the call.
    check(unsafe {
        libc::select(
            fd + 1,
            &raw mut read,
            &raw mut write,
            std::ptr::null_mut(),
            &raw mut wait,
        )
    })?;
    let mut found = 0;
    // SAFETY: as above.
    if unsafe { libc::FD_ISSET(fd, &raw const read) } {
        found |= libc::POLLIN;
    }
    // SAFETY: as above.
    if unsafe { libc::FD_ISSET(fd, &raw const write) } {
        found |= libc::POLLOUT;
    }
    Ok(show(found))
}

/// The names of those that have something to read, once one has.
pub(crate) fn which(sockets: &[(&str, RawFd)]) -> Outcome {
    let mut polled: Vec<libc::pollfd> = sockets
        .iter()
        .map(|(_, fd)| libc::pollfd {
            fd: *fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    let count = polled.len() as libc::nfds_t;
    // SAFETY: as many entries as said.
    check(unsafe { libc::poll(polled.as_mut_ptr(), count, patience_ms()) })?;
    let names: Vec<&str> = sockets
        .iter()
        .zip(&polled)
        .filter(|(_, polled)| polled.revents & libc::POLLIN != 0)
        .map(|((name, _), _)| *name)
        .collect();
    Ok(if names.is_empty() {
        "none".into()
    } else {
        names.join("+")
    })
}
