//! What the kernel tables are told of a set, and which source follows from it.

mod common;

use std::net::IpAddr;

use common::*;
use hostlet_model::{HostletId, HostletSpec, SetEntry, SourcePolicy};
use hostlet_policy::{KernelView, Route, Source, SourceRule, choose_source, kernel_view};
use proptest::prelude::*;

fn view_with(entries: &[SetEntry], source: SourcePolicy) -> KernelView {
    let mut s = HostletSpec::new(name("web"), Vec::new());
    s.source = source;
    kernel_view(HostletId(1), &s, entries, &[], true)
}

fn view(entries: &[SetEntry]) -> KernelView {
    view_with(entries, SourcePolicy::Primary)
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn lists(v: &KernelView) -> Vec<String> {
    v.sources
        .iter()
        .map(|l| {
            let a: Vec<_> = l.addrs.iter().map(ToString::to_string).collect();
            format!(
                "{}/{}: {}",
                if l.ipv6 { 6 } else { 4 },
                l.ifindex,
                a.join(" ")
            )
        })
        .collect()
}

fn subnets(v: &KernelView) -> Vec<String> {
    v.onlink
        .iter()
        .map(|o| format!("{} {} if{}", o.net, o.addr, o.ifindex))
        .collect()
}

#[test]
fn one_address_takes_the_short_way() {
    let v = view(&[entry("10.0.0.5", 24, 2)]);
    assert_eq!(v.primary4, Some("10.0.0.5".parse().unwrap()));
    assert_eq!(v.primary6, None);
    assert!(v.has_v4 && !v.has_v6 && !v.many4 && !v.many6 && !v.prefix4 && !v.routed4);
    assert_eq!(lists(&v), ["4/0: 10.0.0.5", "4/2: 10.0.0.5"]);
    assert_eq!(subnets(&v), ["10.0.0.0/24 10.0.0.5 if2"]);
    assert_eq!(
        v.broadcasts,
        ["10.0.0.255".parse::<std::net::Ipv4Addr>().unwrap()]
    );
}

#[test]
fn families_are_apart() {
    let v = view(&[
        entry("10.0.0.5", 24, 2),
        entry("2001:db8::5", 64, 2),
        entry("2001:db8::6", 64, 2),
    ]);
    assert!(!v.many4 && v.many6 && !v.routed4 && !v.routed6);
    assert_eq!(v.primary6, Some("2001:db8::5".parse().unwrap()));
    assert_eq!(
        subnets(&v),
        ["10.0.0.0/24 10.0.0.5 if2", "2001:db8::/64 2001:db8::5 if2"]
    );
}

#[test]
fn the_first_of_a_family_is_its_primary() {
    let v = view(&[entry("10.0.0.9", 24, 2), entry("10.0.0.5", 24, 2)]);
    assert_eq!(v.primary4, Some("10.0.0.9".parse().unwrap()));
    assert_eq!(subnets(&v), ["10.0.0.0/24 10.0.0.9 if2"]);
    assert!(v.many4 && !v.routed4);
}

#[test]
fn a_prefix_stands_on_its_first_address() {
    let v = view(&[entry("10.9.0.0/24", 24, 2), entry("2001:db8:7::/64", 64, 2)]);
    assert_eq!(v.primary4, Some("10.9.0.1".parse().unwrap()));
    assert_eq!(v.primary6, Some("2001:db8:7::1".parse().unwrap()));
    assert!(v.many4 && v.many6 && v.prefix4 && v.prefix6 && !v.routed4);
    // Its addresses are the machine's own: neither neighbours nor a subnet with a broadcast address.
    assert!(v.onlink.is_empty() && v.broadcasts.is_empty());
}

#[test]
fn interfaces_and_subnets_make_the_route_decide() {
    let routed = |e: &[SetEntry]| view(e).routed4;
    assert!(routed(&[
        entry("10.0.0.5", 24, 2),
        entry("10.1.0.5", 24, 3)
    ]));
    assert!(routed(&[
        entry("10.0.0.5", 24, 2),
        entry("10.1.0.5", 24, 2)
    ]));
    assert!(routed(&[
        entry("10.0.0.5", 24, 2),
        entry("10.0.0.6", 24, 3)
    ]));
    assert!(routed(&[
        entry("10.0.0.5", 24, 2),
        entry("10.0.0.6", 32, 2)
    ]));
    assert!(!routed(&[
        entry("10.0.0.5", 32, 2),
        entry("10.1.0.6", 32, 2)
    ]));
    assert!(!routed(&[
        entry("10.0.0.5", 24, 2),
        entry("10.0.0.6", 24, 2)
    ]));
}

#[test]
fn link_local_addresses_are_no_general_source() {
    let v = view(&[entry("fe80::9", 64, 2), entry("2001:db8::5", 64, 2)]);
    assert_eq!(v.primary6, Some("2001:db8::5".parse().unwrap()));
    assert_eq!(lists(&v), ["6/0: 2001:db8::5", "6/2: 2001:db8::5"]);
    assert_eq!(
        subnets(&v),
        ["fe80::/64 fe80::9 if2", "2001:db8::/64 2001:db8::5 if2"]
    );
    let v = view(&[entry("fe80::9", 64, 2)]);
    assert_eq!(v.primary6, Some("fe80::9".parse().unwrap()));
    assert_eq!(lists(&v), ["6/0: fe80::9", "6/2: fe80::9"]);
}

#[test]
fn point_to_point_links_have_no_broadcast() {
    assert!(
        view(&[entry("10.0.0.5", 31, 2), entry("10.0.1.5", 32, 2)])
            .broadcasts
            .is_empty()
    );
    assert_eq!(
        view(&[entry("10.0.0.5", 30, 2)]).broadcasts,
        ["10.0.0.7".parse::<std::net::Ipv4Addr>().unwrap()]
    );
}

#[test]
fn without_ipv6_there_is_no_loopback6() {
    let s = HostletSpec::new(name("web"), Vec::new());
    let v = kernel_view(HostletId(9), &s, &[entry("10.0.0.5", 24, 2)], &[], false);
    assert_eq!(v.loop6, None);
    assert_eq!(v.loop4.to_string(), "127.64.0.9");
}

fn route(dst: &str, ifindex: u32, gateway: Option<&str>, source: Option<&str>) -> Route {
    Route {
        dst: dst.parse().unwrap(),
        ifindex,
        gateway: gateway.map(ip),
        source: source.map(ip),
    }
}

fn chosen(addr: &str, rule: SourceRule) -> Option<Source> {
    Some(Source {
        addr: ip(addr),
        among: 1,
        rule,
    })
}

#[test]
fn the_source_follows_the_route() {
    let set = [
        entry("10.0.0.5", 24, 2),
        entry("10.0.2.5", 24, 2),
        entry("10.1.0.5", 16, 3),
        entry("2001:db8::5", 64, 2),
    ];
    let v = view(&set);
    let routes = [
        route("0.0.0.0/0", 2, Some("10.0.2.1"), None),
        route("10.0.0.0/24", 2, None, Some("10.0.0.1")),
        route("10.0.2.0/24", 2, None, None),
        route("10.1.0.0/16", 3, None, None),
        route("192.0.2.0/24", 2, Some("10.0.2.1"), Some("10.1.0.5")),
        route("203.0.113.0/24", 3, Some("10.1.9.9"), Some("10.1.0.1")),
        route("198.51.100.0/24", 9, Some("172.16.0.1"), None),
    ];
    let of = |d: &str| choose_source(&v, ip(d), &routes);
    assert_eq!(
        of("10.0.0.77"),
        chosen("10.0.0.5", SourceRule::NextHopSubnet)
    );
    assert_eq!(
        of("10.1.3.3"),
        chosen("10.1.0.5", SourceRule::NextHopSubnet)
    );
    assert_eq!(of("8.8.8.8"), chosen("10.0.2.5", SourceRule::NextHopSubnet));
    assert_eq!(of("192.0.2.1"), chosen("10.1.0.5", SourceRule::RouteSource));
    assert_eq!(
        of("203.0.113.1"),
        chosen("10.1.0.5", SourceRule::NextHopSubnet)
    );
    assert_eq!(of("198.51.100.1"), chosen("10.0.0.5", SourceRule::Policy));
    assert_eq!(of("10.0.2.5"), chosen("10.0.2.5", SourceRule::Itself));
    assert_eq!(of("2001:db8:9::1"), chosen("2001:db8::5", SourceRule::Only));
    assert_eq!(
        choose_source(&view(&set[..3]), ip("2001:db8::1"), &routes),
        None
    );
    assert_eq!(
        choose_source(&v, ip("8.8.8.8"), &[]),
        chosen("10.0.0.5", SourceRule::Policy)
    );
}

#[test]
fn an_own_destination_is_reached_from_its_subnet() {
    let v = view(&[
        entry("10.0.0.5", 24, 2),
        entry("10.0.0.6", 24, 2),
        entry("10.7.0.1", 32, 2),
        entry("2001:db8::5", 64, 2),
        entry("2001:db8::6", 64, 2),
    ]);
    let of = |d: &str| choose_source(&v, ip(d), &[]);
    assert_eq!(of("10.0.0.6"), chosen("10.0.0.5", SourceRule::Itself));
    assert_eq!(of("10.7.0.1"), chosen("10.7.0.1", SourceRule::Itself));
    assert_eq!(of("2001:db8::6"), chosen("2001:db8::6", SourceRule::Itself));
}

#[test]
fn of_two_routes_alike_the_first_counts() {
    let v = view(&[entry("10.0.0.5", 24, 2), entry("10.1.0.5", 24, 3)]);
    let routes = [
        route("0.0.0.0/0", 3, Some("10.1.0.1"), None),
        route("0.0.0.0/0", 2, Some("10.0.0.1"), None),
    ];
    let s = choose_source(&v, ip("8.8.8.8"), &routes);
    assert_eq!(s, chosen("10.1.0.5", SourceRule::NextHopSubnet));
}

#[test]
fn policies_choose_among_those_of_the_interface() {
    let set = [
        entry("10.0.0.5", 24, 2),
        entry("10.0.0.6", 24, 2),
        entry("10.1.0.5", 16, 3),
    ];
    let routes = [route("0.0.0.0/0", 2, Some("10.0.0.1"), None)];
    let s = choose_source(
        &view_with(&set, SourcePolicy::Random),
        ip("8.8.8.8"),
        &routes,
    )
    .unwrap();
    assert_eq!((s.among, s.rule), (2, SourceRule::RouteInterface));
    let v = view_with(&set, SourcePolicy::ByDestination);
    let mut seen = std::collections::BTreeSet::new();
    for i in 0..64 {
        let d = ip(&format!("8.8.8.{i}"));
        let s = choose_source(&v, d, &routes).unwrap();
        assert_eq!(
            choose_source(&v, d, &routes),
            Some(s),
            "the same for the same destination"
        );
        assert_eq!(s.among, 1);
        seen.insert(s.addr);
    }
    assert_eq!(seen, [ip("10.0.0.5"), ip("10.0.0.6")].into());
}

fn any_entry() -> impl Strategy<Value = SetEntry> {
    let v4 = (0_u32..40, 24_u8..=32, 2_u32..5, any::<bool>());
    let v6 = (0_u32..40, 120_u8..=128, 2_u32..5, any::<bool>());
    prop_oneof![
        v4.prop_map(|(h, len, i, p)| one(&format!("10.0.0.{h}"), len, i, p)),
        v6.prop_map(|(h, len, i, p)| one(&format!("2001:db8::{h:x}"), len, i, p)),
    ]
}

fn one(addr: &str, len: u8, ifindex: u32, prefix: bool) -> SetEntry {
    let net = hostlet_model::IpNet::new(ip(addr), len).unwrap();
    let mut e = entry(addr, len, ifindex);
    if prefix {
        e.owned = hostlet_model::Owned::from_net(net);
    }
    e
}

fn any_policy() -> impl Strategy<Value = SourcePolicy> {
    prop::sample::select(SourcePolicy::ALL.map(|(_, p)| p).to_vec())
}

proptest! {
    #[test]
    fn what_the_kernel_is_told_is_of_the_set(entries in prop::collection::vec(any_entry(), 1..10), policy in any_policy()) {
        let v = view_with(&entries, policy);
        let owned = |a: IpAddr| entries.iter().any(|e| e.owned.contains(a));
        prop_assert_eq!(v.has_v4, v.primary4.is_some());
        prop_assert_eq!(v.has_v6, v.primary6.is_some());
        prop_assert!(v.primary4.is_none_or(|a| owned(a.into())));
        prop_assert!(v.primary6.is_none_or(|a| owned(a.into())));
        for l in &v.sources {
            prop_assert!(!l.addrs.is_empty());
            prop_assert!(l.addrs.iter().all(|a| owned(*a) && a.is_ipv6() == l.ipv6));
        }
        // The list of all is the lists of the interfaces together, and begins with the primary.
        for (ipv6, primary) in [(false, v.primary4.map(IpAddr::V4)), (true, v.primary6.map(IpAddr::V6))] {
            let all = v.sources.iter().find(|l| l.ipv6 == ipv6 && l.ifindex == 0);
            prop_assert_eq!(all.map(|l| l.addrs[0]), primary);
            let mut parts: Vec<IpAddr> = v.sources.iter().filter(|l| l.ipv6 == ipv6 && l.ifindex != 0).flat_map(|l| l.addrs.clone()).collect();
            let mut all = all.map(|l| l.addrs.clone()).unwrap_or_default();
            parts.sort();
            all.sort();
            prop_assert_eq!(parts, all);
        }
        for o in &v.onlink {
            prop_assert!(o.net.contains(&o.addr) && owned(o.addr));
            prop_assert_eq!(v.onlink.iter().filter(|p| p.net == o.net).count(), 1);
        }
    }

    #[test]
    fn a_source_is_of_the_set_or_there_is_none(
        entries in prop::collection::vec(any_entry(), 1..10),
        policy in any_policy(),
        dst in prop_oneof![(0_u32..80).prop_map(|h| format!("10.0.0.{h}")), (0_u32..80).prop_map(|h| format!("2001:db8::{h:x}")), Just("8.8.8.8".to_owned())],
        table in prop::collection::vec((24_u8..=32, 0_u32..80, 2_u32..6, prop::option::of(0_u32..80)), 0..8),
    ) {
        let routes: Vec<Route> = table
            .iter()
            .map(|(len, net, ifindex, src)| {
                let net = hostlet_model::IpNet::new(ip(&format!("10.0.0.{net}")), *len).unwrap().trunc();
                Route { dst: net, ifindex: *ifindex, gateway: None, source: src.map(|s| ip(&format!("10.0.0.{s}"))) }
            })
            .collect();
        let v = view_with(&entries, policy);
        let dst = ip(&dst);
        let has = if dst.is_ipv4() { v.has_v4 } else { v.has_v6 };
        let s = choose_source(&v, dst, &routes);
        prop_assert_eq!(s.is_some(), has);
        if let Some(s) = s {
            prop_assert!(entries.iter().any(|e| e.owned.contains(s.addr)));
            prop_assert_eq!(s.addr.is_ipv4(), dst.is_ipv4());
        }
    }
}
