//! From the configuration to the changes that make the machine agree with it.

use std::collections::HashMap;
use std::fmt;

use hostlet_model::config::{Config, Declared};
use hostlet_model::{Lifetime, Name, SetEntry};

use crate::observed::Owners;
use crate::plan::{
    Renewal, gone, plan_create, plan_grant, plan_put_back, plan_remove, plan_update,
    reachable_services, revoke,
};
use crate::{Action, Existing, Observed, Refusal};

/// What a change is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// A declared hostlet is made.
    Create,
    /// An address joins.
    Grant,
    /// An address leaves.
    Revoke,
    /// Options, or the order of the addresses, change.
    Update,
    /// Addresses that hostlet had put on interfaces, and somebody took off, are put back.
    Restore,
    /// A hostlet that is no longer declared goes.
    Remove,
}

/// One change, complete with its steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What it is.
    pub what: What,
    /// The hostlet.
    pub name: Name,
    /// It in a few words, as the printed plan shows it.
    pub text: String,
    /// The steps, in order.
    pub actions: Vec<Action>,
    /// What the user should know, although it is done.
    pub warnings: Vec<String>,
}

impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            What::Create => "create",
            What::Grant => "grant",
            What::Revoke => "revoke",
            What::Update => "update",
            What::Restore => "restore",
            What::Remove => "remove",
        })
    }
}

/// The changes that make the declared hostlets what the configuration says: what goes first, so that what comes may have its
/// addresses. Hostlets made by hand are left alone. No change is returned unless all are possible.
///
/// # Errors
/// Everything in the way, each with the hostlet that it concerns.
pub fn plan_apply(
    config: &Config,
    kill: bool,
    seen: &Observed,
) -> Result<Vec<Change>, Vec<(Name, Refusal)>> {
    let mut world = World {
        seen: seen.clone(),
        changes: Vec::new(),
        refusals: Vec::new(),
    };
    world.seen.limit = config.limits.hostlets;
    world.seen.owners = Some(Owners::of(&seen.hostlets));
    let there: HashMap<&Name, &Existing> = seen.hostlets.iter().map(|h| (h.name(), h)).collect();
    let declared = || seen.hostlets.iter().filter(|h| is_declared(h));
    for h in declared().filter(|h| !config.hostlets.contains_key(h.name())) {
        world.remove(h, kill);
    }
    for h in declared() {
        if let Some(d) = config.hostlets.get(h.name()) {
            world.shrink(h.name(), d);
        }
    }
    for (name, d) in &config.hostlets {
        match there.get(name).copied() {
            None => world.create(d),
            Some(h) if !is_declared(h) => {
                let name = name.clone();
                let why = Refusal::MadeByHand { name: name.clone() };
                world.refusals.push((name, why));
            }
            Some(_) => world.grow(name, d),
        }
    }
    if world.refusals.is_empty() {
        Ok(world.changes)
    } else {
        Err(world.refusals)
    }
}

fn is_declared(h: &Existing) -> bool {
    h.lifetime == Lifetime::Declared
}

/// The machine as it will be after the changes so far.
struct World {
    seen: Observed,
    changes: Vec<Change>,
    refusals: Vec<(Name, Refusal)>,
}

impl World {
    fn push(&mut self, what: What, name: &Name, text: String, actions: Vec<Action>) {
        for a in &actions {
            foresee(&mut self.seen, a);
        }
        self.changes.push(Change {
            what,
            name: name.clone(),
            text,
            actions,
            warnings: Vec::new(),
        });
    }

    fn renew(&mut self, what: What, name: &Name, text: String, r: Renewal) {
        if let Some(h) = self.seen.hostlets.iter_mut().find(|h| h.name() == name) {
            if let Some(owners) = &mut self.seen.owners {
                owners.strike(&h.entries);
                owners.enter(h.id, &r.entries);
            }
            h.spec = r.spec;
            h.entries = r.entries;
        }
        self.push(what, name, text, r.actions);
        if let Some(c) = self.changes.last_mut() {
            c.warnings = r.warnings;
        }
    }

    fn remove(&mut self, h: &Existing, kill: bool) {
        match plan_remove(h, kill) {
            Ok(actions) => {
                self.seen.hostlets.retain(|o| o.id != h.id);
                if let Some(owners) = &mut self.seen.owners {
                    owners.strike(&h.entries);
                }
                let text = format!("remove {}: it is no longer declared", h.name());
                self.push(What::Remove, h.name(), text, actions);
            }
            Err(e) => self.refusals.push((h.name().clone(), e)),
        }
    }

    fn shrink(&mut self, name: &Name, d: &Declared) {
        let Ok(h) = self.seen.hostlet(name).cloned() else {
            return;
        };
        for e in &h.entries {
            if d.spec.addresses.iter().any(|a| a.owned == e.owned) {
                continue;
            }
            let Ok(h) = self.seen.hostlet(name).cloned() else {
                return;
            };
            match revoke(&h, &e.owned, &self.seen) {
                Ok(r) => self.renew(
                    What::Revoke,
                    name,
                    format!("revoke {} from {name}", e.owned),
                    r,
                ),
                Err(why) => self.refusals.push((name.clone(), why)),
            }
        }
    }

