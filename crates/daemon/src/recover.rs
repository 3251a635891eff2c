//! Taking over what is there: hostlets that run, their addresses, and the leases of these. Whatever an earlier hostletd was
//! doing when it was killed is either completed or taken back.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use anyhow::Result;
use hostlet_engine::Error;
use hostlet_lease::Client;
use hostlet_model::config::PoolSource;
use hostlet_model::{Lifetime, Name, Owned};
use hostlet_platform::{netlink, proc};
use hostlet_policy::Refusal;
use hostlet_store::{Definition, Lease, LeaseState};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::keeper::{Answer, Order, Which};
use crate::leasing::Key;
use crate::shared::Shared;
use crate::{address, jobs, log, sessions, terms};

/// Takes over; the keeper is running already.
pub(crate) fn recover(shared: &Arc<Shared>) -> Result<()> {
    let leases: Vec<Lease> = shared.ledger().leases().values().cloned().collect();
    // Hostlets that stay come back with the healing, if their addresses are there.
    let rows = rows(shared)?;
    for lease in leases.iter().filter(|l| l.terms.is_none()) {
        let kept = rows
            .get(&lease.hostlet)
            .is_some_and(|row| row.lifetime == Lifetime::Kept && has(row, lease));
        if kept {
            put_back(shared, lease)?;
        }
    }
    shared.engine.heal()?;
    let rows = self::rows(shared)?;
    for lease in &leases {
        match rows.get(&lease.hostlet) {
            Some(row) if has(row, lease) => take_over(shared, lease)?,
            _ => let_go(shared, lease),
        }
    }
    let lost = shared.ledger().lost().to_vec();
    for lease in &lost {
        match rows.get(&lease.hostlet) {
            Some(row) if row.spec.fallen_back => {}
            Some(_) => look_again(shared, lease),
            None => shared.ledger().found(&lease.hostlet, None)?,
        }
    }
    // Those without a lease as well: one that was cut off, or whose command was killed.
    for row in rows.values() {
        for (n, cgroup) in shared.engine.cgroups_of(&row.name).into_iter().enumerate() {
            shared.orders.give(Order::Watch {
                hostlet: row.name.clone(),
                cgroup,
                process: process(row).filter(|_| n == 0),
            });
        }
    }
    sessions::recover(shared, &rows.into_keys().collect())
}

fn rows(shared: &Shared) -> Result<BTreeMap<Name, Definition>> {
    let all = shared.engine.hostlets()?.into_iter();
    Ok(all.map(|row| (row.name.clone(), row)).collect())
}

fn has(row: &Definition, lease: &Lease) -> bool {
    let owned = Owned::Single(lease.address);
    row.entries.iter().any(|e| e.owned == owned)
}

/// The process whose end may be the hostlet's, if it lives.
fn process(row: &Definition) -> Option<std::os::fd::OwnedFd> {
    let Lifetime::Run { pid, start_ticks } = row.lifetime else {
        return None;
    };
    let number = Pid::from_raw(i32::try_from(pid).ok()?)?;
    let process = pidfd_open(number, PidfdFlags::empty()).ok()?;
    proc::alive(pid, start_ticks).then_some(process)
}

pub(crate) fn index(interface: &str) -> Result<Option<u32>> {
    let all = netlink::interfaces()?;
    Ok(all.iter().find(|i| i.name == interface).map(|i| i.index))
}

/// Addresses that went without our doing are there again: switching an interface off takes its IPv6 addresses away.
pub(crate) fn put_all_back(shared: &Shared) {
    let Ok(here) = netlink::addresses() else {
        return;
    };
    // Nothing is freed meanwhile.
    let _one = shared.choosing();
    let held: Vec<Lease> = {
        let ledger = shared.ledger();
        let all = ledger.leases().values();
        all.filter(|l| l.state == LeaseState::Held && !here.iter().any(|a| a.addr == l.address))
            .cloned()
            .collect()
    };
    for lease in held {
        if let Err(error) = put_back(shared, &lease) {
            log::warn(&format!(
                "hostlet '{}' is without {}: {error}",
                lease.hostlet, lease.address
            ));
        }
    }
}

/// The address is there again, if it was not.
fn put_back(shared: &Shared, lease: &Lease) -> Result<()> {
    if address::placed(lease.address)? {
        return Ok(());
    }
    let Some(ifindex) = index(&lease.interface)? else {
        log::warn(&format!(
            "hostlet '{}' is without {}: interface {} is gone",
            lease.hostlet, lease.address, lease.interface
        ));
        return Ok(());
    };
    let valid = terms::left(&shared.clock, lease);
    if !address::place(&shared.announcer, ifindex, lease.address, valid)? {
        log::warn(&format!(
            "hostlet '{}' holds {}, which somebody else put on this machine",
            lease.hostlet, lease.address
        ));
    }
    // The interface may be another than it was, of the same name.
    let again = [jobs::spec(lease.address, lease.prefix_len)];
    match shared.engine.replace(&lease.hostlet, &[], &again) {
        // It is only being made, or ends.
        Err(Error::Refused(Refusal::UnknownName { .. })) => Ok(()),
        done => Ok(done?),
    }
}

