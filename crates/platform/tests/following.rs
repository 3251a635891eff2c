//! Changes of the network that others make: heard of, and followed in memory.

mod common;

use common::links::{has, ip, link};
use common::{in_netns, sh};
use hostlet_platform::netlink::{self, AddressKind, RouteWatch};
use rustix::event::{PollFd, PollFlags, poll};

#[test]
fn changes_are_noticed() {
    in_netns(|| {
        let va = link();
        let watch = RouteWatch::open().unwrap();
        assert!(!watch.drain().unwrap());
        let told = || {
            let mut fds = [PollFd::new(&watch, PollFlags::IN)];
            assert_eq!(poll(&mut fds, None).unwrap(), 1);
            watch.drain().unwrap()
        };
        sh("ip addr add 10.1.2.3/32 dev va");
        assert!(told());
        assert!(!watch.drain().unwrap());
        // Hostlets that come and go are nothing new to hostlet.
        netlink::add_address(va, ip("10.1.2.4"), 32, AddressKind::Plain).unwrap();
        assert!(!told());
        sh("ip addr del 10.1.2.4/32 dev va");
        assert!(told());
        // On `lo` there may be their loopbacks, and addresses that were assigned there.
        for (addr, len, news) in [
            ("fd68:6f73:746c:7400::1", 128, false),
            ("10.1.2.5", 32, true),
            ("2001:db8::5", 128, true),
        ] {
            netlink::add_address(1, ip(addr), len, AddressKind::Plain).unwrap();
            assert!(!told());
            sh(&format!("ip addr del {addr}/{len} dev lo"));
            assert_eq!(told(), news, "{addr}");
        }
    });
}

#[test]
fn a_thousand_addresses_are_read_whole() {
    in_netns(|| {
        let va = link();
        for n in 0..1000u32 {
            let addr = std::net::Ipv4Addr::from(0x0a14_0000 + n).into();
            assert!(netlink::add_address(va, addr, 32, AddressKind::Plain).unwrap());
        }
        let found = netlink::addresses().unwrap();
        assert_eq!(
            found
                .iter()
                .filter(|a| a.ifindex == va && a.prefix_len == 32)
                .count(),
            1000
        );
    });
}

#[test]
fn what_is_kept_in_memory_is_what_the_kernel_has() {
    in_netns(|| {
        let va = link();
        sh("sysctl -qw net.ipv6.conf.va.addr_gen_mode=1 || true; ip addr add 10.1.0.1/24 dev va");
        // Both, in an order that does not depend on when they came.
        let all = || {
            let mut addresses: Vec<_> = netlink::addresses()
                .unwrap()
                .into_iter()
                .map(|a| (a.ifindex, a.addr, a.prefix_len, a.ours))
                .collect();
            addresses.sort();
            let mut routes = netlink::routes().unwrap();
            routes.sort_by_key(|r| (r.dst, r.metric));
            let mut interfaces = netlink::interfaces().unwrap();
            interfaces.sort_by_key(|i| i.index);
            let prefixes = netlink::local_prefixes().unwrap();
            (addresses, routes, interfaces, prefixes)
        };
        let plain = AddressKind::Plain;
        let changes: [&dyn Fn(); 14] = [
            &|| {},
            &|| assert!(netlink::lend_address(va, ip("10.1.0.9"), 32, None).unwrap()),
            &|| assert!(netlink::lend_address(va, ip("fd00::9"), 128, None).unwrap()),
            &|| assert!(!netlink::lend_address(va, ip("fd00::9"), 128, None).unwrap()),
            &|| {
                assert!(
                    netlink::add_address(1, ip("fd00::8"), 128, AddressKind::Loopback6).unwrap()
                )
            },
            &|| assert!(netlink::add_address(va, ip("10.1.0.8"), 24, plain).unwrap()),
            &|| assert!(netlink::add_local_prefix("10.9.0.0/24".parse().unwrap()).unwrap()),
            &|| drop(sh("ip route add 10.5.0.0/16 via 10.1.0.77 src 10.1.0.8")),
            &|| assert!(netlink::del_address(va, ip("10.1.0.8"), 24).unwrap()),
            &|| {
                drop(sh(
                    "ip addr add 10.2.0.1/24 dev va; ip link set vb mtu 1400",
                ))
            },
            &|| {
                drop(sh(
                    "ip addr del fd00::9/128 dev va; ip addr del 10.1.0.1/24 dev va",
                ))
            },
            &|| drop(sh("ip link set va down")),
            &|| {
                drop(sh(
                    "ip link set va up; ip link add vc type veth peer name ve; ip link set vc name vd",
                ))
            },
            &|| drop(sh("ip link del va")),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            let following = netlink::Following::begin().unwrap();
            let before = all();
            change();
            let kept = all();
            drop(following);
            assert_eq!(kept, all(), "change {n}");
            assert!(n == 0 || n == 3 || kept != before, "change {n} is none");
        }
    });
}

#[test]
fn more_changes_than_fit_are_seen_all_the_same() {
    in_netns(|| {
        let va = link();
        let following = netlink::Following::begin().unwrap();
        assert!(!has(va, "10.3.0.1", 32));
        let many: String = (0..4000)
            .map(|n| format!("addr add 10.3.{}.{}/32 dev va\n", n / 250, n % 250 + 1))
            .collect();
        sh(&format!("printf '{many}' | ip -b -"));
        assert!(has(va, "10.3.0.1", 32) && has(va, "10.3.15.250", 32));
        let kept = netlink::addresses().unwrap().len();
        drop(following);
        assert_eq!(kept, netlink::addresses().unwrap().len());
    });
}
