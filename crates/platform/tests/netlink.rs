//! Addresses and routes, in network namespaces of the tests' own.

mod common;

use std::net::IpAddr;
use std::time::Duration;

use common::links::{has, ip, link};
use common::{in_netns, sh};
use hostlet_platform::netlink::{self, AddressKind, Following, Placed, RouteWatch};

#[test]
fn interfaces_are_listed() {
    in_netns(|| {
        link();
        let found = netlink::interfaces().unwrap();
        let lo = found.iter().find(|i| i.name == "lo").unwrap();
        assert!(lo.up && lo.loopback);
        assert_eq!(lo.mac, None);
        let va = found.iter().find(|i| i.name == "va").unwrap();
        assert!(va.up && !va.loopback);
        let mac = va.mac.unwrap().map(|byte| format!("{byte:02x}")).join(":");
        assert!(sh("ip link show va").contains(&mac));
    });
}

/// Up to the one that cannot be put there, as one by one; also where the tables are read from memory.
#[test]
fn many_addresses_come_up_to_the_first_that_cannot_and_go() {
    let many_come_and_go = |followed: bool| {
        in_netns(move || {
            let va = link();
            let _following = followed.then(|| Following::begin().unwrap());
            let placed = |n: u8| Placed {
                ifindex: va,
                addr: IpAddr::from([10, 1, 2, n]),
                prefix_len: 32,
            };
            let all: Vec<Placed> = (0..100).map(placed).collect();
            let there = |n: u8| has(va, &format!("10.1.2.{n}"), 32);
            sh("ip address add 10.1.2.40/32 dev va");
            let mut done = 0;
            let end = loop {
                let (count, outcome) = netlink::add_addresses(&all[done..], AddressKind::Plain);
                done += count;
                match outcome {
                    Ok(true) => {}
                    other => break other,
                }
            };
            assert!(matches!(end, Ok(false)) && done == 40, "{end:?} {done}");
            assert!((0..=40).all(there) && !(41..100).any(there));
            // Those that are not there are no error.
            let mut left = &all[..];
            while !left.is_empty() {
                let (count, outcome) = netlink::del_addresses(left);
                outcome.unwrap();
                left = &left[count..];
            }
            assert!(!(0..100).any(there));
            let nowhere = Placed {
                ifindex: 9999,
                ..all[1]
            };
            let (done, outcome) =
                netlink::add_addresses(&[all[0], nowhere, all[2]], AddressKind::Plain);
            let error = outcome.unwrap_err().to_string();
            assert!(done == 1 && error.contains("interface 9999"), "{error}");
            assert!(there(0) && !there(2));
            // What went behind one that is refused is put back.
            netlink::add_addresses(&all[1..4], AddressKind::Plain)
                .1
                .unwrap();
            let refused = Placed {
                ifindex: va,
                addr: ip("2001:db8::7"),
                prefix_len: 129,
            };
            let (done, outcome) =
                netlink::del_addresses(&[all[0], all[9], refused, all[1], all[10], all[2]]);
            let error = outcome.unwrap_err().to_string();
            assert!(done == 2 && error.contains("2001:db8::7/129"), "{error}");
            assert_eq!(
                [0, 1, 2, 3, 9, 10].map(there),
                [false, true, true, true, false, false]
            );
        });
    };
    many_come_and_go(false);
    many_come_and_go(true);
}

#[test]
fn addresses_come_and_go_exactly() {
    in_netns(|| {
        let va = link();
        for (addr, len) in [("10.1.2.3", 24), ("2001:db8::3", 64)] {
            assert!(netlink::add_address(va, ip(addr), len, AddressKind::Plain).unwrap());
            assert!(!netlink::add_address(va, ip(addr), len, AddressKind::Plain).unwrap());
            assert!(has(va, addr, len));
            let found = netlink::addresses().unwrap();
            let found = found.iter().find(|a| a.addr == ip(addr)).unwrap();
            assert!(!found.tentative());
        }
        // No routes come with them.
        assert!(!sh("ip route; ip -6 route").contains("10.1.2.0/24"));
        assert!(!sh("ip -6 route").contains("2001:db8::/64"));
        for (addr, len) in [("10.1.2.3", 24), ("2001:db8::3", 64)] {
            assert!(netlink::del_address(va, ip(addr), len).unwrap());
            assert!(!netlink::del_address(va, ip(addr), len).unwrap());
            assert!(!has(va, addr, len));
        }
        assert!(netlink::add_address(va, ip("10.1.2.3"), 24, AddressKind::OnLink).unwrap());
        assert!(sh("ip route").contains("10.1.2.0/24"));
        let error = netlink::add_address(9999, ip("10.1.2.4"), 24, AddressKind::Plain);
        let error = error.unwrap_err().to_string();
        assert!(
            error.contains("10.1.2.4/24") && error.contains("9999"),
            "{error}"
        );
        assert!(!netlink::del_address(9999, ip("10.1.2.4"), 24).unwrap());
    });
}

