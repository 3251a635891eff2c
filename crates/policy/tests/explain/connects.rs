//! Of `connect`.

use super::*;

/// A7, C6: the kernel refuses it; no hook does.
#[test]
fn tcp_connects_to_no_group() {
    for to in ["239.1.2.3", "10.0.0.255", "255.255.255.255", "ff02::1"] {
        let said = connect(&both(), to, 80, None);
        assert_eq!(said.verdict, Verdict::Refused("ENETUNREACH"), "{to}");
        assert_eq!(said.rule, "group-address");
    }
}

/// A7, C6: `::` and a port by number stands on an address of IPv4.
#[test]
fn a_socket_of_both_families_connects_to_ipv6_from_port_0_alone() {
    let ask = |v: &KernelView, to: &str, dual: Option<u16>| {
        let call = Call::Connect {
            proto: Proto::Tcp,
            addr: ip(to),
            port: 80,
            from: dual.map(|_| ip("::")),
            dual,
        };
        explain(v, &call, &Network::default())
    };
    for v in [both(), four(), six()] {
        for to in ["2001:db8::9", "::1"] {
            let said = ask(&v, to, Some(5555));
            assert_eq!(said.verdict, Verdict::Refused("EAFNOSUPPORT"), "{said:?}");
            assert_eq!(said.rule, "dual-stack");
        }
    }
    for (to, dual) in [
        ("10.0.0.9", Some(5555)),
        ("::ffff:10.0.0.9", Some(5555)),
        ("2001:db8::9", Some(0)),
        ("2001:db8::9", None),
    ] {
        assert_eq!(ask(&both(), to, dual).verdict, Verdict::Allowed, "{to}");
    }
    let unguarded = KernelView {
        guard: false,
        ..both()
    };
    assert_eq!(ask(&unguarded, "2001:db8::9", Some(0)).rule, "dual-stack");
}

#[test]
fn connect_to_others() {
    is(
        &connect(&four(), "198.51.100.7", 80, None),
        "allowed 10.0.0.5 only-address A7",
    );
    is(
        &connect(&both(), "198.51.100.7", 80, None),
        "allowed 10.0.0.5 source-policy A7",
    );
    is(
        &connect(&both(), "10.0.0.6", 80, None),
        "allowed 10.0.0.5 own-address A7",
    );
    is(
        &connect(&both(), "::ffff:10.0.0.6", 80, None),
        "allowed 10.0.0.5 own-address A7",
    );
    is(
        &connect(&four(), "2001:db8::1", 80, None),
        "refused (ENETUNREACH) - no-address A7",
    );
    is(
        &connect(&six(), "10.0.0.1", 80, None),
        "refused (ENETUNREACH) - no-address A7",
    );
    is(
        &connect(&both(), "10.0.0.9", 80, Some("10.0.0.6")),
        "allowed 10.0.0.6 bound-source A8",
    );
    is(
        &connect(&both(), "10.0.0.9", 80, Some("0.0.0.0")),
        "allowed 10.0.0.5 source-policy A7",
    );
    is(
        &connect(&both(), "10.0.0.9", 80, Some("10.0.0.1")),
        "refused (EINVAL) - foreign-source A8",
    );
    is(
        &connect(&both(), "127.0.0.1", 80, Some("10.0.0.1")),
        "refused (EINVAL) - foreign-source A8",
    );
    is(
        &connect(&both(), "10.0.0.9", 80, Some("127.64.0.1")),
        "refused (EINVAL) - loopback-source A8",
    );
}

#[test]
fn connect_to_the_loopback() {
    let v = both();
    for me in ["127.0.0.1", "0.0.0.0", "127.64.0.1"] {
        is(
            &connect(&v, me, 80, None),
            "translated 127.64.0.1 own-loopback A2",
        );
    }
    for me in ["::1", "::"] {
        let e = connect(&v, me, 80, None);
        assert_eq!(
            e.address,
            Some(ip("fd68:6f73:746c:7400::1")),
            "{me}: {}",
            e.text
        );
        assert!(!matches!(e.verdict, Refused(_)));
    }
    is(
        &connect(&v, "127.0.0.53", 53, None),
        "allowed 127.64.0.1 host-loopback A2",
    );
    is(
        &connect(&v, "127.0.0.1", 631, None),
        "allowed 127.64.0.1 host-loopback A2",
    );
    for further in ["127.0.0.53", "127.64.0.2", "127.0.0.0"] {
        is(
            &connect(&v, further, 80, None),
            "translated 127.64.0.1 further-loopback A2",
        );
    }
    is(
        &connect(&v, "127.0.0.1", 80, Some("127.0.0.5")),
        "translated 127.0.0.5 own-loopback A2",
    );
    is(
        &connect(&v, "10.0.0.9", 80, Some("127.0.0.5")),
        "refused (EINVAL) - loopback-source A8",
    );
    is(
        &connect(&v, "127.255.255.255", 80, None),
        "refused (ENETUNREACH) - foreign-loopback A2",
    );
    is(
        &send(&v, "127.255.255.255", 80, None),
        "refused (EACCES) - foreign-loopback A2",
    );
    is(
        &connect(&view(&[entry("10.0.0.5", 24, 2)], false), "::1", 80, None),
        "refused (ENETUNREACH) - no-ipv6 A2",
    );
}

#[test]
fn the_ipv6_loopback_of_another_hostlet() {
    let v = both();
    let e = connect(&v, "fd68:6f73:746c:7400::2", 80, None);
    is(&e, "dropped - guard A2");
    let e = connect(&v, "fd68:6f73:746c:7400::1", 80, None);
    assert_eq!(e.verdict, Allowed, "{}", e.text);
}
