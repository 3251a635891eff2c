//! Specifications, host-loopback exceptions, lifetimes.

use hostlet_model::{
    HostLoopback, HostLoopbackError, HostletSpec, Lifetime, SetEntry, SourcePolicy,
};

#[test]
fn services_on_the_hosts_loopback() {
    for s in ["127.0.0.53:53", "127.0.0.1:631", "[::1]:53"] {
        let h: HostLoopback = s.parse().unwrap();
        assert_eq!(h.to_string(), s);
    }
    let of = |s: &str| s.parse::<HostLoopback>().unwrap_err();
    assert!(matches!(
        of("127.0.0.53"),
        HostLoopbackError::Malformed { .. }
    ));
    assert!(matches!(
        of("localhost:53"),
        HostLoopbackError::Malformed { .. }
    ));
    assert!(matches!(of("::1:53"), HostLoopbackError::Malformed { .. }));
    assert!(matches!(
        of("127.0.0.1:65536"),
        HostLoopbackError::Malformed { .. }
    ));
    assert!(matches!(
        of("10.0.0.1:53"),
        HostLoopbackError::NotLoopback { .. }
    ));
    assert!(matches!(
        of("[::ffff:127.0.0.1]:53"),
        HostLoopbackError::NotLoopback { .. }
    ));
    assert!(matches!(
        of("127.0.0.1:0"),
        HostLoopbackError::NoPort { .. }
    ));
    assert!(matches!(
        of("127.64.0.1:53"),
        HostLoopbackError::Reserved { .. }
    ));
    assert!(matches!(
        of("127.192.0.1:53"),
        HostLoopbackError::Reserved { .. }
    ));
    assert!(matches!(
        of("127.127.255.255:53"),
        HostLoopbackError::Reserved { .. }
    ));
    assert!("127.128.0.1:53".parse::<HostLoopback>().is_ok());
}

#[test]
fn source_policies() {
    for (name, p) in SourcePolicy::ALL {
        assert_eq!(name.parse::<SourcePolicy>().unwrap(), p);
        assert_eq!(p.to_string(), name);
        assert_eq!(serde_json::to_string(&p).unwrap(), format!("\"{name}\""));
    }
    assert!(
        "Primary"
            .parse::<SourcePolicy>()
            .unwrap_err()
            .to_string()
            .contains("by-destination")
    );
    assert_eq!(SourcePolicy::default(), SourcePolicy::Primary);
}

#[test]
fn a_spec_and_back() {
    let mut s = HostletSpec::new("web".parse().unwrap(), vec!["10.0.0.5/24".parse().unwrap()]);
    s.host_loopback.push("127.0.0.53:53".parse().unwrap());
    s.assign = Some("eth0".into());
    let json = serde_json::to_string(&s).unwrap();
    assert_eq!(serde_json::from_str::<HostletSpec>(&json).unwrap(), s);
    let short: HostletSpec =
        serde_json::from_str(r#"{"name":"web","addresses":["10.0.0.5"]}"#).unwrap();
    assert!(short.guard && !short.raw && short.assign.is_none());
}

#[test]
fn entries_and_lifetimes_and_back() {
    let e = SetEntry {
        owned: "2001:db8:7::/64".parse().unwrap(),
        onlink: 64,
        ifindex: 3,
        interface: "eth0".into(),
        assigned: true,
    };
    let json = serde_json::to_string(&e).unwrap();
    assert_eq!(serde_json::from_str::<SetEntry>(&json).unwrap(), e);
    for l in [
        Lifetime::Run {
            pid: 7,
            start_ticks: 99,
        },
        Lifetime::Kept,
        Lifetime::Declared,
    ] {
        let json = serde_json::to_string(&l).unwrap();
        assert_eq!(serde_json::from_str::<Lifetime>(&json).unwrap(), l);
    }
}
