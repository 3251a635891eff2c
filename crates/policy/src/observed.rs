//! What the engine saw of the machine before it asks for a decision.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostlet_model::{HostletId, HostletSpec, IpNet, Lifetime, Name, Owned, SetEntry};

use crate::{Refusal, Route};

/// An interface of the network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its index.
    pub index: u32,
    /// Its name.
    pub name: String,
    /// Whether it is up.
    pub up: bool,
    /// Whether it is the loopback interface.
    pub loopback: bool,
}

/// An address that an interface has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HostAddress {
    /// The address.
    pub addr: IpAddr,
    /// The length of its subnet.
    pub prefix_len: u8,
    /// Its interface.
    pub ifindex: u32,
}

/// A hostlet that exists.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Existing {
    /// Its id.
    pub id: HostletId,
    /// What was asked for.
    pub spec: HostletSpec,
    /// Its set, in order.
    pub entries: Vec<SetEntry>,
    /// How long it lives.
    pub lifetime: Lifetime,
    /// The processes in it.
    pub members: Vec<u32>,
}

impl Existing {
    /// Its name.
    pub fn name(&self) -> &Name {
        &self.spec.name
    }
}

/// Where ids come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange {
    /// The first of the range.
    pub first: u32,
    /// The last of it.
    pub last: u32,
    /// The one to try first. Going round keeps a number from being reused while something may still remember its last holder.
    pub next: u32,
}

impl Default for IdRange {
    fn default() -> Self {
        IdRange {
            first: 1,
            last: HostletId::MAX,
            next: 1,
        }
    }
}

/// The machine, as far as decisions depend on it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observed {
    /// Its interfaces.
    pub interfaces: Vec<Interface>,
    /// The addresses on them, in the kernel's order.
    pub addresses: Vec<HostAddress>,
    /// Prefixes with a route of type local: every address of them is the machine's own.
    pub local_prefixes: Vec<IpNet>,
    /// The routes of its main table, where an address that it does not have yet is wished for.
    pub routes: Vec<Route>,
    /// Whether the machine has IPv6 (it is not switched off).
    pub ipv6: bool,
    /// net.ipv6.ip_nonlocal_bind, without which an IPv6 prefix cannot be bound.
    pub ipv6_nonlocal_bind: bool,
    /// The hostlets that have to do with what is decided.
    pub hostlets: Vec<Existing>,
    /// How many others there are.
    pub others: usize,
    /// The most hostlets allowed.
    pub limit: u32,
    /// Where ids come from.
    pub ids: IdRange,
    /// The name servers of /etc/resolv.conf.
    pub resolvers: Vec<IpAddr>,
    /// Whose the addresses of `hostlets` are, where so many decisions are made that all of them cannot be gone through each time.
    pub owners: Option<Owners>,
}

/// Whose addresses are, in their order. No address has two owners.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Owners(BTreeMap<IpAddr, (IpAddr, HostletId)>);

impl Owners {
    pub(crate) fn of<'h>(hostlets: impl IntoIterator<Item = &'h Existing>) -> Self {
        let mut owners = Self::default();
        for h in hostlets {
            owners.enter(h.id, &h.entries);
        }
        owners
    }

    pub(crate) fn enter(&mut self, id: HostletId, entries: &[SetEntry]) {
        for e in entries {
            let (first, last) = e.owned.range();
            self.0.insert(first, (last, id));
        }
    }

    pub(crate) fn strike(&mut self, entries: &[SetEntry]) {
        for e in entries {
            self.0.remove(&e.owned.range().0);
        }
    }

    /// Does anybody but `except` have an address of this?
    fn any(&self, owned: &Owned, except: Option<HostletId>) -> bool {
        let (first, last) = owned.range();
        let before = self.0.range(..first).next_back();
        let before = before.filter(|(_, (end, _))| *end >= first);
        let mut found = before.into_iter().chain(self.0.range(first..=last));
        found.any(|(_, (_, id))| Some(*id) != except)
    }
}

impl Observed {
    /// The hostlet of that name.
    ///
    /// # Errors
    /// [`Refusal::UnknownName`], with names that resemble it.
    pub fn hostlet(&self, name: &Name) -> Result<&Existing, Refusal> {
        let found = self.hostlets.iter().find(|h| h.name() == name);
        found.ok_or_else(|| Refusal::UnknownName {
            name: name.clone(),
            known: self.hostlets.iter().map(|h| h.name().clone()).collect(),
        })
    }

    /// Who owns an address of this entry, other than `except`, and which entry of theirs it is.
    pub fn owner_of(&self, owned: &Owned, except: Option<HostletId>) -> Option<(&Existing, Owned)> {
        if let Some(owners) = &self.owners
            && !owners.any(owned, except)
        {
            return None;
        }
        self.hostlets
            .iter()
            .filter(|h| Some(h.id) != except)
            .find_map(|h| {
                h.entries
                    .iter()
                    .find(|e| e.owned.overlaps(owned))
                    .map(|e| (h, e.owned))
            })
    }

    pub(crate) fn interface(&self, index: u32) -> Option<&Interface> {
        self.interfaces.iter().find(|i| i.index == index)
    }

    pub(crate) fn interface_named(&self, name: &str) -> Result<&Interface, Refusal> {
        let found = self.interfaces.iter().find(|i| i.name == name);
        found.ok_or_else(|| Refusal::UnknownInterface {
            interface: name.to_owned(),
            known: self.interfaces.iter().map(|i| i.name.clone()).collect(),
        })
    }

    /// A free id, the first one at or after `next`, going round.
    pub(crate) fn free_id(&self) -> Result<HostletId, Refusal> {
        let IdRange { first, last, next } = self.ids;
        let (first, last) = (first.max(1), last.min(HostletId::MAX));
        let next = next.clamp(first, last.max(first));
        // The first is free nearly always.
        let used = |n: u32| self.hostlets.iter().any(|h| h.id.0 == n);
        (next..=last)
            .chain(first..next)
            .find(|n| !used(*n))
            .map(HostletId)
            .ok_or(Refusal::NoFreeId { first, last })
    }
}
