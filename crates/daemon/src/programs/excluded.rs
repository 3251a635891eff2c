//! Which files the excluded programs are (row B8): kept true in the kernel part's table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostlet_engine::FileId;
use hostlet_model::config::Exclude;

use super::slow::{Known, Slow};
use super::sums::{Sum, Sums, own_path};
use crate::log;
use crate::shared::Shared;

/// The excluded programs, as files.
#[derive(Default)]
pub(super) struct Excluded {
    state: Mutex<State>,
    pub sums: Sums,
    pub slow: Slow,
}

#[derive(Default)]
struct State {
    /// Held open, so that no other file gets the number while it is in the table; with what it is excluded by.
    files: BTreeMap<FileId, (File, Exclude)>,
    /// Whether the kernel part was told.
    told: bool,
}

impl Excluded {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Which files are excluded now.
    pub fn files(&self) -> BTreeSet<FileId> {
        self.state().files.keys().copied().collect()
    }

    /// What was found anew. Of those that were there `before` it was looked, these are all that are left if nothing was left
    /// out; those for which the configuration has no reason any more go in any case.
    pub fn found(
        &self,
        shared: &Shared,
        found: BTreeMap<FileId, (File, Exclude)>,
        before: &BTreeSet<FileId>,
        all: bool,
    ) {
        let config = shared.config();
        let reasons = &config.sessions.exclude;
        let mut state = self.state();
        let old: Vec<FileId> = state.files.keys().copied().collect();
        let gone = |id: &FileId| all && before.contains(id) && !found.contains_key(id);
        state
            .files
            .retain(|id, (_, reason)| !gone(id) && reasons.contains(reason));
        for (id, file) in found {
            if reasons.contains(&file.1) {
                state.files.insert(id, file);
            }
        }
        if !state.told || !state.files.keys().eq(&old) {
            tell(shared, &mut state);
        }
    }

    /// Before a program starts that may be excluded, or may not be any more. Says whether it is; nothing if that depends on its
    /// sum, which is not known: then it is not.
    pub fn judge(&self, shared: &Shared, names: &[String], file: &File) -> Option<bool> {
        let config = shared.config();
        let all = &config.sessions.exclude;
        if all.is_empty() {
            return Some(false);
        }
        let mut unknown = false;
        let mut first = |fits: &dyn Fn(&Exclude) -> Option<bool>| {
            let answers = all.iter().map(|e| (e, fits(e)));
            let mut answers = answers.inspect(|(_, is)| unknown |= is.is_none());
            answers.find(|(_, is)| *is == Some(true)).map(|(e, _)| e)
        };
        let is = first(&|e| self.fits(e, names, file));
        // One that goes by another of its names is in the table for the name by which it is excluded.
        let stays = is.or_else(|| first(&|e| self.lies_there(e, file)));
        let answer = match is {
            None if unknown => None,
            is => Some(is.is_some()),
        };
        let Ok(id) = FileId::of(file) else {
            return answer;
        };
        let mut state = self.state();
        if stays.is_some() == state.files.contains_key(&id) {
            return answer;
        }
        let name = names.first().map_or("", String::as_str);
        if let Some(reason) = stays {
            let Ok(held) = hold(&own_path(file)) else {
                return Some(false);
            };
            state.files.insert(id, (held, reason.clone()));
            log::notice(format_args!(
                "{name} is excluded: it keeps the machine's address"
            ));
        } else {
            state.files.remove(&id);
            log::notice(format_args!("{name} is not excluded any more"));
        }
        tell(shared, &mut state);
        answer
    }

    /// Whether it is the file at the path of this one, whatever it was started as.
    fn lies_there(&self, exclude: &Exclude, file: &File) -> Option<bool> {
        let (Some(path), Some(own)) = (&exclude.path, Known::of(file)) else {
            return Some(false);
        };
        let there = self.slow.look(Path::new(path), Path::new(path));
        match there.is_some_and(|there| there.file == own.file) {
            true => self.fits(exclude, std::slice::from_ref(path), file),
            false => Some(false),
        }
    }

    /// Nothing if that depends on the sum, which is not known.
    pub fn fits(&self, exclude: &Exclude, names: &[String], file: &File) -> Option<bool> {
        if exclude.path.as_ref().is_some_and(|p| !names.contains(p)) {
            return Some(false);
        }
        let Some(wanted) = exclude.sha256 else {
            return Some(true);
        };
        match self.sums.of(file) {
            Sum::Is(sum) => Some(sum == wanted),
            Sum::Never => Some(false),
            Sum::Unknown => None,
        }
    }

    /// The same, and the file is read for it as long as somebody waits.
    pub fn fits_read(
        &self,
        exclude: &Exclude,
        names: &[String],
        file: &File,
        waits: &dyn Fn() -> bool,
    ) -> bool {
        self.fits(exclude, names, file).unwrap_or_else(|| {
            self.sums.find_out(file, waits);
            self.fits(exclude, names, file) == Some(true)
        })
    }
}

/// Keeps a file, without opening it: a pipe would wait.
pub(super) fn hold(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::PATH.bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

/// The path of a program that a process runs, if it is one of these, and if that is true: a user can give himself any paths, but not
/// files of others.
pub(super) fn running(pid: u32, file: &File, paths: &[&str], slow: &Slow) -> Vec<String> {
    const GONE: &str = " (deleted)";
    let Ok(link) = fs::read_link(format!("/proc/{pid}/exe")) else {
        return Vec::new();
    };
    let link = link.to_string_lossy().into_owned();
    let path = link.strip_suffix(GONE).unwrap_or(&link);
    if !paths.contains(&path) {
        return Vec::new();
    }
    let place = Path::new(path);
    let (Some(here), Some(own)) = (slow.look(place, place), Known::of(file)) else {
        return Vec::new();
    };
    let device = |known: &Known| (known.file.0, known.file.1);
    let is = match own.links {
        // Replaced; by the same owner, on the same file system.
        0 => (device(&here), here.uid) == (device(&own), own.uid),
        _ => here.file == own.file,
    };
    match is {
        true => vec![path.to_owned()],
        false => Vec::new(),
    }
}

fn tell(shared: &Shared, state: &mut State) {
    let all: Vec<FileId> = state.files.keys().copied().collect();
    match shared.engine.set_excluded(&all) {
        Ok(()) => state.told = true,
        Err(error) => {
            state.told = false;
            log::warn(&format!("excluded programs are not known: {error}"));
        }
    }
}
