//! From what is wanted and what is there to the steps.
//!
//! The order of the steps is the safety of the whole: the store knows of a thing before it exists, a socket can be bound only after
//! everything that confines it is in place, and an address leaves the kernel's tables before its last sockets are destroyed, so that
//! none is bound in between.

use std::net::IpAddr;

use hostlet_model::{
    AddressSpec, HostLoopback, HostletId, HostletSpec, Lifetime, Owned, SetEntry, SetError,
    check_set,
};

use crate::action::{Definition, OwnFlags};
use crate::place::{place, put_back, take_away};
use crate::step::{flags, own_all, ownership, redefine, reown, republish, view};
use crate::{Action, Existing, Observed, Refusal};

/// What is to be done to make a hostlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Its id.
    pub id: HostletId,
    /// Its set.
    pub entries: Vec<SetEntry>,
    /// What it may reach of the host's loopback: given ones and the host's resolver stubs.
    pub host_loopback: Vec<HostLoopback>,
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What the user should know, although it is done.
    pub warnings: Vec<String>,
}

/// What is to be done to change a hostlet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Renewal {
    /// What it is to be.
    pub spec: HostletSpec,
    /// Its set afterwards.
    pub entries: Vec<SetEntry>,
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What the user should know, although it is done.
    pub warnings: Vec<String>,
}

/// What a hostlet may reach of the host's loopback: the services it was given, and name servers on a loopback address (port 53),
/// without which names would not resolve.
pub fn reachable_services(spec: &HostletSpec, seen: &Observed) -> Vec<HostLoopback> {
    let stubs = seen
        .resolvers
        .iter()
        .filter(|a| a.is_loopback())
        .map(|a| HostLoopback { addr: *a, port: 53 });
    let mut out: Vec<HostLoopback> = Vec::new();
    for s in spec.host_loopback.iter().copied().chain(stubs) {
        if !out.contains(&s) {
            out.push(s);
        }
    }
    out
}

/// Makes a hostlet.
///
/// # Errors
/// The first thing in the way.
pub fn plan_create(
    spec: &HostletSpec,
    lifetime: &Lifetime,
    seen: &Observed,
) -> Result<Plan, Refusal> {
    check_set(&spec.addresses)?;
    if seen.hostlets.iter().any(|h| *h.name() == spec.name) {
        return Err(Refusal::DuplicateName {
            name: spec.name.clone(),
        });
    }
    if seen.hostlets.len() >= seen.limit as usize {
        return Err(Refusal::LimitReached { limit: seen.limit });
    }
    let assign = spec.assign.as_deref();
    if let Some(i) = assign {
        // A misspelt interface is an error even where nothing has to be put on it.
        seen.interface_named(i)?;
    }
    let mut entries = Vec::new();
    let mut additions = Vec::new();
    let mut warnings = Vec::new();
    for wish in &spec.addresses {
        let p = place(wish, assign, seen, None)?;
        entries.push(p.entry);
        additions.extend(p.actions);
        warnings.extend(p.warnings);
    }
    let id = seen.free_id()?;
    let definition = Definition {
        id,
        spec: spec.clone(),
        entries: entries.clone(),
        lifetime: lifetime.clone(),
    };
    let mut actions = vec![Action::Remember(Box::new(definition))];
    actions.extend(additions);
    actions.extend(build(id, spec, &entries, seen));
    actions.push(Action::MarkLive {
        name: spec.name.clone(),
    });
    Ok(Plan {
        id,
        host_loopback: reachable_services(spec, seen),
        entries,
        actions,
        warnings,
    })
}

/// Brings a hostlet back that the store knows and the kernel does not, as after a restart of the machine. Its assigned addresses
/// are put back, the others must be there.
///
/// # Errors
/// The first thing in the way.
pub fn plan_restore(h: &Existing, seen: &Observed) -> Result<Plan, Refusal> {
    let mut entries = Vec::new();
    let mut additions = Vec::new();
    for e in &h.entries {
        if !e.owned.is_ipv4() && !seen.ipv6 {
            return Err(Refusal::NoIpv6 { address: e.owned });
        }
        // Interfaces of another boot may have other numbers.
        let mut e = e.clone();
        e.ifindex = seen.interface_named(&e.interface)?.index;
        if !is_there(&e, seen) {
            match put_back(&e) {
                Some(add) => additions.push(add),
                None => e = place(&wish_of(&e), None, seen, Some(h.id))?.entry,
            }
        }
        entries.push(e);
    }
    let mut actions = Vec::new();
    if entries != h.entries {
        actions.push(redefine(h, &h.spec, &entries));
    }
    actions.extend(additions);
    actions.extend(build(h.id, &h.spec, &entries, seen));
    actions.push(Action::MarkLive {
        name: h.name().clone(),
    });
    Ok(Plan {
        id: h.id,
        host_loopback: reachable_services(&h.spec, seen),
        entries,
        actions,
        warnings: Vec::new(),
    })
}

