//! Where an address that is wished for lies on this machine, and what must be done to have it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hostlet_model::{AddressSpec, HostletId, IpNet, Owned, SetEntry};

use crate::{Action, HostAddress, Interface, Observed, Refusal};

/// A placed address with the steps that put it there.
pub(crate) struct Placed {
    pub(crate) entry: SetEntry,
    pub(crate) actions: Vec<Action>,
    pub(crate) warnings: Vec<String>,
}

/// Places one address. `except` is the hostlet that it is for, if that exists already.
pub(crate) fn place(
    wish: &AddressSpec,
    assign: Option<&str>,
    seen: &Observed,
    except: Option<HostletId>,
) -> Result<Placed, Refusal> {
    let address = wish.owned;
    if !address.is_ipv4() && !seen.ipv6 {
        return Err(Refusal::NoIpv6 { address });
    }
    if let Some((holder, theirs)) = seen.owner_of(&address, except) {
        return Err(Refusal::Taken {
            address,
            holder: holder.name().clone(),
            theirs,
        });
    }
    match address {
        Owned::Single(a) => single(wish, a, assign, seen),
        Owned::Prefix(p) => prefix(p, assign, seen),
    }
}

fn single(
    wish: &AddressSpec,
    addr: IpAddr,
    assign: Option<&str>,
    seen: &Observed,
) -> Result<Placed, Refusal> {
    let zone = wish
        .zone
        .as_deref()
        .map(|z| seen.interface_named(z))
        .transpose()?;
    let there = seen
        .addresses
        .iter()
        .find(|h| h.addr == addr && zone.is_none_or(|z| z.index == h.ifindex));
    if let Some(h) = there {
        let name = seen
            .interface(h.ifindex)
            .map_or_else(|| format!("if{}", h.ifindex), |i| i.name.clone());
        return Ok(Placed {
            entry: SetEntry {
                owned: wish.owned,
                onlink: wish.onlink.unwrap_or(h.prefix_len),
                ifindex: h.ifindex,
                interface: name,
                assigned: false,
            },
            actions: Vec::new(),
            warnings: Vec::new(),
        });
    }
    if seen.local_prefixes.iter().any(|p| p.contains(&addr)) {
        needs_nonlocal_bind(wish.owned, seen)?;
        return Ok(Placed {
            entry: on_local_route(wish.owned, full(addr), None, seen),
            actions: Vec::new(),
            warnings: Vec::new(),
        });
    }
    let Some(assign) = assign else {
        return Err(Refusal::NotOnHost {
            address: wish.owned,
            how: how_to_add(wish, addr, seen),
        });
    };
    let interface = usable(assign, wish.owned, seen)?;
    if let Some(z) = zone
        && z.index != interface.index
    {
        return Err(Refusal::OtherZone {
            address: wish.owned,
            zone: z.name.clone(),
            assign: assign.to_owned(),
        });
    }
    no_next_hop(wish.owned, seen)?;
    let neighbours = subnets(seen)
        .find(|(i, net)| *i == interface.index && net.contains(&addr))
        .map(|(_, net)| net);
    let prefix_len = match (wish.onlink, neighbours) {
        (Some(l), _) => l,
        (None, Some(net)) => net.prefix_len(),
        (None, None) if wish.zone.is_some() => 64,
        (None, None) => full(addr),
    };
    host_of_subnet(addr, prefix_len, interface)?;
    Ok(Placed {
        entry: SetEntry {
            owned: wish.owned,
            onlink: prefix_len,
            ifindex: interface.index,
            interface: interface.name.clone(),
            assigned: true,
        },
        actions: vec![Action::AddAddress {
            ifindex: interface.index,
            interface: interface.name.clone(),
            addr,
            prefix_len,
        }],
        warnings: wider(addr, prefix_len, interface, seen),
    })
}

/// A warning where an address would bring with it an on-link route to more than the machine's subnet around it: mostly a slip of the pen.
fn wider(addr: IpAddr, prefix_len: u8, on: &Interface, seen: &Observed) -> Vec<String> {
    let Ok(net) = IpNet::new(addr, prefix_len).map(|net| net.trunc()) else {
        return Vec::new();
    };
    let around =
        subnets(seen).find(|(_, had)| had.contains(&addr) && had.prefix_len() > prefix_len);
    let told = around.map(|(_, had)| {
        format!(
            "{addr}/{prefix_len} makes all of {net} neighbours on {}, not {had} alone: what else this machine reached there by a router, it reaches no more; {addr}/{} would not",
            on.name,
            had.prefix_len()
        )
    });
    told.into_iter().collect()
}

