//! Whose doing a start is.

use std::fs::{self, File};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;

use crate::proc::Rights;

const NS_GET_PARENT: libc::Ioctl = 0xb702;
const NS_GET_OWNER_UID: libc::Ioctl = 0xb704;
/// The kernel allows 32 levels.
const LEVELS: usize = 40;

/// The user whose doing it is what a process does: its own one; in user namespaces, where one user may be thousands, the one who
/// made them. None if the process is gone.
#[must_use]
pub fn starter(pid: u32) -> Option<u32> {
    let link = |who: &str| fs::read_link(format!("/proc/{who}/ns/user")).ok();
    let theirs = link(&pid.to_string());
    if theirs.is_some() && theirs != link("self") {
        let owner = owner(&File::open(format!("/proc/{pid}/ns/user")).ok()?);
        if owner.is_some() {
            return owner;
        }
    }
    Rights::of(pid).map(|rights| rights.uids[1])
}

/// Who made it, or the outermost around it that was made by somebody here.
fn owner(namespace: &File) -> Option<u32> {
    let own = fs::metadata("/proc/self/ns/user").ok()?.ino();
    let mut inner = namespace.try_clone().ok()?;
    for _ in 0..LEVELS {
        // SAFETY: no pointers; the descriptor is open.
        let fd = unsafe { libc::ioctl(inner.as_raw_fd(), NS_GET_PARENT) };
        if fd < 0 {
            return None;
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let outer = File::from(unsafe { OwnedFd::from_raw_fd(fd) });
        if outer.metadata().ok()?.ino() == own {
            let mut uid: libc::uid_t = 0;
            // SAFETY: the number outlives the call.
            let got = unsafe { libc::ioctl(inner.as_raw_fd(), NS_GET_OWNER_UID, &raw mut uid) };
            return (got == 0).then_some(uid);
        }
        inner = outer;
    }
    None
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn who_is_many_in_a_namespace_is_one_here() {
        let own = Rights::of(std::process::id()).unwrap().uids[1];
        assert_eq!(starter(std::process::id()), Some(own));
        let mut command = Command::new("unshare");
        command.args(["-Ur", "unshare", "-Ur", "sh", "-c", "echo; read x"]);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.uid(4711).gid(4711).spawn().unwrap();
        let mut said = [0];
        child.stdout.take().unwrap().read_exact(&mut said).unwrap();
        assert_eq!(starter(child.id()), Some(4711));
        child.stdin.take().unwrap().write_all(b"\n").unwrap();
        child.wait().unwrap();
    }
}
