//! What is watched: the directories of what rules list, or whole file systems. It is looked anew whether they are there, by threads
//! that may wait for ever, for a server that is gone say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hostlet_platform::exec_watch::{ExecWatch, FileSystem, filesystems};
use hostlet_platform::mounts::MOUNTINFO;
use rustix::event::{EventfdFlags, eventfd};

use super::crew::Crew;
use super::excluded::hold;
use super::table::Table;
use crate::log;

/// How many places may hang at the same time.
const PLACES: usize = 32;
/// How many watches of each kind there are of file systems that may not answer: the kernel gives root 128 in all, if nobody has changed that.
const FAR: usize = 24;
/// How long a place may take before something is said.
const PATIENCE: Duration = Duration::from_secs(4);

/// What asks. Whoever has it must read it: questions that nobody reads are starts that nobody answers.
pub(super) struct Watches {
    pub paths: ExecWatch,
    /// For programs that are excluded for their content: here a file that was found not to be one is not asked for again. With the
    /// other watch that would be wrong, since a file may be renamed to a path that is listed.
    pub contents: Option<ExecWatch>,
    /// Tells of mounts that come.
    pub mounts: Option<File>,
    /// Whether a rule lists every program.
    all: bool,
    over: AtomicBool,
    /// Those of file systems that may not answer, by where these are and whether for sums.
    far: Mutex<BTreeMap<(PathBuf, bool), Arc<Far>>>,
    /// Wakes who waits for questions.
    pub wake: OwnedFd,
    /// The places that were missed, and that was said.
    missed: Mutex<BTreeSet<PathBuf>>,
}

/// Threads that look, in common to all configurations: a place at which one hangs is left to it.
pub(super) struct Looking {
    crew: Arc<Crew>,
    under_way: Arc<Mutex<BTreeMap<(PathBuf, bool), Instant>>>,
}

/// Something to be watched.
enum Place {
    /// A single program, whose directory is watched; and who lists it.
    Program(String),
    /// A directory.
    Directory(String),
    /// A file system.
    Whole,
    /// One that may not answer; and for whether sums, how it is watched so far.
    Far(bool, Option<Arc<Far>>),
}

/// The watch of a file system that may not answer: to take a question may hang, and so it is taken by somebody else.
pub(super) struct Far {
    pub watch: ExecWatch,
    /// Whether it is for sums.
    pub reading: bool,
    /// Whether somebody takes one.
    pub busy: AtomicBool,
    /// No other has it.
    pub number: u32,
}

impl Looking {
    pub fn new() -> Self {
        Self {
            crew: Crew::new("looking", (PLACES, PLACES)),
            under_way: Arc::default(),
        }
    }

    pub fn end(&self) {
        self.crew.end();
    }

    /// Watches what is there now. Waits so long that all was looked at, or this long.
    pub fn look(&self, watches: &Arc<Watches>, table: &Table, wait: Duration) {
        let programs = table
            .paths
            .iter()
            .map(|(p, who)| (p.clone(), Place::Program(who.clone())));
        let directories = table.directories.iter();
        let directories = directories.map(|(p, who)| (p.clone(), Place::Directory(who.clone())));
        let mut places: Vec<(PathBuf, Place)> = programs.chain(directories).collect();
        if table.all || table.contents {
            match filesystems() {
                Ok(points) => places.extend(watches.whole(points)),
                Err(error) => without(Path::new(MOUNTINFO), &error),
            }
        }
        let (tell, told) = channel();
        for (path, place) in places {
            self.place(path, place, watches, &tell);
        }
        drop(tell);
        // Until nobody is left who could say something.
        let _ = told.recv_timeout(wait);
        for ((path, _), since) in &*lock(&self.under_way) {
            if since.elapsed() >= PATIENCE {
                log::warn(&format!(
                    "programs in {} may start without a rule: its file system does not answer",
                    path.display()
                ));
            }
        }
    }

