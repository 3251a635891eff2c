//! Neighbour solicitations and advertisements.

use std::fs;
use std::io;
use std::net::{Ipv6Addr, UdpSocket};

use crate::packet::{Mac, PacketSocket, checksum, filter};

use super::Question;

/// The protocol's number in frames.
pub(super) const PROTOCOL: u16 = libc::ETH_P_IPV6 as u16;

const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
const HEADER: usize = 40;
/// Type, code, checksum, flags, target.
const BODY: usize = 24;
const TARGET_LINK_LAYER: u8 = 2;
const ROUTER: u8 = 0x80;
const OVERRIDE: u8 = 0x20;
/// Whoever is not on the link cannot send this one.
const HOP_LIMIT: u8 = 255;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// A socket that gets solicitations and advertisements for one address.
pub(super) fn open(ifindex: u32, addr: Ipv6Addr) -> io::Result<PacketSocket> {
    let bits = u128::from(addr);
    let word = |n: u32| (bits >> (96 - 32 * n)) as u32;
    let filter = [
        filter::load8(6),
        filter::equal(u32::from(ICMPV6), 0, 14),
        filter::load8(7),
        filter::equal(u32::from(HOP_LIMIT), 0, 12),
        filter::load8(40),
        filter::equal(u32::from(SOLICITATION), 1, 0),
        filter::equal(u32::from(ADVERTISEMENT), 0, 9),
        filter::load32(48),
        filter::equal(word(0), 0, 7),
        filter::load32(52),
        filter::equal(word(1), 0, 5),
        filter::load32(56),
        filter::equal(word(2), 0, 3),
        filter::load32(60),
        filter::equal(word(3), 0, 1),
        filter::pass(),
        filter::drop(),
    ];
    PacketSocket::open(ifindex, PROTOCOL, &filter)
}

/// Where solicitations for an address go.
fn solicited_group(addr: Ipv6Addr) -> Ipv6Addr {
    let low = u128::from(addr) & 0xff_ffff;
    let prefix = u128::from(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00, 0));
    Ipv6Addr::from(prefix | low)
}

fn group_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// Joins the group of those who have or want the address, as long as the socket lives. Switches learn of
/// it, which a filter of the hardware alone would not do.
pub(super) fn join(ifindex: u32, addr: Ipv6Addr) -> io::Result<UdpSocket> {
    let off = |e: io::Error| match e.raw_os_error() {
        Some(libc::EAFNOSUPPORT | libc::EADDRNOTAVAIL | libc::EINVAL | libc::ENODEV) => {
            io::Error::new(
                io::ErrorKind::Unsupported,
                "there is no IPv6 on the interface; was the machine started with ipv6.disable, or is \
                 the MTU below 1280?",
            )
        }
        _ => e,
    };
    let socket = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).map_err(off)?;
    socket
        .join_multicast_v6(&solicited_group(addr), ifindex)
        .map_err(off)?;
    Ok(socket)
}

fn packet(
    from: Ipv6Addr,
    to: Ipv6Addr,
    kind: u8,
    flags: u8,
    target: Ipv6Addr,
    mac: Option<Mac>,
) -> Vec<u8> {
    let mut body = vec![kind, 0, 0, 0, flags, 0, 0, 0];
    body.extend(target.octets());
    if let Some(mac) = mac {
        body.extend([TARGET_LINK_LAYER, 1]);
        body.extend(mac);
    }
    let length = body.len() as u16;
    let sum = checksum(&[
        &from.octets(),
        &to.octets(),
        &u32::from(length).to_be_bytes(),
        &[0, 0, 0, ICMPV6],
        &body,
    ]);
    body[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut packet = vec![0x60, 0, 0, 0];
    packet.extend(length.to_be_bytes());
    packet.extend([ICMPV6, HOP_LIMIT]);
    packet.extend(from.octets());
    packet.extend(to.octets());
    packet.extend(body);
    packet
}

/// Does anybody have the address?
pub(super) struct Probe {
    pub(super) addr: Ipv6Addr,
}

impl Question for Probe {
    fn packet(&self) -> (Vec<u8>, Mac) {
        let group = solicited_group(self.addr);
        let packet = packet(
            Ipv6Addr::UNSPECIFIED,
            group,
            SOLICITATION,
            0,
            self.addr,
            None,
        );
        (packet, group_mac(group))
    }

    fn answer(&self, packet: &[u8], from: Mac) -> Option<Mac> {
        let body = packet.get(HEADER..HEADER + BODY)?;
        if packet[6] != ICMPV6 || packet[7] != HOP_LIMIT || body[8..24] != self.addr.octets() {
            return None;
        }
        match body[0] {
            ADVERTISEMENT => Some(link_layer(&packet[HEADER + BODY..]).unwrap_or(from)),
            // With a sender's address it only looks for whoever has this one.
            SOLICITATION if packet[8..24] == [0; 16] => Some(from),
            _ => None,
        }
    }
}

/// The hardware address among the options of an advertisement.
fn link_layer(mut options: &[u8]) -> Option<Mac> {
    while let [kind, units, ..] = options {
        let length = usize::from(*units) * 8;
        // Of length zero, or cut off: not to be trusted.
        let option = options.get(..length).filter(|o| !o.is_empty())?;
        if *kind == TARGET_LINK_LAYER && length == 8 {
            return option[2..].try_into().ok();
        }
        options = &options[length..];
    }
    None
}

/// An unsolicited advertisement to all.
pub(super) fn announcement(addr: Ipv6Addr, mac: Mac, router: bool) -> (Vec<u8>, Mac) {
    let flags = if router { ROUTER | OVERRIDE } else { OVERRIDE };
    let packet = packet(addr, ALL_NODES, ADVERTISEMENT, flags, addr, Some(mac));
    (packet, group_mac(ALL_NODES))
}

/// Whether this machine is a router there: what the kernel's own advertisements say.
pub(super) fn routes(interface: &str) -> bool {
    fs::read_to_string(format!("/proc/sys/net/ipv6/conf/{interface}/forwarding"))
        .is_ok_and(|text| text.trim() == "1")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_follow_from_addresses() {
        let group = solicited_group("2001:db8::12:3456".parse().unwrap());
        assert_eq!(group, "ff02::1:ff12:3456".parse::<Ipv6Addr>().unwrap());
        assert_eq!(group_mac(group), [0x33, 0x33, 0xff, 0x12, 0x34, 0x56]);
        assert_eq!(group_mac(ALL_NODES), [0x33, 0x33, 0, 0, 0, 1]);
    }

    #[test]
    fn options_are_read_and_never_run_over() {
        let mac = [2, 0, 0, 0, 0, 9];
        assert_eq!(link_layer(&[2, 1, 2, 0, 0, 0, 0, 9]), Some(mac));
        let two = [14, 1, 0, 0, 0, 0, 0, 0, 2, 1, 2, 0, 0, 0, 0, 9];
        assert_eq!(link_layer(&two), Some(mac));
        for bad in [&[2, 0][..], &[2], &[], &[2, 2, 0, 0], &[2, 1, 1]] {
            assert_eq!(link_layer(bad), None);
        }
    }
}
