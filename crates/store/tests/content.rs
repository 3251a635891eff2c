//! What goes in comes out, and the history follows the definitions.

mod common;

use common::{Dir, assert_whole, at, definition, entry, name};
use hostlet_model::{HostletId, Lifetime};
use hostlet_store::{HistoryQuery, State, Store, StoreError, Version};

#[test]
fn a_definition_comes_back_as_it_was() {
    let dir = Dir::new("roundtrip");
    let wanted = definition(7, "web", &["10.0.0.5", "2001:db8:7::/64"]);
    Store::open(&dir.db()).unwrap().insert(&wanted).unwrap();
    let store = Store::open(&dir.db()).unwrap();
    assert_eq!(store.get(&name("web")).unwrap().as_ref(), Some(&wanted));
    assert_eq!(
        store.get_by_id(HostletId(7)).unwrap().as_ref(),
        Some(&wanted)
    );
    assert_eq!(store.all().unwrap(), [wanted]);
    assert_eq!(store.get(&name("db")).unwrap(), None);
}

#[test]
fn a_taken_name_or_id_is_refused_and_changes_nothing() {
    let dir = Dir::new("duplicate");
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    let error = store
        .insert(&definition(2, "web", &["10.0.0.6"]))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Duplicate { what: "name", .. }),
        "{error}"
    );
    let error = store
        .insert(&definition(1, "db", &["10.0.0.6"]))
        .unwrap_err();
    assert!(
        matches!(error, StoreError::Duplicate { what: "id", .. }),
        "{error}"
    );
    assert_eq!(store.all().unwrap().len(), 1);
    assert_whole(&store);
}

#[test]
fn several_changes_are_one_transaction_and_what_fails_is_not_part_of_it() {
    let dir = Dir::new("together");
    let store = Store::open(&dir.db()).unwrap();
    let others = Store::open(&dir.db()).unwrap();
    store.begin_together().unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    store
        .insert(&definition(2, "web", &["10.0.0.6"]))
        .unwrap_err();
    store.insert(&definition(3, "db", &["10.0.0.7"])).unwrap();
    store.set_state(&name("db"), State::Live, at(1)).unwrap();
    assert_eq!(store.all().unwrap().len(), 2);
    assert_eq!(others.all().unwrap(), []);
    store.end_together().unwrap();
    let there: Vec<u32> = others.all().unwrap().iter().map(|d| d.id.0).collect();
    assert_eq!(there, [3, 1]);
    assert_whole(&others);
    store.begin_together().unwrap();
    store.delete(&name("db"), at(2)).unwrap();
    drop(store);
    assert_eq!(others.all().unwrap().len(), 2);
}

#[test]
fn an_unknown_name_is_an_error_to_change_and_none_to_forget() {
    let dir = Dir::new("unknown");
    let store = Store::open(&dir.db()).unwrap();
    let web = name("web");
    for error in [
        store.set_state(&web, State::Live, at(1)).unwrap_err(),
        store.set_boot(&web, "boot-2").unwrap_err(),
    ] {
        assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    }
    assert!(!store.delete(&web, at(1)).unwrap());
}

#[test]
fn an_unfinished_change_is_found_until_it_is_ended() {
    let dir = Dir::new("changing");
    let store = Store::open(&dir.db()).unwrap();
    let d = definition(7, "web", &["10.0.0.5", "10.0.0.6"]);
    store.insert(&d).unwrap();
    assert!(store.changing().unwrap().is_empty());
    let versions = [1, 2].map(|n| Version {
        spec: d.spec.clone(),
        entries: d.entries[..n].to_vec(),
    });
    store.begin_change(&d.name, &versions).unwrap();
    drop(store);
    let store = Store::open(&dir.db()).unwrap();
    assert_eq!(store.changing().unwrap(), [(d.id, versions.to_vec())]);
    store.end_change(&d.name).unwrap();
    assert!(store.changing().unwrap().is_empty());
    store.delete(&d.name, at(1)).unwrap();
    let error = store.begin_change(&d.name, &versions).unwrap_err();
    assert!(matches!(error, StoreError::Unknown { .. }), "{error}");
    store.end_change(&d.name).unwrap();
}

