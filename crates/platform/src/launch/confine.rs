//! The mount namespace of a member: cgroups and the installation cannot be changed, BPF objects not be found.

use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, OFlags, StatFs, statfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, MoveMountFlags, OpenTreeFlags, UnmountFlags, mount,
    mount_bind, mount_bind_recursive, mount_change, move_mount, open_tree, unmount,
};
use rustix::process::{chroot, fchdir};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use super::{Launch, LaunchError};
use crate::mounts::{self, Mount};

const CGROUP1_MAGIC: u64 = 0x0027_E0EB;
const CGROUP2_MAGIC: u64 = 0x6367_7270;
const BPF_MAGIC: u64 = 0xCAFE_4A11;
const DEBUGFS_MAGIC: u64 = 0x6462_6720;
const SYSFS_MAGIC: u64 = 0x6265_6572;
const TRACEFS_MAGIC: u64 = 0x7472_6163;
const READ_ONLY: u64 = 1;

/// The kinds of file systems that may be taken away.
const GOES: [&str; 3] = ["bpf", "tracefs", "debugfs"];

const MOUNT_ATTR_RDONLY: u64 = 1;

/// The kernel's `struct mount_attr`.
#[repr(C)]
#[derive(Default)]
struct Attributes {
    set: u64,
    clear: u64,
    propagation: u64,
    user_namespace: u64,
}

fn failed<E: Into<io::Error>>(what: impl Into<String>) -> impl FnOnce(E) -> LaunchError {
    let what = what.into();
    move |error| LaunchError::Confine {
        what,
        source: error.into(),
    }
}

/// Where a thread stands: in which mount namespace, below which root, in which directory.
pub(super) struct Home {
    namespace: OwnedFd,
    root: OwnedFd,
    directory: OwnedFd,
}

impl Home {
    pub(super) fn of_this_thread() -> Result<Home, LaunchError> {
        let place = |path: &str, flags| {
            rustix::fs::open(path, flags | OFlags::CLOEXEC, Mode::empty())
                .map_err(failed(format!("remember {path}")))
        };
        Ok(Home {
            namespace: place("/proc/thread-self/ns/mnt", OFlags::RDONLY)?,
            root: place("/", OFlags::PATH)?,
            directory: place(".", OFlags::PATH)?,
        })
    }

    /// Goes back to there.
    pub(super) fn come_back(&self) -> Result<(), LaunchError> {
        let kind = Some(LinkNameSpaceType::Mount);
        move_into_link_name_space(self.namespace.as_fd(), kind)
            .and_then(|()| fchdir(&self.root))
            .and_then(|()| chroot("."))
            .and_then(|()| fchdir(&self.directory))
            .map_err(failed("come back to the machine's mount namespace"))
    }
}

/// Gives the calling thread a mount namespace of its own, in which
/// - every cgroup2 file system is read-only, so that no member moves itself elsewhere; if asked, so are those
///   of version 1, by which others tell whose traffic it is and what unit a process belongs to;
/// - no BPF file system is visible, so that no member finds the maps and programs;
/// - the given directories are empty, but for those to be shown; others read-only, but for the part of those in which the program starts;
/// - if asked, `/proc/sys` and `/sys` are read-only, and the tracing file systems are not visible. Their
///   files obey the user id, whatever capabilities root has left, and hold the network's settings, the
///   programs that the kernel itself starts, and probes that see everybody's packets.
///
/// Mounts made outside later still appear inside, but not in the read-only directories.
pub(super) fn enter_private_mounts(launch: &Launch, protect: bool) -> Result<(), LaunchError> {
    // Without one, there is nothing to come back to.
    let here = std::env::current_dir().ok();
    // SAFETY: gives this thread a file system context of its own; no descriptor changes meaning.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .map_err(failed("make a mount namespace"))?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(failed("detach the mount namespace from the machine's"))?;
    let table = read_table()?;
    let goes = |found: &Mount| match found.kind.as_str() {
        "bpf" => Some(BPF_MAGIC),
        "tracefs" if protect => Some(TRACEFS_MAGIC),
        "debugfs" if protect => Some(DEBUGFS_MAGIC),
        _ => None,
    };
    let going = table.iter().filter_map(|m| Some((&*m.point, goes(m)?)));
    remove(&going.collect::<Vec<_>>())?;
    // Afterwards: what went may have covered one of these.
    for found in &table {
        match found.kind.as_str() {
            "cgroup2" => make_read_only(&found.point, CGROUP2_MAGIC)?,
            "cgroup" if protect => make_read_only(&found.point, CGROUP1_MAGIC)?,
            "sysfs" if protect => make_read_only(&found.point, SYSFS_MAGIC)?,
            "proc" if protect && found.root == Path::new("/") => {
                shield(&found.point.join("sys"))?;
            }
            _ => {}
        }
    }
    for dir in &launch.read_only {
        freeze(dir, launch.workdir.as_deref(), here.as_deref())?;
    }
    for dir in &launch.hide {
        cover(dir, &launch.show)?;
    }
    let covered = [&launch.read_only[..], &launch.hide[..]].concat();
    // As the kernel names them, and as it names the directory that the thread is in.
    let gone = table.iter().filter(|m| GOES.contains(&m.kind.as_str()));
    let gone: Vec<&Path> = gone.map(|m| m.point.as_path()).collect();
    come_back(here.as_deref(), &covered, &gone)?;
    verify(&table)
}

