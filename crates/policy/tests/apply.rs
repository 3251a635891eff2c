//! From one configuration to another: the printed plan, and that performing it arrives.

mod common;

use common::*;
use hostlet_model::config::{Config, Who};
use hostlet_model::{Lifetime, Name};
use hostlet_policy::{Caller, Change, Refusal, may, plan_apply};
use proptest::prelude::*;

fn config(text: &str) -> Config {
    Config::parse(text, "hostlet.toml").unwrap_or_else(|e| panic!("{e}"))
}

fn perform(w: &mut World, changes: &[Change]) {
    for c in changes {
        w.run(&c.actions);
    }
    w.destroyed.clear();
}

/// Applies a configuration to a machine and gives the printed plan.
fn apply(w: &mut World, text: &str) -> Vec<String> {
    let changes =
        plan_apply(&config(text), false, &w.observe()).unwrap_or_else(|e| panic!("{e:?}"));
    perform(w, &changes);
    w.assert_sound();
    assert_eq!(
        plan_apply(&config(text), false, &w.observe()).unwrap(),
        [],
        "twice is once"
    );
    changes.iter().map(|c| c.text.clone()).collect()
}

#[test]
fn a_life_of_a_configuration() {
    let mut w = World::of(&machine());
    let a = "[hostlet.web]\naddresses = [\"10.0.0.5\"]\n[hostlet.db]\naddresses = [\"10.0.0.9\"]\nassign = \"eth0\"\n";
    assert_eq!(
        apply(&mut w, a),
        ["create db with 10.0.0.9", "create web with 10.0.0.5"]
    );
    // db's address moves to web, and db gets another; web's primary changes.
    let b = "[hostlet.web]\naddresses = [\"10.0.0.9\", \"10.0.0.5\"]\nassign = \"eth0\"\n[hostlet.db]\naddresses = [\"10.0.0.10\"]\nassign = \"eth0\"\n";
    assert_eq!(
        apply(&mut w, b),
        [
            "revoke 10.0.0.9 from db",
            "grant 10.0.0.10 to db",
            "grant 10.0.0.9 to web",
            "update web: the order of its addresses, the interface for later addresses",
        ]
    );
    let view = w.views.values().find(|v| v.owned.len() == 2).unwrap();
    assert_eq!(view.primary4.unwrap().to_string(), "10.0.0.9");
    let c = "[defaults]\nsource = \"random\"\n[hostlet.web]\naddresses = [\"10.0.0.9\", \"10.0.0.5\"]\nassign = \"eth0\"\nraw = true\nguard = false\nhost-loopback = [\"127.0.0.1:631\"]\n";
    assert_eq!(
        apply(&mut w, c),
        [
            "remove db: it is no longer declared",
            "update web: source primary → random, guard off, raw sockets on, what it may reach of the host's loopback",
        ]
    );
    assert_eq!(apply(&mut w, ""), ["remove web: it is no longer declared"]);
    assert_eq!(w, World::of(&machine()));
}

#[test]
fn hostlets_made_by_hand_are_left_alone() {
    let (w, _) = with(&machine(), &spec("hand", &["10.0.0.5"]));
    assert_eq!(plan_apply(&Config::default(), false, &w.seen).unwrap(), []);
    let e = plan_apply(
        &config("[hostlet.hand]\naddresses = [\"10.0.0.1\"]\n"),
        false,
        &w.seen,
    )
    .unwrap_err();
    assert!(
        matches!(&e[..], [(n, Refusal::MadeByHand { .. })] if n.as_str() == "hand"),
        "{e:?}"
    );
    let e = plan_apply(
        &config("[hostlet.web]\naddresses = [\"10.0.0.5\"]\n"),
        false,
        &w.seen,
    )
    .unwrap_err();
    assert!(matches!(&e[..], [(_, Refusal::Taken { .. })]), "{e:?}");
}

