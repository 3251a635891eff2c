//! What a hostlet is to be, and what its set has become on this machine.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{AddressSpec, IpNet, Name, Owned};

/// Which address of the set an unbound socket leaves from, among those that fit the route.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SourcePolicy {
    /// The first that fits, in the order of the set.
    #[default]
    Primary,
    /// One that fits, by chance, for every socket.
    Random,
    /// Always the same one for the same destination.
    ByDestination,
}

/// A text that names no source policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no way to choose a source: use primary, random or by-destination")]
pub struct SourcePolicyError(pub String);

impl SourcePolicy {
    /// Every policy by its name.
    pub const ALL: [(&'static str, SourcePolicy); 3] = [
        ("primary", SourcePolicy::Primary),
        ("random", SourcePolicy::Random),
        ("by-destination", SourcePolicy::ByDestination),
    ];

    /// The name, as written on the command line and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            SourcePolicy::Primary => "primary",
            SourcePolicy::Random => "random",
            SourcePolicy::ByDestination => "by-destination",
        }
    }
}

impl FromStr for SourcePolicy {
    type Err = SourcePolicyError;

    fn from_str(s: &str) -> Result<Self, SourcePolicyError> {
        Self::ALL
            .iter()
            .find(|(n, _)| *n == s)
            .map(|(_, p)| *p)
            .ok_or_else(|| SourcePolicyError(s.to_owned()))
    }
}

impl fmt::Display for SourcePolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What becomes of an unbound socket's call to a destination that is not reachable from an address of the hostlet: whose best
/// route leaves by an interface on which the hostlet has none of that family (row B10).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Unreachable {
    /// It fails with ENETUNREACH, as on a machine with the hostlet's addresses alone.
    #[default]
    Refuse,
    /// It is done as outside, with the machine's address; that socket's later calls as well (row B11).
    PassThrough,
}

/// A text that does not say what to do where an address is not reachable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is nothing to do with what is not reachable: use refuse or pass-through")]
pub struct UnreachableError(pub String);

impl Unreachable {
    /// Every choice by its name.
    pub const ALL: [(&'static str, Unreachable); 2] = [
        ("refuse", Unreachable::Refuse),
        ("pass-through", Unreachable::PassThrough),
    ];

    /// The name, as written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Unreachable::Refuse => "refuse",
            Unreachable::PassThrough => "pass-through",
        }
    }
}

impl FromStr for Unreachable {
    type Err = UnreachableError;

    fn from_str(s: &str) -> Result<Self, UnreachableError> {
        Self::ALL
            .iter()
            .find(|(n, _)| *n == s)
            .map(|(_, u)| *u)
            .ok_or_else(|| UnreachableError(s.to_owned()))
    }
}

impl fmt::Display for Unreachable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A service on the host's own loopback that members may reach, such as a resolver stub: `127.0.0.53:53`, `[::1]:53`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HostLoopback {
    /// A loopback address of the host.
    pub addr: IpAddr,
    /// Its port, for TCP and UDP alike; never 0.
    pub port: u16,
}

/// Why a text names no service on the host's loopback.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum HostLoopbackError {
    #[error("'{given}' is no ADDRESS:PORT: write 127.0.0.53:53 or [::1]:53")]
    Malformed { given: String },
    #[error("'{given}' is no loopback address: other addresses are reached without an exception")]
    NotLoopback { given: String },
    #[error("'{given}' has port 0: name the port of the service")]
    NoPort { given: String },
    #[error(
        "'{given}' lies in 127.64.0.0/10 or 127.192.0.0/10, where hostlets have their own loopbacks: none may reach another's"
    )]
    Reserved { given: String },
}

impl FromStr for HostLoopback {
    type Err = HostLoopbackError;

    fn from_str(s: &str) -> Result<Self, HostLoopbackError> {
        let given = || s.to_owned();
        let sa: SocketAddr = s
            .parse()
            .map_err(|_| HostLoopbackError::Malformed { given: given() })?;
        if !sa.ip().is_loopback() {
            return Err(HostLoopbackError::NotLoopback { given: given() });
        }
        if let IpAddr::V4(a) = sa.ip()
            && a.octets()[1] & 0x40 != 0
        {
            return Err(HostLoopbackError::Reserved { given: given() });
        }
        if sa.port() == 0 {
            return Err(HostLoopbackError::NoPort { given: given() });
        }
        Ok(HostLoopback {
            addr: sa.ip(),
            port: sa.port(),
        })
    }
}

