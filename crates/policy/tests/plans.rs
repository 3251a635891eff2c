//! Plans performed on a simulated machine: what they make, what they leave, and that they can be taken back at every point.

mod common;

use std::net::IpAddr;

use common::*;
use hostlet_model::{HostletId, HostletSpec, Lifetime, Name};
use hostlet_policy::{
    Action, Existing, IdRange, Observed, plan_create, plan_grant, plan_remove, plan_restore,
    plan_revoke, plan_settle, reachable_services,
};
use proptest::prelude::*;

fn create(s: &HostletSpec, seen: &Observed) -> Vec<Action> {
    plan_create(s, &Lifetime::Kept, seen).unwrap().actions
}

fn lines(actions: &[Action]) -> Vec<String> {
    actions.iter().map(Action::to_string).collect()
}

#[test]
fn a_hostlet_on_an_address_of_the_host() {
    let actions = create(&spec("web", &["10.0.0.5"]), &machine());
    assert_eq!(
        lines(&actions),
        [
            "remember hostlet web (until it is removed)",
            "add a local route for IPv6 loopbacks",
            "make cgroup web",
            "make hostlet 1 the owner of 10.0.0.5",
            "make hostlet 1 the owner of 127.64.0.1",
            "make hostlet 1 the owner of fd68:6f73:746c:7400::1",
            "attach the kernel programs to cgroup web",
            "publish web to the kernel",
            "mark web as live",
        ]
    );
    // Where what is bound has to be on an interface, so has the loopback.
    let strict = Observed {
        ipv6_nonlocal_bind: false,
        ..machine()
    };
    let actions = create(&spec("web", &["10.0.0.5"]), &strict);
    assert_eq!(
        lines(&actions)[1],
        "add loopback fd68:6f73:746c:7400::1 to lo"
    );
}

#[test]
fn what_is_assigned_is_taken_away_again_and_nothing_else() {
    let s = assigned(
        "web",
        &[
            "10.0.0.5",
            "10.0.0.9",
            "192.0.2.9/28",
            "2001:db8:7::/64",
            "fe80::9%eth0",
        ],
        "eth0",
    );
    let start = machine();
    let (mut w, h) = with(&start, &s);
    w.assert_sound();
    let here: Vec<String> = lines(&create(&s, &start))
        .into_iter()
        .filter(|l| l.starts_with("add "))
        .collect();
    assert_eq!(
        here,
        [
            "add 10.0.0.9/24 to eth0",
            "add 192.0.2.9/28 to eth0",
            "add a local route for 2001:db8:7::/64",
            "add fe80::9/64 to eth0",
            "add a local route for IPv6 loopbacks",
        ]
    );
    assert_eq!(
        h.entries.iter().map(|e| e.assigned).collect::<Vec<_>>(),
        [false, true, true, true, true]
    );
    w.run(&plan_remove(&h, false).unwrap());
    w.destroyed.clear();
    w.seen.hostlets.clear();
    assert_eq!(w, World::of(&start));
}

/// With the first IPv4 address of a network the kernel takes all others off: the last goes first.
#[test]
fn addresses_leave_in_the_opposite_order() {
    let wanted = ["10.77.0.1/16", "10.77.0.2/16", "10.77.0.3/16"];
    let (_, h) = with(&machine(), &assigned("web", &wanted, "eth0"));
    let plan = lines(&plan_remove(&h, false).unwrap());
    let leave: Vec<_> = plan.iter().filter(|l| l.contains("from eth0")).collect();
    assert_eq!(
        leave,
        [
            "remove 10.77.0.3/16 from eth0",
            "remove 10.77.0.2/16 from eth0",
            "remove 10.77.0.1/16 from eth0",
        ]
    );
}

#[test]
fn a_link_local_address_is_that_of_its_interface() {
    let p = plan_create(&spec("web", &["fe80::1%eth1"]), &Lifetime::Kept, &machine()).unwrap();
    assert_eq!((p.entries[0].ifindex, p.entries[0].assigned), (3, false));
}

#[test]
fn an_address_under_a_local_route() {
    let p = plan_create(&spec("web", &["10.9.0.7"]), &Lifetime::Kept, &machine()).unwrap();
    let e = &p.entries[0];
    assert_eq!(
        (e.onlink, e.interface.as_str(), e.assigned),
        (32, "lo", false)
    );
    let p = plan_create(
        &assigned("web", &["10.9.0.0/24"], "eth1"),
        &Lifetime::Kept,
        &machine(),
    )
    .unwrap();
    let e = &p.entries[0];
    assert_eq!(
        (e.onlink, e.interface.as_str(), e.assigned),
        (24, "eth1", false)
    );
}