/// Makes a directory read-only, except the one right below it in which the program starts.
fn freeze(dir: &Path, workdir: Option<&Path>, here: Option<&Path>) -> Result<(), LaunchError> {
    // All that programs use lies below `/`: that would not be the directory of an installation alone.
    if dir == Path::new("/") || !dir.is_dir() {
        return Ok(());
    }
    // What is mounted there later would cover the directory again.
    let set = Attributes {
        set: MOUNT_ATTR_RDONLY,
        propagation: libc::MS_PRIVATE,
        ..Attributes::default()
    };
    mount_bind_recursive(dir, dir)
        .map_err(io::Error::from)
        .and_then(|()| set_attributes(dir, &set))
        .map_err(failed(format!("make {} read-only", dir.display())))?;
    let start = match (workdir, here) {
        (Some(workdir), Some(here)) => here.join(workdir),
        (Some(path), None) | (None, Some(path)) => path.to_path_buf(),
        (None, None) => return Ok(()),
    };
    let start = start.canonicalize().unwrap_or(start);
    let below = start.strip_prefix(dir).ok().and_then(|p| p.iter().next());
    let Some(open) = below.map(|name| dir.join(name)).filter(|d| d.is_dir()) else {
        return Ok(());
    };
    let clear = Attributes {
        clear: MOUNT_ATTR_RDONLY,
        ..Attributes::default()
    };
    mount_bind_recursive(&open, &open)
        .map_err(io::Error::from)
        .and_then(|()| set_attributes(&open, &clear))
        .map_err(failed(format!("leave {} writable", open.display())))
}

/// The thread's own directory still lies below what has been mounted upon it.
fn come_back(here: Option<&Path>, covered: &[PathBuf], gone: &[&Path]) -> Result<(), LaunchError> {
    let Some(here) = here else {
        // It was removed, and nothing can be made there, but its parent may be one of those.
        return match covered {
            [] => Ok(()),
            _ => rustix::process::chdir("/").map_err(failed("leave a removed directory")),
        };
    };
    let inside = |dir: &PathBuf| dir.canonicalize().is_ok_and(|dir| here.starts_with(dir));
    if !covered.iter().any(inside) && !gone.iter().any(|dir| here.starts_with(dir)) {
        return Ok(());
    }
    match rustix::process::chdir(here) {
        // It lies in a hidden directory as well.
        Err(rustix::io::Errno::NOENT) => rustix::process::chdir("/"),
        other => other,
    }
    .map_err(failed(format!("enter {}", here.display())))
}

fn read_table() -> Result<Vec<Mount>, LaunchError> {
    mounts::mounts().map_err(failed(format!("read {}", mounts::MOUNTINFO)))
}

/// What is reachable at a path: the table also lists mounts that others cover.
fn at(path: &Path) -> Option<StatFs> {
    statfs(path).ok()
}

fn kind(found: &StatFs) -> u64 {
    // The field is signed on some machines, and the numbers are 32 bits wide.
    u64::from(found.f_type as u32)
}

