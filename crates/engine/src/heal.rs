//! What a crash, a restart or somebody's hand left behind is put right at the
//! start of every changing command, under the lock.

use std::collections::{BTreeMap, BTreeSet};

use hostlet_model::{HostletId, Lifetime};
use hostlet_policy::{Action, plan_remove, plan_restore, plan_settle};
use hostlet_store::{Definition, State, Version};
use jiff::Timestamp;

use crate::error::Result;
use crate::execute::{Perform, forward, onward};
use crate::machine::{Machine, abandoned, state_of, with_members};
use crate::{attached, namespace, network};

/// Puts right what is not as the store says.
pub(crate) fn heal(machine: &mut Machine<'_>) -> Result<()> {
    let lost = Lost {
        namespace: lost_namespace(machine)?,
        // Asked once: the first that is brought back brings the kernel part back for all.
        kernel: machine.kernel.is_none(),
        changing: machine.store.changing()?.into_iter().collect(),
    };
    for row in machine.rows()?.iter() {
        heal_one(machine, row.clone(), &lost)?;
    }
    remove_orphans(machine)?;
    match &machine.kernel {
        // Killed before it came to this.
        Some(kernel) if !machine.rows()?.is_empty() => Ok(kernel.wake()?),
        _ => Ok(()),
    }
}

/// What went since the last command.
struct Lost {
    /// The network namespace, with all addresses.
    namespace: bool,
    /// The pins of the kernel part.
    kernel: bool,
    /// Commands that were changing a hostlet, by its id, and between what.
    changing: BTreeMap<HostletId, Vec<Version>>,
}

/// Whether the network namespace of this installation is gone, and with it all
/// addresses; then the kernel part is taken away, to be made anew in this one.
fn lost_namespace(machine: &mut Machine<'_>) -> Result<bool> {
    let Some(kernel) = &machine.kernel else {
        return Ok(false);
    };
    if !namespace::differs(kernel.netns_cookie())? {
        return Ok(false);
    }
    namespace::must_be_gone(kernel.netns_cookie())?;
    if let Some(kernel) = machine.kernel.take() {
        kernel.uninstall()?;
    }
    Ok(true)
}

fn heal_one(machine: &mut Machine<'_>, row: Definition, lost: &Lost) -> Result<()> {
    let state = if lost.namespace {
        "stale"
    } else {
        state_of(&row, &machine.boot_id)
    };
    let name = row.name.clone();
    let outcome = match state {
        "stale" if row.state == State::Live && !matches!(row.lifetime, Lifetime::Run { .. }) => {
            restore(machine, row)
        }
        "stale" => forget(machine, row),
        "live" if abandoned(machine, &row)? => remove(machine, row, false),
        "live" if lost.kernel || !machine.tree.path_of(name.as_str()).exists() => {
            restore(machine, row)
        }
        "live" => match lost.changing.get(&row.id) {
            Some(between) => settle(machine, row, between),
            None => Ok(()),
        },
        // Nobody entered what never became live.
        "pending" => remove(machine, row, true),
        _ if machine.members(&name)?.is_empty() => remove(machine, row, false),
        // Somebody is in it: only `remove --kill` ends him.
        _ => Ok(()),
    };
    // One that cannot be healed must not keep the others from being changed.
    if let Err(error) = outcome {
        machine.warnings.push(format!(
            "hostlet '{name}' is {state} and could not be healed: {error}"
        ));
    }
    Ok(())
}

fn remove(machine: &mut Machine<'_>, row: Definition, kill: bool) -> Result<()> {
    let existing = with_members(machine, row)?;
    let plan = plan_remove(&existing, kill)?;
    onward(machine, &plan)
}

/// The machine or the namespace went, and with it everything but the row and perhaps the cgroup.
fn forget(machine: &mut Machine<'_>, row: Definition) -> Result<()> {
    machine.tree.remove(row.name.as_str())?;
    attached::forget(machine.paths, &row.name)?;
    machine.store.delete(&row.name, Timestamp::now())?;
    machine.forget_rows();
    Ok(())
}