fn ours(addr: &str) -> bool {
    let found = netlink::addresses().unwrap();
    found.iter().find(|a| a.addr == ip(addr)).unwrap().ours
}

#[test]
fn every_address_of_hostlets_carries_its_mark() {
    in_netns(|| {
        let va = link();
        sh("ip addr add 10.1.2.9/24 dev va; ip addr add 2001:db8::9/64 dev va");
        assert!(!ours("10.1.2.9") && !ours("2001:db8::9") && !ours("127.0.0.1"));
        for (addr, len) in [("10.1.2.3", 24), ("2001:db8::3", 64)] {
            assert!(netlink::add_address(va, ip(addr), len, AddressKind::OnLink).unwrap());
            assert!(ours(addr));
        }
        for (addr, len) in [("10.1.2.4", 24), ("2001:db8::4", 64)] {
            assert!(netlink::lend_address(va, ip(addr), len, None).unwrap());
            assert!(ours(addr));
        }
        for (addr, len) in [("10.1.2.9", 24), ("2001:db8::9", 64)] {
            assert!(!netlink::lend_address(va, ip(addr), len, None).unwrap());
            assert!(!ours(addr));
        }
    });
}

/// The lifetimes of an address, in whole seconds, as `ip` knows them.
fn lifetimes(addr: &str) -> String {
    let shown = sh(&format!("ip -o addr show to {addr} dev va"));
    shown.split_once("valid_lft").unwrap().1.trim().to_owned()
}

#[test]
fn a_lent_address_goes_by_itself_when_its_time_is_over() {
    in_netns(|| {
        let va = link();
        let hour = Some(Duration::from_millis(3_599_001));
        for (addr, len) in [("10.1.2.4", 24), ("2001:db8::4", 64)] {
            assert!(netlink::lend_address(va, ip(addr), len, hour).unwrap());
            let shown = lifetimes(addr);
            assert!(
                shown.starts_with("3600sec") || shown.starts_with("3599sec"),
                "{shown}"
            );
            // Bound at once, and nobody's source by chance.
            std::net::UdpSocket::bind((ip(addr), 0)).unwrap();
            assert!(len == 24 || shown.contains("preferred_lft 0sec"), "{shown}");

            assert!(netlink::set_lifetime(va, ip(addr), len, None).unwrap());
            assert!(lifetimes(addr).starts_with("forever"));
            let beyond = Some(Duration::from_secs(u64::MAX));
            assert!(netlink::set_lifetime(va, ip(addr), len, beyond).unwrap());
            assert!(ours(addr));
            assert!(!netlink::set_lifetime(va, ip(addr), len - 1, None).unwrap());
            assert!(!netlink::set_lifetime(9999, ip(addr), len, None).unwrap());
        }
        let routes = sh("ip route; ip -6 route");
        assert!(!routes.contains("10.1.2.0/24") && !routes.contains("2001:db8::/64"));
        // Neither another's address nor one that is not there.
        sh("ip addr add 10.1.2.9/24 dev va valid_lft 500 preferred_lft 500");
        assert!(!netlink::set_lifetime(va, ip("10.1.2.9"), 24, None).unwrap());
        assert!(!lifetimes("10.1.2.9").starts_with("forever"));
        assert!(!netlink::set_lifetime(va, ip("10.1.2.10"), 24, None).unwrap());
        assert!(!has(va, "10.1.2.10", 24));

        let watch = RouteWatch::open().unwrap();
        for (addr, len) in [("10.1.2.4", 24), ("2001:db8::4", 64)] {
            let now = Some(Duration::ZERO);
            assert!(netlink::set_lifetime(va, ip(addr), len, now).unwrap());
            while has(va, addr, len) {
                common::readable(&watch, "the address outlives its lease");
                watch.drain().unwrap();
            }
        }
    });
}

#[test]
fn a_dedicated_loopback_address_is_usable_and_never_preferred() {
    in_netns(|| {
        let found = netlink::interfaces().unwrap();
        let lo = found.iter().find(|i| i.loopback).unwrap().index;
        let addr = "fd68:6f73:746c:7400::1";
        assert!(netlink::add_address(lo, ip(addr), 128, AddressKind::Loopback6).unwrap());
        let shown = sh("ip -6 addr show dev lo");
        assert!(
            shown.contains("deprecated") && shown.contains("nodad"),
            "{shown}"
        );
        assert!(shown.contains("preferred_lft 0sec"), "{shown}");
        std::net::UdpSocket::bind((ip(addr), 0)).unwrap();
    });
}

