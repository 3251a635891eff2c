//! Families of addresses, as the C library numbers them.

use std::net::{IpAddr, Ipv6Addr};

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
    /// Both.
    Any,
}

impl Family {
    /// The family with the C library's number; none for one that is not of IP.
    pub fn of(number: libc::c_int) -> Option<Family> {
        match number {
            libc::AF_INET => Some(Family::V4),
            libc::AF_INET6 => Some(Family::V6),
            libc::AF_UNSPEC => Some(Family::Any),
            _ => None,
        }
    }

    /// Is it an address of this family?
    pub fn has(self, address: IpAddr) -> bool {
        match self {
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
            Family::Any => true,
        }
    }
}

/// The family's number, and the length of its addresses in bytes.
pub(crate) fn number_and_length(address: IpAddr) -> (libc::c_int, usize) {
    match address {
        IpAddr::V4(_) => (libc::AF_INET, 4),
        IpAddr::V6(_) => (libc::AF_INET6, 16),
    }
}

/// The address in these bytes of that family; none when the length does not fit.
pub(crate) fn address(bytes: &[u8], family: libc::c_int) -> Option<IpAddr> {
    match family {
        libc::AF_INET => Some(IpAddr::from(<[u8; 4]>::try_from(bytes).ok()?)),
        libc::AF_INET6 => Some(IpAddr::V6(Ipv6Addr::from(
            <[u8; 16]>::try_from(bytes).ok()?,
        ))),
        _ => None,
    }
}
