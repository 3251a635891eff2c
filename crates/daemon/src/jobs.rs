//! What needs the engine and may take its time: the ends of hostlets, leases lost and found, a changed network. One
//! thread does them one by one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

use hostlet_engine::Error;
use hostlet_model::config::OnLoss;
use hostlet_model::{AddressSpec, Name, Owned};
use hostlet_platform::netlink;
use hostlet_policy::Refusal;
use hostlet_store::{Lease, Store};
use jiff::{SignedDuration, Timestamp};

use crate::keeper::{Order, Which};
use crate::leasing::Key;
use crate::shared::{Shared, owned};
use crate::{address, log, recover, sessions, terms};

const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Something to do.
pub(crate) enum Job {
    /// The last process of a hostlet ended, or the one that asked for it, or its cgroup is gone.
    Ended { hostlet: Name, gone: bool },
    /// A server took an address back, or did not prolong it.
    Lost {
        key: Key,
        lease: Box<Lease>,
        /// Which lease of the address it was.
        serial: Option<u64>,
        why: String,
    },
    /// An address is free that could not be taken away when it was time.
    Free { address: IpAddr, serial: u64 },
    /// A hostlet that was cut off has an address again.
    Regained {
        key: Key,
        lease: Box<Lease>,
        /// The lease is written down, and may since have been prolonged.
        written: bool,
    },
    /// What outlives the sessions of a hostlet has had its time.
    Linger { hostlet: Name },
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

/// Works until hostletd ends. The state is open once more, so that what it writes to the disk keeps nobody from it.
pub(crate) fn work(shared: &Arc<Shared>, jobs: &Receiver<Job>, state: &Store) {
    let mut pruned: Option<Timestamp> = None;
    while let Ok(job) = jobs.recv() {
        let now = shared.clock.timestamp();
        if pruned.is_none_or(|at| now.duration_since(at) > A_DAY) {
            pruned = Some(now);
            prune(shared, now);
        }
        match job {
            Job::Stop => return,
            Job::Again => {
                for job in shared.take_left() {
                    perform(shared, job);
                }
            }
            // Each lease and each end of one changes the network, which has settled by now.
            Job::NetworkChanged => {
                perform(shared, Job::NetworkChanged);
                if let Err(error) = state.shorten_log() {
                    log::warning(format_args!("the log of the state stays long: {error}"));
                }
            }
            job => perform(shared, job),
        }
    }
}

fn perform(shared: &Arc<Shared>, job: Job) {
    match job {
        Job::Ended { hostlet, gone } => {
            if end(shared, &hostlet) != End::Lives {
                return;
            }
            sessions::leaders_gone(shared, &hostlet);
            // It was healed, and has another cgroup now; or one that was attached went.
            let cgroup = shared.engine.cgroup_of(&hostlet);
            if gone && cgroup.exists() {
                shared.orders.give(Order::Watch {
                    hostlet,
                    cgroup,
                    process: None,
                });
            }
        }
        Job::Linger { hostlet } => sessions::linger_over(shared, &hostlet),
        Job::Lost {
            key,
            lease,
            serial,
            why,
        } => lost(shared, key, lease, serial, why),
        Job::Regained {
            key,
            lease,
            written,
        } => regained(shared, key, lease, written),
        Job::Free { address, serial } => shared.free_lease(address, serial),
        Job::NetworkChanged => {
            if let Err(error) = shared.engine.follow_network() {
                log::warning(format_args!(
                    "the kernel's picture of the network is old: {error}"
                ));
            }
            recover::put_all_back(shared);
        }
        Job::Again | Job::Stop => {}
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

/// What a look at a hostlet whose end was heard of has shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// It is gone, and what it held is given back.
    Gone,
    /// Somebody is still, or again, in it.
    Lives,
    /// It cannot be removed now, and is tried again.
    Failed,
}

/// Removes a hostlet that nobody is in any more, and gives back what it held.
pub(crate) fn end(shared: &Shared, hostlet: &Name) -> End {
    // Its end may be heard of several times, and the last after another of its name began.
    let Some(_ending) = shared.ending(hostlet) else {
        return End::Gone;
    };
    // Mostly it was closed by whoever had it: the engine need not look at all hostlets to find that out.
    if !shared.ledger().knows(hostlet) && !shared.engine.cgroup_of(hostlet).exists() {
        shared.orders.give(Order::Unwatch {
            hostlet: hostlet.clone(),
        });
        sessions::gone(shared, hostlet);
        return End::Gone;
    }
    match shared.engine.end(hostlet) {
        Ok(true) => {
            shared.orders.give(Order::Unwatch {
                hostlet: hostlet.clone(),
            });
            sessions::gone(shared, hostlet);
            End::Gone
        }
        Ok(false) => End::Lives,
        Err(error) => {
            log::warning(format_args!(
                "hostlet '{hostlet}' ended and cannot be removed now: {error}"
            ));
            shared.later(Job::Ended {
                hostlet: hostlet.clone(),
                gone: false,
            });
            End::Failed
        }
    }
}

fn lost(shared: &Shared, key: Key, lease: Box<Lease>, serial: Option<u64>, why: String) {
    let hostlet = lease.hostlet.clone();
    // One of the name that begins, or another lease of the address: it was given back already.
    let current = shared.ending(&hostlet);
    if current.is_none() || serial.is_none() || shared.ledger().serial(lease.address) != serial {
        return shared.orders.give(Order::GoOn { key });
    }
    let pool = shared.config().pools.get(&lease.pool).map(|p| p.on_loss);
    let on_loss = pool.unwrap_or(OnLoss::CutOff);
    log::warning(format_args!(
        "hostlet '{hostlet}' lost {}: {why}; {}",
        lease.address,
        match on_loss {
            OnLoss::CutOff => "it is cut off until there is another",
            OnLoss::FallBack => "from now on it uses the machine's addresses",
        }
    ));
    let changed = match on_loss {
        OnLoss::CutOff => shared.engine.replace(&hostlet, &[owned(&lease)], &[]),
        OnLoss::FallBack => shared.engine.fall_back(&hostlet, &[owned(&lease)]),
    };
    match changed {
        Ok(()) => {}
        // While a lease is only being got there is no hostlet yet.
        Err(Error::Refused(Refusal::UnknownName { .. })) => {}
        Err(error) => {
            // It stays held until nobody can use it any more.
            log::warning(format_args!("{error}"));
            return shared.later(Job::Lost {
                key,
                lease,
                serial,
                why,
            });
        }
    }
    if let Err(error) = shared.ledger().bereave(&lease) {
        log::warning(format_args!(
            "a hostletd that starts now will not look for another lease for '{hostlet}': {error}"
        ));
    }
    shared.free(lease.address);
    if on_loss == OnLoss::FallBack {
        shared.orders.release(Which::Key(key));
    }
    shared.orders.give(Order::GoOn { key });
}

fn regained(shared: &Shared, key: Key, lease: Box<Lease>, written: bool) {
    let hostlet = lease.hostlet.clone();
    let (Some(_current), true) = (
        shared.ending(&hostlet),
        shared.engine.cgroup_of(&hostlet).exists(),
    ) else {
        // It ended while the server answered; whoever ends it tells the server, unless it has done so before.
        return shared.orders.release(Which::Key(key));
    };
    let completed = match written {
        true => Ok(()),
        false => shared.ledger().complete(&lease, shared.clock.timestamp()),
    };
    let is_written = completed.is_ok();
    let taken_up = completed.and_then(|()| take_up(shared, key, &lease));
    if !written {
        // Before it is tried again: what cannot be used now is prolonged all the same.
        shared.orders.give(Order::GoOn { key });
    }
    match taken_up {
        Ok(true) => log::notice(format_args!(
            "hostlet '{hostlet}' has {} from now on",
            lease.address
        )),
        Ok(false) => {}
        Err(why) => {
            log::warning(format_args!(
                "hostlet '{hostlet}' cannot be given {} now, and this is tried again: {why}",
                lease.address
            ));
            shared.later(Job::Regained {
                key,
                lease,
                written: is_written,
            });
        }
    }
}

/// False: what was written down is no more, for the lease was lost again.
fn take_up(shared: &Shared, key: Key, lease: &Lease) -> Result<bool, String> {
    let text = |e: &dyn std::fmt::Display| e.to_string();
    let row = shared.ledger().leases().get(&lease.address).cloned();
    let Some(lease) = row.filter(|row| row.hostlet == lease.hostlet) else {
        return Ok(false);
    };
    // Its interface may be another since the server answered.
    let ifindex = recover::index(&lease.interface).ok().flatten();
    let ifindex = ifindex.unwrap_or(key.ifindex);
    let valid = terms::left(&shared.clock, &lease);
    let placed = address::place(&shared.announcer, ifindex, lease.address, valid);
    if !placed.map_err(|e| text(&e))? && !address::placed(lease.address).map_err(|e| text(&e))? {
        return Err("the machine has this address already, and not by hostletd".to_owned());
    }
    let gained = [spec(lease.address, lease.prefix_len)];
    let stale = stale(shared, &lease.hostlet).map_err(|e| text(&e))?;
    let granted = shared.engine.replace(&lease.hostlet, &stale, &gained);
    granted.map_err(|e| text(&e))?;
    let mut ledger = shared.ledger();
    ledger
        .hold_drawn(lease.address, &lease.hostlet, lease.terms.as_ref())
        .map_err(|e| text(&e))?;
    let of = Some((&lease.pool, lease.address.is_ipv6()));
    ledger
        .found(&lease.hostlet, of)
        .map_err(|e| text(&e))
        .map(|()| true)
}

/// What is still in a hostlet's set although it is neither lent nor on this machine: its address from before a restart, where the
/// server gave another.
fn stale(shared: &Shared, hostlet: &Name) -> anyhow::Result<Vec<Owned>> {
    let here = netlink::addresses()?;
    let rows = shared.engine.hostlets()?;
    let entries = rows
        .iter()
        .filter(|d| d.name == *hostlet)
        .flat_map(|d| &d.entries);
    let ledger = shared.ledger();
    let is_stale = |owned: &Owned| match owned {
        Owned::Single(a) => ledger.serial(*a).is_none() && !here.iter().any(|h| h.addr == *a),
        Owned::Prefix(_) => false,
    };
    Ok(entries.map(|e| e.owned).filter(is_stale).collect())
}

/// A leased address as part of what a hostlet is to have.
pub(crate) fn spec(address: IpAddr, prefix_len: u8) -> AddressSpec {
    AddressSpec {
        owned: Owned::Single(address),
        onlink: Some(prefix_len),
        zone: None,
    }
}
