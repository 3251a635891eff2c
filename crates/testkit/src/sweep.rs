//! What test processes that are dead have left on the machine, and its removal.
//!
//! A test that is killed undoes nothing. What it had is known by the names of its directories
//! ([`TestDir`](crate::dir::TestDir)), which have its process's number in them: mounts below them,
//! and the cgroups of an installation whose `--root` is one of them. Namespaces go by themselves.

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::process::{Pid, Signal};

use crate::wait;

/// Where version 2 of cgroups may be mounted.
const CGROUP_MOUNTS: [&str; 2] = ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"];

/// What is put behind [`cgroup_parent`] where a measurement moves processes by itself, beside an installation.
pub const MOVED: &str = ".moved";

/// Removes what dead processes have left; gives how many directories there were.
///
/// # Errors
/// Naming what cannot be removed; the rest is.
pub fn sweep() -> Result<usize> {
    let mut swept = 0;
    let mut trouble = Vec::new();
    for dir in dead_directories() {
        match remove(&dir) {
            Ok(true) => swept += 1,
            Ok(false) => {}
            Err(why) => trouble.push(format!("{}: {why:#}", dir.display())),
        }
    }
    if !trouble.is_empty() {
        bail!("{}", trouble.join("; "));
    }
    Ok(swept)
}

/// Kills what runs in cgroups of dead processes: what starts others faster than they can be found.
pub(crate) fn kill_members() {
    for cgroup in dead_directories().iter().flat_map(|dir| cgroups(dir)) {
        let _ = fs::write(cgroup.join("cgroup.kill"), "1");
    }
}

/// The directories of tests that have been made by this process.
pub fn directories_of(pid: u32) -> Vec<PathBuf> {
    directories()
        .filter(|(_, of)| of.as_raw_pid().cast_unsigned() == pid)
        .map(|(dir, _)| dir)
        .collect()
}

/// The cgroups that belong to an installation whose `--root` this is, and that exist: the topmost ones.
pub fn cgroups(root: &Path) -> Vec<PathBuf> {
    let parent = cgroup_parent(root);
    let all = [
        format!("{parent}.ready"),
        format!("{parent}{MOVED}"),
        parent,
    ];
    CGROUP_MOUNTS
        .iter()
        .flat_map(|mount| all.iter().map(|name| Path::new(mount).join(name)))
        .filter(|cgroup| cgroup.is_dir())
        .collect()
}

/// The name of the cgroup that holds those of an installation's hostlets.
pub fn cgroup_parent(root: &Path) -> String {
    format!("hostlet-{:08x}", fnv1a(root.as_os_str().as_bytes()))
}

/// Mounts at or below a directory that this thread sees, the last first.
pub fn mounts_below(dir: &Path) -> Vec<PathBuf> {
    // `self` would be those of the process's first thread, and a test may have mounts of its own.
    let mounts = fs::read_to_string("/proc/thread-self/mounts").unwrap_or_default();
    let all = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    let below = all.map(PathBuf::from).filter(|at| at.starts_with(dir));
    let mut below: Vec<_> = below.collect();
    below.reverse();
    below
}

/// Unmounts all of these mounts that it can.
pub(crate) fn unmount_below(dir: &Path) {
    for at in mounts_below(dir) {
        let Ok(at) = CString::new(at.as_os_str().as_bytes()) else {
            continue;
        };
        // SAFETY: the string is terminated and lives through the call.
        unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) };
    }
}

/// All directories of tests, each with the process that made it.
fn directories() -> impl Iterator<Item = (PathBuf, Pid)> {
    let entries = fs::read_dir(std::env::temp_dir());
    entries.into_iter().flatten().flatten().filter_map(|entry| {
        let pid = maker(entry.file_name().to_str()?)?;
        // Not a link: it does not lead anywhere else.
        let is_dir = entry.file_type().ok()?.is_dir();
        is_dir.then(|| (entry.path(), pid))
    })
}

fn dead_directories() -> Vec<PathBuf> {
    let all = directories().filter(|(_, pid)| is_dead(*pid));
    all.map(|(dir, _)| dir).collect()
}

