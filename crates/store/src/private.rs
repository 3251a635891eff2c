//! Who had which address is for root alone to read.

use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::store::beside;

/// Bits of everybody. A group that an administrator lets read stays.
const OTHERS: u32 = 0o007;

/// Has the file there, and not for everybody. SQLite gives its log the mode of the file, so that only what older versions made has to be
/// closed. Nothing is opened: to close it again would end the locks that SQLite holds in this process.
pub(crate) fn keep(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(file) if file.mode() & OTHERS == 0 => Ok(()),
        Ok(file) => {
            // Last the file itself: its mode says that all of it is done.
            for log in [beside(path, "-wal"), beside(path, "-shm")] {
                match close(&log, file.mode()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
            close(path, file.mode())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let owner = Mode::RUSR | Mode::WUSR;
            match mknodat(CWD, path, FileType::RegularFile, owner, 0) {
                // Another command was quicker.
                Err(rustix::io::Errno::EXIST) => Ok(()),
                made => Ok(made?),
            }
        }
        Err(error) => Err(error),
    }
}

fn close(path: &Path, mode: u32) -> io::Result<()> {
    fs::set_permissions(path, Permissions::from_mode(mode & 0o777 & !OTHERS))
}
