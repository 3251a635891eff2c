//! Who had what last, for how many that is known, and how it is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use hostlet_store::{Claim, Lease, LeaseStore, MAX_IDLE, Remembered};
use jiff::Timestamp;

use super::{Place, aside, at, ip, lease, name, nth, take};

pub fn a_released_address_is_remembered_for_its_holder_pool_and_family(place: &impl Place) {
    let store = place.open();
    let lab = |l: Lease| Lease {
        pool: name("lab"),
        ..l
    };
    let all = [
        lease(nth(5), 1),
        lease(ip("2001:db8::5"), 1),
        lab(lease(nth(6), 1)),
        lease(nth(7), 2),
    ];
    for l in &all {
        take(&store, l);
        assert_eq!(store.last(l.holder, &l.pool, false).ok(), Some(None));
    }
    for l in &all {
        store.release(l.address, at(10)).unwrap();
    }
    let last = |holder, pool: &str, v6| {
        let found = place.open().last(holder, &name(pool), v6).unwrap();
        found.map(|r| {
            assert_eq!((r.holder, r.released), (holder, at(10)));
            r.address
        })
    };
    assert_eq!(last(1, "office", false), Some(nth(5)));
    assert_eq!(last(1, "office", true), Some(ip("2001:db8::5")));
    assert_eq!(last(1, "lab", false), Some(nth(6)));
    assert_eq!(last(1, "lab", true), None);
    assert_eq!(last(2, "office", false), Some(nth(7)));
    assert_eq!(last(3, "office", false), None);
    // The next address takes the place of the one before.
    take(&store, &lease(nth(8), 1));
    store.release(nth(8), at(10)).unwrap();
    assert_eq!(last(1, "office", false), Some(nth(8)));
    // That somebody else has an address does not change whose last it was.
    take(&store, &lease(nth(8), 2));
    assert_eq!(last(1, "office", false), Some(nth(8)));
}

pub fn what_was_only_claimed_is_not_remembered(place: &impl Place) {
    let store = place.open();
    take(&store, &lease(nth(5), 1));
    store.release(nth(5), at(10)).unwrap();
    store.claim(&lease(nth(6), 1), at(11)).unwrap();
    assert!(store.release(nth(6), at(12)).unwrap().is_some());
    let last = store.last(1, &name("office"), false).unwrap().unwrap();
    assert_eq!(last.address, nth(5));
    assert_eq!(store.remembered(&name("office")).unwrap(), [last]);
}

pub fn the_longest_released_is_first(place: &impl Place) {
    let store = place.open();
    for (n, second) in [(3, 30), (1, 10), (2, 20)] {
        take(&store, &lease(nth(n), n));
        store.release(nth(n), at(second)).unwrap();
    }
    let wanted: Vec<Remembered> = (1..=3)
        .map(|n| Remembered {
            address: nth(n),
            holder: n,
            released: at(i64::from(n) * 10),
        })
        .collect();
    assert_eq!(store.remembered(&name("office")).unwrap(), wanted);
    assert!(store.remembered(&name("lab")).unwrap().is_empty());
}

pub fn an_address_that_many_had_is_there_once_with_its_latest_release(place: &impl Place) {
    let store = place.open();
    let give = |n: u32, holder: u32, second: i64| {
        take(&store, &lease(nth(n), holder));
        store.release(nth(n), at(second)).unwrap();
    };
    let remembered = || -> Vec<(IpAddr, u32, Timestamp)> {
        let all = place.open().remembered(&name("office")).unwrap();
        all.iter()
            .map(|r| (r.address, r.holder, r.released))
            .collect()
    };
    give(5, 1, 10);
    give(5, 2, 30);
    give(6, 3, 20);
    // The clock was set back: the latest is the latest all the same.
    give(5, 4, 25);
    assert_eq!(remembered(), [(nth(6), 3, at(20)), (nth(5), 2, at(30))]);
    // Another address takes the place of the one before: what is left of that is what others had.
    give(7, 2, 40);
    assert_eq!(
        remembered(),
        [
            (nth(6), 3, at(20)),
            (nth(5), 4, at(25)),
            (nth(7), 2, at(40))
        ]
    );
    give(7, 3, 50);
    assert_eq!(remembered(), [(nth(5), 4, at(25)), (nth(7), 3, at(50))]);
    store.prune(at(45)).unwrap();
    assert_eq!(remembered(), [(nth(7), 3, at(50))]);
    store.prune(at(51)).unwrap();
    assert_eq!(remembered(), []);
}

