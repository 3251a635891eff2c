//! The types of the shared header, and the few conversions that everything else needs.

// The header also has constants that the C side alone uses.
#![allow(
    missing_docs,
    non_camel_case_types,
    dead_code,
    clippy::undocumented_unsafe_blocks
)]

use std::net::{IpAddr, Ipv6Addr};

include!(concat!(env!("OUT_DIR"), "/abi.rs"));

/// Plain data of the shared header: any bytes are a value, and it has no padding that matters.
///
/// # Safety
/// Only for `repr(C)` structures of integers from the shared header.
pub unsafe trait Plain: Copy + Default {
    /// The bytes as the kernel wants them.
    fn bytes(&self) -> &[u8] {
        // SAFETY: a live reference to `repr(C)` integers, read for its own size; `Default` zeroes the padding.
        unsafe { std::slice::from_raw_parts(std::ptr::from_ref(self).cast(), size_of::<Self>()) }
    }

    /// A value from what the kernel gave; a shorter answer leaves the rest zero.
    fn from_bytes(bytes: &[u8]) -> Self {
        let mut value = Self::default();
        let n = bytes.len().min(size_of::<Self>());
        // SAFETY: both regions are valid for `n` bytes and do not overlap; any bytes are a value.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), std::ptr::from_mut(&mut value).cast(), n)
        };
        value
    }
}

macro_rules! plain {
    ($($name:ident),* $(,)?) => { $(
        // SAFETY: a `repr(C)` structure of integers from the shared header.
        unsafe impl Plain for $name {}
    )* };
}

plain!(
    hl_addr,
    hl_hostlet,
    hl_file,
    hl_owner,
    hl_loop_key,
    hl_extra,
    hl_prefix_key,
    hl_route,
    hl_onlink_key,
    hl_onlink,
    hl_source_key,
    hl_source_entry,
    hl_reach_key,
    hl_port_key,
    hl_sock,
    hl_port,
    hl_listener_key,
    hl_asked_key,
    hl_known,
    hl_known_key,
    hl_event,
    hl_globals,
    hl_wild_udp_key,
    hl_kernel,
);

/// IPv4 as `::ffff:a.b.c.d`, in network order.
pub fn addr(ip: IpAddr) -> hl_addr {
    let octets = match ip {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    };
    hl_addr::from_bytes(&octets)
}

/// The other way round.
pub fn ip(a: &hl_addr) -> IpAddr {
    let mut octets = [0; 16];
    octets.copy_from_slice(a.bytes());
    let v6 = Ipv6Addr::from(octets);
    v6.to_ipv4_mapped().map_or(IpAddr::V6(v6), IpAddr::V4)
}

/// The length of a prefix in the kernel's tables, where IPv4 is part of IPv6.
pub fn prefix_bits(ip: IpAddr, len: u8) -> u32 {
    u32::from(len) + if ip.is_ipv4() { 96 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_survive_the_way_to_the_kernel_and_back() {
        for text in ["10.1.2.3", "2001:db8::7", "127.64.0.1"] {
            let given: IpAddr = text.parse().unwrap();
            assert_eq!(ip(&addr(given)), given);
        }
    }

    #[test]
    fn ipv4_is_mapped_in_network_order() {
        assert_eq!(
            addr("1.2.3.4".parse().unwrap()).bytes()[10..],
            [0xff, 0xff, 1, 2, 3, 4]
        );
    }
}
