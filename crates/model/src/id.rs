//! The number that stands for a hostlet in the kernel, and the loopback pair derived from it.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

/// The number of a hostlet: 1 to [`HostletId::MAX`]. The kernel programs see only this, never the name.
///
/// Zero stands for "no hostlet" in the kernel tables and is never given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct HostletId(pub u32);

/// A number outside the range of ids.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no hostlet id: ids are 1 to {max}", max = HostletId::MAX)]
pub struct IdError(pub u32);

impl HostletId {
    /// The greatest id: what fits into the 22 host bits of 127.64.0.0/10, less the last, whose loopback addresses the kernel programs
    /// use as ones that certainly nobody has.
    pub const MAX: u32 = 0x3f_fffe;

    const BITS: u32 = 0x3f_ffff;

    /// The id, if the number is in range.
    pub fn new(n: u32) -> Result<Self, IdError> {
        match n {
            1..=Self::MAX => Ok(HostletId(n)),
            _ => Err(IdError(n)),
        }
    }

    /// The hostlet's own IPv4 loopback address, in 127.64.0.0/10.
    pub fn loopback4(self) -> Ipv4Addr {
        Ipv4Addr::from(0x7f40_0000 | (self.0 & Self::BITS))
    }

    /// The hostlet's own IPv6 loopback address, in fd68:6f73:746c:7400::/64.
    pub fn loopback6(self) -> Ipv6Addr {
        let id = self.0 & Self::BITS;
        Ipv6Addr::new(
            0xfd68,
            0x6f73,
            0x746c,
            0x7400,
            0,
            0,
            (id >> 16) as u16,
            id as u16,
        )
    }
}

impl TryFrom<u32> for HostletId {
    type Error = IdError;

    fn try_from(n: u32) -> Result<Self, IdError> {
        HostletId::new(n)
    }
}

impl From<HostletId> for u32 {
    fn from(id: HostletId) -> u32 {
        id.0
    }
}

impl fmt::Display for HostletId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
