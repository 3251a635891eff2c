//! Which files the excluded programs are (row B8): kept true in the kernel part's table.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hostlet_engine::FileId;
use hostlet_model::config::Exclude;
use hostlet_platform::proc;
use sha2::{Digest, Sha256};

use crate::log;
use crate::shared::Shared;

/// How many sums are remembered.
const KNOWN: usize = 4096;

/// The excluded programs, as files.
#[derive(Default)]
pub(super) struct Excluded(Mutex<State>);

#[derive(Default)]
struct State {
    /// Held open, so that no other file gets the number while it is in the table.
    files: BTreeMap<FileId, File>,
    sums: BTreeMap<Stamp, [u8; 32]>,
    /// Whether the kernel part was told.
    told: bool,
}

/// A file with a certain content: whoever writes to it changes this.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Stamp {
    dev: u64,
    ino: u64,
    changed: (i64, i64),
    size: u64,
}

impl Stamp {
    fn of(file: &File) -> io::Result<Self> {
        let meta = file.metadata()?;
        Ok(Self {
            dev: meta.dev(),
            ino: meta.ino(),
            changed: (meta.ctime(), meta.ctime_nsec()),
            size: meta.size(),
        })
    }
}

impl Excluded {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Finds out anew: the files that lie there, and those that processes run though they were replaced. To look into all
    /// programs that run takes its time; without `contents` those that are known by their content stay known.
    pub fn find(&self, shared: &Shared, contents: bool) {
        let all = shared.config().sessions.exclude.clone();
        let mut files = BTreeMap::new();
        for exclude in &all {
            let Some(path) = &exclude.path else { continue };
            if let Ok(file) = hold(Path::new(path))
                && self.fits(exclude, std::slice::from_ref(path), &file)
                && let Ok(id) = FileId::of(&file)
            {
                files.insert(id, file);
            }
        }
        let looked: Vec<&Exclude> = all
            .iter()
            .filter(|e| contents || e.path.is_some())
            .collect();
        let own = proc::own_netns_ino().ok();
        let mut seen = BTreeSet::new();
        for pid in proc::all().unwrap_or_default() {
            // Those of other networks are in no hostlet.
            if looked.is_empty() || proc::netns_ino(pid).ok() != own {
                continue;
            }
            let Ok(file) = hold(Path::new(&format!("/proc/{pid}/exe"))) else {
                continue;
            };
            let Ok(id) = FileId::of(&file) else { continue };
            if !seen.insert(id) || files.contains_key(&id) {
                continue;
            }
            let names = running(pid, &file);
            if looked.iter().any(|e| self.fits(e, &names, &file)) {
                files.insert(id, file);
            }
        }
        let mut state = self.state();
        if looked.len() < all.len() {
            for (id, file) in std::mem::take(&mut state.files) {
                files.entry(id).or_insert(file);
            }
        }
        let same = state.files.keys().eq(files.keys());
        state.files = files;
        if !same || !state.told {
            tell(shared, &mut state);
        }
    }

    /// Before a program starts that may be excluded, or may not be any more. Says whether it is.
    pub fn judge(&self, shared: &Shared, names: &[String], file: &File) -> bool {
        let config = shared.config();
        let all = &config.sessions.exclude;
        if all.is_empty() {
            return false;
        }
        let is = all.iter().any(|e| self.fits(e, names, file));
        let Ok(id) = FileId::of(file) else {
            return is;
        };
        // One that goes by another of its names is in the table for the name by which it is excluded.
        let stays = is || all.iter().any(|e| self.lies_there(e, file));
        let mut state = self.state();
        if stays == state.files.contains_key(&id) {
            return is;
        }
        let name = names.first().map_or("", String::as_str);
        if stays {
            let Ok(held) = hold(&own_path(file)) else {
                return false;
            };
            state.files.insert(id, held);
            log::notice(format_args!(
                "{name} is excluded: it keeps the machine's address"
            ));
        } else {
            state.files.remove(&id);
            log::notice(format_args!("{name} is not excluded any more"));
        }
        tell(shared, &mut state);
        is
    }

    /// Whether it is the file at the path of this one, whatever it was started as.
    fn lies_there(&self, exclude: &Exclude, file: &File) -> bool {
        let (Some(path), Ok(own)) = (&exclude.path, file.metadata()) else {
            return false;
        };
        fs::metadata(path).is_ok_and(|m| (m.dev(), m.ino()) == (own.dev(), own.ino()))
            && self.fits(exclude, std::slice::from_ref(path), file)
    }

    fn fits(&self, exclude: &Exclude, names: &[String], file: &File) -> bool {
        exclude.path.as_ref().is_none_or(|p| names.contains(p))
            && exclude
                .sha256
                .is_none_or(|wanted| self.sum(file).is_ok_and(|sum| sum == wanted))
    }

    fn sum(&self, file: &File) -> io::Result<[u8; 32]> {
        let stamp = Stamp::of(file)?;
        if let Some(sum) = self.state().sums.get(&stamp) {
            return Ok(*sum);
        }
        // What is held may be a place only, not open for reading.
        let sum = read(&File::open(own_path(file))?)?;
        // Written to meanwhile, it is neither the old one nor the new one.
        if Stamp::of(file)? == stamp {
            let mut state = self.state();
            if state.sums.len() >= KNOWN {
                state.sums.clear();
            }
            state.sums.insert(stamp, sum);
        }
        Ok(sum)
    }
}

/// A way to open it once more.
fn own_path(file: &File) -> PathBuf {
    format!("/proc/self/fd/{}", file.as_raw_fd()).into()
}

fn read(file: &File) -> io::Result<[u8; 32]> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 17];
    let mut at = 0;
    loop {
        match file.read_at(&mut buffer, at) {
            Ok(0) => return Ok(hash.finalize().into()),
            Ok(got) => {
                hash.update(&buffer[..got]);
                at += got as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// Keeps a file, without opening it: a pipe would wait.
fn hold(path: &Path) -> io::Result<File> {
    let flags = rustix::fs::OFlags::PATH.bits();
    let flags = i32::try_from(flags).map_err(io::Error::other)?;
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    match file.metadata()?.is_file() {
        true => Ok(file),
        false => Err(io::ErrorKind::InvalidInput.into()),
    }
}

/// The path of a program that a process runs, if that is true: a user can give himself any paths, but not files of others.
fn running(pid: u32, file: &File) -> Vec<String> {
    const GONE: &str = " (deleted)";
    let (Ok(link), Ok(own)) = (fs::read_link(format!("/proc/{pid}/exe")), file.metadata()) else {
        return Vec::new();
    };
    let link = link.to_string_lossy().into_owned();
    let path = link.strip_suffix(GONE).unwrap_or(&link);
    let here = fs::metadata(path);
    let is = match here {
        Ok(here) if own.nlink() > 0 => (here.dev(), here.ino()) == (own.dev(), own.ino()),
        // Replaced; by the same owner, on the same file system.
        Ok(here) => (here.dev(), here.uid()) == (own.dev(), own.uid()),
        Err(_) => false,
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
