//! Processes, as `/proc` shows them.
//!
//! A process can end at any moment: what is gone is reported as `None` or left out, not as an error. So nothing that a process
//! chooses, as its name, may have it look gone: no file here has to be UTF-8.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What is known about a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub pid: u32,
    /// Its parent's id.
    pub parent: u32,
    /// Its short name.
    pub comm: String,
    /// Its program; none for kernel threads, or where one may not look.
    pub exe: Option<PathBuf>,
    /// Its real user.
    pub uid: u32,
    /// When it started, in clock ticks since boot. With the pid it names a process for ever.
    pub start_ticks: u64,
    /// Its arguments.
    pub cmdline: Vec<OsString>,
}

pub(crate) struct Stat {
    pub(crate) comm: String,
    state: char,
    pub(crate) parent: u32,
    pub(crate) start_ticks: u64,
}

/// A file of a process. Names in it, of processes and of cgroups, may be any bytes.
fn text(pid: u32, file: &str) -> Option<String> {
    let raw = fs::read(format!("/proc/{pid}/{file}")).ok()?;
    Some(String::from_utf8_lossy(&raw).into_owned())
}

fn stat(pid: u32) -> Option<Stat> {
    stat_in(&text(pid, "stat")?)
}

pub(crate) fn stat_in(text: &str) -> Option<Stat> {
    // The name may contain anything, parentheses and spaces included.
    let (open, close) = (text.find('(')?, text.rfind(')')?);
    let mut rest = text.get(close + 1..)?.split_ascii_whitespace();
    let state = rest.next()?.chars().next()?;
    let parent = rest.next()?.parse().ok()?;
    // Field 22 of the line; the two read above were 3 and 4.
    let start_ticks = rest.nth(17)?.parse().ok()?;
    Some(Stat {
        comm: text.get(open + 1..close)?.to_owned(),
        state,
        parent,
        start_ticks,
    })
}

impl Process {
    /// Looks a process up.
    pub fn read(pid: u32) -> Option<Process> {
        let stat = stat(pid)?;
        let dir = PathBuf::from(format!("/proc/{pid}"));
        let status = text(pid, "status")?;
        let uid = status
            .lines()
            .find_map(|l| l.strip_prefix("Uid:"))
            .and_then(|l| l.split_ascii_whitespace().next())
            .and_then(|t| t.parse().ok())?;
        let raw = fs::read(dir.join("cmdline")).unwrap_or_default();
        let raw = raw.strip_suffix(b"\0").unwrap_or(&raw);
        let cmdline = if raw.is_empty() {
            Vec::new()
        } else {
            raw.split(|b| *b == 0)
                .map(|a| OsString::from_vec(a.to_vec()))
                .collect()
        };
        Some(Process {
            pid,
            parent: stat.parent,
            comm: stat.comm,
            exe: fs::read_link(dir.join("exe")).ok(),
            uid,
            start_ticks: stat.start_ticks,
            cmdline,
        })
    }
}

/// When a process started, in clock ticks since boot. None if it is gone.
pub fn start_ticks(pid: u32) -> Option<u64> {
    stat(pid).map(|s| s.start_ticks)
}

/// Whether the process with that id and start time still runs. A zombie does not.
pub fn alive(pid: u32, start_ticks: u64) -> bool {
    stat(pid).is_some_and(|s| s.start_ticks == start_ticks && !matches!(s.state, 'Z' | 'X'))
}

/// What a process may, and could come to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rights {
    /// Its users: real, effective, saved, of files.
    pub uids: [u32; 4],
    /// Its groups, in the same order.
    pub gids: [u32; 4],
    /// How many threads it has.
    pub threads: u32,
    /// Whether its first thread, and whatever that starts, can gain nothing by an exec any more. For good.
    pub no_new_privs: bool,
}

impl Rights {
    /// Those of a process. None if it is gone.
    pub fn of(pid: u32) -> Option<Rights> {
        rights_in(&text(pid, "status")?)
    }
}

