//! Cgroups of others that `attach --cgroup` put a hostlet's rules on.
//!
//! Remembered as symbolic links `run/attached/NAME/CGROUP-ID → DIR`: they go with
//! a restart of the machine, as what they stand for does.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use hostlet_model::{Name, Paths};

use crate::error::{Error, Result};
use crate::lock::make_dir;

/// A cgroup that carries a hostlet's rules without being the hostlet's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Attached {
    /// The kernel's number for it.
    pub id: u64,
    /// Where it is.
    pub dir: PathBuf,
}

fn dir(paths: &Paths, name: &Name) -> PathBuf {
    paths.run.join("attached").join(name.as_str())
}

/// Remembers one.
pub(crate) fn remember(paths: &Paths, name: &Name, cgroup: &Attached) -> Result<()> {
    let dir = dir(paths, name);
    make_dir(&dir)?;
    let link = dir.join(cgroup.id.to_string());
    match std::os::unix::fs::symlink(&cgroup.dir, &link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            Err(Error::file("remember the attached cgroup", &link, error))
        }
        _ => Ok(()),
    }
}

/// Those of a hostlet that still exist.
pub(crate) fn all(paths: &Paths, name: &Name) -> Result<Vec<Attached>> {
    let dir = dir(paths, name);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("list the attached cgroups", &dir, error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|e| Error::file("list the attached cgroups", &dir, e))?;
        let Ok(id) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        // Another cgroup of the same name is not this one.
        if inode(&target) == Some(id) {
            found.push(Attached { id, dir: target });
        }
    }
    found.sort_by_key(|cgroup| cgroup.id);
    Ok(found)
}

/// The hostlet whose rules are on this cgroup or one above it, if it is an attached one.
pub(crate) fn hostlet_of(paths: &Paths, dir: &Path) -> Option<Name> {
    let names = fs::read_dir(paths.run.join("attached")).ok()?;
    names.flatten().find_map(|entry| {
        let name: Name = entry.file_name().to_str()?.parse().ok()?;
        let attached = all(paths, &name).ok()?;
        attached
            .iter()
            .any(|a| dir.starts_with(&a.dir))
            .then_some(name)
    })
}

/// Forgets those of a hostlet.
pub(crate) fn forget(paths: &Paths, name: &Name) -> Result<()> {
    let dir = dir(paths, name);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("forget the attached cgroups", &dir, error))
        }
        _ => Ok(()),
    }
}

/// Forgets one of a hostlet.
pub(crate) fn forget_one(paths: &Paths, name: &Name, id: u64) -> Result<()> {
    let link = dir(paths, name).join(id.to_string());
    match fs::remove_file(&link) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("forget the attached cgroup", &link, error))
        }
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> Option<u64> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).ok().map(|meta| meta.ino())
}
