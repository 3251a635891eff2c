//! What the machine is like now, as far as decisions depend on it.

use std::fs;
use std::net::IpAddr;

use hostlet_model::IpNet;
use hostlet_platform::netlink;
use hostlet_policy::{Existing, HostAddress, IdRange, Interface, Observed, Route};
use hostlet_store::Definition;

use crate::error::{Error, Result};
use crate::machine::Machine;

/// Everything but the members of hostlets, which few decisions need: see [`Machine::existing`].
pub(crate) fn observe(machine: &Machine<'_>) -> Result<Observed> {
    let ids = &machine.paths.ids;
    let last = ids.end - 1;
    let next = machine.store.next_id(ids.start..=last)?;
    Ok(Observed {
        interfaces: netlink::interfaces()?
            .into_iter()
            .map(|i| Interface {
                index: i.index,
                name: i.name,
                up: i.up,
                loopback: i.loopback,
            })
            .collect(),
        addresses: netlink::addresses()?
            .into_iter()
            .map(|a| HostAddress {
                addr: a.addr,
                prefix_len: a.prefix_len,
                ifindex: a.ifindex,
            })
            .collect(),
        local_prefixes: netlink::local_prefixes()?,
        ipv6: has_ipv6(),
        ipv6_nonlocal_bind: switch("/proc/sys/net/ipv6/ip_nonlocal_bind") == Some(true),
        hostlets: machine.rows()?.iter().cloned().map(existing).collect(),
        limit: machine.config.limits.hostlets,
        ids: IdRange {
            first: ids.start,
            last,
            next: next.map_or(ids.start, |id| id.0),
        },
        resolvers: resolvers()?,
    })
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

/// Whether IPv6 is there and not switched off. `lo` counts: each hostlet gets an address on it.
fn has_ipv6() -> bool {
    switch("/proc/sys/net/ipv6/conf/all/disable_ipv6") == Some(false)
        && switch("/proc/sys/net/ipv6/conf/lo/disable_ipv6") == Some(false)
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