/// Is the process gone, or has it ended and nobody has waited for it yet?
fn is_dead(pid: Pid) -> bool {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_pid()));
    match stat.as_deref().map(|stat| stat.rsplit_once(") ")) {
        Ok(Some((_, rest))) => rest.starts_with(['Z', 'X']),
        _ => rustix::process::test_kill_process(pid) == Err(rustix::io::Errno::SRCH),
    }
}

/// Of `hostlet-NAME-PID-COUNT` the process.
fn maker(name: &str) -> Option<Pid> {
    let mut words = name.strip_prefix("hostlet-")?.rsplit('-');
    let digits = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_digit());
    let (count, pid, rest) = (words.next()?, words.next()?, words.next()?);
    if rest.is_empty() || !digits(count) || !digits(pid) {
        return None;
    }
    Pid::from_raw(pid.parse().ok()?)
}

/// Removes one; no if somebody has it after all: in another process namespace, or by now.
fn remove(dir: &Path) -> Result<bool> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let Ok(open) = rustix::fs::open(dir, flags, Mode::empty()) else {
        return Ok(false);
    };
    if rustix::fs::flock(&open, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(false);
    }
    // Anybody can make a directory whose name has the sum of somebody else's cgroup.
    if fs::symlink_metadata(dir)?.uid() == rustix::process::geteuid().as_raw() {
        end_programs(dir)?;
        for cgroup in cgroups(dir) {
            remove_cgroup(&cgroup)?;
        }
    }
    unmount_below(dir);
    fs::remove_dir_all(dir)?;
    Ok(true)
}

/// Ends programs that lie in the directory, and commands of its installation: what these make after
/// this would stay.
pub(crate) fn end_programs(dir: &Path) -> Result<()> {
    let args = [b"--root", dir.as_os_str().as_bytes()];
    wait::until(&format!("programs of {} to end", dir.display()), || {
        let mut ended = true;
        for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
            let pid = entry.file_name().to_str().and_then(|n| n.parse().ok());
            let Some(pid) = pid.and_then(Pid::from_raw) else {
                continue;
            };
            let program = fs::read_link(entry.path().join("exe"));
            let line = fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let words: Vec<_> = line.split(|byte| *byte == 0).collect();
            if program.is_ok_and(|program| program.starts_with(dir))
                || words.windows(2).any(|words| words == args)
            {
                ended = false;
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        ended
    })
}

/// Ends what runs in a cgroup, and removes it with all below it.
pub(crate) fn remove_cgroup(top: &Path) -> Result<()> {
    fs::write(top.join("cgroup.kill"), "1").with_context(|| top.display().to_string())?;
    wait::until(&format!("{} to be empty", top.display()), || {
        // Gone is empty as well.
        !fs::read_to_string(top.join("cgroup.events"))
            .is_ok_and(|events| events.contains("populated 1"))
    })?;
    let mut all = vec![top.to_path_buf()];
    let mut next = 0;
    while let Some(cgroup) = all.get(next).cloned() {
        let entries = fs::read_dir(cgroup).into_iter().flatten().flatten();
        let inner = entries.filter(|e| e.file_type().is_ok_and(|kind| kind.is_dir()));
        all.extend(inner.map(|e| e.path()));
        next += 1;
    }
    for cgroup in all.iter().rev() {
        match fs::remove_dir(cgroup) {
            Err(why) if why.kind() != std::io::ErrorKind::NotFound => {
                return Err(why).with_context(|| cgroup.display().to_string());
            }
            _ => {}
        }
    }
    Ok(())
}

/// The documented hash that names the cgroups of a `--root`.
fn fnv1a(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0x811c_9dc5, |hash, byte| {
        (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193)
    })
}

#[cfg(test)]
mod tests {
    use super::maker;

    #[test]
    fn names_tell_the_process() {
        let of = |name| maker(name).map(|pid| pid.as_raw_pid());
        assert_eq!(of("hostlet-root-123-0"), Some(123));
        assert_eq!(of("hostlet-grant-killed-77-12"), Some(77));
        for other in [
            "hostlet-root",
            "hostlet-1-2",
            "hostlet--1-2",
            "hostlet-root-0-1",
            "hostlet-root-12-",
            "hostlet-root-+1-2",
            "hostlet-figures.a1-2-3x",
            "other-root-1-2",
            "hostlet-root-99999999999-1",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }
}
