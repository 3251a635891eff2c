//! What becomes of hostlets whose addresses are lent.

mod common;

use common::*;
use hostlet_model::Lifetime;
use hostlet_policy::{
    Action, Call, Existing, Network, Proto, Refusal, Renewal, Verdict, explain, plan_create,
    plan_fall_back, plan_grant, plan_lend, plan_replace, plan_settle,
};

fn after(h: &Existing, r: &Renewal) -> Existing {
    Existing {
        spec: r.spec.clone(),
        entries: r.entries.clone(),
        ..h.clone()
    }
}

#[test]
fn addresses_are_exchanged_in_one_change() {
    let (mut w, h) = with(&machine(), &spec("web", &["10.0.0.5", "2001:db8::5"]));
    let r = plan_replace(&h, &[owned("10.0.0.5")], &[wish("10.0.0.1")], &w.seen).unwrap();
    w.run(&r.actions);
    w.assert_sound();
    assert_eq!(w.destroyed, [owned("10.0.0.5"); 2]);
    assert!(w.owners.contains_key(&owned("10.0.0.1")));
    assert!(!w.owners.contains_key(&owned("10.0.0.5")));
    // Once more there is nothing to do.
    let h = after(&h, &r);
    let again = plan_replace(&h, &[owned("10.0.0.5")], &[wish("10.0.0.1")], &w.seen).unwrap();
    assert!(again.actions.is_empty());
}

#[test]
fn an_interrupted_exchange_is_completed_wherever_it_was() {
    let (w, h) = with(&machine(), &spec("web", &["10.0.0.5", "2001:db8::5"]));
    let r = plan_replace(&h, &[owned("10.0.0.5")], &[wish("10.0.0.1")], &w.seen).unwrap();
    let mut whole = w.clone();
    whole.run(&r.actions);
    let between = [
        (h.spec.clone(), h.entries.clone()),
        (r.spec.clone(), r.entries.clone()),
    ];
    for done in 1..=r.actions.len() {
        let mut world = w.clone();
        world.run(&r.actions[..done]);
        let actions = plan_settle(&after(&h, &r), &between, &world.observe()).unwrap();
        world.settle(&actions);
        world.assert_sound();
        world.destroyed = whole.destroyed.clone();
        assert_eq!(world, whole, "after {done} steps");
    }
}

#[test]
fn a_set_may_become_empty_and_is_filled_again() {
    let (mut w, h) = with(&machine(), &spec("web", &["10.0.0.5"]));
    let r = plan_replace(&h, &[owned("10.0.0.5")], &[], &w.seen).unwrap();
    w.run(&r.actions);
    let view = &w.views[&h.id];
    assert!(r.entries.is_empty() && view.primary4.is_none() && !view.has_v4 && !view.pass);
    let call = Call::Connect {
        proto: Proto::Tcp,
        addr: "192.0.2.1".parse().unwrap(),
        port: 80,
        from: None,
        dual: None,
    };
    assert_eq!(
        explain(view, &call, &Network::default()).verdict,
        Verdict::Refused("ENETUNREACH")
    );
    let h = after(&h, &r);
    let r = plan_replace(&h, &[], &[wish("10.0.0.5")], &w.seen).unwrap();
    w.run(&r.actions);
    w.assert_sound();
}

#[test]
fn a_set_may_be_empty_from_the_start() {
    let mut w = World::of(&machine());
    let nobody = spec("web", &[]);
    let refused = plan_create(&nobody, &Lifetime::Kept, &w.seen);
    assert!(matches!(refused, Err(Refusal::Set(_))), "{refused:?}");
    let twice = spec("web", &["10.0.0.5", "10.0.0.5"]);
    let refused = plan_lend(&twice, &Lifetime::Kept, &w.seen);
    assert!(matches!(refused, Err(Refusal::Set(_))), "{refused:?}");
    let plan = plan_lend(&nobody, &Lifetime::Kept, &w.seen).unwrap();
    assert!(plan.entries.is_empty() && plan.warnings.is_empty());
    w.run(&plan.actions);
    let view = &w.views[&plan.id];
    assert!(!view.has_v4 && !view.has_v6 && view.owned.is_empty());
    assert!(w.cgroups[&nobody.name]);
}

#[test]
fn who_falls_back_owns_nothing_but_its_loopback() {
    let (mut w, h) = with(&machine(), &spec("web", &["10.0.0.5", "2001:db8::5"]));
    let r = plan_fall_back(&h, &[owned("10.0.0.5")], &w.seen).unwrap();
    // What is remembered comes first: an interrupted one is completed.
    assert!(matches!(r.actions[0], Action::Redefine { .. }));
    w.run(&r.actions);
    assert!(w.owners.values().all(|(_, flags)| flags.loopback));
    let view = &w.views[&h.id];
    assert!(view.pass);
    let bind = Call::Bind {
        proto: Proto::Tcp,
        addr: "192.0.2.7".parse().unwrap(),
        port: 80,
        v6only: false,
    };
    let said = explain(view, &bind, &Network::default());
    assert_eq!((said.verdict, said.rule), (Verdict::Allowed, "fallen-back"));
    let h = after(&h, &r);
    assert_eq!(h.entries.len(), 1);
    assert!(plan_fall_back(&h, &[], &w.seen).unwrap().actions.is_empty());
    let refused = Refusal::FallenBack { name: name("web") };
    assert_eq!(
        plan_replace(&h, &[], &[wish("10.0.0.1")], &w.seen).unwrap_err(),
        refused
    );
    assert_eq!(
        plan_grant(&h, &wish("10.0.0.1"), None, &w.seen).unwrap_err(),
        refused
    );
    // The rest may leave as well.
    let r = plan_replace(&h, &[owned("2001:db8::5")], &[], &w.seen).unwrap();
    assert!(r.entries.is_empty());
}

#[test]
fn what_hostlet_itself_put_there_is_not_lent() {
    let (w, h) = with(&machine(), &assigned("web", &["10.0.0.9"], "eth0"));
    let lost = [owned("10.0.0.9")];
    let refused = Refusal::NotLent {
        name: name("web"),
        address: lost[0],
    };
    assert_eq!(plan_replace(&h, &lost, &[], &w.seen).unwrap_err(), refused);
    assert_eq!(plan_fall_back(&h, &lost, &w.seen).unwrap_err(), refused);
}
