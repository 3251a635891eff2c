//! What `Open` asks for, looked at before anything is done: whether it makes sense, and whether the caller may.

use std::net::IpAddr;

use hostlet_model::Name;
use hostlet_model::config::{Config, Pool, PoolSource};
use hostlet_platform::netlink::{self, Interface};
use hostlet_policy::{Caller, may};
use hostlet_wire::{Error, Open};

use crate::jobs::{End, end};
use crate::peer::Peer;
use crate::shared::Shared;

fn is_there(shared: &Shared, name: &Name) -> bool {
    shared.ledger().knows(name) || shared.engine.cgroup_of(name).exists()
}

/// There is one of that name.
pub(crate) fn taken(shared: &Shared, caller: &Caller, name: &Name) -> Error {
    let uid = caller.uid;
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

/// One address to be drawn.
pub(crate) struct Wanted<'a> {
    pub pool: &'a Pool,
    pub v6: bool,
    pub wish: Option<IpAddr>,
    pub ifindex: u32,
}

pub(crate) fn bad(message: impl Into<String>) -> Error {
    Error::BadRequest(message.into())
}

pub(crate) fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

/// The addresses that are to be drawn; never none.
pub(crate) fn wanted<'a>(
    shared: &Shared,
    config: &'a Config,
    peer: &Peer,
    request: &Open,
) -> Result<Vec<Wanted<'a>>, Error> {
    peer.may_leave(shared)?;
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
            return Err(taken(shared, &peer.caller, name));
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
        let ifindex = ifindex(&interfaces, pool)?;
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
                ifindex,
            });
        }
    }
    match wishes.first() {
        None => Ok(wanted),
        Some(left) => {
            let pools: Vec<String> = request.pools.iter().map(ToString::to_string).collect();
            let why = if wanted.iter().any(|w| fits(w.pool, *left)) {
                "another address of its family is wished for already, and a pool gives one of each; wish for one"
            } else {
                "it is in no range there; 'hostlet pools' shows the ranges"
            };
            Err(bad(format!(
                "{left} cannot be had from pool {}: {why}",
                pools.join(", ")
            )))
        }
    }
}

/// The addresses that a rule gives: it is the administrator's word, so nobody asks who may use these pools.
pub(crate) fn of_pools<'a>(config: &'a Config, names: &[Name]) -> Result<Vec<Wanted<'a>>, Error> {
    let interfaces = netlink::interfaces().map_err(failed)?;
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    for name in names {
        let Some(pool) = config.pools.get(name) else {
            return Err(failed(format!("there is no pool '{name}'")));
        };
        if wanted.iter().any(|w| same_source(w.pool, pool)) {
            continue;
        }
        let ifindex = ifindex(&interfaces, pool)?;
        for v6 in [false, true].into_iter().filter(|v6| pool.has(*v6)) {
            wanted.push(Wanted {
                pool,
                v6,
                wish: None,
                ifindex,
            });
        }
    }
    Ok(wanted)
}

/// The interface of a pool, if it can be used.
fn ifindex(interfaces: &[Interface], pool: &Pool) -> Result<u32, Error> {
    let Pool {
        name, interface, ..
    } = pool;
    let Some(found) = interfaces.iter().find(|i| i.name == *interface) else {
        return Err(failed(format!(
            "pool '{name}' is on interface {interface}, which this machine does not have (any more); see 'ip link'"
        )));
    };
    if !found.up {
        return Err(failed(format!(
            "interface {interface} of pool '{name}' is down: switch it on with 'ip link set {interface} up'"
        )));
    }
    Ok(found.index)
}

fn only_root_chooses(peer: &Peer, request: &Open) -> Result<(), Error> {
    let chosen = [
        ("--raw", request.raw),
        ("--no-guard", !request.guard),
        ("--host-loopback", !request.host_loopback.is_empty()),
    ];
    if peer.caller.uid == 0 {
        return Ok(());
    }
    let user = &peer.caller.user;
    if let Some((what, _)) = chosen.into_iter().find(|(_, given)| *given) {
        return Err(Error::NotAllowed(format!(
            "user '{user}' may not choose {what}: only root may; leave it out, or run the command with sudo"
        )));
    }
    if request.keep {
        return Err(Error::NotAllowed(format!(
            "user '{user}' may not make hostlets that stay: only root may; 'hostlet run --pool' makes one that lives as long as its program, or run the command with sudo"
        )));
    }
    Ok(())
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
            [one] => format!("there is {one}"),
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
    let fits = |a: &IpAddr| a.is_ipv6() == v6 && fits(pool, *a);
    let at = wishes.iter().position(fits)?;
    Some(wishes.remove(at))
}

/// Whether a pool may have such an address. Of DHCP only the server knows.
fn fits(pool: &Pool, address: IpAddr) -> bool {
    match &pool.source {
        PoolSource::Static(s) => s.ranges.contains(address),
        PoolSource::Dhcp(_) => pool.has(address.is_ipv6()),
    }
}
