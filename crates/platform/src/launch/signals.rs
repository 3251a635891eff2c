//! Holding signals back, so that the loader outlives its program and can clean up.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::process::ExitCode;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{Ending, LaunchError};

/// Faults of this program itself: holding them back would loop.
const FAULTS: [i32; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGTRAP,
    libc::SIGSYS,
    libc::SIGABRT,
];

/// Whether this process was started with SIGPIPE ignored.
static SIGPIPE_IGNORED: AtomicBool = AtomicBool::new(false);

/// Rust's runtime ignores SIGPIPE before `main`, so what the program is to inherit (systemd ignores it
/// for services, shells do not) has to be looked at even earlier.
extern "C" fn remember_sigpipe() {
    let mut action = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: only reads the disposition, into a buffer of the right type.
    let ok = unsafe { libc::sigaction(libc::SIGPIPE, ptr::null(), action.as_mut_ptr()) } == 0;
    // SAFETY: zeroed bytes are a valid sigaction, and the call fills them.
    let handler = unsafe { action.assume_init() }.sa_sigaction;
    SIGPIPE_IGNORED.store(ok && handler == libc::SIG_IGN, Ordering::Relaxed);
}

// SAFETY: the section holds functions of this type, called once before main; this one needs no
// initialised runtime.
#[used]
#[unsafe(link_section = ".init_array")]
static REMEMBER_SIGPIPE: extern "C" fn() = remember_sigpipe;

/// The disposition of SIGPIPE with which this process was started.
pub(super) fn sigpipe() -> libc::sighandler_t {
    if SIGPIPE_IGNORED.load(Ordering::Relaxed) {
        libc::SIG_IGN
    } else {
        libc::SIG_DFL
    }
}

/// While it lives, no signal ends this process; they wait to be forwarded. Hold it from before the
/// hostlet is made until it is removed again.
///
/// It works for the calling thread: other threads must not exist, or must have been started while
/// holding.
#[derive(Debug)]
pub struct SignalHold {
    original: libc::sigset_t,
    child: libc::sigaction,
    fd: OwnedFd,
}

impl SignalHold {
    /// Starts holding.
    pub fn new() -> Result<SignalHold, LaunchError> {
        let held = held();
        let mut original = empty();
        // SAFETY: both sets are initialised.
        let code = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &held, &mut original) };
        if code != 0 {
            return Err(LaunchError::Wait(io::Error::from_raw_os_error(code)));
        }
        // SAFETY: the set is initialised; a new descriptor is asked for.
        let fd = unsafe { libc::signalfd(-1, &held, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            set_mask(&original);
            return Err(LaunchError::Wait(error));
        }
        // SAFETY: signalfd returned a descriptor that nobody else has.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        // Started with SIGCHLD ignored, the kernel would throw the program's status away.
        let child = disposition(libc::SIGCHLD, libc::SIG_DFL);
        Ok(SignalHold {
            original,
            child,
            fd,
        })
    }

    /// The mask that the program is to inherit.
    pub(super) fn original_mask(&self) -> libc::sigset_t {
        self.original
    }

    /// The disposition of SIGCHLD that the program is to inherit.
    pub(super) fn original_child(&self) -> libc::sighandler_t {
        match self.child.sa_sigaction {
            libc::SIG_IGN => libc::SIG_IGN,
            _ => libc::SIG_DFL,
        }
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next waiting signal.
    pub(super) fn next(&self) -> io::Result<Option<libc::signalfd_siginfo>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::zeroed();
        let size = size_of::<libc::signalfd_siginfo>();
        loop {
            // SAFETY: the buffer has the size that is given.
            let length = unsafe { libc::read(self.fd.as_raw_fd(), info.as_mut_ptr().cast(), size) };
            if length == size as isize {
                // SAFETY: the kernel filled it, and any bytes are valid for it.
                return Ok(Some(unsafe { info.assume_init() }));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(None),
                _ => return Err(error),
            }
        }
    }

    /// Whether a signal waits that was not taken yet.
    pub(super) fn pending(&self, signal: i32) -> bool {
        let mut set = empty();
        // SAFETY: the set is initialised.
        unsafe { libc::sigpending(&mut set) == 0 && libc::sigismember(&set, signal) == 1 }
    }

    /// Lets this process be stopped by a stop signal, as the program was. Returns when it continues.
    pub(super) fn stop_self(&self, signal: i32) {
        if signal == libc::SIGSTOP {
            // SAFETY: no pointers.
            unsafe { libc::raise(libc::SIGSTOP) };
            return;
        }
        let mut only = empty();
        // SAFETY: the set is initialised, and the signal number valid: the kernel reported it.
        unsafe { libc::sigaddset(&mut only, signal) };
        // SAFETY: no pointers. To the process, so that it coalesces with the terminal's own.
        unsafe { libc::kill(libc::getpid(), signal) };
        // SAFETY: the set is initialised. The signal is delivered before this call returns.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &only, ptr::null_mut()) };
        // SAFETY: as above.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &only, ptr::null_mut()) };
    }
}