#[test]
fn removing_the_first_address_of_a_subnet_spares_the_others() {
    in_netns(|| {
        let va = link();
        sh(
            "sysctl -qw net.ipv4.conf.all.promote_secondaries=0 net.ipv4.conf.va.promote_secondaries=0",
        );
        assert!(netlink::add_address(va, ip("10.1.2.3"), 24, AddressKind::Plain).unwrap());
        sh("ip addr add 10.1.2.4/24 dev va; ip addr add 10.1.2.5/24 dev va");
        assert!(netlink::del_address(va, ip("10.1.2.3"), 24).unwrap());
        assert!(has(va, "10.1.2.4", 24) && has(va, "10.1.2.5", 24));
        assert_eq!(
            sh("sysctl -n net.ipv4.conf.va.promote_secondaries").trim(),
            "0"
        );
    });
}

#[test]
fn an_interface_may_have_a_dot_in_its_name() {
    in_netns(|| {
        link();
        sh("ip link set va down; ip link set va name va.10; ip link set va.10 up");
        sh("sysctl -qw net.ipv4.conf.all.promote_secondaries=0");
        sh("echo 0 > /proc/sys/net/ipv4/conf/va.10/promote_secondaries");
        let found = netlink::interfaces().unwrap();
        let va = found.iter().find(|i| i.name == "va.10").unwrap().index;
        assert!(netlink::add_address(va, ip("10.1.2.3"), 24, AddressKind::Plain).unwrap());
        sh("ip addr add 10.1.2.4/24 dev va.10");
        assert!(netlink::del_address(va, ip("10.1.2.3"), 24).unwrap());
        assert!(has(va, "10.1.2.4", 24));
    });
}

#[test]
fn local_prefixes_come_and_go_and_foreign_ones_stay() {
    in_netns(|| {
        let four = "10.9.0.0/24".parse().unwrap();
        let six = "2001:db8:7::/64".parse().unwrap();
        assert!(netlink::local_prefixes().unwrap().is_empty());
        for prefix in [four, six] {
            assert!(netlink::add_local_prefix(prefix).unwrap());
            assert!(!netlink::add_local_prefix(prefix).unwrap());
        }
        assert_eq!(netlink::local_prefixes().unwrap(), [four, six]);
        std::net::UdpSocket::bind("10.9.0.77:0").unwrap();
        for prefix in [four, six] {
            assert!(netlink::del_local_prefix(prefix).unwrap());
            assert!(!netlink::del_local_prefix(prefix).unwrap());
        }
        sh("ip route add local 10.9.0.0/24 dev lo");
        assert!(!netlink::del_local_prefix(four).unwrap());
        assert_eq!(netlink::local_prefixes().unwrap(), [four]);
    });
}

#[test]
fn routes_of_all_shapes_are_read() {
    in_netns(|| {
        let va = link();
        sh(
            "ip addr add 10.1.2.3/24 dev va; ip -6 addr add 2001:db8::3/64 dev va nodad
            ip route add default via 10.1.2.1 metric 5 src 10.1.2.3
            ip route add 10.7.0.0/16 nexthop via 10.1.2.1 nexthop via 10.1.2.2
            ip route add blackhole 10.8.0.0/16
            ip route add 10.6.0.0/16 via 10.1.2.1 table 77
            ip -6 route add 2001:db8:9::/48 via 2001:db8::1 dev va",
        );
        let found = netlink::routes().unwrap();
        let to = |dst: &str| {
            let dst = dst.parse().unwrap();
            found.iter().filter(|r| r.dst == dst).collect::<Vec<_>>()
        };
        let default = to("0.0.0.0/0");
        assert_eq!(default.len(), 1);
        assert_eq!(default[0].gateway, Some(ip("10.1.2.1")));
        assert_eq!(default[0].prefsrc, Some(ip("10.1.2.3")));
        assert_eq!((default[0].metric, default[0].ifindex), (5, va));
        assert_eq!(to("10.1.2.0/24")[0].gateway, None);
        let many: Vec<_> = to("10.7.0.0/16").iter().map(|r| r.gateway).collect();
        assert_eq!(many, [Some(ip("10.1.2.1")), Some(ip("10.1.2.2"))]);
        assert!(to("10.8.0.0/16").is_empty() && to("10.6.0.0/16").is_empty());
        assert_eq!(to("2001:db8:9::/48")[0].gateway, Some(ip("2001:db8::1")));
    });
}
