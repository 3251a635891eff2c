//! Packet sockets: frames of one protocol on one interface, chosen by a filter in the kernel.
//!
//! The link-layer header is the kernel's business; what is sent and received begins with the
//! protocol's own header.

pub(crate) mod filter;

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::ptr;

use libc::{sock_filter, sockaddr_ll};

/// A hardware address, as Ethernet's.
pub(crate) type Mac = [u8; 6];

pub(crate) const BROADCAST: Mac = [0xff; 6];

/// One interface, as it was when it was looked at.
#[derive(Debug, Clone)]
pub(crate) struct Link {
    pub(crate) name: String,
    /// Its hardware address, if it is an Ethernet or looks like one.
    pub(crate) mac: Option<Mac>,
    /// Whether nobody on it resolves addresses.
    pub(crate) no_arp: bool,
}

/// A packet socket, non-blocking.
#[derive(Debug)]
pub(crate) struct PacketSocket {
    fd: OwnedFd,
    ifindex: i32,
    protocol: u16,
}

/// What came with a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Frame {
    /// How many bytes of the buffer it fills.
    pub(crate) length: usize,
    /// Who sent it.
    pub(crate) from: Mac,
    /// The sender is on this machine and left the checksum of UDP or TCP to hardware that never came.
    pub(crate) checksum_unfinished: bool,
}

/// The size of the kernel's `struct tpacket_auxdata`, which begins with a status word.
const AUX_DATA: usize = 20;
const STATUS_CHECKSUM_NOT_READY: u32 = 1 << 3;

/// Enough for one control message of that type, aligned as such messages have to be.
#[repr(C, align(8))]
struct Control([u8; 64]);

fn socket() -> io::Result<OwnedFd> {
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
    // SAFETY: no pointers.
    match unsafe { libc::socket(libc::AF_PACKET, kind, 0) } {
        fd if fd < 0 => Err(io::Error::last_os_error()),
        // SAFETY: the descriptor is new, and nobody else's.
        fd => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
    }
}

