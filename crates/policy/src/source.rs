//! Which address an unbound socket leaves from (row A7). The same decision as the kernel programs make, for `explain` and for tests
//! that compare the two.

use std::net::IpAddr;

use hostlet_model::{IpNet, SourcePolicy, Unreachable};

use crate::{KernelView, OnLink};

/// The index of the loopback interface in every network namespace.
const LOOPBACK: u32 = 1;

/// A route of the machine, as mirrored into the kernel tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where to.
    pub dst: IpNet,
    /// Through which interface.
    pub ifindex: u32,
    /// The next hop; none if the destination is on the link.
    pub gateway: Option<IpAddr>,
    /// The source that the route itself prefers.
    pub source: Option<IpAddr>,
}

/// Why a source is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SourceRule {
    /// It is the only address of the family.
    Only,
    /// The destination is an address of the set: it speaks to itself. IPv4 does so from the first address of that subnet, as the
    /// kernel's own local routes have it.
    Itself,
    /// The route names it as its source.
    RouteSource,
    /// It is the address in the subnet of the next hop.
    NextHopSubnet,
    /// It is on the route's interface; the policy chose among those there.
    RouteInterface,
    /// It is on no link, but on the loopback interface, and so fit for every route; the policy chose among those there.
    Linkless,
    /// The route is of no interface of the set, or makes no difference; the policy chose among all.
    Policy,
}

/// A chosen source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address; with the random policy, the first of those it may be.
    pub addr: IpAddr,
    /// How many addresses the policy chooses among by chance; 1 if the choice is certain.
    pub among: usize,
    /// Why.
    pub rule: SourceRule,
}

/// The source for a destination that is neither loopback nor multicast. None: the hostlet has no address of that family. Of several
/// routes to the same destination the first counts: the caller puts the better metric first.
pub fn choose_source(view: &KernelView, dst: IpAddr, routes: &[Route]) -> Option<Source> {
    let (has, many, routed, primary) = if dst.is_ipv4() {
        let primary = view.primary4.map(IpAddr::V4);
        (view.has_v4, view.many4, view.routed4, primary)
    } else {
        let primary = view.primary6.map(IpAddr::V6);
        (view.has_v6, view.many6, view.routed6, primary)
    };
    let primary = primary.filter(|_| has)?;
    let certain = |addr, rule| {
        Some(Source {
            addr,
            among: 1,
            rule,
        })
    };
    if !many {
        return certain(primary, SourceRule::Only);
    }
    if view.owned.iter().any(|o| o.contains(dst)) {
        let near = subnet_of(view, dst).filter(|_| dst.is_ipv4());
        return certain(near.map_or(dst, |o| o.addr), SourceRule::Itself);
    }
    if routed && let Some(route) = best(routes, dst) {
        if let Some(s) = route.source
            && view.owned.iter().any(|o| o.contains(s))
        {
            return certain(s, SourceRule::RouteSource);
        }
        if view.source == SourcePolicy::Primary {
            let hop = route.gateway.unwrap_or(dst);
            let near = subnet_of(view, hop);
            if let Some(o) = near.filter(|o| o.ifindex == route.ifindex) {
                return certain(o.addr, SourceRule::NextHopSubnet);
            }
        }
        if let Some(s) = by_policy(view, route.ifindex, dst, SourceRule::RouteInterface) {
            return Some(s);
        }
        if view.unreachable.is_some()
            && let Some(s) = by_policy(view, LOOPBACK, dst, SourceRule::Linkless)
        {
            return Some(s);
        }
    }
    by_policy(view, 0, dst, SourceRule::Policy).or_else(|| certain(primary, SourceRule::Policy))
}

/// Why none of a hostlet's addresses is fit for a destination (row B10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It has none of that family, where that is no refusal yet.
    NoFamily,
    /// The best route leaves by an interface on which it has none of that family.
    Route(Route),
}

/// Whether a destination that is not the loopback is reachable from the hostlet (row B10); none if it is, or nobody asks. `local` is
/// what is local to this machine: its addresses, and prefixes that are its own as a whole.
///
/// Groups and link-local addresses go by an interface that the program names or knows; they are left alone, as is what has no route.
pub fn unfit(view: &KernelView, dst: IpAddr, routes: &[Route], local: &[IpNet]) -> Option<Unfit> {
    let unreachable = view.unreachable?;
    let named = match dst {
        IpAddr::V4(a) => a.is_multicast() || a.is_broadcast(),
        IpAddr::V6(a) => a.is_multicast() || a.is_unicast_link_local(),
    };
    // Cut off from everything: that is no reason to pass.
    if named || !(view.has_v4 || view.has_v6) {
        return None;
    }
    let has = if dst.is_ipv4() {
        view.has_v4
    } else {
        view.has_v6
    };
    if !has {
        return (unreachable == Unreachable::PassThrough).then_some(Unfit::NoFamily);
    }
    let own = view.owned.iter().any(|o| o.contains(dst));
    if own || local.iter().any(|n| n.contains(&dst)) {
        return None;
    }
    let route = best(routes, dst)?;
    let on = |ifindex| {
        let mut lists = view.sources.iter();
        lists.any(|l| l.ifindex == ifindex && l.ipv6 == dst.is_ipv6())
    };
    (!on(route.ifindex) && !on(LOOPBACK)).then_some(Unfit::Route(*route))
}

/// The hostlet's place in the narrowest subnet that an address is in.
fn subnet_of(view: &KernelView, a: IpAddr) -> Option<&OnLink> {
    let around = view.onlink.iter().filter(|o| o.net.contains(&a));
    around.max_by_key(|o| o.net.prefix_len())
}

/// The narrowest route; of several alike, the first, which is that of the least metric.
fn best(routes: &[Route], dst: IpAddr) -> Option<&Route> {
    let fit = routes.iter().filter(|r| r.dst.contains(&dst));
    fit.min_by_key(|r| std::cmp::Reverse(r.dst.prefix_len()))
}

fn by_policy(view: &KernelView, ifindex: u32, dst: IpAddr, rule: SourceRule) -> Option<Source> {
    let list = view
        .sources
        .iter()
        .find(|l| l.ifindex == ifindex && l.ipv6 == dst.is_ipv6())?;
    let n = list.addrs.len();
    let (index, among) = match view.source {
        SourcePolicy::Primary => (0, 1),
        SourcePolicy::Random => (0, n),
        SourcePolicy::ByDestination => (spread(dst) as usize % n, 1),
    };
    Some(Source {
        addr: *list.addrs.get(index)?,
        among,
        rule,
    })
}

/// The kernel programs' hash of a destination: each mixes four words of the address in network order, IPv4 being ::ffff:a.b.c.d.
fn spread(dst: IpAddr) -> u32 {
    let bytes = match dst {
        IpAddr::V4(a) => a.to_ipv6_mapped().octets(),
        IpAddr::V6(a) => a.octets(),
    };
    let word = |i: usize| {
        u32::from_ne_bytes([
            bytes[4 * i],
            bytes[4 * i + 1],
            bytes[4 * i + 2],
            bytes[4 * i + 3],
        ])
    };
    mix(word(0) ^ mix(word(1) ^ mix(word(2) ^ mix(word(3)))))
}

fn mix(mut x: u32) -> u32 {
    x ^= x >> 16;
    x = x.wrapping_mul(0x7feb_352d);
    x ^= x >> 15;
    x = x.wrapping_mul(0x846c_a68b);
    x ^ (x >> 16)
}