/// Brings a living hostlet to what the store says, whatever an interrupted change left between the versions that it was to have.
///
/// # Errors
/// The first thing in the way.
pub fn plan_settle(
    h: &Existing,
    between: &[(HostletSpec, Vec<SetEntry>)],
    seen: &Observed,
) -> Result<Vec<Action>, Refusal> {
    let restored = plan_restore(h, seen)?;
    let mut actions: Vec<Action> = restored
        .actions
        .into_iter()
        .filter(|a| {
            matches!(
                a,
                Action::Redefine { .. }
                    | Action::AddAddress { .. }
                    | Action::AddLocalPrefix { .. }
                    | Action::Own { .. }
            )
        })
        .collect();
    let now = view(h.id, &h.spec, &restored.entries, seen);
    // What either version had in the tables goes, then all of this one is written.
    let before = between
        .iter()
        .map(|(spec, entries)| Some(view(h.id, spec, entries, seen)));
    actions.extend(before.chain([None]).map(|previous| Action::Publish {
        name: h.name().clone(),
        view: now.clone(),
        previous,
    }));
    let others = || seen.hostlets.iter().filter(|o| o.id != h.id);
    let mut gone: Vec<Owned> = Vec::new();
    for e in between.iter().flat_map(|(_, entries)| entries) {
        let kept = restored.entries.iter().any(|k| k.owned == e.owned);
        let taken = others().any(|o| o.entries.iter().any(|k| k.owned.overlaps(&e.owned)));
        if !kept && !taken && !gone.contains(&e.owned) {
            gone.push(e.owned);
        }
    }
    for owned in gone {
        let flags = OwnFlags::default();
        actions.push(Action::Disown {
            id: h.id,
            owned,
            flags,
        });
        actions.push(Action::DestroySockets { id: h.id, owned });
    }
    if h.spec.fallen_back {
        actions.extend(restored.entries.iter().map(|e| Action::Disown {
            id: h.id,
            owned: e.owned,
            flags: OwnFlags::default(),
        }));
        actions.push(Action::DestroyUnbound { id: h.id });
    }
    Ok(actions)
}

fn is_there(e: &SetEntry, seen: &Observed) -> bool {
    let net = e.owned.net();
    seen.local_prefixes.iter().any(|p| p.contains(&net))
        || seen
            .addresses
            .iter()
            .any(|h| h.ifindex == e.ifindex && e.owned == Owned::Single(h.addr))
}

/// What a user would have written for an entry.
fn wish_of(e: &SetEntry) -> AddressSpec {
    let link_local = matches!(e.owned, Owned::Single(IpAddr::V6(a)) if a.is_unicast_link_local());
    AddressSpec {
        owned: e.owned,
        onlink: (!e.owned.is_prefix()).then_some(e.onlink),
        zone: link_local.then(|| e.interface.clone()),
    }
}

/// The steps that make a hostlet in the kernel, its addresses being on the host.
fn build(id: HostletId, spec: &HostletSpec, entries: &[SetEntry], seen: &Observed) -> Vec<Action> {
    let name = || spec.name.clone();
    let mut actions = Vec::new();
    if seen.ipv6 {
        actions.push(Action::AddLoopback6 { id });
    }
    actions.push(Action::MakeCgroup { name: name() });
    for (owned, flags) in ownership(id, spec, entries, seen.ipv6) {
        actions.push(Action::Own {
            id,
            owned,
            flags,
            previous: None,
        });
    }
    // The programs' storage exists from the attachment on.
    actions.push(Action::Attach { name: name() });
    actions.push(Action::Publish {
        name: name(),
        view: view(id, spec, entries, seen),
        previous: None,
    });
    actions
}

