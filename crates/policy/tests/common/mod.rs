//! A machine to decide about, and a simulation that performs actions on it.
#![allow(dead_code, reason = "every test file uses a part")]

use std::collections::{BTreeMap, BTreeSet};

use hostlet_model::{AddressSpec, HostletId, HostletSpec, IpNet, Lifetime, Name, Owned, SetEntry};
use hostlet_policy::{
    Action, Existing, HostAddress, IdRange, Interface, KernelView, Observed, OwnFlags,
};

pub fn name(s: &str) -> Name {
    s.parse().unwrap()
}

pub fn owned(s: &str) -> Owned {
    s.parse().unwrap()
}

pub fn wish(s: &str) -> AddressSpec {
    s.parse().unwrap()
}

pub fn spec(n: &str, addresses: &[&str]) -> HostletSpec {
    HostletSpec::new(name(n), addresses.iter().map(|a| wish(a)).collect())
}

pub fn assigned(n: &str, addresses: &[&str], interface: &str) -> HostletSpec {
    let mut s = spec(n, addresses);
    s.assign = Some(interface.into());
    s
}

pub fn entry(owned: &str, onlink: u8, ifindex: u32) -> SetEntry {
    SetEntry {
        owned: owned.parse().unwrap(),
        onlink,
        ifindex,
        interface: match ifindex {
            1 => "lo".into(),
            _ => format!("eth{}", ifindex - 2),
        },
        assigned: false,
    }
}

/// lo, eth0 and eth1, both up with an IPv4 and an IPv6 subnet, and eth2, which is down.
pub fn machine() -> Observed {
    let interface = |index, name: &str, up| Interface {
        index,
        name: name.into(),
        up,
        loopback: index == 1,
    };
    let address = |a: &str, ifindex| {
        let n: IpNet = a.parse().unwrap();
        HostAddress {
            addr: n.addr(),
            prefix_len: n.prefix_len(),
            ifindex,
        }
    };
    Observed {
        interfaces: vec![
            interface(1, "lo", true),
            interface(2, "eth0", true),
            interface(3, "eth1", true),
            interface(4, "eth2", false),
        ],
        addresses: vec![
            address("127.0.0.1/8", 1),
            address("::1/128", 1),
            address("10.0.0.1/24", 2),
            address("10.0.0.5/24", 2),
            address("2001:db8::1/64", 2),
            address("2001:db8::5/64", 2),
            address("fe80::1/64", 2),
            address("10.1.0.1/16", 3),
            address("fe80::1/64", 3),
        ],
        local_prefixes: vec!["10.9.0.0/24".parse().unwrap()],
        routes: Vec::new(),
        ipv6: true,
        ipv6_nonlocal_bind: true,
        hostlets: Vec::new(),
        others: 0,
        owners: None,
        limit: 8,
        ids: IdRange::default(),
        resolvers: Vec::new(),
    }
}

/// What the actions have made, as a machine would hold it. Every step that a machine would refuse panics.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct World {
    pub seen: Observed,
    pub stored: BTreeMap<Name, (HostletSpec, Vec<SetEntry>, &'static str)>,
    pub loopbacks6: BTreeSet<HostletId>,
    /// Whether the programs are attached.
    pub cgroups: BTreeMap<Name, bool>,
    pub owners: BTreeMap<Owned, (HostletId, OwnFlags)>,
    pub views: BTreeMap<HostletId, KernelView>,
    pub closed: BTreeSet<HostletId>,
    pub destroyed: Vec<Owned>,
    /// What was there before a step need not be what the step says.
    unsettled: bool,
}

impl World {
    /// Performs what puts an interrupted change right, whatever it left.
    pub fn settle(&mut self, actions: &[Action]) {
        self.unsettled = true;
        self.run(actions);
        self.unsettled = false;
    }

    pub fn of(seen: &Observed) -> World {
        World {
            seen: seen.clone(),
            ..World::default()
        }
    }

    pub fn run(&mut self, actions: &[Action]) {
        for a in actions {
            self.perform(a);
        }
    }

    /// Takes back steps in the way that the executor does.
    pub fn roll_back(&mut self, done: &[Action]) {
        for a in done.iter().rev() {
            if let Some(u) = a.undo() {
                self.perform(&u);
            }
        }
    }

