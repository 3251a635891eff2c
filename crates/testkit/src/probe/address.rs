//! Socket addresses as text and as the kernel wants them.

use std::ffi::CString;
use std::mem::{size_of, zeroed};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{Trouble, usage};

/// Ports from here on are the kernel's choice and differ from run to run.
const FIRST_CHOSEN: u16 = 32768;

/// A socket address with its length, in the kernel's form.
#[derive(Clone, Copy)]
pub(crate) struct SockAddr {
    pub storage: libc::sockaddr_storage,
    pub len: libc::socklen_t,
}

fn len_of<T>() -> libc::socklen_t {
    libc::socklen_t::try_from(size_of::<T>()).unwrap_or(0)
}

impl SockAddr {
    /// Room for the kernel to write to.
    pub fn room() -> SockAddr {
        // SAFETY: all zeroes is a valid sockaddr_storage.
        let storage = unsafe { zeroed() };
        SockAddr {
            storage,
            len: len_of::<libc::sockaddr_storage>(),
        }
    }

    pub fn ptr(&self) -> *const libc::sockaddr {
        (&raw const self.storage).cast()
    }

    pub fn ptr_mut(&mut self) -> *mut libc::sockaddr {
        (&raw mut self.storage).cast()
    }

    /// `unspec`, `unspec:10.0.0.5:80` (the address of IPv4 under no family), `10.0.0.5:80`, `[2001:db8::5]:80`, `[fe80::5%eth0]:80`,
    /// `@name` (an abstract one of UNIX).
    pub fn parse(text: &str) -> Result<SockAddr, Trouble> {
        if text == "unspec" {
            let mut room = SockAddr::room();
            room.len = len_of::<libc::sockaddr_in>();
            return Ok(room);
        }
        if let Some(rest) = text.strip_prefix("unspec:") {
            let mut made = SockAddr::parse(rest)?;
            made.storage.ss_family = libc::AF_UNSPEC as libc::sa_family_t;
            return Ok(made);
        }
        if let Some(name) = text.strip_prefix('@') {
            return SockAddr::abstract_unix(name);
        }
        let bad = || Trouble::Usage(format!("no ADDRESS:PORT: {text}"));
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let port: u16 = port.parse().map_err(|_| bad())?;
        let Some(host) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) else {
            return Ok(SockAddr::v4(host.parse().map_err(|_| bad())?, port));
        };
        let (host, scope) = match host.split_once('%') {
            Some((host, interface)) => (host, interface_index(interface)?),
            None => (host, 0),
        };
        Ok(SockAddr::v6(host.parse().map_err(|_| bad())?, port, scope))
    }

    pub fn v4(address: Ipv4Addr, port: u16) -> SockAddr {
        let mut made = SockAddr::room();
        made.len = len_of::<libc::sockaddr_in>();
        let sin = libc::sockaddr_in {
            sin_family: libc::AF_INET as libc::sa_family_t,
            sin_port: port.to_be(),
            sin_addr: in_addr(address),
            sin_zero: [0; 8],
        };
        // SAFETY: sockaddr_storage is large enough for and aligned as every sockaddr.
        unsafe { made.ptr_mut().cast::<libc::sockaddr_in>().write(sin) };
        made
    }

    pub fn v6(address: Ipv6Addr, port: u16, scope: u32) -> SockAddr {
        let mut made = SockAddr::room();
        made.len = len_of::<libc::sockaddr_in6>();
        let sin6 = libc::sockaddr_in6 {
            sin6_family: libc::AF_INET6 as libc::sa_family_t,
            sin6_port: port.to_be(),
            sin6_flowinfo: 0,
            sin6_addr: in6_addr(address),
            sin6_scope_id: scope,
        };
        // SAFETY: sockaddr_storage is large enough for and aligned as every sockaddr.
        unsafe { made.ptr_mut().cast::<libc::sockaddr_in6>().write(sin6) };
        made
    }

    fn abstract_unix(name: &str) -> Result<SockAddr, Trouble> {
        // SAFETY: all zeroes is a valid sockaddr_un.
        let mut sun: libc::sockaddr_un = unsafe { zeroed() };
        sun.sun_family = libc::AF_UNIX as libc::sa_family_t;
        if name.len() >= sun.sun_path.len() {
            return usage(format!("too long: @{name}"));
        }
        // The first byte stays zero, which says that it is no path.
        for (to, from) in sun.sun_path.iter_mut().skip(1).zip(name.bytes()) {
            *to = from as libc::c_char;
        }
        let mut made = SockAddr::room();
        let path = libc::socklen_t::try_from(1 + name.len()).unwrap_or(0);
        made.len = len_of::<libc::sa_family_t>() + path;
        // SAFETY: sockaddr_storage is large enough for and aligned as every sockaddr.
        unsafe { made.ptr_mut().cast::<libc::sockaddr_un>().write(sun) };
        Ok(made)
    }

    /// The port, chosen or not.
    pub fn port(&self) -> u16 {
        // SAFETY: the port of both families is the second 16-bit word.
        u16::from_be(unsafe { self.ptr().cast::<u16>().add(1).read() })
    }

    /// As text, chosen ports as `*`.
    pub fn show(&self) -> String {
        if self.len < len_of::<libc::sa_family_t>() {
            return "nobody".into();
        }
        match i32::from(self.storage.ss_family) {
            libc::AF_INET => {
                // SAFETY: the family says that it is a sockaddr_in.
                let sin = unsafe { self.ptr().cast::<libc::sockaddr_in>().read() };
                format!(
                    "{}:{}",
                    ip4(sin.sin_addr),
                    show_port(u16::from_be(sin.sin_port))
                )
            }
            libc::AF_INET6 => {
                // SAFETY: the family says that it is a sockaddr_in6.
                let sin6 = unsafe { self.ptr().cast::<libc::sockaddr_in6>().read() };
                let scope = match sin6.sin6_scope_id {
                    0 => String::new(),
                    index => format!("%{}", interface_name(index)),
                };
                let port = show_port(u16::from_be(sin6.sin6_port));
                format!("[{}{scope}]:{port}", ip6(sin6.sin6_addr))
            }
            libc::AF_UNSPEC => "unspec".into(),
            libc::AF_UNIX => "unix".into(),
            other => format!("family {other}"),
        }
    }
}

