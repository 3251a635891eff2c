//! The tables of owners: whose an address is.

use std::time::{SystemTime, UNIX_EPOCH};

use hostlet_model::{IpNet, Owned};
use libbpf_rs::MapCore;

use crate::abi::{
    self, HL_OWNER_LOOP, HL_OWNER_MANY, HL_SETTLED_EACH, HL_SETTLED_PORTS, Plain, hl_owner,
    hl_prefix_key,
};
use crate::error::Result;
use crate::install::Kernel;
use crate::tables::{Pair, prefix_key};

/// What a hostlet has, and what else is said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Holding {
    /// The owner.
    pub id: u32,
    /// The address or prefix.
    pub owned: Owned,
    /// Whether it is a loopback.
    pub loopback: bool,
    /// Whether the owner has others beside it.
    pub many: bool,
}

impl Holding {
    fn value(&self) -> Vec<u8> {
        let loopback = if self.loopback { HL_OWNER_LOOP } else { 0 };
        let many = if self.many { HL_OWNER_MANY } else { 0 };
        let value = hl_owner {
            id: self.id,
            flags: loopback | many,
        };
        value.bytes().to_vec()
    }
}

/// Can something be settled of its datagrams? Loopbacks have one owner for ever, and nothing is before that.
fn is_settled(owned: &Owned) -> bool {
    owned.is_ipv4() && !owned.first().is_loopback()
}

impl Kernel {
    /// Enters addresses and prefixes as hostlets'. So many were entered; an error is of the one behind them.
    pub fn own_all(&self, all: &[Holding]) -> (usize, Result<()>) {
        let (done, outcome) = self.put_owned(all);
        // It was the host's, or one that was alone has another beside it now.
        let changes = all[..done].iter().any(|h| is_settled(&h.owned));
        self.unsettled(done, outcome, changes)
    }

    fn put_owned(&self, all: &[Holding]) -> (usize, Result<()>) {
        let mut done = 0;
        while let Some(first) = all.get(done) {
            let single = |h: &Holding| match h.owned {
                Owned::Single(ip) => Some((abi::addr(ip).bytes().to_vec(), h.value())),
                Owned::Prefix(_) => None,
            };
            let singles: Vec<Pair> = all[done..].iter().map_while(single).collect();
            let (count, outcome) = match first.owned {
                Owned::Single(_) => self.put_all("owners", &singles.iter().collect::<Vec<_>>()),
                Owned::Prefix(net) => {
                    let written = self.put("prefixes", prefix_key(&net).bytes(), &first.value());
                    let counted = written.and_then(|()| self.count_prefixes());
                    (usize::from(counted.is_ok()), counted)
                }
            };
            done += count;
            if outcome.is_err() {
                return (done, outcome);
            }
        }
        (done, Ok(()))
    }

    /// Enters one.
    ///
    /// # Errors
    /// If the table is full.
    pub fn own(&self, id: u32, owned: &Owned, loopback: bool, many: bool) -> Result<()> {
        let holding = Holding {
            id,
            owned: *owned,
            loopback,
            many,
        };
        self.own_all(&[holding]).1
    }

    /// Takes addresses and prefixes out; those that are not there are no error. So many are out; an error is of the one behind them.
    pub fn disown(&self, all: &[Owned]) -> (usize, Result<()>) {
        let (done, outcome) = self.take_owned(all);
        let changes = all[..done].iter().any(is_settled);
        self.unsettled(done, outcome, changes)
    }

    /// The outcome of a change, after which what was found out of the addresses may not hold any more.
    fn unsettled(&self, done: usize, outcome: Result<()>, changes: bool) -> (usize, Result<()>) {
        let unsettled = match changes {
            true => self.unsettle(),
            false => Ok(()),
        };
        match (outcome, unsettled) {
            (Ok(()), Err(error)) => (done - 1, Err(error)),
            (outcome, _) => (done, outcome),
        }
    }

    fn take_owned(&self, all: &[Owned]) -> (usize, Result<()>) {
        let mut done = 0;
        while let Some(first) = all.get(done) {
            let single = matches!(first, Owned::Single(_));
            let of_the_table = |o: &&Owned| matches!(o, Owned::Single(_)) == single;
            let key = |owned: &Owned| match owned {
                Owned::Single(ip) => abi::addr(*ip).bytes().to_vec(),
                Owned::Prefix(net) => prefix_key(net).bytes().to_vec(),
            };
            let keys: Vec<_> = all[done..]
                .iter()
                .take_while(of_the_table)
                .map(key)
                .collect();
            let table = if single { "owners" } else { "prefixes" };
            let (count, outcome) = self.take_all(table, &keys.iter().collect::<Vec<_>>());
            done += count;
            let counted = if single {
                Ok(())
            } else {
                self.count_prefixes()
            };
            match (outcome, counted) {
                (Ok(()), Ok(())) => {}
                (Ok(()), Err(error)) => return (done - 1, Err(error)),
                (outcome, _) => return (done, outcome),
            }
        }
        (done, Ok(()))
    }

    /// What was found out of one owner does not hold for the next that gets the address.
    fn unsettle(&self) -> Result<()> {
        // Whoever looks at this moment shall not find the slot as it was: see the kernel part's `unsettle`.
        let time = SystemTime::now().duration_since(UNIX_EPOCH);
        let fresh = u64::from(time.map_or(1, |t| t.subsec_nanos()) & 0xffff);
        let slots = HL_SETTLED_PORTS * HL_SETTLED_EACH;
        let empty = fresh.to_ne_bytes().repeat(slots as usize);
        self.put("settled", &0u32.to_ne_bytes(), &empty)
    }

    /// All owned addresses and prefixes: what, by which hostlet, whether its loopback.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub fn owners(&self) -> Result<Vec<(Owned, u32, bool)>> {
        let mut all = Vec::new();
        for (key, value) in self.entries("owners")? {
            let owner = hl_owner::from_bytes(&value);
            let ip = abi::ip(&abi::hl_addr::from_bytes(&key));
            all.push((
                Owned::Single(ip),
                owner.id,
                owner.flags & HL_OWNER_LOOP != 0,
            ));
        }
        for (key, value) in self.entries("prefixes")? {
            let key = hl_prefix_key::from_bytes(&key);
            let ip = abi::ip(&key.addr);
            let len = key.prefixlen - abi::prefix_bits(ip, 0);
            if let Ok(net) = IpNet::new(ip, len as u8) {
                all.push((Owned::Prefix(net), hl_owner::from_bytes(&value).id, false));
            }
        }
        Ok(all)
    }

    fn count_prefixes(&self) -> Result<()> {
        let some = u32::from(self.map("prefixes")?.keys().next().is_some());
        self.put("prefixed", &0u32.to_ne_bytes(), &some.to_ne_bytes())
    }
}
