//! The file system of the pins: mounted by hostlet where nobody did.

use std::path::Path;

use hostlet_model::Paths;
use rustix::mount::{MountFlags, UnmountFlags};

use crate::error::{Error, Result};
use crate::lock::make_dir;

/// Makes sure that the pins have a bpffs to lie on.
///
/// # Errors
/// Says how to mount one when it could not be done here.
pub(crate) fn ensure(paths: &Paths) -> Result<()> {
    if !is_bpffs(&paths.bpffs) {
        if paths.root.is_some() {
            make_dir(&paths.bpffs)?;
        }
        rustix::mount::mount(
            "bpf",
            &paths.bpffs,
            "bpf",
            MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC,
            Some(c"mode=0700"),
        )
        .map_err(|errno| Error::Bpffs {
            path: paths.bpffs.clone(),
            source: errno.into(),
        })?;
    }
    match std::fs::create_dir(&paths.pins) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(Error::file(
            "make the directory of the pins",
            &paths.pins,
            error,
        )),
        _ => Ok(()),
    }
}

/// Removes all pins, whoever made them.
pub(crate) fn clear(paths: &Paths) -> Result<()> {
    std::fs::remove_dir_all(&paths.pins)
        .map_err(|error| Error::file("remove the pins at", &paths.pins, error))
}

/// Takes the mount away that [`ensure`] made below a root of its own. A busy one
/// stays: somebody else looks at it.
pub(crate) fn release(paths: &Paths) {
    // Only if empty; what is left belongs to an installation that is not gone.
    let _ = std::fs::remove_dir(&paths.pins);
    if paths.root.is_some() && is_bpffs(&paths.bpffs) && !paths.pins.exists() {
        let _ = rustix::mount::unmount(&paths.bpffs, UnmountFlags::empty());
        let _ = std::fs::remove_dir(&paths.bpffs);
    }
}

/// Whether a bpffs is mounted there.
pub(crate) fn is_bpffs(path: &Path) -> bool {
    const BPF_FS_MAGIC: i64 = 0xcafe_4a11;
    rustix::fs::statfs(path).is_ok_and(|fs| fs.f_type == BPF_FS_MAGIC)
}
