//! The verbs that change hostlets: observe, decide, act.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use hostlet_model::config::{ConfigError, Problem, place_of};
use hostlet_model::{AddressSpec, HostletSpec, Lifetime, Name, Owned};
use hostlet_policy::{
    Action, Change, Observed, Plan, Refusal, What, plan_apply, plan_create, plan_grant,
    plan_remove, plan_revoke,
};
use hostlet_store::{Definition, Version};
use jiff::{SignedDuration, Timestamp};

use crate::access::Access;
use crate::caller::caller;
use crate::error::{Error, Result};
use crate::execute::{Way, all_beside, forward, onward, take_back};
use crate::machine::{Machine, Stamp, observe_declared, with_members};
use crate::observe::{Of, observe};
use crate::report::ChangeReport;
use crate::{Engine, names, network};

/// So many hostlets are removed one by one faster than by a walk through all tables.
const FEW: usize = 16;

impl Engine {
    /// Makes a hostlet that stays until it is removed.
    ///
    /// # Errors
    /// Whatever is in the way; then nothing was changed.
    pub fn create(&self, spec: &HostletSpec) -> Result<()> {
        let mut machine = self.machine("make a hostlet", stamp(&[]))?;
        self.create_in(&mut machine, spec, &Lifetime::Kept)?;
        self.tell(&mut machine);
        Ok(())
    }

