//! Addresses that somebody took from the machine while a hostlet has them.

use std::collections::BTreeSet;
use std::net::IpAddr;

use hostlet_model::{IpNet, Lifetime, Owned, SetEntry};
use hostlet_platform::netlink;
use hostlet_store::Definition;

use crate::error::Result;
use crate::machine::{Machine, state_of};
use crate::report::{Finding, Reason};

/// What the machine has.
#[derive(Debug, Default)]
pub(crate) struct There {
    addresses: BTreeSet<IpAddr>,
    /// Every address of these is the machine's own.
    prefixes: Vec<IpNet>,
    /// Whether this is the network namespace of the installation: another has other addresses.
    here: bool,
}

impl There {
    pub fn look(machine: &Machine<'_>) -> Result<Self> {
        if machine.kernel.is_none() || machine.must_be_here().is_err() {
            return Ok(Self::default());
        }
        Ok(Self {
            addresses: netlink::addresses()?.into_iter().map(|a| a.addr).collect(),
            prefixes: netlink::local_prefixes()?,
            here: true,
        })
    }

    /// Does a living hostlet have this address, and the machine not?
    pub fn lacks(&self, machine: &Machine<'_>, row: &Definition, entry: &SetEntry) -> bool {
        let Owned::Single(addr) = entry.owned else {
            // A prefix needs no address on an interface.
            return false;
        };
        self.here
            && state_of(row, &machine.boot_id) == "live"
            && !row.spec.fallen_back
            && !self.addresses.contains(&addr)
            && !self.prefixes.iter().any(|p| p.contains(&addr))
    }

    /// What `check` says of it.
    pub fn findings(&self, machine: &Machine<'_>, row: &Definition) -> Vec<Finding> {
        let gone = row.entries.iter().filter(|e| self.lacks(machine, row, e));
        gone.map(|e| Finding {
            hostlet: row.name.clone(),
            reason: Reason::AddressGone,
            text: format!(
                "{addr} is gone from {interface}: somebody took it off, or the network was restarted, and nobody reaches the \
                 hostlet there; {put_back} puts it back",
                addr = e.owned,
                interface = e.interface,
                put_back = put_back(row, e),
            ),
            protocol: "-".to_owned(),
            state: "-".to_owned(),
            local: e.owned.to_string(),
            remote: "*".to_owned(),
            inode: 0,
            processes: Vec::new(),
        })
        .collect()
    }
}

/// The command that puts an address back.
fn put_back(row: &Definition, e: &SetEntry) -> String {
    let (addr, len) = (e.owned, e.onlink);
    match (e.assigned, &row.lifetime) {
        (true, Lifetime::Declared) => "'hostlet apply'".to_owned(),
        (true, Lifetime::Kept) => format!("'hostlet grant {} {addr}'", row.name),
        _ => format!("'ip address add {addr}/{len} dev {}'", e.interface),
    }
}
