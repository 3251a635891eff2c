//! Further loopback addresses of hostlets: what the kernel programs put in for 127.0.0.2 and the like.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::abi::{HL_EXTRAS, HL_EXTRAS_EACH, Plain, hl_extra, hl_loop_key};
use crate::error::Result;
use crate::install::Kernel;

/// How many further loopback addresses one hostlet may have.
pub const EXTRAS_EACH: u32 = HL_EXTRAS_EACH;
/// How many all hostlets may have.
pub const EXTRAS: u32 = HL_EXTRAS;

impl Kernel {
    /// The further loopback addresses of a hostlet: what its programs call each, by the address that stands for it.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub fn further_loopbacks(&self, id: u32) -> Result<BTreeMap<Ipv4Addr, Ipv4Addr>> {
        // Few hostlets have any: the count says so in one call.
        if self.get("loops", loop_key(id, 0).bytes())?.is_none() {
            return Ok(BTreeMap::new());
        }
        let of_it = |(key, value): (Vec<u8>, Vec<u8>)| {
            let extra = hl_extra::from_bytes(&value);
            let stands: [u8; 4] = key.try_into().ok()?;
            (extra.owner.id == id).then(|| (stands.into(), extra.shown.to_ne_bytes().into()))
        };
        Ok(self
            .entries("extras")?
            .into_iter()
            .filter_map(of_it)
            .collect())
    }

    /// How many of them there are, in all hostlets.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub fn further_loopbacks_used(&self) -> Result<u32> {
        Ok(u32::try_from(self.entries("extras")?.len()).unwrap_or(u32::MAX))
    }

    /// Takes the further loopback addresses of a hostlet out: nothing of them is left for the next one with its id.
    ///
    /// # Errors
    /// If a table cannot be written.
    pub fn forget_loopbacks(&self, id: u32) -> Result<()> {
        for (stands, shown) in self.further_loopbacks(id)? {
            let shown = u32::from_ne_bytes(shown.octets());
            self.take("loops", loop_key(id, shown).bytes())?;
            self.take("extras", &stands.octets())?;
        }
        self.take("loops", loop_key(id, 0).bytes())
    }
}

fn loop_key(id: u32, ip: u32) -> hl_loop_key {
    hl_loop_key { id, ip }
}
