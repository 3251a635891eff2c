//! Being told that addresses, routes or links changed.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::NetError;
use super::mirror::{HEADER, header, is_listed};
use super::observe::address;

/// What the IPv6 loopbacks of hostlets begin with, and nothing else does (see `HostletId::loopback6`).
const LOOPBACKS6: [u16; 4] = [0xfd68, 0x6f73, 0x746c, 0x7400];

const RTNLGRP_LINK: u32 = 1;
const RTNLGRP_IPV4_IFADDR: u32 = 5;
const RTNLGRP_IPV4_ROUTE: u32 = 7;
const RTNLGRP_IPV6_IFADDR: u32 = 9;
const RTNLGRP_IPV6_ROUTE: u32 = 11;

/// Those that tell of changes of links, addresses and routes.
pub(super) const GROUPS: [u32; 5] = [
    RTNLGRP_LINK,
    RTNLGRP_IPV4_IFADDR,
    RTNLGRP_IPV6_IFADDR,
    RTNLGRP_IPV4_ROUTE,
    RTNLGRP_IPV6_ROUTE,
];

/// A descriptor that becomes readable when links, addresses or routes of the network namespace in
/// which it was opened change. It says *that* something changed; read the tables to see what.
pub struct RouteWatch {
    socket: Socket,
}

impl RouteWatch {
    /// Starts watching the calling thread's network namespace.
    pub fn open() -> Result<RouteWatch, NetError> {
        let open = || -> io::Result<Socket> {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            for group in GROUPS {
                socket.add_membership(group)?;
            }
            socket.set_non_blocking(true)?;
            Ok(socket)
        };
        match open() {
            Ok(socket) => Ok(RouteWatch { socket }),
            Err(source) => Err(NetError::Watch { source }),
        }
    }

    /// Takes everything that is waiting. True if anything was but what hostlet itself does for hostlets that come and go; also
    /// when so much changed that the kernel dropped messages.
    pub fn drain(&self) -> Result<bool, NetError> {
        let mut changed = false;
        let mut buffer = Vec::with_capacity(16 * 1024);
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, 0) {
                Ok(_) => changed |= !all_ours(&buffer),
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => changed = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(changed),
                Err(source) => return Err(NetError::Watch { source }),
            }
        }
    }
}

/// Whether all of these messages tell of hostlets that come and go: of addresses that carry hostlet's mark, and of a single
/// address's own route in the table of what is local.
pub(super) fn all_ours(mut rest: &[u8]) -> bool {
    while let Some((length, kind)) = header(rest) {
        let Some(body) = rest.get(HEADER..length) else {
            return false;
        };
        let ours = match kind {
            libc::RTM_NEWADDR => address(body).is_some_and(|a| a.ours),
            // Of all others it is to be known that somebody took them away.
            libc::RTM_DELADDR => address(body).is_some_and(|a| a.ours && is_loopback6(a.addr)),
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => !is_listed(body),
            _ => false,
        };
        if !ours {
            return false;
        }
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    true
}

fn is_loopback6(addr: IpAddr) -> bool {
    matches!(addr, IpAddr::V6(a) if a.segments().starts_with(&LOOPBACKS6))
}

impl AsFd for RouteWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
