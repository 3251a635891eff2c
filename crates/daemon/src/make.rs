//! Making a hostlet of addresses out of pools, for whoever it is: by request, or by a rule. Whatever fails takes back what was done.

use std::os::fd::OwnedFd;
use std::path::Path;

use hostlet_engine::Stamp;
use hostlet_model::config::{Pool, PoolSource};
use hostlet_model::{HostletSpec, Lifetime, Name, Unreachable};
use hostlet_policy::Caller;
use hostlet_store::{Lease, LeaseState};
use hostlet_wire::{Address, Error};

use crate::draw::{Draw, Drawn};
use crate::jobs::{end, spec};
use crate::keeper::Order;
use crate::log;
use crate::shared::Shared;
use crate::wanted::{Wanted, failed, taken};

/// What is to be made.
pub(crate) struct Making<'a> {
    /// Whose it is: the holder of its addresses, and who answers for it in the record.
    pub owner: &'a Caller,
    /// What tells this holder from others of the same owner.
    pub label: &'a Name,
    /// What is drawn for it; none: it is cut off from the beginning.
    pub wanted: Vec<Wanted<'a>>,
    /// Everything else about it; without addresses.
    pub spec: HostletSpec,
    pub lifetime: Lifetime,
    /// The process whose end may be its own.
    pub process: Option<OwnedFd>,
    /// What it is for.
    pub program: Vec<String>,
}

/// Makes it; gives back its addresses.
pub(crate) fn make(shared: &Shared, making: Making<'_>) -> Result<Vec<Drawn>, Error> {
    let Making { owner, wanted, .. } = &making;
    let name = making.spec.name.clone();
    end_ended(shared, owner.uid, making.label);
    // Only servers could take this attempt for the last one.
    let asks = wanted
        .iter()
        .any(|w| matches!(w.pool.source, PoolSource::Dhcp(_)));
    let reserved = shared.reserve(owner.uid, making.label.as_str(), &name, asks);
    let Some(holder_key) = reserved else {
        return Err(taken(shared, owner, &name));
    };
    let mut template = Lease {
        // Each draw fills these in.
        address: std::net::IpAddr::from([0, 0, 0, 0]),
        prefix_len: 0,
        pool: name.clone(),
        interface: String::new(),
        hostlet: name.clone(),
        holder: 0,
        holder_key,
        uid: owner.uid,
        user: owner.user.clone(),
        program: making.program.clone(),
        since: shared.clock.timestamp(),
        state: LeaseState::Claimed,
        terms: None,
    };
    let mut draft = Draft {
        shared,
        hostlet: name,
        key: template.holder_key.clone(),
        uid: owner.uid,
        admitted: Vec::new(),
        drawn: Vec::new(),
        asks,
        lent: false,
        whole: false,
    };
    draft.admit(wanted, owner)?;
    // Not before: who is refused leaves nothing in the record.
    let numbered = shared.ledger().number(&template.holder_key);
    template.holder = numbered.map_err(failed)?;
    draft.draw(wanted, &template)?;
    draft.lend(making)?;
    draft.whole = true;
    Ok(std::mem::take(&mut draft.drawn))
}

/// Of how many of a holder's hostlets it is looked at whether they ended: one who has more is no user who comes back.
const LOOKED_AT: usize = 16;

/// The holder who comes back right after his last process ended is to find his address free.
fn end_ended(shared: &Shared, uid: u32, label: &Name) {
    let all = shared.ledger().hostlets(uid, label.as_str(), LOOKED_AT);
    for name in all {
        // Mostly somebody is in its own cgroup, and nobody need look for others.
        let ended = is_empty(&shared.engine.cgroup_of(&name)) && {
            let cgroups = shared.engine.cgroups_of(&name);
            cgroups.iter().all(|dir| is_empty(dir))
        };
        if ended {
            end(shared, &name);
        }
    }
}

/// Whether a cgroup has no process, here and below; one that is gone has none.
pub(crate) fn is_empty(cgroup: &Path) -> bool {
    match std::fs::read_to_string(cgroup.join("cgroup.events")) {
        Ok(text) => text.lines().any(|line| line == "populated 0"),
        Err(_) => true,
    }
}

/// What becomes of a destination that no address of these pools reaches: where pools differ, the stricter one counts (B10).
pub(crate) fn unreachable(wanted: &[Wanted<'_>]) -> Option<Unreachable> {
    let all = || wanted.iter().map(|w| w.pool.unreachable);
    if all().any(|u| u == Unreachable::Refuse) {
        return Some(Unreachable::Refuse);
    }
    all().next()
}

/// What was done so far, to be taken back unless it becomes whole.
struct Draft<'a> {
    shared: &'a Shared,
    hostlet: Name,
    key: String,
    uid: u32,
    /// What of which pool is counted as about to be the user's.
    admitted: Vec<(Name, usize)>,
    drawn: Vec<Drawn>,
    /// Whether a server is asked.
    asks: bool,
    lent: bool,
    whole: bool,
}

