//! What a hostlet owns: one address, or all addresses of a prefix.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::address::{self, AddressError};

/// A single address or a whole prefix. A prefix of full length (/32, /128) is the single address; build values through
/// [`Owned::from_net`] or by parsing to keep that so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owned {
    /// One address.
    Single(IpAddr),
    /// Every address of this prefix; its host bits are zero and its length is less than full.
    Prefix(IpNet),
}

impl Owned {
    /// The value for a network: host bits are cleared, and a full-length prefix becomes the single address.
    pub fn from_net(net: IpNet) -> Self {
        if net.prefix_len() == net.max_prefix_len() {
            Owned::Single(net.addr())
        } else {
            Owned::Prefix(net.trunc())
        }
    }

    /// The same as a network; a single address has the full length.
    pub fn net(&self) -> IpNet {
        match self {
            Owned::Single(IpAddr::V4(a)) => IpNet::V4(Ipv4Net::from(*a)),
            Owned::Single(IpAddr::V6(a)) => IpNet::V6(Ipv6Net::from(*a)),
            Owned::Prefix(n) => *n,
        }
    }

    /// Is this address owned?
    pub fn contains(&self, addr: IpAddr) -> bool {
        match self {
            Owned::Single(a) => *a == addr,
            Owned::Prefix(n) => n.contains(&addr),
        }
    }

    /// Do the two have an address in common?
    pub fn overlaps(&self, other: &Owned) -> bool {
        match (self, other) {
            (Owned::Single(a), Owned::Single(b)) => a == b,
            (Owned::Single(a), Owned::Prefix(n)) | (Owned::Prefix(n), Owned::Single(a)) => {
                n.contains(a)
            }
            // Two prefixes that share an address are nested, so one holds the other's network address.
            (Owned::Prefix(a), Owned::Prefix(b)) => {
                a.contains(&b.network()) || b.contains(&a.network())
            }
        }
    }

    /// Its lowest and its highest address, the network and broadcast addresses of a prefix included.
    pub fn range(&self) -> (IpAddr, IpAddr) {
        match self {
            Owned::Single(a) => (*a, *a),
            Owned::Prefix(n) => (n.network(), n.broadcast()),
        }
    }

    /// Is it of the IPv4 family?
    pub fn is_ipv4(&self) -> bool {
        match self {
            Owned::Single(a) => a.is_ipv4(),
            Owned::Prefix(n) => matches!(n, IpNet::V4(_)),
        }
    }

    /// Is it a prefix, not a single address?
    pub fn is_prefix(&self) -> bool {
        matches!(self, Owned::Prefix(_))
    }

    /// The address that stands for the entry: a single address itself, of a prefix the one after the network address (which is a
    /// subnet-router anycast address in IPv6 and no host's in IPv4).
    pub fn first(&self) -> IpAddr {
        match self {
            Owned::Single(a) => *a,
            Owned::Prefix(IpNet::V4(n)) => {
                IpAddr::V4((u32::from(n.network()).wrapping_add(1)).into())
            }
            Owned::Prefix(IpNet::V6(n)) => {
                IpAddr::V6((u128::from(n.network()).wrapping_add(1)).into())
            }
        }
    }
}

impl From<IpAddr> for Owned {
    fn from(a: IpAddr) -> Self {
        Owned::Single(a)
    }
}

impl From<IpNet> for Owned {
    fn from(n: IpNet) -> Self {
        Owned::from_net(n)
    }
}

impl FromStr for Owned {
    type Err = AddressError;

    /// Reads `ADDRESS` or `NETWORK/LENGTH`. A zone or an on-link length has no place here.
    fn from_str(s: &str) -> Result<Self, AddressError> {
        let malformed = |why: &str| AddressError::Malformed {
            given: s.to_owned(),
            why: why.to_owned(),
        };
        if !s.contains('/') {
            let a: IpAddr = s.parse().map_err(|_| malformed(address::WHAT))?;
            return Ok(Owned::Single(a));
        }
        let n: IpNet = s.parse().map_err(|_| malformed(address::WHAT))?;
        if n.addr() != n.network() {
            return Err(malformed("bits are set behind the length of the prefix"));
        }
        Ok(Owned::from_net(n))
    }
}

impl fmt::Display for Owned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Owned::Single(a) => a.fmt(f),
            Owned::Prefix(n) => f.pad(&n.to_string()),
        }
    }
}

serde_as_text!(Owned, "an address or a prefix");
