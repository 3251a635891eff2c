//! DHCPv4 before there is an address: packets made and read by hand.

use std::collections::btree_map::{BTreeMap, Entry};
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Mutex, PoisonError};

use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto, sockopt};

use crate::packet::{
    BROADCAST, Frame, Link, Mac, PacketSocket, attach_filter, checksum, explain, filter,
};

const CLIENT_PORT: u16 = 68;
const SERVER_PORT: u16 = 67;
const UDP: u8 = 17;
const IP_HEADER: usize = 20;
const UDP_HEADER: usize = 8;

/// A thousand offers and acknowledgements at once, each counted with what the kernel needs for it.
const RECEIVE_BUFFER: i32 = 8 << 20;

/// Whole UDP packets for a client. What is in fragments, no client could read.
const FILTER: [libc::sock_filter; 9] = [
    filter::load8(9),
    filter::equal(UDP as u32, 0, 6),
    filter::load16(6),
    filter::any_bit(0x3fff, 4, 0),
    filter::index_by_ipv4_header(),
    filter::load16_indexed(2),
    filter::equal(CLIENT_PORT as u32, 0, 1),
    filter::pass(),
    filter::drop(),
];

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SendTo {
    /// To everybody on the link, from nobody.
    Broadcast,
    /// To the server that lent an address, from that address, which is on the interface: a renewal
    /// or a release.
    Server {
        /// Where to.
        server: Ipv4Addr,
        /// Where from.
        source: Ipv4Addr,
    },
}

/// A message that came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received<'a> {
    /// The message, without the headers of UDP and IP.
    pub payload: &'a [u8],
    /// The server's (or relay's) address.
    pub from_ip: Ipv4Addr,
    /// Its hardware address.
    pub from_mac: [u8; 6],
}

/// DHCPv4 on one interface, for any number of clients. Descriptors are non-blocking and close-on-exec.
#[derive(Debug)]
pub struct Socket4 {
    packets: PacketSocket,
    link: Link,
    /// One for each address from which something was sent by unicast.
    unicast: Mutex<BTreeMap<Ipv4Addr, OwnedFd>>,
}

impl Socket4 {
    /// Opens it.
    ///
    /// # Errors
    /// Without root, if there is no such interface, and if it is no Ethernet.
    pub fn open(ifindex: u32) -> io::Result<Socket4> {
        let what = || format!("listen for DHCP on interface {ifindex}");
        let open = || {
            let packets = PacketSocket::open(ifindex, libc::ETH_P_IP as u16, &FILTER)?;
            packets.set_receive_buffer(RECEIVE_BUFFER)?;
            let link = packets.link()?;
            Ok((packets, link))
        };
        let (packets, link) = open().map_err(|e| explain(what(), &e))?;
        if link.mac.is_none() {
            return Err(io::Error::new(
                io::ErrorKind::Unsupported,
                format!(
                    "cannot use DHCP on {}: it is no Ethernet; draw its addresses from ranges",
                    link.name
                ),
            ));
        }
        Ok(Socket4 {
            packets,
            link,
            unicast: Mutex::default(),
        })
    }

    /// The interface's own hardware address when it was opened: what frames leave with.
    pub fn mac(&self) -> [u8; 6] {
        self.link.mac.unwrap_or_default()
    }

    /// Sends a message.
    ///
    /// # Errors
    /// When the interface is down or gone, its queue is full (`WouldBlock`), or the message does not
    /// fit; for [`SendTo::Server`] as [`Socket4::send_unicast`].
    pub fn send(&self, payload: &[u8], to: SendTo) -> io::Result<()> {
        match to {
            SendTo::Broadcast => self.broadcast(payload),
            SendTo::Server { server, source } => self.send_unicast(source, server, payload),
        }
    }