/// Warnings where these are the last addresses that an interface has for the machine itself: its own services are no longer
/// reached there, which is seldom meant.
pub(crate) fn last_of_host(entries: &[SetEntry], seen: &Observed) -> Vec<String> {
    let link_local = |a: IpAddr| matches!(a, IpAddr::V6(a) if a.is_unicast_link_local());
    let taken: BTreeSet<Owned> = entries.iter().map(|e| e.owned).collect();
    let mut lost: BTreeMap<(u32, bool), Vec<IpAddr>> = BTreeMap::new();
    let (theirs, left): (Vec<&HostAddress>, Vec<_>) = seen
        .addresses
        .iter()
        .filter(|h| !link_local(h.addr))
        .partition(|h| taken.contains(&Owned::Single(h.addr)));
    for host in theirs {
        let place = (host.ifindex, host.addr.is_ipv4());
        lost.entry(place).or_default().push(host.addr);
    }
    lost.retain(|place, _| {
        let mut beside = left
            .iter()
            .filter(|h| (h.ifindex, h.addr.is_ipv4()) == *place);
        !beside.any(|h| seen.owner_of(&Owned::Single(h.addr), None).is_none())
    });
    let told = lost.into_iter().map(|((ifindex, v4), all)| {
        let interface = seen.interface(ifindex).map_or("an interface", |i| &i.name);
        let family = if v4 { "IPv4" } else { "IPv6" };
        let (were, addresses) = match all[..] {
            [_] => ("was", "address"),
            _ => ("were", "addresses"),
        };
        let all: Vec<String> = all.iter().map(IpAddr::to_string).collect();
        format!(
            "{} {were} the last {family} {addresses} of {interface} for this machine itself: its own services are no longer reached there",
            all.join(", ")
        )
    });
    told.collect()
}

fn prefix(net: IpNet, assign: Option<&str>, seen: &Observed) -> Result<Placed, Refusal> {
    let owned = Owned::Prefix(net);
    needs_nonlocal_bind(owned, seen)?;
    // Owning a prefix takes the machine's own addresses in it away from the machine's services: possible, but seldom meant.
    let mut warnings: Vec<String> = seen
        .addresses
        .iter()
        .filter(|h| net.contains(&h.addr))
        .map(|h| {
            let name = seen
                .interface(h.ifindex)
                .map_or("an interface", |i| i.name.as_str());
            format!(
                "{net} includes {} of {name}: services of this machine are no longer reached there",
                h.addr
            )
        })
        .collect();
    if seen.local_prefixes.iter().any(|p| p.contains(&net)) {
        let named = assign.map(|a| seen.interface_named(a)).transpose()?;
        return Ok(Placed {
            entry: on_local_route(owned, net.prefix_len(), named, seen),
            actions: Vec::new(),
            warnings,
        });
    }
    let Some(assign) = assign else {
        return Err(Refusal::PrefixNotLocal { prefix: net });
    };
    let interface = usable(assign, owned, seen)?;
    no_next_hop(owned, seen)?;
    let covered = subnets(seen).filter(|(_, subnet)| net.contains(subnet));
    warnings.extend(covered.map(|(i, subnet)| {
        let name = seen.interface(i).map_or("an interface", |i| &i.name);
        format!("{net} covers {subnet} of {name}: this machine reaches none of its neighbours there any more")
    }));
    Ok(Placed {
        entry: SetEntry {
            owned,
            onlink: net.prefix_len(),
            ifindex: interface.index,
            interface: interface.name.clone(),
            assigned: true,
        },
        actions: vec![Action::AddLocalPrefix { prefix: net }],
        warnings,
    })
}

/// The step that takes away what placing this entry has put there.
pub(crate) fn take_away(e: &SetEntry) -> Option<Action> {
    e.assigned.then(|| match e.owned {
        Owned::Single(addr) => Action::DelAddress {
            ifindex: e.ifindex,
            interface: e.interface.clone(),
            addr,
            prefix_len: e.onlink,
        },
        Owned::Prefix(prefix) => Action::DelLocalPrefix { prefix },
    })
}

/// The step that puts an entry back that hostlet had put there in another boot.
pub(crate) fn put_back(e: &SetEntry) -> Option<Action> {
    take_away(e).and_then(|a| a.undo())
}