#[test]
fn everything_in_the_way_is_said_at_once() {
    let text = "[hostlet.a]\naddresses = [\"10.0.0.77\"]\n[hostlet.b]\naddresses = [\"10.0.0.78\"]\nassign = \"eth9\"\n[hostlet.c]\naddresses = [\"10.0.0.5\"]\n";
    let e = plan_apply(&config(text), false, &machine()).unwrap_err();
    let names: Vec<&str> = e.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn the_limit_is_the_configurations() {
    let text = "[limits]\nhostlets = 1\n[hostlet.a]\naddresses = [\"10.0.0.1\"]\n[hostlet.b]\naddresses = [\"10.0.0.5\"]\n";
    let e = plan_apply(&config(text), false, &machine()).unwrap_err();
    assert!(
        matches!(&e[..], [(_, Refusal::LimitReached { limit: 1 })]),
        "{e:?}"
    );
}

#[test]
fn members_stand_in_the_way_of_a_removal() {
    let (mut w, _) = with(&machine(), &spec("web", &["10.0.0.5"]));
    w.seen.hostlets[0].lifetime = Lifetime::Declared;
    w.seen.hostlets[0].members = vec![7];
    assert!(matches!(
        plan_apply(&Config::default(), false, &w.seen).unwrap_err()[0].1,
        Refusal::Inhabited { .. }
    ));
    assert!(plan_apply(&Config::default(), true, &w.seen).is_ok());
}

#[test]
fn who_may() {
    let who = |l: &[&str]| {
        l.iter()
            .map(|s| s.parse::<Who>().unwrap())
            .collect::<Vec<_>>()
    };
    let alice = Caller {
        uid: 1000,
        user: "alice".into(),
        groups: vec!["alice".into(), "1000".into(), "ops".into(), "50".into()],
        units: vec!["web.service".into()],
    };
    let root = Caller {
        uid: 0,
        user: "root".into(),
        groups: vec![],
        units: vec![],
    };
    assert!(may(&root, &[]) && !may(&alice, &[]));
    for yes in [
        "user:alice",
        "user:1000",
        "group:ops",
        "group:50",
        "unit:web.service",
    ] {
        assert!(may(&alice, &who(&["user:bob", yes])), "{yes}");
    }
    for no in [
        "user:ops",
        "group:bob",
        "user:50",
        "user:100",
        "user:alic",
        "group:1001",
        "unit:db.service",
    ] {
        assert!(!may(&alice, &who(&[no])), "{no}");
    }
}

const POOL: &[&str] = &[
    "10.0.0.1",
    "10.0.0.5",
    "10.0.0.9",
    "10.0.0.10/24",
    "10.9.0.0/24",
    "10.8.0.0/24",
    "192.0.2.1",
    "2001:db8::5",
    "2001:db8::9",
    "2001:db8:7::/64",
];

/// A configuration in which the pool's addresses are dealt to three hostlets or to none.
fn any_config() -> impl Strategy<Value = Config> {
    (
        prop::collection::vec(0_usize..4, POOL.len()),
        Just(POOL).prop_shuffle_indices(),
        any::<bool>(),
    )
        .prop_map(|(deal, order, random)| {
            let mut text = format!(
                "[defaults]\nassign = \"eth0\"\nsource = \"{}\"\n",
                if random { "random" } else { "primary" }
            );
            for (i, n) in ["a", "b", "c"].iter().enumerate() {
                let mine: Vec<String> = order
                    .iter()
                    .filter(|p| deal[**p] == i)
                    .map(|p| format!("\"{}\"", POOL[*p]))
                    .collect();
                if !mine.is_empty() {
                    text.push_str(&format!(
                        "[hostlet.{n}]\naddresses = [{}]\n",
                        mine.join(", ")
                    ));
                }
            }
            config(&text)
        })
}

trait ShuffleIndices {
    fn prop_shuffle_indices(self) -> proptest::strategy::BoxedStrategy<Vec<usize>>;
}

impl ShuffleIndices for Just<&'static [&'static str]> {
    fn prop_shuffle_indices(self) -> proptest::strategy::BoxedStrategy<Vec<usize>> {
        Just((0..self.0.len()).collect::<Vec<_>>())
            .prop_shuffle()
            .boxed()
    }
}

proptest! {
    #[test]
    fn from_any_configuration_to_any_other(all in prop::collection::vec(any_config(), 1..5)) {
        let mut w = World::of(&machine());
        for c in &all {
            let changes = plan_apply(c, false, &w.observe()).unwrap();
            perform(&mut w, &changes);
            w.assert_sound();
            let stored: Vec<&Name> = w.stored.keys().collect();
            prop_assert_eq!(stored, c.hostlets.keys().collect::<Vec<_>>());
            for (n, d) in &c.hostlets {
                prop_assert_eq!(&w.stored[n].0, &d.spec);
            }
            prop_assert_eq!(plan_apply(c, false, &w.observe()).unwrap(), vec![]);
        }
        let changes = plan_apply(&Config::default(), false, &w.observe()).unwrap();
        perform(&mut w, &changes);
        prop_assert_eq!(w, World::of(&machine()));
    }
}
