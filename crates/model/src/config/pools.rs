//! `[pool.NAME]`, `[dhcp]` and `[hostletd]`, from text.

use std::str::FromStr;
use std::time::Duration;

use super::error::unknown;
use super::pool::{DaemonOptions, DhcpOptions, DhcpPool, Pool, PoolSource, StaticPool};
use super::read::{Reader, Table};
use crate::{AddressRange, IpNet, Name, RangeError, Ranges};

const POOL: &[&str] = &[
    "interface",
    "ranges",
    "exclude",
    "subnets",
    "dhcp",
    "user-class",
    "timeout",
    "may-use",
    "may-request",
    "limit-per-user",
    "probe",
    "set-aside",
    "on-loss",
    "unreachable",
];
/// What says more about `ranges`, and about `dhcp`.
const WITH_RANGES: &[&str] = &["exclude", "subnets"];
const WITH_DHCP: &[&str] = &["user-class", "timeout"];

pub(super) const MILLISECOND: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
pub(super) const MINUTE: Duration = Duration::from_secs(60);
pub(super) const HOUR: Duration = Duration::from_secs(3600);

impl Reader {
    pub(super) fn pool(&mut self, name: &Name, at: usize, t: &Table<'_>) -> Pool {
        self.known(t, "key", POOL);
        let interface = self.interface(t, "interface");
        if t.get("interface").is_none() {
            self.problem(
                at,
                format!("pool '{name}' has no interface: add interface = \"…\""),
            );
        }
        let (ranges, dhcp) = (place(t, "ranges"), place(t, "dhcp"));
        let source = match (ranges, dhcp) {
            (_, None) => {
                if ranges.is_none() {
                    self.problem(
                        at,
                        format!("pool '{name}' has no addresses: add ranges = [\"…\"], or dhcp = [\"ipv4\"]"),
                    );
                }
                self.out_of_place(name, t, WITH_DHCP, "dhcp");
                PoolSource::Static(self.static_pool(name, t))
            }
            (None, Some(_)) => {
                self.out_of_place(name, t, WITH_RANGES, "ranges");
                PoolSource::Dhcp(self.dhcp_pool(t))
            }
            (Some(ranges), Some(dhcp)) => {
                self.problem(
                    ranges.max(dhcp),
                    format!("pool '{name}' has both ranges and dhcp: make it two pools"),
                );
                PoolSource::Static(self.static_pool(name, t))
            }
        };
        Pool {
            name: name.clone(),
            interface: interface.unwrap_or_default(),
            source,
            may_use: self.list(t, "may-use"),
            may_request: self.list(t, "may-request"),
            limit_per_user: self.number(t, "limit-per-user", 1, u32::MAX),
            probe: self.probe(t),
            set_aside: self
                .duration(t, "set-aside", SECOND, 24 * 30 * HOUR)
                .unwrap_or(Pool::SET_ASIDE),
            on_loss: self.parsed(t, "on-loss").unwrap_or_default(),
            unreachable: self.parsed(t, "unreachable").unwrap_or_default(),
        }
    }

    /// Keys that only have a meaning together with another one, which this pool has not.
    fn out_of_place(&mut self, name: &Name, t: &Table<'_>, keys: &[&str], with: &str) {
        for key in keys {
            if let Some(at) = place(t, key) {
                self.problem(
                    at,
                    format!("'{key}' goes with '{with}', which pool '{name}' does not have: leave it out"),
                );
            }
        }
    }

    fn probe(&mut self, t: &Table<'_>) -> Option<Duration> {
        if t.get("probe").and_then(|v| v.get_ref().as_str()) == Some("off") {
            return None;
        }
        let given = self.duration(t, "probe", 10 * MILLISECOND, 10 * SECOND);
        Some(given.unwrap_or(Pool::PROBE))
    }

