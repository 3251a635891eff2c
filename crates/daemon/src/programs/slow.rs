//! Files that the configuration names, on file systems that may not answer.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::fs::{AtFlags, CWD, Mode, OFlags, ResolveFlags, StatxFlags, open, openat2, statx};
use rustix::io::Errno;

use super::crew::Crew;

/// How long somebody waits for a file that the start may not be about.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many places may hang at the same time, and how many threads one of them costs.
const ASKING: (usize, usize) = (128, 2);

/// Looks what the configuration's files are. One on a server that is gone must not cost everybody else his start: what the kernel knows
/// it says at once; for what it has to ask others, a thread of the place waits.
pub(super) struct Slow {
    asking: Arc<Crew>,
    /// Where somebody waits: how many do, and since when.
    waited: Arc<Mutex<BTreeMap<PathBuf, (usize, Instant)>>>,
}

/// Which file it is, whose, and on what.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Known {
    /// The device's number in two, and the file's.
    pub file: (u32, u32, u64),
    pub uid: u32,
    pub links: u32,
}

impl Known {
    /// Of an open file.
    pub fn of(file: impl AsFd) -> Option<Self> {
        known(file, AtFlags::empty()).ok()
    }

    /// What there is at a path. May wait for ever.
    pub fn at(path: &Path, only_cached: bool) -> Result<Self, Errno> {
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        if !only_cached {
            return known(open(path, flags, Mode::empty())?, AtFlags::empty());
        }
        match openat2(CWD, path, flags, Mode::empty(), ResolveFlags::CACHED) {
            // RestrictSUIDSGID of a unit forbids this call, whose flags it cannot see.
            Err(Errno::NOSYS | Errno::PERM) => Err(Errno::AGAIN),
            file => known(file?, AtFlags::STATX_DONT_SYNC),
        }
    }
}

fn known(file: impl AsFd, sync: AtFlags) -> Result<Known, Errno> {
    let meta = statx(
        file,
        "",
        AtFlags::EMPTY_PATH | sync,
        StatxFlags::BASIC_STATS,
    )?;
    Ok(Known {
        file: (meta.stx_dev_major, meta.stx_dev_minor, meta.stx_ino),
        uid: meta.stx_uid,
        links: meta.stx_nlink,
    })
}

impl Default for Slow {
    fn default() -> Self {
        Self {
            asking: Crew::new("asking", ASKING),
            waited: Arc::default(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Slow {
    pub fn end(&self) {
        self.asking.end();
    }

    /// What there is at a path; `place` is the path in the configuration that leads there. None also if that is not known after a
    /// second, or others have been waiting there that long.
    pub fn look(&self, place: &Path, path: &Path) -> Option<Known> {
        match Known::at(path, true) {
            Err(Errno::AGAIN) => {}
            found => return found.ok(),
        }
        let mut waited = lock(&self.waited);
        match waited.get_mut(place) {
            Some((_, since)) if since.elapsed() > PATIENCE => return None,
            Some((number, _)) => *number += 1,
            None => drop(waited.insert(place.to_owned(), (1, Instant::now()))),
        }
        drop(waited);
        let mut hash = DefaultHasher::new();
        place.hash(&mut hash);
        let (tell, told) = channel();
        let done = Done(Arc::clone(&self.waited), place.to_owned());
        let path = path.to_owned();
        let of_place = u32::try_from(hash.finish() >> 32).unwrap_or_default();
        self.asking.give(of_place, move || {
            let found = Known::at(&path, false);
            drop(done);
            let _ = tell.send(found.ok());
        });
        told.recv_timeout(PATIENCE).ok().flatten()
    }
}

/// Somebody does not wait any more.
struct Done(Arc<Mutex<BTreeMap<PathBuf, (usize, Instant)>>>, PathBuf);

impl Drop for Done {
    fn drop(&mut self) {
        let mut waited = lock(&self.0);
        if let Some((number, _)) = waited.get_mut(&self.1) {
            *number -= 1;
            if *number == 0 {
                waited.remove(&self.1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn what_the_kernel_knows_and_what_it_has_to_ask_for_is_the_same_file() {
        let slow = Slow::default();
        let path = std::env::current_exe().unwrap();
        let file = Known::of(File::open(&path).unwrap()).unwrap();
        assert_eq!(slow.look(&path, &path), Some(file));
        assert_eq!(Known::at(&path, false), Ok(file));
        assert_eq!(slow.look(&path, &path.join("not-there")), None);
        assert!(lock(&slow.waited).is_empty());
        // Through such a link it does not go without asking. Where somebody hangs nobody else does.
        let link = Path::new("/proc/self/exe");
        assert_eq!(Known::at(link, true), Err(Errno::AGAIN));
        assert_eq!(slow.look(link, link), Some(file));
        let since = Instant::now().checked_sub(2 * PATIENCE).unwrap();
        lock(&slow.waited).insert(link.to_owned(), (1, since));
        assert_eq!(slow.look(link, link), None);
    }
}