fn show_port(port: u16) -> String {
    if port >= FIRST_CHOSEN {
        "*".into()
    } else {
        port.to_string()
    }
}

pub(crate) fn in_addr(address: Ipv4Addr) -> libc::in_addr {
    libc::in_addr {
        s_addr: u32::from_ne_bytes(address.octets()),
    }
}

pub(crate) fn in6_addr(address: Ipv6Addr) -> libc::in6_addr {
    libc::in6_addr {
        s6_addr: address.octets(),
    }
}

pub(crate) fn ip4(address: libc::in_addr) -> Ipv4Addr {
    Ipv4Addr::from(address.s_addr.to_ne_bytes())
}

pub(crate) fn ip6(address: libc::in6_addr) -> Ipv6Addr {
    Ipv6Addr::from(address.s6_addr)
}

pub(crate) fn parse_ip(text: &str) -> Result<IpAddr, Trouble> {
    text.parse()
        .or_else(|_| usage(format!("no address: {text}")))
}

pub(crate) fn interface_index(name: &str) -> Result<u32, Trouble> {
    let Ok(c_name) = CString::new(name) else {
        return usage("a zero byte in a name");
    };
    // SAFETY: the string is terminated and lives through the call.
    match unsafe { libc::if_nametoindex(c_name.as_ptr()) } {
        0 => usage(format!("no interface {name}")),
        index => Ok(index),
    }
}

pub(crate) fn interface_name(index: u32) -> String {
    let mut name = [0u8; libc::IF_NAMESIZE];
    // SAFETY: the buffer has the size that the call asks for.
    let found = unsafe { libc::if_indextoname(index, name.as_mut_ptr().cast()) };
    if found.is_null() {
        return format!("#{index}");
    }
    let end = name.iter().position(|b| *b == 0).unwrap_or(name.len());
    String::from_utf8_lossy(&name[..end]).into_owned()
}
