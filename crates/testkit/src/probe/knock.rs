//! Calls that would change the kernel, or have it act, if they were allowed.

use std::fs::{File, OpenOptions};
use std::io::Error;
use std::os::fd::{AsRawFd, OwnedFd};

use super::breakout::{number, path};
use super::sockets::own;
use super::{Trouble, check, usage};

/// System calls by which the kernel itself could be changed. None of them changes anything if it works.
pub(super) fn call(name: &str, rest: &[&str]) -> Result<(), Trouble> {
    match (name, rest) {
        ("bpf-map", []) => bpf(0, &[2 | 4 << 32, 4 | 1 << 32]).map(drop),
        // Nothing to read its arguments from: what the kernel says to that, EFAULT, the filter does not let it come to.
        ("bpf-nothing", []) => {
            // SAFETY: the kernel finds that there is nothing to be read.
            let done = unsafe { libc::syscall(libc::SYS_bpf, 7, std::ptr::null::<u8>(), 128) };
            check(i32::try_from(done).unwrap_or(-1)).map(drop)
        }
        ("bpf-get", [pin]) => {
            let pin = path(pin)?;
            bpf(7, &[pin.as_ptr() as u64]).map(drop)
        }
        // The first that there is, by the commands for the next number and for a descriptor.
        ("bpf-program", []) => bpf_first(11, 13),
        ("bpf-table", []) => bpf_first(12, 14),
        ("bpf-link", []) => bpf_first(31, 30),
        ("bpf-detach", [cgroup]) => bpf_detach(cgroup),
        ("trace", [pid]) => {
            let pid: i32 = number(pid)?;
            // SAFETY: PTRACE_SEIZE reads no memory; the other process goes on as it is.
            let done = unsafe { libc::ptrace(libc::PTRACE_SEIZE, pid, 0usize, 0usize) };
            check(i32::try_from(done).unwrap_or(-1))?;
            Ok(())
        }
        ("module", []) => {
            // SAFETY: the arguments are an empty string and no descriptor.
            let done = unsafe { libc::syscall(libc::SYS_finit_module, -1, c"".as_ptr(), 0) };
            allowed(done, &[libc::EBADF])
        }
        ("kexec", []) => {
            // SAFETY: too many segments: refused before anything is read.
            let done = unsafe { libc::syscall(libc::SYS_kexec_load, 0, 1000, 0usize, 0) };
            allowed(done, &[libc::EINVAL])
        }
        ("ioperm", []) => {
            // SAFETY: takes no pointers; lets this process alone use one port.
            let done = unsafe { libc::syscall(libc::SYS_ioperm, 0x80, 1, 1) };
            check(i32::try_from(done).unwrap_or(-1)).map(drop)
        }
        // Every packet that the machine sends, by a tracepoint's number.
        ("perf", [tracepoint]) => {
            let mut attributes = [0u64; 16];
            attributes[0] = 2 | 128 << 32;
            attributes[1] = number(tracepoint)?;
            // SAFETY: the attributes are as long as they say.
            let fd = unsafe {
                libc::syscall(libc::SYS_perf_event_open, attributes.as_ptr(), -1, 0, -1, 0)
            };
            own(i32::try_from(fd).unwrap_or(-1)).map(drop)
        }
        ("mount", [kind]) => {
            let kind = path(kind)?;
            let at = c"/mnt";
            // SAFETY: the strings are terminated and live through the call.
            check(unsafe {
                libc::mount(
                    kind.as_ptr(),
                    at.as_ptr(),
                    kind.as_ptr(),
                    0,
                    std::ptr::null(),
                )
            })?;
            // SAFETY: as above.
            check(unsafe { libc::umount2(at.as_ptr(), libc::MNT_DETACH) }).map(drop)
        }
        ("mknod", [place, major, minor]) => {
            let at = path(place)?;
            let device = libc::makedev(number(major)?, number(minor)?);
            // SAFETY: the path is terminated and lives through the call.
            check(unsafe { libc::mknod(at.as_ptr(), libc::S_IFBLK | 0o600, device) })?;
            Ok(std::fs::remove_file(place)?)
        }
        // An interface of its own in the network namespace that it is in.
        ("tun", []) => {
            let tun = OpenOptions::new()
                .read(true)
                .write(true)
                .open("/dev/net/tun")?;
            let mut request = [0u8; 40];
            request[..3].copy_from_slice(b"hlt");
            request[16] = 1;
            request[17] = 0x10;
            let set_interface = 0x4004_54ca;
            // SAFETY: the request is as long as the kernel's structure.
            let done = unsafe { libc::ioctl(tun.as_raw_fd(), set_interface, request.as_mut_ptr()) };
            check(done).map(drop)
        }
        // Has the kernel start its helper for keys, outside.
        ("request-key", [kind]) => {
            let kind = path(kind)?;
            // SAFETY: the strings are terminated and live through the call.
            let key = unsafe {
                libc::syscall(
                    libc::SYS_request_key,
                    kind.as_ptr(),
                    c"hostlet.invalid".as_ptr(),
                    c"".as_ptr(),
                    -1,
                )
            };
            // ENOENT is about the helper, which the kernel looked for then.
            allowed(
                key,
                &[
                    libc::ENOKEY,
                    libc::EKEYREJECTED,
                    libc::EKEYREVOKED,
                    libc::ENOENT,
                ],
            )
        }
        _ => usage(format!("no call {name}")),
    }
}

/// A call that worked, or failed for another reason than that it is not allowed.
fn allowed(answer: libc::c_long, harmless: &[i32]) -> Result<(), Trouble> {
    if answer >= 0 {
        return Ok(());
    }
    match Error::last_os_error().raw_os_error() {
        Some(errno) if harmless.contains(&errno) => Ok(()),
        errno => Err(Trouble::Errno(errno.unwrap_or(0))),
    }
}

fn bpf_first(next: u32, get: u32) -> Result<(), Trouble> {
    let (_, said) = bpf_command(next, &[])?;
    bpf(get, &[said[0] >> 32]).map(drop)
}

/// Takes the program for ingress off a cgroup, by its number and a descriptor of it, and puts it back.
fn bpf_detach(cgroup: &str) -> Result<(), Trouble> {
    let dir = File::open(cgroup)?;
    let target = dir.as_raw_fd() as u64;
    let mut number = 0u32;
    bpf_command(16, &[target, 0, (&raw mut number) as u64, 1])?;
    let program = bpf(13, &[number.into()])?;
    let both = target | (program.as_raw_fd() as u64) << 32;
    bpf_command(9, &[both, 0])?;
    // Beside others (BPF_F_ALLOW_MULTI), as it was.
    bpf_command(8, &[both, 2 << 32]).map(drop)
}

/// A descriptor, by a command that gives one.
fn bpf(command: u32, words: &[u64]) -> Result<OwnedFd, Trouble> {
    let (fd, _) = bpf_command(command, words)?;
    own(fd)
}

/// The answer of a command, and its attributes after it.
fn bpf_command(command: u32, words: &[u64]) -> Result<(i32, [u64; 16]), Trouble> {
    let mut attributes = [0u64; 16];
    attributes[..words.len()].copy_from_slice(words);
    // SAFETY: the attributes are as long as they say, and what they name lives through the call.
    let done = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            attributes.as_mut_ptr(),
            size_of_val(&attributes),
        )
    };
    let done = i32::try_from(done).unwrap_or(-1);
    check(done)?;
    Ok((done, attributes))
}
