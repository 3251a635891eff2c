//! The tables as values: whose address is whose, where sources come from, what is bound.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use hostlet_model::{IpNet, Owned};
use libbpf_rs::{ErrorKind, MapCore, MapFlags};

use crate::abi::{
    self, Plain, hl_file, hl_hostlet, hl_onlink, hl_onlink_key, hl_port, hl_port_key,
    hl_prefix_key, hl_reach_key, hl_route, hl_source_entry, hl_source_key,
};
use crate::error::{Error, Result};
use crate::file_id::FileId;
use crate::install::Kernel;
use crate::port_book::PortBook;
use crate::record::Record;

/// Addresses to leave from on one interface (0: on all), of one family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceList {
    /// Whether of IPv6.
    pub ipv6: bool,
    /// The interface.
    pub ifindex: u32,
    /// In the order of preference.
    pub addrs: Vec<IpAddr>,
}

/// The hostlet's address in a subnet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OnLink {
    /// The subnet.
    pub net: IpNet,
    /// The address.
    pub addr: IpAddr,
    /// The interface.
    pub ifindex: u32,
}

/// What stands in the tables for one hostlet beside its record and the owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tables {
    /// Sources by interface.
    pub sources: Vec<SourceList>,
    /// Sources by subnet.
    pub onlink: Vec<OnLink>,
    /// Host services on a loopback that it may reach; port 0: broadcast addresses it may bind.
    pub reach: Vec<(IpAddr, u16)>,
}

/// One route of the main table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteEntry {
    /// Where to.
    pub dst: IpNet,
    /// Out of which interface.
    pub ifindex: u32,
    /// By whom; none on link.
    pub gateway: Option<IpAddr>,
    /// The source that the route itself prefers.
    pub prefsrc: Option<IpAddr>,
}

/// What tables held for each hostlet, by its id, when they were looked through.
#[derive(Clone, Debug, Default)]
pub struct Sweep {
    owned: HashMap<u32, Vec<Owned>>,
    keys: HashMap<u32, HashMap<&'static str, Vec<Vec<u8>>>>,
}

pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// So many entries are written one by one.
const FEW: usize = 8;

impl Tables {
    fn source_pairs(&self, id: u32) -> Vec<Pair> {
        let mut pairs = Vec::new();
        for list in &self.sources {
            for (index, ip) in list.addrs.iter().enumerate().take(usize::from(u16::MAX)) {
                let family = if list.ipv6 { 6 } else { 4 };
                let key = hl_source_key {
                    id,
                    ifindex: list.ifindex,
                    family,
                    index: index as u16,
                };
                let value = hl_source_entry {
                    addr: abi::addr(*ip),
                    count: list.addrs.len().min(0xffff) as u32,
                };
                pairs.push((key.bytes().to_vec(), value.bytes().to_vec()));
            }
        }
        pairs
    }

    fn onlink_pairs(&self, id: u32) -> Vec<Pair> {
        let pair = |o: &OnLink| {
            let net = o.net.addr();
            let prefixlen = 32 + abi::prefix_bits(net, o.net.prefix_len());
            let key = hl_onlink_key {
                prefixlen,
                id,
                addr: abi::addr(net),
            };
            let value = hl_onlink {
                ifindex: o.ifindex,
                addr: abi::addr(o.addr),
            };
            (key.bytes().to_vec(), value.bytes().to_vec())
        };
        self.onlink.iter().map(pair).collect()
    }

    fn reach_pairs(&self, id: u32) -> Vec<Pair> {
        let pair = |(ip, port): &(IpAddr, u16)| {
            let key = hl_reach_key {
                id,
                addr: abi::addr(*ip),
                port: u32::from(*port),
            };
            (key.bytes().to_vec(), 1u32.to_ne_bytes().to_vec())
        };
        self.reach.iter().map(pair).collect()
    }
}

impl Kernel {
    /// Publishes a hostlet: from now on its programs act on this.
    ///
    /// # Errors
    /// If the programs are not attached to the cgroup of that id.
    pub fn publish(&self, cgroup_id: u64, record: &Record) -> Result<()> {
        self.put(
            "hostlets",
            &cgroup_id.to_ne_bytes(),
            record.to_kernel().bytes(),
        )
    }

