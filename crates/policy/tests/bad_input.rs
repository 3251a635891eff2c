//! Every bad input that the machine decides about: each is refused for its own reason, which says what to do.

mod common;

use common::*;
use hostlet_model::{HostletSpec, Lifetime, SetError};
use hostlet_policy::{
    IdRange, Observed, Refusal, Route, plan_create, plan_grant, plan_remove, plan_revoke,
};

fn refused(s: &HostletSpec, seen: &Observed) -> Refusal {
    plan_create(s, &Lifetime::Kept, seen).expect_err("taken")
}

/// The refusal is of this variant, and its message has all of these.
macro_rules! says {
    ($e:expr, $variant:pat, $($part:literal),+) => {{
        let e: Refusal = $e;
        assert!(matches!(e, $variant), "{e:?}");
        $(assert!(e.to_string().contains($part), "{e}");)+
    }};
}

#[test]
fn duplicate_name() {
    let (w, _) = with(&machine(), &spec("web", &["10.0.0.5"]));
    says!(
        refused(&spec("web", &["10.0.0.1"]), &w.seen),
        Refusal::DuplicateName { .. },
        "'web' already",
        "hostlet remove web"
    );
}

#[test]
fn unknown_name() {
    let (w, _) = with(&machine(), &spec("web", &["10.0.0.5"]));
    says!(
        w.seen.hostlet(&name("web2")).unwrap_err(),
        Refusal::UnknownName { .. },
        "'web2'",
        "did you mean web?"
    );
    says!(
        w.seen.hostlet(&name("x")).unwrap_err(),
        Refusal::UnknownName { .. },
        "hostlet list"
    );
    assert!(w.seen.hostlet(&name("web")).is_ok());
}

#[test]
fn not_on_the_host() {
    let seen = machine();
    let of = |a: &str| refused(&spec("web", &[a]), &seen);
    says!(
        of("10.0.0.9"),
        Refusal::NotOnHost { .. },
        "ip addr add 10.0.0.9/24 dev eth0",
        "--assign"
    );
    says!(
        of("10.1.7.9"),
        Refusal::NotOnHost { .. },
        "ip addr add 10.1.7.9/16 dev eth1"
    );
    says!(
        of("192.0.2.9"),
        Refusal::NotOnHost { .. },
        "ip addr add 192.0.2.9/32 dev eth0"
    );
    says!(
        of("192.0.2.9/28"),
        Refusal::NotOnHost { .. },
        "ip addr add 192.0.2.9/28 dev eth0"
    );
    says!(
        of("2001:db8::9"),
        Refusal::NotOnHost { .. },
        "ip addr add 2001:db8::9/64 dev eth0"
    );
    says!(
        of("fe80::9%eth1"),
        Refusal::NotOnHost { .. },
        "ip addr add fe80::9/64 dev eth1"
    );
    says!(
        of("10.8.0.0/24"),
        Refusal::PrefixNotLocal { .. },
        "ip route add local 10.8.0.0/24 dev lo",
        "--assign"
    );
    // Part of it is no more than none of it.
    says!(
        of("10.9.0.0/23"),
        Refusal::Set(_) | Refusal::PrefixNotLocal { .. },
        "10.9"
    );
}

#[test]
fn not_on_a_host_without_interfaces() {
    let e = refused(
        &spec("web", &["10.0.0.9"]),
        &Observed {
            limit: 8,
            ..Observed::default()
        },
    );
    says!(e, Refusal::NotOnHost { .. }, "dev INTERFACE");
}

#[test]
fn in_another_hostlet() {
    let (w, _) = with(&machine(), &spec("web", &["10.0.0.5", "10.9.0.0/24"]));
    says!(
        refused(&spec("db", &["10.0.0.5"]), &w.seen),
        Refusal::Taken { .. },
        "10.0.0.5 belongs to hostlet 'web':"
    );
    says!(
        refused(&spec("db", &["10.9.0.7"]), &w.seen),
        Refusal::Taken { .. },
        "'web' (it has 10.9.0.0/24)"
    );
    says!(
        refused(&assigned("db", &["10.8.0.0/14"], "eth0"), &w.seen),
        Refusal::Taken { .. },
        "10.8.0.0/14 belongs"
    );
}

#[test]
fn overlapping() {
    says!(
        refused(&spec("web", &["10.9.0.7", "10.9.0.0/24"]), &machine()),
        Refusal::Set(SetError::Overlap { .. }),
        "10.9.0.7 lies within 10.9.0.0/24"
    );
    says!(
        refused(&spec("web", &["10.0.0.5", "10.0.0.5/24"]), &machine()),
        Refusal::Set(SetError::Duplicate { .. }),
        "twice"
    );
    says!(
        refused(&spec("web", &[]), &machine()),
        Refusal::Set(SetError::Empty),
        "--address"
    );
}