#[test]
fn whose_an_address_is_is_found_by_itself() {
    let dir = Dir::new("owners");
    let store = Store::open(&dir.db()).unwrap();
    for (id, called, addresses) in [
        (1, "web", &["10.0.0.5", "2001:db8::/64"][..]),
        (2, "net", &["10.0.1.0/24", "10.0.3.0/24"]),
        (3, "db", &["10.0.2.255", "::5"]),
    ] {
        store.insert(&definition(id, called, addresses)).unwrap();
    }
    let of = |text: &str| -> Vec<u32> {
        let owners = store.owners_of(&text.parse().unwrap()).unwrap();
        owners.into_iter().map(|id| id.0).collect()
    };
    assert_eq!(of("10.0.0.5"), [1]);
    assert!(of("10.0.0.4").is_empty());
    assert_eq!(of("10.0.1.0"), [2]);
    assert_eq!(of("10.0.1.255"), [2]);
    assert!(of("10.0.2.0").is_empty());
    assert_eq!(of("10.0.0.0/16"), [1, 2, 3]);
    assert_eq!(of("10.0.2.0/23"), [2, 3]);
    assert_eq!(of("10.0.1.128/25"), [2]);
    assert_eq!(of("2001:db8::7"), [1]);
    assert!(of("2001:db8:0:1::7").is_empty());
    assert_eq!(of("::/0"), [1, 3]);
    assert!(of("0.0.0.5").is_empty());
    store.delete(&name("net"), at(1)).unwrap();
    assert!(of("10.0.1.1").is_empty());
}

#[test]
fn what_is_not_whole_is_found_by_itself() {
    let dir = Dir::new("unsettled");
    let store = Store::open(&dir.db()).unwrap();
    assert!(store.is_empty().unwrap());
    for (id, called) in [
        (1, "live"),
        (2, "pending"),
        (3, "removing"),
        (4, "older"),
        (5, "newer"),
    ] {
        store.insert(&definition(id, called, &[])).unwrap();
        store.set_state(&name(called), State::Live, at(1)).unwrap();
    }
    let boot = store.get(&name("live")).unwrap().unwrap().boot_id;
    assert!(store.unsettled(&boot).unwrap().is_empty());
    assert!(!store.glance(&boot).unwrap().unsettled);
    store
        .set_state(&name("pending"), State::Pending, at(2))
        .unwrap();
    store
        .set_state(&name("removing"), State::Removing, at(2))
        .unwrap();
    store.set_boot(&name("older"), "").unwrap();
    store.set_boot(&name("newer"), "~").unwrap();
    let found = store.unsettled(&boot).unwrap();
    let found: Vec<&str> = found.iter().map(|d| d.name.as_str()).collect();
    assert_eq!(found, ["newer", "older", "pending", "removing"]);
    assert_eq!(
        (store.count().unwrap(), store.is_empty().unwrap()),
        (5, false)
    );
    let some = store.some_from(HostletId(4), 9).unwrap();
    assert_eq!(some, [name("older"), name("newer")]);
    let glance = store.glance(&boot).unwrap();
    assert_eq!((glance.count, glance.unsettled), (5, true));
    assert_eq!(glance.ids, HostletId(1)..=HostletId(5));
    let kept = Lifetime::Kept;
    for d in store.all().unwrap() {
        store.set_lifetime(&d.name, &kept).unwrap();
    }
    assert!(store.runs().unwrap().is_empty());
    let run = Lifetime::Run {
        pid: 7,
        start_ticks: 8,
    };
    store.set_lifetime(&name("live"), &run).unwrap();
    assert_eq!(store.runs().unwrap(), [(HostletId(1), run)]);
}