pub(crate) fn rights_in(status: &str) -> Option<Rights> {
    let field = |name: &str| status.lines().find_map(|l| l.strip_prefix(name));
    let four = |name: &str| {
        let ids = field(name)?.split_ascii_whitespace();
        let ids: Vec<u32> = ids.map(str::parse).collect::<Result<_, _>>().ok()?;
        <[u32; 4]>::try_from(ids).ok()
    };
    Some(Rights {
        uids: four("Uid:")?,
        gids: four("Gid:")?,
        threads: field("Threads:")?.trim().parse().ok()?,
        no_new_privs: field("NoNewPrivs:")?.trim() == "1",
    })
}

/// The calling thread, and whatever it starts, gains nothing by an exec any more. For good.
///
/// # Errors
/// The kernel refuses.
pub fn give_up_new_privileges() -> io::Result<()> {
    // SAFETY: no pointers.
    match unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Whether a process is stopped by a signal.
pub(crate) fn stopped(pid: u32) -> bool {
    stat(pid).is_some_and(|s| s.state == 'T')
}

/// Whether a process has been sent a SIGSTOP that it did not notice yet.
pub(crate) fn stop_waits(pid: u32) -> bool {
    let status = text(pid, "status").unwrap_or_default();
    ["ShdPnd:", "SigPnd:"].iter().any(|name| {
        let field = status.lines().find_map(|l| l.strip_prefix(name));
        let bits = u64::from_str_radix(field.unwrap_or_default().trim(), 16).unwrap_or(0);
        bits & 1 << (libc::SIGSTOP - 1) != 0
    })
}

/// The inode numbers of the sockets a process has open.
pub fn socket_inodes(pid: u32) -> io::Result<Vec<u64>> {
    let mut found = Vec::new();
    let entries = match fs::read_dir(format!("/proc/{pid}/fd")) {
        Ok(entries) => entries,
        Err(error) if gone(&error) => return Ok(found),
        Err(error) => return Err(error),
    };
    for entry in entries {
        let Ok(entry) = entry else { break };
        let Ok(target) = fs::read_link(entry.path()) else {
            continue;
        };
        let inode: Option<u64> = target
            .to_str()
            .and_then(|t| t.strip_prefix("socket:["))
            .and_then(|t| t.strip_suffix(']'))
            .and_then(|t| t.parse().ok());
        found.extend(inode);
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// The ids of all processes.
pub fn all() -> io::Result<Vec<u32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        found.extend(name.to_str().and_then(|n| n.parse::<u32>().ok()));
    }
    found.sort_unstable();
    Ok(found)
}

/// The direct children of a process.
pub fn children(pid: u32) -> io::Result<Vec<u32>> {
    Ok(family()?.remove(&pid).unwrap_or_default())
}

/// All descendants of a process, parents before their children. Processes whose parent ended belong
/// to another parent by then, and are not found.
pub fn descendants(pid: u32) -> io::Result<Vec<u32>> {
    let mut family = family()?;
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let children = family.remove(&parent).unwrap_or_default();
        found.extend(&children);
        next.extend(children);
    }
    Ok(found)
}

fn family() -> io::Result<BTreeMap<u32, Vec<u32>>> {
    let mut family: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for pid in all()? {
        if let Some(stat) = stat(pid) {
            family.entry(stat.parent).or_default().push(pid);
        }
    }
    Ok(family)
}

/// The inode number of a process's network namespace: equal numbers, same namespace.
pub fn netns_ino(pid: u32) -> io::Result<u64> {
    inode(&format!("/proc/{pid}/ns/net"))
}

/// The inode number of the calling thread's network namespace.
pub fn own_netns_ino() -> io::Result<u64> {
    inode("/proc/thread-self/ns/net")
}

fn inode(path: &str) -> io::Result<u64> {
    Ok(fs::metadata(Path::new(path))?.ino())
}

/// The cgroup2 path of a process, as `/hostlet/web`; what is no UTF-8 in it is replaced. None if it is gone.
pub fn cgroup(pid: u32) -> Option<String> {
    cgroup_in(&text(pid, "cgroup")?)
}

pub(crate) fn cgroup_in(cgroups: &str) -> Option<String> {
    cgroups
        .lines()
        .find_map(|l| l.strip_prefix("0::"))
        .map(str::to_owned)
}

