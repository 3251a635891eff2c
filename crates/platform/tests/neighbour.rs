//! Probing and announcing, with another machine's kernel at the other end of the wire.

mod common;

use std::io::ErrorKind;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use common::{LIMIT, Netns};
use hostlet_platform::{neighbour, netlink};

const WAIT: Duration = Duration::from_millis(200);

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The same of both families: a free address, and one that the other machine has.
const FREE: [&str; 2] = ["192.0.2.50", "2001:db8::50"];
const TAKEN: [&str; 2] = ["192.0.2.9", "2001:db8::9"];

fn pair() -> (Netns, Netns) {
    let (a, b) = Netns::pair();
    a.sh("ip addr add 192.0.2.1/24 dev va; ip addr add 2001:db8::1/64 dev va");
    b.sh("ip addr add 192.0.2.9/24 dev vb; ip addr add 2001:db8::9/64 dev vb");
    (a, b)
}

#[test]
fn a_free_address_is_free_and_a_taken_one_names_its_user() {
    let (a, b) = pair();
    let (va, _) = a.link("va");
    let (_, mac) = b.link("vb");
    a.within(|| {
        for addr in FREE {
            let begin = Instant::now();
            assert_eq!(neighbour::probe(va, ip(addr), WAIT).unwrap(), None);
            assert!(begin.elapsed() >= WAIT);
        }
        for addr in TAKEN {
            let begin = Instant::now();
            let answer = neighbour::probe(va, ip(addr), LIMIT).unwrap();
            assert_eq!(answer, Some(mac), "{addr}");
            assert!(begin.elapsed() < LIMIT);
        }
    });
    // The asker had no address, so nobody learned one.
    assert!(!b.sh("ip neigh").contains("192.0.2.50"));
}

#[test]
fn two_who_want_the_same_address_notice_each_other() {
    let (a, b) = pair();
    let (va, a_mac) = a.link("va");
    let (vb, b_mac) = b.link("vb");
    for addr in FREE {
        // Whoever is told first asks no more, and the other may have missed its question.
        let wait = Duration::from_millis(400);
        let ask =
            |ns: &Netns, index| ns.within(|| neighbour::probe(index, ip(addr), wait).unwrap());
        let (one, other) = std::thread::scope(|scope| {
            let one = scope.spawn(|| ask(&a, va));
            let other = scope.spawn(|| ask(&b, vb));
            (one.join().unwrap(), other.join().unwrap())
        });
        let noticed = (one == Some(b_mac), other == Some(a_mac));
        assert!(noticed.0 || noticed.1, "{addr}: {one:?} {other:?}");
    }
}

#[test]
fn who_only_looks_for_an_address_does_not_use_it() {
    let (a, b) = pair();
    let (va, _) = a.link("va");
    for addr in FREE {
        // Its kernel asks for it three times, a second apart, beginning now.
        b.within(|| {
            let socket = std::net::UdpSocket::bind(if addr.contains(':') {
                "[::]:0"
            } else {
                "0.0.0.0:0"
            });
            let _ = socket.unwrap().send_to(b"x", (ip(addr), 9));
        });
        let wait = Duration::from_millis(1500);
        let found = a.within(|| neighbour::probe(va, ip(addr), wait).unwrap());
        assert_eq!(found, None, "{addr}");
    }
}

#[test]
fn an_announcement_moves_what_others_knew() {
    let (a, b) = pair();
    let (va, mac) = a.link("va");
    let mac = mac.map(|byte| format!("{byte:02x}")).join(":");
    let announcer = a.within(|| neighbour::Announcer::open().unwrap());
    for (addr, len) in [(FREE[0], 24), (FREE[1], 64)] {
        b.sh(&format!(
            "ip neigh add {addr} lladdr 02:00:00:00:00:99 dev vb nud stale"
        ));
        a.within(|| {
            assert!(netlink::lend_address(va, ip(addr), len, None).unwrap());
            announcer.announce(va, ip(addr)).unwrap();
        });
        let deadline = Instant::now() + LIMIT;
        loop {
            let shown = b.sh(&format!("ip neigh show {addr} dev vb"));
            if shown.contains(&mac) {
                break;
            }
            assert!(Instant::now() < deadline, "{addr}: {shown}");
        }
    }
}

#[test]
fn a_wire_that_resolves_nothing_is_left_alone() {
    let (a, b) = pair();
    let (_, mac) = b.link("vb");
    a.sh("ip link set va arp off");
    a.within(|| {
        let found = netlink::interfaces().unwrap();
        for interface in found.iter().filter(|i| i.up) {
            for addr in TAKEN {
                let begin = Instant::now();
                let free = neighbour::probe(interface.index, ip(addr), LIMIT);
                assert_eq!(free.unwrap(), None);
                assert!(begin.elapsed() < LIMIT);
                neighbour::Announcer::open()
                    .unwrap()
                    .announce(interface.index, ip(addr))
                    .unwrap();
            }
        }
        common::sh("ip link set va arp on");
        let va = found.iter().find(|i| i.name == "va").unwrap().index;
        let found = neighbour::probe(va, ip(TAKEN[0]), LIMIT).unwrap();
        assert_eq!(found, Some(mac));
    });
}

#[test]
fn what_cannot_be_asked_is_said() {
    let (a, _b) = pair();
    let (va, _) = a.link("va");
    a.within(|| {
        for addr in FREE {
            let error = neighbour::probe(9999, ip(addr), WAIT).unwrap_err();
            let text = error.to_string();
            assert!(text.contains(addr) && text.contains("9999"), "{text}");
            assert!(text.contains("ip link"), "{text}");
        }
        // Below this the kernel has no IPv6 on a link.
        common::sh("ip link set va mtu 1000");
        let text = neighbour::probe(va, ip(FREE[1]), WAIT);
        let text = text.unwrap_err().to_string();
        assert!(text.contains("no IPv6"), "{text}");
        common::sh("ip link set va down");
        let error = neighbour::probe(va, ip(FREE[0]), WAIT).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NetworkDown, "{error}");
        assert!(
            neighbour::Announcer::open()
                .unwrap()
                .announce(va, ip(FREE[0]))
                .is_err()
        );
    });
}
