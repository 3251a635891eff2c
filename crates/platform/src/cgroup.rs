//! The cgroup2 tree: one cgroup per hostlet below a parent of its own.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::mounts;

mod vacancy;

pub use vacancy::{EmptyWatch, Vacancy};

/// What can go wrong with cgroups.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no cgroup2 file system.
    #[error(
        "no cgroup2 file system is mounted; mount one with `mount -t cgroup2 cgroup2 /sys/fs/cgroup/unified` \
         (or boot with systemd.unified_cgroup_hierarchy=1). `ip netns exec` hides the one there is: \
         enter a network namespace with `nsenter --net=/run/netns/NAME` instead"
    )]
    NotMounted,
    /// A cgroup of that name is not there.
    #[error("there is no cgroup {}", .0.display())]
    Missing(PathBuf),
    /// A cgroup of that name is there already.
    #[error("the cgroup {} exists already, and no hostlet of that name is remembered: end its members (its cgroup.procs lists them), or choose another name", .0.display())]
    Exists(PathBuf),
    /// A cgroup has members, so it cannot be removed.
    #[error("the cgroup {} still has members: {}", .path.display(), pids(.members))]
    Busy {
        /// The cgroup.
        path: PathBuf,
        /// Its members' process ids.
        members: Vec<u32>,
    },
    /// Some other operation failed.
    #[error("cannot {what} {}: {source}{}", .path.display(), hint(.source))]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
}

fn pids(list: &[u32]) -> String {
    let texts: Vec<_> = list.iter().take(20).map(u32::to_string).collect();
    let more = if list.len() > 20 { " …" } else { "" };
    format!("{}{more}", texts.join(", "))
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EACCES | libc::EPERM) => "; run as root",
        Some(libc::EROFS) => {
            "; the cgroup file system is read-only here (inside a hostlet or a container?)"
        }
        Some(libc::EAGAIN) => "; cgroup.max.descendants or cgroup.max.depth of a parent is reached",
        _ => "",
    }
}

fn io_error(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> CgroupError {
    let path = path.to_owned();
    move |source| CgroupError::Io { what, path, source }
}

/// Where cgroup2 is mounted: the whole of `/sys/fs/cgroup` on a unified machine, a directory in it
/// on a hybrid one.
pub fn find_mount() -> Result<PathBuf, CgroupError> {
    // To read the table of mounts takes longer than most of what is done with the answer.
    static LAST: Mutex<Option<PathBuf>> = Mutex::new(None);
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(point) = last.as_ref().filter(|point| is_cgroup2(point)) {
        return Ok(point.clone());
    }
    let found = look_for_mount()?;
    *last = Some(found.clone());
    Ok(found)
}

fn is_cgroup2(point: &Path) -> bool {
    const MAGIC: u32 = 0x6367_7270;
    rustix::fs::statfs(point).is_ok_and(|fs| fs.f_type as u32 == MAGIC)
}

/// Where it is on nearly every machine: a machine that runs containers has hundreds of mounts to go through.
const USUAL: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// Whether all of the hierarchy is there and can be written: its root has the first number.
fn is_best(point: &Path) -> bool {
    let writable = rustix::fs::statvfs(point)
        .is_ok_and(|fs| !fs.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY));
    writable && is_cgroup2(point) && fs::metadata(point).is_ok_and(|meta| meta.ino() == 1)
}

fn look_for_mount() -> Result<PathBuf, CgroupError> {
    if let Some(point) = USUAL.map(Path::new).into_iter().find(|p| is_best(p)) {
        return Ok(point.to_owned());
    }
    let table = mounts::mounts().map_err(io_error("read", Path::new(mounts::MOUNTINFO)))?;
    let mut found: Vec<_> = table.into_iter().filter(|m| m.kind == "cgroup2").collect();
    // The same hierarchy may be visible more than once: prefer one that can be written, and all of it.
    found.sort_by_key(|m| (m.read_only(), m.root != Path::new("/")));
    found
        .into_iter()
        .next()
        .map(|m| m.point)
        .ok_or(CgroupError::NotMounted)
}

/// The parent of all cgroups of one installation.
#[derive(Debug, Clone)]
pub struct Tree {
    parent: PathBuf,
}

