//! Ways out of a hostlet: system calls that only somebody hostile makes.
//!
//! What leads out ends in a *shout*: a datagram from an address of somebody else, sent
//! from where the way leads. Whoever listens on the wire sees whether it came out.

use std::ffi::CString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::OpenOptionsExt;

use super::address::{SockAddr, parse_ip};
use super::escape::{in_child, remount_writable};
use super::options::set_bytes;
use super::sockets::own;
use super::{Outcome, Trouble, chain, check, knock, usage};

const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;
/// The kind of file handle that the cgroup file system has: a 64-bit id.
const FILEID_KERNFS: i32 = 0xfe;

pub(super) struct Shout {
    from: SockAddr,
    to: SockAddr,
}

impl Shout {
    pub(super) fn call(&self) -> Result<(), Trouble> {
        // SAFETY: takes no pointers.
        let fd = own(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM, 0) })?;
        // SAFETY: the address is as long as its length says.
        check(unsafe { libc::bind(fd.as_raw_fd(), self.from.ptr(), self.from.len) })?;
        self.through(fd.as_raw_fd())
    }

    fn through(&self, fd: RawFd) -> Result<(), Trouble> {
        let text = b"shout";
        // SAFETY: buffer and address are as long as said.
        let sent = unsafe {
            libc::sendto(
                fd,
                text.as_ptr().cast(),
                text.len(),
                0,
                self.to.ptr(),
                self.to.len,
            )
        };
        check(i32::try_from(sent).unwrap_or(-1)).map(drop)
    }
}

pub(crate) fn perform(op: &str, args: &[&str]) -> Outcome {
    match (op, args) {
        ("escape", [kind, from, to, rest @ ..]) => {
            let shout = Shout {
                from: SockAddr::parse(from)?,
                to: SockAddr::parse(to)?,
            };
            escape(kind, rest, &shout)
        }
        ("catch", [seconds, procs]) => catch(number(seconds)?, procs),
        ("chain", [count, seconds, from, to]) => {
            let shout = Shout {
                from: SockAddr::parse(from)?,
                to: SockAddr::parse(to)?,
            };
            chain::start(number(count)?, number(seconds)?, &shout)
        }
        ("links", []) => Ok(chain::links().to_string()),
        // Opens for writing, and writes nothing.
        ("openable", [path]) => {
            OpenOptions::new().write(true).open(path)?;
            Ok("ok".into())
        }
        // Runs a program to its end.
        ("command", [program, args @ ..]) => {
            let mut command = std::process::Command::new(program);
            command.args(args).stdin(std::process::Stdio::null());
            let done = command.env("LC_ALL", "C").output()?;
            let said = String::from_utf8_lossy(&done.stderr);
            Ok(match done.status.code() {
                Some(0) => "ok".into(),
                // By its exit status alone it may have failed for any reason.
                Some(_) if said.contains("Operation not permitted") => "EPERM".into(),
                Some(code) => format!("exit {code}"),
                None => "killed".into(),
            })
        }
        // In a child: what is traced or changed by it is let go with it.
        ("call", [name, rest @ ..]) => in_child(|| knock::call(name, rest)),
        _ => usage(format!("{op}: the wrong number of words")),
    }
}

