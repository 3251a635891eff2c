//! The mount namespace of a member: cgroups cannot be changed, BPF objects not be found.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::{StatFs, statfs};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_change, unmount,
};

use super::LaunchError;
use crate::mounts::{self, Mount};

const CGROUP2_MAGIC: u64 = 0x6367_7270;
const BPF_MAGIC: u64 = 0xCAFE_4A11;
const READ_ONLY: u64 = 1;

const MOUNT_ATTR_RDONLY: u64 = 1;

#[repr(C)]
struct MountAttr {
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

/// Gives the calling thread a mount namespace of its own, in which
/// - every cgroup2 file system is read-only, so that no member moves itself elsewhere;
/// - no BPF file system is visible, so that no member finds the maps and programs;
/// - the given directories are empty;
/// - `/proc/sys` is read-only if asked: its files belong to root by user id, whatever capabilities
///   root has left, and hold the network's settings and the kernel's helper programs.
///
/// Mounts made outside later still appear inside.
pub(super) fn enter_private_mounts(hide: &[PathBuf], protect_sys: bool) -> Result<(), LaunchError> {
    // SAFETY: gives this thread a file system context of its own; no descriptor changes meaning.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::NEWNS) }
        .map_err(failed("make a mount namespace"))?;
    mount_change(
        "/",
        MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC,
    )
    .map_err(failed("detach the mount namespace from the machine's"))?;
    let table = read_table()?;
    for found in &table {
        match found.kind.as_str() {
            "bpf" => hide_bpf(&found.point)?,
            "cgroup2" => protect_cgroups(&found.point)?,
            "proc" if protect_sys && found.root == Path::new("/") => {
                protect(&found.point.join("sys"))?;
            }
            _ => {}
        }
    }
    for dir in hide {
        cover(dir)?;
    }
    verify(&read_table()?)
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

fn hide_bpf(point: &Path) -> Result<(), LaunchError> {
    // Several may lie upon each other.
    while at(point).is_some_and(|f| kind(&f) == BPF_MAGIC) {
        unmount(point, UnmountFlags::DETACH).map_err(failed(format!(
            "hide the BPF file system {}",
            point.display()
        )))?;
    }
    Ok(())
}

fn protect_cgroups(point: &Path) -> Result<(), LaunchError> {
    if at(point).is_some_and(|f| kind(&f) == CGROUP2_MAGIC) {
        read_only(point).map_err(failed(format!(
            "make the cgroup file system {} read-only",
            point.display()
        )))?;
    }
    Ok(())
}

fn protect(dir: &Path) -> Result<(), LaunchError> {
    if !dir.is_dir() {
        return Ok(());
    }
    mount_bind(dir, dir)
        .map_err(io::Error::from)
        .and_then(|()| read_only(dir))
        .map_err(failed(format!("make {} read-only", dir.display())))
}

fn cover(dir: &Path) -> Result<(), LaunchError> {
    // A directory on a BPF file system is gone by now.
    if !dir.is_dir() {
        return Ok(());
    }
    let flags = MountFlags::RDONLY | MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount("hostlet", dir, "tmpfs", flags, c"size=4k,mode=0555")
        .map_err(failed(format!("hide {}", dir.display())))
}

/// Sets one attribute and leaves the others (noexec and the like) as they are.
fn read_only(point: &Path) -> io::Result<()> {
    let path = CString::new(point.as_os_str().as_bytes())?;
    let attr = MountAttr {
        set: MOUNT_ATTR_RDONLY,
        clear: 0,
        propagation: 0,
        user_namespace: 0,
    };
    // SAFETY: the path is zero-terminated, the structure has the kernel's layout and its size is given.
    let code = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            libc::AT_FDCWD,
            path.as_ptr(),
            0,
            &attr,
            size_of::<MountAttr>(),
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Nothing is started unless the result is what it should be.
fn verify(table: &[Mount]) -> Result<(), LaunchError> {
    for found in table {
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
