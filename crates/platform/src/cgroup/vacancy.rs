//! Being told that cgroups have no process any more.

use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::event::{EventfdFlags, epoll, eventfd};
use rustix::fs::inotify;

use super::{CgroupError, gone, io_error};

/// What became of a watched cgroup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vacancy {
    /// No process is left in it and below. One may still come.
    Empty,
    /// It was removed, and is not watched any more.
    Gone,
}

/// A descriptor that becomes readable when one of many cgroups loses its last process, or is
/// removed. It costs nothing while nothing happens.
#[derive(Debug)]
pub struct EmptyWatch {
    /// Readable if one of the two below is.
    both: OwnedFd,
    inotify: OwnedFd,
    /// Readable while `ready` has something.
    bell: OwnedFd,
    ready: VecDeque<(String, Vacancy)>,
    watched: BTreeMap<String, Watched>,
    /// By the number of the watch on its `cgroup.events`.
    events: BTreeMap<i32, String>,
    /// Directories that have watched cgroups: the number of the watch, and of such cgroups.
    parents: BTreeMap<PathBuf, (i32, usize)>,
}

#[derive(Debug)]
struct Watched {
    path: PathBuf,
    /// Tells it from a later one of the same name.
    inode: u64,
    watch: i32,
}

fn failed(what: &'static str) -> impl FnOnce(rustix::io::Errno) -> CgroupError {
    let path = Path::new("cgroup.events").to_owned();
    move |e| CgroupError::Io {
        what,
        path,
        source: e.into(),
    }
}

