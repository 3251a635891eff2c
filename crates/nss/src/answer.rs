//! What is answered, before it is laid out for the C library.

use std::net::IpAddr;

use crate::Family;
use crate::question::{HostName, same};

/// The machine's own name and what it stands for in the caller's hostlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The canonical name.
    pub name: Vec<u8>,
    /// Its other names.
    pub aliases: Vec<Vec<u8>>,
    /// The addresses, in order. May be empty: the name is known, and has no address of the family.
    pub addresses: Vec<IpAddr>,
}

impl Answer {
    /// The answer for the machine `host`, whose name with its domain is `full` if one is known.
    pub(crate) fn new(host: &HostName, full: Option<Vec<u8>>, addresses: Vec<IpAddr>) -> Answer {
        let name = full.unwrap_or_else(|| host.whole().to_vec());
        let mut aliases: Vec<Vec<u8>> = Vec::new();
        for other in [host.whole(), host.label()] {
            if !same(other, &name) && !aliases.iter().any(|known| same(known, other)) {
                aliases.push(other.to_vec());
            }
        }
        Answer {
            name,
            aliases,
            addresses,
        }
    }

    /// Is that one of its names?
    pub(crate) fn is_called(&self, asked: &[u8]) -> bool {
        same(&self.name, asked) || self.aliases.iter().any(|alias| same(alias, asked))
    }

    /// Only the addresses of one family; each once.
    pub(crate) fn of(mut self, family: Family) -> Answer {
        let mut kept: Vec<IpAddr> = Vec::new();
        for address in self.addresses {
            if family.has(address) && !kept.contains(&address) {
                kept.push(address);
            }
        }
        self.addresses = kept;
        self
    }
}