#[test]
fn no_ipv6() {
    let seen = Observed {
        ipv6: false,
        ..machine()
    };
    says!(
        refused(&spec("web", &["10.0.0.5", "2001:db8::5"]), &seen),
        Refusal::NoIpv6 { .. },
        "2001:db8::5",
        "disable_ipv6"
    );
    says!(
        refused(&assigned("web", &["2001:db8:7::/64"], "eth0"), &seen),
        Refusal::NoIpv6 { .. },
        "switched off"
    );
    let (w, h) = with(&seen, &spec("web", &["10.0.0.5"]));
    assert!(w.loopbacks6.is_empty() && w.views[&h.id].loop6.is_none());
    w.assert_sound();
    says!(
        plan_grant(&h, &wish("2001:db8::5"), None, &w.seen).unwrap_err(),
        Refusal::NoIpv6 { .. },
        "IPv6"
    );
}

#[test]
fn ipv6_prefix_without_nonlocal_bind() {
    let seen = Observed {
        ipv6_nonlocal_bind: false,
        ..machine()
    };
    says!(
        refused(&assigned("web", &["2001:db8:7::/64"], "eth0"), &seen),
        Refusal::NeedsNonlocalBind { .. },
        "sysctl -w net.ipv6.ip_nonlocal_bind=1"
    );
    assert!(plan_create(&spec("web", &["10.9.0.0/24"]), &Lifetime::Kept, &seen).is_ok());
}

#[test]
fn unknown_interface() {
    says!(
        refused(&assigned("web", &["10.0.0.9"], "eth9"), &machine()),
        Refusal::UnknownInterface { .. },
        "'eth9'",
        "lo, eth0, eth1, eth2"
    );
    // Also where nothing would have to be put on it.
    says!(
        refused(&assigned("web", &["10.0.0.5"], "eth9"), &machine()),
        Refusal::UnknownInterface { .. },
        "'eth9'"
    );
    says!(
        refused(&spec("web", &["fe80::9%eth9"]), &machine()),
        Refusal::UnknownInterface { .. },
        "'eth9'"
    );
}

#[test]
fn interface_down() {
    says!(
        refused(&assigned("web", &["10.5.0.9"], "eth2"), &machine()),
        Refusal::InterfaceDown { .. },
        "ip link set eth2 up"
    );
    says!(
        refused(&assigned("web", &["10.8.0.0/24"], "eth2"), &machine()),
        Refusal::InterfaceDown { .. },
        "ip link set eth2 up"
    );
}

#[test]
fn link_local_of_another_interface() {
    says!(
        refused(&assigned("web", &["fe80::9%eth0"], "eth1"), &machine()),
        Refusal::OtherZone { .. },
        "fe80::9%eth0",
        "'eth1'"
    );
}

#[test]
fn addresses_of_no_host() {
    says!(
        refused(&assigned("web", &["10.0.0.255"], "eth0"), &machine()),
        Refusal::NoHostAddress { .. },
        "broadcast address of 10.0.0.0/24",
        "eth0"
    );
    says!(
        refused(&assigned("web", &["10.0.0.255/24"], "eth0"), &machine()),
        Refusal::NoHostAddress { .. },
        "broadcast"
    );
    says!(
        refused(&assigned("web", &["10.0.0.0"], "eth0"), &machine()),
        Refusal::NoHostAddress { .. },
        "network address"
    );
}

/// What becomes this machine's own is not reached elsewhere any more.
#[test]
fn next_hops_of_routes() {
    let mut seen = machine();
    let route = |dst: &str, gateway: &str| Route {
        dst: dst.parse().unwrap(),
        ifindex: 2,
        gateway: Some(gateway.parse().unwrap()),
        source: None,
    };
    seen.routes = vec![
        route("0.0.0.0/0", "10.0.0.14"),
        route("198.51.100.0/24", "10.0.0.130"),
    ];
    says!(
        refused(&assigned("web", &["10.0.0.0/28"], "eth0"), &seen),
        Refusal::NextHop { .. },
        "10.0.0.0/28 includes 10.0.0.14",
        "default route",
        "a prefix without it"
    );
    says!(
        refused(&assigned("web", &["10.0.0.130"], "eth0"), &seen),
        Refusal::NextHop { .. },
        "10.0.0.130 is the next hop of this machine's route to 198.51.100.0/24",
        "another address"
    );
    let plan = |prefix: &str| {
        let spec = assigned("web", &[prefix], "eth0");
        plan_create(&spec, &Lifetime::Kept, &seen).unwrap()
    };
    assert!(plan("10.0.0.64/28").warnings.is_empty());
    seen.routes.clear();
    let spec = assigned("web", &["10.0.0.0/24"], "eth0");
    let plan = plan_create(&spec, &Lifetime::Kept, &seen).unwrap();
    let neighbours = |w: &String| w.contains("10.0.0.0/24 covers 10.0.0.0/24 of eth0");
    assert!(plan.warnings.iter().any(neighbours), "{:?}", plan.warnings);
}

