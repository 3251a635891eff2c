//! Interfaces, addresses and routes of the calling thread's network namespace.

mod change;
#[cfg(feature = "fuzzing")]
pub(crate) mod fuzzing;
mod local;
mod many;
mod mirror;
mod observe;
pub(crate) mod transport;
mod watch;

use std::io;
use std::net::IpAddr;

use ipnet::IpNet;

pub use change::{AddressKind, add_address, del_address, lend_address, set_lifetime, set_up};
pub use local::{add_local_prefix, del_local_prefix};
pub use many::{Placed, add_addresses, del_addresses};
pub use mirror::{Following, addresses, interfaces, local_prefixes, routes};
pub use transport::Asking;
pub use watch::RouteWatch;

/// The `protocol` that marks the routes hostlet adds, so that only those are ever removed.
pub const ROUTE_PROTOCOL: u8 = 104;

/// The `IFA_PROTO` that marks the addresses hostlet puts on interfaces, so that after a crash only those
/// are ever removed.
pub const ADDRESS_PROTOCOL: u8 = 104;

/// A network interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interface {
    /// The kernel's number for it.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether it is a loopback interface.
    pub loopback: bool,
    /// Its hardware address; none if it has none, or one of another length than Ethernet's.
    pub mac: Option<[u8; 6]>,
}

/// An address on an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostAddress {
    /// The address.
    pub addr: IpAddr,
    /// How much of it is the on-link prefix.
    pub prefix_len: u8,
    /// The interface.
    pub ifindex: u32,
    /// The `IFA_F_*` flags.
    pub flags: u32,
    /// Whether it carries hostlet's mark, [`ADDRESS_PROTOCOL`].
    pub ours: bool,
}

impl HostAddress {
    /// Duplicate address detection is not done: the address cannot be bound yet.
    pub fn tentative(&self) -> bool {
        self.flags & libc::IFA_F_TENTATIVE != 0 && self.flags & libc::IFA_F_OPTIMISTIC == 0
    }
}

/// One way to a destination: a route with several next hops gives one of these for each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub dst: IpNet,
    /// Through which interface.
    pub ifindex: u32,
    /// Through which router; none if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The source address the route prefers.
    pub prefsrc: Option<IpAddr>,
    /// The smaller, the better.
    pub metric: u32,
}

/// What can go wrong when the network is read or changed.
#[derive(Debug, thiserror::Error)]
pub enum NetError {
    /// A table could not be read.
    #[error("cannot read the {table} of this network namespace: {source}")]
    Read {
        /// Which table.
        table: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A change was refused.
    #[error("cannot {what}: {source}{}", hint(.source))]
    Change {
        /// What was tried, on what.
        what: String,
        /// Why.
        source: io::Error,
    },
    /// A change was refused, or nobody knows whether it was made, and what it did is still there in part.
    #[error("{error}; and what it did could not be taken back: {undo}")]
    Left {
        /// The first failure.
        error: Box<NetError>,
        /// What went wrong in taking back.
        undo: Box<NetError>,
    },
    /// Changes cannot be watched.
    #[error("cannot watch the routes of this network namespace: {source}")]
    Watch {
        /// Why.
        source: io::Error,
    },
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPERM) => "; run as root",
        Some(libc::ENODEV) => "; the interface is gone, see `ip link`",
        Some(libc::EACCES | libc::EOPNOTSUPP) => {
            "; the family may be switched off there (sysctl net.ipv6.conf.*.disable_ipv6)"
        }
        _ => "",
    }
}