    /// What is the hostlet's and was put on an interface, as after a restart of the network.
    fn put_back(&mut self, name: &Name) {
        let Ok(h) = self.seen.hostlet(name).cloned() else {
            return;
        };
        let gone: Vec<String> = gone(&h, &self.seen).map(|e| e.owned.to_string()).collect();
        if gone.is_empty() {
            return;
        }
        match plan_put_back(&h, &self.seen) {
            Ok(r) => {
                let text = format!("put {} of {name} back", gone.join(", "));
                self.renew(What::Restore, name, text, r);
            }
            Err(why) => self.refusals.push((name.clone(), why)),
        }
    }

    fn grow(&mut self, name: &Name, d: &Declared) {
        self.put_back(name);
        for wish in &d.spec.addresses {
            let Ok(h) = self.seen.hostlet(name).cloned() else {
                return;
            };
            if h.entries.iter().any(|e| e.owned == wish.owned) {
                continue;
            }
            match plan_grant(&h, wish, d.spec.assign.as_deref(), &self.seen) {
                Ok(r) => self.renew(What::Grant, name, format!("grant {wish} to {name}"), r),
                Err(why) => self.refusals.push((name.clone(), why)),
            }
        }
        self.update(name, d);
    }

    fn update(&mut self, name: &Name, d: &Declared) {
        let Ok(h) = self.seen.hostlet(name).cloned() else {
            return;
        };
        let ordered: Vec<SetEntry> = d
            .spec
            .addresses
            .iter()
            .filter_map(|a| h.entries.iter().find(|e| e.owned == a.owned).cloned())
            .collect();
        if ordered.len() != d.spec.addresses.len() {
            return; // a grant was refused, which is said already
        }
        let differences = differences(&h, d, &ordered, &self.seen);
        if differences.is_empty() {
            return;
        }
        let r = plan_update(&h, &d.spec, &ordered, &self.seen);
        let text = format!("update {name}: {}", differences.join(", "));
        self.renew(What::Update, name, text, r);
    }

    fn create(&mut self, d: &Declared) {
        let name = &d.spec.name;
        match plan_create(&d.spec, &Lifetime::Declared, &self.seen) {
            Ok(p) => {
                self.seen.ids.next = p.id.0.saturating_add(1);
                if let Some(owners) = &mut self.seen.owners {
                    owners.enter(p.id, &p.entries);
                }
                self.seen.hostlets.push(Existing {
                    id: p.id,
                    spec: d.spec.clone(),
                    entries: p.entries.clone(),
                    lifetime: Lifetime::Declared,
                    members: Vec::new(),
                });
                let with: Vec<String> = p.entries.iter().map(|e| e.owned.to_string()).collect();
                let text = format!("create {name} with {}", with.join(", "));
                self.push(What::Create, name, text, p.actions);
                if let Some(c) = self.changes.last_mut() {
                    c.warnings = p.warnings;
                }
            }
            Err(why) => self.refusals.push((name.clone(), why)),
        }
    }
}

/// What differs between a hostlet and its declaration, its addresses being the same.
fn differences(h: &Existing, d: &Declared, ordered: &[SetEntry], seen: &Observed) -> Vec<String> {
    let mut out = Vec::new();
    if h.entries != ordered {
        out.push("the order of its addresses".to_owned());
    }
    if h.spec.source != d.spec.source {
        out.push(format!("source {} → {}", h.spec.source, d.spec.source));
    }
    let on = |b: bool| if b { "on" } else { "off" };
    if h.spec.guard != d.spec.guard {
        out.push(format!("guard {}", on(d.spec.guard)));
    }
    if h.spec.raw != d.spec.raw {
        out.push(format!("raw sockets {}", on(d.spec.raw)));
    }
    if reachable_services(&h.spec, seen) != reachable_services(&d.spec, seen) {
        out.push("what it may reach of the host's loopback".to_owned());
    }
    if h.spec.assign != d.spec.assign {
        out.push("the interface for later addresses".to_owned());
    }
    if out.is_empty() && h.spec.addresses != d.spec.addresses {
        out.push("how its addresses are written".to_owned());
    }
    out
}

/// Carries what a step does to addresses over into what the next decision sees.
fn foresee(seen: &mut Observed, action: &Action) {
    match action {
        Action::AddAddress {
            ifindex,
            addr,
            prefix_len,
            ..
        } => seen.addresses.push(crate::HostAddress {
            addr: *addr,
            prefix_len: *prefix_len,
            ifindex: *ifindex,
        }),
        Action::DelAddress { ifindex, addr, .. } => {
            seen.addresses
                .retain(|h| !(h.addr == *addr && h.ifindex == *ifindex));
        }
        Action::AddLocalPrefix { prefix } => seen.local_prefixes.push(*prefix),
        Action::DelLocalPrefix { prefix } => seen.local_prefixes.retain(|p| p != prefix),
        _ => {}
    }
}
