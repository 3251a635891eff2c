//! What the machine is like now, as far as decisions depend on it.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;

use hostlet_model::{IpNet, Name, Owned};
use hostlet_platform::netlink;
use hostlet_policy::{Existing, HostAddress, IdRange, Interface, Observed, Route};
use hostlet_store::Definition;

use crate::error::{Error, Result};
use crate::machine::Machine;

/// Which hostlets a decision may depend on. There may be thousands: most decisions need but one or two.
pub(crate) enum Of {
    /// All of them.
    All,
    /// These, and whoever has an address of these.
    Some(Vec<Name>, Vec<Owned>),
}

impl Of {
    /// The hostlet of that name, and whoever has an address of these.
    pub fn some(name: &Name, owned: impl IntoIterator<Item = Owned>) -> Self {
        Self::Some(vec![name.clone()], owned.into_iter().collect())
    }
}

/// Everything but the members of hostlets, which few decisions need: see [`crate::machine::with_members`].
pub(crate) fn observe(machine: &Machine<'_>, of: Of) -> Result<Observed> {
    let ids = &machine.paths.ids;
    let last = ids.end - 1;
    let next = machine.store.next_id(ids.start..=last)?;
    let addresses = netlink::addresses()?;
    let all_there = match &of {
        Of::All => false,
        Of::Some(_, owned) => owned.iter().all(|owned| {
            addresses
                .iter()
                .any(|there| *owned == Owned::Single(there.addr))
        }),
    };
    let hostlets = match of {
        Of::All => machine.store.all()?,
        Of::Some(names, owned) => some(machine, &names, &owned, &addresses)?,
    };
    Ok(Observed {
        others: machine.store.count()?.saturating_sub(hostlets.len()),
        hostlets: hostlets.into_iter().map(existing).collect(),
        interfaces: netlink::interfaces()?
            .into_iter()
            .map(|i| Interface {
                index: i.index,
                name: i.name,
                up: i.up,
                loopback: i.loopback,
            })
            .collect(),
        addresses: addresses
            .into_iter()
            .map(|a| HostAddress {
                addr: a.addr,
                prefix_len: a.prefix_len,
                ifindex: a.ifindex,
            })
            .collect(),
        // What hostlet itself made local for the loopbacks is not for anybody to have.
        local_prefixes: netlink::local_prefixes()?
            .into_iter()
            .filter(|prefix| *prefix != IpNet::from(machine.paths.loopbacks6()))
            .collect(),
        routes: if all_there { Vec::new() } else { routes()? },
        ipv6: has_ipv6(),
        ipv6_nonlocal_bind: has_nonlocal_bind(),
        owners: None,
        limit: machine.config.limits.hostlets,
        ids: IdRange {
            first: ids.start,
            last,
            next: next.map_or(ids.start, |id| id.0),
        },
        resolvers: resolvers()?,
    })
}

/// The hostlets of these names, and all that have an address of these.
fn some(
    machine: &Machine<'_>,
    names: &[Name],
    owned: &[Owned],
    addresses: &[netlink::HostAddress],
) -> Result<Vec<Definition>> {
    let store = &machine.store;
    let mut ids = BTreeSet::new();
    for name in names {
        ids.extend(store.get(name)?.map(|row| row.id));
    }
    for owned in owned {
        ids.extend(store.owners_of(owned)?);
    }
    // Whether an address is the last that the machine has for itself there is seen at the first other that is nobody's.
    let mut places = BTreeSet::new();
    let wished = addresses
        .iter()
        .filter(|a| owned.contains(&Owned::Single(a.addr)));
    for wished in wished {
        if !places.insert((wished.ifindex, wished.addr.is_ipv4())) {
            continue;
        }
        let link_local = |a: IpAddr| matches!(a, IpAddr::V6(a) if a.is_unicast_link_local());
        let beside = addresses.iter().filter(|a| {
            a.ifindex == wished.ifindex
                && a.addr.is_ipv4() == wished.addr.is_ipv4()
                && !owned.contains(&Owned::Single(a.addr))
                && !link_local(a.addr)
        });
        for beside in beside {
            let owners = store.owners_of(&Owned::Single(beside.addr))?;
            if owners.is_empty() {
                break;
            }
            ids.extend(owners);
        }
    }
    let rows = ids.into_iter().map(|id| Ok(store.get_by_id(id)?));
    Ok(rows
        .collect::<Result<Vec<_>>>()?
        .into_iter()
        .flatten()
        .collect())
}

