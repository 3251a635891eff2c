//! Starting a program inside a hostlet, and being its parent as if hostlet were not there.
//!
//! What protects the machine from a hostile member, in the order in which it happens:
//! the process is *born* in the hostlet's cgroup (no socket of it can be older than that); its
//! mount namespace shows cgroup file systems and the installation's files read-only, no BPF file system,
//! and no knobs of the kernel that obey the user id alone; inherited descriptors are closed; socket families that nothing confines are refused; the capabilities with
//! which all this could be undone are gone from every set, the bounding set first, so that neither
//! set-uid programs nor file capabilities bring them back.
//!
//! What it does not protect from: processes outside that run as the same user can be traced and made
//! to act; so can anything else that is reachable through files the user may write.

mod activation;
mod birth;
mod child;
mod confine;
mod error;
mod exec;
mod families;
mod plan;
mod privileges;
mod signals;
mod user;
mod wait;

use std::ffi::OsString;
use std::os::fd::{AsFd, OwnedFd, RawFd};
use std::path::PathBuf;

pub use activation::{ListenFd, listen_fds};
pub use error::LaunchError;
pub use exec::{Exec, exec};
pub use families::leads_out_by_io_uring;
pub use plan::check;
pub use signals::{SignalHold, end_like};
pub use wait::{Child, Extra};

/// The capabilities that a member never has, unless kept by name.
pub const DROPPED_CAPABILITIES: [caps::Capability; 10] = [
    caps::Capability::CAP_SYS_ADMIN,
    caps::Capability::CAP_NET_ADMIN,
    caps::Capability::CAP_NET_RAW,
    caps::Capability::CAP_BPF,
    caps::Capability::CAP_PERFMON,
    caps::Capability::CAP_SYS_PTRACE,
    caps::Capability::CAP_SYS_MODULE,
    caps::Capability::CAP_SYS_RAWIO,
    // A kernel of one's own (kexec).
    caps::Capability::CAP_SYS_BOOT,
    // Opens any file by its number, past every mount: the cgroups' among them. Reading whatever there is
    // remains to root by CAP_DAC_OVERRIDE.
    caps::Capability::CAP_DAC_READ_SEARCH,
];

/// The socket families that a member has. Whatever else there is, nothing confines.
pub const ALLOWED_FAMILIES: [i32; 5] = [
    libc::AF_UNIX,
    libc::AF_INET,
    libc::AF_INET6,
    libc::AF_NETLINK,
    libc::AF_ALG,
];

/// What to start, and how.
#[derive(Debug)]
pub struct Launch {
    /// A path, or a name to look up in the program's own `PATH`.
    pub program: OsString,
    /// Its arguments, without its name.
    pub args: Vec<OsString>,
    /// Variables to set.
    pub env: Vec<(OsString, OsString)>,
    /// Start from an empty environment.
    pub clear_env: bool,
    /// Where it starts; the caller's directory if none.
    pub workdir: Option<PathBuf>,
    /// As whom, by name or number; with that user's groups.
    pub user: Option<String>,
    /// With which group, by name or number, instead of the user's own.
    pub group: Option<String>,
    /// Capabilities that are not dropped, such as `net_raw` or `CAP_NET_RAW`. A program that does
    /// not run as root gets them as ambient ones.
    pub keep_capabilities: Vec<String>,
    /// Descriptors that it inherits besides 0, 1 and 2.
    pub keep_fds: Vec<RawFd>,
    /// The directory of the cgroup in which it is born.
    pub cgroup: OwnedFd,
    /// Directories that it finds empty, but for those of `show`.
    pub hide: Vec<PathBuf>,
    /// Directories right in a hidden one that it finds there all the same, read-only. One that is not there when the
    /// program starts does not appear later.
    pub show: Vec<PathBuf>,
    /// Directories that it finds read-only; if it starts below one of them, in `DIR/sub/…`, then without
    /// `DIR/sub`.
    pub read_only: Vec<PathBuf>,
    /// Refuse socket families other than [`ALLOWED_FAMILIES`] and `allow_families`, and typing into the
    /// terminal.
    pub restrict_families: bool,
    /// Further families to allow.
    pub allow_families: Vec<i32>,
    /// Drop capabilities and give it a mount namespace of its own.
    pub confine: bool,
}

impl Launch {
    /// A fully confined launch, with everything else as inherited.
    pub fn new(program: impl Into<OsString>, cgroup: OwnedFd) -> Launch {
        Launch {
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            clear_env: false,
            workdir: None,
            user: None,
            group: None,
            keep_capabilities: Vec::new(),
            keep_fds: Vec::new(),
            cgroup,
            hide: Vec::new(),
            show: Vec::new(),
            read_only: Vec::new(),
            restrict_families: true,
            allow_families: Vec::new(),
            confine: true,
        }
    }
}

/// How a program ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It exited with this status.
    Exited(i32),
    /// This signal killed it.
    Signaled(i32),
}

impl Ending {
    /// The exit status a shell shows for it.
    pub fn code(self) -> i32 {
        match self {
            Ending::Exited(code) => code,
            Ending::Signaled(signal) => 128 + signal,
        }
    }
}

/// Starts a program and stays its parent until it ends. Signals are held back only meanwhile: hold
/// them over the clean-up as well with [`SignalHold`], [`start`] and [`Child::wait`].
pub fn run_to_end(launch: Launch) -> Result<Ending, LaunchError> {
    let hold = SignalHold::new()?;
    start(launch, &hold)?.wait(&hold, &mut [])
}

/// Starts a program. It may still turn out in [`Child::wait`] that it cannot be executed.
///
/// Call it from the main thread of a process without others where signals are to be forwarded. The calling thread shares its
/// directory with no other from then on, and nobody but an administrator traces this process.
pub fn start(launch: Launch, hold: &SignalHold) -> Result<Child, LaunchError> {
    let plan = plan::Plan::new(&launch, hold)?;
    let cgroup = launch.cgroup.as_fd();
    if !launch.confine {
        return child::spawn(&plan, cgroup);
    }
    // What is started has the mount namespace of this thread, which goes back to its own at once.
    let home = confine::Home::of_this_thread()?;
    let started = confine::enter_private_mounts(&launch, !plan.administers)
        .and_then(|()| child::spawn(&plan, cgroup));
    let back = home.come_back();
    let child = started?;
    if back.is_err() {
        child.kill();
    }
    back.map(|()| child)
}
