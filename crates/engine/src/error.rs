//! What can go wrong. Every message says what was tried, on what, why it failed, and what to do.

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use hostlet_model::{Name, Owned};
use hostlet_platform::cgroup::CgroupError;
use hostlet_platform::launch::LaunchError;
use hostlet_platform::netlink::NetError;
use hostlet_platform::sockdiag::SockDiagError;

/// The result of everything here.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The caller is not root.
    #[error("only root can {what}: run it with sudo, or as root")]
    NotRoot {
        /// What was asked.
        what: &'static str,
    },
    /// A caller without root's rights, whom the configuration may well list.
    #[error(
        "only root's rights start a program in hostlet '{name}': who is listed under may-start in [hostlet.{name}] runs 'hostlet start' through sudo, or through a hostlet that an administrator made set-uid root"
    )]
    NotRaised {
        /// The hostlet.
        name: Name,
    },
    /// What a hostlet's members see of the machine is read-only.
    #[error(
        "this is inside a hostlet, from where hostlets are neither made nor looked at: run the command outside"
    )]
    Inside,
    /// `apply` without a file would remove all that was declared.
    #[error(
        "there is no {config}, so nothing was changed: write it, or make an empty file to declare nothing"
    )]
    NoConfig {
        /// The configuration.
        config: PathBuf,
    },
    /// The configuration does not allow it to this caller.
    #[error(
        "user '{user}' may not {what} hostlet '{name}': an administrator allows it with {key} = [\"user:{user}\"] under [hostlet.{name}] in {config}"
    )]
    Denied {
        /// Who asked.
        user: String,
        /// `start` or `enter`, …
        what: &'static str,
        /// The hostlet.
        name: Name,
        /// The key that would allow it.
        key: &'static str,
        /// The configuration.
        config: PathBuf,
    },
    /// A pool would lend an address that is somebody's already.
    #[error("{}", of_pool(.owned, *.first, .pool, .config))]
    OfPool {
        /// What was asked for.
        owned: Owned,
        /// The first address of it that the pool lends.
        first: IpAddr,
        /// The pool.
        pool: Name,
        /// The configuration.
        config: PathBuf,
    },
    /// Only root may choose this.
    #[error(
        "user '{user}' may not choose {option}: only root may; an administrator can set it under [hostlet.{name}] in {config}"
    )]
    OptionDenied {
        /// Who asked.
        user: String,
        /// The option.
        option: &'static str,
        /// The hostlet.
        name: Name,
        /// The configuration.
        config: PathBuf,
    },
    /// It makes no sense, or is not possible now.
    #[error(transparent)]
    Refused(#[from] hostlet_policy::Refusal),
    /// The configuration is wrong, or what it declares is not possible now.
    #[error(transparent)]
    Config(#[from] hostlet_model::config::ConfigError),
    /// The hostlet is not in the configuration.
    #[error(
        "hostlet '{name}' is not declared in {config}: add [hostlet.{name}] with its addresses, or use 'hostlet run'"
    )]
    NotDeclared {
        /// The name asked for.
        name: Name,
        /// The configuration.
        config: PathBuf,
    },
    /// A file or directory.
    #[error("cannot {doing} {path}: {source}{}", file_hint(.source))]
    File {
        /// What was tried.
        doing: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// There is no bpffs and none could be mounted.
    #[error(
        "there is no bpf file system at {path}, and mounting one failed: {source}; run 'mount -t bpf bpf {path}' as root outside of any container"
    )]
    Bpffs {
        /// Where it should be.
        path: PathBuf,
        /// Why the mount failed.
        source: io::Error,
    },
    /// The state file.
    #[error(transparent)]
    Store(#[from] hostlet_store::StoreError),
    /// The kernel part.
    #[error(transparent)]
    Kernel(#[from] hostlet_kernel::Error),
    /// Cgroups.
    #[error(transparent)]
    Cgroup(#[from] CgroupError),
    /// The network.
    #[error(transparent)]
    Net(NetError),
    /// Socket listings.
    #[error(transparent)]
    SockDiag(#[from] SockDiagError),
    /// The program could not be started.
    #[error(transparent)]
    Launch(#[from] LaunchError),
    /// The installation works in another network namespace.
    #[error(
        "the hostlets of this installation live in another network namespace: run the command there, or give this namespace an installation of its own with --root DIR"
    )]
    OtherNamespace,
    /// Somebody took the kernel part away while there are hostlets.
    #[error(
        "there are hostlets, but the kernel's tables are not at {pins} any more (was the BPF file system there unmounted?): 'hostlet enter {name} -- true', as every command that changes something, brings them back"
    )]
    KernelGone {
        /// Where they were.
        pins: PathBuf,
        /// A hostlet.
        name: Name,
    },
    /// The address was there before hostlet could add it.
    #[error(
        "{address} appeared on {interface} while hostlet was about to add it: somebody else uses it; run the command again"
    )]
    Appeared {
        /// The address or prefix.
        address: String,
        /// The interface.
        interface: String,
    },
    /// A declared hostlet cannot be reached by this verb.
    #[error(
        "hostlet '{name}' is not there ({state}): any changing command heals it; see 'hostlet list'"
    )]
    NotLive {
        /// The hostlet.
        name: Name,
        /// Its state.
        state: &'static str,
    },
    /// A process to attach.
    #[error("cannot attach process {pid}: {why}")]
    Process {
        /// The process.
        pid: u32,
        /// Why, and what to do.
        why: String,
    },
    /// A cgroup to attach.
    #[error("cannot attach the cgroup {dir}: {why}")]
    ForeignCgroup {
        /// The cgroup.
        dir: PathBuf,
        /// Why, and what to do.
        why: String,
    },
    /// Members did not die.
    #[error("the members of hostlet '{name}' were killed but {} of them did not end within {seconds} s (uninterruptible?): try 'hostlet remove {name} --kill' again", .members.len())]
    Undead {
        /// The hostlet.
        name: Name,
        /// Those that are left.
        members: Vec<u32>,
        /// How long was waited.
        seconds: u64,
    },
    /// A descriptor to keep.
    #[error("cannot keep descriptor '{given}': {why}")]
    KeepFd {
        /// What was given.
        given: String,
        /// Why, and what to do.
        why: String,
    },
    /// A step failed, and so did taking back what was done before it.
    #[error("{error}; and what was done before could not be taken back whole ({}): the next changing command heals it", list(.undo))]
    HalfUndone {
        /// The first failure.
        error: Box<Error>,
        /// What went wrong in taking back.
        undo: Vec<Error>,
    },
    /// One change of several.
    #[error("{tried}: {error}")]
    Change {
        /// What was tried, as the plan has it.
        tried: String,
        /// Why it failed.
        error: Box<Error>,
    },
    /// Several things went wrong in a teardown that went on.
    #[error("{}", list(.0))]
    Several(Vec<Error>),
}

