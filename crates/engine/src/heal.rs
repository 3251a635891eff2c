//! What a crash, a restart or somebody's hand left behind is put right at the
//! start of every changing command, under the lock.

mod look;

use std::collections::{BTreeMap, BTreeSet};

use hostlet_model::{HostletId, Lifetime};
use hostlet_platform::{netlink, proc};
use hostlet_policy::{Action, Observed, plan_remove, plan_restore, plan_settle};
use hostlet_store::{Definition, State, Version};
use jiff::Timestamp;

use crate::error::{Error, Result};
use crate::execute::{Way, all_beside, forward, onward};
use crate::machine::{Machine, abandoned, state_of, with_members};
use crate::observe::{Of, existing, has_ipv6, has_nonlocal_bind, observe};
use crate::{attached, names, namespace, network};

use look::{Look, Lost};

/// Puts right what is not as the store says.
pub(crate) fn heal(machine: &mut Machine<'_>) -> Result<()> {
    let mut lost = Lost {
        namespace: lost_namespace(machine)?,
        // Asked once: the first that is brought back brings the kernel part back for all.
        kernel: machine.kernel.is_none(),
        changing: BTreeMap::new(),
    };
    // Most are well, and that must cost next to nothing.
    let look = Look::at(machine, &mut lost)?;
    let ailing = look.ailing.clone();
    machine.sweeps = true;
    // What is brought back is in nobody else's way: one look is enough for all.
    let mut seen = None;
    for row in remove_all(machine, ailing, &lost) {
        heal_one(machine, row, &lost, &mut seen)?;
    }
    remove_orphans(machine, &look)?;
    machine.sweeps = false;
    if machine.store.is_empty()? {
        if !machine.healed_away.is_empty() {
            machine.leave_no_route()?;
        }
        return Ok(());
    }
    heal_route(machine);
    match &machine.kernel {
        // Killed before it came to this.
        Some(kernel) => Ok(kernel.wake()?),
        None => Ok(()),
    }
}

