//! What becomes of a hostlet whose addresses are lent: others come, these go, the last goes (rows B3, B5).
//!
//! Who lends puts addresses on interfaces and takes them away; here they are only ever there already.

use hostlet_model::{AddressSpec, HostletSpec, Owned, SetEntry};

use crate::place::place;
use crate::step::{flags, redefine, reown, republish};
use crate::{Action, Existing, Observed, Refusal, Renewal};

/// Exchanges addresses of a hostlet, in one change. The set may become empty: its members are then on a machine that has only a
/// loopback. What is lost and not there, or gained and there, is no error, so that who was interrupted can ask again; what is gained and
/// there is on the interface where it is now. Nothing to do gives no steps.
///
/// The definition changes first: what is lost is lost, and an interrupted change is completed, not taken back.
///
/// # Errors
/// A gained address is not on the host or is another's; the hostlet has fallen back; a lost address is one that hostlet itself put there.
pub fn plan_replace(
    h: &Existing,
    lost: &[Owned],
    gained: &[AddressSpec],
    seen: &Observed,
) -> Result<Renewal, Refusal> {
    let (mut entries, gone) = without(h, lost)?;
    let mut spec = h.spec.clone();
    spec.addresses.retain(|a| !lost.contains(&a.owned));
    for wish in gained {
        if let Some(entry) = entries.iter_mut().find(|e| e.owned == wish.owned) {
            // Its interface was made again: which one it is on decides what it reaches (B10).
            if let Ok(now) = place(wish, None, seen, Some(h.id))
                && !entry.assigned
            {
                entry.ifindex = now.entry.ifindex;
                entry.interface = now.entry.interface;
            }
            continue;
        }
        if spec.fallen_back {
            let name = h.name().clone();
            return Err(Refusal::FallenBack { name });
        }
        entries.push(place(wish, None, seen, Some(h.id))?.entry);
        spec.addresses.push(wish.clone());
    }
    if entries == h.entries {
        return Ok(nothing(h));
    }
    let mut actions = vec![redefine(h, &spec, &entries)];
    // While the guard still lets out what tells the peers of it.
    actions.extend(destroy(h, &gone));
    if !spec.fallen_back {
        actions.extend(reown(h, &entries));
    }
    actions.push(republish(h, &spec, &entries, seen));
    actions.extend(disown(h, &gone));
    // What was made meanwhile.
    actions.extend(destroy(h, &gone));
    Ok(renewal(spec, entries, actions))
}

/// Lets a hostlet fall back: what is lost leaves the set with all sockets on it, and from then on its members are as processes
/// outside, with the machine's addresses and its loopback. Again is no error.
///
/// # Errors
/// A lost address is one that hostlet itself put there.
pub fn plan_fall_back(h: &Existing, lost: &[Owned], seen: &Observed) -> Result<Renewal, Refusal> {
    let (entries, gone) = without(h, lost)?;
    let mut spec = h.spec.clone();
    spec.addresses.retain(|a| !lost.contains(&a.owned));
    spec.fallen_back = true;
    if spec == h.spec && entries == h.entries {
        return Ok(nothing(h));
    }
    let mut actions = vec![redefine(h, &spec, &entries)];
    actions.extend(destroy(h, &gone));
    actions.push(republish(h, &spec, &entries, seen));
    // Also what is left of the set: nothing is steered for whom no program counts ports.
    actions.extend(disown(h, &h.entries));
    actions.extend(destroy(h, &gone));
    actions.push(Action::DestroyUnbound { id: h.id });
    Ok(renewal(spec, entries, actions))
}

/// The set without what is lost, and that.
fn without(h: &Existing, lost: &[Owned]) -> Result<(Vec<SetEntry>, Vec<SetEntry>), Refusal> {
    let (gone, left): (Vec<_>, Vec<_>) = h
        .entries
        .iter()
        .cloned()
        .partition(|e| lost.contains(&e.owned));
    match gone.iter().find(|e| e.assigned) {
        Some(e) => Err(Refusal::NotLent {
            name: h.name().clone(),
            address: e.owned,
        }),
        None => Ok((left, gone)),
    }
}

fn destroy(h: &Existing, gone: &[SetEntry]) -> impl Iterator<Item = Action> {
    let id = h.id;
    gone.iter()
        .map(move |e| Action::DestroySockets { id, owned: e.owned })
}

fn disown(h: &Existing, gone: &[SetEntry]) -> impl Iterator<Item = Action> {
    gone.iter().map(move |e| Action::Disown {
        id: h.id,
        owned: e.owned,
        flags: flags(&h.entries, &e.owned),
    })
}

fn nothing(h: &Existing) -> Renewal {
    renewal(h.spec.clone(), h.entries.clone(), Vec::new())
}

fn renewal(spec: HostletSpec, entries: Vec<SetEntry>, actions: Vec<Action>) -> Renewal {
    Renewal {
        spec,
        entries,
        actions,
        warnings: Vec::new(),
    }
}
