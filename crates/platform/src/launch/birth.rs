//! A process that is born in a cgroup and has this one's memory until it executes something else, as with vfork: nothing is
//! copied, and neither of the two takes page faults for what the other one wrote.
//!
//! It may belong to somebody else by the time of its exec, who could signal it, and have its parent wait; nobody traces it, and
//! with it this one's memory, for neither is dumpable from then on.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// Room for the calls that the new process makes before it executes something, many times over.
const STACK: usize = 64 << 10;

/// The kernel's `struct clone_args`.
#[repr(C)]
#[derive(Default)]
struct CloneArgs {
    flags: u64,
    pidfd: u64,
    child_tid: u64,
    parent_tid: u64,
    exit_signal: u64,
    stack: u64,
    stack_size: u64,
    tls: u64,
    set_tid: u64,
    set_tid_size: u64,
    cgroup: u64,
}

/// Has a new process do `work`, and returns once that has executed something or is over; of one that does not share this one's memory, but
/// gets a copy, before.
///
/// # Safety
/// `work` makes system calls only, takes no lock, allocates nothing, and ends in an exec or an exit. What it writes, this process has as well.
pub(super) unsafe fn bear<T>(
    cgroup: BorrowedFd<'_>,
    shares: bool,
    work: unsafe extern "C" fn(*const T) -> !,
    with: &T,
) -> io::Result<(u32, OwnedFd)> {
    let mut stack = Vec::<u128>::with_capacity(STACK / size_of::<u128>());
    let mut pidfd: RawFd = -1;
    let mut args = CloneArgs {
        flags: CLONE_INTO_CGROUP | libc::CLONE_PIDFD as u64,
        pidfd: (&raw mut pidfd) as u64,
        exit_signal: libc::SIGCHLD as u64,
        cgroup: cgroup.as_raw_fd() as u64,
        ..CloneArgs::default()
    };
    if shares {
        args.flags |= libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64;
        args.stack = stack.as_mut_ptr() as u64;
        args.stack_size = STACK as u64;
    }
    // Descriptors close with the exec, and until then the new process looks like a member to members: none shall trace it or take
    // its descriptors. This process is woken before that is over, so that for it there is no way back. A change of user may undo
    // this, the exec takes it back.
    // SAFETY: no pointers.
    if unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the structure has the kernel's layout; the stack and `with` outlive the call, and the rest is the caller's promise.
    let pid = unsafe { clone3(&args, work, with) };
    if pid < 0 {
        return Err(io::Error::from_raw_os_error(-pid as i32));
    }
    // SAFETY: the kernel made this descriptor for us with CLONE_PIDFD, close-on-exec.
    Ok((pid as u32, unsafe { OwnedFd::from_raw_fd(pidfd) }))
}

/// The call; a negative errno if it fails. The new process begins with `work`, on a stack of its own.
#[cfg(target_arch = "x86_64")]
unsafe fn clone3<T>(
    args: &CloneArgs,
    work: unsafe extern "C" fn(*const T) -> !,
    with: *const T,
) -> isize {
    let pid: isize;
    // SAFETY: nothing of this function's stack is used in the new process, which never comes back here.
    unsafe {
        std::arch::asm!(
            "syscall",
            "test rax, rax",
            "jnz 2f",
            "xor ebp, ebp",
            "mov rdi, r12",
            "call r13",
            "ud2",
            "2:",
            inlateout("rax") libc::SYS_clone3 as isize => pid,
            in("rdi") args,
            in("rsi") size_of::<CloneArgs>(),
            in("r12") with,
            in("r13") work,
            lateout("rcx") _,
            lateout("r11") _,
        );
    }
    pid
}

/// As above.
#[cfg(target_arch = "aarch64")]
unsafe fn clone3<T>(
    args: &CloneArgs,
    work: unsafe extern "C" fn(*const T) -> !,
    with: *const T,
) -> isize {
    let pid: isize;
    // SAFETY: as above.
    unsafe {
        std::arch::asm!(
            "svc #0",
            "cbnz x0, 2f",
            "mov x29, xzr",
            "mov x0, x20",
            "blr x21",
            "brk #1",
            "2:",
            inlateout("x0") std::ptr::from_ref(args) as isize => pid,
            in("x1") size_of::<CloneArgs>(),
            in("x8") libc::SYS_clone3,
            in("x20") with,
            in("x21") work,
        );
    }
    pid
}

/// As above, where nobody wrote down how a process begins on another stack: it gets a copy of the memory.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
unsafe fn clone3<T>(
    args: &CloneArgs,
    work: unsafe extern "C" fn(*const T) -> !,
    with: *const T,
) -> isize {
    let copied = CloneArgs {
        flags: args.flags & !(libc::CLONE_VM as u64 | libc::CLONE_VFORK as u64),
        stack: 0,
        stack_size: 0,
        ..*args
    };
    // SAFETY: the structure has the kernel's layout and its size is given.
    match unsafe { libc::syscall(libc::SYS_clone3, &copied, size_of::<CloneArgs>()) } {
        // SAFETY: this is the new process.
        0 => unsafe { work(with) },
        -1 => -(super::child::errno() as isize),
        pid => pid as isize,
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::cgroup::Tree;

    unsafe extern "C" fn note(with: *const AtomicU32) -> ! {
        // SAFETY: it outlives this process's use of it.
        unsafe { (*with).store(1, Ordering::Relaxed) };
        // SAFETY: no pointers.
        unsafe { libc::_exit(0) }
    }

    #[test]
    fn memory_is_shared_only_where_it_is_asked_for() {
        let tree = Tree::under_mount(&format!("hlt-birth-{}", std::process::id())).unwrap();
        let cgroup = tree.create("box").unwrap();
        for shares in [true, false] {
            let noted = AtomicU32::new(0);
            // SAFETY: one store and an exit.
            let (_, process) = unsafe { bear(cgroup.fd(), shares, note, &noted) }.unwrap();
            let over = rustix::process::waitid(
                rustix::process::WaitId::PidFd(process.as_fd()),
                rustix::process::WaitIdOptions::EXITED,
            );
            assert_eq!(over.unwrap().unwrap().exit_status(), Some(0));
            assert_eq!(noted.load(Ordering::Relaxed), u32::from(shares));
        }
        tree.remove("box").unwrap();
        tree.remove_parent().unwrap();
    }
}