impl Drop for SignalHold {
    fn drop(&mut self) {
        // What still waits was meant for a program that is gone. The terminal's copy of the Ctrl-C
        // that ended it, for one, must not end us before we have told its status.
        while let Ok(Some(_)) = self.next() {}
        // SAFETY: restores a disposition that was read from the kernel.
        unsafe { libc::sigaction(libc::SIGCHLD, &self.child, ptr::null_mut()) };
        set_mask(&self.original);
    }
}

/// Ends this process by the signal that killed the program, or returns the status to exit with: the
/// last thing `main` does.
pub fn end_like(ending: Ending) -> ExitCode {
    if let Ending::Signaled(signal) = ending {
        let mut only = empty();
        // SAFETY: the set is initialised, and the kernel reported the signal.
        unsafe { libc::sigaddset(&mut only, signal) };
        // The program has dumped its core, if any was wanted; this process has nothing to tell.
        // SAFETY: no pointers.
        unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) };
        disposition(signal, libc::SIG_DFL);
        // SAFETY: no pointers.
        unsafe { libc::kill(libc::getpid(), signal) };
        // SAFETY: the set is initialised.
        unsafe { libc::pthread_sigmask(libc::SIG_UNBLOCK, &only, ptr::null_mut()) };
        // Still here: process 1 of a pid namespace is not killed by its own signals.
    }
    ExitCode::from(ending.code() as u8)
}

fn held() -> libc::sigset_t {
    let mut set = empty();
    // SAFETY: the set is initialised.
    unsafe { libc::sigfillset(&mut set) };
    for fault in FAULTS {
        // SAFETY: the set is initialised and the number valid.
        unsafe { libc::sigdelset(&mut set, fault) };
    }
    set
}

fn empty() -> libc::sigset_t {
    let mut set = MaybeUninit::<libc::sigset_t>::zeroed();
    // SAFETY: sigemptyset initialises the set.
    unsafe {
        libc::sigemptyset(set.as_mut_ptr());
        set.assume_init()
    }
}

fn set_mask(mask: &libc::sigset_t) {
    // SAFETY: the set is initialised.
    unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, mask, ptr::null_mut()) };
}

/// Sets a disposition and returns the one before.
fn disposition(signal: i32, handler: libc::sighandler_t) -> libc::sigaction {
    let mut old = MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: zeroed bytes are a valid sigaction: no flags, an empty mask, SIG_DFL.
    let mut new = unsafe { MaybeUninit::<libc::sigaction>::zeroed().assume_init() };
    new.sa_sigaction = handler;
    // SAFETY: both structures are valid; the handler is SIG_DFL or SIG_IGN.
    unsafe {
        libc::sigaction(signal, &new, old.as_mut_ptr());
        old.assume_init()
    }
}
