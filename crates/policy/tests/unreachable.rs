//! B10: which destinations a hostlet's addresses are fit for, and what becomes of the others.

mod common;

use std::net::IpAddr;

use common::*;
use hostlet_model::{HostletId, HostletSpec, IpNet, SetEntry, Unreachable};
use hostlet_policy::{Call, Interface, KernelView, Network, Proto, Route, explain, kernel_view};

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn view(entries: &[SetEntry], unreachable: Option<Unreachable>) -> KernelView {
    let s = HostletSpec {
        unreachable,
        ..spec("web", &[])
    };
    kernel_view(HostletId(1), &s, entries, &[], true)
}

fn route(dst: &str, ifindex: u32, gateway: Option<&str>) -> Route {
    Route {
        dst: dst.parse().unwrap(),
        ifindex,
        gateway: gateway.map(ip),
        source: None,
    }
}

/// Interface 2 has the default routes, interface 3 another network.
fn routes() -> Vec<Route> {
    vec![
        route("10.0.0.0/24", 2, None),
        route("10.1.0.0/24", 3, None),
        route("0.0.0.0/0", 2, Some("10.0.0.1")),
        route("2001:db8::/64", 2, None),
        route("2001:db8:1::/64", 3, None),
    ]
}

fn on<'a>(routes: &'a [Route], local: &'a [IpNet]) -> Network<'a> {
    Network {
        routes,
        local,
        interfaces: &[],
    }
}

/// Verdict and rule of an unbound socket's call.
fn asked(v: &KernelView, to: &str) -> String {
    let local: Vec<IpNet> = vec!["10.1.0.1/32".parse().unwrap()];
    let call = |connect| {
        let (proto, addr, port, from) = (Proto::Udp, ip(to), 53, None);
        if connect {
            Call::Connect {
                proto,
                addr,
                port,
                from,
                dual: None,
            }
        } else {
            Call::Send {
                proto,
                addr,
                port,
                from,
            }
        }
    };
    let said = [true, false].map(|c| {
        let e = explain(v, &call(c), &on(&routes(), &local));
        format!("{} {}", e.verdict, e.rule)
    });
    assert_eq!(said[0], said[1]);
    said[0].clone()
}

#[test]
fn only_routes_by_its_interfaces_are_fit() {
    let on_two = [entry("10.0.0.5", 24, 2)];
    let v = view(&on_two, Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "10.0.0.9"), "allowed only-address");
    assert_eq!(asked(&v, "192.0.2.1"), "allowed only-address");
    assert_eq!(asked(&v, "10.1.0.9"), "refused (ENETUNREACH) no-route");
    let v = view(&on_two, Some(Unreachable::PassThrough));
    assert_eq!(asked(&v, "192.0.2.1"), "allowed only-address");
    assert_eq!(asked(&v, "10.1.0.9"), "passed through no-route");
    // Nobody asked for it.
    assert_eq!(
        asked(&view(&on_two, None), "10.1.0.9"),
        "allowed only-address"
    );
}

#[test]
fn what_is_local_to_the_machine_is_fit() {
    let v = view(&[entry("10.0.0.5", 24, 2)], Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "10.1.0.1"), "allowed only-address");
    assert_eq!(asked(&v, "127.0.0.1"), "translated own-loopback");
    let v = view(
        &[entry("10.0.0.5", 24, 2), entry("10.1.0.5", 32, 2)],
        Some(Unreachable::Refuse),
    );
    assert_eq!(asked(&v, "10.1.0.5"), "allowed own-address");
}

#[test]
fn what_has_no_route_and_groups_are_the_kernels_matter() {
    let v = view(&[entry("2001:db8::5", 64, 2)], Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "2001:db8:ff::1"), "allowed only-address");
    assert_eq!(asked(&v, "ff02::fb"), "allowed only-address");
    assert_eq!(asked(&v, "fe80::1"), "allowed only-address");
    assert_eq!(asked(&v, "2001:db8:1::9"), "refused (ENETUNREACH) no-route");
}

#[test]
fn a_family_without_addresses_passes_but_nothing_does_when_cut_off() {
    let v = view(&[entry("10.0.0.5", 24, 2)], Some(Unreachable::PassThrough));
    assert_eq!(asked(&v, "2001:db8::9"), "passed through no-route");
    let v = view(&[entry("10.0.0.5", 24, 2)], Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "2001:db8::9"), "refused (ENETUNREACH) no-address");
    let v = view(&[], Some(Unreachable::PassThrough));
    assert_eq!(asked(&v, "10.0.0.9"), "refused (ENETUNREACH) no-address");
}

#[test]
fn among_several_the_one_that_fits_is_used() {
    let both = [entry("10.0.0.5", 24, 2), entry("10.1.0.5", 24, 3)];
    let v = view(&both, Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "10.1.0.9"), "allowed next-hop-subnet");
    assert_eq!(asked(&v, "192.0.2.1"), "allowed next-hop-subnet");
    // On no link: fit for whatever nothing else is fit for.
    let linkless = [entry("10.0.0.5", 24, 2), entry("198.51.100.7", 32, 1)];
    let v = view(&linkless, Some(Unreachable::Refuse));
    assert_eq!(asked(&v, "10.0.0.9"), "allowed next-hop-subnet");
    assert_eq!(asked(&v, "10.1.0.9"), "allowed linkless-address");
}

#[test]
fn it_says_which_route_it_went_by() {
    let v = view(&[entry("10.1.0.5", 24, 3)], Some(Unreachable::Refuse));
    let call = Call::Connect {
        proto: Proto::Tcp,
        addr: ip("192.0.2.1"),
        port: 443,
        from: None,
        dual: None,
    };
    let routes = routes();
    let text = |interfaces: &[Interface]| {
        let network = Network {
            interfaces,
            ..on(&routes, &[])
        };
        explain(&v, &call, &network).text
    };
    let eth1 = Interface {
        index: 2,
        name: "eth1".to_owned(),
        up: true,
        loopback: false,
    };
    for (interfaces, name) in [(&[][..], "2"), (&[eth1], "eth1")] {
        let text = text(interfaces);
        let said = format!("0.0.0.0/0 through 10.0.0.1, leaves by interface {name},");
        assert!(text.contains(&said), "{text}");
    }
    // What the program bound to is its own matter.
    let call = Call::Connect {
        proto: Proto::Tcp,
        addr: ip("192.0.2.1"),
        port: 443,
        from: Some(ip("10.1.0.5")),
        dual: None,
    };
    assert_eq!(explain(&v, &call, &on(&routes, &[])).rule, "bound-source");
}