#[test]
fn a_prefix_that_takes_the_hosts_own_address_is_warned_of() {
    let p = plan_create(
        &assigned("web", &["10.0.0.0/28"], "eth0"),
        &Lifetime::Kept,
        &machine(),
    )
    .unwrap();
    assert_eq!(p.warnings.len(), 2, "{:?}", p.warnings);
    assert!(
        p.warnings[0].contains("10.0.0.0/28 includes 10.0.0.1 of eth0"),
        "{:?}",
        p.warnings
    );
}

/// One at a time or together.
#[test]
fn the_last_addresses_of_the_machine_itself_are_warned_of() {
    let plan = |addresses: &[&str]| {
        plan_create(&spec("web", addresses), &Lifetime::Kept, &machine()).unwrap()
    };
    assert!(plan(&["10.0.0.1", "2001:db8::5"]).warnings.is_empty());
    let told = "10.0.0.1, 10.0.0.5 were the last IPv4 addresses of eth0 for this machine itself: its own services are no longer reached there";
    let together = plan(&["10.0.0.5", "10.0.0.1", "2001:db8::5"]);
    assert_eq!(together.warnings, [told]);

    let (w, h) = with(&machine(), &spec("web", &["10.0.0.5"]));
    let next = plan_grant(&h, &wish("10.0.0.1"), None, &w.seen).unwrap();
    assert!(next.warnings[0].starts_with("10.0.0.1 was the last IPv4 address of eth0 for"));
}

#[test]
fn resolver_stubs_of_the_host_are_reachable() {
    let mut seen = machine();
    seen.resolvers = vec![
        "127.0.0.53".parse().unwrap(),
        "192.0.2.53".parse().unwrap(),
        "::1".parse().unwrap(),
    ];
    let mut s = spec("web", &["10.0.0.5"]);
    s.host_loopback = vec![
        "127.0.0.1:631".parse().unwrap(),
        "127.0.0.53:53".parse().unwrap(),
    ];
    let all: Vec<String> = reachable_services(&s, &seen)
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(all, ["127.0.0.1:631", "127.0.0.53:53", "[::1]:53"]);
    let p = plan_create(&s, &Lifetime::Kept, &seen).unwrap();
    assert_eq!(p.host_loopback, reachable_services(&s, &seen));
}

#[test]
fn ids_go_round() {
    let mut seen = machine();
    seen.ids = IdRange {
        first: 10,
        last: 12,
        next: 12,
    };
    let mut ids = Vec::new();
    for a in ["10.0.0.1", "10.0.0.5", "10.1.0.1"] {
        let s = spec(&format!("h{}", ids.len()), &[a]);
        let p = plan_create(&s, &Lifetime::Kept, &seen).unwrap();
        ids.push(p.id.0);
        seen.hostlets.push(Existing {
            id: p.id,
            spec: s,
            entries: p.entries,
            lifetime: Lifetime::Kept,
            members: Vec::new(),
        });
    }
    assert_eq!(ids, [12, 10, 11]);
}

#[test]
fn a_second_address_changes_how_the_first_is_owned() {
    let (mut w, h) = with(&machine(), &spec("web", &["10.0.0.5", "2001:db8::5"]));
    let many = |w: &World, a: &str| w.owners[&owned(a)].1.many;
    assert!(!many(&w, "10.0.0.5") && !many(&w, "2001:db8::5"));
    let before = w.clone();
    let r = plan_grant(&h, &wish("10.0.0.9"), Some("eth0"), &w.seen).unwrap();
    w.run(&r.actions);
    assert!(many(&w, "10.0.0.5") && many(&w, "10.0.0.9") && !many(&w, "2001:db8::5"));
    w.assert_sound();
    let h = Existing {
        spec: r.spec,
        entries: r.entries,
        ..h
    };
    let r = plan_revoke(&h, &owned("10.0.0.9"), &w.seen).unwrap();
    w.run(&r.actions);
    assert!(!many(&w, "10.0.0.5"));
    assert_eq!(w.destroyed, [owned("10.0.0.9"); 2]);
    w.destroyed.clear();
    assert_eq!(w, before);
}

#[test]
fn sockets_of_a_revoked_address_die_before_it_is_nobodys_and_after() {
    let (w, h) = with(
        &machine(),
        &assigned("web", &["10.0.0.5", "10.0.0.9"], "eth0"),
    );
    let r = plan_revoke(&h, &owned("10.0.0.9"), &w.seen).unwrap();
    let at = |f: &dyn Fn(&Action) -> bool| r.actions.iter().position(f).unwrap();
    let publish = at(&|a| matches!(a, Action::Publish { .. }));
    let disown = at(&|a| matches!(a, Action::Disown { .. }));
    let tell = at(&|a| matches!(a, Action::DestroySockets { .. }));
    let destroy = r
        .actions
        .iter()
        .rposition(|a| matches!(a, Action::DestroySockets { .. }))
        .unwrap();
    let away = at(&|a| matches!(a, Action::DelAddress { .. }));
    let store = at(&|a| matches!(a, Action::Redefine { .. }));
    assert!(
        tell < publish && publish < disown && disown < destroy && destroy < away && away < store
    );
}