impl From<NetError> for Error {
    fn from(error: NetError) -> Self {
        match error {
            // What could not be taken back at once keeps the row.
            NetError::Left { error, undo } => Error::HalfUndone {
                error: Box::new((*error).into()),
                undo: vec![(*undo).into()],
            },
            error => Error::Net(error),
        }
    }
}

impl Error {
    /// The exit status where a program was to run: 127 and 126 as a shell gives them, else 125.
    #[must_use]
    pub fn run_exit_code(&self) -> u8 {
        match self {
            Self::Launch(error) => u8::try_from(error.exit_code()).unwrap_or(125),
            _ => 125,
        }
    }

    pub(crate) fn file(doing: &'static str, path: &Path, source: io::Error) -> Self {
        Self::File {
            doing,
            path: path.to_path_buf(),
            source,
        }
    }

    /// Whether a file system refused because it is read-only.
    pub(crate) fn is_read_only(&self) -> bool {
        matches!(self, Self::File { source, .. } if source.raw_os_error() == Some(libc::EROFS))
    }

    /// One error out of many; none if there are none.
    pub(crate) fn several(mut errors: Vec<Error>) -> Result<()> {
        match errors.len() {
            0 => Ok(()),
            1 => errors.pop().map_or(Ok(()), Err),
            _ => Err(Self::Several(errors)),
        }
    }
}

fn of_pool(owned: &Owned, first: IpAddr, pool: &Name, config: &Path) -> String {
    let what = if owned.is_prefix() {
        format!("{owned} has {first}, which")
    } else {
        format!("{owned} is an address that")
    };
    format!(
        "{what} pool '{pool}' lends: draw it with --pool {pool} --request-address {first}, or add it to 'exclude' under [pool.{pool}] in {}",
        config.display()
    )
}

fn file_hint(source: &io::Error) -> &'static str {
    match source.raw_os_error() {
        Some(libc::EROFS) => {
            "; remount it read-write, or use --root DIR with a directory that can be written"
        }
        Some(libc::ENOSPC | libc::EDQUOT) => "; free some space and run the command again",
        Some(libc::EACCES | libc::EPERM) => "; run as root",
        Some(libc::EISDIR) => "; it has to be a file: move the directory aside",
        Some(libc::EEXIST | libc::ENOTDIR) => "; a file is in the way: move that aside",
        _ => "",
    }
}

fn list(errors: &[Error]) -> String {
    errors
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("; ")
}
