//! The kernel's own word on pinned maps and programs, by bare system calls: what is
//! left behind is not asked of the product.

use std::ffi::CString;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

const MAP_LOOKUP_ELEM: libc::c_int = 1;
const MAP_GET_NEXT_KEY: libc::c_int = 4;
const OBJ_GET: libc::c_int = 7;
const PROG_GET_FD_BY_ID: libc::c_int = 13;
const MAP_GET_FD_BY_ID: libc::c_int = 14;
const OBJ_GET_INFO_BY_FD: libc::c_int = 15;
const ENABLE_STATS: libc::c_int = 32;

/// Kinds of maps that are read: hash, array, array by CPU, LPM trie, sockhash, cgroup storage. What the kernel pushes out by itself (LRU)
/// or keeps with a socket is not.
const READ: [u32; 6] = [1, 2, PERCPU_ARRAY, 11, 18, 19];

const PERCPU_ARRAY: u32 = 6;

/// The longest key and value of ours, with room: that of an array by CPU has a part for each.
const LONGEST: usize = 64 * 1024;

/// What is pinned at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// A map, by its id.
    Map(u32),
    /// A program, by its id.
    Program(u32),
    /// A link, or what else.
    Other,
}

/// As much of the kernel's `bpf_attr` as is used; the rest has to be zero.
#[repr(C, align(8))]
struct Attr([u64; 16]);

fn bpf(command: libc::c_int, words: &[u64]) -> io::Result<libc::c_int> {
    let mut attr = Attr([0; 16]);
    attr.0[..words.len()].copy_from_slice(words);
    // SAFETY: the attributes live through the call; what they point to, the callers keep.
    let done = unsafe { libc::syscall(libc::SYS_bpf, command, &raw mut attr, size_of::<Attr>()) };
    if done < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(done as libc::c_int)
    }
}

fn owned(fd: libc::c_int) -> OwnedFd {
    // SAFETY: a descriptor that the kernel has just given, of nobody else's.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// What the kernel says of an object: type, id, for maps the size of a key, and so on.
fn info(fd: &OwnedFd) -> io::Result<[u32; 64]> {
    let mut words = [0u32; 64];
    let length = size_of_val(&words) as u64;
    let what = fd.as_raw_fd() as u64 | length << 32;
    bpf(OBJ_GET_INFO_BY_FD, &[what, words.as_mut_ptr() as u64])?;
    Ok(words)
}

fn get(path: &Path) -> io::Result<OwnedFd> {
    let name = CString::new(path.as_os_str().as_bytes())?;
    bpf(OBJ_GET, &[name.as_ptr() as u64]).map(owned)
}

/// What is pinned there.
///
/// # Errors
/// When nothing is, or the caller is not root.
pub fn pinned(path: &Path) -> io::Result<Object> {
    let fd = get(path)?;
    let link = std::fs::read_link(format!("/proc/self/fd/{}", fd.as_raw_fd()))?;
    let id = info(&fd)?[1];
    Ok(match link.as_os_str().as_bytes() {
        b"anon_inode:bpf-map" => Object::Map(id),
        b"anon_inode:bpf-prog" => Object::Program(id),
        _ => Object::Other,
    })
}

/// Is the object still loaded?
pub fn lives(object: Object) -> bool {
    let (command, id) = match object {
        Object::Map(id) => (MAP_GET_FD_BY_ID, id),
        Object::Program(id) => (PROG_GET_FD_BY_ID, id),
        Object::Other => return false,
    };
    bpf(command, &[u64::from(id)]).map(owned).is_ok()
}

/// A key of a map, and its value.
pub type Entry = (Vec<u8>, Vec<u8>);

/// The entries of the map that is pinned there; none if it is of a kind that is not read.
///
/// # Errors
/// When it cannot be read.
pub fn entries(path: &Path) -> io::Result<Option<Vec<Entry>>> {
    let fd = get(path)?;
    let [kind, _, key_size, value_size, ..] = info(&fd)?;
    let (key_size, value_size) = (key_size as usize, value_size as usize);
    if !READ.contains(&kind) {
        return Ok(None);
    }
    if key_size.max(value_size) > LONGEST {
        return Err(io::Error::other(format!(
            "a key of {key_size} bytes, a value of {value_size}"
        )));
    }
    let mut entries = Vec::new();
    let (mut last, mut next) = (Vec::new(), vec![0u8; key_size]);
    let map = fd.as_raw_fd() as u64;
    loop {
        let after = if last.is_empty() {
            0
        } else {
            last.as_ptr() as u64
        };
        match bpf(MAP_GET_NEXT_KEY, &[map, after, next.as_mut_ptr() as u64]) {
            Ok(_) => last.clone_from(&next),
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => return Ok(Some(entries)),
            Err(e) => return Err(e),
        }
        let room = if kind == PERCPU_ARRAY {
            LONGEST
        } else {
            value_size
        };
        let mut value = vec![0u8; room];
        let (key, into) = (last.as_ptr() as u64, value.as_mut_ptr() as u64);
        match bpf(MAP_LOOKUP_ELEM, &[map, key, into]) {
            Ok(_) => entries.push((last.clone(), value)),
            // It went in between.
            Err(e) if e.raw_os_error() == Some(libc::ENOENT) => {}
            Err(e) => return Err(e),
        }
    }
}

/// What the kernel counts of a program.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Instructions that the verifier walked, on all paths together; 0 before Linux 5.16.
    pub verified: u32,
    /// How often it ran while there was a [`Counting`].
    pub runs: u64,
}

/// The counts of the program that is pinned there.
///
/// # Errors
/// When none is, or the caller is not root.
pub fn counts(path: &Path) -> io::Result<Counts> {
    let words = info(&get(path)?)?;
    // `run_cnt` and `verified_insns` of the kernel's `bpf_prog_info`.
    Ok(Counts {
        verified: words[54],
        runs: u64::from(words[50]) | u64::from(words[51]) << 32,
    })
}

/// While this lives the kernel counts the runs of all programs.
#[derive(Debug)]
pub struct Counting(
    #[expect(dead_code, reason = "the kernel counts as long as it is open")] OwnedFd,
);

impl Counting {
    /// Begins.
    ///
    /// # Errors
    /// When the caller is not root, or before Linux 5.8.
    pub fn begin() -> io::Result<Counting> {
        // Of run times and run counts: the only kind there is.
        bpf(ENABLE_STATS, &[0]).map(owned).map(Counting)
    }
}
