//! Programs that keep the machine's address inside hostlets that rules make (row B8): the kernel
//! part's table of them, and what is remembered for a kernel part that comes later.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;

use hostlet_kernel::{FileId, Kernel};
use hostlet_model::{HostletSpec, Unreachable};

use crate::Engine;
use crate::error::{Error, Result};
use crate::lock::{held, make_dir};
use crate::machine::{Machine, need_root};
use hostlet_model::Paths;

impl Engine {
    /// From now on these files, and no others, are the excluded programs. Whatever socket a process
    /// with one of them as its program makes passes by the rules of hostlets with `excludes`, for as long as it lives.
    ///
    /// Does not take the installation's lock: it is called while a program waits to be started,
    /// which may be one that holds it.
    ///
    /// # Errors
    /// For anyone but root, if the list cannot be written, or the kernel's table is full.
    pub fn set_excluded(&self, files: &[FileId]) -> Result<()> {
        need_root("say which programs keep the machine's address")?;
        let _alone = alone(&self.paths)?;
        write(&self.paths, files)?;
        match Kernel::open(&self.paths.pins)? {
            Some(kernel) => Ok(kernel.set_excluded(files)?),
            None => Ok(()),
        }
    }
}

impl Machine<'_> {
    /// The cookies of sockets that are as outside although members may have them; none where nothing of the kind is wanted.
    pub(crate) fn passing(&self, spec: &HostletSpec) -> Result<BTreeSet<u64>> {
        let wanted = spec.excludes || spec.unreachable == Some(Unreachable::PassThrough);
        match self.kernel.as_ref().filter(|_| wanted) {
            Some(kernel) => Ok(kernel.passing()?),
            None => Ok(BTreeSet::new()),
        }
    }
}

/// Tells a kernel part that was just made what is remembered.
pub(crate) fn fill(paths: &Paths, kernel: &Kernel) -> Result<()> {
    // Pins in place are seen by whoever writes a new list now: no list gets lost between the two.
    let _alone = alone(paths)?;
    Ok(kernel.set_excluded(&read(paths)?)?)
}

/// Held while list and table are made the same. Nobody starts a program meanwhile, so nobody waits for long.
fn alone(paths: &Paths) -> Result<File> {
    make_dir(&paths.run)?;
    held(&paths.run.join("excluded.lock"))
}

fn write(paths: &Paths, files: &[FileId]) -> Result<()> {
    let path = paths.run.join("excluded");
    let new = paths.run.join("excluded.new");
    let text: String = files
        .iter()
        .map(|file| format!("{} {}\n", file.dev, file.ino))
        .collect();
    OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .custom_flags(libc::O_NOFOLLOW)
        .open(&new)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| Error::file("remember the excluded programs in", &path, error))
}

/// What is remembered; nothing where nobody ever said.
fn read(paths: &Paths) -> Result<Vec<FileId>> {
    let path = paths.run.join("excluded");
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(Error::file("read the excluded programs in", &path, error)),
    };
    let file = |line: &str| {
        let (dev, ino) = line.split_once(' ')?;
        Some(FileId {
            dev: dev.parse().ok()?,
            ino: ino.parse().ok()?,
        })
    };
    Ok(text.lines().filter_map(file).collect())
}
