//! Ranges of addresses, from which pools lend.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::address::{AddressError, refuse_special};

const WHAT: &str = "write a range (192.0.2.100-192.0.2.199), a prefix (2001:db8:5::/120) or an address (192.0.2.7)";

/// Addresses of one family that follow each other, both ends included. None of them is of a kind that no hostlet can own.
///
/// | text | meaning |
/// |---|---|
/// | `192.0.2.7` | a single address |
/// | `192.0.2.100-192.0.2.199` | from the first to the last |
/// | `192.0.2.0/24` | an IPv4 prefix without its network and broadcast addresses; all of a /31 |
/// | `2001:db8:5::/120` | an IPv6 prefix without its first address, which is every router's; all of a /127 |
///
/// It is printed as a single address or as `first-last`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AddressRange {
    first: IpAddr,
    last: IpAddr,
}

/// Why a text is no range of addresses to lend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum RangeError {
    #[error("'{given}' is no range of addresses: {why}")]
    Malformed { given: String, why: &'static str },
    #[error("'{given}' begins and ends in different families: {WHAT}")]
    Families { given: String },
    #[error("'{given}' ends before it begins: write {last}-{first}")]
    Backwards {
        given: String,
        first: IpAddr,
        last: IpAddr,
    },
    #[error(
        "'{given}' has link-local addresses: those mean nothing beyond their link and are not lent"
    )]
    LinkLocal { given: String },
    #[error(transparent)]
    Special(#[from] AddressError),
}

impl AddressRange {
    /// The range from `first` to `last`.
    ///
    /// # Errors
    /// Two families, the wrong order, or an address that no hostlet can own.
    pub fn new(first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        let given = if first == last {
            first.to_string()
        } else {
            format!("{first}-{last}")
        };
        Self::checked(&given, first, last)
    }

    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.first
    }

    /// The last address; the first itself where there is only one.
    pub fn last(&self) -> IpAddr {
        self.last
    }

    /// Is it of the IPv6 family?
    pub fn is_ipv6(&self) -> bool {
        self.first.is_ipv6()
    }

    /// Is this address in it?
    pub fn contains(&self, addr: IpAddr) -> bool {
        // The families do not mix in the order of addresses: every IPv4 address is before every IPv6 address.
        self.first <= addr && addr <= self.last
    }

    /// Do the two have an address in common?
    pub fn overlaps(&self, other: &AddressRange) -> bool {
        self.first <= other.last && other.first <= self.last
    }

    /// How many addresses it has; at least one.
    pub fn count(&self) -> u128 {
        // Cannot overflow: no range has the unspecified address.
        bits(self.last) - bits(self.first) + 1
    }

    fn checked(given: &str, first: IpAddr, last: IpAddr) -> Result<Self, RangeError> {
        let text = || given.to_owned();
        if first.is_ipv4() != last.is_ipv4() {
            return Err(RangeError::Families { given: text() });
        }
        if last < first {
            return Err(RangeError::Backwards {
                given: text(),
                first,
                last,
            });
        }
        refuse_special(given, first, last)?;
        let range = AddressRange { first, last };
        let link_local = AddressRange {
            first: IpAddr::V6([0xfe80, 0, 0, 0, 0, 0, 0, 0].into()),
            last: IpAddr::V6([0xfebf, !0, !0, !0, !0, !0, !0, !0].into()),
        };
        if range.overlaps(&link_local) {
            return Err(RangeError::LinkLocal { given: text() });
        }
        Ok(range)
    }
}

/// The address as a number, for counting within one family.
fn bits(addr: IpAddr) -> u128 {
    match addr {
        IpAddr::V4(a) => u128::from(u32::from(a)),
        IpAddr::V6(a) => u128::from(a),
    }
}

/// The address `n` behind this one; none behind the last of the family.
fn after(addr: IpAddr, n: u128) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(a) => {
            let sum = u32::from(a).checked_add(u32::try_from(n).ok()?)?;
            Some(IpAddr::V4(sum.into()))
        }
        IpAddr::V6(a) => Some(IpAddr::V6(u128::from(a).checked_add(n)?.into())),
    }
}

/// The address before this one; none before the first of the family.
fn before(addr: IpAddr) -> Option<IpAddr> {
    match addr {
        IpAddr::V4(a) => Some(IpAddr::V4(u32::from(a).checked_sub(1)?.into())),
        IpAddr::V6(a) => Some(IpAddr::V6(u128::from(a).checked_sub(1)?.into())),
    }
}

impl FromStr for AddressRange {
    type Err = RangeError;

    fn from_str(given: &str) -> Result<Self, RangeError> {
        Self::read(given, false)
    }
}

impl AddressRange {
    /// Reads a range to exclude: as for parsing, but a prefix has all its addresses.
    pub(crate) fn excluded(given: &str) -> Result<Self, RangeError> {
        Self::read(given, true)
    }

