//! Interfaces that go and come back: the kernel knows them by numbers, a pool by a name. A lease belongs to the interface that has
//! the name now.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hostlet_platform::netlink;

use super::{Key, Leasing};
use crate::keeper::Keeper;
use crate::log;

impl Leasing {
    /// A number for an interface that is not there; no interface has it.
    pub(super) fn stand_in(&self) -> u32 {
        let used: BTreeSet<u32> = self.entries.keys().map(|key| key.ifindex).collect();
        let mut free = (1..=u32::MAX).rev().filter(|n| !used.contains(n));
        free.next().unwrap_or(u32::MAX)
    }

    /// Says that an interface is gone, once.
    pub(super) fn miss(&mut self, interface: &str) {
        if self.gone.insert(interface.to_owned()) {
            log::warning(format_args!(
                "interface {interface} is gone; its leases go on when there is one of that name again"
            ));
        }
    }

    /// Gives the entries the present numbers of their interfaces. The new keys, with what is held by them.
    fn renumber(&mut self, numbers: &BTreeMap<&str, u32>) -> BTreeMap<Key, Option<IpAddr>> {
        let mut moved = Vec::new();
        for (key, entry) in &self.entries {
            match numbers.get(entry.template.interface.as_str()) {
                Some(number) if *number != key.ifindex => moved.push((*key, *number)),
                _ => {}
            }
        }
        // All leave before the first arrives: two interfaces may have changed their names.
        let mut out = Vec::new();
        for (old, ifindex) in moved {
            if let Some(entry) = self.entries.remove(&old) {
                out.push((old, Key { ifindex, ..old }, entry));
            }
        }
        let mut arrived = BTreeMap::new();
        for (old, new, mut entry) in out {
            // Of one holder there is one lease on one interface; the younger one has it.
            if self.entries.contains_key(&new) {
                self.entries.insert(old, entry);
                continue;
            }
            if let Some(address) = entry.claimed {
                self.links.close_port(old.ifindex, address);
            }
            entry.before.push(old);
            arrived.insert(new, entry.claimed);
            self.entries.insert(new, entry);
        }
        arrived
    }
}

impl Keeper {
    /// The network changed: leases follow their interfaces, and sockets that are missing are opened.
    pub(crate) fn follow_interfaces(&mut self) {
        if self.leasing.entries.is_empty() && self.leasing.farewells.is_empty() {
            return;
        }
        let all = match netlink::interfaces() {
            Ok(all) => all,
            Err(error) => return log::warning(format_args!("{error}")),
        };
        let numbers: BTreeMap<&str, u32> = all.iter().map(|i| (i.name.as_str(), i.index)).collect();
        let there: BTreeSet<u32> = all.iter().map(|i| i.index).collect();
        self.leasing.gone.retain(|name| {
            let back = numbers.contains_key(name.as_str());
            if back {
                log::notice(format_args!("interface {name} is there again"));
            }
            !back
        });
        let moved = self.leasing.renumber(&numbers);
        let (mut wanted, mut missed) = (BTreeSet::new(), BTreeSet::new());
        for (key, entry) in &self.leasing.entries {
            // One that has only got another name stays usable.
            if there.contains(&key.ifindex) {
                wanted.insert((key.ifindex, key.v6));
            } else {
                missed.insert(entry.template.interface.clone());
            }
        }
        let parting = self.leasing.farewells.keys();
        let parting = parting.filter(|key| there.contains(&key.ifindex));
        wanted.extend(parting.map(|key| (key.ifindex, key.v6)));
        missed.iter().for_each(|name| self.leasing.miss(name));
        let links = &mut self.leasing.links;
        links.close_all_but(&wanted);
        wanted.retain(|(ifindex, v6)| links.reopen(&self.epoll, *ifindex, *v6));
        take_along(&moved);
        let now = self.shared.clock.now();
        let mut told = Vec::new();
        for (key, entry) in &mut self.leasing.entries {
            if moved.contains_key(key) || wanted.contains(&(key.ifindex, key.v6)) {
                entry.client.reconnected(now);
                told.push(*key);
            }
        }
        for key in told {
            self.settle(key);
        }
    }
}

/// Addresses do not move with a name: one that is still on an interface which had it before leaves that, and is put back on the
/// right one, as everything that is missing is when the network changes.
fn take_along(moved: &BTreeMap<Key, Option<IpAddr>>) {
    let held: BTreeMap<IpAddr, u32> = moved
        .iter()
        .filter_map(|(key, address)| Some(((*address)?, key.ifindex)))
        .collect();
    if held.is_empty() {
        return;
    }
    let here = netlink::addresses().unwrap_or_default();
    for there in here.iter().filter(|a| a.ours) {
        if held.get(&there.addr).is_some_and(|i| *i != there.ifindex)
            && let Err(error) = netlink::del_address(there.ifindex, there.addr, there.prefix_len)
        {
            log::warning(format_args!("{error}"));
        }
    }
}
