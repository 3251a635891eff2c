//! A hostlet as its programs see it: the record that is published for its cgroup.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::BitOr;

use hostlet_model::{Owned, SourcePolicy};

use crate::abi::{
    self, HL_ALL4, HL_ALL6, HL_EXCLUDE, HL_FEW4, HL_FEW6, HL_FIT_PASS, HL_FIT_REFUSE, HL_GONE,
    HL_GUARD, HL_MANY4, HL_MANY6, HL_PASS, HL_PREFIX, HL_RAW, HL_REACH, HL_ROUTED4, HL_ROUTED6,
    HL_SOURCE_BY_DESTINATION, HL_SOURCE_PRIMARY, HL_SOURCE_RANDOM, HL_V4, HL_V6, hl_hostlet,
};

/// A set of facts about a hostlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecordFlags(u32);

impl RecordFlags {
    /// It has IPv4 addresses.
    pub const V4: Self = Self(HL_V4);
    /// It has IPv6 addresses.
    pub const V6: Self = Self(HL_V6);
    /// More than the IPv4 primary.
    pub const MANY4: Self = Self(HL_MANY4);
    /// More than the IPv6 primary.
    pub const MANY6: Self = Self(HL_MANY6);
    /// It owns prefixes.
    pub const PREFIX: Self = Self(HL_PREFIX);
    /// The route decides on its IPv4 source.
    pub const ROUTED4: Self = Self(HL_ROUTED4);
    /// The route decides on its IPv6 source.
    pub const ROUTED6: Self = Self(HL_ROUTED6);
    /// Its packets are checked.
    pub const GUARD: Self = Self(HL_GUARD);
    /// Raw sockets are granted.
    pub const RAW: Self = Self(HL_RAW);
    /// It has entries in the reach table.
    pub const REACH: Self = Self(HL_REACH);
    /// It is being removed: everything new is refused.
    pub const GONE: Self = Self(HL_GONE);
    /// It fell back: its members are as processes outside.
    pub const PASS: Self = Self(HL_PASS);

    /// Excluded programs are as outside in it.
    pub const EXCLUDE: Self = Self(HL_EXCLUDE);
    /// Its addresses are for routes by their interfaces; other calls are refused.
    pub const FIT_REFUSE: Self = Self(HL_FIT_REFUSE);
    /// The same; other calls are done as outside.
    pub const FIT_PASS: Self = Self(HL_FIT_PASS);

    /// The record holds all of its IPv4 addresses.
    pub const ALL4: Self = Self(HL_ALL4);
    /// The record holds all of its IPv6 addresses.
    pub const ALL6: Self = Self(HL_ALL6);

    /// Does it have all of these?
    #[must_use]
    pub fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// With these where `yes`.
    #[must_use]
    pub fn with(self, other: Self, yes: bool) -> Self {
        if yes { Self(self.0 | other.0) } else { self }
    }
}

impl BitOr for RecordFlags {
    type Output = Self;
    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

/// One hostlet as its programs see it; published whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its id.
    pub id: u32,
    /// Cookie of its network namespace.
    pub netns: u64,
    /// Facts.
    pub flags: RecordFlags,
    /// How a source is chosen.
    pub source: SourcePolicy,
    /// What stands for `0.0.0.0`; without one, the loopback does.
    pub primary4: Option<Ipv4Addr>,
    /// What stands for `::`.
    pub primary6: Option<Ipv6Addr>,
    /// Its IPv4 loopback.
    pub loop4: Ipv4Addr,
    /// Its IPv6 loopback; none without IPv6 on the machine.
    pub loop6: Option<Ipv6Addr>,
    /// The first single addresses beside the primary, which are known without a look-up.
    pub few4: [Option<Ipv4Addr>; HL_FEW4 as usize],
    /// The same of IPv6.
    pub few6: [Option<Ipv6Addr>; HL_FEW6 as usize],
}

