//! io_uring by raw system calls: one ring, one request, one completion.

use std::mem::size_of;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU32, Ordering};

use super::address::SockAddr;
use super::io::show;
use super::message::{Message, Room};
use super::sockets::{Made, make_patient, own};
use super::{Outcome, Trouble, check, patience_ms, usage};

const OP_POLL_ADD: u8 = 6;
const OP_SENDMSG: u8 = 9;
const OP_RECVMSG: u8 = 10;
const OP_ACCEPT: u8 = 13;
const OP_LINK_TIMEOUT: u8 = 15;
const OP_CONNECT: u8 = 16;
const OP_SEND: u8 = 26;
const OP_RECV: u8 = 27;
const OP_SOCKET: u8 = 45;
const OP_BIND: u8 = 56;
const OP_LISTEN: u8 = 57;
const LINK: u8 = 1 << 2;
const ENTER_GETEVENTS: u32 = 1;
const FEAT_SINGLE_MMAP: u32 = 1;
const OFF_SQES: i64 = 0x1000_0000;

#[repr(C)]
#[derive(Default)]
struct Params {
    sq_entries: u32,
    cq_entries: u32,
    flags: u32,
    sq_thread_cpu: u32,
    sq_thread_idle: u32,
    features: u32,
    wq_fd: u32,
    resv: [u32; 3],
    sq_off: Offsets,
    cq_off: Offsets,
}

/// head, tail, mask, entries; then flags, dropped, array for the submission ring and
/// overflow, cqes, flags for the completion ring.
#[repr(C)]
#[derive(Default)]
struct Offsets {
    head: u32,
    tail: u32,
    ring_mask: u32,
    ring_entries: u32,
    fifth: u32,
    sixth: u32,
    seventh: u32,
    resv: u32,
    user_addr: u64,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct Request {
    opcode: u8,
    flags: u8,
    ioprio: u16,
    fd: i32,
    off: u64,
    addr: u64,
    len: u32,
    op_flags: u32,
    user_data: u64,
    rest: [u64; 3],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Completion {
    user_data: u64,
    res: i32,
    flags: u32,
}

struct Map {
    at: *mut u8,
    len: usize,
}

impl Map {
    fn new(fd: RawFd, len: usize, offset: i64) -> Result<Map, Trouble> {
        let (prot, flags) = (
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_POPULATE,
        );
        // SAFETY: a new mapping at a place of the kernel's choice.
        let at = unsafe { libc::mmap(std::ptr::null_mut(), len, prot, flags, fd, offset) };
        if at == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error().into());
        }
        Ok(Map { at: at.cast(), len })
    }

    fn word(&self, offset: u32) -> &AtomicU32 {
        // SAFETY: the kernel names only offsets of aligned words within the mapping.
        unsafe { AtomicU32::from_ptr(self.at.add(offset as usize).cast()) }
    }
}

impl Drop for Map {
    fn drop(&mut self) {
        // SAFETY: it is our mapping, and nothing refers to it any more.
        unsafe { libc::munmap(self.at.cast(), self.len) };
    }
}

/// Submits the request, waits for its completion, answers with its result.
fn run(request: Request) -> Result<i32, Trouble> {
    let mut params = Params::default();
    // SAFETY: the kernel reads and writes the parameters, which live through the call.
    let fd = unsafe { libc::syscall(libc::SYS_io_uring_setup, 4u32, &raw mut params) };
    let ring: OwnedFd = own(i32::try_from(fd).unwrap_or(-1))?;
    if params.features & FEAT_SINGLE_MMAP == 0 {
        return usage("this kernel's io_uring is too old");
    }
    let completions =
        params.cq_off.sixth as usize + params.cq_entries as usize * size_of::<Completion>();
    let submissions = params.sq_off.seventh as usize + params.sq_entries as usize * 4;
    let map = Map::new(ring.as_raw_fd(), completions.max(submissions), 0)?;
    let requests = Map::new(
        ring.as_raw_fd(),
        params.sq_entries as usize * size_of::<Request>(),
        OFF_SQES,
    )?;
    let ms = i64::from(patience_ms());
    let wait = [ms / 1000, ms % 1000 * 1_000_000];
    // A linked timeout ends a request that would wait for ever.
    let both = [
        Request {
            user_data: 1,
            flags: LINK,
            ..request
        },
        Request {
            opcode: OP_LINK_TIMEOUT,
            fd: -1,
            addr: (&raw const wait) as u64,
            len: 1,
            user_data: 2,
            ..Request::default()
        },
    ];
    for (index, request) in (0u32..).zip(both) {
        // SAFETY: both indices are below the number of entries that was asked for.
        unsafe {
            requests
                .at
                .cast::<Request>()
                .add(index as usize)
                .write(request)
        };
        map.word(params.sq_off.seventh + index * 4)
            .store(index, Ordering::Relaxed);
    }
    map.word(params.sq_off.tail).store(2, Ordering::Release);
    // SAFETY: everything that the requests name lives until both have completed.
    let entered = unsafe {
        libc::syscall(
            libc::SYS_io_uring_enter,
            ring.as_raw_fd(),
            2u32,
            2u32,
            ENTER_GETEVENTS,
            std::ptr::null::<u8>(),
            0usize,
        )
    };
    check(i32::try_from(entered).unwrap_or(-1))?;
    for index in 0..map.word(params.cq_off.tail).load(Ordering::Acquire) {
        let place = params.cq_off.sixth as usize + index as usize * size_of::<Completion>();
        // SAFETY: the kernel has written this completion: it is before the tail.
        let done = unsafe { map.at.add(place).cast::<Completion>().read() };
        if done.user_data == 1 {
            return if done.res < 0 {
                Err(Trouble::Errno(-done.res))
            } else {
                Ok(done.res)
            };
        }
    }
    usage("io_uring lost the completion")
}

