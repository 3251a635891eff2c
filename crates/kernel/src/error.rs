//! What can go wrong with the kernel part.

use std::io;
use std::path::PathBuf;

/// Results of this crate.
pub type Result<T> = std::result::Result<T, Error>;

/// What was tried, on what, why it failed, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The kernel programs could not be loaded.
    #[error(
        "cannot load the kernel programs: {cause}{}; `hostlet doctor` says what this kernel lacks{}",
        if log.is_empty() { "" } else { "\n" },
        log
    )]
    Load {
        /// The error of libbpf.
        cause: libbpf_rs::Error,
        /// The verifier's last words, if there are any.
        log: String,
    },
    /// A step at a path of the bpffs failed.
    #[error("cannot {what} {path}: {cause}{}", hint(cause))]
    Pin {
        /// The step.
        what: &'static str,
        /// The path.
        path: PathBuf,
        /// Why.
        cause: io::Error,
    },
    /// What is pinned comes from another version.
    #[error(
        "the kernel tables at {path} have layout {found}, this hostlet has layout {wanted}: remove its hostlets ('hostlet list') with the hostlet that made them, or restart the machine, which ends them; without either: 'rm -r {path}', and at once 'hostlet remove NAME --kill' for each"
    )]
    Layout {
        /// Where the pins are.
        path: PathBuf,
        /// The layout of the pins.
        found: u32,
        /// The layout of this program.
        wanted: u32,
    },
    /// Attaching a program failed.
    #[error("cannot attach {program} to {target}: {cause}{}", hint(cause))]
    Attach {
        /// The program.
        program: &'static str,
        /// What to.
        target: String,
        /// Why.
        cause: io::Error,
    },
    /// A table could not be read or written.
    #[error(
        "cannot {what} the kernel table `{table}`: {cause}{}",
        table_hint(cause)
    )]
    Table {
        /// Reading or writing.
        what: &'static str,
        /// Which.
        table: &'static str,
        /// Why.
        cause: libbpf_rs::Error,
    },
    /// Something else of the operating system.
    #[error("cannot {what}: {cause}{}", hint(cause))]
    Os {
        /// What was tried.
        what: &'static str,
        /// Why.
        cause: io::Error,
    },
}

/// What to do about the errors that people meet.
fn hint(cause: &io::Error) -> &'static str {
    match cause.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => {
            "; hostlet needs root (CAP_BPF, CAP_NET_ADMIN, CAP_SYS_ADMIN)"
        }
        Some(libc::EBUSY | libc::E2BIG) => {
            "; another program holds the place, or too many are attached there already"
        }
        Some(libc::ENOSPC) => "; the file system is full",
        _ => "",
    }
}

fn table_hint(cause: &libbpf_rs::Error) -> &'static str {
    match cause.kind() {
        libbpf_rs::ErrorKind::PermissionDenied => "; hostlet needs root",
        libbpf_rs::ErrorKind::OutOfMemory => "; the kernel is out of memory for it",
        _ => {
            "; if it is full, raise [limits] in hostlet.toml (it takes effect when no hostlet is left)"
        }
    }
}
