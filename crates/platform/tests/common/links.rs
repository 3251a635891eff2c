//! Interfaces and addresses of a network namespace of a test's own.

use std::net::IpAddr;

use hostlet_platform::netlink;

use super::sh;

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A pair of interfaces, `va` with an address and switched on.
pub fn link() -> u32 {
    sh(
        "ip link add va type veth peer name vb; ip link set va up; ip link set vb up;
        sysctl -qw net.ipv6.conf.va.accept_dad=0 || true",
    );
    let found = netlink::interfaces().unwrap();
    found.iter().find(|i| i.name == "va").unwrap().index
}

pub fn has(ifindex: u32, addr: &str, len: u8) -> bool {
    netlink::addresses()
        .unwrap()
        .iter()
        .any(|a| a.ifindex == ifindex && a.addr == ip(addr) && a.prefix_len == len)
}
