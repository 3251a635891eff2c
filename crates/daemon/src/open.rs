//! `Open`: a hostlet of addresses out of pools. Everything that can be wrong with the request is said before
//! anything is drawn; whatever fails later takes back what was done.

use std::net::IpAddr;

use hostlet_engine::Stamp;
use hostlet_model::config::Pool;
use hostlet_model::{HostletSpec, Lifetime, Name};
use hostlet_store::{Lease, LeaseState};
use hostlet_wire::{Address, Error, Open, Opened};

use crate::draw::{Draw, Drawn};
use crate::jobs::{end, spec};
use crate::keeper::Order;
use crate::log;
use crate::peer::Peer;
use crate::shared::Shared;
use crate::wanted::{Wanted, failed, taken, wanted};

/// Makes the hostlet.
pub(crate) fn open(shared: &Shared, peer: &Peer, request: Open) -> Result<Opened, Error> {
    let config = shared.config();
    let wanted = wanted(shared, &config, peer, &request)?;
    let label = request.name.as_ref().unwrap_or(&wanted[0].pool.name);
    let name = match &request.name {
        Some(name) => name.clone(),
        None => format!("run-{}", peer.pid).parse().map_err(failed)?,
    };
    let uid = peer.caller.uid;
    end_ended(shared, uid, label);
    let reserved = shared.reserve(uid, label.as_str(), &name);
    let Some(holder_key) = reserved else {
        return Err(taken(shared, peer, &name));
    };
    let mut template = Lease {
        // Each draw fills these in.
        address: IpAddr::from([0, 0, 0, 0]),
        prefix_len: 0,
        pool: name.clone(),
        interface: String::new(),
        hostlet: name.clone(),
        holder: 0,
        holder_key,
        uid,
        user: peer.caller.user.clone(),
        program: request.program.clone(),
        since: shared.clock.timestamp(),
        state: LeaseState::Claimed,
        terms: None,
    };
    let mut draft = Draft {
        shared,
        hostlet: name.clone(),
        key: template.holder_key.clone(),
        uid,
        admitted: Vec::new(),
        drawn: Vec::new(),
        lent: false,
        whole: false,
    };
    draft.admit(&wanted, peer)?;
    // Not before: who is refused leaves nothing in the record.
    let numbered = shared.ledger().number(&template.holder_key);
    template.holder = numbered.map_err(failed)?;
    draft.draw(wanted, &template)?;
    draft.lend(peer, &request)?;
    let addresses = draft.drawn.iter().map(Drawn::report).collect();
    draft.whole = true;
    Ok(Opened { name, addresses })
}

/// The holder who comes back right after his last process ended is to find his address free.
fn end_ended(shared: &Shared, uid: u32, label: &Name) {
    let all = shared.ledger().hostlets(uid, label.as_str());
    for name in all {
        let events = shared.engine.cgroup_of(&name).join("cgroup.events");
        let populated = std::fs::read_to_string(events);
        if populated.is_ok_and(|text| text.lines().any(|line| line == "populated 0")) {
            end(shared, &name);
        }
    }
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
    lent: bool,
    whole: bool,
}

impl Draft<'_> {
    /// Nobody but root gets more than the pool's limit, not by many calls at once either.
    fn admit(&mut self, wanted: &[Wanted<'_>], peer: &Peer) -> Result<(), Error> {
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
                        "user '{}' has {held} of the {most} addresses of pool '{}' that limit-per-user allows, and asks for {wants}; end a hostlet to free some (see 'hostlet leases')",
                        peer.caller.user, pool.name
                    ),
                });
            }
            self.admitted.push((pool.name.clone(), wants));
        }
        Ok(())
    }

    /// All at the same time, since each may wait for a server, and for others to say that an address is theirs.
    fn draw(&mut self, wanted: Vec<Wanted<'_>>, template: &Lease) -> Result<(), Error> {
        let shared = self.shared;
        let draws = wanted.into_iter().map(|want| Draw {
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
    fn lend(&mut self, peer: &Peer, request: &Open) -> Result<(), Error> {
        let shared = self.shared;
        let addresses = self
            .drawn
            .iter()
            .map(|d| spec(d.lease.address, d.lease.prefix_len));
        let spec = HostletSpec {
            source: request.source,
            host_loopback: request.host_loopback.clone(),
            guard: request.guard,
            raw: request.raw,
            ..HostletSpec::new(self.hostlet.clone(), addresses.collect())
        };
        let lifetime = if request.keep {
            Lifetime::Kept
        } else {
            Lifetime::Run {
                pid: peer.pid,
                start_ticks: peer.start_ticks,
            }
        };
        let by = Stamp {
            program: request.program.clone(),
            uid: peer.caller.uid,
            user: peer.caller.user.clone(),
        };
        shared.engine.lend(&spec, &lifetime, &by).map_err(failed)?;
        self.lent = true;
        for drawn in &self.drawn {
            let terms = drawn.terms.as_ref();
            let held = shared
                .ledger()
                .hold(drawn.lease.address, &self.hostlet, terms);
            held.map_err(failed)?;
        }
        shared.orders.give(Order::Watch {
            hostlet: self.hostlet.clone(),
            cgroup: shared.engine.cgroup_of(&self.hostlet),
            process: if request.keep { None } else { peer.watch() },
        });
        Ok(())
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
        if !self.whole {
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
    fn report(&self) -> Address {
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