    fn broadcast(&self, payload: &[u8]) -> io::Result<()> {
        let what = || format!("send a DHCP message on {}", self.link.name);
        let packet = packet(
            SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, CLIENT_PORT),
            SocketAddrV4::new(Ipv4Addr::BROADCAST, SERVER_PORT),
            payload,
        )
        .ok_or_else(|| explain(what(), &io::Error::from_raw_os_error(libc::EMSGSIZE)))?;
        self.packets
            .send(&packet, BROADCAST)
            .map_err(|e| explain(what(), &e))
    }

    /// Sends a message through the kernel's own UDP, which resolves the server's (or the router's)
    /// hardware address. The port stays open until [`Socket4::done`], so that the kernel does not tell
    /// the server that its answer is unwelcome; the answer comes out of [`Socket4::recv`] like all
    /// others.
    ///
    /// # Errors
    /// When the address is not on this machine, another program holds its port 68, or there is no
    /// route to the server.
    pub fn send_unicast(
        &self,
        source: Ipv4Addr,
        server: Ipv4Addr,
        payload: &[u8],
    ) -> io::Result<()> {
        let what = || {
            format!(
                "send a DHCP message from {source} to {server} on {}",
                self.link.name
            )
        };
        let mut open = self.unicast.lock().unwrap_or_else(PoisonError::into_inner);
        let socket = match open.entry(source) {
            Entry::Occupied(entry) => entry.into_mut(),
            Entry::Vacant(entry) => {
                entry.insert(self.udp(source).map_err(|e| explain(what(), &e))?)
            }
        };
        let to = SocketAddrV4::new(server, SERVER_PORT);
        let flags = rustix::net::SendFlags::empty();
        rustix::net::sendto(&*socket, payload, flags, &to)
            .map(drop)
            .map_err(|e| explain(what(), &e.into()))
    }

    fn udp(&self, source: Ipv4Addr) -> io::Result<OwnedFd> {
        let socket = rustix::net::socket_with(
            AddressFamily::INET,
            SocketType::DGRAM,
            SocketFlags::CLOEXEC | SocketFlags::NONBLOCK,
            Some(ipproto::UDP),
        )?;
        // The packet socket reads the answers; here they would only wait.
        attach_filter(socket.as_fd(), &[filter::drop()])?;
        bind_to_device(socket.as_fd(), &self.link.name)?;
        // Other clients may hold the port on the wildcard address.
        sockopt::set_socket_reuseaddr(&socket, true)?;
        rustix::net::bind(&socket, &SocketAddrV4::new(source, CLIENT_PORT))?;
        Ok(socket)
    }

    /// Closes the port that [`Socket4::send_unicast`] opened on an address, if it did. Call it when the
    /// lease ends.
    pub fn done(&self, source: Ipv4Addr) {
        self.unicast
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&source);
    }

    /// The next message that waits, if any. Use a buffer of [`super::BUFFER`] bytes: what does not fit is
    /// left out, as is whatever is no whole UDP packet with a right checksum.
    ///
    /// # Errors
    /// When the interface was switched off (`NetworkDown`, once; the socket works again after) or
    /// is gone.
    pub fn recv<'a>(&self, buffer: &'a mut [u8]) -> io::Result<Option<Received<'a>>> {
        loop {
            let frame = self
                .packets
                .receive(buffer)
                .map_err(|e| explain(format!("receive DHCP on {}", self.link.name), &e))?;
            let Some(Frame {
                length,
                from,
                checksum_unfinished,
            }) = frame
            else {
                return Ok(None);
            };
            if let Some((range, from_ip)) = message(&buffer[..length], checksum_unfinished) {
                return Ok(Some(received(&buffer[range], from_ip, from)));
            }
        }
    }
}

fn received(payload: &[u8], from_ip: Ipv4Addr, from_mac: Mac) -> Received<'_> {
    Received {
        payload,
        from_ip,
        from_mac,
    }
}

impl AsFd for Socket4 {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.packets.as_fd()
    }
}