    fn read(given: &str, whole: bool) -> Result<Self, RangeError> {
        let malformed = |why| RangeError::Malformed {
            given: given.to_owned(),
            why,
        };
        if let Some((first, last)) = given.split_once('-') {
            let first = first.trim().parse().map_err(|_| malformed(WHAT))?;
            let last = last.trim().parse().map_err(|_| malformed(WHAT))?;
            return Self::checked(given, first, last);
        }
        if !given.contains('/') {
            let a: IpAddr = given.parse().map_err(|_| malformed(WHAT))?;
            return Self::checked(given, a, a);
        }
        let net: IpNet = given.parse().map_err(|_| malformed(WHAT))?;
        if net.addr() != net.network() {
            return Err(malformed("bits are set behind the length of the prefix"));
        }
        // Lengths 31 and 127 are links of two, where both ends are addresses like any other (RFC 3021, RFC 6164).
        let whole = whole || net.max_prefix_len() - net.prefix_len() <= 1;
        let (mut first, mut last) = (net.network(), net.broadcast());
        // The whole of it is looked at, so that 0.0.0.0/0 is refused for what it is.
        refuse_special(given, first, last)?;
        if !whole {
            first = after(first, 1).unwrap_or(first);
            if first.is_ipv4() {
                last = before(last).unwrap_or(last);
            }
        }
        Self::checked(given, first, last)
    }
}

impl fmt::Display for AddressRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            self.first.fmt(f)
        } else {
            f.pad(&format!("{}-{}", self.first, self.last))
        }
    }
}

serde_as_text!(AddressRange, "a range of addresses");

/// The addresses that a pool lends: ranges of both families in ascending order, which neither overlap nor touch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "Vec<AddressRange>", into = "Vec<AddressRange>")]
pub struct Ranges {
    /// IPv4 before IPv6.
    ranges: Vec<AddressRange>,
}

impl Ranges {
    /// All addresses of `ranges` but those of `exclude`.
    pub fn new(ranges: &[AddressRange], exclude: &[AddressRange]) -> Self {
        let (ranges, exclude) = (merged(ranges), merged(exclude));
        let mut left = Vec::new();
        let mut from = 0;
        for range in ranges {
            // What ends before this range ends before every later one.
            while exclude.get(from).is_some_and(|e| e.last < range.first) {
                from += 1;
            }
            let mut rest = Some(range);
            for e in exclude[from..].iter().take_while(|e| e.first <= range.last) {
                let Some(r) = rest else { break };
                if r.first < e.first
                    && let Some(last) = before(e.first)
                {
                    left.push(AddressRange {
                        first: r.first,
                        last,
                    });
                }
                rest = after(e.last, 1)
                    .filter(|first| *first <= r.last)
                    .map(|first| AddressRange {
                        first,
                        last: r.last,
                    });
            }
            left.extend(rest);
        }
        Ranges { ranges: left }
    }

    /// Is there no address at all?
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// The ranges in ascending order, IPv4 first; they neither overlap nor touch.
    pub fn iter(&self) -> impl Iterator<Item = &AddressRange> {
        self.ranges.iter()
    }

    /// Is there an address of this family?
    pub fn has(&self, v6: bool) -> bool {
        !self.family(v6).is_empty()
    }

    /// Is this address among them?
    pub fn contains(&self, addr: IpAddr) -> bool {
        self.overlap(addr, addr).is_some()
    }

    /// How many addresses of this family there are.
    pub fn count(&self, v6: bool) -> u128 {
        self.family(v6).iter().map(AddressRange::count).sum()
    }

    /// The address of this family with `n` others before it, in ascending order.
    pub fn nth(&self, v6: bool, mut n: u128) -> Option<IpAddr> {
        for range in self.family(v6) {
            let count = range.count();
            if n < count {
                return after(range.first, n);
            }
            n -= count;
        }
        None
    }

    /// How many addresses of its family are before this one: what [`Ranges::nth`] takes; none if it is not among them.
    pub fn position(&self, addr: IpAddr) -> Option<u128> {
        let mut n = 0;
        for range in self.family(addr.is_ipv6()) {
            if range.contains(addr) {
                return Some(n + bits(addr) - bits(range.first));
            }
            n += range.count();
        }
        None
    }

    /// The lowest address that is both among these and between `first` and `last`, both included.
    pub fn overlap(&self, first: IpAddr, last: IpAddr) -> Option<IpAddr> {
        let i = self.ranges.partition_point(|r| r.last < first);
        let range = self.ranges.get(i)?;
        (range.first <= last).then(|| range.first.max(first))
    }

    fn family(&self, v6: bool) -> &[AddressRange] {
        let (v4_part, v6_part) = self
            .ranges
            .split_at(self.ranges.partition_point(|r| !r.is_ipv6()));
        if v6 { v6_part } else { v4_part }
    }
}

/// The same addresses in ascending order, with ranges that overlap or touch made one.
fn merged(ranges: &[AddressRange]) -> Vec<AddressRange> {
    let mut all = ranges.to_vec();
    all.sort();
    let mut out: Vec<AddressRange> = Vec::new();
    for range in all {
        match out.last_mut() {
            Some(before)
                if range.first <= before.last || after(before.last, 1) == Some(range.first) =>
            {
                before.last = before.last.max(range.last);
            }
            _ => out.push(range),
        }
    }
    out
}

impl From<Vec<AddressRange>> for Ranges {
    fn from(ranges: Vec<AddressRange>) -> Self {
        Ranges::new(&ranges, &[])
    }
}

impl From<Ranges> for Vec<AddressRange> {
    fn from(ranges: Ranges) -> Self {
        ranges.ranges
    }
}

impl fmt::Display for Ranges {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, r) in self.ranges.iter().enumerate() {
            let comma = if i == 0 { "" } else { ", " };
            write!(f, "{comma}{r}")?;
        }
        Ok(())
    }
}
