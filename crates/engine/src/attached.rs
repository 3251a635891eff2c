//! Cgroups of others that a hostlet's rules were put on.
//!
//! Remembered as symbolic links `run/attached/NAME/CGROUP-ID → DIR`, and the other way round as
//! `run/cgroups/CGROUP-ID → NAME`, for one process must not cost a look at every hostlet. They go
//! with a restart of the machine, as what they stand for does.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};

use hostlet_model::{Name, Paths};
use hostlet_platform::cgroup::Cgroup;

use crate::error::{Error, Result};
use crate::lock::make_dir;
use crate::names;

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

fn index(paths: &Paths) -> PathBuf {
    paths.run.join("cgroups")
}

/// Remembers one.
pub(crate) fn remember(paths: &Paths, name: &Name, cgroup: &Attached) -> Result<()> {
    let doing = "remember the attached cgroup";
    let dir = dir(paths, name);
    make_dir(&dir)?;
    let link = dir.join(cgroup.id.to_string());
    match symlink(&cgroup.dir, &link) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => {
            return Err(Error::file(doing, &link, error));
        }
        _ => {}
    }
    make_dir(&index(paths))?;
    let link = index(paths).join(cgroup.id.to_string());
    // One that is there is left of a hostlet that is gone: whoever comes here has seen that the cgroup is free.
    unlink(doing, &link)?;
    symlink(name.as_str(), &link).map_err(|error| Error::file(doing, &link, error))
}

/// Those of a hostlet that still exist.
pub(crate) fn all(paths: &Paths, name: &Name) -> Result<Vec<Attached>> {
    let mut found = remembered(paths, name)?;
    // Another cgroup of the same name is not this one.
    found.retain(|cgroup| inode(&cgroup.dir) == Some(cgroup.id));
    found.sort_by_key(|cgroup| cgroup.id);
    Ok(found)
}

/// Those of a hostlet, whether they exist or not.
fn remembered(paths: &Paths, name: &Name) -> Result<Vec<Attached>> {
    let dir = dir(paths, name);
    let failed = |error| Error::file("list the attached cgroups", &dir, error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let Ok(id) = entry.file_name().to_string_lossy().parse() else {
            continue;
        };
        if let Ok(dir) = fs::read_link(entry.path()) {
            found.push(Attached { id, dir });
        }
    }
    Ok(found)
}

/// The hostlet whose rules are on just this cgroup, if it is an attached one.
pub(crate) fn owner_of(paths: &Paths, at: &Path) -> Option<Name> {
    let id = inode(at)?.to_string();
    let name: Name = fs::read_link(index(paths).join(&id))
        .ok()?
        .to_str()?
        .parse()
        .ok()?;
    // Files of other file systems have numbers as well.
    let target = fs::read_link(dir(paths, &name).join(id)).ok()?;
    (target == at).then_some(name)
}

/// The hostlet whose rules are on this cgroup or one above it, if it is an attached one.
pub(crate) fn hostlet_of(paths: &Paths, dir: &Path) -> Option<Name> {
    dir.ancestors().find_map(|dir| owner_of(paths, dir))
}

/// A cgroup below this one that carries a hostlet's rules, and that hostlet.
pub(crate) fn below(paths: &Paths, dir: &Path) -> Option<(PathBuf, Name)> {
    let entries = fs::read_dir(dir).ok()?.flatten();
    let dirs = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    dirs.map(|entry| entry.path())
        .find_map(|dir| match owner_of(paths, &dir) {
            Some(name) => Some((dir, name)),
            None => below(paths, &dir),
        })
}

/// Forgets those of a hostlet.
pub(crate) fn forget(paths: &Paths, name: &Name) -> Result<()> {
    for cgroup in remembered(paths, name)? {
        forget_one(paths, name, &cgroup)?;
    }
    let dir = dir(paths, name);
    match fs::remove_dir_all(&dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(Error::file("forget the attached cgroups", &dir, error))
        }
        _ => Ok(()),
    }
}

/// Forgets those of a hostlet that do not exist any more: one that stays gets and loses a cgroup with each session.
pub(crate) fn forget_gone(paths: &Paths, name: &Name) -> Result<()> {
    for cgroup in remembered(paths, name)? {
        if inode(&cgroup.dir) != Some(cgroup.id) {
            forget_one(paths, name, &cgroup)?;
        }
    }
    Ok(())
}

/// Forgets one of a hostlet.
pub(crate) fn forget_one(paths: &Paths, name: &Name, cgroup: &Attached) -> Result<()> {
    let doing = "forget the attached cgroup";
    let id = cgroup.id.to_string();
    let link = index(paths).join(&id);
    if fs::read_link(&link).is_ok_and(|to| to == Path::new(name.as_str())) {
        unlink(doing, &link)?;
    }
    // The next session's cgroup may have the same path, and be another hostlet's.
    if owner_of(paths, &cgroup.dir).is_none() {
        names::remove(paths, &cgroup.dir)?;
    }
    unlink(doing, &dir(paths, name).join(id))
}

/// Whether a cgroup that was open was removed.
pub(crate) fn is_gone(cgroup: &Cgroup) -> bool {
    inode(cgroup.path()) != Some(cgroup.id())
}

/// Removes a file; one that is not there is removed.
fn unlink(doing: &'static str, file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::file(doing, file, error)),
        _ => Ok(()),
    }
}

fn inode(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|meta| meta.ino())
}
