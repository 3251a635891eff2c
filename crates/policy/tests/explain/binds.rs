//! Of `bind`.

use super::*;

#[test]
fn bind_to_addresses() {
    let v = both();
    is(&bind(&v, "10.0.0.6"), "allowed 10.0.0.6 own-address A5");
    is(
        &bind(&v, "::ffff:10.0.0.6"),
        "allowed 10.0.0.6 own-address A5",
    );
    is(&bind(&v, "127.64.0.1"), "allowed 127.64.0.1 own-address A5");
    is(
        &bind(&v, "10.0.0.1"),
        "refused (EADDRNOTAVAIL) - foreign-address A5",
    );
    is(
        &bind(&v, "2001:db8::1"),
        "refused (EADDRNOTAVAIL) - foreign-address A5",
    );
    for further in ["127.64.0.2", "127.0.0.53", "127.0.0.0"] {
        is(
            &bind(&v, further),
            &format!("allowed {further} further-loopback A2"),
        );
    }
    is(
        &bind(&v, "127.255.255.255"),
        "refused (EADDRNOTAVAIL) - foreign-address A5",
    );
    for group in ["224.0.0.251", "ff02::fb", "255.255.255.255", "10.0.0.255"] {
        is(
            &bind(&v, group),
            &format!("allowed {group} group-address A5"),
        );
    }
    is(
        &bind(&v, "10.0.1.255"),
        "refused (EADDRNOTAVAIL) - foreign-address A5",
    );
    assert!(bind(&v, "10.0.0.1").text.contains("10.0.0.1:80"));
}

#[test]
fn bind_to_the_loopback() {
    let v = both();
    is(
        &bind(&v, "127.0.0.1"),
        "translated 127.64.0.1 own-loopback A2",
    );
    is(
        &bind(&v, "::1"),
        "translated fd68:6f73:746c:7400::1 own-loopback A2",
    );
    is(
        &bind(&view(&[entry("10.0.0.5", 24, 2)], false), "::1"),
        "refused (EADDRNOTAVAIL) - no-ipv6 A2",
    );
}

#[test]
fn bind_to_the_wildcard() {
    let w = |v: &KernelView, a, v6only, to: &str, rule| {
        is(
            &bind_as(v, a, v6only),
            &format!("translated {to} {rule} A6"),
        )
    };
    w(&both(), "0.0.0.0", false, "10.0.0.5", "wildcard");
    w(&both(), "::", false, "::ffff:10.0.0.5", "wildcard");
    w(&both(), "::", true, "2001:db8::5", "wildcard");
    w(
        &both(),
        "::ffff:0.0.0.0",
        false,
        "::ffff:10.0.0.5",
        "wildcard",
    );
    w(&four(), "::", false, "::ffff:10.0.0.5", "wildcard");
    w(
        &four(),
        "::",
        true,
        "fd68:6f73:746c:7400::1",
        "wildcard-loopback",
    );
    w(&six(), "::", false, "2001:db8::5", "wildcard");
    w(&six(), "0.0.0.0", false, "127.64.0.1", "wildcard-loopback");
    is(
        &bind_as(&view(&[entry("10.0.0.5", 24, 2)], false), "::", true),
        "refused (EADDRNOTAVAIL) - no-ipv6 A6",
    );
}