    fn dhcp_pool(&mut self, t: &Table<'_>) -> DhcpPool {
        let before = self.problems.len();
        let families: Vec<(usize, Family)> = match t.get("dhcp") {
            Some(v) => self.items(v, "dhcp"),
            None => Vec::new(),
        };
        if families.is_empty() && self.problems.len() == before {
            let at = t.get("dhcp").map_or(0, |v| v.span().start);
            self.problem(at, "'dhcp' is empty: name ipv4, ipv6 or both");
        }
        let has = |v6| families.iter().any(|(_, f)| f.v6 == v6);
        DhcpPool {
            ipv4: has(false),
            ipv6: has(true),
            user_class: self.user_class(t),
            timeout: self
                .duration(t, "timeout", SECOND, 10 * MINUTE)
                .unwrap_or(DhcpPool::TIMEOUT),
        }
    }

    fn user_class(&mut self, t: &Table<'_>) -> Option<String> {
        let class = self.text(t, "user-class")?;
        let at = t.get("user-class").map_or(0, |v| v.span().start);
        // An option has room for 255 bytes, of which one says the length of the class.
        if class.len() > 254 || class.contains(char::is_control) {
            self.problem(
                at,
                "'user-class' must be at most 254 bytes long and have no control characters",
            );
        }
        Some(class)
    }

    fn static_pool(&mut self, name: &Name, t: &Table<'_>) -> StaticPool {
        let before = self.problems.len();
        let given: Vec<(usize, AddressRange)> = match t.get("ranges") {
            Some(v) => self.items(v, "ranges"),
            None => Vec::new(),
        };
        let excluded: Vec<(usize, Excluded)> = match t.get("exclude") {
            Some(v) => self.items(v, "exclude"),
            None => Vec::new(),
        };
        let excluded: Vec<(usize, AddressRange)> =
            excluded.into_iter().map(|(at, e)| (at, e.0)).collect();
        let subnets: Vec<(usize, Subnet)> = match t.get("subnets") {
            Some(v) => self.items(v, "subnets"),
            None => Vec::new(),
        };
        let bare = |all: &[(usize, AddressRange)]| -> Vec<AddressRange> {
            all.iter().map(|(_, r)| *r).collect()
        };
        let exclude = bare(&excluded);
        let pool = StaticPool {
            ranges: Ranges::new(&bare(&given), &exclude),
            subnets: subnets.iter().map(|(_, s)| s.0).collect(),
        };
        // What could not be read is missing from the ranges; complain about them only if they are complete.
        if self.problems.len() == before && t.get("ranges").is_some() {
            let whole = Ranges::new(&bare(&given), &[]);
            for (at, e) in &excluded {
                if whole.overlap(e.first(), e.last()).is_none() {
                    self.problem(
                        *at,
                        format!("exclude: {e} is not in the ranges of pool '{name}'"),
                    );
                }
            }
            if pool.ranges.is_empty() {
                let at = t.get("ranges").map_or(0, |v| v.span().start);
                self.problem(at, format!("pool '{name}' has no address to lend: name some in ranges, or exclude fewer"));
            }
            for (at, subnet) in &subnets {
                self.subnet(*at, subnet.0, &pool);
            }
        }
        self.lends(name, &given, &exclude, &pool.ranges);
        pool
    }

    /// A subnet has addresses of the pool, and its ends are not lent.
    fn subnet(&mut self, at: usize, net: IpNet, pool: &StaticPool) {
        let (first, last) = (net.network(), net.broadcast());
        if pool.ranges.overlap(first, last).is_none() {
            self.problem(at, format!("subnets: the pool has no address in {net}"));
        }
        if net.max_prefix_len() - net.prefix_len() <= 1 {
            return;
        }
        let ends = [
            (first, "the first address, which is no host's,"),
            (last, "the broadcast address"),
        ];
        for (end, what) in &ends[..if first.is_ipv4() { 2 } else { 1 }] {
            // An end of one subnet may be any address of a smaller one within.
            if pool.ranges.contains(*end) && pool.subnet_of(*end) == Some(net) {
                self.problem(
                    at,
                    format!("subnets: the ranges have {end}, {what} of {net}: exclude it"),
                );
            }
        }
    }