/// The systemd units that a process belongs to, from the outermost slice to its service or scope:
/// `user.slice`, `user-1000.slice`, `session-3.scope`. Empty if it is gone, or in none.
///
/// What lies below a service or scope is in the hands of that service (for example of a user's own
/// manager, who may call units as he likes), and is not listed.
pub fn units(pid: u32) -> Vec<String> {
    units_in(&text(pid, "cgroup").unwrap_or_default())
}

pub(crate) fn units_in(cgroups: &str) -> Vec<String> {
    let mut found = Vec::new();
    for line in cgroups.lines() {
        let mut fields = line.splitn(3, ':').skip(1);
        // The unified hierarchy has no controllers; in a hybrid one systemd also has a hierarchy of its own.
        let (Some("" | "name=systemd"), Some(path)) = (fields.next(), fields.next()) else {
            continue;
        };
        // The first part is what lies before the slash; a leading underscore is systemd's escape.
        for part in path.split('/').skip(1) {
            let unit = part.strip_prefix('_').unwrap_or(part);
            let last = unit.ends_with(".service") || unit.ends_with(".scope");
            if !last && !unit.ends_with(".slice") {
                break;
            }
            if !found.iter().any(|f| f == unit) {
                found.push(unit.to_owned());
            }
            if last {
                break;
            }
        }
    }
    found
}

/// The name of this boot: what was remembered under another one is history.
pub fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?
        .trim()
        .to_owned())
}

/// Sends a signal. That the process is gone already is no failure.
pub(crate) fn kill(pid: u32, signal: i32) {
    let Ok(pid) = libc::pid_t::try_from(pid) else {
        return;
    };
    // Zero and negative numbers name groups.
    if pid > 0 {
        // SAFETY: kill takes no pointers.
        unsafe { libc::kill(pid, signal) };
    }
}

fn gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESRCH))
}

#[cfg(test)]
mod tests {
    use super::{Rights, rights_in, units_in};

    #[test]
    fn rights_are_those_of_the_status() {
        let status =
            "Name:\tUid: 0\nUid:\t7\t8\t9\t10\nGid:\t1\t2\t3\t4\nThreads:\t2\nNoNewPrivs:\t1\n";
        let rights = Rights {
            uids: [7, 8, 9, 10],
            gids: [1, 2, 3, 4],
            threads: 2,
            no_new_privs: true,
        };
        assert_eq!(rights_in(status), Some(rights));
        let without = status.replace("NoNewPrivs:\t1", "NoNewPrivs:\t0");
        assert!(!rights_in(&without).unwrap().no_new_privs);
        for other in ["", "Uid:\t7\t8\t9\n", &status.replace("Threads:\t2", "")] {
            assert_eq!(rights_in(other), None, "{other}");
        }
    }

    #[test]
    fn units_end_where_delegation_begins() {
        for (cgroups, expected) in [
            (
                "0::/system.slice/web.service",
                &["system.slice", "web.service"][..],
            ),
            (
                "0::/user.slice/user-1000.slice/session-3.scope\n",
                &["user.slice", "user-1000.slice", "session-3.scope"],
            ),
            (
                "0::/user.slice/user-1000.slice/user@1000.service/app.slice/web.service",
                &["user.slice", "user-1000.slice", "user@1000.service"],
            ),
            (
                "0::/system.slice/web.service/worker.service",
                &["system.slice", "web.service"],
            ),
            ("0::/init.scope", &["init.scope"]),
            ("0::/hostlet/web.service", &[]),
            ("0::/", &[]),
            ("0::/../../web.service", &[]),
            ("", &[]),
            // A hybrid machine, with the process in a hostlet.
            (
                "12:pids:/other.service\n1:name=systemd:/system.slice/a:b@x.service\n0::/hostlet/web",
                &["system.slice", "a:b@x.service"],
            ),
            (
                "1:name=systemd:/system.slice/web.service\n0::/system.slice/web.service",
                &["system.slice", "web.service"],
            ),
            // As systemd escapes what the kernel has names for.
            (
                "0::/_cpu.slice/_notify_on_release.service",
                &["cpu.slice", "notify_on_release.service"],
            ),
        ] {
            assert_eq!(units_in(cgroups), expected, "{cgroups}");
        }
    }
}