/// Header options: a route that packets shall take.
pub(crate) fn on_socket(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    match (op, args) {
        ("source-route", [kind, hops @ ..]) => {
            let code = match *kind {
                "loose" => 131,
                "strict" => 137,
                _ => return usage("source-route SOCKET loose|strict HOP…"),
            };
            let mut option = vec![1u8, code, u8::try_from(3 + hops.len() * 4).unwrap_or(0), 4];
            for hop in hops {
                match parse_ip(hop)? {
                    std::net::IpAddr::V4(hop) => option.extend(hop.octets()),
                    std::net::IpAddr::V6(_) => return usage("an IPv4 address"),
                }
            }
            set_bytes(fd, libc::IPPROTO_IP, libc::IP_OPTIONS, &option)?;
        }
        // A routing header of segments: one hop, then the destination, which the kernel fills in.
        ("routing-header", [hop]) => {
            let std::net::IpAddr::V6(hop) = parse_ip(hop)? else {
                return usage("an IPv6 address");
            };
            let mut header = vec![0u8, 4, 4, 1, 1, 0, 0, 0];
            header.extend([0; 16]);
            header.extend(hop.octets());
            set_bytes(fd, libc::IPPROTO_IPV6, libc::IPV6_RTHDR, &header)?;
        }
        // Filters packets by a program of one's own.
        ("filter", []) => {
            let all = libc::sock_filter {
                code: 6,
                jt: 0,
                jf: 0,
                k: u32::MAX,
            };
            let program = libc::sock_fprog {
                len: 1,
                filter: (&raw const all).cast_mut(),
            };
            super::options::set(fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        }
        _ => return usage(format!("{op}: the wrong number of words")),
    }
    Ok("ok".into())
}

pub(super) fn number<T: std::str::FromStr>(text: &str) -> Result<T, Trouble> {
    text.parse()
        .or_else(|_| usage(format!("no number: {text}")))
}

pub(super) fn path(text: &str) -> Result<CString, Trouble> {
    CString::new(text).or_else(|_| usage("a zero byte"))
}

/// Moves whoever calls into the cgroup.
fn move_self(mut procs: File) -> Result<(), Trouble> {
    Ok(procs.write_all(b"0")?)
}

fn escape(kind: &str, rest: &[&str], shout: &Shout) -> Outcome {
    const OWN: i32 = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP;
    match (kind, rest) {
        ("stay", []) => in_child(|| shout.call()),
        ("write", [procs]) => in_child(|| {
            move_self(OpenOptions::new().write(true).open(procs)?)?;
            shout.call()
        }),
        ("clone3", [cgroup]) => in_child(|| {
            clone_into(cgroup)?;
            shout.call()
        }),
        // The directory is opened with the rights of a user whose processes can be looked into, and
        // written to with root's.
        ("borrow", [uid, root, procs]) => in_child(|| {
            let uid: u32 = number(uid)?;
            let as_file_user = |uid: u32| {
                // SAFETY: no pointers. Their result says nothing of whether it worked.
                unsafe {
                    libc::setfsgid(uid);
                    libc::setfsuid(uid);
                }
            };
            as_file_user(uid);
            let dir = OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
                .open(root);
            as_file_user(0);
            let dir = dir?;
            let procs = path(procs.trim_start_matches('/'))?;
            // SAFETY: the path is terminated and lives through the call.
            let file =
                own(unsafe { libc::openat(dir.as_raw_fd(), procs.as_ptr(), libc::O_WRONLY) })?;
            move_self(file.into())?;
            shout.call()
        }),
        ("remount", [procs]) => in_child(|| {
            // SAFETY: takes no pointers.
            check(unsafe { libc::unshare(OWN) })?;
            remount_writable();
            move_self(OpenOptions::new().write(true).open(procs)?)?;
            shout.call()
        }),
        // A cgroup file system of its own, which is writable.
        ("fresh", []) => in_child(|| {
            let dir = fresh_cgroups(false)?;
            move_self(open_at(dir.as_raw_fd(), c"cgroup.procs")?)?;
            shout.call()
        }),
        // The same, and out of it by the number of the root cgroup.
        ("handle", []) => {
            let shared = shared_child(|| fresh_cgroups(true))?;
            in_child(|| {
                let dir = open_handle(shared.as_raw_fd(), 1)?;
                move_self(open_at(dir.as_raw_fd(), c"cgroup.procs")?)?;
                shout.call()
            })
        }
        ("unshare", [kinds]) => in_child(|| {
            let mut flags = 0;
            for kind in kinds.split('+') {
                flags |= match kind {
                    "user" => libc::CLONE_NEWUSER,
                    "net" => libc::CLONE_NEWNET,
                    "mount" => libc::CLONE_NEWNS,
                    "cgroup" => libc::CLONE_NEWCGROUP,
                    "pid" => libc::CLONE_NEWPID,
                    _ => return Err(Trouble::Usage(format!("no namespace {kind}"))),
                };
            }
            // SAFETY: takes no pointers.
            check(unsafe { libc::unshare(flags) })?;
            shout.call()
        }),
        ("setns", [place]) => in_child(|| {
            let file = File::open(place)?;
            // SAFETY: takes no pointers.
            check(unsafe { libc::setns(file.as_raw_fd(), 0) })?;
            shout.call()
        }),
        // A socket of another process, as the same user or as one that root becomes.
        ("take", [uid, pid, fd]) => in_child(|| {
            if *uid != "-" {
                let uid: u32 = number(uid)?;
                // SAFETY: takes no pointers; this child alone.
                check(unsafe { libc::setresgid(uid, uid, uid) })?;
                // SAFETY: as above.
                check(unsafe { libc::setresuid(uid, uid, uid) })?;
            }
            let (pid, fd): (i32, i32) = (number(pid)?, number(fd)?);
            // SAFETY: takes no pointers.
            let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            let process = own(i32::try_from(process).unwrap_or(-1))?;
            // SAFETY: takes no pointers.
            let got = unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
            shout.through(own(i32::try_from(got).unwrap_or(-1))?.as_raw_fd())
        }),
        _ => usage(format!("no way out is called {kind}")),
    }
}

/// Continues as a child in the cgroup; the caller waits and ends as that does.
fn clone_into(cgroup: &str) -> Result<(), Trouble> {
    let dir = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(cgroup)?;
    let mut args = [0u64; 11];
    args[0] = CLONE_INTO_CGROUP;
    args[4] = libc::SIGCHLD as u64;
    args[10] = dir.as_raw_fd() as u64;
    // SAFETY: the arguments have the kernel's layout and size. This process has one thread.
    let pid = unsafe { libc::syscall(libc::SYS_clone3, args.as_ptr(), size_of_val(&args)) };
    let pid = check(i32::try_from(pid).unwrap_or(-1))?;
    if pid == 0 {
        return Ok(());
    }
    let mut status = 0;
    // SAFETY: the status lives through the call; _exit takes no pointers.
    unsafe {
        libc::waitpid(pid, &raw mut status, 0);
        libc::_exit(libc::WEXITSTATUS(status))
    }
}

fn fresh_cgroups(keep_open: bool) -> Result<OwnedFd, Trouble> {
    let flags = libc::CLONE_NEWUSER | libc::CLONE_NEWNS | libc::CLONE_NEWCGROUP;
    // SAFETY: takes no pointers.
    check(unsafe { libc::unshare(flags) })?;
    let (kind, at) = (c"cgroup2", c"/tmp");
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
    let close = if keep_open { 0 } else { libc::O_CLOEXEC };
    let how = libc::O_RDONLY | libc::O_DIRECTORY | close;
    // SAFETY: as above.
    own(unsafe { libc::open(at.as_ptr(), how) })
}

fn open_at(dir: RawFd, name: &std::ffi::CStr) -> Result<File, Trouble> {
    // SAFETY: the name is terminated and lives through the call.
    own(unsafe { libc::openat(dir, name.as_ptr(), libc::O_WRONLY) }).map(File::from)
}

/// What a child that shares our descriptors opens.
fn shared_child(work: impl FnOnce() -> Result<OwnedFd, Trouble>) -> Result<OwnedFd, Trouble> {
    let flags = libc::CLONE_FILES | libc::SIGCHLD;
    // SAFETY: like fork, but for the table of descriptors, which only one of us uses at a time.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, 0, 0, 0) };
    let pid = check(i32::try_from(pid).unwrap_or(-1))?;
    if pid == 0 {
        // Descriptors are small; errors are made large.
        let status = match work() {
            Ok(fd) => std::os::fd::IntoRawFd::into_raw_fd(fd),
            Err(Trouble::Errno(errno)) => 128 + errno.min(100),
            Err(_) => 255,
        };
        // SAFETY: takes no pointers.
        unsafe { libc::_exit(status) };
    }
    let mut status = 0;
    // SAFETY: the status lives through the call.
    check(unsafe { libc::waitpid(pid, &raw mut status, 0) })?;
    match libc::WEXITSTATUS(status) {
        // SAFETY: the child left this descriptor to us.
        fd @ 3..128 => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        other => Err(Trouble::Errno(other - 128)),
    }
}

fn open_handle(mount: RawFd, id: u64) -> Result<OwnedFd, Trouble> {
    #[repr(C)]
    struct Handle {
        bytes: u32,
        kind: i32,
        id: [u8; 8],
    }
    let mut handle = Handle {
        bytes: 8,
        kind: FILEID_KERNFS,
        id: id.to_ne_bytes(),
    };
    let how = libc::O_RDONLY | libc::O_DIRECTORY;
    // SAFETY: the handle has the kernel's layout and lives through the call.
    let fd = unsafe { libc::syscall(libc::SYS_open_by_handle_at, mount, &raw mut handle, how) };
    own(i32::try_from(fd).unwrap_or(-1))
}

/// Tries for so long to take a descriptor of whoever comes into the cgroup, before its program starts.
fn catch(seconds: u64, procs: &str) -> Outcome {
    let end = std::time::Instant::now() + std::time::Duration::from_secs(seconds);
    let read = || -> Result<Vec<i32>, Trouble> {
        let text = std::fs::read_to_string(procs)?;
        Ok(text.lines().filter_map(|l| l.parse().ok()).collect())
    };
    let before = read()?;
    while std::time::Instant::now() < end {
        for pid in read()?.into_iter().filter(|p| !before.contains(p)) {
            // SAFETY: takes no pointers.
            let process = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
            let Ok(process) = own(i32::try_from(process).unwrap_or(-1)) else {
                continue;
            };
            for fd in 3..16 {
                // SAFETY: takes no pointers.
                let got =
                    unsafe { libc::syscall(libc::SYS_pidfd_getfd, process.as_raw_fd(), fd, 0) };
                if let Ok(got) = own(i32::try_from(got).unwrap_or(-1)) {
                    let what = std::fs::read_link(format!("/proc/self/fd/{}", got.as_raw_fd()))?;
                    let what = what.display().to_string();
                    // After the exec the program's loader opens its libraries.
                    if !what.contains(".so") && !what.contains("/locale") {
                        return Ok(format!("caught {what}"));
                    }
                }
            }
        }
    }
    Ok("nobody".into())
}
