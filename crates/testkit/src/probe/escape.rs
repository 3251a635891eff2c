//! What a hostile member tries beside socket calls.

use std::ffi::CString;
use std::time::Instant;

use super::address::SockAddr;
use super::sockets::own;
use super::{Outcome, check, usage};

pub(crate) fn perform(op: &str, args: &[&str]) -> Outcome {
    match (op, args) {
        // Another user, for good: for a child.
        ("become", [user]) => {
            let Ok(user) = user.parse::<u32>() else {
                return usage("become UID");
            };
            // SAFETY: takes no pointers.
            check(unsafe { libc::setresuid(user, user, user) })?;
        }
        // A descriptor of another process.
        ("steal", [pid, fd]) => {
            let (Ok(pid), Ok(fd)) = (pid.parse::<i32>(), fd.parse::<i32>()) else {
                return usage("steal PID FD");
            };
            // SAFETY: takes no pointers.
            let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            let process = own(i32::try_from(process).unwrap_or(-1))?;
            let process = std::os::fd::AsRawFd::as_raw_fd(&process);
            // SAFETY: takes no pointers.
            let got = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process, fd, 0) };
            own(i32::try_from(got).unwrap_or(-1))?;
        }
        ("setns", [path]) => {
            let file = std::fs::File::open(path)?;
            // SAFETY: takes no pointers.
            check(unsafe { libc::setns(std::os::fd::AsRawFd::as_raw_fd(&file), 0) })?;
        }
        // In a child, so that this program stays where it is.
        ("unshare", [kinds, path, text]) => {
            let mut flags = 0;
            for kind in kinds.split('+') {
                flags |= match kind {
                    "user" => libc::CLONE_NEWUSER,
                    "net" => libc::CLONE_NEWNET,
                    "mount" => libc::CLONE_NEWNS,
                    "cgroup" => libc::CLONE_NEWCGROUP,
                    _ => return usage(format!("no namespace {kind}")),
                };
            }
            return in_child(|| {
                // SAFETY: takes no pointers.
                check(unsafe { libc::unshare(flags) })?;
                remount_writable();
                Ok(std::fs::write(path, text)?)
            });
        }
        ("write", [path, text]) => std::fs::write(path, text)?,
        // As many children as asked for; each tries to bind the address with its first calls.
        ("storm", [count, address]) => return storm(count, address),
        // A line of /proc/self/status.
        ("status", [name]) => {
            let text = std::fs::read_to_string("/proc/self/status")?;
            let found = text
                .lines()
                .find_map(|line| line.strip_prefix(&format!("{name}:")));
            return Ok(found.unwrap_or("no such line").trim().to_owned());
        }
        _ => return usage(format!("{op}: the wrong number of words")),
    }
    Ok("ok".into())
}

fn storm(count: &str, address: &str) -> Outcome {
    let to = SockAddr::parse(address)?;
    let Ok(count) = count.parse::<u32>() else {
        return usage("storm COUNT ADDRESS:PORT");
    };
    let (mut bound, mut refused, mut alive) = (0, 0, 0);
    let begin = Instant::now();
    for number in 1..=count {
        // SAFETY: a probe has one thread; the child makes plain system calls only.
        if check(unsafe { libc::fork() })? == 0 {
            // SAFETY: takes no pointers.
            let fd = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) };
            // SAFETY: the address is as long as its length says; _exit ends the child.
            unsafe { libc::_exit(i32::from(libc::bind(fd, to.ptr(), to.len) != 0)) };
        }
        alive += 1;
        // Many at a time, but not more than a machine takes.
        while alive > 0 && (alive >= 64 || number == count) {
            let mut status = 0;
            // SAFETY: the status lives through the call.
            check(unsafe { libc::waitpid(-1, &raw mut status, 0) })?;
            alive -= 1;
            if libc::WEXITSTATUS(status) == 0 {
                bound += 1
            } else {
                refused += 1
            }
        }
    }
    let rate = f64::from(count) / begin.elapsed().as_secs_f64();
    Ok(format!("{bound} bound {refused} refused {rate:.0} forks/s"))
}

/// Undoes, where the kernel lets us, what a launcher made read-only.
pub(crate) fn remount_writable() {
    let Ok(mounts) = std::fs::read_to_string("/proc/self/mounts") else {
        return;
    };
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(at), Some(kind)) = (words.next(), words.next()) else {
            continue;
        };
        if matches!(kind, "cgroup2" | "proc" | "sysfs") {
            let Ok(at) = CString::new(at) else { continue };
            let flags = libc::MS_REMOUNT | libc::MS_BIND;
            // SAFETY: the path is terminated and lives through the call; nothing else is read.
            unsafe {
                libc::mount(
                    std::ptr::null(),
                    at.as_ptr(),
                    std::ptr::null(),
                    flags,
                    std::ptr::null(),
                );
                libc::umount2(at.as_ptr(), libc::MNT_DETACH);
            }
        }
    }
}

pub(crate) fn in_child(work: impl FnOnce() -> Result<(), super::Trouble>) -> Outcome {
    // SAFETY: a probe has one thread, so the child may do as it likes.
    let pid = check(unsafe { libc::fork() })?;
    if pid == 0 {
        let status = match work() {
            Ok(()) => 0,
            Err(super::Trouble::Errno(errno)) => errno,
            Err(_) => 255,
        };
        // SAFETY: takes no pointers. The parent's exit handlers are not ours to run.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    Ok(match libc::WEXITSTATUS(status) {
        0 => "ok".into(),
        errno => super::errno_name(errno),
    })
}
