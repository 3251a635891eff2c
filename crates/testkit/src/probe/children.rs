//! Children of a probe: forked, executed anew, and given sockets.
//!
//! Parent and child talk over a sequenced-packet socket pair: one packet a line,
//! a handed-over socket rides along with it.

use std::ffi::CString;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;

use super::sockets::{Made, own};
use super::{Actor, Outcome, Trouble, check, check_len, usage};

/// A running child.
pub(crate) struct Child {
    pid: libc::pid_t,
    line: OwnedFd,
}

impl Child {
    fn ask(&self, line: &str, socket: Option<RawFd>) -> Outcome {
        send(self.line.as_raw_fd(), line, socket)?;
        match receive(self.line.as_raw_fd())? {
            Some((answer, _)) => Ok(answer),
            None => Ok("child-gone".into()),
        }
    }

    fn end(self, signal: Option<i32>) -> Outcome {
        if let Some(signal) = signal {
            // SAFETY: takes no pointers; the pid is that of our own unreaped child.
            check(unsafe { libc::kill(self.pid, signal) })?;
        }
        // Its end of the pair sees the end of file and leaves.
        drop(self.line);
        let mut status = 0;
        // SAFETY: the status lives through the call.
        check(unsafe { libc::waitpid(self.pid, &raw mut status, 0) })?;
        Ok("ok".into())
    }
}

impl Actor {
    /// Ends the children and waits for them, so that none is left when this ends.
    pub(crate) fn end_children(&mut self) {
        for (_, child) in self.children.drain() {
            let _ = child.end(None);
        }
    }

    pub(crate) fn forward(&self, child: &str, line: &str) -> Outcome {
        self.child(child)?.ask(line, None)
    }

    fn child(&self, name: &str) -> Result<&Child, Trouble> {
        self.children
            .get(name)
            .ok_or_else(|| Trouble::Usage(format!("no child {name}")))
    }

    pub(crate) fn children_op(&mut self, op: &str, args: &[&str]) -> Outcome {
        match (op, args) {
            // A child with all sockets of its parent.
            ("fork", [name]) => {
                let (ours, theirs) = pair()?;
                // SAFETY: a probe has one thread, so the child may do as it likes.
                let pid = check(unsafe { libc::fork() })?;
                if pid == 0 {
                    drop(ours);
                    self.children.clear();
                    let status = serve(self, &theirs);
                    // SAFETY: takes no pointers. The parent's exit handlers are not ours to run.
                    unsafe { libc::_exit(status) };
                }
                self.children
                    .insert((*name).into(), Child { pid, line: ours });
                Ok("ok".into())
            }
            // The program started anew with the named sockets and no others.
            ("exec", [name, sockets @ ..]) => {
                let program = std::env::current_exe()?;
                self.exec(&program, name, sockets)?;
                // It is there when it answers: until then there are copies of all sockets.
                let line = format!("patience {}", super::patience_ms());
                self.child(name)?.ask(&line, None)
            }
            // The same with another program, a copy of this one.
            ("exec-as", [program, name, sockets @ ..]) => {
                self.exec(Path::new(program), name, sockets)
            }
            ("give", [socket, child]) => self
                .child(child)?
                .ask(&format!("+{socket}"), Some(self.socket(socket)?)),
            ("exit" | "kill", [name]) => match self.children.remove(*name) {
                Some(child) => child.end((op == "kill").then_some(libc::SIGKILL)),
                None => usage(format!("no child {name}")),
            },
            // To whoever takes it there: another program, inside or outside.
            ("hand", [socket, path]) => {
                let (fd, listener) = (self.socket(socket)?, unix_listener(path)?);
                let taker = own_accept(&listener)?;
                send(taker.as_raw_fd(), "here", Some(fd))?;
                Ok("ok".into())
            }
            _ => usage(
                "fork NAME, exec NAME SOCKET…, exec-as PROGRAM NAME SOCKET…, give SOCKET NAME, exit NAME, kill NAME",
            ),
        }
    }

    fn exec(&mut self, program: &Path, name: &str, sockets: &[&str]) -> Outcome {
        let (ours, theirs) = pair()?;
        let mut words = vec!["--child".to_owned(), theirs.as_raw_fd().to_string()];
        let mut keep = vec![theirs.as_raw_fd()];
        for socket in sockets {
            // A program is replaced with what it has.
            if let Ok(fd) = self.socket(socket) {
                words.push(format!("{socket}={fd}"));
                keep.push(fd);
            }
        }
        let words = arguments(program, &words)?;
        // SAFETY: a probe has one thread, so the child may do as it likes.
        let pid = check(unsafe { libc::fork() })?;
        if pid == 0 {
            execute(&words, &keep);
        }
        self.children.insert(name.into(), Child { pid, line: ours });
        Ok("ok".into())
    }

