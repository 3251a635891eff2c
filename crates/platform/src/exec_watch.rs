//! Deciding about programs before they start: fanotify's permission to open a file for execve.
//!
//! What the kernel does, and what follows from it:
//! - The question comes while the process is in `execve`, before anything of it has changed: it is still the old program, and
//!   in its old cgroup, and moving it then is moving the new program. Its number is that of the process, whatever thread asks. If
//!   execve fails afterwards (no such format, wrong architecture), what was done to the process stays done.
//! - One execve may ask several times: for a script, for its interpreter, and for the dynamic linker that an ELF file
//!   names. A program that the dynamic linker is told to run (`ld.so PROGRAM`) is only read, never asked for.
//! - A watch of a directory is on the directory, not on a path: it holds in every mount namespace, for bind mounts of the directory and
//!   of files in it, and for a file that comes into it a moment before it is started. A hard link in another directory is
//!   not seen. A watch of a file system holds for all its mounts.
//! - Not seen: programs in file systems that are mounted in other mount namespaces only, and files in memory (`memfd_create`).
//! - When the watch is dropped, or its process dies, everybody who waits goes on as if there were none.

use std::ffi::{CString, OsStr};
use std::fs::{self, File};
use std::io;
use std::mem::{size_of, size_of_val};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::mounts;
use crate::packet::explain;

pub use starter::starter;

mod starter;

/// The question that is asked for.
const QUESTION: u64 = libc::FAN_OPEN_EXEC_PERM;

/// Room for what one read gives: some hundred questions.
const ROOM: usize = 1024;

/// File systems in which nothing can be started, or nothing but what the kernel made.
const WITHOUT_PROGRAMS: &[&str] = &[
    "autofs",
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "resctrl",
    "rpc_pipefs",
    "securityfs",
    "selinuxfs",
    "sysfs",
    "tracefs",
];

/// Asks about starts of programs, in the directories and file systems that are watched. Needs `CAP_SYS_ADMIN`.
///
/// The descriptor is readable when somebody waits for an answer.
#[derive(Debug)]
pub struct ExecWatch {
    group: Arc<OwnedFd>,
}

impl ExecWatch {
    /// A watch of nothing yet.
    ///
    /// # Errors
    /// The process is not root's, or the kernel has no `CONFIG_FANOTIFY_ACCESS_PERMISSIONS`.
    pub fn new() -> io::Result<ExecWatch> {
        let flags = libc::FAN_CLASS_CONTENT
            | libc::FAN_CLOEXEC
            | libc::FAN_NONBLOCK
            | libc::FAN_UNLIMITED_QUEUE
            | libc::FAN_UNLIMITED_MARKS;
        let files = libc::O_RDONLY | libc::O_LARGEFILE | libc::O_CLOEXEC;
        // SAFETY: no pointers.
        let fd = unsafe { libc::fanotify_init(flags, files as libc::c_uint) };
        if fd < 0 {
            let error = io::Error::last_os_error();
            return Err(explain("watch starts of programs (fanotify)", &error));
        }
        // SAFETY: the kernel has just made this descriptor for us.
        let group = Arc::new(unsafe { OwnedFd::from_raw_fd(fd) });
        Ok(ExecWatch { group })
    }

    /// Asks about every file that lies directly in the directory, now or later. Again is no error.
    ///
    /// # Errors
    /// It is not there, or is no directory, or its file system has no watches.
    pub fn watch_directory(&self, directory: &Path) -> io::Result<()> {
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_ONLYDIR;
        let mask = QUESTION | libc::FAN_EVENT_ON_CHILD;
        self.mark(flags, mask, directory)
            .map_err(|e| explain(format_args!("watch {}", directory.display()), &e))
    }

    /// Asks about every file of the file system in which this path is, wherever that is mounted. Again is no error.
    ///
    /// # Errors
    /// It is not there, or its file system has no watches.
    pub fn watch_filesystem(&self, path: &Path) -> io::Result<()> {
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_FILESYSTEM;
        self.mark(flags, QUESTION, path)
            .map_err(|e| explain(format_args!("watch {}", path.display()), &e))
    }

    /// From now on asks about nothing; what was asked before is still to be answered.
    ///
    /// # Errors
    /// The kernel refuses, for want of memory.
    pub fn clear(&self) -> io::Result<()> {
        let here = Path::new("/");
        for kind in [0, libc::FAN_MARK_FILESYSTEM] {
            self.mark(libc::FAN_MARK_FLUSH | kind, 0, here)
                .map_err(|e| explain("end the watch of programs", &e))?;
        }
        Ok(())
    }

