//! What needs the engine and may take its time: the ends of hostlets, leases lost and found, a changed network. One
//! thread does them one by one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use hostlet_lease::Terms;
use hostlet_model::config::OnLoss;
use hostlet_model::{AddressSpec, Name, Owned};
use hostlet_store::Lease;
use jiff::{SignedDuration, Timestamp};

use crate::keeper::{Order, Which};
use crate::leasing::Key;
use crate::shared::{Shared, owned};
use crate::{address, log, recover, terms};

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Something to do.
pub(crate) enum Job {
    /// The last process of a hostlet ended, or the one that asked for it, or its cgroup is gone.
    Ended { hostlet: Name, gone: bool },
    /// A server took an address back, or did not prolong it.
    Lost {
        key: Key,
        lease: Box<Lease>,
        why: String,
    },
    /// A hostlet that was cut off has an address again.
    Regained {
        key: Key,
        lease: Box<Lease>,
        terms: Box<Terms>,
    },
    /// Routes, addresses or interfaces changed.
    NetworkChanged,
    /// What failed before is to be tried again.
    Again,
    /// hostletd ends.
    Stop,
}

/// Where jobs are put.
#[derive(Debug, Clone)]
pub(crate) struct Jobs(Sender<Job>);

impl Jobs {
    pub fn give(&self, job: Job) {
        // Nobody works any more only when hostletd ends.
        let _ = self.0.send(job);
    }
}

/// The two ends of the queue.
pub(crate) fn queue() -> (Jobs, Receiver<Job>) {
    let (sender, receiver) = channel();
    (Jobs(sender), receiver)
}

/// Works until hostletd ends.
pub(crate) fn work(shared: &Arc<Shared>, jobs: &Receiver<Job>) {
    let mut pruned: Option<Timestamp> = None;
    while let Ok(job) = jobs.recv() {
        let now = shared.clock.timestamp();
        if pruned.is_none_or(|at| now.duration_since(at) > A_DAY) {
            pruned = Some(now);
            prune(shared, now);
        }
        match job {
            Job::Ended { hostlet, gone } => {
                if !ended(shared, &hostlet) && gone {
                    // It was healed, and has another cgroup now.
                    let cgroup = shared.engine.cgroup_of(&hostlet);
                    shared.orders.give(Order::Watch {
                        hostlet,
                        cgroup,
                        process: None,
                    });
                }
            }
            Job::Lost { key, lease, why } => {
                lost(shared, key, &lease, &why);
                shared.orders.give(Order::Lost { key });
            }
            Job::Regained { key, lease, terms } => regained(shared, key, *lease, &terms),
            Job::NetworkChanged => {
                if let Err(error) = shared.engine.follow_network() {
                    log::warning(format_args!(
                        "the kernel's picture of the network is old: {error}"
                    ));
                }
                recover::put_all_back(shared);
            }
            Job::Again => {
                let (hostlets, addresses) = shared.take_left();
                for name in &hostlets {
                    ended(shared, name);
                }
                addresses.iter().for_each(|address| shared.free(*address));
            }
            Job::Stop => return,
        }
    }
}

/// Forgets who held what, as long ago as the configuration says.
fn prune(shared: &Shared, now: Timestamp) {
    let days = i64::from(shared.config().limits.history_days);
    let Ok(before) = now.checked_sub(A_DAY * i32::try_from(days).unwrap_or(i32::MAX)) else {
        return;
    };
    if let Err(error) = shared.ledger().prune(before) {
        log::warning(format_args!("old leases are not forgotten: {error}"));
    }
}

/// Removes a hostlet that nobody is in any more, and gives back what it held. False: somebody is, or it cannot be done now.
pub(crate) fn ended(shared: &Shared, hostlet: &Name) -> bool {
    // Its end may be heard of several times, and the last after another of its name began.
    let Some(_ending) = shared.ending(hostlet) else {
        return true;
    };
    // Mostly it was closed by whoever had it: the engine need not look at all hostlets to find that out.
    if !shared.ledger().knows(hostlet) && !shared.engine.cgroup_of(hostlet).exists() {
        shared.orders.give(Order::Unwatch {
            hostlet: hostlet.clone(),
        });
        return true;
    }
    match shared.engine.end(hostlet) {
        Ok(true) => {
            shared.orders.give(Order::Unwatch {
                hostlet: hostlet.clone(),
            });
            shared.give_back(hostlet);
            true
        }
        // Somebody is still, or again, in it.
        Ok(false) => false,
        Err(error) => {
            log::warning(format_args!(
                "hostlet '{hostlet}' ended and cannot be removed now: {error}"
            ));
            shared.leave(hostlet);
            false
        }
    }
}

fn lost(shared: &Shared, key: Key, lease: &Lease, why: &str) {
    let on_loss = shared
        .config()
        .pools
        .get(&lease.pool)
        .map_or(OnLoss::CutOff, |p| p.on_loss);
    let hostlet = &lease.hostlet;
    log::warning(format_args!(
        "hostlet '{hostlet}' lost {}: {why}; {}",
        lease.address,
        match on_loss {
            OnLoss::CutOff => "it is cut off until there is another",
            OnLoss::FallBack => "from now on it uses the machine's addresses",
        }
    ));
    // While a lease is only being got, there may be no hostlet yet.
    let gone = match on_loss {
        OnLoss::CutOff => shared.engine.replace(hostlet, &[owned(lease)], &[]),
        OnLoss::FallBack => shared.engine.fall_back(hostlet, &[owned(lease)]),
    };
    if let Err(error) = gone {
        log::warning(format_args!("{error}"));
    }
    shared.ledger().bereave(lease);
    shared.free(lease.address);
    if on_loss == OnLoss::FallBack {
        shared.orders.release(Which::Key(key));
    }
}

fn regained(shared: &Shared, key: Key, lease: Lease, new: &Terms) {
    if let Err(why) = take_up(shared, key, &lease, new) {
        log::warning(format_args!(
            "hostlet '{}' could not be given {}: {why}",
            lease.hostlet, lease.address
        ));
        shared.orders.release(Which::Key(key));
    } else {
        log::notice(format_args!(
            "hostlet '{}' has {} from now on",
            lease.hostlet, lease.address
        ));
    }
}

fn take_up(shared: &Shared, key: Key, lease: &Lease, new: &Terms) -> Result<(), String> {
    let valid = new.expires.map(|at| shared.clock.until(at));
    let placed = address::place(&shared.announcer, key.ifindex, lease.address, valid);
    if !placed.map_err(|e| e.to_string())? {
        return Err("the machine has this address already".to_owned());
    }
    shared.ledger().complete(lease, shared.clock.timestamp())?;
    let gained = [spec(lease.address, lease.prefix_len)];
    let granted = shared.engine.replace(&lease.hostlet, &[], &gained);
    granted.map_err(|e| e.to_string())?;
    let written = terms::written(&shared.clock, new);
    let held = shared
        .ledger()
        .hold(lease.address, &lease.hostlet, Some(&written));
    held.map_err(|e| e.to_string())
}

/// A leased address as part of what a hostlet is to have.
pub(crate) fn spec(address: IpAddr, prefix_len: u8) -> AddressSpec {
    AddressSpec {
        owned: Owned::Single(address),
        onlink: Some(prefix_len),
        zone: None,
    }
}