    /// Opens everything to change it, and says what healing found.
    pub(crate) fn machine(&self, what: &'static str, stamp: Stamp) -> Result<Machine<'_>> {
        let config = self.config_now(what)?;
        let mut machine = Machine::to_change(&self.paths, &self.keep, config, stamp)?;
        self.tell(&mut machine);
        Ok(machine)
    }

    /// Makes a hostlet, as long as the lock is held.
    pub(crate) fn create_in(
        &self,
        machine: &mut Machine<'_>,
        spec: &HostletSpec,
        lifetime: &Lifetime,
    ) -> Result<()> {
        let access = Access::of_caller(&self.paths, &machine.config);
        if *lifetime != Lifetime::Declared {
            access.change(&spec.name)?;
            access.addresses(&spec.name, &spec.addresses)?;
        }
        let warn = &mut |warning: &str| self.warn(warning);
        self.make_in(machine, spec, lifetime, plan_create, warn)
    }

    /// The same, whoever asks.
    pub(crate) fn make_in(
        &self,
        machine: &mut Machine<'_>,
        spec: &HostletSpec,
        lifetime: &Lifetime,
        plan: fn(&HostletSpec, &Lifetime, &Observed) -> Result<Plan, Refusal>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<()> {
        machine.fit_limits()?;
        let seen = observe(machine, Of::some(&spec.name, addresses_of(&spec.addresses)))?;
        let plan = plan(spec, lifetime, &seen)?;
        match self.whole(machine, &plan.actions) {
            // What there is to know of an addition counts only where it was made.
            Ok(()) => plan.warnings.iter().for_each(|warning| warn(warning)),
            Err(error) => {
                // What the first one brings for all goes with it; the first error is the one to tell.
                let _ = machine.leave_no_directory();
                return Err(error);
            }
        }
        Ok(())
    }

    /// Performs all steps of a change and what follows every one, or nothing of it.
    fn whole(&self, machine: &mut Machine<'_>, plan: &[Action]) -> Result<()> {
        let done = forward(machine, plan);
        match (done, self.after(machine)) {
            (Ok(()), Err(error)) => Err(take_back(machine, plan, error)),
            // The first error is the one to tell.
            (done, after) => done.and(after),
        }
    }

    /// Performs the steps of a change that is not taken back: what fails is done by the next command.
    pub(crate) fn change_in(
        &self,
        machine: &mut Machine<'_>,
        name: &Name,
        plan: &[Action],
    ) -> Result<()> {
        let mut changing = Changing::begin(machine, [plan])?;
        let done = onward(machine, plan);
        changing.done(name, &done);
        let after = self.after(machine);
        changing.end(machine)?;
        // The first error is the one to tell.
        done.and(after)
    }

    /// Removes a hostlet with everything that hostlet added for it.
    ///
    /// # Errors
    /// It has members and `kill` is not given; or steps failed, all others being done.
    pub fn remove(&self, name: &Name, kill: bool) -> Result<()> {
        let mut machine = self.machine("remove a hostlet", stamp(&[]))?;
        Access::of_caller(&self.paths, &machine.config).change(name)?;
        // What the caller saw in a listing may have been waiting for any command to take it away: this one.
        if machine.healed_away.contains(name) {
            self.after(&mut machine)?;
            self.warn(&format!(
                "hostlet '{name}' is gone: it had ended already, and was cleared away"
            ));
            return machine.tidy();
        }
        let row = machine.definition(name)?;
        self.remove_in(&mut machine, row, kill)?;
        machine.tidy()
    }

    /// Removes the hostlet of a run that ended. The mirror of the network serves the others as it is.
    pub(crate) fn remove_quietly(&self, machine: &mut Machine<'_>, row: Definition) -> Result<()> {
        let plan = plan_remove(&with_members(machine, row)?, false)?;
        let done = onward(machine, &plan);
        self.tell(machine);
        done
    }

    pub(crate) fn remove_in(
        &self,
        machine: &mut Machine<'_>,
        row: Definition,
        kill: bool,
    ) -> Result<()> {
        let existing = with_members(machine, row)?;
        let plan = plan_remove(&existing, kill)?;
        // What cannot be written down, as on a full disk, is not begun.
        let (mark, rest) = plan.split_at(1);
        forward(machine, mark)?;
        let done = onward(machine, rest);
        let after = self.after(machine);
        done.and(after)
    }

    /// Adds an address to a hostlet.
    ///
    /// # Errors
    /// Whatever is in the way; then nothing was changed.
    pub fn grant(&self, name: &Name, wish: &AddressSpec, assign: Option<&str>) -> Result<()> {
        let mut machine = self.machine("change a hostlet", stamp(&[]))?;
        let access = Access::of_caller(&self.paths, &machine.config);
        access.change(name)?;
        access.addresses(name, std::slice::from_ref(wish))?;
        machine.live(name)?;
        let seen = observe(&machine, Of::some(name, [wish.owned]))?;
        let existing = seen.hostlet(name)?;
        let assign = assign.or(existing.spec.assign.as_deref());
        let plan = plan_grant(existing, wish, assign, &seen)?;
        machine.warnings.extend(plan.warnings);
        let mut changing = Changing::begin(&machine, [&plan.actions[..]])?;
        let done = self.whole(&mut machine, &plan.actions);
        changing.done(name, &done);
        changing.end(&machine)?;
        done
    }

    /// Takes an address from a hostlet, and ends what is open on it.
    ///
    /// # Errors
    /// It does not have it, or no other; or a step failed, the others being done.
    pub fn revoke(&self, name: &Name, owned: &Owned) -> Result<()> {
        let mut machine = self.machine("change a hostlet", stamp(&[]))?;
        Access::of_caller(&self.paths, &machine.config).change(name)?;
        machine.live(name)?;
        let seen = observe(&machine, Of::some(name, []))?;
        let plan = plan_revoke(seen.hostlet(name)?, owned, &seen)?;
        self.change_in(&mut machine, name, &plan.actions)
    }

    /// Makes the declared hostlets what the configuration says. The plan goes to `show` first;
    /// with `dry_run` that is all.
    ///
    /// # Errors
    /// Everything in the way, before anything is done; or the changes that failed, each
    /// taken back, the others being done.
    pub fn apply(
        &self,
        kill: bool,
        dry_run: bool,
        show: &mut dyn FnMut(&[ChangeReport]),
    ) -> Result<()> {
        let what = "apply the configuration";
        self.need_config(what)?;
        let mut machine = if dry_run {
            self.reading_by(self.config_now(what)?)?
        } else {
            self.machine(what, stamp(&[]))?
        };
        for name in machine.config.hostlets.keys() {
            Access::of_caller(&self.paths, &machine.config).change(name)?;
        }
        let seen = observe_declared(&machine)?;
        let changes = plan_apply(&machine.config, kill, &seen)
            .map_err(|refusals| declared(&self.paths.config, refusals))?;
        for warning in changes.iter().flat_map(|c| &c.warnings) {
            self.warn(warning);
        }
        show(&changes.iter().map(change_report).collect::<Vec<_>>());
        if dry_run {
            return Ok(());
        }
        let mut errors = Vec::new();
        let mut changing = Changing::begin(&machine, changes.iter().map(|c| &c.actions[..]))?;
        for changes in changes.chunk_by(|a, b| a.what == b.what) {
            let way = match changes[0].what {
                What::Remove => Way::Onward,
                What::Create => Way::Forward,
                What::Revoke | What::Grant | What::Update | What::Restore => {
                    for change in changes {
                        let done = match change.what {
                            What::Revoke => onward(&mut machine, &change.actions),
                            _ => forward(&mut machine, &change.actions),
                        };
                        changing.done(&change.name, &done);
                        errors.extend(done.err().map(|error| failed(change, error)));
                    }
                    continue;
                }
            };
            let mut changes: Vec<_> = changes.iter().collect();
            machine.sweeps = changes.len() > FEW;
            if way == Way::Onward {
                // The kernel looks for an address of `lo` from the newest on.
                changes.reverse();
            }
            let plans: Vec<_> = changes.iter().map(|c| &c.actions[..]).collect();
            match all_beside(&mut machine, &plans, way) {
                Ok(all) => {
                    errors.extend(all.into_iter().map(|(n, error)| failed(changes[n], error)))
                }
                Err(error) => errors.push(error),
            }
        }
        errors.extend(self.after(&mut machine).err());
        changing.end(&machine)?;
        machine.tidy()?;
        Error::several(errors)
    }

    /// What follows every change: the mirror of the network is made true, and old history goes.
    fn after(&self, machine: &mut Machine<'_>) -> Result<()> {
        names::settle(machine);
        self.tell(machine);
        let days = i64::from(machine.config.limits.history_days);
        if let Ok(before) = Timestamp::now().checked_sub(SignedDuration::from_hours(24 * days)) {
            machine.store.prune_history(before)?;
        }
        network::refresh(machine)
    }

    /// Hands the warnings on.
    pub(crate) fn tell(&self, machine: &mut Machine<'_>) {
        for warning in machine.warnings.drain(..) {
            self.warn(&warning);
        }
    }
}

fn addresses_of(wishes: &[AddressSpec]) -> impl Iterator<Item = Owned> {
    wishes.iter().map(|wish| wish.owned)
}

/// What is written down before living hostlets are changed, so that the next command
/// puts them right if this one does not come to its end.
struct Changing(BTreeSet<Name>);

impl Changing {
    fn begin<'a>(
        machine: &Machine<'_>,
        plans: impl IntoIterator<Item = &'a [Action]>,
    ) -> Result<Self> {
        let mut between: BTreeMap<Name, Vec<Version>> = BTreeMap::new();
        for action in plans.into_iter().flatten() {
            let Action::Redefine { new, old } = action else {
                continue;
            };
            let versions = between.entry(new.spec.name.clone()).or_default();
            for d in [old, new] {
                let version = Version {
                    spec: d.spec.clone(),
                    entries: d.entries.clone(),
                };
                if !versions.contains(&version) {
                    versions.push(version);
                }
            }
        }
        for (name, versions) in &between {
            machine.store.begin_change(name, versions)?;
        }
        Ok(Self(between.into_keys().collect()))
    }

    /// What failed is looked at once more by the next command.
    fn done(&mut self, name: &Name, done: &Result<()>) {
        if done.is_err() {
            self.0.remove(name);
        }
    }

    fn end(self, machine: &Machine<'_>) -> Result<()> {
        for name in &self.0 {
            machine.store.end_change(name)?;
        }
        Ok(())
    }
}

fn failed(change: &Change, error: Error) -> Error {
    Error::Change {
        tried: change.text.clone(),
        error: Box::new(error),
    }
}

fn change_report(change: &Change) -> ChangeReport {
    ChangeReport {
        change: change.what.to_string(),
        name: change.name.clone(),
        text: change.text.clone(),
        actions: change
            .actions
            .iter()
            .filter(|action| action.is_felt())
            .map(ToString::to_string)
            .collect(),
    }
}

/// Who makes it, and for what.
pub(crate) fn stamp(program: &[String]) -> Stamp {
    let caller = caller();
    Stamp {
        program: program.to_vec(),
        uid: caller.uid,
        user: caller.user,
    }
}

/// Refusals of what the file declares, each with its place there. What is declared no more has none.
fn declared(config: &Path, refusals: Vec<(Name, Refusal)>) -> Error {
    let text = fs::read_to_string(config).unwrap_or_default();
    let (mut problems, mut errors) = (Vec::new(), Vec::new());
    for (name, why) in refusals {
        match place_of(&text, &name) {
            Some((line, column)) => problems.push(Problem {
                line,
                column,
                message: format!("[hostlet.{name}]: {why}"),
            }),
            None => errors.push(why.into()),
        }
    }
    if !problems.is_empty() {
        problems.sort_by_key(|p| (p.line, p.column));
        let file = config.display().to_string();
        errors.push(ConfigError { file, problems }.into());
    }
    match errors.len() {
        1 => errors.remove(0),
        _ => Error::Several(errors),
    }
}