/// A remembered hostlet as decisions see it; its members are not looked at.
pub(crate) fn existing(d: Definition) -> Existing {
    Existing {
        id: d.id,
        spec: d.spec,
        entries: d.entries,
        lifetime: d.lifetime,
        members: Vec::new(),
    }
}

/// The routes of the main table, the better one of two to the same destination first.
pub(crate) fn routes() -> Result<Vec<Route>> {
    let mut routes = netlink::routes()?;
    routes.sort_by_key(|route| route.metric);
    Ok(routes
        .into_iter()
        .map(|r| Route {
            dst: r.dst,
            ifindex: r.ifindex,
            gateway: r.gateway,
            source: r.prefsrc,
        })
        .collect())
}

/// What is local to this machine: its addresses, and prefixes that are its own as a whole.
pub(crate) fn local() -> Result<Vec<IpNet>> {
    let mut local = netlink::local_prefixes()?;
    local.extend(
        netlink::addresses()?
            .into_iter()
            .map(|a| IpNet::from(a.addr)),
    );
    Ok(local)
}

/// Whether IPv6 is there and not switched off. `lo` counts: the loopbacks of hostlets are addresses on it, or routed to it.
pub(crate) fn has_ipv6() -> bool {
    switch("/proc/sys/net/ipv6/conf/all/disable_ipv6") == Some(false)
        && switch("/proc/sys/net/ipv6/conf/lo/disable_ipv6") == Some(false)
}

/// Whether IPv6 addresses can be bound that are not on an interface: the loopbacks of new hostlets are then routed.
pub(crate) fn has_nonlocal_bind() -> bool {
    switch("/proc/sys/net/ipv6/ip_nonlocal_bind") == Some(true)
}

/// Whether this machine's programs may bind an address of this family that is on no interface.
pub(crate) fn binds_any(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(_) => switch("/proc/sys/net/ipv4/ip_nonlocal_bind") == Some(true),
        IpAddr::V6(_) => has_nonlocal_bind(),
    }
}

/// The groups whose users may have echo sockets; the first is beyond the last where nobody may.
pub(crate) fn ping_groups() -> Option<(u32, u32)> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ping_group_range").ok()?;
    let mut words = text.split_whitespace().map(str::parse);
    Some((words.next()?.ok()?, words.next()?.ok()?))
}

/// A sysctl of this network namespace; none if this kernel does not have it.
fn switch(path: &str) -> Option<bool> {
    fs::read_to_string(path).ok().map(|text| text.trim() != "0")
}

fn resolvers() -> Result<Vec<IpAddr>> {
    const FILE: &str = "/etc/resolv.conf";
    match fs::read_to_string(FILE) {
        Ok(text) => Ok(name_servers(&text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(Error::file("read", FILE.as_ref(), error)),
    }
}

fn name_servers(text: &str) -> Vec<IpAddr> {
    text.lines()
        .filter_map(|line| {
            let mut words = line.split_ascii_whitespace();
            (words.next()? == "nameserver").then_some(())?;
            words.next()?.split('%').next()?.parse().ok()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::name_servers;

    #[test]
    fn name_servers_of_resolv_conf() {
        let text = "# nameserver 9.9.9.9\nsearch x\nnameserver 127.0.0.53\n nameserver fe80::1%eth0\nnameserver\nnameserver x\n";
        let found: Vec<String> = name_servers(text).iter().map(ToString::to_string).collect();
        assert_eq!(found, ["127.0.0.53", "fe80::1"]);
    }
}
