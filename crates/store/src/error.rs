//! What can go wrong with the state file, and what to do about it.

use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// The result of every call into the store.
pub type Result<T> = std::result::Result<T, StoreError>;

/// Why the state file could not be used. Each says what was tried, on what file,
/// why it failed, and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The file system has no room left.
    #[error(
        "cannot {doing} in {path}: no space is left on its file system; free some and run the command again"
    )]
    Full {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
    },
    /// The file, its directory or its file system cannot be written.
    #[error(
        "cannot {doing} in {path}: the file or its directory is not writable ({reason}); run as root, or remount the file system read-write"
    )]
    ReadOnly {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// SQLite's or the system's words.
        reason: String,
    },
    /// The file is not a database, or is damaged.
    #[error(
        "{path} is damaged ({reason}); move it aside (`mv {path} {path}.damaged`) and run the command again: running hostlets stay as they are, definitions and history are lost"
    )]
    Corrupt {
        /// The state file.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// The file is a database of something else.
    #[error(
        "{path} is an SQLite file of another program (application id {found:#x}); name another file for hostlet's state"
    )]
    Foreign {
        /// The state file.
        path: PathBuf,
        /// The application id it has.
        found: i32,
    },
    /// A newer hostlet wrote the file.
    #[error(
        "{path} was written by a newer hostlet (schema {found}, this one knows up to {known}); use that version, or move the file aside"
    )]
    Newer {
        /// The state file.
        path: PathBuf,
        /// Its schema version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
    },
    /// Another process held the file for too long.
    #[error(
        "cannot {doing} in {path}: another process holds it for longer than {seconds} s; see who with `fuser {path}` and try again"
    )]
    Busy {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// How long was waited.
        seconds: u64,
    },
    /// The name or the id is taken.
    #[error(
        "a hostlet with this {what} ({value}) is already defined in {path}; choose another name, or remove that hostlet first"
    )]
    Duplicate {
        /// The state file.
        path: PathBuf,
        /// "name" or "id".
        what: &'static str,
        /// The taken value.
        value: String,
    },
    /// No such hostlet.
    #[error("no hostlet {name} is defined in {path}; `hostlet list` shows those that are")]
    Unknown {
        /// The state file.
        path: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// No such lease.
    #[error(
        "hostlet {hostlet} has no lease of {address} in {path}; `hostlet leases` shows who has what"
    )]
    NotLeased {
        /// The state file.
        path: PathBuf,
        /// The address.
        address: std::net::IpAddr,
        /// The hostlet that was thought to have it.
        hostlet: String,
    },
    /// Every number that a holder can have is taken.
    #[error(
        "cannot number a new holder of leases in {path}: all {most} numbers are given out; the unused ones are forgotten after `history-days`"
    )]
    NoHolder {
        /// The state file.
        path: PathBuf,
        /// How many there are.
        most: u32,
    },
    /// A row that this version cannot read.
    #[error(
        "{path} has a row that cannot be read: {column} of {row}: {reason}; move the file aside, or repair it with sqlite3"
    )]
    Row {
        /// The state file.
        path: PathBuf,
        /// Which row.
        row: String,
        /// Which column.
        column: &'static str,
        /// Why.
        reason: String,
    },
    /// The directory of the file could not be made.
    #[error("cannot make the directory of {path}: {source}; make it by hand or name another place")]
    Directory {
        /// The state file.
        path: PathBuf,
        /// The system's answer.
        source: std::io::Error,
    },
    /// Anything else that SQLite reports.
    #[error("cannot {doing} in {path}: {source}")]
    Sql {
        /// The state file.
        path: PathBuf,
        /// What was tried.
        doing: &'static str,
        /// SQLite's answer.
        source: rusqlite::Error,
    },
}

/// How long one process waits for another's transaction.
pub(crate) const BUSY_SECONDS: u64 = 5;

/// Turns SQLite's answer into one that says what to do.
pub(crate) fn explain(path: &Path, doing: &'static str, source: rusqlite::Error) -> StoreError {
    let path = path.to_path_buf();
    let reason = source.to_string();
    match source.sqlite_error_code() {
        // SQLite says that it cannot be opened, or read.
        _ if path.is_dir() => StoreError::Corrupt {
            path,
            reason: "it is a directory, not a file".to_owned(),
        },
        Some(ErrorCode::DiskFull) => StoreError::Full { path, doing },
        // A full file system shows itself as an I/O error where SQLite extends
        // its shared memory file, and as "cannot open" where it makes a new one.
        Some(ErrorCode::SystemIoFailure | ErrorCode::CannotOpen) if is_full(&path) => {
            StoreError::Full { path, doing }
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            StoreError::ReadOnly {
                path,
                doing,
                reason,
            }
        }
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
            StoreError::Corrupt { path, reason }
        }
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy {
            path,
            doing,
            seconds: BUSY_SECONDS,
        },
        _ => StoreError::Sql {
            path,
            doing,
            source,
        },
    }
}

fn is_full(path: &Path) -> bool {
    let Some(directory) = path.parent() else {
        return false;
    };
    rustix::fs::statvfs(directory)
        .is_ok_and(|s| s.f_bavail == 0 || (s.f_files > 0 && s.f_favail == 0))
}
