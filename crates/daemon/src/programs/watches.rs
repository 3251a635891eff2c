//! What is watched: the directories of what rules list, or whole file systems. It is looked anew whether they are there, by threads
//! that may wait for ever, for a server that is gone say.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::{Duration, Instant};

use hostlet_platform::exec_watch::{ExecWatch, filesystems};
use hostlet_platform::mounts::MOUNTINFO;

use super::crew::Crew;
use super::excluded::hold;
use super::table::Table;
use crate::log;

/// How many places may hang at the same time.
const PLACES: usize = 32;
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
    /// The places that were missed, and that was said.
    missed: Mutex<BTreeSet<PathBuf>>,
}

/// Threads that look, in common to all configurations: a place at which one hangs is left to it.
pub(super) struct Looking {
    crew: Arc<Crew>,
    under_way: Arc<Mutex<BTreeMap<PathBuf, Instant>>>,
}

/// Something to be watched.
enum Place {
    /// A single program, whose directory is watched; and who lists it.
    Program(String),
    /// A directory.
    Directory(String),
    /// A file system.
    Whole,
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
                Ok(points) => places.extend(points.into_iter().map(|p| (p, Place::Whole))),
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
        for (path, since) in &*lock(&self.under_way) {
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
        if lock(&under_way).contains_key(&path) {
            return;
        }
        lock(&under_way).insert(path.clone(), Instant::now());
        // Not to be kept alive by who hangs.
        let (watches, left) = (Arc::downgrade(watches), left.clone());
        self.crew.give(0, move || {
            look_at(&path, &place, &watches);
            lock(&under_way).remove(&path);
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
            missed: Mutex::default(),
        }))
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
    }

    /// Whoever still asks goes on.
    pub fn drain(&self) {
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