/// Adds an address to a hostlet, at the end of its set.
///
/// # Errors
/// The first thing in the way.
pub fn plan_grant(
    h: &Existing,
    wish: &AddressSpec,
    assign: Option<&str>,
    seen: &Observed,
) -> Result<Renewal, Refusal> {
    if h.spec.fallen_back {
        return Err(Refusal::FallenBack {
            name: h.name().clone(),
        });
    }
    if let Some(e) = h.entries.iter().find(|e| e.owned.overlaps(&wish.owned)) {
        return Err(if e.owned == wish.owned {
            Refusal::AlreadyHas {
                name: h.name().clone(),
                address: e.owned,
            }
        } else if wish.owned.net().contains(&e.owned.net()) {
            let (outer, inner) = (wish.owned, e.owned);
            SetError::Overlap { outer, inner }.into()
        } else {
            let (outer, inner) = (e.owned, wish.owned);
            SetError::Overlap { outer, inner }.into()
        });
    }
    if h.entries.len() >= hostlet_model::MAX_ADDRESSES {
        let count = h.entries.len() + 1;
        return Err(SetError::TooMany { count }.into());
    }
    let placed = place(wish, assign, seen, Some(h.id))?;
    let mut entries = h.entries.clone();
    entries.push(placed.entry);
    let mut spec = h.spec.clone();
    spec.addresses.push(wish.clone());

    let mut actions = vec![redefine(h, &spec, &entries)];
    actions.extend(placed.actions);
    actions.extend(reown(h, &entries));
    actions.push(republish(h, &spec, &entries, seen));
    Ok(Renewal {
        spec,
        entries,
        actions,
        warnings: placed.warnings,
    })
}

/// Takes an address from a hostlet. Its open sockets are destroyed.
///
/// # Errors
/// The hostlet does not have it, or has no other.
pub fn plan_revoke(h: &Existing, owned: &Owned, seen: &Observed) -> Result<Renewal, Refusal> {
    if h.entries.len() == 1 && h.entries[0].owned == *owned {
        return Err(Refusal::LastAddress {
            name: h.name().clone(),
            address: *owned,
        });
    }
    revoke(h, owned, seen)
}

pub(crate) fn revoke(h: &Existing, owned: &Owned, seen: &Observed) -> Result<Renewal, Refusal> {
    let Some(at) = h.entries.iter().position(|e| e.owned == *owned) else {
        return Err(Refusal::DoesNotHave {
            name: h.name().clone(),
            address: *owned,
            has: h.entries.iter().map(|e| e.owned).collect(),
        });
    };
    let mut entries = h.entries.clone();
    let gone = entries.remove(at);
    let mut spec = h.spec.clone();
    spec.addresses.retain(|a| a.owned != *owned);

    let destroy = || Action::DestroySockets {
        id: h.id,
        owned: *owned,
    };
    let mut actions = vec![
        // While the guard still lets out what tells the peers of it.
        destroy(),
        republish(h, &spec, &entries, seen),
        Action::Disown {
            id: h.id,
            owned: *owned,
            flags: flags(&h.entries, owned),
        },
    ];
    actions.extend(reown(h, &entries));
    // What was made meanwhile.
    actions.push(destroy());
    actions.extend(take_away(&gone));
    // Last, so that an address that hostlet put there is not forgotten before it is away.
    actions.push(redefine(h, &spec, &entries));
    Ok(Renewal {
        spec,
        entries,
        actions,
        warnings: Vec::new(),
    })
}

/// Changes options of a hostlet, or the order of its set (the first of a family is its primary). The addresses stay the same.
pub fn plan_update(
    h: &Existing,
    spec: &HostletSpec,
    entries: &[SetEntry],
    seen: &Observed,
) -> Renewal {
    let actions = vec![
        redefine(h, spec, entries),
        republish(h, spec, entries, seen),
    ];
    Renewal {
        spec: spec.clone(),
        entries: entries.to_vec(),
        actions,
        warnings: Vec::new(),
    }
}

/// Removes a hostlet.
///
/// # Errors
/// It has members, and `kill` does not say to end them.
pub fn plan_remove(h: &Existing, kill: bool) -> Result<Vec<Action>, Refusal> {
    if !h.members.is_empty() && !kill {
        return Err(Refusal::Inhabited {
            name: h.name().clone(),
            members: h.members.clone(),
        });
    }
    let (name, id) = (|| h.name().clone(), h.id);
    // Whether there is IPv6 now says nothing of when it was made; taking away what is not there is no error.
    let everything = own_all(id, &h.entries, true);
    let mut actions = vec![
        Action::MarkRemoving { name: name() },
        Action::Close { name: name(), id },
    ];
    if kill {
        actions.push(Action::KillMembers { name: name() });
    }
    // Sockets that were handed to processes outside still have the rules of this cgroup: they die before it goes.
    actions.extend(
        everything
            .iter()
            .map(|(owned, _)| Action::DestroySockets { id, owned: *owned }),
    );
    actions.push(Action::RemoveCgroup { name: name() });
    actions.extend(everything.iter().map(|(owned, flags)| Action::Disown {
        id,
        owned: *owned,
        flags: *flags,
    }));
    actions.push(Action::Forget { id });
    actions.extend(h.entries.iter().filter_map(take_away));
    actions.push(Action::DelLoopback6 { id });
    actions.push(Action::Unremember { name: name() });
    Ok(actions)
}
