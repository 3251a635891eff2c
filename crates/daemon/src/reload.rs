//! A new configuration: taken over whole, or refused whole.

use hostlet_model::Name;
use hostlet_model::config::Config;
use hostlet_platform::netlink;
use hostlet_wire::Error;

use crate::log;
use crate::shared::Shared;

/// Reads the configuration, checks everything, and takes it over: pools for whoever asks from now on, declared hostlets as
/// `hostlet apply` does it. Gives back a line for each change.
pub(crate) fn reload(shared: &Shared, dry_run: bool) -> Result<Vec<String>, Error> {
    let failed = |e: &dyn std::fmt::Display| Error::Failed(e.to_string());
    // Nobody draws by half of it.
    let _one = shared.choosing();
    let new = shared.engine.config().map_err(|e| failed(&e))?;
    let old = shared.config();
    check_interfaces(&old, &new)?;
    let mut changes = pools(shared, &old, &new);
    shared.engine.keep_config(new.clone());
    // Refuses what cannot be done before anything is.
    let checked = shared.engine.apply(false, true, &mut |plan| {
        let hostlets = plan
            .iter()
            .map(|c| format!("hostlet {}: {}", c.name, c.text));
        changes.extend(hostlets);
    });
    if dry_run || checked.is_err() {
        shared.engine.keep_config((*old).clone());
        return checked.map(|()| changes).map_err(|e| failed(&e));
    }
    // What fails now is this hostlet's alone, and tried again with the next apply: the rest is done.
    let applied = shared.engine.apply(false, false, &mut |_| {});
    shared.set_config(new);
    for line in &changes {
        log::notice(format_args!("reload: {line}"));
    }
    applied.map(|()| changes).map_err(|e| failed(&e))
}

/// A pool without its interface is a mistake while somebody is looking.
fn check_interfaces(old: &Config, new: &Config) -> Result<(), Error> {
    let there = netlink::interfaces().map_err(|e| Error::Failed(e.to_string()))?;
    for (name, pool) in &new.pools {
        let known = old
            .pools
            .get(name)
            .is_some_and(|p| p.interface == pool.interface);
        if !known && !there.iter().any(|i| i.name == pool.interface) {
            let names: Vec<&str> = there.iter().map(|i| i.name.as_str()).collect();
            return Err(Error::Failed(format!(
                "pool '{name}' is to be on interface {}, which this machine does not have; there are {}; nothing was changed",
                pool.interface,
                names.join(", ")
            )));
        }
    }
    Ok(())
}

fn pools(shared: &Shared, old: &Config, new: &Config) -> Vec<String> {
    let ledger = shared.ledger();
    let held = |name: &Name| {
        let count = ledger.leases().values().filter(|l| l.pool == *name).count();
        match count {
            0 => String::new(),
            1 => "; its holder keeps the address until it ends".to_owned(),
            n => format!("; its {n} holders keep their addresses until they end"),
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
    if old.daemon != new.daemon || old.limits != new.limits {
        lines.push("limits: changed".to_owned());
    }
    lines
}