fn address(ifindex: i32, protocol: u16, to: Option<Mac>) -> sockaddr_ll {
    // SAFETY: all zeros are a valid address.
    let mut address: sockaddr_ll = unsafe { zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = protocol.to_be();
    address.sll_ifindex = ifindex;
    if let Some(to) = to {
        address.sll_halen = 6;
        address.sll_addr[..6].copy_from_slice(&to);
    }
    address
}

impl PacketSocket {
    /// Opens one that gets only what the filter lets pass.
    pub(crate) fn open(
        ifindex: u32,
        protocol: u16,
        filter: &[sock_filter],
    ) -> io::Result<PacketSocket> {
        // It gets nothing before it is bound: no frame may come before the filter is there.
        let fd = socket()?;
        attach_filter(fd.as_fd(), filter)?;
        set(fd.as_fd(), libc::SOL_PACKET, libc::PACKET_AUXDATA, 1)?;
        let socket = PacketSocket {
            fd,
            ifindex: i32::try_from(ifindex).map_err(|_| no_device())?,
            protocol,
        };
        let address = address(socket.ifindex, protocol, None);
        // SAFETY: the address is of the type that the length says.
        let code = unsafe {
            libc::bind(
                socket.fd.as_raw_fd(),
                (&raw const address).cast(),
                size_of::<sockaddr_ll>() as u32,
            )
        };
        done(code)?;
        Ok(socket)
    }

    /// A socket that only sends, on any interface: see [`PacketSocket::send_on`].
    pub(crate) fn sender() -> io::Result<PacketSocket> {
        Ok(PacketSocket {
            fd: socket()?,
            ifindex: 0,
            protocol: 0,
        })
    }

    /// What is known of its interface.
    pub(crate) fn link(&self) -> io::Result<Link> {
        self.link_of(self.ifindex as u32)
    }

    /// What is known of any interface.
    pub(crate) fn link_of(&self, ifindex: u32) -> io::Result<Link> {
        // SAFETY: all zeros are a valid request.
        let mut request: libc::ifreq = unsafe { zeroed() };
        request.ifr_ifru.ifru_ifindex = i32::try_from(ifindex).map_err(|_| no_device())?;
        self.ask(libc::SIOCGIFNAME, &mut request)?;
        let name = request.ifr_name.iter().take_while(|c| **c != 0);
        let name: Vec<u8> = name.map(|c| *c as u8).collect();
        self.ask(libc::SIOCGIFFLAGS, &mut request)?;
        // SAFETY: the call has just filled this member.
        let flags = i32::from(unsafe { request.ifr_ifru.ifru_flags });
        self.ask(libc::SIOCGIFHWADDR, &mut request)?;
        // SAFETY: the call has just filled this member.
        let hardware = unsafe { request.ifr_ifru.ifru_hwaddr };
        let mut mac = [0; 6];
        for (to, from) in mac.iter_mut().zip(hardware.sa_data) {
            *to = from as u8;
        }
        Ok(Link {
            name: String::from_utf8_lossy(&name).into_owned(),
            mac: (hardware.sa_family == libc::ARPHRD_ETHER).then_some(mac),
            no_arp: flags & (libc::IFF_NOARP | libc::IFF_LOOPBACK) != 0,
        })
    }

    fn ask(&self, what: libc::Ioctl, request: &mut libc::ifreq) -> io::Result<()> {
        // SAFETY: all calls made here read and write one ifreq.
        done(unsafe { libc::ioctl(self.fd.as_raw_fd(), what, ptr::from_mut(request)) })
    }

    /// Gives the socket room for many frames at once.
    pub(crate) fn set_receive_buffer(&self, bytes: i32) -> io::Result<()> {
        // Beyond the machine's limit with CAP_NET_ADMIN; up to it without.
        set(
            self.fd.as_fd(),
            libc::SOL_SOCKET,
            libc::SO_RCVBUFFORCE,
            bytes,
        )
        .or_else(|_| set(self.fd.as_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, bytes))
    }

    /// Sends one packet, without its link-layer header.
    pub(crate) fn send(&self, packet: &[u8], to: Mac) -> io::Result<()> {
        self.send_on(self.ifindex as u32, self.protocol, packet, to)
    }

    /// Sends one packet of any protocol on any interface.
    pub(crate) fn send_on(
        &self,
        ifindex: u32,
        protocol: u16,
        packet: &[u8],
        to: Mac,
    ) -> io::Result<()> {
        let ifindex = i32::try_from(ifindex).map_err(|_| no_device())?;
        let address = address(ifindex, protocol, Some(to));
        loop {
            // SAFETY: buffer and address have the lengths that are given.
            let sent = unsafe {
                libc::sendto(
                    self.fd.as_raw_fd(),
                    packet.as_ptr().cast(),
                    packet.len(),
                    0,
                    (&raw const address).cast(),
                    size_of::<sockaddr_ll>() as u32,
                )
            };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }

    /// The next frame that waits, if any. What does not fit, and what is for others (a VLAN on the
    /// interface among them), is left out.
    pub(crate) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<Frame>> {
        loop {
            // SAFETY: all zeros are a valid address, and a valid header.
            let (mut from, mut header): (sockaddr_ll, libc::msghdr) = unsafe { zeroed() };
            let mut control = Control([0; 64]);
            let mut part = libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            };
            header.msg_name = (&raw mut from).cast();
            header.msg_namelen = size_of::<sockaddr_ll>() as u32;
            header.msg_iov = &mut part;
            header.msg_iovlen = 1;
            header.msg_control = (&raw mut control).cast();
            header.msg_controllen = size_of::<Control>() as _;
            // SAFETY: the header describes buffers that live through the call.
            let length = unsafe { libc::recvmsg(self.fd.as_raw_fd(), &mut header, 0) };
            let Ok(length) = usize::try_from(length) else {
                let error = io::Error::last_os_error();
                match error.kind() {
                    io::ErrorKind::Interrupted => continue,
                    io::ErrorKind::WouldBlock => return Ok(None),
                    _ => return Err(error),
                }
            };
            let cut = header.msg_flags & libc::MSG_TRUNC != 0;
            // Of a frame with a VLAN tag that no interface here takes, the kernel says only that it is
            // somebody else's: the tag is gone by now.
            let others = [libc::PACKET_OTHERHOST, libc::PACKET_OUTGOING];
            if cut || others.contains(&from.sll_pkttype) {
                continue;
            }
            let mut mac = [0; 6];
            mac.copy_from_slice(&from.sll_addr[..6]);
            return Ok(Some(Frame {
                length,
                from: mac,
                checksum_unfinished: status(&header) & STATUS_CHECKSUM_NOT_READY != 0,
            }));
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The `TP_STATUS_*` bits that came with a frame.
fn status(header: &libc::msghdr) -> u32 {
    // SAFETY: the kernel has filled the header, whose control buffer is still alive.
    let mut at = unsafe { libc::CMSG_FIRSTHDR(header) };
    while !at.is_null() {
        // SAFETY: not null, so it points to a whole message header in the buffer.
        let message = unsafe { &*at };
        // SAFETY: only computes.
        let enough = unsafe { libc::CMSG_LEN(AUX_DATA as u32) } as usize;
        if (message.cmsg_level, message.cmsg_type) == (libc::SOL_PACKET, libc::PACKET_AUXDATA)
            && message.cmsg_len as usize >= enough
        {
            // SAFETY: the message is long enough for the word at its beginning.
            return unsafe { libc::CMSG_DATA(at).cast::<u32>().read_unaligned() };
        }
        // SAFETY: both are of the same, living buffer.
        at = unsafe { libc::CMSG_NXTHDR(header, at) };
    }
    0
}

/// Lets a socket receive only what a classic BPF program gives a length for.
pub(crate) fn attach_filter(fd: BorrowedFd<'_>, filter: &[sock_filter]) -> io::Result<()> {
    let program = libc::sock_fprog {
        len: u16::try_from(filter.len()).unwrap_or(u16::MAX),
        filter: filter.as_ptr().cast_mut(),
    };
    // SAFETY: the program has the length it says, and the kernel copies it.
    done(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size_of::<libc::sock_fprog>() as u32,
        )
    })
}

/// Sets an option that is a number.
pub(crate) fn set(fd: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    // SAFETY: the value has the length that is given.
    done(unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            level,
            option,
            (&raw const value).cast(),
            size_of::<i32>() as u32,
        )
    })
}