pub(crate) fn accept(listener: RawFd) -> Made {
    let mut from = SockAddr::room();
    let request = Request {
        opcode: OP_ACCEPT,
        fd: listener,
        addr: from.ptr_mut() as u64,
        off: (&raw mut from.len) as u64,
        op_flags: libc::SOCK_CLOEXEC as u32,
        ..Request::default()
    };
    let fd = own(run(request)?)?;
    make_patient(fd.as_raw_fd());
    Ok((fd, format!("from {}", from.show())))
}

pub(crate) fn socket(family: i32, kind: i32, protocol: i32) -> Made {
    let request = Request {
        opcode: OP_SOCKET,
        fd: family,
        off: kind as u64,
        len: protocol as u32,
        ..Request::default()
    };
    let fd = own(run(request)?)?;
    make_patient(fd.as_raw_fd());
    Ok((fd, "ok".into()))
}

/// As programs do on kernels before 6.11, which have no such request and say EINVAL. Where
/// the kernel has it, and means EINVAL, the call says so again.
fn or_as_ever(asked: Result<i32, Trouble>, call: impl FnOnce() -> libc::c_int) -> Outcome {
    match asked {
        Err(Trouble::Errno(libc::EINVAL)) => check(call())?,
        other => other?,
    };
    Ok("ok".into())
}

pub(crate) fn perform(op: &str, fd: RawFd, args: &[&str]) -> Outcome {
    let base = Request {
        fd,
        ..Request::default()
    };
    match (op, args) {
        ("uring-connect", [to]) => {
            let to = SockAddr::parse(to)?;
            let addr = to.ptr() as u64;
            run(Request {
                opcode: OP_CONNECT,
                addr,
                off: u64::from(to.len),
                ..base
            })?;
            Ok("ok".into())
        }
        ("uring-bind", [to]) => {
            let to = SockAddr::parse(to)?;
            let addr = to.ptr() as u64;
            let asked = run(Request {
                opcode: OP_BIND,
                addr,
                off: u64::from(to.len),
                ..base
            });
            // SAFETY: the address lives through the call.
            or_as_ever(asked, || unsafe { libc::bind(fd, to.ptr(), to.len) })
        }
        ("uring-send", [text]) => {
            let (addr, len) = (text.as_ptr() as u64, text.len() as u32);
            let op_flags = libc::MSG_NOSIGNAL as u32;
            run(Request {
                opcode: OP_SEND,
                addr,
                len,
                op_flags,
                ..base
            })?;
            Ok("ok".into())
        }
        ("uring-listen", []) => {
            let asked = run(Request {
                opcode: OP_LISTEN,
                len: 16,
                ..base
            });
            // SAFETY: a plain system call.
            or_as_ever(asked, || unsafe { libc::listen(fd, 16) })
        }
        ("uring-sendto" | "uring-sendmsg", [to, text, rest @ ..]) => {
            Message::parse(to, text, rest)?.with_header(|header| {
                run(Request {
                    opcode: OP_SENDMSG,
                    addr: (&raw const *header) as u64,
                    len: 1,
                    ..base
                })?;
                Ok("ok".into())
            })
        }
        ("uring-recvfrom", []) => {
            let mut room = Room::new();
            let mut header = room.header();
            let got = run(Request {
                opcode: OP_RECVMSG,
                addr: (&raw mut header) as u64,
                len: 1,
                ..base
            })?;
            room.show(&header, usize::try_from(got).unwrap_or(0))
        }
        ("uring-recv", []) => {
            let mut buffer = [0u8; 512];
            let (addr, len) = (buffer.as_mut_ptr() as u64, buffer.len() as u32);
            let got = run(Request {
                opcode: OP_RECV,
                addr,
                len,
                ..base
            })?;
            Ok(show(&buffer[..usize::try_from(got).unwrap_or(0)]))
        }
        ("uring-poll", []) => {
            let op_flags = libc::POLLIN as u32;
            let events = run(Request {
                opcode: OP_POLL_ADD,
                op_flags,
                ..base
            })?;
            Ok(super::ready::show(events as libc::c_short))
        }
        _ => usage(format!("{op}: the wrong number of words")),
    }
}
