//! Who is at the other end of a local connection.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::packet::explain;
use crate::proc;

/// Of <asm-generic/socket.h>, which x86-64 and arm64 use.
const SO_PEERPIDFD: i32 = 77;

/// The process that connected, as the kernel vouches for it.
#[derive(Debug)]
pub struct Peer {
    /// Its process id.
    pub pid: u32,
    /// The user it acted as when it connected.
    pub uid: u32,
    /// When it started, in clock ticks since boot. With the pid it names a process for ever.
    pub start_ticks: u64,
    /// Becomes readable when it ends.
    pub pidfd: OwnedFd,
}

impl Peer {
    /// Looks at the other end.
    ///
    /// The process is the one that called `connect`; whoever it handed its descriptor to since speaks in its
    /// name. Kernels before 6.5 know only the pid of it: there, one that ended before this call may be
    /// taken for another that got its pid.
    ///
    /// # Errors
    /// When the process is gone, or lives in a pid namespace that this one does not see.
    pub fn of(stream: &UnixStream) -> io::Result<Peer> {
        read(stream).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH) => io::Error::new(
                io::ErrorKind::NotFound,
                "the process that connected is gone, or in a pid namespace that is not seen from here",
            ),
            _ => explain("find out who connected", &e),
        })
    }

    /// Looks at a process by its number, which its caller vouches for: of a process that waits for this one, say. `uid` is
    /// the user that it acts as now.
    ///
    /// # Errors
    /// There is no such process, or the number is that of a thread.
    pub fn of_pid(pid: u32) -> io::Result<Peer> {
        by_number(pid).map_err(|e| match e.raw_os_error() {
            Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => io::Error::new(
                io::ErrorKind::NotFound,
                format!("there is no process {pid} (any more)"),
            ),
            _ => explain("open a process by its number", &e),
        })
    }

    /// Whether it still runs. Then its pid was not another's at any moment since it connected.
    pub fn lives(&self) -> bool {
        let mut end = [PollFd::new(&self.pidfd, PollFlags::IN)];
        matches!(poll(&mut end, Some(&Timespec::default())), Ok(0))
            && proc::alive(self.pid, self.start_ticks)
    }

    /// Whether its pid is still its own: it runs, or ended and its parent has not asked how.
    pub fn keeps_its_pid(&self) -> bool {
        exists(&self.pidfd).is_ok()
    }
}

/// The user at the other end, without asking anything about his process.
///
/// # Errors
/// The kernel does not say.
pub fn user(stream: &UnixStream) -> io::Result<u32> {
    let found = credentials(stream).map_err(|e| explain("find out who connected", &e))?;
    Ok(found.uid)
}

fn read(stream: &UnixStream) -> io::Result<Peer> {
    let credentials = credentials(stream)?;
    let pid = u32::try_from(credentials.pid).unwrap_or(0);
    let handle = Pid::from_raw(credentials.pid).ok_or(Errno::SRCH)?;
    let before = proc::start_ticks(pid).ok_or(Errno::SRCH)?;
    let pidfd = match peer_pidfd(stream)? {
        Some(pidfd) => {
            // As long as the process is not reaped its pid is nobody else's, so it was that one's start.
            exists(&pidfd)?;
            pidfd
        }
        None => by_pid(handle, before)?,
    };
    Ok(Peer {
        pid,
        uid: credentials.uid,
        start_ticks: before,
        pidfd,
    })
}

fn by_number(pid: u32) -> io::Result<Peer> {
    let raw = i32::try_from(pid).map_err(|_| Errno::SRCH)?;
    let handle = Pid::from_raw(raw).ok_or(Errno::SRCH)?;
    let start_ticks = proc::start_ticks(pid).ok_or(Errno::SRCH)?;
    let pidfd = by_pid(handle, start_ticks)?;
    let [_, uid, ..] = proc::Rights::of(pid).ok_or(Errno::SRCH)?.uids;
    // As long as the process is not reaped its number is nobody else's, so these were its own.
    exists(&pidfd)?;
    Ok(Peer {
        pid,
        uid,
        start_ticks,
        pidfd,
    })
}

/// The process with that id, if it is still the one that started then.
fn by_pid(pid: Pid, start_ticks: u64) -> io::Result<OwnedFd> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let number = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
    if proc::start_ticks(number) != Some(start_ticks) {
        return Err(Errno::SRCH.into());
    }
    Ok(pidfd)
}

/// Asks for an option that is a structure, into `value`; gives the length that the kernel has for it.
fn option<T>(stream: &UnixStream, option: i32, value: &mut [MaybeUninit<T>]) -> io::Result<usize> {
    let mut length = size_of_val(value) as u32;
    // SAFETY: the buffer has the length that is given.
    let code = unsafe {
        libc::getsockopt(
            stream.as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            value.as_mut_ptr().cast(),
            &mut length,
        )
    };
    match code {
        0 => Ok(length as usize),
        _ => Err(io::Error::last_os_error()),
    }
}

fn credentials(stream: &UnixStream) -> io::Result<libc::ucred> {
    let mut found = [MaybeUninit::<libc::ucred>::zeroed()];
    option(stream, libc::SO_PEERCRED, &mut found)?;
    // SAFETY: plain numbers, which were zero before the kernel wrote them.
    Ok(unsafe { found[0].assume_init() })
}

/// None where the kernel does not know such descriptors of peers.
fn peer_pidfd(stream: &UnixStream) -> io::Result<Option<OwnedFd>> {
    let mut found = [MaybeUninit::<RawFd>::zeroed()];
    match option(stream, SO_PEERPIDFD, &mut found) {
        // SAFETY: the kernel has just made this descriptor for us, close-on-exec.
        Ok(_) => Ok(Some(unsafe {
            OwnedFd::from_raw_fd(found[0].assume_init())
        })),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => Ok(None),
        // A process that is gone, in the words of different kernels.
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENODATA | libc::EINVAL)) => {
            Err(Errno::SRCH.into())
        }
        Err(error) => Err(error),
    }
}

/// Fails when the process is reaped.
fn exists(pidfd: &OwnedFd) -> io::Result<()> {
    let none = std::ptr::null::<libc::siginfo_t>();
    // SAFETY: no signal is sent, and no information passed.
    let code = unsafe { libc::syscall(libc::SYS_pidfd_send_signal, pidfd.as_raw_fd(), 0, none, 0) };
    match (code, io::Error::last_os_error()) {
        (0, _) => Ok(()),
        // It runs as somebody whom we may not signal: it is there.
        (_, error) if error.raw_os_error() == Some(libc::EPERM) => Ok(()),
        (_, error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pid_alone_is_not_enough() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let pid = Pid::from_child(&child);
        let ticks = proc::start_ticks(child.id()).unwrap();
        assert!(by_pid(pid, ticks).is_ok());
        let error = by_pid(pid, ticks + 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
        let peer = Peer {
            pid: child.id(),
            uid: 0,
            start_ticks: ticks,
            pidfd: by_pid(pid, ticks).unwrap(),
        };
        // It is not waited for here: its end, and nobody has its pid yet.
        poll(&mut [PollFd::new(&peer.pidfd, PollFlags::IN)], None).unwrap();
        assert!(!peer.lives() && peer.keeps_its_pid());
        child.wait().unwrap();
        assert!(!peer.lives() && !peer.keeps_its_pid());
        let error = by_pid(pid, ticks).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ESRCH));
    }
}