impl EmptyWatch {
    /// Makes one that watches nothing yet.
    ///
    /// # Errors
    /// When there are no descriptors left, or too many such watches of one user
    /// (`fs.inotify.max_user_instances`).
    pub fn new() -> Result<EmptyWatch, CgroupError> {
        let open = || -> rustix::io::Result<_> {
            let both = epoll::create(epoll::CreateFlags::CLOEXEC)?;
            let inotify =
                inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)?;
            let bell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
            for fd in [&inotify, &bell] {
                let nothing = epoll::EventData::new_u64(0);
                epoll::add(&both, fd, nothing, epoll::EventFlags::IN)?;
            }
            Ok((both, inotify, bell))
        };
        let (both, inotify, bell) = open().map_err(failed("prepare to watch"))?;
        Ok(EmptyWatch {
            both,
            inotify,
            bell,
            ready: VecDeque::new(),
            watched: BTreeMap::new(),
            events: BTreeMap::new(),
            parents: BTreeMap::new(),
        })
    }

    /// Watches the cgroup at a path, and calls it `name` in what it reports. One that is empty or gone
    /// already is reported at once: the descriptor becomes readable. A name that is watched already is
    /// watched at its new path from now on.
    ///
    /// # Errors
    /// When the user has too many watches (`fs.inotify.max_user_watches`).
    pub fn add(&mut self, name: &str, path: &Path) -> Result<(), CgroupError> {
        self.remove(name);
        match self.begin(name, path) {
            Ok(Some(watched)) => {
                self.events.insert(watched.watch, name.to_owned());
                self.watched.insert(name.to_owned(), watched);
                // What happened before the watch stood tells nobody.
                self.look(name);
            }
            Ok(None) => self.report(name, Vacancy::Gone),
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// None if the cgroup is gone.
    fn begin(&mut self, name: &str, path: &Path) -> Result<Option<Watched>, CgroupError> {
        let file = path.join("cgroup.events");
        let changed = inotify::WatchFlags::MODIFY;
        let inode = match fs::metadata(path) {
            Ok(meta) => meta.ino(),
            Err(error) if gone(&error) => return Ok(None),
            Err(error) => return Err(io_error("watch", path)(error)),
        };
        let watch = match inotify::add_watch(&self.inotify, &file, changed) {
            Ok(watch) => watch,
            Err(error) if gone(&error.into()) => return Ok(None),
            Err(error) => return Err(io_error("watch", &file)(error.into())),
        };
        // One cgroup under two names would lose the first.
        if let Some(other) = self.events.remove(&watch) {
            self.watched.remove(&other);
            let parent = path.parent().unwrap_or(path).to_owned();
            self.leave_parent(&parent);
            debug_assert_ne!(other, name, "taken away before");
        }
        let parent = path.parent().unwrap_or(path);
        if let Some((_, count)) = self.parents.get_mut(parent) {
            *count += 1;
        } else {
            // The file tells nobody that it goes with its directory; that directory's parent does.
            let removed = inotify::WatchFlags::DELETE | inotify::WatchFlags::ONLYDIR;
            match inotify::add_watch(&self.inotify, parent, removed) {
                Ok(watch) => self.parents.insert(parent.to_owned(), (watch, 1)),
                Err(error) => {
                    let _ = inotify::remove_watch(&self.inotify, watch);
                    if gone(&error.into()) {
                        return Ok(None);
                    }
                    return Err(io_error("watch", parent)(error.into()));
                }
            };
        }
        Ok(Some(Watched {
            path: path.to_owned(),
            inode,
            watch,
        }))
    }

    /// Stops watching a cgroup. What was reported of it and not taken yet is forgotten.
    pub fn remove(&mut self, name: &str) {
        self.ready.retain(|(other, _)| other != name);
        if let Some(watched) = self.watched.remove(name) {
            self.events.remove(&watched.watch);
            // It may have gone with its cgroup.
            let _ = inotify::remove_watch(&self.inotify, watched.watch);
            let parent = watched.path.parent().unwrap_or(&watched.path).to_owned();
            self.leave_parent(&parent);
        }
    }

    fn leave_parent(&mut self, parent: &Path) {
        if let Some((watch, count)) = self.parents.get_mut(parent) {
            *count -= 1;
            if *count == 0 {
                let _ = inotify::remove_watch(&self.inotify, *watch);
                self.parents.remove(parent);
            }
        }
    }

    /// Takes everything that happened since the last time, in order: it may be nothing. The same thing may
    /// be reported twice; a cgroup that was reported empty may have members again.
    ///
    /// # Errors
    /// When the kernel does not give its reports.
    pub fn drain(&mut self) -> Result<Vec<(String, Vacancy)>, CgroupError> {
        // Before looking: what comes later rings again.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        // To stop watching makes the kernel report that, too. A cgroup that goes on and on changing
        // has to wait for the next time.
        for _ in 0..4 {
            let touched = self.touched()?;
            if touched.is_empty() {
                break;
            }
            for name in touched {
                self.look(&name);
            }
        }
        // What was looked at just now rang as well.
        let _ = rustix::io::read(&self.bell, &mut [0; 8]);
        Ok(self.ready.drain(..).collect())
    }

    /// The names of the cgroups of which the kernel reports something.
    fn touched(&self) -> Result<Vec<String>, CgroupError> {
        let mut buffer = [MaybeUninit::uninit(); 16 * 1024];
        let mut reader = inotify::Reader::new(&self.inotify, &mut buffer);
        let mut found = Vec::new();
        let mut all = false;
        loop {
            let event = match reader.next() {
                Ok(event) => event,
                Err(rustix::io::Errno::AGAIN) => break,
                Err(rustix::io::Errno::INTR) => continue,
                Err(error) => return Err(failed("read the reports of")(error)),
            };
            if let Some(name) = self.events.get(&event.wd()) {
                found.push(name.clone());
                continue;
            }
            all |= event.events().contains(inotify::ReadFlags::QUEUE_OVERFLOW);
            let parent = self.parents.iter().find(|(_, (w, _))| *w == event.wd());
            let (Some((parent, _)), Some(child)) = (parent, event.file_name()) else {
                continue;
            };
            let child = parent.join(std::ffi::OsStr::new(child.to_str().unwrap_or_default()));
            let of = self.watched.iter().filter(|(_, w)| w.path == child);
            found.extend(of.map(|(name, _)| name.clone()));
        }
        if all {
            found = self.watched.keys().cloned().collect();
        }
        let mut seen = std::collections::BTreeSet::new();
        found.retain(|name| seen.insert(name.clone()));
        Ok(found)
    }

    /// Reports what there is to report of one cgroup.
    fn look(&mut self, name: &str) {
        let Some(watched) = self.watched.get(name) else {
            return;
        };
        let same = fs::metadata(&watched.path).is_ok_and(|m| m.ino() == watched.inode);
        let text = fs::read_to_string(watched.path.join("cgroup.events"));
        match text {
            Ok(text) if same => {
                if text.lines().any(|line| line == "populated 0") {
                    self.report(name, Vacancy::Empty);
                }
            }
            // An error other than that it is gone, with the cgroup there, would repeat; members may be left.
            Err(error) if same && !gone(&error) => {}
            _ => {
                self.remove(name);
                self.report(name, Vacancy::Gone);
            }
        }
    }

    fn report(&mut self, name: &str, what: Vacancy) {
        self.ready.push_back((name.to_owned(), what));
        // It fails only when it rings already.
        let _ = rustix::io::write(&self.bell, &1u64.to_ne_bytes());
    }
}

impl AsFd for EmptyWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.both.as_fd()
    }
}