    /// What is asked now. Does not wait: nothing may be asked.
    ///
    /// # Errors
    /// A question could not be taken, for want of descriptors for instance; the kernel has then answered it itself, with no.
    /// The next call goes on.
    pub fn read(&self) -> io::Result<Vec<Execution>> {
        let mut buffer = [0_u64; ROOM];
        let size = size_of_val(&buffer);
        // SAFETY: the buffer has the length that is given.
        let got = unsafe { libc::read(self.group.as_raw_fd(), buffer.as_mut_ptr().cast(), size) };
        let Ok(got) = usize::try_from(got) else {
            let error = io::Error::last_os_error();
            return match error.raw_os_error() {
                Some(libc::EAGAIN | libc::EINTR) => Ok(Vec::new()),
                _ => Err(explain("take a question about a program", &error)),
            };
        };
        Ok(self.parse(&buffer, got))
    }

    fn parse(&self, buffer: &[u64; ROOM], got: usize) -> Vec<Execution> {
        const HEAD: usize = size_of::<libc::fanotify_event_metadata>();
        let mut found = Vec::new();
        let mut at = 0;
        while at + HEAD <= got {
            // SAFETY: the kernel has written `got` bytes, records of at least HEAD bytes one after the other, all plain
            // numbers; the read does not need alignment.
            let event = unsafe {
                let start = buffer.as_ptr().cast::<u8>().add(at);
                start
                    .cast::<libc::fanotify_event_metadata>()
                    .read_unaligned()
            };
            // Records of another version would be read wrongly; no kernel has had one since 2011.
            if event.vers != libc::FANOTIFY_METADATA_VERSION || (event.event_len as usize) < HEAD {
                break;
            }
            at += event.event_len as usize;
            if event.fd < 0 {
                // Word of a full queue, which this one does not have.
                continue;
            }
            // SAFETY: the kernel has made this descriptor for us with the record.
            let file = unsafe { File::from_raw_fd(event.fd) };
            if event.mask & QUESTION == 0 {
                continue;
            }
            found.push(Execution {
                pid: u32::try_from(event.pid).unwrap_or(0),
                file,
                group: Arc::clone(&self.group),
                answered: false,
            });
        }
        found
    }

    fn mark(&self, flags: libc::c_uint, mask: u64, path: &Path) -> io::Result<()> {
        let path = CString::new(path.as_os_str().as_bytes())?;
        mark(&self.group, flags, mask, libc::AT_FDCWD, Some(&path))
    }
}

/// File systems of others, who may not answer; besides all that begin with `fuse`.
const OF_OTHERS: &[&str] = &[
    "9p", "afs", "ceph", "cifs", "coda", "lustre", "nfs", "nfs4", "orangefs", "smb3", "virtiofs",
];

/// A file system in which programs can lie.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Where it is mounted.
    pub point: PathBuf,
    /// Whether somebody else answers for it, a server or a program: then whoever takes a question about a file in it may wait for
    /// ever, since the kernel opens the file for him.
    pub of_others: bool,
}

/// Where file systems are mounted, as the calling thread sees it, in which programs can lie.
///
/// # Errors
/// The mount table cannot be read.
pub fn filesystems() -> io::Result<Vec<FileSystem>> {
    let mounts = mounts::mounts()?.into_iter();
    let with = mounts.filter(|mount| !WITHOUT_PROGRAMS.contains(&mount.kind.as_str()));
    let found = with.map(|mount| FileSystem {
        of_others: mount.kind.starts_with("fuse") || OF_OTHERS.contains(&mount.kind.as_str()),
        point: mount.point,
    });
    Ok(found.collect())
}

/// Where an open file lies, as the mount namespace in which it was opened has it; with ` (deleted)` behind it if it lies nowhere any
/// more. Asks no file system, and so never waits.
///
/// # Errors
/// `/proc` cannot be read.
pub fn path_of(file: &File) -> io::Result<PathBuf> {
    fs::read_link(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

impl AsFd for ExecWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.group.as_fd()
    }
}

/// A process that waits in `execve`, until this is answered. Dropped, it is answered with yes: a panic stops nobody.
#[derive(Debug)]
pub struct Execution {
    /// The process; 0 if it is in a pid namespace that is not seen from here.
    pub pid: u32,
    /// What it wants to start, open for reading.
    pub file: File,
    group: Arc<OwnedFd>,
    answered: bool,
}

impl Execution {
    /// Where the file lies, as the process's mount namespace has it; with ` (deleted)` behind it if it lies nowhere any more.
    /// In a mount namespace that a user made for himself this is whatever he likes.
    ///
    /// # Errors
    /// `/proc` cannot be read.
    pub fn path(&self) -> io::Result<PathBuf> {
        path_of(&self.file)
    }

