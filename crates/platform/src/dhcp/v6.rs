//! DHCPv6: the interface has a link-local address, so the kernel's UDP does.

use std::io;
use std::net::{Ipv6Addr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, sockopt};

use crate::netlink::{self, HostAddress};
use crate::packet::explain;

const CLIENT_PORT: u16 = 546;
const SERVER_PORT: u16 = 547;

/// All DHCPv6 servers and relays on the link.
const SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);

/// As for IPv4: a thousand answers at once.
const RECEIVE_BUFFER: usize = 8 << 20;

/// A message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received6<'a> {
    /// The message.
    pub payload: &'a [u8],
    /// The server's (or relay's) address.
    pub from: Ipv6Addr,
}

/// DHCPv6 on one interface, for any number of clients. The descriptor is non-blocking and
/// close-on-exec.
#[derive(Debug)]
pub struct Socket6 {
    socket: OwnedFd,
    ifindex: u32,
    name: String,
    address: Ipv6Addr,
}

impl Socket6 {
    /// Opens it.
    ///
    /// # Errors
    /// `NotFound` if there is no such interface, `AddrNotAvailable` if it has no link-local address
    /// that can be used (yet), `AddrInUse` if another DHCPv6 client has the port.
    pub fn open(ifindex: u32) -> io::Result<Socket6> {
        let interfaces = netlink::interfaces().map_err(io::Error::other)?;
        let Some(interface) = interfaces.into_iter().find(|i| i.index == ifindex) else {
            return Err(io::Error::new(
                io::ErrorKind::NotFound,
                format!(
                    "cannot use DHCPv6: there is no interface {ifindex} any more, see `ip link`"
                ),
            ));
        };
        let name = interface.name;
        let addresses = netlink::addresses().map_err(io::Error::other)?;
        let address = link_local(&addresses, ifindex, &name)?;
        let socket = open(&name, ifindex, address).map_err(|error| {
            let what = format!("listen for DHCPv6 at [{address}%{name}]:{CLIENT_PORT}");
            match error.kind() {
                io::ErrorKind::AddrInUse => io::Error::new(
                    error.kind(),
                    format!(
                        "cannot {what}: another DHCPv6 client of this machine has the port \
                         (see `ss -ulpn sport = {CLIENT_PORT}`); stop it on {name}, or draw addresses \
                         from ranges"
                    ),
                ),
                _ => explain(what, &error),
            }
        })?;
        Ok(Socket6 {
            socket,
            ifindex,
            name,
            address,
        })
    }

    /// The link-local address it speaks from.
    pub fn address(&self) -> Ipv6Addr {
        self.address
    }

    /// Sends a message to all servers and relays on the link.
    ///
    /// # Errors
    /// When the interface is down or gone, or lost its link-local address: open a new socket then.
    pub fn send(&self, payload: &[u8]) -> io::Result<()> {
        let to = SocketAddrV6::new(SERVERS, SERVER_PORT, 0, self.ifindex);
        rustix::net::sendto(&self.socket, payload, SendFlags::empty(), &to)
            .map(drop)
            .map_err(|e| explain(format!("send a DHCPv6 message on {}", self.name), &e.into()))
    }

    /// The next message that waits, if any. Use a buffer of [`super::BUFFER`] bytes: what does not fit is
    /// left out.
    ///
    /// # Errors
    /// When the interface is gone.
    pub fn recv<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Received6<'a>>> {
        let (length, from) = loop {
            match rustix::net::recvfrom(&self.socket, &mut *buffer, RecvFlags::TRUNC) {
                Ok((_, length, from)) if length <= buffer.len() => break (length, from),
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::AGAIN) => return Ok(None),
                Err(e) => {
                    let what = format!("receive DHCPv6 on {}", self.name);
                    return Err(explain(what, &e.into()));
                }
            }
        };
        let from = from.and_then(|a| SocketAddrV6::try_from(a).ok());
        Ok(Some(Received6 {
            payload: &buffer[..length],
            from: from.map_or(Ipv6Addr::UNSPECIFIED, |a| *a.ip()),
        }))
    }
}

impl AsFd for Socket6 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn link_local(addresses: &[HostAddress], ifindex: u32, name: &str) -> io::Result<Ipv6Addr> {
    let mut waiting = false;
    for found in addresses.iter().filter(|a| a.ifindex == ifindex) {
        let std::net::IpAddr::V6(address) = found.addr else {
            continue;
        };
        if !address.is_unicast_link_local() || found.ours {
            continue;
        }
        if found.flags & libc::IFA_F_DADFAILED != 0 {
            continue;
        }
        if found.tentative() {
            waiting = true;
            continue;
        }
        return Ok(address);
    }
    let why = if waiting {
        "its link-local address is still being checked for duplicates; try again in a second"
    } else {
        "it has no link-local address; is it up, and IPv6 on (sysctl net.ipv6.conf.*.disable_ipv6)?"
    };
    Err(io::Error::new(
        io::ErrorKind::AddrNotAvailable,
        format!("cannot use DHCPv6 on {name}: {why}"),
    ))
}

fn open(name: &str, ifindex: u32, address: Ipv6Addr) -> io::Result<OwnedFd> {
    let socket = rustix::net::socket_with(
        AddressFamily::INET6,
        SocketType::DGRAM,
        SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
        Some(ipproto::UDP),
    )?;
    sockopt::set_ipv6_v6only(&socket, true)?;
    super::v4::bind_to_device(socket.as_fd(), name)?;
    sockopt::set_socket_recv_buffer_size_force(&socket, RECEIVE_BUFFER)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, RECEIVE_BUFFER))?;
    // No sharing of the port: of two sockets on it, only one would get the answers.
    rustix::net::bind(
        &socket,
        &SocketAddrV6::new(address, CLIENT_PORT, 0, ifindex),
    )?;
    Ok(socket)
}
