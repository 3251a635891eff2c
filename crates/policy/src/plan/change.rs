//! Changing hostlets, and taking them away.

use std::slice;

use hostlet_model::{AddressSpec, HostletSpec, Owned, SetEntry, SetError};

use super::Renewal;
use super::make::{gone, plan_put_back};
use crate::place::{last_of_host, place, take_away};
use crate::step::{flags, own_all, redefine, reown, republish};
use crate::{Action, Existing, Observed, Refusal};

/// Adds an address to a hostlet, at the end of its set. One that it has, and that was taken off its interface, is put back.
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
    if gone(h, seen).any(|e| e.owned == wish.owned) {
        return plan_put_back(h, seen);
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
    let mut warnings = placed.warnings;
    warnings.extend(last_of_host(slice::from_ref(&placed.entry), seen));
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
        warnings,
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
    // The last first: with the first IPv4 address of a network the kernel takes all others off, and puts them back one by one.
    actions.extend(h.entries.iter().rev().filter_map(take_away));
    actions.push(Action::DelLoopback6 { id });
    actions.push(Action::Unremember { name: name() });
    Ok(actions)
}