    /// It starts.
    pub fn allow(mut self) {
        self.answer(libc::FAN_ALLOW);
    }

    /// It starts, and nobody is asked about this file again by this watch, whatever name it has or gets, until it is modified.
    ///
    /// Only for who decides by what is in a file: this one may be renamed to a path that matters.
    pub fn allow_and_ignore(mut self) {
        let flags = libc::FAN_MARK_ADD | libc::FAN_MARK_IGNORED_MASK;
        // Without it the question comes again, which is only slower.
        let _ = mark(&self.group, flags, QUESTION, self.file.as_raw_fd(), None);
        self.answer(libc::FAN_ALLOW);
    }

    /// It does not start: execve fails with `EPERM`.
    pub fn deny(mut self) {
        self.answer(libc::FAN_DENY);
    }

    fn answer(&mut self, response: u32) {
        if std::mem::replace(&mut self.answered, true) {
            return;
        }
        let answer = libc::fanotify_response {
            fd: self.file.as_raw_fd(),
            response,
        };
        // SAFETY: the answer is as long as is said. Fails when the process was killed meanwhile: then nobody waits for it.
        unsafe {
            libc::write(
                self.group.as_raw_fd(),
                (&raw const answer).cast(),
                size_of_val(&answer),
            );
        }
    }
}

impl Drop for Execution {
    fn drop(&mut self) {
        self.answer(libc::FAN_ALLOW);
    }
}

fn mark(
    group: &OwnedFd,
    flags: libc::c_uint,
    mask: u64,
    dir: RawFd,
    path: Option<&CString>,
) -> io::Result<()> {
    let path = path.map_or(std::ptr::null(), |p| p.as_ptr());
    // SAFETY: the path is none, or ends with a zero and outlives the call.
    match unsafe { libc::fanotify_mark(group.as_raw_fd(), flags, mask, dir, path) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// What the kernel opens next for such a program, within the same execve: the interpreter of a script, or the dynamic linker that
/// an ELF file names. None if there is none, or it is not among the first few kilobytes.
#[must_use]
pub fn interpreter(file: &File) -> Option<PathBuf> {
    let mut head = vec![0; 4096];
    let got = file.read_at(&mut head, 0).ok()?;
    head.truncate(got);
    named_in(&head).map(|path| PathBuf::from(OsStr::from_bytes(path)))
}

/// What the beginning of a file names: after `#!`, or as PT_INTERP. Only 64-bit little-endian ELF, which all supported machines run.
pub(crate) fn named_in(head: &[u8]) -> Option<&[u8]> {
    if let Some(line) = head.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next()?;
        let word = line.trim_ascii_start();
        let end = word.iter().position(|b| matches!(b, b' ' | b'\t' | 0));
        return word
            .get(..end.unwrap_or(word.len()))
            .filter(|w| !w.is_empty());
    }
    if !head.starts_with(b"\x7fELF\x02\x01") {
        return None;
    }
    let number = |at: usize, size: usize| {
        let bytes = head.get(at..at.checked_add(size)?)?;
        let value = bytes
            .iter()
            .rev()
            .fold(0_u64, |n, b| (n << 8) | u64::from(*b));
        usize::try_from(value).ok()
    };
    const INTERP: usize = 3;
    let (table, size, count) = (number(0x20, 8)?, number(0x36, 2)?, number(0x38, 2)?);
    for index in 0..count {
        let entry = table.checked_add(index.checked_mul(size)?)?;
        if number(entry, 4)? != INTERP {
            continue;
        }
        let (offset, length) = (
            number(entry.checked_add(8)?, 8)?,
            number(entry.checked_add(32)?, 8)?,
        );
        let text = head.get(offset..offset.checked_add(length)?)?;
        return text.split(|b| *b == 0).next();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_names_its_named_in() {
        let read = |text: &'static [u8]| named_in(text);
        assert_eq!(read(b"#!/bin/sh\nls"), Some(b"/bin/sh".as_slice()));
        assert_eq!(
            read(b"#! \t/usr/bin/env python3\n"),
            Some(b"/usr/bin/env".as_slice())
        );
        assert_eq!(read(b"#!\nls"), None);
        assert_eq!(read(b"hello"), None);
        assert_eq!(read(b""), None);
        assert_eq!(read(b"\x7fELF\x02\x01"), None);
    }

    #[test]
    fn a_program_names_its_dynamic_linker() {
        let program = fs::read("/proc/self/exe").unwrap();
        let linker = named_in(&program[..4096]).unwrap();
        assert!(linker.starts_with(b"/lib"), "{linker:?}");
        for length in 0..512 {
            // Cut off anywhere it is read without a panic.
            let _ = named_in(&program[..length]);
        }
    }
}
