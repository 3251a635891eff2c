//! What a user writes for an address.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use crate::Owned;

pub(crate) const WHAT: &str = "write an address (10.0.0.5), an address with its on-link length (10.0.0.5/24) or a prefix (2001:db8:7::/64)";

/// An address as wished for: what to own, and where it lies if the user says so.
///
/// | text | meaning |
/// |---|---|
/// | `10.0.0.5` | a single address |
/// | `10.0.0.5/24` | a single address on a link of length 24 |
/// | `10.9.0.0/24`, `2001:db8:7::/64` | a whole prefix: host bits are zero |
/// | `fe80::1%eth0`, `fe80::1%eth0/64` | a link-local address of one interface |
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressSpec {
    /// What the hostlet is to own.
    pub owned: Owned,
    /// The length of the on-link network, if given with a single address.
    pub onlink: Option<u8>,
    /// The interface of a link-local address.
    pub zone: Option<String>,
}

/// Why a text is no address that a hostlet can own.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum AddressError {
    #[error("'{given}' is no address: {why}")]
    Malformed { given: String, why: String },
    #[error("'{given}': {length} is no prefix length, at most {most} is possible")]
    BadLength {
        given: String,
        length: String,
        most: u8,
    },
    #[error(
        "'{given}' {} a loopback address: each hostlet has a loopback of its own, give an address of an interface",
        is_or_includes(given)
    )]
    Loopback { given: String },
    #[error(
        "'{given}' lies in a range from which hostlet itself makes loopback addresses (fd68:6f73:746c:7400::/64): choose another"
    )]
    Reserved { given: String },
    #[error(
        "'{given}' {} a multicast address: members join groups by themselves, give a unicast address",
        is_or_includes(given)
    )]
    Multicast { given: String },
    #[error("'{given}' is the unspecified address: name the addresses that the hostlet is to have")]
    Unspecified { given: String },
    #[error(
        "'{given}': with a length of 0 every address would be its neighbour: write the length of its subnet, like {address}/{usual}, or none"
    )]
    NoSubnet {
        given: String,
        address: String,
        usual: u8,
    },
    #[error(
        "'{given}' {} the broadcast address: give a unicast address",
        is_or_includes(given)
    )]
    Broadcast { given: String },
    #[error(
        "'{given}' is link-local and means nothing without its interface: write {given}%INTERFACE"
    )]
    LinkLocalWithoutInterface { given: String },
    #[error("'{given}' is a link-local prefix: only single link-local addresses can be owned")]
    LinkLocalPrefix { given: String },
    #[error(
        "'{given}' names an interface, but only link-local addresses take one: leave '%{zone}' out"
    )]
    ZoneWithoutLinkLocal { given: String, zone: String },
    #[error("'{given}': '{zone}' cannot be the name of an interface")]
    BadZone { given: String, zone: String },
    #[error("'{given}' is an IPv4 address in IPv6 form: write it as {plain}")]
    V4Mapped { given: String, plain: String },
}

fn is_or_includes(given: &str) -> &'static str {
    if given.contains(['/', '-']) {
        "includes"
    } else {
        "is"
    }
}

impl AddressSpec {
    /// A single address with nothing said about its link.
    ///
    /// # Errors
    /// As for parsing: an address that no hostlet can own.
    pub fn single(addr: IpAddr) -> Result<Self, AddressError> {
        addr.to_string().parse()
    }
}

impl FromStr for AddressSpec {
    type Err = AddressError;

    fn from_str(given: &str) -> Result<Self, AddressError> {
        let malformed = |why: &str| AddressError::Malformed {
            given: given.to_owned(),
            why: why.to_owned(),
        };
        // The zone stands before the length (RFC 4007); behind it is accepted as well.
        let (rest, length) = match given.split_once('/') {
            Some((a, l)) => (a, Some(l)),
            None => (given, None),
        };
        let (addr, mut zone) = split_zone(rest);
        let length = length.map(|l| {
            let (l, z) = split_zone(l);
            zone = zone.or(z);
            l
        });
        let addr: IpAddr = addr.parse().map_err(|_| malformed(WHAT))?;
        let most = if addr.is_ipv4() { 32 } else { 128 };
        let length = length.map(|l| parse_length(given, l, most)).transpose()?;
        let net = length
            .map(|l| IpNet::new(addr, l))
            .transpose()
            .map_err(|_| malformed(WHAT))?;

        let (owned, onlink) = match net {
            Some(n) if n.prefix_len() < most && n.network() == addr => (Owned::from_net(n), None),
            Some(n) => (Owned::Single(addr), Some(n.prefix_len())),
            None => (Owned::Single(addr), None),
        };
        refuse_special(given, owned.net().network(), owned.net().broadcast())?;
        if owned.is_prefix() && overlaps(&owned, v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10)) {
            return Err(AddressError::LinkLocalPrefix {
                given: given.to_owned(),
            });
        }

