//! `Open`: a hostlet of addresses out of pools. Everything that can be wrong with the request is said before
//! anything is drawn; whatever fails later takes back what was done.

use std::net::IpAddr;

use hostlet_engine::Stamp;
use hostlet_model::config::{Config, Pool, PoolSource};
use hostlet_model::{HostletSpec, Lifetime, Name};
use hostlet_platform::netlink;
use hostlet_policy::may;
use hostlet_store::{Lease, LeaseState};
use hostlet_wire::{Address, Error, Open, Opened};

use crate::draw::{Draw, Drawn};
use crate::jobs::{End, end, spec};
use crate::keeper::Order;
use crate::log;
use crate::peer::Peer;
use crate::shared::Shared;

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

fn is_there(shared: &Shared, name: &Name) -> bool {
    shared.ledger().knows(name) || shared.engine.cgroup_of(name).exists()
}

fn taken(shared: &Shared, peer: &Peer, name: &Name) -> Error {
    let uid = peer.caller.uid;
    let own = uid == 0 || shared.ledger().owner(name) == Some(uid);
    let or = if own {
        format!(", or end it with 'hostlet remove {name}'")
    } else {
        String::new()
    };
    bad(format!(
        "there is a hostlet '{name}' already: choose another name{or}"
    ))
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

/// One address to be drawn.
struct Wanted<'a> {
    pool: &'a Pool,
    v6: bool,
    wish: Option<IpAddr>,
    ifindex: u32,
}

fn bad(message: impl Into<String>) -> Error {
    Error::BadRequest(message.into())
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

fn wanted<'a>(
    shared: &Shared,
    config: &'a Config,
    peer: &Peer,
    request: &Open,
) -> Result<Vec<Wanted<'a>>, Error> {
    peer.must_be_outside(shared)?;
    only_root_chooses(peer, request)?;
    if let Some(name) = &request.name {
        if config.hostlets.contains_key(name) {
            return Err(bad(format!(
                "hostlet '{name}' is declared in {}: choose another name, or use 'hostlet start {name}'",
                shared.engine.paths().config.display()
            )));
        }
        // One whose last process ended this moment makes way.
        if is_there(shared, name) && end(shared, name) != End::Gone {
            return Err(taken(shared, peer, name));
        }
    } else if request.keep {
        return Err(bad("a hostlet that is to stay needs a name"));
    }
    if request.pools.is_empty() {
        return Err(bad("name at least one pool"));
    }
    let interfaces = netlink::interfaces().map_err(failed)?;
    let mut wishes = request.request.clone();
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    for name in &request.pools {
        let pool = allowed(shared, config, peer, name)?;
        if wanted.iter().any(|w| same_source(w.pool, pool)) {
            return Err(bad(format!(
                "pool '{name}' would give the same address twice: name it once, and of the DHCP pools of an interface one for each family"
            )));
        }
        let Some(interface) = interfaces.iter().find(|i| i.name == pool.interface) else {
            return Err(failed(format!(
                "pool '{name}' is on interface {}, which this machine does not have (any more); see 'ip link'",
                pool.interface
            )));
        };
        if !interface.up {
            return Err(failed(format!(
                "interface {} of pool '{name}' is down: switch it on with 'ip link set {} up'",
                pool.interface, pool.interface
            )));
        }
        for v6 in [false, true].into_iter().filter(|v6| pool.has(*v6)) {
            let wish = take_wish(&mut wishes, pool, v6);
            if let Some(wish) = wish
                && !may(&peer.caller, &pool.may_request)
            {
                return Err(Error::NotAllowed(format!(
                    "user '{}' may not choose {wish} from pool '{name}': an administrator allows it with may-request = [\"user:{}\"] under [pool.{name}] in {}",
                    peer.caller.user,
                    peer.caller.user,
                    shared.engine.paths().config.display()
                )));
            }
            wanted.push(Wanted {
                pool,
                v6,
                wish,
                ifindex: interface.index,
            });
        }
    }
    match wishes.first() {
        None => Ok(wanted),
        Some(left) => {
            let pools: Vec<String> = request.pools.iter().map(ToString::to_string).collect();
            Err(bad(format!(
                "{left} cannot be had from pool {}: it is in none of their ranges, or another address of its family is wished for from the same one; see 'hostlet pools'",
                pools.join(", ")
            )))
        }
    }
}

fn only_root_chooses(peer: &Peer, request: &Open) -> Result<(), Error> {
    let chosen = [
        ("--raw", request.raw),
        ("--no-guard", !request.guard),
        ("--host-loopback", !request.host_loopback.is_empty()),
        ("hostlets that stay", request.keep),
    ];
    match chosen.into_iter().find(|(_, given)| *given) {
        Some((what, _)) if peer.caller.uid != 0 => Err(Error::NotAllowed(format!(
            "user '{}' may not choose {what}: only root may",
            peer.caller.user
        ))),
        _ => Ok(()),
    }
}

fn allowed<'a>(
    shared: &Shared,
    config: &'a Config,
    peer: &Peer,
    name: &Name,
) -> Result<&'a Pool, Error> {
    let file = shared.engine.paths().config.display();
    let Some(pool) = config.pools.get(name) else {
        // What he may not use is nothing to him.
        let mine = config
            .pools
            .values()
            .filter(|p| may(&peer.caller, &p.may_use));
        let known: Vec<&str> = mine.map(|p| p.name.as_str()).collect();
        let known = match &known[..] {
            [] => format!("{file} has none for user '{}'", peer.caller.user),
            known => format!("there are {}", known.join(", ")),
        };
        return Err(bad(format!("there is no pool '{name}': {known}")));
    };
    let caller = &peer.caller;
    if !may(caller, &pool.may_use) {
        return Err(Error::NotAllowed(format!(
            "user '{}' may not use pool '{name}': an administrator allows it with may-use = [\"user:{}\"] under [pool.{name}] in {file}",
            caller.user, caller.user
        )));
    }
    Ok(pool)
}

/// The holder is known to the servers of a family by one name on one interface.
fn same_source(one: &Pool, other: &Pool) -> bool {
    let dhcp = |p: &Pool| matches!(p.source, PoolSource::Dhcp(_));
    let family = [false, true]
        .iter()
        .any(|v6| one.has(*v6) && other.has(*v6));
    let wire = dhcp(one) && dhcp(other) && one.interface == other.interface;
    one.name == other.name || (wire && family)
}

fn take_wish(wishes: &mut Vec<IpAddr>, pool: &Pool, v6: bool) -> Option<IpAddr> {
    let fits = |a: &IpAddr| {
        a.is_ipv6() == v6
            && match &pool.source {
                PoolSource::Static(s) => s.ranges.contains(*a),
                PoolSource::Dhcp(_) => true,
            }
    };
    let at = wishes.iter().position(fits)?;
    Some(wishes.remove(at))
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