impl fmt::Display for HostLoopback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        SocketAddr::new(self.addr, self.port).fmt(f)
    }
}

serde_as_text!(
    HostLoopback,
    "a loopback address and a port, like 127.0.0.53:53"
);

/// What a hostlet is to be. The machine is not asked yet.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HostletSpec {
    /// Its name.
    pub name: Name,
    /// Its addresses, in order: the first of each family is that family's primary.
    pub addresses: Vec<AddressSpec>,
    /// The interface on which to put addresses that the machine does not have yet.
    #[serde(default)]
    pub assign: Option<String>,
    /// How a source is chosen among the addresses that fit.
    #[serde(default)]
    pub source: SourcePolicy,
    /// Services on the host's loopback that members may reach, beside the host's resolver stubs.
    #[serde(default)]
    pub host_loopback: Vec<HostLoopback>,
    /// Whether the per-packet backstop is on.
    #[serde(default = "yes")]
    pub guard: bool,
    /// Whether raw sockets are granted. They cannot be confined by the calls, only by the guard.
    #[serde(default)]
    pub raw: bool,
    /// Whether it has fallen back: it lost its address, and until it ends its members use the machine's.
    /// Nobody asks for this; hostletd says so where a pool's `on-loss` is `fall-back`.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub fallen_back: bool,
    /// Whether the excluded programs keep the machine's address in it (row B8); so in hostlets that rules make.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub excludes: bool,
    /// What becomes of calls to where none of its addresses is fit (row B10); none: its addresses are used for every destination.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unreachable: Option<Unreachable>,
}

fn yes() -> bool {
    true
}

impl HostletSpec {
    /// A hostlet with every option at its default.
    pub fn new(name: Name, addresses: Vec<AddressSpec>) -> Self {
        HostletSpec {
            name,
            addresses,
            assign: None,
            source: SourcePolicy::default(),
            host_loopback: Vec::new(),
            guard: true,
            raw: false,
            fallen_back: false,
            excludes: false,
            unreachable: None,
        }
    }
}

/// A member of an address set, placed on this machine.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct SetEntry {
    /// The address or prefix.
    pub owned: Owned,
    /// The length of the network that is on the link. For a prefix, its own length.
    pub onlink: u8,
    /// The index of the interface it is on; for a prefix without one, that of `lo`.
    pub ifindex: u32,
    /// The name of that interface.
    pub interface: String,
    /// Whether hostlet put it there, and so takes it away.
    pub assigned: bool,
}

impl SetEntry {
    /// The subnet that it is in. None for one of full length, and for a prefix: its addresses are the machine's own, not neighbours.
    pub fn subnet(&self) -> Option<IpNet> {
        let Owned::Single(addr) = self.owned else {
            return None;
        };
        let net = IpNet::new(addr, self.onlink).ok()?;
        (self.onlink < net.max_prefix_len()).then(|| net.trunc())
    }
}

/// Whether the addresses of one family lie on several interfaces or subnets, so that the route decides on the source.
pub fn is_routed(entries: &[SetEntry], ipv4: bool) -> bool {
    let family = entries.iter().filter(|e| e.owned.is_ipv4() == ipv4);
    let mut places = family.map(|e| (e.ifindex, e.subnet()));
    let first = places.next();
    places.any(|place| Some(place) != first)
}

/// How long a hostlet lives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Lifetime {
    /// As long as the loader that made it, or a member, lives.
    Run {
        /// The loader.
        pid: u32,
        /// When it started, in clock ticks since boot: with the pid it names one process for good.
        start_ticks: u64,
    },
    /// Until it is removed.
    Kept,
    /// As long as the configuration declares it.
    Declared,
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Lifetime::Run { pid, .. } => write!(f, "as long as process {pid} or a member lives"),
            Lifetime::Kept => f.write_str("until it is removed"),
            Lifetime::Declared => f.write_str("as long as hostlet.toml declares it"),
        }
    }
}
