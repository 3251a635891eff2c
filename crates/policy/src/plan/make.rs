//! Making hostlets, and bringing them back.

use std::net::IpAddr;

use hostlet_model::{AddressSpec, HostletId, HostletSpec, Lifetime, Owned, SetEntry, check_set};

use super::{Plan, Renewal, reachable_services};
use crate::action::{Definition, OwnFlags};
use crate::place::{last_of_host, place, put_back, take_away};
use crate::step::{ownership, redefine, republish, view};
use crate::{Action, Existing, Observed, Refusal};

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
    create(spec, lifetime, seen)
}

/// Makes a hostlet whose addresses are lent: it may have none yet, and is cut off until it gets one.
///
/// # Errors
/// The first thing in the way.
pub fn plan_lend(
    spec: &HostletSpec,
    lifetime: &Lifetime,
    seen: &Observed,
) -> Result<Plan, Refusal> {
    if !spec.addresses.is_empty() {
        check_set(&spec.addresses)?;
    }
    create(spec, lifetime, seen)
}

fn create(spec: &HostletSpec, lifetime: &Lifetime, seen: &Observed) -> Result<Plan, Refusal> {
    if seen.hostlets.iter().any(|h| *h.name() == spec.name) {
        return Err(Refusal::DuplicateName {
            name: spec.name.clone(),
        });
    }
    if seen.hostlets.len() + seen.others >= seen.limit as usize {
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
    warnings.extend(last_of_host(&entries, seen));
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
    let mut gone: Vec<&SetEntry> = Vec::new();
    for e in between.iter().flat_map(|(_, entries)| entries) {
        let kept = restored.entries.iter().any(|k| k.owned == e.owned);
        let taken = others().any(|o| o.entries.iter().any(|k| k.owned.overlaps(&e.owned)));
        if !kept && !taken && gone.iter().all(|g| g.owned != e.owned) {
            gone.push(e);
        }
    }
    for e in gone {
        let (owned, flags) = (e.owned, OwnFlags::default());
        actions.push(Action::Disown {
            id: h.id,
            owned,
            flags,
        });
        actions.push(Action::DestroySockets { id: h.id, owned });
        // The row may be without it although the step that takes it away failed.
        actions.extend(take_away(e).filter(|_| is_there(e, seen)));
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

/// What hostlet had put on the machine of a living hostlet, and the machine has no more.
pub(crate) fn gone<'h>(h: &'h Existing, seen: &'h Observed) -> impl Iterator<Item = &'h SetEntry> {
    let is_gone = |e: &&SetEntry| {
        let net = e.owned.net();
        // On whichever interface it is now, packets for it arrive; and where its own is not there, it cannot be put back.
        !seen.local_prefixes.iter().any(|p| p.contains(&net))
            && !seen
                .addresses
                .iter()
                .any(|a| e.owned == Owned::Single(a.addr))
            && seen.interface_named(&e.interface).is_ok()
    };
    let mine = h.entries.iter().filter(|e| e.assigned);
    mine.filter(|_| !h.spec.fallen_back).filter(is_gone)
}

/// Puts that back.
///
/// # Errors
/// The first thing in the way.
pub(crate) fn plan_put_back(h: &Existing, seen: &Observed) -> Result<Renewal, Refusal> {
    let mut entries = h.entries.clone();
    let mut additions = Vec::new();
    for e in entries.iter_mut() {
        if gone(h, seen).any(|gone| gone.owned == e.owned) {
            // The interface may be another of that name.
            e.ifindex = seen.interface_named(&e.interface)?.index;
            additions.extend(put_back(e));
        }
    }
    let mut actions = Vec::new();
    if entries != h.entries {
        actions.push(redefine(h, &h.spec, &entries));
    }
    actions.extend(additions);
    actions.push(republish(h, &h.spec, &entries, seen));
    Ok(Renewal {
        spec: h.spec.clone(),
        entries,
        actions,
        warnings: Vec::new(),
    })
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
    if seen.ipv6 && seen.ipv6_nonlocal_bind {
        // Nothing has to be on an interface to be bound. All others choose their sources among what is there, one by one.
        actions.push(Action::RouteLoopbacks6);
    } else if seen.ipv6 {
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
