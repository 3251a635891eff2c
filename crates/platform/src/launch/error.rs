//! Why a program did not start.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};

/// Why a program did not start, or was lost.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// There is no such program.
    #[error("{}: no such program{}", .program.display(), place(.program))]
    NotFound {
        /// The program.
        program: OsString,
    },
    /// It is there, but cannot be executed.
    #[error("{}: cannot be executed: {source}{}", .program.display(), exec_hint(.program, .source))]
    NotExecutable {
        /// The program.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// It is there, but the interpreter that it names is not.
    #[error("{}: cannot be executed: the interpreter it names is missing", .0.display())]
    NoInterpreter(OsString),
    /// The directory to start in cannot be entered.
    #[error("cannot start in {}: {source}; name a directory that is there and that the program's user may enter", .path.display())]
    Workdir {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// There is no such user.
    #[error("there is no user {0}; see `getent passwd`")]
    UnknownUser(String),
    /// There is no such group.
    #[error("there is no group {0}; see `getent group`")]
    UnknownGroup(String),
    /// A user by number without an entry has no group of its own.
    #[error("user {0} has no entry in the user database: name a group as well (--group)")]
    NoGroup(u32),
    /// The user database could not be asked.
    #[error("cannot look up {what}: {source}")]
    Lookup {
        /// Whom or what.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A capability that does not exist.
    #[error("there is no capability {0}; see capabilities(7), for example `net_bind_service`")]
    UnknownCapability(String),
    /// A descriptor that is to be kept is not there.
    #[error("descriptor {0} cannot be kept: it was not passed to this program")]
    NotInherited(RawFd),
    /// Sockets handed over by a service manager are not confined.
    #[error(
        "the service manager passed sockets ({0}) that were opened outside the hostlet, where its addresses do not \
         bind them; keep them by name if that is meant (--keep-fd), or let the program open its own"
    )]
    Activation(String),
    /// A string with a zero byte.
    #[error("{0} contains a zero byte")]
    Nul(&'static str),
    /// The cgroup does not take the program.
    #[error("cannot start a process in the hostlet's cgroup: {source}{}", clone_hint(.source))]
    Cgroup {
        /// Why.
        source: io::Error,
    },
    /// A step of the confinement failed. Nothing was started.
    #[error("cannot confine the program: cannot {what}: {source}{}", confine_hint(.source))]
    Confine {
        /// Which step.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// The program runs, but cannot be followed.
    #[error("cannot follow the program: {0}")]
    Wait(io::Error),
}

fn place(program: &OsStr) -> &'static str {
    if program.as_encoded_bytes().contains(&b'/') {
        ""
    } else {
        " in PATH"
    }
}

/// The kernel says of a directory what it says of a file without the right to be executed.
fn exec_hint(program: &OsStr, error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EACCES) if place(program).is_empty() && Path::new(program).is_dir() => {
            "; it is a directory"
        }
        Some(libc::EACCES) => {
            "; the user whom it is started as needs the right to execute it (chmod +x) and to get there"
        }
        _ => "",
    }
}

fn clone_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::ENODEV | libc::ENOENT) => "; it was removed meanwhile",
        Some(libc::EBUSY) => "; a cgroup with controllers for its children takes no processes",
        Some(libc::EAGAIN) => "; pids.max or RLIMIT_NPROC is reached",
        Some(libc::EACCES | libc::EPERM) => "; run as root",
        Some(libc::ENOSYS | libc::E2BIG | libc::EINVAL) => "; the kernel needs to be 5.7 or newer",
        _ => "",
    }
}

fn confine_hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "; run as root",
        _ => "",
    }
}

impl LaunchError {
    /// The exit status for it: 127 and 126 as a shell gives them, else 125.
    pub fn exit_code(&self) -> i32 {
        match self {
            LaunchError::NotFound { .. } => 127,
            LaunchError::NotExecutable { .. } | LaunchError::NoInterpreter(_) => 126,
            _ => 125,
        }
    }
}
