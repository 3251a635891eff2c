//! What a hostile member tries beside socket calls.

use std::ffi::CString;

use super::sockets::own;
use super::{Outcome, check, usage};

pub(crate) fn perform(op: &str, args: &[&str]) -> Outcome {
    match (op, args) {
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

/// Undoes, where the kernel lets us, what a launcher made read-only.
fn remount_writable() {
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

fn in_child(work: impl FnOnce() -> Result<(), super::Trouble>) -> Outcome {
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