    /// What is published for a cgroup; none if nothing is.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub fn record(&self, cgroup_id: u64) -> Result<Option<Record>> {
        let bytes = self.get("hostlets", &cgroup_id.to_ne_bytes())?;
        Ok(bytes.and_then(|b| Record::from_kernel(&hl_hostlet::from_bytes(&b))))
    }

    /// Brings the tables of a hostlet from what they hold to what they shall hold.
    ///
    /// # Errors
    /// If a table is full; what was written stays.
    pub fn set_tables(&self, id: u32, old: &Tables, new: &Tables) -> Result<()> {
        self.replace("sources", old.source_pairs(id), new.source_pairs(id))?;
        self.replace("onlink", old.onlink_pairs(id), new.onlink_pairs(id))?;
        self.replace("reach", old.reach_pairs(id), new.reach_pairs(id))
    }

    /// What the tables hold for each hostlet. Goes through whole tables: [`Kernel::set_tables`] is for every day.
    ///
    /// # Errors
    /// If a table cannot be read.
    pub fn sweep(&self) -> Result<Sweep> {
        let mut sweep = Sweep::default();
        for (owned, owner, _) in self.owners()? {
            sweep.owned.entry(owner).or_default().push(owned);
        }
        // In all of these the id is the first field, but in onlink, where it follows the length.
        for (table, at) in [
            ("sources", 0),
            ("reach", 0),
            ("onlink", 4),
            ("ports", 0),
            ("asked", 0),
        ] {
            for (key, _) in self.entries(table)? {
                let id = key.get(at..at + 4).and_then(|id| id.try_into().ok());
                let id = id.map(u32::from_ne_bytes).unwrap_or_default();
                let of_it = sweep.keys.entry(id).or_default();
                of_it.entry(table).or_default().push(key);
            }
        }
        Ok(sweep)
    }

    /// Takes everything out that any table held for a hostlet, whatever it is; for what a
    /// crash left behind.
    ///
    /// # Errors
    /// If a table cannot be read or written.
    pub fn forget(&self, id: u32, sweep: &Sweep) -> Result<()> {
        if let Some(owned) = sweep.owned.get(&id) {
            self.disown(owned).1?;
        }
        for (table, keys) in sweep.keys.get(&id).into_iter().flatten() {
            self.take_all(table, &keys.iter().collect::<Vec<_>>()).1?;
        }
        self.forget_loopbacks(id)
    }

    /// Takes out what a hostlet may reach, whatever it is. Goes through that table.
    ///
    /// # Errors
    /// If the table cannot be read or written.
    pub fn forget_reach(&self, id: u32) -> Result<()> {
        for (key, _) in self.entries("reach")? {
            if key.starts_with(&id.to_ne_bytes()) {
                self.take("reach", &key)?;
            }
        }
        Ok(())
    }

    /// Brings the mirror of the routes up to date.
    ///
    /// # Errors
    /// If the table cannot be written.
    pub fn set_routes(&self, routes: &[RouteEntry]) -> Result<()> {
        let pair = |r: &RouteEntry| {
            let or_zero = |a: Option<IpAddr>| a.map(abi::addr).unwrap_or_default();
            let value = hl_route {
                ifindex: r.ifindex,
                gateway: or_zero(r.gateway),
                source: or_zero(r.prefsrc),
                pad: 0,
            };
            (prefix_key(&r.dst).bytes().to_vec(), value.bytes().to_vec())
        };
        let held = self.entries("routes")?;
        self.replace("routes", held, routes.iter().map(pair).collect())
    }

    /// Brings the list of what is local to this machine up to date: calls to there are never to an unreachable
    /// destination (row B10).
    ///
    /// # Errors
    /// If the table cannot be written.
    pub fn set_locals(&self, locals: &[IpNet]) -> Result<()> {
        let pair = |net: &IpNet| {
            (
                prefix_key(net).bytes().to_vec(),
                1u32.to_ne_bytes().to_vec(),
            )
        };
        let held = self.entries("locals")?;
        self.replace("locals", held, locals.iter().map(pair).collect())
    }

    /// Brings the list of excluded programs up to date (row B8).
    ///
    /// # Errors
    /// If the table is full.
    pub fn set_excluded(&self, files: &[FileId]) -> Result<()> {
        let pair = |file: &FileId| {
            let key = hl_file {
                dev: file.dev,
                ino: file.ino,
                ..Default::default()
            };
            (key.bytes().to_vec(), 1u32.to_ne_bytes().to_vec())
        };
        let held = self.entries("excluded")?;
        self.replace("excluded", held, files.iter().map(pair).collect())
    }

    /// The excluded programs.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub fn excluded(&self) -> Result<Vec<FileId>> {
        let file = |(key, _): &Pair| {
            let file = hl_file::from_bytes(key);
            FileId {
                dev: file.dev,
                ino: file.ino,
            }
        };
        Ok(self.entries("excluded")?.iter().map(file).collect())
    }

    /// What the hostlets' sockets are bound to, as their programs know it.
    ///
    /// # Errors
    /// If the table cannot be read.
    pub fn port_book(&self) -> Result<PortBook> {
        let mut entries = Vec::new();
        for (key, value) in self.entries("ports")? {
            let key = hl_port_key::from_bytes(&key);
            let port = hl_port::from_bytes(&value);
            // With an address, an entry only repeats a part of the aggregate.
            if key.addr.bytes().iter().all(|b| *b == 0) {
                entries.push((key, port));
            }
        }
        Ok(PortBook { entries })
    }

    fn replace(&self, table: &'static str, old: Vec<Pair>, new: Vec<Pair>) -> Result<()> {
        let known: HashMap<&[u8], &[u8]> = old.iter().map(|(k, v)| (&k[..], &v[..])).collect();
        let is_new = |(k, v): &&Pair| known.get(&k[..]) != Some(&&v[..]);
        let changed: Vec<&Pair> = new.iter().filter(is_new).collect();
        self.put_all(table, &changed).1?;
        let wanted: HashSet<&[u8]> = new.iter().map(|(k, _)| &k[..]).collect();
        let gone = old.iter().map(|(key, _)| key);
        let gone: Vec<_> = gone.filter(|key| !wanted.contains(&key[..])).collect();
        self.take_all(table, &gone).1
    }

    /// Writes entries; so many were written.
    pub(crate) fn put_all(&self, table: &'static str, pairs: &[&Pair]) -> (usize, Result<()>) {
        // One call for each is quicker for a few, and where the kernel cannot do it at once.
        if pairs.len() > FEW && self.put_at_once(table, pairs) {
            return (pairs.len(), Ok(()));
        }
        for (done, (key, value)) in pairs.iter().enumerate() {
            if let Err(error) = self.put(table, key, value) {
                return (done, Err(error));
            }
        }
        (pairs.len(), Ok(()))
    }

    /// Takes entries out; those that are not there are no error. So many are out.
    pub(crate) fn take_all(&self, table: &'static str, keys: &[&Vec<u8>]) -> (usize, Result<()>) {
        // The kernel stops at the first that is not there.
        if keys.len() > FEW && self.take_at_once(table, keys) {
            return (keys.len(), Ok(()));
        }
        for (done, key) in keys.iter().enumerate() {
            if let Err(error) = self.take(table, key) {
                return (done, Err(error));
            }
        }
        (keys.len(), Ok(()))
    }

    /// Writes many entries in one call. False: they are to be written one by one.
    fn put_at_once(&self, table: &'static str, pairs: &[&Pair]) -> bool {
        let keys: Vec<u8> = pairs.iter().flat_map(|(key, _)| key).copied().collect();
        let values: Vec<u8> = pairs.iter().flat_map(|(_, value)| value).copied().collect();
        let count = u32::try_from(pairs.len()).unwrap_or(u32::MAX);
        let (any, map) = (MapFlags::ANY, self.map(table));
        map.is_ok_and(|map| map.update_batch(&keys, &values, count, any, any).is_ok())
    }

    /// Takes many entries out in one call. False: they are to be taken out one by one.
    fn take_at_once(&self, table: &'static str, keys: &[&Vec<u8>]) -> bool {
        let all: Vec<u8> = keys.iter().flat_map(|key| *key).copied().collect();
        let count = u32::try_from(keys.len()).unwrap_or(u32::MAX);
        let (any, map) = (MapFlags::ANY, self.map(table));
        map.is_ok_and(|map| map.delete_batch(&all, count, any, any).is_ok())
    }

    pub(crate) fn put(&self, table: &'static str, key: &[u8], value: &[u8]) -> Result<()> {
        let map = self.map(table)?;
        map.update(key, value, MapFlags::ANY)
            .map_err(|cause| Error::Table {
                what: "write",
                table,
                cause,
            })
    }

    pub(crate) fn get(&self, table: &'static str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        let map = self.map(table)?;
        map.lookup(key, MapFlags::ANY)
            .map_err(|cause| Error::Table {
                what: "read",
                table,
                cause,
            })
    }

    pub(crate) fn take(&self, table: &'static str, key: &[u8]) -> Result<()> {
        match self.map(table)?.delete(key) {
            Err(cause) if cause.kind() != ErrorKind::NotFound => Err(Error::Table {
                what: "write",
                table,
                cause,
            }),
            _ => Ok(()),
        }
    }

    pub(crate) fn entries(&self, table: &'static str) -> Result<Vec<Pair>> {
        let map = self.map(table)?;
        if let Some(all) = crate::batch::entries(map) {
            return Ok(all);
        }
        let mut all = Vec::new();
        for key in map.keys() {
            // An entry may go while the table is walked.
            if let Some(value) = self.get(table, &key)? {
                all.push((key, value));
            }
        }
        Ok(all)
    }
}

pub(crate) fn prefix_key(net: &IpNet) -> hl_prefix_key {
    hl_prefix_key {
        prefixlen: abi::prefix_bits(net.addr(), net.prefix_len()),
        addr: abi::addr(net.network()),
    }
}