fn full(addr: IpAddr) -> u8 {
    if addr.is_ipv4() { 32 } else { 128 }
}

/// An entry that a local route covers. Its interface is where its packets pass: the one given, the one whose subnet it is in, or,
/// where neither says, `lo`.
fn on_local_route(
    owned: Owned,
    onlink: u8,
    named: Option<&Interface>,
    seen: &Observed,
) -> SetEntry {
    let around = || {
        subnets(seen)
            .find(|(_, net)| net.contains(&owned.net()))
            .and_then(|(i, _)| seen.interface(i))
    };
    let lo = || seen.interfaces.iter().find(|i| i.loopback);
    let (ifindex, interface) = named
        .or_else(around)
        .or_else(lo)
        .map_or((1, "lo".to_owned()), |i| (i.index, i.name.clone()));
    SetEntry {
        owned,
        onlink,
        ifindex,
        interface,
        assigned: false,
    }
}

/// IPv6 binds only to addresses of interfaces unless told otherwise; IPv4 to whatever is routed as local.
fn needs_nonlocal_bind(address: Owned, seen: &Observed) -> Result<(), Refusal> {
    if address.is_ipv4() || seen.ipv6_nonlocal_bind {
        Ok(())
    } else {
        Err(Refusal::NeedsNonlocalBind { address })
    }
}

fn usable<'s>(assign: &str, address: Owned, seen: &'s Observed) -> Result<&'s Interface, Refusal> {
    let i = seen.interface_named(assign)?;
    if i.up {
        Ok(i)
    } else {
        Err(Refusal::InterfaceDown {
            interface: i.name.clone(),
            address,
        })
    }
}

/// What becomes local to this machine is reached nowhere else any more: a router must not.
fn no_next_hop(address: Owned, seen: &Observed) -> Result<(), Refusal> {
    let net = address.net();
    let found = seen.routes.iter().find_map(|route| {
        let hop = route.gateway.filter(|hop| net.contains(hop))?;
        Some((hop, route.dst))
    });
    match found {
        Some((hop, route)) => Err(Refusal::NextHop {
            address,
            hop,
            route,
        }),
        None => Ok(()),
    }
}

/// The network and broadcast addresses of an IPv4 subnet are nobody's.
fn host_of_subnet(addr: IpAddr, prefix_len: u8, on: &Interface) -> Result<(), Refusal> {
    let (IpAddr::V4(a), Ok(net @ IpNet::V4(n))) = (addr, IpNet::new(addr, prefix_len)) else {
        return Ok(());
    };
    if prefix_len > 30 {
        return Ok(());
    }
    let role = if a == n.broadcast() {
        "broadcast address"
    } else if a == n.network() {
        "network address"
    } else {
        return Ok(());
    };
    Err(Refusal::NoHostAddress {
        address: addr,
        role,
        subnet: net.trunc(),
        interface: on.name.clone(),
    })
}

/// The subnets that the machine is on, by interface index.
fn subnets(seen: &Observed) -> impl Iterator<Item = (u32, IpNet)> + '_ {
    seen.addresses
        .iter()
        .filter(|h| h.prefix_len < full(h.addr) && h.prefix_len > 0)
        .filter_map(|h| {
            let net = IpNet::new(h.addr, h.prefix_len).ok()?;
            Some((h.ifindex, net.trunc()))
        })
}

/// The command that would add the address: to the interface whose subnet it is in, else to the first that is up.
fn how_to_add(wish: &AddressSpec, addr: IpAddr, seen: &Observed) -> String {
    let around = subnets(seen)
        .find(|(_, net)| wish.zone.is_none() && net.contains(&addr))
        .map(|(i, net)| (i, net.prefix_len()));
    let (dev, len) = match (&wish.zone, around) {
        (Some(z), _) => (z.clone(), 64),
        (None, Some((i, len))) => (
            seen.interface(i)
                .map_or("INTERFACE", |i| &i.name)
                .to_owned(),
            len,
        ),
        (None, None) => {
            let first = seen.interfaces.iter().find(|i| i.up && !i.loopback);
            let dev = first.map_or("INTERFACE", |i| &i.name).to_owned();
            (dev, full(addr))
        }
    };
    let len = wish.onlink.unwrap_or(len);
    format!("add it with 'ip addr add {addr}/{len} dev {dev}'")
}