/// Takes file systems away. For each unmounting the kernel waits until no processor looks at the old tree any more, so several are
/// first put upon each other, below a mount that goes as a whole.
fn remove(all: &[(&Path, u64)]) -> Result<(), LaunchError> {
    let (pile, on) = (Path::new("/proc/sys"), Path::new("/proc/sys/kernel"));
    // Each may lie upon others of its kind.
    let still = |point: &Path, magic: u64| at(point).is_some_and(|f| kind(&f) == magic);
    if all.len() > 1 && mount_bind(pile, pile).is_ok() {
        for (point, magic) in all {
            while still(point, *magic)
                && move_mount(CWD, *point, CWD, on, MoveMountFlags::empty()).is_ok()
            {}
        }
        unmount(pile, UnmountFlags::DETACH).map_err(failed("hide what lies upon each other"))?;
    }
    // What could not be moved, or lay below the pile itself.
    for (point, magic) in all {
        while still(point, *magic) {
            match unmount(*point, UnmountFlags::DETACH) {
                // A directory within such a file system, seen through a path of another mount; or it went meanwhile.
                Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOENT) => break,
                other => other.map_err(failed(format!("hide {}", point.display())))?,
            }
        }
    }
    Ok(())
}

fn make_read_only(point: &Path, magic: u64) -> Result<(), LaunchError> {
    if at(point).is_some_and(|f| kind(&f) == magic) {
        read_only(point).map_err(failed(format!("make {} read-only", point.display())))?;
    }
    Ok(())
}

fn shield(dir: &Path) -> Result<(), LaunchError> {
    if !dir.is_dir() {
        return Ok(());
    }
    mount_bind(dir, dir)
        .map_err(io::Error::from)
        .and_then(|()| read_only(dir))
        .map_err(failed(format!("make {} read-only", dir.display())))
}

fn cover(dir: &Path, show: &[PathBuf]) -> Result<(), LaunchError> {
    // A directory on a BPF file system is gone by now.
    if !dir.is_dir() {
        return Ok(());
    }
    // Once it is covered they cannot be named any more.
    let inside = show.iter().filter(|shown| shown.parent() == Some(dir));
    let mut shown = Vec::new();
    for path in inside {
        match clone_of(path) {
            Ok(mount) => shown.push((path, mount)),
            Err(rustix::io::Errno::NOENT) => {}
            Err(error) => return Err(failed(format!("show {}", path.display()))(error)),
        }
    }
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    match mount("hostlet", dir, "tmpfs", flags, c"size=8k,mode=0555") {
        // It went meanwhile, and nothing is left to hide.
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other.map_err(failed(format!("hide {}", dir.display())))?,
    }
    for (path, mount) in shown {
        uncover(path, &mount).map_err(failed(format!("show {}", path.display())))?;
    }
    read_only(dir).map_err(failed(format!("make {} read-only", dir.display())))
}

/// A directory as a mount of its own, which is nowhere yet.
fn clone_of(dir: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    open_tree(CWD, dir, flags)
}

/// Puts such a mount where it was, in what covers it.
fn uncover(path: &Path, mount: &OwnedFd) -> io::Result<()> {
    fs::create_dir(path)?;
    move_mount(
        mount,
        "",
        CWD,
        path,
        MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH,
    )?;
    read_only(path)
}

/// Sets one attribute and leaves the others (noexec and the like) as they are.
fn read_only(point: &Path) -> io::Result<()> {
    let set = Attributes {
        set: MOUNT_ATTR_RDONLY,
        ..Attributes::default()
    };
    set_attributes(point, &set)
}

fn set_attributes(point: &Path, attributes: &Attributes) -> io::Result<()> {
    let path = CString::new(point.as_os_str().as_bytes())?;
    // SAFETY: the path is zero-terminated, the structure has the kernel's layout and its size is given.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            attributes,
            size_of::<Attributes>(),
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Nothing is started unless the result is what it should be.
fn verify(table: &[Mount]) -> Result<(), LaunchError> {
    let critical = |m: &&Mount| matches!(m.kind.as_str(), "bpf" | "cgroup2");
    for found in table.iter().filter(critical) {
        let Some(fs) = at(&found.point) else { continue };
        let open = match kind(&fs) {
            BPF_MAGIC => true,
            CGROUP2_MAGIC => fs.f_flags as u64 & READ_ONLY == 0,
            _ => false,
        };
        if open {
            return Err(LaunchError::Confine {
                what: format!("protect {}", found.point.display()),
                source: io::Error::other("it is still open in the new mount namespace"),
            });
        }
    }
    Ok(())
}
