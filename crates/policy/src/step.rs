//! Steps that several plans have in common.

use hostlet_model::{HostletId, HostletSpec, Owned, SetEntry};

use crate::action::{Definition, OwnFlags};
use crate::plan::reachable_services;
use crate::view::{KernelView, kernel_view, many_like};
use crate::{Action, Existing, Observed};

/// What the kernel's table of owners has of a hostlet: its set, unless it has fallen back, and its loopback pair.
pub(crate) fn ownership(
    id: HostletId,
    spec: &HostletSpec,
    entries: &[SetEntry],
    ipv6: bool,
) -> Vec<(Owned, OwnFlags)> {
    // What it still has is used as by processes outside: nothing is steered there.
    let entries = if spec.fallen_back { &[] } else { entries };
    own_all(id, entries, ipv6)
}

/// Everything a hostlet may own.
pub(crate) fn own_all(id: HostletId, entries: &[SetEntry], ipv6: bool) -> Vec<(Owned, OwnFlags)> {
    let loopback = OwnFlags {
        loopback: true,
        many: false,
    };
    // The same for all of a family.
    let of_family = |v4: bool| {
        let first = entries.iter().find(|e| e.owned.is_ipv4() == v4);
        first.map(|e| flags(entries, &e.owned)).unwrap_or_default()
    };
    let (four, six) = (of_family(true), of_family(false));
    let flags = |e: &SetEntry| if e.owned.is_ipv4() { four } else { six };
    let mut out: Vec<_> = entries.iter().map(|e| (e.owned, flags(e))).collect();
    out.push((Owned::Single(id.loopback4().into()), loopback));
    if ipv6 {
        out.push((Owned::Single(id.loopback6().into()), loopback));
    }
    out
}

pub(crate) fn flags(entries: &[SetEntry], owned: &Owned) -> OwnFlags {
    OwnFlags {
        loopback: false,
        many: many_like(entries, owned),
    }
}

/// Steps for entries that are new, or whose flags change with the set.
pub(crate) fn reown(h: &Existing, entries: &[SetEntry]) -> Vec<Action> {
    let id = h.id;
    let steps = entries.iter().filter_map(|e| {
        let had = h.entries.iter().any(|o| o.owned == e.owned);
        let previous = had.then(|| flags(&h.entries, &e.owned));
        let flags = flags(entries, &e.owned);
        (previous != Some(flags)).then_some(Action::Own {
            id,
            owned: e.owned,
            flags,
            previous,
        })
    });
    steps.collect()
}

pub(crate) fn redefine(h: &Existing, spec: &HostletSpec, entries: &[SetEntry]) -> Action {
    let definition = |spec: &HostletSpec, entries: &[SetEntry]| {
        Box::new(Definition {
            id: h.id,
            spec: spec.clone(),
            entries: entries.to_vec(),
            lifetime: h.lifetime.clone(),
        })
    };
    Action::Redefine {
        new: definition(spec, entries),
        old: definition(&h.spec, &h.entries),
    }
}

pub(crate) fn republish(
    h: &Existing,
    spec: &HostletSpec,
    entries: &[SetEntry],
    seen: &Observed,
) -> Action {
    Action::Publish {
        name: spec.name.clone(),
        view: view(h.id, spec, entries, seen),
        previous: Some(view(h.id, &h.spec, &h.entries, seen)),
    }
}

pub(crate) fn view(
    id: HostletId,
    spec: &HostletSpec,
    entries: &[SetEntry],
    seen: &Observed,
) -> Box<KernelView> {
    let reachable = reachable_services(spec, seen);
    Box::new(kernel_view(id, spec, entries, &reachable, seen.ipv6))
}
