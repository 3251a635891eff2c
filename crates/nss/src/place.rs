//! What is read: the caller's cgroup, the file of its hostlet, the machine's name.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{self, Read};
use std::net::IpAddr;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use hostlet_model::names::{self, OwnNames};

use crate::question::HostName;
use crate::{Answer, Family};

/// The most that is read of `/proc/self/cgroup` and of `/etc/hosts`, in bytes.
const MAX_READ: u64 = 64 * 1024;

/// Where things are found.
#[derive(Clone, Debug)]
pub struct Place {
    /// The directory of the files that the engine writes.
    pub names: PathBuf,
    /// The file that tells the caller's cgroup.
    pub cgroup: PathBuf,
    /// The file that tells the machine's domain.
    pub hosts: PathBuf,
    /// The machine's name.
    pub host: Vec<u8>,
}

impl Place {
    /// The calling process's.
    pub fn here() -> Place {
        Place {
            names: directory(),
            cgroup: "/proc/self/cgroup".into(),
            hosts: "/etc/hosts".into(),
            host: host_name(),
        }
    }

    /// What the name stands for; none if it is not the machine's own, or the caller is in no hostlet.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn by_name(&self, asked: &[u8], family: Family) -> io::Result<Option<Answer>> {
        let Some(host) = HostName::new(&self.host).filter(|host| host.may_be(asked)) else {
            return Ok(None);
        };
        let answer = self.answer(&host)?;
        Ok(answer
            .filter(|answer| answer.is_called(asked))
            .map(|answer| answer.of(family)))
    }

    /// Whose address it is, with this one address; none if it is not one of the caller's hostlet or of the machine.
    ///
    /// # Errors
    /// When a file that is there cannot be read.
    pub fn by_address(&self, asked: IpAddr) -> io::Result<Option<Answer>> {
        let Some(host) = HostName::new(&self.host) else {
            return Ok(None);
        };
        // The address of an IPv4 peer, as a socket of both families shows it.
        let plain = asked.to_canonical();
        let answer = self.answer(&host)?;
        Ok(answer
            .filter(|answer| answer.addresses.contains(&plain))
            .map(|mut answer| {
                answer.addresses = vec![asked];
                answer
            }))
    }

    /// The machine's names and all addresses, for the hostlet of the caller.
    fn answer(&self, host: &HostName) -> io::Result<Option<Answer>> {
        let Some(own) = self.own_names()? else {
            return Ok(None);
        };
        // Without the file there is no domain to tell.
        let full = read(&self.hosts, MAX_READ)
            .ok()
            .flatten()
            .and_then(|hosts| host.with_domain(&hosts));
        let addresses = own.addresses.into_iter().map(|(address, _)| address);
        Ok(Some(Answer::new(host, full, addresses.collect())))
    }

    /// What the engine wrote for the caller's cgroup, or for the nearest one above it.
    fn own_names(&self) -> io::Result<Option<OwnNames>> {
        let Some(table) = read(&self.cgroup, MAX_READ)? else {
            return Ok(None);
        };
        let Some(path) = cgroup2(&table) else {
            return Ok(None);
        };
        let mut path = path.as_ref();
        // The root is no hostlet's.
        while path.len() > 1 {
            let file = self.names.join(names::file_name(path));
            if let Some(file) = read(&file, names::MAX_LENGTH as u64)?
                && let Some(own) = OwnNames::parse(&file)
                && own.is_of(path)
            {
                return Ok(Some(own));
            }
            path = path.rsplit_once('/').map_or("", |(above, _)| above);
        }
        Ok(None)
    }
}

/// The path in the cgroup2 hierarchy, from the text of `/proc/self/cgroup`. Below a hostlet's cgroup names are of its members' choice:
/// one that is no UTF-8 hides nothing of those above it.
fn cgroup2(table: &[u8]) -> Option<Cow<'_, str>> {
    let path = table
        .split(|byte| *byte == b'\n')
        .find_map(|line| line.strip_prefix(b"0::"))?;
    let path = String::from_utf8_lossy(path);
    (path.starts_with('/') && path.len() <= names::MAX_CGROUP).then_some(path)
}

/// The file's first bytes; none if it is not there. Waits for nothing, whatever kind of file it is.
fn read(path: &Path, most: u64) -> io::Result<Option<Vec<u8>>> {
    let file = match OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
    {
        Ok(file) => file,
        Err(e) if matches!(e.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
            return Ok(None);
        }
        Err(e) => return Err(e),
    };
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

unsafe extern "C" {
    /// The C library's; not in the libc crate.
    fn secure_getenv(name: *const libc::c_char) -> *mut libc::c_char;
}

/// The directory of the engine's files. A program with more privileges than its caller takes no word of his for it.
fn directory() -> PathBuf {
    // SAFETY: the name ends with a NUL. The value is copied at once; as ever with getenv, a program must not change its environment
    // while another of its threads calls the C library.
    let named = unsafe {
        let value = secure_getenv(c"HOSTLET_NAMES_DIR".as_ptr());
        (!value.is_null()).then(|| std::ffi::CStr::from_ptr(value).to_bytes().to_vec())
    };
    match named {
        Some(named) if named.starts_with(b"/") => {
            PathBuf::from(std::ffi::OsString::from_vec(named))
        }
        _ => names::DIRECTORY.into(),
    }
}

/// The machine's name; empty if it cannot be told.
fn host_name() -> Vec<u8> {
    let mut name = [0u8; 256];
    // SAFETY: the buffer is as long as said.
    let done = unsafe { libc::gethostname(name.as_mut_ptr().cast(), name.len()) };
    if done != 0 {
        return Vec::new();
    }
    name.split(|byte| *byte == 0)
        .next()
        .unwrap_or_default()
        .to_vec()
}