/// Ties a socket to an interface by name, so that no route leads it elsewhere.
pub(super) fn bind_to_device(fd: BorrowedFd<'_>, name: &str) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    // SAFETY: the name has the length that is given.
    let code = unsafe {
        libc::setsockopt(
            fd.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_BINDTODEVICE,
            name.as_ptr().cast(),
            name.len() as u32,
        )
    };
    match code {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

fn pseudo_header(source: Ipv4Addr, destination: Ipv4Addr, udp_length: u16) -> [u8; 12] {
    let mut header = [0; 12];
    header[..4].copy_from_slice(&source.octets());
    header[4..8].copy_from_slice(&destination.octets());
    header[9] = UDP;
    header[10..].copy_from_slice(&udp_length.to_be_bytes());
    header
}

/// A message with the headers of UDP and IP. None if it is too long for that.
fn packet(from: SocketAddrV4, to: SocketAddrV4, payload: &[u8]) -> Option<Vec<u8>> {
    let total = u16::try_from(IP_HEADER + UDP_HEADER + payload.len()).ok()?;
    let udp_length = total - IP_HEADER as u16;
    let mut packet = vec![0; IP_HEADER + UDP_HEADER];
    packet.extend_from_slice(payload);
    let (ip, udp) = packet.split_at_mut(IP_HEADER);
    ip[0] = 0x45;
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip[8] = 64;
    ip[9] = UDP;
    ip[12..16].copy_from_slice(&from.ip().octets());
    ip[16..20].copy_from_slice(&to.ip().octets());
    let sum = checksum(&[ip]);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    udp[..2].copy_from_slice(&from.port().to_be_bytes());
    udp[2..4].copy_from_slice(&to.port().to_be_bytes());
    udp[4..6].copy_from_slice(&udp_length.to_be_bytes());
    let sum = checksum(&[&pseudo_header(*from.ip(), *to.ip(), udp_length), udp]);
    // Zero would say that there is none.
    let sum = if sum == 0 { 0xffff } else { sum };
    udp[6..8].copy_from_slice(&sum.to_be_bytes());
    Some(packet)
}

/// Where the message is in a packet, and who sent it. None if the packet is no whole UDP packet for a
/// client.
pub(crate) fn message(
    packet: &[u8],
    checksum_unfinished: bool,
) -> Option<(Range<usize>, Ipv4Addr)> {
    let address = |at: usize| -> Option<Ipv4Addr> {
        let octets: [u8; 4] = packet.get(at..at + 4)?.try_into().ok()?;
        Some(octets.into())
    };
    let word = |at: usize| -> Option<u16> {
        Some(u16::from_be_bytes(packet.get(at..at + 2)?.try_into().ok()?))
    };
    let first = *packet.first()?;
    let header = usize::from(first & 0xf) * 4;
    let total = usize::from(word(2)?);
    // A frame may be longer than its packet: short ones are padded.
    if first >> 4 != 4 || header < IP_HEADER || total > packet.len() || total < header + UDP_HEADER
    {
        return None;
    }
    let whole = word(6)? & 0x3fff == 0;
    if !whole || packet[9] != UDP || checksum(&[&packet[..header]]) != 0 {
        return None;
    }
    let udp_length = word(header + 4)?;
    let end = header + usize::from(udp_length);
    let begin = header + UDP_HEADER;
    if word(header + 2)? != CLIENT_PORT || end < begin || end > total {
        return None;
    }
    let (source, destination) = (address(12)?, address(16)?);
    // Zero: the sender made none.
    if !checksum_unfinished && word(header + 6)? != 0 {
        let pseudo = pseudo_header(source, destination, udp_length);
        if checksum(&[&pseudo, &packet[header..end]]) != 0 {
            return None;
        }
    }
    Some((begin..end, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(payload: &[u8]) -> Vec<u8> {
        let from = SocketAddrV4::new(Ipv4Addr::new(192, 0, 2, 1), SERVER_PORT);
        let to = SocketAddrV4::new(Ipv4Addr::BROADCAST, CLIENT_PORT);
        packet(from, to, payload).unwrap()
    }

    #[test]
    fn what_is_made_can_be_read() {
        for payload in [&b"hello"[..], b"", b"even"] {
            let mut packet = sample(payload);
            // As a short frame comes.
            packet.extend([0; 20]);
            let (range, from) = message(&packet, false).unwrap();
            assert_eq!(&packet[range], payload);
            assert_eq!(from, Ipv4Addr::new(192, 0, 2, 1));
        }
        let long = vec![0; 65508];
        let nobody = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 1);
        assert!(packet(nobody, nobody, &long).is_none());
        assert!(packet(nobody, nobody, &long[1..]).is_some());
    }

    #[test]
    fn every_flipped_bit_is_noticed_and_nothing_panics() {
        let packet = sample(b"hello");
        for bit in 0..packet.len() * 8 {
            let mut bad = packet.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(message(&bad, false), None, "bit {bit}");
            let _ = message(&bad, true);
        }
        for length in 0..packet.len() {
            assert_eq!(message(&packet[..length], true), None);
        }
    }

    #[test]
    fn a_checksum_that_is_not_there_is_not_checked() {
        let mut packet = sample(b"hello");
        packet[IP_HEADER + 6] ^= 1;
        assert_eq!(message(&packet, false), None);
        assert!(message(&packet, true).is_some());
        packet[IP_HEADER + 6..IP_HEADER + 8].fill(0);
        assert!(message(&packet, false).is_some());
    }
}