pub fn of_one_user_so_many_unused_holders_are_known(place: &impl Place) {
    let store = place.open();
    let number = |key: &str| store.holder(key).unwrap();
    let key = |n: u32| format!("1000/n{n}/1");
    let mut numbers = BTreeMap::new();
    for (n, release) in [(1, false), (2, true)] {
        let holder = number(&key(n));
        numbers.insert(n, holder);
        let l = Lease {
            holder_key: key(n),
            ..lease(nth(holder), holder)
        };
        take(&store, &l);
        if release {
            store.release(l.address, at(10)).unwrap();
        }
    }
    let others = ["10001/n3/1", "100/n3/1"].map(|k| (k, number(k)));
    for n in 3..=MAX_IDLE + 2 {
        numbers.insert(n, number(&key(n)));
    }
    let kept: BTreeSet<&u32> = numbers.values().collect();
    assert_eq!(kept.len(), MAX_IDLE as usize + 2, "a number each");
    // The two that had addresses, those of others, and the last that came, are whom they were.
    for n in [1, 2, MAX_IDLE + 2] {
        assert_eq!(number(&key(n)), numbers[&n]);
    }
    for (key, holder) in others {
        assert_eq!(number(key), holder);
    }
    let last = store.last(numbers[&2], &name("office"), false).unwrap();
    assert_eq!(last.map(|r| r.released), Some(at(10)));
    // The one that came first was forgotten, and begins anew.
    assert!(!kept.contains(&number(&key(3))));
}

pub fn pruning_forgets_what_is_old_and_nothing_that_is_held(place: &impl Place) {
    let store = place.open();
    let key = |n: u32| format!("1000/office/{n}");
    let number = |n: u32| store.holder(&key(n)).unwrap();
    let (old, new, holding, idle) = (number(1), number(2), number(3), number(4));
    for (holder, second) in [(old, 10), (new, 100)] {
        let l = Lease {
            holder_key: key(if holder == old { 1 } else { 2 }),
            ..lease(nth(holder), holder)
        };
        take(&store, &l);
        store.release(nth(holder), at(second)).unwrap();
    }
    let held = Lease {
        holder_key: key(3),
        ..lease(nth(holding), holding)
    };
    take(&store, &held);
    store.set_aside(&aside(nth(77), 20, "old")).unwrap();
    store.set_aside(&aside(nth(78), 200, "new")).unwrap();
    // A last address, something set aside, the holder that had the address and the one that never had any.
    assert_eq!(store.prune(at(50)).unwrap(), 4);
    assert_eq!(store.prune(at(50)).unwrap(), 0);
    assert_eq!(store.last(old, &name("office"), false).unwrap(), None);
    let last = store.last(new, &name("office"), false).unwrap();
    assert_eq!(last.map(|r| r.address), Some(nth(new)));
    assert_eq!(store.leases().unwrap().len(), 1);
    assert_eq!(store.aside(at(0)).unwrap().len(), 1);
    assert_eq!((number(2), number(3)), (new, holding));
    // Who was forgotten gets a number that nobody had before.
    for again in [number(1), number(4)] {
        assert!(![old, new, holding, idle].contains(&again));
    }
    // A holder that was forgotten between its number and its claim still gets the address.
    let number = number(9);
    store.prune(at(50)).unwrap();
    let late = Lease {
        holder_key: key(9),
        ..lease(nth(90), number)
    };
    assert_eq!(store.claim(&late, at(60)).unwrap(), Claim::Done);
    assert_eq!(store.holder(&key(9)).unwrap(), number);
}

pub fn what_hostlets_are_without_is_remembered_until_it_is_found(place: &impl Place) {
    let store = place.open();
    let all = [
        lease(nth(5), 1),
        lease(ip("2001:db8::5"), 1),
        lease(nth(6), 2),
    ];
    for l in &all {
        take(&store, l);
        store.release(l.address, at(10)).unwrap();
        store.lose(l).unwrap();
    }
    let lost = || -> Vec<IpAddr> {
        let all = place.open().lost().unwrap();
        let mut all: Vec<IpAddr> = all.iter().map(|l| l.address).collect();
        all.sort();
        all
    };
    assert_eq!(lost(), [nth(5), nth(6), ip("2001:db8::5")]);
    // Lost again, with another address: the last one counts.
    let again = Lease {
        address: nth(7),
        ..all[0].clone()
    };
    store.lose(&again).unwrap();
    assert_eq!(lost(), [nth(6), nth(7), ip("2001:db8::5")]);
    let (hostlet, pool) = (&all[0].hostlet, &all[0].pool);
    store.found(hostlet, Some((pool, false))).unwrap();
    assert_eq!(lost(), [nth(6), ip("2001:db8::5")]);
    store.found(hostlet, None).unwrap();
    assert_eq!(lost(), [nth(6)]);
    store.found(hostlet, None).unwrap();
}
