//! One changing command at a time.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use hostlet_model::Paths;
use hostlet_platform::cgroup;
use rustix::fs::{FlockOperation, flock};

use crate::error::{Error, Result};

/// Held by a changing command for as long as it works on the state.
///
/// The kernel releases it with the process, so a crash never leaves it behind.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for the lock of this installation.
    ///
    /// # Errors
    /// When the run directory cannot be made or written.
    pub fn take(paths: &Paths) -> Result<Self> {
        Self::wait(paths).map_err(|error| match error.is_read_only() && is_inside(paths) {
            true => Error::Inside,
            false => error,
        })
    }

    fn wait(paths: &Paths) -> Result<Self> {
        make_dir(&paths.run)?;
        open_dir(&paths.run)?;
        let _file = held(&paths.lock())?;
        Ok(Self { _file })
    }
}

/// A file, held alone as long as it is open. It is made if it is not there.
pub(crate) fn held(path: &Path) -> Result<File> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(libc::O_CLOEXEC | libc::O_NOFOLLOW)
        .open(path)
        .map_err(|source| Error::file("open the lock", path, source))?;
    loop {
        match flock(&file, FlockOperation::LockExclusive) {
            Ok(()) => return Ok(file),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(Error::file("take the lock", path, errno.into())),
        }
    }
}

/// Whether this process is a member of a hostlet of this installation.
#[must_use]
pub fn is_inside(paths: &Paths) -> bool {
    // A member names its own cgroups, and in any bytes.
    let own = fs::read("/proc/self/cgroup").unwrap_or_default();
    is_below(&String::from_utf8_lossy(&own), &paths.cgroup_parent)
}

/// Whether this process is a member to whom the launcher shows the installation and cgroups read-only. Who was attached, or logged in,
/// sees what the machine sees.
pub(crate) fn is_shut_in(paths: &Paths) -> bool {
    is_inside(paths) && cgroup_writable() == Some(false)
}

/// Whether cgroups can be made and changed from here; none if they are not to be seen.
pub(crate) fn cgroup_writable() -> Option<bool> {
    let dir = cgroup::find_mount().ok()?;
    Some(rustix::fs::access(dir, rustix::fs::Access::WRITE_OK).is_ok())
}

/// Whether the cgroup in `/proc/PID/cgroup` lies below the one that has the hostlets.
fn is_below(own: &str, parent: &str) -> bool {
    let mut lines = own.lines();
    lines
        .find_map(|line| line.strip_prefix("0::"))
        .is_some_and(|path| path.contains(&format!("/{parent}/")))
}

/// Whoever asks hostletd comes through the run directory; what is in it is protected by itself.
fn open_dir(dir: &Path) -> Result<()> {
    const MODE: u32 = 0o755;
    let failed = |source| Error::file("open the way to the socket in", dir, source);
    let mode = fs::metadata(dir).map_err(failed)?.permissions().mode();
    if mode & 0o777 == MODE {
        return Ok(());
    }
    fs::set_permissions(dir, fs::Permissions::from_mode(MODE)).map_err(failed)
}

/// Makes a directory of hostlet's own, readable by root alone.
pub(crate) fn make_dir(dir: &Path) -> Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| Error::file("make the directory", dir, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_is_told_from_others() {
        assert!(is_below("1:cpu:/\n0::/hostlet/web/sub\n", "hostlet"));
        assert!(is_below("0::/docker/x/hostlet/web\n", "hostlet"));
        for other in [
            "",
            "0::/hostlet\n",
            "0::/hostlets/web\n",
            "1:cpu:/hostlet/web\n",
        ] {
            assert!(!is_below(other, "hostlet"), "{other}");
        }
    }
}