/// Brings the route to the IPv6 loopbacks of hostlets back, if somebody took it away: without it none has a `::1`. Where it would
/// not be made for a new one, each has an address.
fn heal_route(machine: &mut Machine<'_>) {
    if !has_nonlocal_bind() || !has_ipv6() {
        return;
    }
    if let Err(error) = netlink::add_local_prefix(machine.paths.loopbacks6().into()) {
        // All else can be changed without it, as while `lo` is down.
        machine.warnings.push(format!(
            "the IPv6 loopbacks of hostlets are not reached: {error}"
        ));
    }
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

fn heal_one(
    machine: &mut Machine<'_>,
    row: Definition,
    lost: &Lost,
    seen: &mut Option<Observed>,
) -> Result<()> {
    let name = row.name.clone();
    let known = row.clone();
    let outcome = match state(machine, &row, lost) {
        "stale" if row.state == State::Live && !matches!(row.lifetime, Lifetime::Run { .. }) => {
            restore(machine, row, lost, seen)
        }
        "stale" => forget(machine, row),
        "live" if lost.kernel || !machine.tree.path_of(name.as_str()).exists() => {
            restore(machine, row, lost, seen)
        }
        "live" => match lost.changing.get(&row.id) {
            Some(between) => settle(machine, row, between),
            None => Ok(()),
        },
        // Somebody is in it: only `remove --kill` ends him.
        _ => Ok(()),
    };
    if let Err(error) = outcome {
        could_not(machine, &known, lost, &error);
    }
    Ok(())
}

/// Removes those that nobody needs any more, side by side: a command that was making thousands of them may have been killed. The
/// others come back.
fn remove_all(machine: &mut Machine<'_>, rows: Vec<Definition>, lost: &Lost) -> Vec<Definition> {
    let (mut others, mut going) = (Vec::new(), Vec::new());
    for row in rows {
        match removal(machine, &row, lost) {
            Ok(None) => others.push(row),
            Ok(Some(plan)) => going.push((row, plan)),
            Err(error) => could_not(machine, &row, lost, &error),
        }
    }
    let plans: Vec<&[Action]> = going.iter().map(|(_, plan)| &plan[..]).collect();
    let failed = match all_beside(machine, &plans, Way::Onward) {
        Ok(failed) => failed,
        // Nothing can be written down: whichever is told of.
        Err(error) => vec![(0, error)],
    };
    for (of, error) in &failed {
        could_not(machine, &going[*of].0, lost, error);
    }
    for (number, (row, _)) in going.into_iter().enumerate() {
        if failed.iter().all(|(of, _)| *of != number) {
            machine.healed_away.push(row.name);
        }
    }
    others
}

/// The steps that remove a hostlet which nobody needs any more; none if it is not one.
fn removal(machine: &Machine<'_>, row: &Definition, lost: &Lost) -> Result<Option<Vec<Action>>> {
    let kill = match state(machine, row, lost) {
        "stale" => return Ok(None),
        // Nobody entered what never became live.
        "pending" => true,
        "live" if !abandoned(machine, row)? => return Ok(None),
        "live" => false,
        // Somebody is in it: only `remove --kill` ends him.
        _ if !machine.members(&row.name)?.is_empty() => return Ok(None),
        _ => false,
    };
    let existing = with_members(machine, row.clone())?;
    Ok(Some(plan_remove(&existing, kill)?))
}

/// One that cannot be healed must not keep the others from being changed.
fn could_not(machine: &mut Machine<'_>, row: &Definition, lost: &Lost, error: &Error) {
    let state = state(machine, row, lost);
    let name = &row.name;
    machine.warnings.push(format!(
        "hostlet '{name}' is {state} and could not be healed: {error}"
    ));
}

fn state(machine: &Machine<'_>, row: &Definition, lost: &Lost) -> &'static str {
    if lost.namespace {
        "stale"
    } else {
        state_of(row, &machine.boot_id)
    }
}

/// The machine or the namespace went, and with it everything but the row and perhaps the cgroup.
fn forget(machine: &mut Machine<'_>, row: Definition) -> Result<()> {
    machine.tree.remove(row.name.as_str())?;
    attached::forget(machine.paths, &row.name)?;
    names::remove(machine.paths, &machine.tree.path_of(row.name.as_str()))?;
    machine.store.delete(&row.name, Timestamp::now())?;
    machine.healed_away.push(row.name);
    Ok(())
}

/// Brings a hostlet back that is to stay: after a restart, or when its cgroup or
/// the kernel part was taken away under it.
fn restore(
    machine: &mut Machine<'_>,
    row: Definition,
    lost: &Lost,
    seen: &mut Option<Observed>,
) -> Result<()> {
    let name = row.name.clone();
    // What an interrupted attempt, or the old kernel part, left of it.
    let existing = with_members(machine, row)?;
    if existing.members.is_empty() {
        machine.tree.remove(name.as_str())?;
    }
    // A kernel part that was just made knows nothing of it.
    if !lost.kernel && machine.kernel.is_some() {
        let leftovers: Vec<Action> = plan_remove(&existing, true)?
            .into_iter()
            .filter(|a| matches!(a, Action::Disown { .. } | Action::Forget { .. }))
            .collect();
        onward(machine, &leftovers)?;
    }
    let seen = match seen {
        Some(seen) => seen,
        none => none.insert(observe(machine, Of::All)?),
    };
    let mut plan = plan_restore(&existing, seen)?.actions;
    if machine.tree.path_of(name.as_str()).exists() {
        plan.retain(|a| !matches!(a, Action::MakeCgroup { .. }));
    }
    forward(machine, &plan)?;
    // Members that outlived the kernel part kept its programs; now they have the new ones.
    let cgroups = machine.cgroups(&name)?;
    for cgroup in cgroups {
        match machine.kernel()?.supersede(cgroup.fd()) {
            // A session's cgroup that went this moment.
            Err(_) if attached::is_gone(&cgroup) => {}
            done => done?,
        }
    }
    machine.store.set_boot(&name, &machine.boot_id)?;
    machine.store.end_change(&name)?;
    Ok(())
}

/// A command was interrupted, or failed, in changing it: it becomes what its row says.
fn settle(machine: &mut Machine<'_>, row: Definition, between: &[Version]) -> Result<()> {
    let name = row.name.clone();
    let between: Vec<_> = between
        .iter()
        .map(|version| (version.spec.clone(), version.entries.clone()))
        .collect();
    let all = between.iter().flat_map(|(_, entries)| entries);
    let all = all.chain(&row.entries).map(|entry| entry.owned);
    let seen = observe(machine, Of::some(&name, all))?;
    let existing = existing(row);
    onward(machine, &plan_settle(&existing, &between, &seen)?)?;
    network::refresh(machine)?;
    Ok(machine.store.end_change(&name)?)
}

/// Writes what the kernel is to know of a hostlet once more: somebody took it away.
pub(crate) fn republish(machine: &mut Machine<'_>, row: &Definition) -> Result<()> {
    let owned = row.entries.iter().map(|entry| entry.owned);
    let seen = observe(machine, Of::some(&row.name, owned))?;
    let existing = existing(row.clone());
    let mut plan = plan_restore(&existing, &seen)?.actions;
    plan.retain(|a| matches!(a, Action::Own { .. } | Action::Publish { .. }));
    forward(machine, &plan)
}

/// Cgroups that no row speaks of: left by a kill at the wrong moment, or the store was lost.
fn remove_orphans(machine: &mut Machine<'_>, look: &Look) -> Result<()> {
    for dir in &look.strange {
        // Healing took those of others away with them.
        if !machine.tree.path_of(dir).exists() {
            continue;
        }
        let members = machine.tree.members(dir, true)?;
        if members.is_empty() {
            machine.tree.remove(dir)?;
            names::remove(machine.paths, &machine.tree.path_of(dir))?;
            disown_strangers(machine)?;
        } else {
            machine.warnings.push(format!(
                "cgroup {} has members ({}) but no hostlet of that name is remembered: end them, the next command removes it",
                machine.tree.path_of(dir).display(),
                processes(&members)
            ));
        }
    }
    Ok(())
}

/// A few of these, with what runs in them.
fn processes(pids: &[u32]) -> String {
    let named: Vec<String> = pids
        .iter()
        .take(8)
        .map(|pid| match proc::Process::read(*pid) {
            Some(process) => format!("{}[{pid}]", process.comm),
            None => pid.to_string(),
        })
        .collect();
    let more = if pids.len() > named.len() {
        format!(" and {} more", pids.len() - named.len())
    } else {
        String::new()
    };
    format!("{}{more}", named.join(" "))
}

/// Owners in the kernel that the store does not know.
fn disown_strangers(machine: &mut Machine<'_>) -> Result<()> {
    let Some(kernel) = &machine.kernel else {
        return Ok(());
    };
    let rows = machine.store.all()?;
    let known: BTreeSet<u32> = rows.iter().map(|d| d.id.0).collect();
    let strangers: Vec<_> = kernel
        .owners()?
        .into_iter()
        .filter(|(_, id, _)| !known.contains(id))
        .collect();
    for (owned, id, _) in strangers {
        let id = HostletId(id);
        let flags = hostlet_policy::OwnFlags::default();
        let away = Action::Disown { id, owned, flags };
        onward(machine, &[away, Action::Forget { id }])?;
    }
    Ok(())
}