/// A slip of the pen in the length takes routes away from the machine.
#[test]
fn lengths_wider_than_the_subnet() {
    let warned = |address: &str| {
        let spec = assigned("web", &[address], "eth0");
        let plan = plan_create(&spec, &Lifetime::Kept, &machine());
        plan.unwrap().warnings
    };
    for as_wide_or_less in ["10.0.0.9", "10.0.0.9/24", "10.0.0.9/32", "203.0.113.9/24"] {
        assert_eq!(
            warned(as_wide_or_less),
            [] as [&str; 0],
            "{as_wide_or_less}"
        );
    }
    let wide = warned("10.0.0.9/8");
    let says = "10.0.0.9/8 makes all of 10.0.0.0/8 neighbours on eth0, not 10.0.0.0/24 alone";
    assert!(wide.len() == 1 && wide[0].starts_with(says), "{wide:?}");
    assert!(wide[0].ends_with("10.0.0.9/24 would not"), "{wide:?}");
}

#[test]
fn limits() {
    let (mut w, _) = with(&machine(), &spec("web", &["10.0.0.5"]));
    w.seen.limit = 1;
    says!(
        refused(&spec("db", &["10.0.0.1"]), &w.seen),
        Refusal::LimitReached { limit: 1 },
        "[limits]"
    );
    w.seen.limit = 8;
    w.seen.ids = IdRange {
        first: 1,
        last: 1,
        next: 1,
    };
    says!(
        refused(&spec("db", &["10.0.0.1"]), &w.seen),
        Refusal::NoFreeId { .. },
        "remove a hostlet"
    );
}

#[test]
fn grants() {
    let (w, h) = with(&machine(), &spec("web", &["10.0.0.5", "10.9.0.0/24"]));
    let of = |a: &str| plan_grant(&h, &wish(a), None, &w.seen).unwrap_err();
    says!(
        of("10.0.0.5/24"),
        Refusal::AlreadyHas { .. },
        "'web' has 10.0.0.5 already"
    );
    says!(
        of("10.9.0.7"),
        Refusal::Set(SetError::Overlap { .. }),
        "10.9.0.7 lies within 10.9.0.0/24"
    );
    says!(
        of("10.9.0.0/16"),
        Refusal::Set(SetError::Overlap { .. }),
        "10.9.0.0/24 lies within 10.9.0.0/16"
    );
    says!(of("10.0.0.9"), Refusal::NotOnHost { .. }, "ip addr add");
    let full: Vec<_> = (0..256)
        .map(|i| entry(&format!("10.3.{i}.1"), 32, 2))
        .collect();
    let h = hostlet_policy::Existing { entries: full, ..h };
    says!(
        plan_grant(&h, &wish("10.0.0.1"), None, &w.seen).unwrap_err(),
        Refusal::Set(SetError::TooMany { count: 257 }),
        "prefix"
    );
}

#[test]
fn revokes() {
    let (w, h) = with(&machine(), &spec("web", &["10.0.0.5"]));
    says!(
        plan_revoke(&h, &owned("10.0.0.5"), &w.seen).unwrap_err(),
        Refusal::LastAddress { .. },
        "last address",
        "hostlet remove web"
    );
    says!(
        plan_revoke(&h, &owned("10.0.0.1"), &w.seen).unwrap_err(),
        Refusal::DoesNotHave { .. },
        "does not have 10.0.0.1; it has 10.0.0.5"
    );
}

#[test]
fn removal_with_members() {
    let (_, mut h) = with(&machine(), &spec("web", &["10.0.0.5"]));
    h.members = vec![17];
    says!(
        plan_remove(&h, false).unwrap_err(),
        Refusal::Inhabited { .. },
        "process 17",
        "hostlet apply --kill"
    );
    h.members = (1..=20).collect();
    says!(
        plan_remove(&h, false).unwrap_err(),
        Refusal::Inhabited { .. },
        "7, 8, …"
    );
    assert!(plan_remove(&h, true).is_ok());
}
