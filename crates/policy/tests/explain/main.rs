//! Every kind of answer that `explain` gives: verdict, address, rule, row, and that its text is one.

#[path = "../common/mod.rs"]
mod common;

mod binds;
mod connects;

use std::net::IpAddr;

use common::*;
use hostlet_model::{HostletId, SetEntry, SourcePolicy};
use hostlet_policy::{
    Call, Explanation, KernelView, Network, Proto, Verdict, explain, kernel_view,
};
use proptest::prelude::*;

fn view(entries: &[SetEntry], ipv6: bool) -> KernelView {
    let s = spec("web", &[]);
    let reach = [
        "127.0.0.53:53".parse().unwrap(),
        "127.0.0.1:631".parse().unwrap(),
    ];
    kernel_view(HostletId(1), &s, entries, &reach, ipv6)
}

fn both() -> KernelView {
    view(
        &[
            entry("10.0.0.5", 24, 2),
            entry("10.0.0.6", 24, 2),
            entry("2001:db8::5", 64, 2),
        ],
        true,
    )
}

fn four() -> KernelView {
    view(&[entry("10.0.0.5", 24, 2)], true)
}

fn six() -> KernelView {
    view(&[entry("2001:db8::5", 64, 2)], true)
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn bind(v: &KernelView, addr: &str) -> Explanation {
    bind_as(v, addr, false)
}

fn bind_as(v: &KernelView, addr: &str, v6only: bool) -> Explanation {
    explain(
        v,
        &Call::Bind {
            proto: Proto::Tcp,
            addr: ip(addr),
            port: 80,
            v6only,
        },
        &Network::default(),
    )
}

fn connect(v: &KernelView, addr: &str, port: u16, from: Option<&str>) -> Explanation {
    explain(
        v,
        &Call::Connect {
            proto: Proto::Tcp,
            addr: ip(addr),
            port,
            from: from.map(ip),
            dual: None,
        },
        &Network::default(),
    )
}

fn send(v: &KernelView, addr: &str, port: u16, from: Option<&str>) -> Explanation {
    explain(
        v,
        &Call::Send {
            proto: Proto::Udp,
            addr: ip(addr),
            port,
            from: from.map(ip),
        },
        &Network::default(),
    )
}

/// Compares verdict, address, rule and row.
#[track_caller]
fn is(e: &Explanation, wanted: &str) {
    let address = e.address.map_or("-".to_owned(), |a| a.to_string());
    let got = format!("{} {address} {} {}", e.verdict, e.rule, e.row);
    assert_eq!(got, wanted, "{}", e.text);
}

use Verdict::{Allowed, Dropped, PassedThrough, Refused, Translated};

#[test]
fn datagrams() {
    let v = both();
    is(&send_to(&v, None), "allowed 10.0.0.5 source-policy A7");
    assert!(
        send_to(&v, None)
            .text
            .contains("the address that the client asked")
    );
    is(
        &send_to(&v, Some("10.0.0.6")),
        "allowed 10.0.0.6 bound-source A8",
    );
    is(
        &send_to(&v, Some("10.0.0.1")),
        "refused (EINVAL) - foreign-source A8",
    );
    is(
        &send(&v, "127.0.0.1", 53, Some("127.0.0.1")),
        "translated 127.64.0.1 own-loopback A2",
    );
}

fn send_to(v: &KernelView, from: Option<&str>) -> Explanation {
    send(v, "198.51.100.7", 53, from)
}

#[test]
fn sockets() {
    let of = |v: &KernelView, proto| explain(v, &Call::Socket { proto }, &Network::default());
    let v = both();
    for proto in [Proto::Tcp, Proto::Udp, Proto::UdpLite, Proto::Ping] {
        is(&of(&v, proto), "allowed - confined-protocol A15");
    }
    is(&of(&v, Proto::Raw), "refused (EPERM) - raw A15");
    is(
        &of(&v, Proto::Packet),
        "refused (EAFNOSUPPORT) - socket-family A15",
    );
    for proto in [Proto::Mptcp, Proto::Sctp, Proto::Dccp] {
        is(&of(&v, proto), "refused (EPROTONOSUPPORT) - protocol A15");
    }
    let granted = KernelView {
        raw: true,
        ..v.clone()
    };
    is(&of(&granted, Proto::Raw), "allowed - raw-granted A15");
    // A call on a socket that cannot be made.
    let call = Call::Bind {
        proto: Proto::Raw,
        addr: ip("10.0.0.5"),
        port: 0,
        v6only: false,
    };
    is(
        &explain(&v, &call, &Network::default()),
        "refused (EPERM) - raw A15",
    );
}

#[test]
fn ping_sockets_are_the_guards_business() {
    let v = both();
    let call = |addr: &str| Call::Bind {
        proto: Proto::Ping,
        addr: ip(addr),
        port: 0,
        v6only: false,
    };
    is(
        &explain(&v, &call("10.0.0.1"), &Network::default()),
        "dropped - guard A16",
    );
    is(
        &explain(&v, &call("10.0.0.5"), &Network::default()),
        "allowed 10.0.0.5 own-address A5",
    );
}

#[test]
fn calls_and_verdicts_in_words() {
    let c = Call::Connect {
        proto: Proto::Tcp,
        addr: ip("2001:db8::1"),
        port: 80,
        from: Some(ip("2001:db8::5")),
        dual: None,
    };
    assert_eq!(
        c.to_string(),
        "connect tcp [2001:db8::1]:80 from 2001:db8::5"
    );
    assert_eq!(Call::Socket { proto: Proto::Raw }.to_string(), "socket raw");
    assert_eq!(Refused("EINVAL").to_string(), "refused (EINVAL)");
}

/// Of each kind that is treated in its own way.
const KINDS: &str = "0.0.0.0 127.0.0.1 127.0.0.53 127.64.0.1 127.64.0.2 10.0.0.5 10.0.0.6 10.0.0.1 10.0.0.255 224.0.0.1 \
     255.255.255.255 :: ::1 2001:db8::5 2001:db8::1 ff02::1 fe80::1 ::ffff:10.0.0.5 ::ffff:127.0.0.1 ::ffff:0.0.0.0 \
     fd68:6f73:746c:7400::1";

fn any_ip() -> impl Strategy<Value = IpAddr> {
    let kinds: Vec<&str> = KINDS.split_whitespace().collect();
    prop_oneof![prop::sample::select(kinds).prop_map(ip), any::<IpAddr>()]
}

proptest! {
    #[test]
    fn whatever_is_asked_nothing_foreign_is_used(
        addr in any_ip(), from in prop::option::of(any_ip()), port in any::<u16>(), v6only in any::<bool>(),
        which in 0_usize..3, kind in 0_usize..3, random in any::<bool>(),
    ) {
        let mut v = [both(), four(), six()][which].clone();
        v.source = if random { SourcePolicy::Random } else { SourcePolicy::ByDestination };
        let proto = Proto::Udp;
        let call = match kind {
            0 => Call::Bind { proto, addr, port, v6only },
            1 => Call::Connect { proto, addr, port, from, dual: None },
            _ => Call::Send { proto, addr, port, from },
        };
        let e = explain(&v, &call, &Network::default());
        prop_assert!(!e.text.is_empty() && !e.rule.is_empty() && e.row.starts_with('A'));
        let mine = |a: IpAddr| {
            v.owned.iter().any(|o| o.contains(a)) || (a.is_ipv4() && a.is_loopback()) || v.loop6.map(IpAddr::V6) == Some(a)
        };
        let group = |a: IpAddr| a.is_multicast() || a == ip("255.255.255.255") || matches!(a, IpAddr::V4(b) if v.broadcasts.contains(&b));
        match e.verdict {
            Refused(_) | Dropped | PassedThrough => prop_assert_eq!(e.address, None),
            Allowed | Translated => {
                let a = e.address.expect("an address").to_canonical();
                prop_assert!(mine(a) || group(a), "{}: {}", a, e.text);
            }
        }
    }
}