    /// A socket that another program hands out at this path.
    pub(crate) fn take(&self, path: &str) -> Made {
        let line = unix_connect(path)?;
        match receive(line.as_raw_fd())? {
            Some((_, Some(fd))) => Ok((fd, "ok".into())),
            _ => usage("nothing was handed over"),
        }
    }
}

/// What a child does until its parent leaves.
fn serve(actor: &mut Actor, line: &OwnedFd) -> i32 {
    let status = answer(actor, line);
    actor.end_children();
    status
}

fn answer(actor: &mut Actor, line: &OwnedFd) -> i32 {
    loop {
        match receive(line.as_raw_fd()) {
            Ok(Some((text, socket))) => {
                let answer = match (text.strip_prefix('+'), socket) {
                    (Some(name), Some(fd)) => {
                        actor.sockets.insert(name.into(), fd);
                        "ok".into()
                    }
                    _ => actor.perform(&text),
                };
                if send(line.as_raw_fd(), &answer, None).is_err() {
                    return 1;
                }
            }
            Ok(None) => return 0,
            Err(_) => return 1,
        }
    }
}

/// The new program of an `exec`: `FD [NAME=FD]…`.
pub(crate) fn main_after_exec(mut args: impl Iterator<Item = String>) -> ExitCode {
    let take = |text: &str| -> Option<OwnedFd> {
        let fd: RawFd = text.parse().ok()?;
        // SAFETY: the parent kept exactly these descriptors open for us.
        Some(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let Some(line) = args.next().as_deref().and_then(take) else {
        return ExitCode::FAILURE;
    };
    let mut actor = Actor::default();
    for word in args {
        let Some((name, fd)) = word.split_once('=') else {
            return ExitCode::FAILURE;
        };
        let Some(fd) = take(fd) else {
            return ExitCode::FAILURE;
        };
        actor.sockets.insert(name.into(), fd);
    }
    if serve(&mut actor, &line) == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn arguments(program: &Path, words: &[String]) -> Result<Vec<CString>, Trouble> {
    let mut all = vec![CString::new(program.as_os_str().as_bytes()).unwrap_or_default()];
    for word in words {
        all.push(CString::new(word.as_str()).unwrap_or_default());
    }
    Ok(all)
}

fn execute(words: &[CString], keep: &[RawFd]) -> ! {
    for fd in keep {
        // SAFETY: takes no pointers.
        unsafe { libc::fcntl(*fd, libc::F_SETFD, 0) };
    }
    let mut pointers: Vec<_> = words.iter().map(|w| w.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: program and arguments are terminated and live until the new program replaces us.
    unsafe {
        libc::execv(pointers[0], pointers.as_ptr());
        libc::_exit(127)
    }
}

fn pair() -> Result<(OwnedFd, OwnedFd), Trouble> {
    let mut fds = [0; 2];
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: room for two descriptors.
    check(unsafe { libc::socketpair(libc::AF_UNIX, kind, 0, fds.as_mut_ptr()) })?;
    // SAFETY: the kernel just made both for us alone.
    Ok(unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) })
}

fn unix_address(path: &str) -> libc::sockaddr_un {
    // SAFETY: all zeroes is valid.
    let mut address: libc::sockaddr_un = unsafe { zeroed() };
    address.sun_family = libc::AF_UNIX as libc::sa_family_t;
    for (to, from) in address.sun_path.iter_mut().zip(path.bytes().take(100)) {
        *to = from as libc::c_char;
    }
    address
}

const UNIX_LEN: libc::socklen_t = size_of::<libc::sockaddr_un>() as libc::socklen_t;

fn unix_socket() -> Result<OwnedFd, Trouble> {
    let kind = libc::SOCK_SEQPACKET | libc::SOCK_CLOEXEC;
    // SAFETY: takes no pointers.
    own(unsafe { libc::socket(libc::AF_UNIX, kind, 0) })
}

fn unix_listener(path: &str) -> Result<OwnedFd, Trouble> {
    let _ = std::fs::remove_file(path);
    let (fd, address) = (unix_socket()?, unix_address(path));
    // SAFETY: the address is as long as said.
    check(unsafe { libc::bind(fd.as_raw_fd(), (&raw const address).cast(), UNIX_LEN) })?;
    // SAFETY: takes no pointers.
    check(unsafe { libc::listen(fd.as_raw_fd(), 1) })?;
    Ok(fd)
}

fn own_accept(listener: &OwnedFd) -> Result<OwnedFd, Trouble> {
    super::sockets::make_patient(listener.as_raw_fd());
    // SAFETY: no address is wanted.
    own(unsafe {
        libc::accept4(
            listener.as_raw_fd(),
            std::ptr::null_mut(),
            std::ptr::null_mut(),
            libc::SOCK_CLOEXEC,
        )
    })
}

/// Connects as soon as somebody hands something out there.
fn unix_connect(path: &str) -> Result<OwnedFd, Trouble> {
    let (fd, address) = (unix_socket()?, unix_address(path));
    let found = crate::wait::until("somebody to hand out a socket", || {
        // SAFETY: the address is as long as said.
        unsafe { libc::connect(fd.as_raw_fd(), (&raw const address).cast(), UNIX_LEN) == 0 }
    });
    found.map_err(|e| Trouble::Usage(e.to_string()))?;
    Ok(fd)
}

/// Room for one descriptor as ancillary data.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn send(line: RawFd, text: &str, socket: Option<RawFd>) -> Result<(), Trouble> {
    let mut bytes = text.as_bytes().to_vec();
    let mut part = libc::iovec {
        iov_base: bytes.as_mut_ptr().cast(),
        iov_len: bytes.len(),
    };
    let mut control = Control([0; 64]);
    // SAFETY: all zeroes is an empty header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    if let Some(fd) = socket {
        header.msg_control = control.0.as_mut_ptr().cast();
        // SAFETY: the macros compute within the buffer, which has room for one descriptor.
        unsafe {
            header.msg_controllen = libc::CMSG_SPACE(size_of::<RawFd>() as u32) as _;
            let first = libc::CMSG_FIRSTHDR(&raw const header);
            (*first).cmsg_level = libc::SOL_SOCKET;
            (*first).cmsg_type = libc::SCM_RIGHTS;
            (*first).cmsg_len = libc::CMSG_LEN(size_of::<RawFd>() as u32) as _;
            libc::CMSG_DATA(first).cast::<RawFd>().write_unaligned(fd);
        }
    }
    // SAFETY: everything that the header names lives through the call.
    check_len(unsafe { libc::sendmsg(line, &raw const header, libc::MSG_NOSIGNAL) })?;
    Ok(())
}

