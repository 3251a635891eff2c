//! The readers of raw frames, of `/proc`, of programs and of netlink messages, for the fuzzer and the replay of what it kept alone:
//! elsewhere they are behind a socket or a file.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;

use crate::mounts::{self, Mount};
use crate::netlink::{self, HostAddress, Interface, Route};
use crate::proc::{self, Rights};
use crate::sockdiag::{self, PacketSocket, Protocol, Socket};
use crate::{dhcp, exec_watch, neighbour};

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

/// What the beginning of a program's file names as the interpreter or the dynamic linker.
#[must_use]
pub fn interpreter(head: &[u8]) -> Option<&[u8]> {
    exec_watch::named_in(head)
}

/// Name, parent and start in `/proc/PID/stat`.
#[must_use]
pub fn stat(file: &[u8]) -> Option<(String, u32, u64)> {
    let stat = proc::stat_in(&String::from_utf8_lossy(file))?;
    Some((stat.comm, stat.parent, stat.start_ticks))
}

/// The rights in `/proc/PID/status`.
#[must_use]
pub fn rights(file: &[u8]) -> Option<Rights> {
    proc::rights_in(&String::from_utf8_lossy(file))
}

/// The path and the units in `/proc/PID/cgroup`.
#[must_use]
pub fn cgroup(file: &[u8]) -> (Option<String>, Vec<String>) {
    let text = String::from_utf8_lossy(file);
    (proc::cgroup_in(&text), proc::units_in(&text))
}

/// The mounts in `/proc/PID/mountinfo`.
#[must_use]
pub fn mounts(file: &[u8]) -> Vec<Mount> {
    mounts::parse(file)
}

/// The sockets in a table of `/proc/net`.
#[must_use]
pub fn table(file: &[u8], ipv6: bool) -> (Vec<Socket>, Vec<PacketSocket>) {
    let text = String::from_utf8_lossy(file);
    let sockets = sockdiag::sockets_in(Protocol::Raw, ipv6, &text);
    (sockets, sockdiag::packets_in(&text))
}

/// The socket that a message of the listing of sockets tells of.
#[must_use]
pub fn socket(body: &[u8]) -> Option<Socket> {
    sockdiag::parse(Protocol::Tcp, body)
}

/// The interface, the address and the routes that a message tells of.
#[must_use]
pub fn network(body: &[u8]) -> (Option<Interface>, Option<HostAddress>, Vec<Route>) {
    netlink::fuzzing::network(body)
}

/// Whether messages of changes tell of hostlets alone; they are taken into tables that are known.
#[must_use]
pub fn changes(messages: &[u8]) -> bool {
    netlink::fuzzing::changes(messages)
}
