//! Loading the programs once and pinning everything, whole or not at all; opening what is pinned.

use std::cell::OnceCell;
use std::ffi::CString;
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libbpf_rs::{MapCore, MapFlags, MapHandle, ObjectBuilder, OpenObject};

use crate::abi::{HL_LAYOUT, Plain, hl_globals, hl_kernel};
use crate::attach::{CGROUP_PROGRAMS, LOOKUP};
use crate::error::{Error, Result};
use crate::probe;

/// The compiled kernel programs.
const OBJECT: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/hostlet.bpf.o"));

/// The tables that this program reads or writes; all are pinned, for tools such as bpftool.
pub(crate) const TABLES: [&str; 28] = [
    "hostlets",
    "owners",
    "prefixes",
    "routes",
    "onlink",
    "sources",
    "reach",
    "socks",
    "binding",
    "ports",
    "wild_udp",
    "listeners",
    "udp_sockets",
    "settled",
    "asked",
    "known_as",
    "known_at",
    "answers",
    "events",
    "globals",
    "wake",
    "watched",
    "prefixed",
    "locals",
    "excluded",
    "passing",
    "loops",
    "extras",
];

/// How large the tables may grow; they take memory only as they fill, but for the
/// heads of the hash chains: 16 bytes an entry of the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Hostlets at the same time.
    pub hostlets: u32,
    /// Bound sockets at the same time, in all hostlets.
    pub sockets: u32,
    /// Addresses and prefixes at the same time, in all hostlets, their loopbacks included.
    pub addresses: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            hostlets: 4096,
            sockets: 65_536,
            addresses: 65_536,
        }
    }
}

/// A handle on the pinned tables and programs of one installation.
///
/// Pins are opened when they are first needed, since a command needs few of them.
#[derive(Debug)]
pub struct Kernel {
    pub(crate) pins: PathBuf,
    maps: [OnceCell<MapHandle>; TABLES.len()],
    pub(crate) programs: [OnceCell<OwnedFd>; CGROUP_PROGRAMS.len()],
    globals: hl_globals,
}

impl Kernel {
    /// Opens what is pinned below `pins`; none if nothing is.
    ///
    /// # Errors
    /// If the pins are of another version, or not readable.
    pub fn open(pins: &Path) -> Result<Option<Self>> {
        // What fails is told by the errors; libbpf's own lines on stderr would be a program's noise.
        libbpf_rs::set_print(None);
        if !pins.join("maps").exists() {
            return Ok(None);
        }
        let mut kernel = Self {
            pins: pins.to_owned(),
            maps: Default::default(),
            programs: Default::default(),
            globals: hl_globals::default(),
        };
        kernel.globals = kernel.read_globals()?;
        if kernel.globals.layout != HL_LAYOUT {
            return Err(Error::Layout {
                path: pins.to_owned(),
                found: kernel.globals.layout,
                wanted: HL_LAYOUT,
            });
        }
        Ok(Some(kernel))
    }

    /// Loads the programs for the network namespace of the calling thread and pins everything below
    /// `pins`, which must lie in a bpffs. The directory appears when all is in place. Nothing acts
    /// before [`Kernel::wake`].
    ///
    /// # Errors
    /// If the kernel refuses a program, a table or a pin; then nothing is left behind.
    pub fn install(pins: &Path, limits: &Limits) -> Result<Self> {
        let mut staging = pins.as_os_str().to_owned();
        // A bpffs takes no dots in names.
        staging.push(format!("-new-{}", std::process::id()));
        let staging = PathBuf::from(staging);
        let _ = fs::remove_dir_all(&staging);
        let outcome = Self::load_into(&staging, limits).and_then(|()| {
            fs::rename(&staging, pins)
                .map_err(|cause| pin_error("put the pins in place at", pins, cause))
        });
        if let Err(error) = outcome {
            // The first error is the one to tell; what is left of the attempt would only confuse.
            let _ = fs::remove_dir_all(&staging);
            return Err(error);
        }
        Self::open(pins)?.ok_or_else(|| {
            pin_error(
                "find the pins just made at",
                pins,
                io::Error::from(io::ErrorKind::NotFound),
            )
        })
    }