/// What looks at each row takes as long as there are rows: no question of every day may.
#[test]
fn no_question_of_every_command_goes_through_all_rows() {
    let dir = Dir::new("plans");
    drop(Store::open(&dir.db()).unwrap());
    let raw = rusqlite::Connection::open(dir.db()).unwrap();
    for query in [
        "SELECT id FROM hostlet WHERE boot_id < ?1 UNION ALL SELECT id FROM hostlet WHERE boot_id > ?1
         UNION ALL SELECT id FROM hostlet WHERE boot_id = ?1 AND state < 'live'",
        r#"SELECT id, lifetime FROM hostlet WHERE lifetime GLOB '{"kind":"run"*' ORDER BY id"#,
        "SELECT id, name, changing FROM hostlet WHERE changing IS NOT NULL",
        "SELECT ifnull(max(follows), 0) FROM hostlet WHERE follows > 0",
        "SELECT hostlet FROM entry WHERE first <= ?1 ORDER BY first DESC LIMIT 1",
        "SELECT hostlet FROM entry WHERE first BETWEEN ?1 AND ?2",
    ] {
        let mut plan = raw.prepare(&format!("EXPLAIN QUERY PLAN {query}")).unwrap();
        for parameter in 1..=plan.parameter_count() {
            plan.raw_bind_parameter(parameter, "x").unwrap();
        }
        let mut steps = plan.raw_query();
        let mut plan: Vec<String> = Vec::new();
        while let Some(step) = steps.next().unwrap() {
            plan.push(step.get(3).unwrap());
        }
        // An index of few rows may be gone through.
        let few = ["hostlet_run", "hostlet_changing", "hostlet_follows"];
        let bad = |step: &String| {
            step.contains("TEMP B-TREE")
                || step.starts_with("SCAN") && !few.iter().any(|index| step.contains(index))
        };
        assert!(!plan.iter().any(bad), "{query}: {plan:?}");
    }
}

#[test]
fn history_opens_with_live_follows_the_set_and_closes_at_the_end() {
    let dir = Dir::new("history");
    let store = Store::open(&dir.db()).unwrap();
    let web = name("web");
    store
        .insert(&definition(1, "web", &["10.0.0.5", "10.0.0.6"]))
        .unwrap();
    assert!(
        store.history(&HistoryQuery::default()).unwrap().is_empty(),
        "pending holds nothing"
    );
    store.set_state(&web, State::Live, at(10)).unwrap();
    store
        .update(
            &web,
            &definition(1, "web", &[]).spec,
            &[entry("10.0.0.6", true), entry("10.0.0.7", false)],
            at(20),
        )
        .unwrap();
    store.delete(&web, at(30)).unwrap();
    let rows: Vec<_> = store
        .history(&HistoryQuery::default())
        .unwrap()
        .into_iter()
        .map(|h| (h.address.to_string(), h.from, h.to.unwrap(), h.user))
        .collect();
    let alice = || String::from("alice");
    assert_eq!(
        rows,
        [
            ("10.0.0.5".into(), at(10), at(20), alice()),
            ("10.0.0.6".into(), at(10), at(30), alice()),
            ("10.0.0.7".into(), at(20), at(30), alice()),
        ]
    );
}

#[test]
fn a_clock_that_went_back_never_makes_a_row_end_before_it_began() {
    let dir = Dir::new("clock");
    let store = Store::open(&dir.db()).unwrap();
    store.insert(&definition(1, "web", &["10.0.0.5"])).unwrap();
    store.set_state(&name("web"), State::Live, at(10)).unwrap();
    store.delete(&name("web"), at(5)).unwrap();
    let row = &store.history(&HistoryQuery::default()).unwrap()[0];
    assert_eq!(row.to, Some(row.from));
}