impl Draft<'_> {
    /// Nobody but root gets more than the pool's limit, not by many calls at once either.
    fn admit(&mut self, wanted: &[Wanted<'_>], owner: &Caller) -> Result<(), Error> {
        let mut pools: Vec<&Pool> = wanted.iter().map(|w| w.pool).collect();
        pools.dedup_by_key(|pool| &pool.name);
        for pool in pools.iter().filter(|_| self.uid != 0) {
            let Some(most) = pool.limit_per_user else {
                continue;
            };
            let wants = wanted.iter().filter(|w| w.pool.name == pool.name).count();
            let limit = usize::try_from(most).unwrap_or(usize::MAX);
            let admitted = self
                .shared
                .ledger()
                .admit(&pool.name, self.uid, wants, limit);
            if let Err(held) = admitted {
                return Err(Error::NoAddress {
                    pool: pool.name.to_string(),
                    message: format!(
                        "user '{}' has {held} of the {most} addresses of pool '{}' that limit-per-user allows, and asks for {wants}; {}",
                        owner.user,
                        pool.name,
                        what_helps(wants, limit)
                    ),
                });
            }
            self.admitted.push((pool.name.clone(), wants));
        }
        Ok(())
    }

    /// All at the same time, since each may wait for a server, and for others to say that an address is theirs.
    fn draw(&mut self, wanted: &[Wanted<'_>], template: &Lease) -> Result<(), Error> {
        let shared = self.shared;
        let draws = wanted.iter().map(|want| Draw {
            template: Lease {
                pool: want.pool.name.clone(),
                interface: want.pool.interface.clone(),
                ..template.clone()
            },
            pool: want.pool,
            v6: want.v6,
            wish: want.wish,
            ifindex: want.ifindex,
        });
        let draws: Vec<Draw<'_>> = draws.collect();
        let results: Vec<_> = match &draws[..] {
            [] => Vec::new(),
            [one] => vec![one.draw(shared)],
            all => std::thread::scope(|scope| {
                let running: Vec<_> = all.iter().map(|d| scope.spawn(|| d.draw(shared))).collect();
                let lost = |_| {
                    Err(failed(
                        "drawing an address failed inside hostletd; its log says where",
                    ))
                };
                let done = running.into_iter().map(|r| r.join().unwrap_or_else(lost));
                done.collect()
            }),
        };
        for result in results {
            self.drawn.push(result?);
        }
        Ok(())
    }

    /// From addresses to a hostlet.
    fn lend(&mut self, making: Making<'_>) -> Result<(), Error> {
        let shared = self.shared;
        let addresses = self
            .drawn
            .iter()
            .map(|d| spec(d.lease.address, d.lease.prefix_len));
        let spec = HostletSpec {
            addresses: addresses.collect(),
            unreachable: unreachable(&making.wanted),
            ..making.spec
        };
        let by = Stamp {
            program: making.program,
            uid: making.owner.uid,
            user: making.owner.user.clone(),
        };
        shared
            .engine
            .lend(&spec, &making.lifetime, &by)
            .map_err(failed)?;
        self.lent = true;
        for drawn in &self.drawn {
            let terms = drawn.terms.as_ref();
            let held = shared
                .ledger()
                .hold_drawn(drawn.lease.address, &self.hostlet, terms);
            held.map_err(failed)?;
        }
        shared.orders.give(Order::Watch {
            hostlet: self.hostlet.clone(),
            cgroup: shared.engine.cgroup_of(&self.hostlet),
            process: making.process,
        });
        Ok(())
    }
}

/// What somebody does who asks for more than the limit: where one hostlet alone takes more (an address of each family of
/// a pool), to end others helps nobody.
fn what_helps(wants: usize, limit: usize) -> &'static str {
    if wants > limit {
        "one hostlet takes as many (one of each family of the pool), so limit-per-user must be raised to that at least"
    } else {
        "end a hostlet to free some (see 'hostlet leases')"
    }
}

impl Drop for Draft<'_> {
    fn drop(&mut self) {
        if !self.whole {
            self.take_back();
        }
        // Not before: until then nobody else ends, or opens, a hostlet of that name.
        let mut ledger = self.shared.ledger();
        ledger.unreserve(&self.key);
        if !self.whole && self.asks {
            ledger.cool(&self.key);
        }
        for (pool, wanted) in &self.admitted {
            ledger.settle(pool, self.uid, *wanted);
        }
    }
}

impl Draft<'_> {
    fn take_back(&self) {
        if self.lent
            && let Err(error) = self.shared.engine.close(&self.hostlet, true)
        {
            // Its addresses stay with it.
            log::warning(format_args!(
                "hostlet '{}' could not be taken back: {error}",
                self.hostlet
            ));
            return;
        }
        self.shared.give_back(&self.hostlet);
    }
}

impl Drawn {
    /// The address, as callers are told.
    pub fn report(&self) -> Address {
        Address {
            address: self.lease.address,
            prefix: self.lease.prefix_len,
            pool: self.lease.pool.clone(),
            interface: self.lease.interface.clone(),
            expires: self
                .terms
                .as_ref()
                .and_then(|t| t.expires)
                .map(|at| format!("{at:.0}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::what_helps;

    #[test]
    fn nobody_is_told_to_end_what_he_does_not_have() {
        assert!(what_helps(2, 1).contains("limit-per-user must be raised"));
        assert!(what_helps(1, 1).contains("end a hostlet"));
    }
}