    /// Notes what a pool lends; complains about what another lends already.
    fn lends(
        &mut self,
        name: &Name,
        given: &[(usize, AddressRange)],
        exclude: &[AddressRange],
        ranges: &Ranges,
    ) {
        let meets = |one: &Ranges, other: &Ranges| {
            one.iter().find_map(|r| other.overlap(r.first(), r.last()))
        };
        let mut problems = Vec::new();
        for (other, theirs) in &self.lent {
            if meets(ranges, theirs).is_none() {
                continue;
            }
            for (at, range) in given {
                if let Some(a) = meets(&Ranges::new(&[*range], exclude), theirs) {
                    let of = if range.count() == 1 {
                        String::new()
                    } else {
                        format!(" of {range}")
                    };
                    problems.push((
                        *at,
                        format!(
                            "{a}{of} is in two pools, '{other}' and '{name}': one lends an address"
                        ),
                    ));
                }
            }
        }
        for (at, problem) in problems {
            self.problem(at, problem);
        }
        self.lent.push((name.clone(), ranges.clone()));
    }

    pub(super) fn dhcp_options(&mut self, top: &Table<'_>) -> DhcpOptions {
        let Some(t) = self.section(top, "dhcp") else {
            return DhcpOptions::default();
        };
        self.known(t, "key", &["hardware-prefix"]);
        let prefix: Option<HardwarePrefix> = self.parsed(t, "hardware-prefix");
        DhcpOptions {
            hardware_prefix: prefix.map(|p| p.0),
        }
    }

    pub(super) fn daemon_options(&mut self, top: &Table<'_>) -> DaemonOptions {
        let d = DaemonOptions::default();
        let Some(t) = self.section(top, "hostletd") else {
            return d;
        };
        self.known(t, "key", &["connections", "connections-per-user"]);
        let mut number = |key, otherwise| self.number(t, key, 1, 65_536).unwrap_or(otherwise);
        DaemonOptions {
            connections: number("connections", d.connections),
            connections_per_user: number("connections-per-user", d.connections_per_user),
        }
    }
}

/// Where a key stands.
pub(super) fn place(t: &Table<'_>, key: &str) -> Option<usize> {
    t.get_key_value(key).map(|(k, _)| k.span().start)
}

/// What a pool does not lend.
struct Excluded(AddressRange);

impl FromStr for Excluded {
    type Err = RangeError;

    fn from_str(s: &str) -> Result<Self, RangeError> {
        AddressRange::excluded(s).map(Excluded)
    }
}

/// A family that DHCP is asked for.
struct Family {
    v6: bool,
}

impl FromStr for Family {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        match s {
            "ipv4" => Ok(Family { v6: false }),
            "ipv6" => Ok(Family { v6: true }),
            _ => Err(unknown("family", s, &["ipv4", "ipv6"])),
        }
    }
}

/// A network on a link.
struct Subnet(IpNet);

impl FromStr for Subnet {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let net: IpNet = s.parse().map_err(|_| {
            format!(
                "'{s}' is no network: write its first address and its length, like 192.0.2.0/24"
            )
        })?;
        if net.prefix_len() == 0 {
            Err(format!(
                "'{s}' has a length of 0, with which every address would be on the link: write that of the network, like 192.0.2.0/24"
            ))
        } else if net.addr() == net.network() {
            Ok(Subnet(net))
        } else {
            Err(format!(
                "'{s}' has bits behind the length of the prefix: write {}",
                net.trunc()
            ))
        }
    }
}

/// The first three bytes of hardware addresses that are made.
struct HardwarePrefix([u8; 3]);

impl FromStr for HardwarePrefix {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        let byte = |part: &str| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_hexdigit());
            digits.then(|| u8::from_str_radix(part, 16).ok()).flatten()
        };
        let bytes: Option<Vec<u8>> = s.split(':').map(byte).collect();
        let prefix: [u8; 3] = bytes.and_then(|b| b.try_into().ok()).ok_or_else(|| {
            format!(
                "'{s}' is not the beginning of a hardware address: write three bytes, like 02:ab:cd"
            )
        })?;
        // Addresses with other last bits of the first byte belong to manufacturers, or to groups.
        if prefix[0] & 3 != 2 {
            return Err(format!(
                "'{s}' does not begin a locally administered address: the first byte must end in 2, 6, a or e, like 02:ab:cd"
            ));
        }
        Ok(HardwarePrefix(prefix))
    }
}