    fn load_into(dir: &Path, limits: &Limits) -> Result<()> {
        for part in ["maps", "programs", "links", "ready"] {
            let path = dir.join(part);
            fs::create_dir_all(&path)
                .map_err(|cause| pin_error("make the directory", &path, cause))?;
        }
        let mut object = open_object(limits)?.load().map_err(load_error)?;
        let sees_listeners = probe::sees_listeners(&mut object);
        for map in object.maps_mut() {
            let name = map.name().to_owned();
            if TABLES.iter().any(|t| name == *t) {
                pin(map.as_fd(), &dir.join("maps").join(&name))?;
            }
            if name == "globals" {
                let globals = hl_globals {
                    netns: netns_cookie()?,
                    layout: HL_LAYOUT,
                    hostlets: limits.hostlets,
                    sockets: limits.sockets,
                    addresses: limits.addresses,
                    sees_listeners: u32::from(sees_listeners),
                    ..Default::default()
                };
                map.update(&0u32.to_ne_bytes(), globals.bytes(), MapFlags::ANY)
                    .map_err(|cause| Error::Table {
                        what: "write",
                        table: "globals",
                        cause,
                    })?;
            }
        }
        for program in object.progs() {
            pin(program.as_fd(), &dir.join("programs").join(program.name()))?;
        }
        Ok(())
    }

    /// Has the kernel part act: the look-up program is attached to the network namespace of the
    /// calling thread. Again is no error.
    ///
    /// # Errors
    /// If it cannot be attached.
    pub fn wake(&self) -> Result<()> {
        let path = self.pins.join("links").join("lookup");
        if path.exists() {
            return Ok(());
        }
        let link = attach_lookup(self.program(LOOKUP)?.as_fd())?;
        pin(link.as_fd(), &path)
    }

    /// Takes all pins away. Attachments to cgroups stay until their cgroups go.
    ///
    /// # Errors
    /// The first failure; what could be removed is gone all the same.
    pub fn uninstall(self) -> Result<()> {
        self.unwatch_all()?;
        detach_link(&self.pins.join("links").join("lookup"));
        fs::remove_dir_all(&self.pins)
            .map_err(|cause| pin_error("remove the pins at", &self.pins, cause))
    }

    /// The limits that the tables were made for.
    #[must_use]
    pub fn limits(&self) -> Limits {
        let g = &self.globals;
        Limits {
            hostlets: g.hostlets,
            sockets: g.sockets,
            addresses: g.addresses,
        }
    }

    /// The cookie of the network namespace that this installation serves.
    #[must_use]
    pub fn netns_cookie(&self) -> u64 {
        self.globals.netns
    }

    pub(crate) fn map(&self, name: &'static str) -> Result<&MapHandle> {
        let index = TABLES.iter().position(|t| *t == name).unwrap_or_default();
        if let Some(map) = self.maps[index].get() {
            return Ok(map);
        }
        let path = self.pins.join("maps").join(name);
        let map = MapHandle::from_pinned_path(&path).map_err(|cause| Error::Table {
            what: "open",
            table: name,
            cause,
        })?;
        Ok(self.maps[index].get_or_init(|| map))
    }

    pub(crate) fn program(&self, name: &str) -> Result<OwnedFd> {
        let path = self.pins.join("programs").join(name);
        open_pin(&path).map_err(|cause| pin_error("open the program at", &path, cause))
    }

    pub(crate) fn read_globals(&self) -> Result<hl_globals> {
        let bytes = self
            .map("globals")?
            .lookup(&0u32.to_ne_bytes(), MapFlags::ANY)
            .map_err(|cause| Error::Table {
                what: "read",
                table: "globals",
                cause,
            })?;
        Ok(hl_globals::from_bytes(&bytes.unwrap_or_default()))
    }
}

/// Opens the object and gives the tables their sizes.
fn open_object(limits: &Limits) -> Result<OpenObject> {
    let mut object = ObjectBuilder::default()
        .open_memory(OBJECT)
        .map_err(load_error)?;
    for mut map in object.maps_mut() {
        let entries = match map.name().to_str() {
            Some("owners" | "prefixes" | "sources") => limits.addresses,
            Some("reach") => limits.hostlets.saturating_mul(16),
            // A bound UDP socket is entered under its address and under its port.
            Some("ports") => limits.sockets.saturating_mul(2),
            Some("listeners" | "udp_sockets") => limits.sockets,
            Some(name) if name.ends_with(".rodata.kernel") => {
                if let Some(value) = map.initial_value_mut() {
                    let facts = hl_kernel {
                        foreign_source_error: probe::foreign_source_error(),
                        packet_netns: u8::from(probe::packet_netns_cookie()),
                        ..Default::default()
                    };
                    // More constants than these would leave it open where they stand.
                    if value.len() != size_of::<hl_kernel>() {
                        return Err(load_error(
                            io::Error::other("the programs have other constants").into(),
                        ));
                    }
                    value.copy_from_slice(facts.bytes());
                }
                continue;
            }
            _ => continue,
        };
        map.set_max_entries(entries.max(1)).map_err(load_error)?;
    }
    Ok(object)
}