    fn place(&self, path: PathBuf, place: Place, watches: &Arc<Watches>, left: &Sender<()>) {
        let under_way = Arc::clone(&self.under_way);
        let key = (path.clone(), matches!(place, Place::Far(true, _)));
        if lock(&under_way).contains_key(&key) {
            return;
        }
        lock(&under_way).insert(key.clone(), Instant::now());
        // Not to be kept alive by who hangs.
        let (watches, left) = (Arc::downgrade(watches), left.clone());
        self.crew.give(0, move || {
            look_at(&path, &place, &watches);
            lock(&under_way).remove(&key);
            drop(left);
        });
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn without(point: &Path, error: &io::Error) {
    let point = point.display();
    log::warn(&format!(
        "programs in {point} start without a rule: {error}"
    ));
}

fn look_at(path: &Path, place: &Place, watches: &Weak<Watches>) {
    match place {
        Place::Program(who) => {
            let parent = path.parent().unwrap_or(path);
            // Where a link lies another file may be put in its place; and the file itself may come.
            directory(parent, who, watches);
            let real = path.canonicalize();
            if let Some(real) = real.as_deref().ok().and_then(Path::parent)
                && real != parent
            {
                directory(real, who, watches);
            }
        }
        Place::Directory(who) => directory(path, who, watches),
        Place::Far(reading, old) => far(path, *reading, old.as_ref(), watches),
        Place::Whole => {
            // Hidden under another mount, or gone by now.
            let Ok(held) = hold(path) else { return };
            let Some(watches) = watches.upgrade() else {
                return;
            };
            let paths = watches.all.then_some(&watches.paths);
            for watch in paths.into_iter().chain(&watches.contents) {
                if let Err(error) = watch.watch_filesystem(&own(&held)) {
                    without(path, &error);
                }
            }
            watches.added();
        }
    }
}

/// Nothing of the round is kept while it hangs.
fn far(path: &Path, reading: bool, old: Option<&Arc<Far>>, watches: &Weak<Watches>) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let new = || -> io::Result<Arc<Far>> {
        Ok(Arc::new(Far {
            watch: ExecWatch::new()?,
            reading,
            busy: AtomicBool::new(false),
            number: NUMBER.fetch_add(1, Ordering::Relaxed),
        }))
    };
    let marked = old
        .map_or_else(new, |old| Ok(Arc::clone(old)))
        .and_then(|far| {
            far.watch.watch_filesystem(path)?;
            Ok(far)
        });
    let far = match marked {
        Ok(far) => far,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return,
        Err(error) => return without(path, &error),
    };
    let Some(watches) = watches.upgrade() else {
        return watches_over(&far);
    };
    let mut all = lock(&watches.far);
    let of_kind = all.keys().filter(|(_, kind)| *kind == reading).count();
    if of_kind >= FAR && old.is_none() {
        drop(all);
        return without(path, &io::Error::other("there are too many of its kind"));
    }
    all.insert((path.to_owned(), reading), Arc::clone(&far));
    drop(all);
    if watches.over.load(Ordering::SeqCst) {
        watches_over(&far);
    }
    watches.wake();
}

fn watches_over(far: &Far) {
    if let Err(error) = far.watch.clear() {
        log::warn(&error.to_string());
    }
}

/// It is opened before the watches are taken hold of, for that may hang.
fn directory(path: &Path, who: &str, watches: &Weak<Watches>) {
    let held = hold(path);
    let elsewhere = Path::new("/proc/1/root").join(path.strip_prefix("/").unwrap_or(path));
    let theirs = fs::metadata(elsewhere).ok().map(|m| (m.dev(), m.ino()));
    let ours = held.as_ref().ok().and_then(|held| held.metadata().ok());
    let hidden = theirs.is_some() && theirs != ours.map(|m| (m.dev(), m.ino()));
    let Some(watches) = watches.upgrade() else {
        return;
    };
    let watched = held.and_then(|held| watches.paths.watch_directory(&own(&held)));
    watches.added();
    let what = match watched {
        _ if hidden => {
            "it is hidden from hostletd, or another directory than the machine's; see to ProtectHome=, PrivateTmp=, TemporaryFileSystem= \
             and InaccessiblePaths= of hostletd.service (systemctl edit hostletd), and restart it"
                .to_owned()
        }
        Ok(()) => {
            lock(&watches.missed).remove(path);
            return;
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            "it does not exist; make it, or correct the path in hostlet.toml".to_owned()
        }
        Err(error) => format!("{error}; correct the path in hostlet.toml, or use one on another file system"),
    };
    if lock(&watches.missed).insert(path.to_owned()) {
        let path = path.display();
        log::warning(format_args!(
            "{who}: what is in {path} starts as if it were not listed: {what}"
        ));
    }
}

fn own(held: &File) -> PathBuf {
    format!("/proc/self/fd/{}", held.as_raw_fd()).into()
}

impl Watches {
    /// Watches of nothing yet.
    pub fn new(table: &Table) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            paths: ExecWatch::new()?,
            contents: table.contents.then(ExecWatch::new).transpose()?,
            mounts: (table.all || table.contents)
                .then(|| File::open(MOUNTINFO))
                .transpose()?,
            all: table.all,
            over: AtomicBool::new(false),
            far: Mutex::default(),
            wake: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?,
            missed: Mutex::default(),
        }))
    }

    pub fn wake(&self) {
        // It fails only when it is awake already.
        let _ = rustix::io::write(&self.wake, &1_u64.to_ne_bytes());
    }

    /// Those of file systems that may not answer, about which nobody is asking just now.
    pub fn far(&self) -> Vec<Arc<Far>> {
        let all = lock(&self.far);
        let free = all.values().filter(|far| !far.busy.load(Ordering::SeqCst));
        free.cloned().collect()
    }

    /// What is to be watched of these. Forgets those that are gone.
    fn whole(&self, all: Vec<FileSystem>) -> Vec<(PathBuf, Place)> {
        let mut known = lock(&self.far);
        known.retain(|(point, _), _| all.iter().any(|system| system.point == *point));
        let mut places = Vec::new();
        for system in all {
            if !system.of_others {
                places.push((system.point, Place::Whole));
                continue;
            }
            let kinds = [
                self.all.then_some(false),
                self.contents.as_ref().map(|_| true),
            ];
            for reading in kinds.into_iter().flatten() {
                let old = known.get(&(system.point.clone(), reading)).cloned();
                places.push((system.point.clone(), Place::Far(reading, old)));
            }
        }
        places
    }

    /// Something was added, perhaps after the end: then nobody would answer.
    fn added(&self) {
        if self.over.load(Ordering::SeqCst) {
            self.clear();
            self.drain();
        }
    }

    /// Asks nobody any more; what was asked before is still to be read.
    pub fn end(&self) {
        self.over.store(true, Ordering::SeqCst);
        self.clear();
        lock(&self.far).values().for_each(|far| watches_over(far));
    }

    /// Whoever still asks goes on.
    pub fn drain(&self) {
        // They end with whoever takes questions from them.
        lock(&self.far).clear();
        for watch in std::iter::once(&self.paths).chain(&self.contents) {
            while watch.read().is_ok_and(|asked| !asked.is_empty()) {}
        }
    }

    fn clear(&self) {
        for watch in std::iter::once(&self.paths).chain(&self.contents) {
            if let Err(error) = watch.clear() {
                log::warn(&error.to_string());
            }
        }
    }
}
