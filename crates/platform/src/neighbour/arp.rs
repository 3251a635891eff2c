//! ARP packets for IPv4 on Ethernet.

use std::io;
use std::net::Ipv4Addr;

use crate::packet::{BROADCAST, Mac, PacketSocket, filter};

use super::Question;

/// The protocol's number in frames.
pub(super) const PROTOCOL: u16 = libc::ETH_P_ARP as u16;

const LENGTH: usize = 28;
const REQUEST: u16 = 1;
const REPLY: u16 = 2;
const NOBODY: Mac = [0; 6];

/// A socket that gets what concerns one address.
pub(super) fn open(ifindex: u32, addr: Ipv4Addr) -> io::Result<PacketSocket> {
    let addr = u32::from(addr);
    let filter = [
        // For IPv4, from one who has the address, or asks for it without having one.
        filter::load16(2),
        filter::equal(libc::ETH_P_IP as u32, 0, 6),
        filter::load32(14),
        filter::equal(addr, 3, 0),
        filter::equal(0, 0, 3),
        filter::load32(24),
        filter::equal(addr, 0, 1),
        filter::pass(),
        filter::drop(),
    ];
    PacketSocket::open(ifindex, PROTOCOL, &filter)
}

fn packet(operation: u16, sender: (Mac, Ipv4Addr), target: (Mac, Ipv4Addr)) -> Vec<u8> {
    let mut packet = Vec::with_capacity(LENGTH);
    // Ethernet and IPv4, with the lengths of their addresses.
    packet.extend([0, 1, 8, 0, 6, 4]);
    packet.extend(operation.to_be_bytes());
    for (mac, addr) in [sender, target] {
        packet.extend(mac);
        packet.extend(addr.octets());
    }
    packet
}

/// Does anybody have the address?
pub(super) struct Probe {
    pub(super) addr: Ipv4Addr,
    pub(super) mac: Mac,
}

impl Question for Probe {
    fn packet(&self) -> (Vec<u8>, Mac) {
        // Without a sender's address, nobody learns a wrong one.
        let sender = (self.mac, Ipv4Addr::UNSPECIFIED);
        (packet(REQUEST, sender, (NOBODY, self.addr)), BROADCAST)
    }

    fn answer(&self, packet: &[u8], _from: Mac) -> Option<Mac> {
        if packet.len() < LENGTH || packet[..6] != [0, 1, 8, 0, 6, 4] {
            return None;
        }
        let operation = u16::from_be_bytes([packet[6], packet[7]]);
        let mac: Mac = packet[8..14].try_into().ok()?;
        let own = self.addr.octets();
        let has = packet[14..18] == own;
        let asks = operation == REQUEST && packet[14..18] == [0; 4] && packet[24..28] == own;
        (has || asks).then_some(mac)
    }
}

/// Both forms of gratuitous ARP: some listen to requests only, others to replies.
pub(super) fn announcements(addr: Ipv4Addr, mac: Mac) -> [Vec<u8>; 2] {
    [
        packet(REQUEST, (mac, addr), (NOBODY, addr)),
        packet(REPLY, (mac, addr), (BROADCAST, addr)),
    ]
}
