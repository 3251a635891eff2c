//! The readers of raw frames, for the fuzzer and the replay of what it kept alone: elsewhere they are behind a packet socket.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::dhcp;
use crate::neighbour;

/// Where the DHCP message is in an IPv4 packet, if it is one.
#[must_use]
pub fn dhcp4(packet: &[u8], checksum_unfinished: bool) -> Option<Range<usize>> {
    dhcp::message4(packet, checksum_unfinished).map(|(range, _)| range)
}

/// Who answers for 192.0.2.5, if the ARP packet says so.
#[must_use]
pub fn arp(packet: &[u8]) -> Option<[u8; 6]> {
    neighbour::arp_answer(packet, Ipv4Addr::new(192, 0, 2, 5))
}

/// Who answers for 2001:db8::5, if the IPv6 packet says so.
#[must_use]
pub fn neighbour(packet: &[u8]) -> Option<[u8; 6]> {
    neighbour::nd_answer(packet, Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 5))
}