/// One packet; none at the end of file.
fn receive(line: RawFd) -> Result<Option<(String, Option<OwnedFd>)>, Trouble> {
    let mut buffer = [0u8; 4096];
    let mut control = Control([0; 64]);
    let mut part = libc::iovec {
        iov_base: buffer.as_mut_ptr().cast(),
        iov_len: buffer.len(),
    };
    // SAFETY: all zeroes is an empty header.
    let mut header: libc::msghdr = unsafe { zeroed() };
    header.msg_iov = &raw mut part;
    header.msg_iovlen = 1;
    header.msg_control = control.0.as_mut_ptr().cast();
    header.msg_controllen = control.0.len() as _;
    // SAFETY: everything that the header names has the room that it says.
    let got = unsafe { libc::recvmsg(line, &raw mut header, libc::MSG_CMSG_CLOEXEC) };
    let got = match check_len(got) {
        Err(Trouble::Errno(libc::ECONNRESET)) => 0,
        other => other?,
    };
    // SAFETY: the kernel filled the header.
    let first = unsafe { libc::CMSG_FIRSTHDR(&raw const header) };
    let mut socket = None;
    // SAFETY: `first` is null or points to a header within the buffer.
    if !first.is_null() && unsafe { (*first).cmsg_type } == libc::SCM_RIGHTS {
        // SAFETY: the kernel put a descriptor there that is ours now.
        socket = Some(unsafe {
            OwnedFd::from_raw_fd(libc::CMSG_DATA(first).cast::<RawFd>().read_unaligned())
        });
    }
    if got == 0 {
        return Ok(None);
    }
    Ok(Some((
        String::from_utf8_lossy(&buffer[..got]).into_owned(),
        socket,
    )))
}