/// A lease of a hostlet that is there.
fn take_over(shared: &Shared, lease: &Lease) -> Result<()> {
    let Some(known) = terms::remembered(&shared.clock, lease) else {
        put_back(shared, lease)?;
        if lease.state != LeaseState::Held {
            shared.ledger().hold(lease.address, &lease.hostlet, None)?;
        }
        return Ok(());
    };
    let there = address::placed(lease.address)?;
    if !there {
        shared.ledger().doubt(lease.address);
    }
    let now = shared.clock.now();
    order(shared, lease, Some(lease.address), None, |settings| {
        if there {
            Client::resume(settings, known, now).map_err(|e| e.to_string())
        } else {
            // The machine was started anew, or the address ran out: the server is asked whether it is still ours.
            Ok(Client::reboot(settings, lease.address, now))
        }
    });
    Ok(())
}

/// A hostlet that was cut off is to have an address again.
fn look_again(shared: &Shared, lease: &Lease) {
    let now = shared.clock.now();
    log::notice(format_args!(
        "hostlet '{}' is cut off, and a server is asked for another address",
        lease.hostlet
    ));
    order(shared, lease, None, None, |settings| {
        Ok(Client::new(settings, now))
    });
}

/// A lease whose hostlet is no more, or never came to be.
fn let_go(shared: &Arc<Shared>, lease: &Lease) {
    if !matches!(index(&lease.interface), Ok(Some(_))) {
        // Its server cannot be told, and its lease runs out by itself.
        return shared.free(lease.address);
    }
    let now = shared.clock.now();
    match terms::remembered(&shared.clock, lease) {
        Some(known) => {
            let key = order(shared, lease, Some(lease.address), None, |settings| {
                Client::resume(settings, known, now).map_err(|e| e.to_string())
            });
            if let Some(key) = key {
                shared.orders.release(Which::Key(key));
            }
        }
        None if ask_and_release(shared, lease) => return,
        None => {}
    }
    shared.free(lease.address);
}

/// The server may have given what was only claimed here, and only it knows: it is asked, and then told. The row stays until
/// then, for hostletd may be killed again. False: there is no server to ask.
fn ask_and_release(shared: &Arc<Shared>, lease: &Lease) -> bool {
    let config = shared.config();
    let Some(PoolSource::Dhcp(pool)) = config.pools.get(&lease.pool).map(|p| &p.source) else {
        return false;
    };
    let (sender, answers) = channel();
    let now = shared.clock.now();
    let key = order(
        shared,
        lease,
        Some(lease.address),
        Some(sender),
        |settings| Ok(Client::reboot(settings, lease.address, now)),
    );
    let Some(key) = key else {
        return false;
    };
    let address = lease.address;
    let (shared, until) = (Arc::clone(shared), Instant::now() + pool.timeout);
    let wait = move || {
        while let Ok(Answer::Refused(_)) =
            answers.recv_timeout(until.saturating_duration_since(Instant::now()))
        {}
        shared.orders.release(Which::Key(key));
        shared.free(address);
    };
    let spawned = std::thread::Builder::new()
        .name("release".to_owned())
        .spawn(wait);
    if let Err(error) = spawned {
        log::warning(format_args!(
            "{} may stay leased at its server: {error}",
            lease.address
        ));
    }
    true
}

/// Gives the keeper a client for a lease that is held.
fn order(
    shared: &Shared,
    lease: &Lease,
    held: Option<IpAddr>,
    waiting: Option<Sender<Answer>>,
    client: impl FnOnce(hostlet_lease::Settings) -> Result<Client, String>,
) -> Option<Key> {
    let made = || -> Result<(Key, Client, std::time::Duration), String> {
        let ifindex = index(&lease.interface).map_err(|e| e.to_string())?;
        // While it is gone the lease only runs out, or goes on when the interface is back.
        let ifindex = ifindex.unwrap_or(0);
        let config = shared.config();
        let pool = config.pools.get(&lease.pool);
        let plain = hostlet_model::config::DhcpPool {
            ipv4: true,
            ipv6: true,
            user_class: None,
            timeout: std::time::Duration::ZERO,
        };
        let dhcp = match pool.map(|p| &p.source) {
            Some(PoolSource::Dhcp(dhcp)) => dhcp,
            // The pool was taken out of the configuration; its leases go on.
            _ => &plain,
        };
        let v6 = lease.address.is_ipv6();
        let settings = terms::settings(shared, dhcp, lease, v6, None, Some(lease.address))
            .map_err(|e| e.to_string())?;
        let key = Key {
            ifindex,
            v6,
            holder: lease.holder,
        };
        let set_aside = pool.map_or(hostlet_model::config::Pool::SET_ASIDE, |p| p.set_aside);
        Ok((key, client(settings)?, set_aside))
    };
    match made() {
        Ok((key, client, set_aside)) => {
            let config = shared.config();
            shared.orders.give(Order::Lease {
                key,
                client: Box::new(client),
                template: Box::new(lease.clone()),
                probe: config.pools.get(&lease.pool).and_then(|p| p.probe),
                set_aside,
                waiting,
                held,
            });
            Some(key)
        }
        Err(why) => {
            log::warning(format_args!(
                "the lease of {} for hostlet '{}' cannot be looked after: {why}",
                lease.address, lease.hostlet
            ));
            None
        }
    }
}