/// Brings a hostlet back that is to stay: after a restart, or when its cgroup or
/// the kernel part was taken away under it.
fn restore(machine: &mut Machine<'_>, row: Definition) -> Result<()> {
    let name = row.name.clone();
    // What an interrupted attempt, or the old kernel part, left of it.
    let existing = with_members(machine, row)?;
    if existing.members.is_empty() {
        machine.tree.remove(name.as_str())?;
    }
    if machine.kernel.is_some() {
        let leftovers: Vec<Action> = plan_remove(&existing, true)?
            .into_iter()
            .filter(|a| matches!(a, Action::Disown { .. } | Action::Forget { .. }))
            .collect();
        onward(machine, &leftovers)?;
    }
    let seen = machine.observe()?;
    let mut plan = plan_restore(&existing, &seen)?.actions;
    if machine.tree.path_of(name.as_str()).exists() {
        plan.retain(|a| !matches!(a, Action::MakeCgroup { .. }));
    }
    forward(machine, &plan)?;
    // Members that outlived the kernel part kept its programs; now they have the new ones.
    let cgroups = machine.cgroups(&name)?;
    for cgroup in cgroups {
        machine.kernel()?.supersede(cgroup.fd())?;
    }
    machine.store.set_boot(&name, &machine.boot_id)?;
    machine.store.end_change(&name)?;
    machine.forget_rows();
    Ok(())
}

/// A command was interrupted, or failed, in changing it: it becomes what its row says.
fn settle(machine: &mut Machine<'_>, row: Definition, between: &[Version]) -> Result<()> {
    let name = row.name.clone();
    let between: Vec<_> = between
        .iter()
        .map(|version| (version.spec.clone(), version.entries.clone()))
        .collect();
    let seen = machine.observe()?;
    let existing = crate::observe::existing(row);
    onward(machine, &plan_settle(&existing, &between, &seen)?)?;
    network::refresh(machine)?;
    Ok(machine.store.end_change(&name)?)
}

/// Writes what the kernel is to know of a hostlet once more: somebody took it away.
pub(crate) fn republish(machine: &mut Machine<'_>, row: &Definition) -> Result<()> {
    let seen = machine.observe()?;
    let existing = crate::observe::existing(row.clone());
    let mut plan = plan_restore(&existing, &seen)?.actions;
    plan.retain(|a| matches!(a, Action::Own { .. } | Action::Publish { .. }));
    forward(machine, &plan)
}

/// Cgroups that no row speaks of: left by a kill at the wrong moment, or the store was lost.
fn remove_orphans(machine: &mut Machine<'_>) -> Result<()> {
    let rows = machine.rows()?;
    let known: BTreeSet<&str> = rows.iter().map(|row| row.name.as_str()).collect();
    for (dir, _) in machine.tree.list()? {
        if known.contains(dir.as_str()) {
            continue;
        }
        if machine.tree.members(&dir, true)?.is_empty() {
            machine.tree.remove(&dir)?;
            disown_strangers(machine)?;
        } else {
            machine.warnings.push(format!(
                "cgroup {} has members but no hostlet of that name is remembered: end them, the next command removes it",
                machine.tree.path_of(&dir).display()
            ));
        }
    }
    Ok(())
}

/// Owners in the kernel that the store does not know.
fn disown_strangers(machine: &mut Machine<'_>) -> Result<()> {
    let Some(kernel) = &machine.kernel else {
        return Ok(());
    };
    let known: Vec<u32> = machine.rows()?.iter().map(|d| d.id.0).collect();
    let strangers: Vec<_> = kernel
        .owners()?
        .into_iter()
        .filter(|(_, id, _)| !known.contains(id))
        .collect();
    for (owned, id, _) in strangers {
        let id = HostletId(id);
        machine.perform(&Action::Disown {
            id,
            owned,
            flags: hostlet_policy::OwnFlags::default(),
        })?;
        machine.perform(&Action::Forget { id })?;
    }
    Ok(())
}