    pub fn perform(&mut self, a: &Action) {
        match a.clone() {
            Action::Remember(d) => {
                let old = self
                    .stored
                    .insert(d.spec.name.clone(), (d.spec, d.entries, "pending"));
                assert!(old.is_none(), "{a}: known already");
            }
            Action::Redefine { new, .. } => {
                let s = self.stored.get_mut(&new.spec.name).expect("unknown");
                (s.0, s.1) = (new.spec, new.entries);
            }
            Action::MarkLive { name } => self.stored.get_mut(&name).expect("unknown").2 = "live",
            Action::MarkRemoving { name } => {
                self.stored.get_mut(&name).expect("unknown").2 = "removing";
            }
            Action::Unremember { name } => drop(self.stored.remove(&name)),
            Action::AddAddress {
                ifindex,
                addr,
                prefix_len,
                ..
            } => {
                let there = self
                    .seen
                    .addresses
                    .iter()
                    .any(|h| h.addr == addr && h.ifindex == ifindex);
                assert!(!there, "{a}: is there");
                self.seen.addresses.push(HostAddress {
                    addr,
                    prefix_len,
                    ifindex,
                });
            }
            Action::DelAddress { ifindex, addr, .. } => {
                self.seen
                    .addresses
                    .retain(|h| !(h.addr == addr && h.ifindex == ifindex));
            }
            Action::AddLocalPrefix { prefix } => {
                assert!(!self.seen.local_prefixes.contains(&prefix), "{a}: is there");
                self.seen.local_prefixes.push(prefix);
            }
            Action::DelLocalPrefix { prefix } => self.seen.local_prefixes.retain(|p| *p != prefix),
            Action::AddLoopback6 { id } => drop(self.loopbacks6.insert(id)),
            Action::RouteLoopbacks6 => {}
            Action::DelLoopback6 { id } => drop(self.loopbacks6.remove(&id)),
            Action::MakeCgroup { name } => {
                assert!(self.cgroups.insert(name, false).is_none(), "{a}: is there");
            }
            Action::RemoveCgroup { name } => drop(self.cgroups.remove(&name)),
            Action::Attach { name } => *self.cgroups.get_mut(&name).expect("no cgroup") = true,
            Action::Own {
                id,
                owned,
                flags,
                previous,
            } => {
                let old = self.owners.insert(owned, (id, flags));
                assert!(
                    self.unsettled || old == previous.map(|p| (id, p)),
                    "{a}: {old:?}"
                );
            }
            Action::Disown { owned, .. } => drop(self.owners.remove(&owned)),
            Action::Publish {
                name,
                view,
                previous,
            } => {
                assert!(self.cgroups[&name], "{a}: not attached");
                let old = self.views.insert(view.id, *view);
                assert!(
                    self.unsettled || old == previous.map(|p| *p),
                    "{a}: {old:?}"
                );
            }
            Action::Close { id, .. } => drop(self.closed.insert(id)),
            Action::Forget { id } => {
                self.views.remove(&id);
                self.closed.remove(&id);
            }
            Action::DestroySockets { owned, .. } => self.destroyed.push(owned),
            Action::DestroyUnbound { .. } | Action::KillMembers { .. } => {}
        }
    }

    /// What the engine would observe now.
    pub fn observe(&self) -> Observed {
        let mut seen = self.seen.clone();
        seen.hostlets = self
            .stored
            .iter()
            .map(|(n, (spec, entries, _))| Existing {
                id: self.id_of(n),
                spec: spec.clone(),
                entries: entries.clone(),
                lifetime: Lifetime::Declared,
                members: Vec::new(),
            })
            .collect();
        seen
    }

    fn id_of(&self, n: &Name) -> HostletId {
        let (_, entries, _) = &self.stored[n];
        self.owners[&entries[0].owned].0
    }

    /// What must hold whenever no command is at work.
    pub fn assert_sound(&self) {
        for (n, (spec, entries, state)) in &self.stored {
            let id = self.id_of(n);
            assert_eq!(*state, "live", "{n}");
            assert!(self.cgroups[n], "{n} has no programs");
            let view = &self.views[&id];
            assert_eq!(
                view.owned,
                entries.iter().map(|e| e.owned).collect::<Vec<_>>()
            );
            assert_eq!(view.source, spec.source);
            assert_eq!(
                spec.addresses.iter().map(|a| a.owned).collect::<Vec<_>>(),
                view.owned,
                "{n}: wanted and placed differ"
            );
            for e in entries {
                let many = if e.owned.is_ipv4() {
                    view.many4
                } else {
                    view.many6
                };
                let flags = OwnFlags {
                    loopback: false,
                    many,
                };
                assert_eq!(
                    self.owners.get(&e.owned),
                    Some(&(id, flags)),
                    "{n}: {}",
                    e.owned
                );
                let there = match e.owned {
                    Owned::Single(a) => self.seen.addresses.iter().any(|h| h.addr == a),
                    Owned::Prefix(_) => false,
                };
                let routed = self
                    .seen
                    .local_prefixes
                    .iter()
                    .any(|p| p.contains(&e.owned.net()));
                assert!(there || routed, "{n}: {} is not on the host", e.owned);
            }
        }
        let loops = if self.seen.ipv6 { 2 } else { 1 };
        let entries: usize = self.stored.values().map(|(_, e, _)| e.len() + loops).sum();
        assert_eq!(self.owners.len(), entries, "owners that nobody remembers");
        assert_eq!(self.views.len(), self.stored.len());
        assert_eq!(self.cgroups.len(), self.stored.len());
        assert_eq!(
            self.loopbacks6.len(),
            match self.seen.ipv6 && !self.seen.ipv6_nonlocal_bind {
                true => self.stored.len(),
                false => 0,
            }
        );
        assert!(self.closed.is_empty());
    }
}

/// The machine with a hostlet made on it.
pub fn with(seen: &Observed, s: &HostletSpec) -> (World, Existing) {
    let plan = hostlet_policy::plan_create(s, &Lifetime::Kept, seen).unwrap();
    let mut w = World::of(seen);
    w.run(&plan.actions);
    let h = Existing {
        id: plan.id,
        spec: s.clone(),
        entries: plan.entries,
        lifetime: Lifetime::Kept,
        members: Vec::new(),
    };
    w.seen.hostlets = vec![h.clone()];
    (w, h)
}