fn load_error(cause: libbpf_rs::Error) -> Error {
    Error::Load {
        cause,
        log: String::new(),
    }
}

pub(crate) fn pin_error(what: &'static str, path: &Path, cause: io::Error) -> Error {
    Error::Pin {
        what,
        path: path.to_owned(),
        cause,
    }
}

pub(crate) fn pin(fd: BorrowedFd<'_>, path: &Path) -> Result<()> {
    let c_path = CString::new(path.as_os_str().as_bytes()).map_err(|e| {
        pin_error(
            "pin at",
            path,
            io::Error::new(io::ErrorKind::InvalidInput, e),
        )
    })?;
    // SAFETY: a valid descriptor and a string that outlives the call.
    let failed = unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), c_path.as_ptr()) };
    if failed == 0 {
        Ok(())
    } else {
        Err(pin_error(
            "pin at",
            path,
            io::Error::from_raw_os_error(-failed),
        ))
    }
}

/// Opens what is pinned there. What it is nobody asks: only hostlet pins there, and what is no program cannot be attached.
fn open_pin(path: &Path) -> io::Result<OwnedFd> {
    let c_path = CString::new(path.as_os_str().as_bytes())
        .map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    // SAFETY: a string that outlives the call.
    owned(unsafe { libbpf_sys::bpf_obj_get(c_path.as_ptr()) })
}

/// Takes a descriptor from libbpf, which gives a negative errno on failure.
pub(crate) fn owned(fd: i32) -> io::Result<OwnedFd> {
    if fd < 0 {
        return Err(io::Error::from_raw_os_error(-fd));
    }
    // SAFETY: a new descriptor that nobody else owns.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Detaches a pinned link now; without this, that happens some time after its last reference
/// went, and what takes its place would be refused meanwhile. One that is not there is no failure.
pub(crate) fn detach_link(path: &Path) {
    if let Ok(link) = libbpf_rs::Link::open(path) {
        // The pin goes in any case, and the link with it, only later.
        let _ = link.detach();
    }
}

fn attach_lookup(program: BorrowedFd<'_>) -> Result<OwnedFd> {
    // The thread's namespace: /proc/self would be the one of the first thread.
    let netns = fs::File::open("/proc/thread-self/ns/net").map_err(|cause| Error::Os {
        what: "open the network namespace",
        cause,
    })?;
    // SAFETY: two valid descriptors; no options.
    let link = unsafe {
        libbpf_sys::bpf_link_create(
            program.as_raw_fd(),
            netns.as_raw_fd(),
            libbpf_sys::BPF_SK_LOOKUP,
            std::ptr::null(),
        )
    };
    owned(link).map_err(|cause| Error::Attach {
        program: LOOKUP,
        target: "the network namespace".to_owned(),
        cause,
    })
}

/// The cookie of the calling thread's network namespace.
///
/// # Errors
/// If no socket can be made, or the kernel is older than 5.14.
pub fn netns_cookie() -> Result<u64> {
    let failed = |cause| Error::Os {
        what: "ask for the network namespace's cookie",
        cause,
    };
    // SAFETY: no pointers.
    let fd = unsafe { libc::socket(libc::AF_UNIX, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if fd < 0 {
        return Err(failed(io::Error::last_os_error()));
    }
    // SAFETY: just made, owned by nobody else.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    let mut cookie = 0u64;
    let mut len = size_of::<u64>() as libc::socklen_t;
    // SAFETY: both pointers are to live variables, and `len` is the size of the first.
    let rc = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_NETNS_COOKIE,
            std::ptr::from_mut(&mut cookie).cast(),
            &mut len,
        )
    };
    if rc == 0 {
        Ok(cookie)
    } else {
        Err(failed(io::Error::last_os_error()))
    }
}