#[test]
fn removal_closes_first_and_forgets_last() {
    let (_, mut h) = with(&machine(), &spec("web", &["10.0.0.5"]));
    h.members = vec![9];
    let all = plan_remove(&h, true).unwrap();
    assert!(matches!(all[0], Action::MarkRemoving { .. }));
    assert!(matches!(all[1], Action::Close { .. }));
    assert!(matches!(all[2], Action::KillMembers { .. }));
    assert!(matches!(all.last(), Some(Action::Unremember { .. })));
    let at = |f: &dyn Fn(&Action) -> bool| all.iter().position(f).unwrap();
    let destroyed: Vec<_> = all
        .iter()
        .filter_map(|a| match a {
            Action::DestroySockets { owned, .. } => Some(owned.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(
        destroyed,
        ["10.0.0.5", "127.64.0.1", "fd68:6f73:746c:7400::1"]
    );
    assert!(
        at(&|a| matches!(a, Action::DestroySockets { .. }))
            < at(&|a| matches!(a, Action::RemoveCgroup { .. }))
    );
    assert!(
        at(&|a| matches!(a, Action::RemoveCgroup { .. }))
            < at(&|a| matches!(a, Action::Disown { .. }))
    );
}

#[test]
fn a_hostlet_comes_back_after_a_restart() {
    let s = assigned("web", &["10.0.0.5", "10.0.0.9", "2001:db8:7::/64"], "eth0");
    let (w, h) = with(&machine(), &s);
    // The machine came up anew: nothing in the kernel, and eth0 has another number.
    let mut seen = machine();
    seen.interfaces[1].index = 7;
    for a in seen.addresses.iter_mut().filter(|a| a.ifindex == 2) {
        a.ifindex = 7;
    }
    seen.hostlets = vec![h.clone()];
    let p = plan_restore(&h, &seen).unwrap();
    assert!(p.entries.iter().all(|e| e.ifindex == 7));
    let mut after = World::of(&seen);
    after.stored.clone_from(&w.stored);
    after.run(&p.actions);
    after.assert_sound();
    assert_eq!(after.owners, w.owners);
    // An address that was the machine's own and is not there any more stands in the way.
    seen.addresses
        .retain(|a| a.addr != "10.0.0.5".parse::<IpAddr>().unwrap());
    assert!(
        plan_restore(&h, &seen)
            .unwrap_err()
            .to_string()
            .contains("ip addr add 10.0.0.5/24")
    );
}

const POOL: &[&str] = &[
    "10.0.0.1",
    "10.0.0.5",
    "10.0.0.9",
    "10.0.0.10/24",
    "10.1.0.1",
    "10.9.0.7",
    "10.9.0.0/24",
    "10.8.0.0/24",
    "192.0.2.1",
    "2001:db8::1",
    "2001:db8::5",
    "2001:db8::9",
    "2001:db8:7::/64",
    "fe80::1%eth0",
    "fe80::9%eth1",
];

fn any_spec(n: &'static str) -> impl Strategy<Value = HostletSpec> {
    (
        prop::sample::subsequence(POOL, 1..8),
        prop_oneof![
            Just(None),
            Just(Some("eth0".to_owned())),
            Just(Some("eth1".to_owned()))
        ],
    )
        .prop_map(move |(a, assign)| {
            let mut s = spec(n, &a);
            s.assign = assign;
            s
        })
}

proptest! {
    #[test]
    fn a_creation_that_fails_anywhere_leaves_nothing(s in any_spec("web"), ipv6 in any::<bool>(), cut in 0_usize..40) {
        let seen = Observed { ipv6, ..machine() };
        let Ok(p) = plan_create(&s, &Lifetime::Kept, &seen) else { return Ok(()) };
        let mut w = World::of(&seen);
        let done = &p.actions[..cut.min(p.actions.len())];
        w.run(done);
        w.roll_back(done);
        prop_assert_eq!(w, World::of(&seen));
    }

    #[test]
    fn a_creation_is_sound_and_a_removal_takes_all_of_it(s in any_spec("web"), ipv6 in any::<bool>()) {
        let seen = Observed { ipv6, ..machine() };
        let Ok(p) = plan_create(&s, &Lifetime::Kept, &seen) else { return Ok(()) };
        let mut w = World::of(&seen);
        w.run(&p.actions);
        w.assert_sound();
        let h = w.observe().hostlets.remove(0);
        w.run(&plan_remove(&h, false).unwrap());
        w.destroyed.clear();
        prop_assert_eq!(w, World::of(&seen));
    }

    #[test]
    fn grants_and_revokes_keep_it_sound_and_can_be_taken_back(
        s in any_spec("web"),
        other in any_spec("db"),
        steps in prop::collection::vec((any::<bool>(), prop::sample::select(POOL), any::<bool>(), 0_usize..12), 0..12),
    ) {
        let mut w = World::of(&machine());
        for s in [&s, &other] {
            if let Ok(p) = plan_create(s, &Lifetime::Declared, &w.observe()) {
                w.run(&p.actions);
            }
        }
        for (grant, address, assign, cut) in steps {
            let seen = w.observe();
            let Some(h) = seen.hostlets.first() else { break };
            let r = if grant {
                plan_grant(h, &wish(address), assign.then_some("eth0"), &seen)
            } else {
                plan_revoke(h, &wish(address).owned, &seen)
            };
            let Ok(r) = r else { continue };
            let mut failed = w.clone();
            let done = &r.actions[..cut.min(r.actions.len())];
            failed.run(done);
            failed.roll_back(done);
            failed.destroyed.clone_from(&w.destroyed);
            // Put back, an address may stand at another place of the list.
            let key = |w: &World| {
                let mut w = w.clone();
                w.seen.addresses.sort_by_key(|h| (h.ifindex, h.addr));
                w.seen.local_prefixes.sort();
                w
            };
            prop_assert_eq!(key(&failed), key(&w));

            // Interrupted, and nothing taken back: it becomes what is remembered, before or after.
            let mut killed = w.clone();
            killed.run(done);
            // So does a revoke of which one step failed, the others being done.
            let mut partly = w.clone();
            let fails = cut % r.actions.len();
            r.actions[..fails].iter().for_each(|a| partly.perform(a));
            partly.settle(&r.actions[fails + 1..]);
            let mut after = w.clone();
            after.run(&r.actions);
            after.destroyed.clone_from(&w.destroyed);
            for mut left in [Some(killed), (!grant).then_some(partly)].into_iter().flatten() {
                let (spec, entries, _) = left.stored[h.name()].clone();
                let now = Existing { spec, entries, ..h.clone() };
                let between = [(h.spec.clone(), h.entries.clone()), (r.spec.clone(), r.entries.clone())];
                let there = Observed { hostlets: seen.hostlets.clone(), ..left.seen.clone() };
                left.settle(&plan_settle(&now, &between, &there).unwrap());
                left.assert_sound();
                left.destroyed.clone_from(&w.destroyed);
                prop_assert!(key(&left) == key(&w) || key(&left) == key(&after));
            }
            w.run(&r.actions);
            w.assert_sound();
        }
    }

    #[test]
    fn an_address_never_has_two_owners(all in prop::collection::vec(any_spec("x"), 1..6)) {
        let mut w = World::of(&machine());
        for (i, mut s) in all.into_iter().enumerate() {
            s.name = format!("h{i}").parse::<Name>().unwrap();
            if let Ok(p) = plan_create(&s, &Lifetime::Declared, &w.observe()) {
                w.run(&p.actions);
            }
        }
        w.assert_sound();
        let owners: Vec<_> = w.owners.iter().collect();
        for (i, (a, (ida, _))) in owners.iter().enumerate() {
            for (b, (idb, _)) in &owners[..i] {
                prop_assert!(!a.overlaps(b), "{} of {} and {} of {}", a, ida, b, idb);
            }
        }
    }

    #[test]
    fn a_free_id_is_in_range_and_free(used in prop::collection::btree_set(1_u32..12, 0..12), first in 1_u32..6, len in 0_u32..6, next in 0_u32..14) {
        let mut seen = machine();
        seen.limit = 100;
        seen.ids = IdRange { first, last: first + len, next };
        seen.hostlets = used.iter().map(|n| Existing {
            id: HostletId(*n),
            spec: spec(&format!("u{n}"), &["192.0.2.1"]),
            entries: Vec::new(),
            lifetime: Lifetime::Kept,
            members: Vec::new(),
        }).collect();
        match plan_create(&spec("web", &["10.0.0.5"]), &Lifetime::Kept, &seen) {
            Ok(p) => {
                prop_assert!((first..=first + len).contains(&p.id.0));
                prop_assert!(!used.contains(&p.id.0));
            }
            Err(_) => prop_assert!((first..=first + len).all(|n| used.contains(&n))),
        }
    }
}