#[test]
fn history_is_found_by_name_address_prefix_user_and_time_and_pruned() {
    let dir = Dir::new("query");
    let store = Store::open(&dir.db()).unwrap();
    for (id, called, address) in [
        (1, "web", "10.0.0.5"),
        (2, "net", "2001:db8:7::/64"),
        (3, "db", "10.0.0.5"),
    ] {
        let mut d = definition(id, called, &[address]);
        d.user = format!("user-{called}");
        let begin = i64::from(id) * 100;
        store.insert(&d).unwrap();
        store.set_state(&d.name, State::Live, at(begin)).unwrap();
        if called != "db" {
            store.delete(&d.name, at(begin + 50)).unwrap();
        }
    }
    let names = |query: HistoryQuery| -> Vec<String> {
        store
            .history(&query)
            .unwrap()
            .iter()
            .map(|h| h.hostlet.to_string())
            .collect()
    };
    let any = HistoryQuery::default;
    assert_eq!(names(any()), ["web", "net", "db"]);
    assert_eq!(
        names(HistoryQuery {
            hostlet: Some(name("net")),
            ..any()
        }),
        ["net"]
    );
    let address = |a: &str| HistoryQuery {
        address: Some(a.parse().unwrap()),
        ..any()
    };
    assert_eq!(names(address("10.0.0.5")), ["web", "db"]);
    assert_eq!(names(address("2001:db8:7::99")), ["net"]);
    assert!(names(address("2001:db8:8::99")).is_empty());
    assert_eq!(
        names(HistoryQuery {
            user: Some("user-web".into()),
            ..any()
        }),
        ["web"]
    );
    assert_eq!(
        names(HistoryQuery {
            since: Some(at(160)),
            ..any()
        }),
        ["net", "db"]
    );
    assert_eq!(
        names(HistoryQuery {
            until: Some(at(160)),
            ..any()
        }),
        ["web"]
    );
    let moment = HistoryQuery {
        since: Some(at(210)),
        until: Some(at(210)),
        ..any()
    };
    assert_eq!(names(moment), ["net"]);
    assert_eq!(store.prune_history(at(200)).unwrap(), 1);
    assert_eq!(names(any()), ["net", "db"]);
    assert_eq!(
        store.prune_history(at(100_000)).unwrap(),
        1,
        "what is held is kept"
    );
}

#[test]
fn assigned_are_exactly_those_that_hostlet_put_there() {
    let dir = Dir::new("assigned");
    let store = Store::open(&dir.db()).unwrap();
    let mut d = definition(1, "web", &["10.0.0.5", "10.0.0.6"]);
    d.entries[0].assigned = false;
    store.insert(&d).unwrap();
    let found = store.assigned().unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].entry, d.entries[1]);
    assert_eq!(
        (found[0].boot_id.as_str(), found[0].state),
        ("boot-1", State::Pending)
    );
    store.delete(&d.name, at(1)).unwrap();
    assert!(store.assigned().unwrap().is_empty());
}

#[test]
fn ids_go_round_and_are_not_used_again_soon() {
    let dir = Dir::new("ids");
    let store = Store::open(&dir.db()).unwrap();
    let next = || store.next_id(10..=12).unwrap().map(|i| i.0);
    assert_eq!(next(), Some(10));
    store.insert(&definition(10, "a", &["10.0.0.1"])).unwrap();
    store.delete(&name("a"), at(1)).unwrap();
    assert_eq!(next(), Some(11), "10 was just in use");
    store.insert(&definition(11, "b", &["10.0.0.2"])).unwrap();
    store.insert(&definition(12, "c", &["10.0.0.3"])).unwrap();
    assert_eq!(next(), Some(10), "round again");
    store.insert(&definition(10, "d", &["10.0.0.4"])).unwrap();
    assert_eq!(next(), None);
    store.delete(&name("c"), at(1)).unwrap();
    assert_eq!(next(), Some(12));
    assert_eq!(store.next_id(50..=60).unwrap().map(|i| i.0), Some(50));
}

#[test]
fn a_set_of_256_and_4096_hostlets_fit() {
    let dir = Dir::new("many");
    let store = Store::open(&dir.db()).unwrap();
    let set: Vec<String> = (0..256).map(|i| format!("10.1.0.{i}")).collect();
    let set: Vec<&str> = set.iter().map(String::as_str).collect();
    store.insert(&definition(5000, "big", &set)).unwrap();
    for id in 1..=4095 {
        let address = format!("10.2.{}.{}", id / 256, id % 256);
        store
            .insert(&definition(id, &format!("h{id}"), &[&address]))
            .unwrap();
    }
    assert_eq!(store.next_id(1..=5000).unwrap(), Some(HostletId(4096)));
    assert_eq!(store.all().unwrap().len(), 4096);
    assert_eq!(store.get(&name("big")).unwrap().unwrap().entries.len(), 256);
    assert_whole(&store);
}
