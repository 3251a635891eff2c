//! The words of hostlet: names, ids, addresses, address sets, specifications, configuration. No I/O.
//!
//! Everything here is plain data that validates itself when it is parsed: a value of one of these types is well formed. Whether it
//! fits the machine (is the address on the host, does the interface exist) is decided in the policy crate.

#[macro_use]
mod text;

mod address;
pub mod config;
mod id;
mod name;
pub mod names;
mod owned;
mod paths;
mod range;
mod set;
mod spec;

pub use address::{AddressError, AddressSpec};
pub use id::{HostletId, IdError};
pub use name::{Name, NameError};
pub use owned::Owned;
pub use paths::{NoRoot, Paths};
pub use range::{AddressRange, RangeError, Ranges};
pub use set::{MAX_ADDRESSES, SetError, check_set};
pub use spec::{
    HostLoopback, HostLoopbackError, HostletSpec, Lifetime, SetEntry, SourcePolicy,
    SourcePolicyError, Unreachable, UnreachableError, is_routed,
};

pub use ipnet::{IpNet, Ipv4Net, Ipv6Net};