fn done(code: i32) -> io::Result<()> {
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn no_device() -> io::Error {
    io::Error::from_raw_os_error(libc::ENODEV)
}

/// One more thing to say about an error, of the same kind.
pub(crate) fn explain(what: impl std::fmt::Display, error: &io::Error) -> io::Error {
    let hint = match error.raw_os_error() {
        Some(libc::EPERM | libc::EACCES) => "; run as root",
        Some(libc::ENODEV | libc::ENXIO) => "; the interface is gone, see `ip link`",
        Some(libc::ENETDOWN) => "; the interface is off, see `ip link`",
        Some(libc::EAFNOSUPPORT) => "; the kernel needs CONFIG_PACKET",
        _ => "",
    };
    io::Error::new(error.kind(), format!("cannot {what}: {error}{hint}"))
}

/// The Internet checksum of several pieces, each but the last of even length; zero if the pieces contain
/// a right one.
pub(crate) fn checksum(pieces: &[&[u8]]) -> u16 {
    let mut sum = 0u64;
    for piece in pieces {
        for pair in piece.chunks(2) {
            let low = pair.get(1).copied().unwrap_or(0);
            sum += u64::from(u16::from_be_bytes([pair[0], low]));
        }
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

#[cfg(test)]
mod tests {
    use super::checksum;

    #[test]
    fn checksums_add_up() {
        // The example of RFC 1071.
        let data = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(checksum(&[&data]), !0xddf2);
        assert_eq!(checksum(&[&data[..4], &data[4..]]), !0xddf2);
        assert_eq!(checksum(&[&data, &[0x22, 0x0d]]), 0);
        assert_eq!(checksum(&[&[1]]), !0x0100);
    }
}