/// The first single addresses of a set beside its primaries, as [`Record`] holds them.
#[must_use]
pub fn few(
    owned: &[Owned],
    primaries: (Option<Ipv4Addr>, Option<Ipv6Addr>),
) -> (
    [Option<Ipv4Addr>; HL_FEW4 as usize],
    [Option<Ipv6Addr>; HL_FEW6 as usize],
) {
    let (mut four, mut six) = (Vec::new(), Vec::new());
    for single in owned {
        match single {
            Owned::Single(IpAddr::V4(a)) if Some(*a) != primaries.0 => four.push(*a),
            Owned::Single(IpAddr::V6(a)) if Some(*a) != primaries.1 => six.push(*a),
            _ => {}
        }
    }
    (
        std::array::from_fn(|i| four.get(i).copied()),
        std::array::from_fn(|i| six.get(i).copied()),
    )
}

/// Which families of a set [`few`] has all of, together with the primaries.
#[must_use]
pub fn all(owned: &[Owned]) -> RecordFlags {
    let fits = |four: bool, few: u32| {
        let family = || owned.iter().filter(|o| o.is_ipv4() == four);
        family().all(|o| matches!(o, Owned::Single(_))) && family().count() <= few as usize + 1
    };
    RecordFlags::default()
        .with(RecordFlags::ALL4, fits(true, HL_FEW4))
        .with(RecordFlags::ALL6, fits(false, HL_FEW6))
}

impl Record {
    pub(crate) fn to_kernel(self) -> hl_hostlet {
        let v6 = |a: Option<Ipv6Addr>| a.map(|a| abi::addr(a.into())).unwrap_or_default();
        hl_hostlet {
            netns: self.netns,
            id: self.id,
            flags: self.flags.0,
            source: match self.source {
                SourcePolicy::Primary => HL_SOURCE_PRIMARY,
                SourcePolicy::Random => HL_SOURCE_RANDOM,
                SourcePolicy::ByDestination => HL_SOURCE_BY_DESTINATION,
            },
            primary4: abi::addr(self.primary4.unwrap_or(self.loop4).into()),
            primary6: v6(self.primary6.or(self.loop6)),
            loop4: abi::addr(self.loop4.into()),
            loop6: v6(self.loop6),
            few4: self
                .few4
                .map(|a| a.map_or(0, |a| u32::from_ne_bytes(a.octets()))),
            few6: self.few6.map(v6),
            ..Default::default()
        }
    }

    pub(crate) fn from_kernel(h: &hl_hostlet) -> Option<Self> {
        let v4 = |a| match abi::ip(a) {
            IpAddr::V4(v4) => Some(v4),
            IpAddr::V6(_) => None,
        };
        let v6 = |a| match abi::ip(a) {
            IpAddr::V6(v6) if !v6.is_unspecified() => Some(v6),
            _ => None,
        };
        let flags = RecordFlags(h.flags);
        (h.id != 0).then(|| Self {
            id: h.id,
            netns: h.netns,
            flags,
            source: match h.source {
                HL_SOURCE_RANDOM => SourcePolicy::Random,
                HL_SOURCE_BY_DESTINATION => SourcePolicy::ByDestination,
                _ => SourcePolicy::Primary,
            },
            primary4: v4(&h.primary4).filter(|_| flags.has(RecordFlags::V4)),
            primary6: v6(&h.primary6).filter(|_| flags.has(RecordFlags::V6)),
            loop4: v4(&h.loop4).unwrap_or(Ipv4Addr::LOCALHOST),
            loop6: v6(&h.loop6),
            few4: h
                .few4
                .map(|a| (a != 0).then(|| Ipv4Addr::from(a.to_ne_bytes()))),
            few6: std::array::from_fn(|i| v6(&h.few6[i])),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn singles(count: u8) -> Vec<Owned> {
        let single = |n| Owned::Single(IpAddr::V4(Ipv4Addr::new(192, 0, 2, n)));
        (1..=count).map(single).collect()
    }

    #[test]
    fn a_record_has_all_of_a_small_set_alone() {
        assert_eq!(all(&singles(8)), RecordFlags::ALL4 | RecordFlags::ALL6);
        assert_eq!(all(&singles(9)), RecordFlags::ALL6);
        let net = Owned::Prefix("192.0.2.0/28".parse().unwrap());
        assert_eq!(all(&[net]), RecordFlags::ALL6);
    }
}
