//! The socket, and a thread for each connection.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostlet_platform::peer;
use hostlet_wire::{Ended, Error, Limits, refuse_connection, serve_connection};
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};

use crate::log;
use crate::peer::Peer;
use crate::serve::Caller;
use crate::shared::Shared;

/// How long calls under way may go on when hostletd ends.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long to wait when the kernel has no descriptor for another connection.
const NO_DESCRIPTOR: Duration = Duration::from_millis(100);

/// The bytes that the kernel has for the name of a socket, without the zero at its end.
const LONGEST: usize = 107;

/// Makes the socket, which everybody may connect to: what he may then, the configuration says.
pub(crate) fn bind(path: &Path) -> Result<UnixListener> {
    if path.as_os_str().len() > LONGEST {
        bail!(
            "cannot listen on {}: the name of a socket has at most {LONGEST} bytes; give --root a directory with a shorter one",
            path.display()
        );
    }
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    }
    // Whoever left it is gone: only one hostletd has the lock.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            bail!("cannot remove the old socket {}: {error}", path.display());
        }
        _ => {}
    }
    let listener =
        UnixListener::bind(path).with_context(|| format!("cannot listen on {}", path.display()))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o666))
        .with_context(|| format!("cannot open {} to users", path.display()))?;
    Ok(listener)
}

/// The connections there are.
#[derive(Default)]
pub(crate) struct Connections {
    open: Mutex<Open>,
    fewer: Condvar,
}

#[derive(Default)]
struct Open {
    count: u32,
    by_user: BTreeMap<u32, u32>,
    streams: BTreeMap<u64, UnixStream>,
    next: u64,
    ending: bool,
}

impl Connections {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a connection in, unless there are too many.
    fn enter(&self, uid: u32, stream: &UnixStream, shared: &Shared) -> Option<u64> {
        let limits = shared.config().daemon;
        let mut open = self.open();
        let of_user = open.by_user.get(&uid).copied().unwrap_or(0);
        let full = open.count >= limits.connections
            || (uid != 0 && of_user >= limits.connections_per_user);
        if full || open.ending {
            return None;
        }
        let number = open.next;
        open.streams.insert(number, stream.try_clone().ok()?);
        open.next += 1;
        open.count += 1;
        *open.by_user.entry(uid).or_default() += 1;
        Some(number)
    }

    fn leave(&self, number: u64, uid: u32) {
        let mut open = self.open();
        open.streams.remove(&number);
        open.count -= 1;
        if let Some(count) = open.by_user.get_mut(&uid) {
            *count -= 1;
            if *count == 0 {
                open.by_user.remove(&uid);
            }
        }
        drop(open);
        self.fewer.notify_all();
    }

    /// Ends all after the call that each is in, and waits for that.
    pub fn end(&self) {
        let mut open = self.open();
        open.ending = true;
        for stream in open.streams.values() {
            // The other side may be gone already.
            let _ = stream.shutdown(Shutdown::Read);
        }
        let waited = self
            .fewer
            .wait_timeout_while(open, FAREWELL, |open| open.count > 0);
        drop(waited);
    }
}

/// Where callers knock, until it is shut.
pub(crate) struct Door {
    listener: UnixListener,
    /// Made by this process, and not by a service manager, who goes on listening.
    own: bool,
    shut: OwnedFd,
}

impl Door {
    pub fn new(listener: UnixListener, own: bool) -> io::Result<Self> {
        let shut = eventfd(0, EventfdFlags::CLOEXEC)?;
        Ok(Self {
            listener,
            own,
            shut,
        })
    }

    /// Ends [`accept`], for good.
    pub fn shut(&self) {
        let _ = rustix::io::write(&self.shut, &1_u64.to_ne_bytes());
        if self.own {
            // Whoever comes now is told at once. Of a socket that was passed there is one only, here and at the service
            // manager: shut down, it would never be heard of again.
            let _ = rustix::net::shutdown(&self.listener, rustix::net::Shutdown::Both);
        }
    }

    /// The next caller; none if it is shut.
    fn next(&self) -> io::Result<Option<UnixStream>> {
        loop {
            let mut waiting = [
                PollFd::new(&self.shut, PollFlags::IN),
                PollFd::new(&self.listener, PollFlags::IN),
            ];
            match poll(&mut waiting, None) {
                Err(rustix::io::Errno::INTR) => continue,
                other => other?,
            };
            if !waiting[0].revents().is_empty() {
                return Ok(None);
            }
            match self.listener.accept() {
                Ok((stream, _)) => return Ok(Some(stream)),
                // It was passed as one that does not block, and the caller is gone.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Accepts until the door is shut.
pub(crate) fn accept(door: &Door, shared: &Arc<Shared>, all: &Arc<Connections>) {
    loop {
        let stream = match door.next() {
            Ok(Some(stream)) => stream,
            Ok(None) => return,
            Err(error) => {
                log::warning(format_args!("cannot accept a connection: {error}"));
                // Nothing says when there is room again.
                std::thread::park_timeout(NO_DESCRIPTOR);
                continue;
            }
        };
        let (shared, all) = (Arc::clone(shared), Arc::clone(all));
        let spawned = std::thread::Builder::new()
            .name("connection".to_owned())
            .stack_size(512 * 1024)
            .spawn(move || serve(&stream, &shared, &all));
        if let Err(error) = spawned {
            log::warning(format_args!("cannot serve a connection: {error}"));
        }
    }
}

/// Counted among the connections, until it is dropped.
struct Place<'c> {
    all: &'c Connections,
    number: u64,
    uid: u32,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.all.leave(self.number, self.uid);
    }
}

fn serve(stream: &UnixStream, shared: &Arc<Shared>, all: &Connections) {
    // Counted before anything else is asked about the caller: the user database may take its time.
    let unknown = |error| log::warning(format_args!("a caller cannot be identified: {error}"));
    let uid = match peer::user(stream) {
        Ok(uid) => uid,
        Err(error) => return unknown(error),
    };
    let Some(number) = all.enter(uid, stream, shared) else {
        log::warning(format_args!(
            "refused a connection of user {uid}: there are too many"
        ));
        let why = "hostletd serves as many callers at once as it may (connections, connections-per-user under [hostletd] in the configuration): try again";
        let _ = refuse_connection(stream, &Error::Failed(why.to_owned()), &Limits::default());
        return;
    };
    let _place = Place { all, number, uid };
    let peer = match Peer::of(stream) {
        Ok(peer) => peer,
        Err(error) => return unknown(error),
    };
    let pid = peer.pid;
    let mut caller = Caller {
        shared: Arc::clone(shared),
        peer,
        opened: None,
        login: None,
    };
    let ended = serve_connection(stream, &mut caller, &Limits::default());
    caller.left();
    match ended {
        Ended::Closed | Ended::Idle | Ended::Broken => {}
        ended => log::warning(format_args!(
            "connection of process {pid}, user {uid}: {ended}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_too_long_for_a_socket_is_told() {
        let dir = std::env::temp_dir().join("x".repeat(LONGEST));
        let said = bind(&dir.join("hostletd.sock")).unwrap_err().to_string();
        assert!(said.contains("107") && said.contains("--root"), "{said}");
        assert!(!dir.exists());
    }
}
