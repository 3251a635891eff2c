//! Pools, from which hostletd lends addresses, and what else the configuration says to it.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::Who;
use crate::{Name, Ranges, Unreachable};

/// Where hostletd takes addresses to lend (rows B3 to B5).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its name, by which a hostlet asks for it.
    pub name: Name,
    /// The interface on which its addresses are put.
    pub interface: String,
    /// Where the addresses come from.
    pub source: PoolSource,
    /// Who, beside root, may draw from it.
    pub may_use: Vec<Who>,
    /// Who, beside root, may wish for a certain address (row B7).
    pub may_request: Vec<Who>,
    /// How many leases one user, who is not root, may have of it at one time; none: as many as there are.
    pub limit_per_user: Option<u32>,
    /// How long to listen for another user of an address before it is lent; none: not at all.
    pub probe: Option<Duration>,
    /// How long an address that somebody else was found to use is not lent.
    pub set_aside: Duration,
    /// What becomes of a hostlet whose lease is lost.
    pub on_loss: OnLoss,
    /// What becomes of calls to destinations that are not reachable from its addresses (row B10).
    #[serde(default)]
    pub unreachable: Unreachable,
}

impl Pool {
    /// The value of [`Pool::probe`] when nothing is said.
    pub const PROBE: Duration = Duration::from_millis(200);
    /// The value of [`Pool::set_aside`] when nothing is said.
    pub const SET_ASIDE: Duration = Duration::from_secs(600);

    /// Does it lend addresses of this family?
    pub fn has(&self, v6: bool) -> bool {
        match &self.source {
            PoolSource::Static(s) => s.ranges.has(v6),
            PoolSource::Dhcp(d) => {
                if v6 {
                    d.ipv6
                } else {
                    d.ipv4
                }
            }
        }
    }

    /// The names of the families it lends: `ipv4`, `ipv6`, or both in this order.
    pub fn families(&self) -> Vec<&'static str> {
        [(false, "ipv4"), (true, "ipv6")]
            .into_iter()
            .filter(|(v6, _)| self.has(*v6))
            .map(|(_, name)| name)
            .collect()
    }
}

/// Where the addresses of a pool come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum PoolSource {
    /// From the configuration.
    Static(StaticPool),
    /// From DHCP servers on the interface's link.
    Dhcp(DhcpPool),
}

/// A pool whose addresses the configuration names.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StaticPool {
    /// What it lends; what is excluded is taken out already. Never empty.
    pub ranges: Ranges,
    /// The networks that are on the interface's link.
    pub subnets: Vec<IpNet>,
}

impl StaticPool {
    /// The smallest of the subnets that contains the address; none: the interface has to say.
    pub fn subnet_of(&self, addr: IpAddr) -> Option<IpNet> {
        self.subnets
            .iter()
            .filter(|n| n.contains(&addr))
            .max_by_key(|n| n.prefix_len())
            .copied()
    }
}

/// A pool whose addresses DHCP servers lend; at least one of the families.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpPool {
    /// Ask for an IPv4 address.
    pub ipv4: bool,
    /// Ask for an IPv6 address.
    pub ipv6: bool,
    /// The user class (RFC 3004) that servers are told; at most 254 bytes.
    pub user_class: Option<String>,
    /// How long a caller waits for a server.
    pub timeout: Duration,
}

impl DhcpPool {
    /// The value of [`DhcpPool::timeout`] when nothing is said.
    pub const TIMEOUT: Duration = Duration::from_secs(10);
}

/// What becomes of a hostlet whose lease is lost, because it was refused or ran out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnLoss {
    /// It keeps only its loopback, until there is a new lease.
    #[default]
    CutOff,
    /// It uses the machine's addresses until it ends.
    FallBack,
}

/// A text that does not say what becomes of a hostlet whose lease is lost.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' cannot be done when a lease is lost: use cut-off or fall-back")]
pub struct OnLossError(pub String);

impl OnLoss {
    /// The word, as written in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            OnLoss::CutOff => "cut-off",
            OnLoss::FallBack => "fall-back",
        }
    }
}

impl FromStr for OnLoss {
    type Err = OnLossError;

    fn from_str(s: &str) -> Result<Self, OnLossError> {
        [OnLoss::CutOff, OnLoss::FallBack]
            .into_iter()
            .find(|o| o.as_str() == s)
            .ok_or_else(|| OnLossError(s.to_owned()))
    }
}

impl fmt::Display for OnLoss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What holds for every lease by DHCP: `[dhcp]`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOptions {
    /// The first three bytes of the hardware addresses that servers are told (row B6), locally administered and unicast;
    /// none: made from the machine's id.
    pub hardware_prefix: Option<[u8; 3]>,
}

/// Limits of hostletd: `[hostletd]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DaemonOptions {
    /// The most connections at one time.
    pub connections: u32,
    /// The most connections of one user at one time; root has no such limit.
    pub connections_per_user: u32,
}

impl Default for DaemonOptions {
    fn default() -> Self {
        DaemonOptions {
            connections: 512,
            connections_per_user: 64,
        }
    }
}