        if onlink == Some(0) {
            return Err(AddressError::NoSubnet {
                given: given.to_owned(),
                address: addr.to_string(),
                usual: if addr.is_ipv4() { 24 } else { 64 },
            });
        }

        let link_local = matches!(addr, IpAddr::V6(a) if a.is_unicast_link_local());
        match (link_local, zone) {
            (true, None) => Err(AddressError::LinkLocalWithoutInterface {
                given: given.to_owned(),
            }),
            (false, Some(zone)) => Err(AddressError::ZoneWithoutLinkLocal {
                given: given.to_owned(),
                zone: zone.to_owned(),
            }),
            (true, Some(zone)) if !interface_name(zone) => Err(AddressError::BadZone {
                given: given.to_owned(),
                zone: zone.to_owned(),
            }),
            (_, zone) => Ok(AddressSpec {
                owned,
                onlink,
                zone: zone.map(str::to_owned),
            }),
        }
    }
}

fn split_zone(s: &str) -> (&str, Option<&str>) {
    match s.split_once('%') {
        Some((a, z)) => (a, Some(z)),
        None => (s, None),
    }
}

fn parse_length(given: &str, text: &str, most: u8) -> Result<u8, AddressError> {
    let plain = !text.is_empty() && text.len() <= 3 && text.bytes().all(|b| b.is_ascii_digit());
    match text.parse::<u8>() {
        Ok(l) if plain && l <= most => Ok(l),
        _ => Err(AddressError::BadLength {
            given: given.to_owned(),
            length: text.to_owned(),
            most,
        }),
    }
}

/// What the kernel accepts as an interface's name.
pub(crate) fn interface_name(s: &str) -> bool {
    !s.is_empty()
        && s.len() < 16
        && s != "."
        && s != ".."
        && !s
            .chars()
            .any(|c| c == '/' || c == ':' || c == '%' || c.is_whitespace() || c.is_control())
}

fn v4(a: u8, b: u8, c: u8, d: u8, length: u8) -> IpNet {
    IpNet::V4(Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), length))
}

fn v6(segments: [u16; 8], length: u8) -> IpNet {
    IpNet::V6(Ipv6Net::new_assert(Ipv6Addr::from(segments), length))
}

fn overlaps(owned: &Owned, net: IpNet) -> bool {
    owned.overlaps(&Owned::from_net(net))
}

/// Refuses what no hostlet can own: the addresses from `first` to `last`, of one family, if any is of such a kind.
pub(crate) fn refuse_special(given: &str, first: IpAddr, last: IpAddr) -> Result<(), AddressError> {
    let given = || given.to_owned();
    let meets = |n: IpNet| first <= n.broadcast() && n.network() <= last;

    // Ordered so that the most telling reason wins for a prefix like 0.0.0.0/0.
    if meets(v4(0, 0, 0, 0, 32)) || meets(v6([0; 8], 128)) {
        return Err(AddressError::Unspecified { given: given() });
    }
    if meets(v4(127, 0, 0, 0, 8)) || meets(v6([0, 0, 0, 0, 0, 0, 0, 1], 128)) {
        return Err(AddressError::Loopback { given: given() });
    }
    if meets(v6([0xfd68, 0x6f73, 0x746c, 0x7400, 0, 0, 0, 0], 64)) {
        return Err(AddressError::Reserved { given: given() });
    }
    if meets(v4(224, 0, 0, 0, 4)) || meets(v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8)) {
        return Err(AddressError::Multicast { given: given() });
    }
    if meets(v4(255, 255, 255, 255, 32)) {
        return Err(AddressError::Broadcast { given: given() });
    }
    if meets(v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96)) {
        let plain = match first {
            IpAddr::V6(a) if first == last => a
                .to_ipv4_mapped()
                .map_or_else(|| "IPv4".to_owned(), |a| a.to_string()),
            _ => "an IPv4 prefix".to_owned(),
        };
        return Err(AddressError::V4Mapped {
            given: given(),
            plain,
        });
    }
    Ok(())
}

impl fmt::Display for AddressSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.owned.fmt(f)?;
        if let Some(z) = &self.zone {
            write!(f, "%{z}")?;
        }
        if let Some(l) = self.onlink {
            write!(f, "/{l}")?;
        }
        Ok(())
    }
}

serde_as_text!(AddressSpec, "an address or a prefix");
