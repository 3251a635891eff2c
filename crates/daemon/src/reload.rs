//! A new configuration: taken over whole, or refused whole.

use std::collections::BTreeSet;
use std::thread;

use hostlet_model::Name;
use hostlet_model::config::{Config, PoolSource};
use hostlet_platform::netlink;
use hostlet_wire::Error;

use crate::shared::Shared;
use crate::{draw, log, sessions, settled};

mod doubts;

/// Reads the configuration, checks everything, and takes it over: pools for whoever asks from now on, declared hostlets as
/// `hostlet apply` does it. Gives back a line for each change.
pub(crate) fn reload(shared: &Shared, dry_run: bool) -> Result<Vec<String>, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Failed(e.to_string());
    // Nobody draws by half of it.
    let one = shared.choosing();
    let config = &shared.engine.paths().config;
    if !config.exists() {
        // A lost file is no wish to remove all that was declared.
        let config = config.clone();
        return Err(failed(&hostlet_engine::Error::NoConfig { config }));
    }
    let new = shared.engine.config().map_err(|e| failed(&e))?;
    let old = shared.config();
    let mut changes = pools(shared, &old, &new);
    changes.extend(not_lent(&new));
    shared.engine.keep_config(new.clone());
    // Refuses what cannot be done before anything is.
    let checked = shared.engine.apply(false, true, &mut |plan| {
        changes.extend(plan.iter().map(|c| c.text.clone()));
    });
    if dry_run || checked.is_err() {
        shared.engine.keep_config((*old).clone());
        checked.map_err(|e| failed(&e))?;
        drop(one);
        changes.extend(doubts::soon(&new));
        return Ok(changes);
    }
    let applied = shared.engine.apply(false, false, &mut |_| {});
    shared.set_config(new);
    shared.programs.reload();
    settled::keep(shared.engine.paths(), &shared.config());
    sessions::prepare(shared);
    let taken = shared.config();
    // Who draws does not wait for the user database.
    drop(one);
    changes.extend(doubts::soon(&taken));
    for line in &changes {
        log::notice(format_args!("reload: {line}"));
    }
    // What could not be foreseen concerns single hostlets: the next apply tries them again.
    applied.map(|()| changes).map_err(|e| {
        Error::Failed(format!(
            "the configuration is taken over, but for what failed meanwhile: {e}; 'hostlet apply' tries that again"
        ))
    })
}

/// Logs what the configuration names and the machine does not have. Nobody waits for that: when the machine starts, the user database may not
/// answer yet.
pub(crate) fn log_doubts(shared: &Shared) {
    let config = shared.config();
    let look = move || {
        for line in doubts::doubts(&config) {
            log::warning(format_args!("{line}"));
        }
    };
    let started = thread::Builder::new().name("doubts".to_owned()).spawn(look);
    if let Err(error) = started {
        log::warning(format_args!(
            "cannot look at what the configuration names: {error}"
        ));
    }
}

/// What of pools is not lent on this machine as it is now, in words.
pub(crate) fn not_lent(config: &Config) -> Vec<String> {
    let there = netlink::interfaces().unwrap_or_default();
    let mut lines = Vec::new();
    for pool in config.pools.values() {
        let (name, interface) = (&pool.name, &pool.interface);
        if !there.iter().any(|i| i.name == *interface) {
            lines.push(format!(
                "pool {name}: it is on interface {interface}, which this machine does not have now; it lends nothing until that is there"
            ));
        }
        if let PoolSource::Static(ranges) = &pool.source {
            lines.extend(draw::hops(ranges).unwrap_or_default().iter().map(|hop| {
                format!(
                    "pool {name}: {hop} is a next hop of this machine's routes, so it is never lent; list it under exclude"
                )
            }));
        }
    }
    lines
}

fn pools(shared: &Shared, old: &Config, new: &Config) -> Vec<String> {
    let ledger = shared.ledger();
    let held = |name: &Name| {
        let all = ledger.leases().values().filter(|l| l.pool == *name);
        let holders: BTreeSet<&Name> = all.map(|l| &l.hostlet).collect();
        match holders.len() {
            0 => String::new(),
            1 => "; its holder keeps what it has until it ends".to_owned(),
            n => format!("; its {n} holders keep what they have until they end"),
        }
    };
    let mut lines = Vec::new();
    for name in old
        .pools
        .keys()
        .filter(|name| !new.pools.contains_key(*name))
    {
        lines.push(format!("pool {name}: removed{}", held(name)));
    }
    for (name, pool) in &new.pools {
        match old.pools.get(name) {
            None => lines.push(format!("pool {name}: added, on {}", pool.interface)),
            Some(before) if before != pool => {
                lines.push(format!("pool {name}: changed{}", held(name)))
            }
            Some(_) => {}
        }
    }
    if old.dhcp != new.dhcp {
        lines.push("dhcp: changed, for leases to come".to_owned());
    }
    if old.rules != new.rules {
        lines.push("rules: changed, for logins and programs to come".to_owned());
    }
    if old.sessions != new.sessions {
        lines.push("sessions: changed".to_owned());
    }
    if old.daemon != new.daemon || old.limits != new.limits {
        lines.push("limits: changed".to_owned());
    }
    lines
}