/// One open cgroup.
#[derive(Debug)]
pub struct Cgroup {
    path: PathBuf,
    id: u64,
    dir: OwnedFd,
}

impl Cgroup {
    /// Opens any cgroup directory.
    pub fn open_path(path: &Path) -> Result<Cgroup, CgroupError> {
        let dir = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECTORY)
            .open(path)
            .map_err(|error| match error.kind() {
                io::ErrorKind::NotFound => CgroupError::Missing(path.to_owned()),
                _ => io_error("open", path)(error),
            })?;
        let id = dir.metadata().map_err(io_error("inspect", path))?.ino();
        Ok(Cgroup {
            path: path.to_owned(),
            id,
            dir: dir.into(),
        })
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The kernel's id for it: what `bpf_get_current_cgroup_id` and socket listings show.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The open directory.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }

    /// A second descriptor for the directory, to be given away.
    pub fn try_clone_fd(&self) -> Result<OwnedFd, CgroupError> {
        self.dir
            .try_clone()
            .map_err(io_error("duplicate the descriptor of", &self.path))
    }
}

impl Tree {
    /// The tree `<cgroup2 mount>/<parent>`. Nothing is created yet.
    pub fn under_mount(parent: &str) -> Result<Tree, CgroupError> {
        Ok(Tree {
            parent: find_mount()?.join(parent),
        })
    }

    /// A tree at a given directory.
    pub fn at(parent: PathBuf) -> Tree {
        Tree { parent }
    }

    /// The parent's directory.
    pub fn path(&self) -> &Path {
        &self.parent
    }

    /// Where the cgroup of that name is, or would be.
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.parent.join(name)
    }

    /// Creates a cgroup, and the parent with the first of them.
    pub fn create(&self, name: &str) -> Result<Cgroup, CgroupError> {
        match DirBuilder::new().mode(0o755).create(&self.parent) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(io_error("create", &self.parent)(error));
            }
            _ => {}
        }
        let path = self.path_of(name);
        match DirBuilder::new().mode(0o755).create(&path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Err(CgroupError::Exists(path))
            }
            Err(error) => Err(io_error("create", &path)(error)),
            Ok(()) => Cgroup::open_path(&path),
        }
    }

    /// A cgroup beside the tree that nobody is in, for what is to be ready before there is a hostlet. It may be there already.
    pub fn create_ready(&self) -> Result<Cgroup, CgroupError> {
        let path = self.ready();
        match DirBuilder::new().mode(0o755).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                Err(io_error("create", &path)(error))
            }
            _ => Cgroup::open_path(&path),
        }
    }

    /// Removes that cgroup. False if it was not there.
    pub fn remove_ready(&self) -> Result<bool, CgroupError> {
        remove_one(&self.ready())
    }

    fn ready(&self) -> PathBuf {
        let mut path = self.parent.clone().into_os_string();
        path.push(".ready");
        path.into()
    }

    /// Opens a cgroup that is there.
    pub fn open(&self, name: &str) -> Result<Cgroup, CgroupError> {
        Cgroup::open_path(&self.path_of(name))
    }

    /// The cgroups of the tree with their ids, sorted by name. Empty if the parent is not there.
    pub fn list(&self) -> Result<Vec<(String, u64)>, CgroupError> {
        let mut found = Vec::new();
        for path in children(&self.parent)? {
            let Some(name) = path.file_name().and_then(|n| n.to_str()) else {
                continue;
            };
            match fs::metadata(&path) {
                Ok(meta) => found.push((name.to_owned(), meta.ino())),
                // Removed since the directory was read.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(io_error("inspect", &path)(error)),
            }
        }
        found.sort();
        Ok(found)
    }

    /// Removes a cgroup with its sub-cgroups. False if it was not there.
    pub fn remove(&self, name: &str) -> Result<bool, CgroupError> {
        remove_tree(&self.path_of(name))
    }

    /// Removes the parent, if it is empty. False if it was not there.
    pub fn remove_parent(&self) -> Result<bool, CgroupError> {
        remove_one(&self.parent)
    }

    /// Moves a process with all its threads. Sockets that it has stay what they are.
    pub fn add(&self, name: &str, pid: u32) -> Result<(), CgroupError> {
        let path = self.path_of(name).join("cgroup.procs");
        write(&path, &pid.to_string(), "move a process into")
    }

    /// The members' process ids, sorted; with those of sub-cgroups if asked.
    pub fn members(&self, name: &str, recursive: bool) -> Result<Vec<u32>, CgroupError> {
        members(&self.path_of(name), recursive)
    }

    /// Kills every member, those of sub-cgroups included. Nobody can escape by forking.
    pub fn kill(&self, name: &str) -> Result<(), CgroupError> {
        let path = self.path_of(name);
        match write(&path.join("cgroup.kill"), "1", "kill the members of") {
            // Kernels before 5.14 have no such file. A fork between reading and killing shows up in the
            // next round.
            Err(CgroupError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                for _ in 0..1000 {
                    let alive = members(&path, true)?;
                    if alive.is_empty() {
                        return Ok(());
                    }
                    for pid in alive {
                        crate::proc::kill(pid, libc::SIGKILL);
                    }
                }
                Ok(())
            }
            other => other,
        }
    }

    /// Waits until no process is left in a cgroup and below. False if the time is up first.
    pub fn wait_empty(&self, name: &str, limit: Duration) -> Result<bool, CgroupError> {
        let path = self.path_of(name).join("cgroup.events");
        let deadline = Instant::now() + limit;
        let file = File::open(&path).map_err(io_error("open", &path))?;
        loop {
            // The poll below reports what happened after a reading of the same descriptor.
            let mut text = [0; 256];
            let length = file
                .read_at(&mut text, 0)
                .map_err(io_error("read", &path))?;
            let text = String::from_utf8_lossy(&text[..length]);
            if text.lines().any(|line| line == "populated 0") {
                return Ok(true);
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(false);
            }
            let left = Timespec::try_from(left).ok();
            let mut fds = [PollFd::new(&file, PollFlags::PRI)];
            match poll(&mut fds, left.as_ref()) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(io_error("wait for", &path)(error.into())),
            }
        }
    }
}

/// The members of any cgroup directory, sorted.
pub fn members(path: &Path, recursive: bool) -> Result<Vec<u32>, CgroupError> {
    let mut found = Vec::new();
    collect(path, recursive, &mut found)?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn collect(path: &Path, recursive: bool, found: &mut Vec<u32>) -> Result<(), CgroupError> {
    let file = path.join("cgroup.procs");
    match fs::read_to_string(&file) {
        // A member that this process's pid namespace does not show is listed as 0.
        Ok(text) => found.extend(
            text.lines()
                .filter_map(|l| l.parse::<u32>().ok())
                .filter(|pid| *pid != 0),
        ),
        Err(error) if gone(&error) => {
            return Err(CgroupError::Missing(path.to_owned()));
        }
        // A threaded cgroup's processes are listed by the domain above it.
        Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => {}
        Err(error) => return Err(io_error("read", &file)(error)),
    }
    if recursive {
        for child in children(path)? {
            match collect(&child, true, found) {
                Err(CgroupError::Missing(_)) => {}
                other => other?,
            }
        }
    }
    Ok(())
}

fn children(path: &Path) -> Result<Vec<PathBuf>, CgroupError> {
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(io_error("list", path)(error)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let entry = entry.map_err(io_error("list", path))?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn remove_tree(path: &Path) -> Result<bool, CgroupError> {
    for child in children(path)? {
        remove_tree(&child)?;
    }
    remove_one(path)
}

fn remove_one(path: &Path) -> Result<bool, CgroupError> {
    match fs::remove_dir(path) {
        Ok(()) => Ok(true),
        Err(error) if gone(&error) => Ok(false),
        Err(error) if error.raw_os_error() == Some(libc::EBUSY) => Err(CgroupError::Busy {
            path: path.to_owned(),
            members: members(path, true).unwrap_or_default(),
        }),
        Err(error) => Err(io_error("remove", path)(error)),
    }
}

/// A file of a cgroup that was removed while it was open answers ENODEV.
fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

fn write(path: &Path, text: &str, what: &'static str) -> Result<(), CgroupError> {
    let file = OpenOptions::new().write(true).open(path);
    file.and_then(|mut f| f.write_all(text.as_bytes()))
        .map_err(io_error(what, path))
}
