//! What every store of leases has to do, whatever it keeps them in.
//!
//! A store joins with a [`Place`] and one line, `contract::tests!(function)`, where the function makes an empty place for the
//! test that it is told the name of.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use hostlet_model::Name;
use hostlet_store::{
    Aside, Claim, Lease, LeaseState, LeaseStore, MAX_HOLDER, SinceBoot, StoreError, Terms,
};
use jiff::Timestamp;

/// Where leases are kept, empty at first; it goes away when dropped.
pub trait Place: Sync {
    /// What keeps them.
    type Store: LeaseStore;
    /// One more connection to the same leases, as another process would have it.
    fn open(&self) -> Self::Store;
}

macro_rules! tests {
    ($fresh:path) => {
        $crate::contract::tests!($fresh:
            a_holder_keeps_its_number,
            many_who_ask_at_once_get_a_number_each,
            a_lease_comes_back_as_it_was,
            who_claims_first_has_the_address,
            of_many_who_claim_at_once_one_has_the_address,
            only_who_has_the_address_can_hold_it,
            terms_are_renewed,
            terms_come_back_with_and_without_the_time_since_boot,
            a_released_address_is_remembered_for_its_holder_pool_and_family,
            what_was_only_claimed_is_not_remembered,
            what_is_set_aside_is_not_lent_until_then,
            what_is_set_aside_is_replaced_and_forgotten,
            the_longest_released_is_first,
            an_address_that_many_had_is_there_once_with_its_latest_release,
            of_one_user_so_many_unused_holders_are_known,
            what_hostlets_are_without_is_remembered_until_it_is_found,
            pruning_forgets_what_is_old_and_nothing_that_is_held,
        );
    };
    ($fresh:path: $($name:ident),* $(,)?) => {
        $(#[test]
        fn $name() {
            contract::$name(&$fresh(stringify!($name)));
        })*
    };
}
pub(crate) use tests;

mod last;
pub use last::*;

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).expect("a time")
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

/// The address `n` of 10.0.0.0/8.
pub fn nth(n: u32) -> IpAddr {
    IpAddr::V4((0x0a00_0000 | n).into())
}

/// A claim of this address by that holder, from the pool "office".
pub fn lease(address: IpAddr, holder: u32) -> Lease {
    Lease {
        address,
        prefix_len: 24,
        pool: name("office"),
        interface: "eth0".into(),
        hostlet: name(&format!("h{holder}")),
        holder,
        holder_key: format!("1000/office/{holder}"),
        uid: 1000,
        user: "alice".into(),
        program: vec!["/usr/bin/curl".into(), "http://a b/".into()],
        since: at(1),
        state: LeaseState::Claimed,
        terms: None,
    }
}

fn terms(second: i64) -> Terms {
    Terms {
        server: "192.0.2.1".into(),
        renew: at(second + 50),
        rebind: at(second + 87),
        expires: Some(at(second + 100)),
        hardware: "02:ab:cd:00:00:07".into(),
        since_boot: None,
    }
}

fn take(store: &impl LeaseStore, lease: &Lease) {
    assert_eq!(store.claim(lease, at(2)).unwrap(), Claim::Done);
    store.hold(lease.address, &lease.hostlet, None).unwrap();
}

pub fn a_holder_keeps_its_number(place: &impl Place) {
    let store = place.open();
    let first = store.holder("1000/office/0").unwrap();
    let second = store.holder("1000/office/1").unwrap();
    assert_ne!(first, second);
    for number in [first, second] {
        assert!((1..=MAX_HOLDER).contains(&number));
    }
    drop(store);
    let store = place.open();
    assert_eq!(store.holder("1000/office/1").unwrap(), second);
    assert_eq!(store.holder("1000/office/0").unwrap(), first);
}

pub fn many_who_ask_at_once_get_a_number_each(place: &impl Place) {
    let numbers: Vec<Vec<u32>> = std::thread::scope(|s| {
        let ask = || {
            let store = place.open();
            (0..20)
                .map(|n| store.holder(&format!("1000/office/{n}")).unwrap())
                .collect::<Vec<u32>>()
        };
        let asking: Vec<_> = (0..6).map(|_| s.spawn(ask)).collect();
        asking.into_iter().map(|a| a.join().unwrap()).collect()
    });
    assert_eq!(numbers[0].iter().collect::<BTreeSet<_>>().len(), 20);
    assert!(numbers.iter().all(|n| *n == numbers[0]));
}

pub fn a_lease_comes_back_as_it_was(place: &impl Place) {
    let store = place.open();
    let four = lease(ip("192.0.2.100"), 7);
    let six = Lease {
        prefix_len: 64,
        state: LeaseState::Held,
        program: Vec::new(),
        terms: Some(Terms {
            expires: None,
            ..terms(0)
        }),
        ..lease(ip("2001:db8::5"), 8)
    };
    for l in [&six, &four] {
        assert_eq!(store.claim(l, at(2)).unwrap(), Claim::Done);
    }
    drop(store);
    assert_eq!(place.open().leases().unwrap(), [four, six]);
}

pub fn who_claims_first_has_the_address(place: &impl Place) {
    let (one, other) = (place.open(), place.open());
    let (mine, theirs) = (lease(nth(5), 1), lease(nth(5), 2));
    assert_eq!(one.claim(&mine, at(2)).unwrap(), Claim::Done);
    let taken = Claim::Taken(Box::new(mine.clone()));
    assert_eq!(other.claim(&theirs, at(2)).unwrap(), taken);
    // The same hostlet's name in other hands is another holder, and the same holder's next hostlet is another hostlet.
    let namesake = Lease {
        hostlet: mine.hostlet.clone(),
        ..theirs.clone()
    };
    let successor = Lease {
        hostlet: name("next"),
        ..mine.clone()
    };
    for l in [&namesake, &successor] {
        assert_eq!(other.claim(l, at(2)).unwrap(), taken);
    }
    let again = Lease {
        terms: Some(terms(0)),
        ..mine.clone()
    };
    assert_eq!(one.claim(&again, at(3)).unwrap(), Claim::Done);
    assert_eq!(other.leases().unwrap()[..], *std::slice::from_ref(&again));
    assert_eq!(one.release(nth(5), at(4)).unwrap(), Some(again));
    assert_eq!(other.claim(&theirs, at(5)).unwrap(), Claim::Done);
    assert_eq!(one.leases().unwrap(), [theirs]);
    assert_eq!(one.release(nth(6), at(6)).unwrap(), None);
}

pub fn of_many_who_claim_at_once_one_has_the_address(place: &impl Place) {
    const ADDRESSES: u32 = 25;
    let won: Vec<Vec<IpAddr>> = std::thread::scope(|s| {
        let claim = |holder| {
            let store = place.open();
            let mut won = Vec::new();
            for n in 0..ADDRESSES {
                match store.claim(&lease(nth(n), holder), at(2)).unwrap() {
                    Claim::Done => won.push(nth(n)),
                    Claim::Taken(by) => assert_ne!(by.holder, holder),
                    Claim::SetAside { .. } => panic!("nothing is set aside"),
                }
            }
            won
        };
        let claiming: Vec<_> = (1..=8).map(|h| s.spawn(move || claim(h))).collect();
        claiming.into_iter().map(|c| c.join().unwrap()).collect()
    });
    let leases = place.open().leases().unwrap();
    assert_eq!(leases.len(), ADDRESSES as usize);
    assert_eq!(won.iter().map(Vec::len).sum::<usize>(), leases.len());
    for l in leases {
        assert!(won[l.holder as usize - 1].contains(&l.address));
    }
}

pub fn only_who_has_the_address_can_hold_it(place: &impl Place) {
    let store = place.open();
    let mine = lease(nth(5), 1);
    store.claim(&mine, at(2)).unwrap();
    for (address, hostlet) in [(nth(5), "other"), (nth(6), "h1")] {
        let error = store.hold(address, &name(hostlet), None).unwrap_err();
        assert!(matches!(error, StoreError::NotLeased { .. }), "{error}");
    }
    assert_eq!(store.leases().unwrap()[..], *std::slice::from_ref(&mine));
    store.hold(nth(5), &mine.hostlet, None).unwrap();
    let state = LeaseState::Held;
    assert_eq!(place.open().leases().unwrap(), [Lease { state, ..mine }]);
}

pub fn terms_are_renewed(place: &impl Place) {
    let store = place.open();
    let mine = lease(nth(5), 1);
    store.claim(&mine, at(2)).unwrap();
    for begin in [0, 50] {
        let new = terms(begin);
        store.hold(nth(5), &mine.hostlet, Some(&new)).unwrap();
        assert_eq!(place.open().leases().unwrap()[0].terms, Some(new));
    }
}

pub fn terms_come_back_with_and_without_the_time_since_boot(place: &impl Place) {
    let store = place.open();
    let mine = lease(nth(5), 1);
    store.claim(&mine, at(2)).unwrap();
    let since_boot = |expires| SinceBoot {
        boot_id: "2c4e7f7e-8b0c-4b8e-9d0c-0d4b8c3f5a11".into(),
        written: Duration::from_millis(1_234),
        renew: Duration::from_nanos(51_234_000_001),
        rebind: Duration::MAX,
        expires,
    };
    let all = [
        Some(since_boot(Some(Duration::from_secs(101)))),
        Some(since_boot(None)),
        None,
    ];
    for since_boot in all {
        let new = Terms {
            since_boot,
            ..terms(0)
        };
        store.hold(nth(5), &mine.hostlet, Some(&new)).unwrap();
        assert_eq!(place.open().leases().unwrap()[0].terms, Some(new));
    }
}

fn aside(address: IpAddr, until: i64, why: &str) -> Aside {
    Aside {
        address,
        pool: name("office"),
        until: at(until),
        why: why.into(),
    }
}

pub fn what_is_set_aside_is_not_lent_until_then(place: &impl Place) {
    let store = place.open();
    let mine = lease(nth(5), 1);
    take(&store, &mine);
    store
        .set_aside(&aside(nth(5), 100, "02:00:00:00:00:01 answers"))
        .unwrap();
    // It stays whose it is, but cannot be claimed anew; not even by him.
    assert_eq!(store.leases().unwrap().len(), 1);
    let no = Claim::SetAside {
        until: at(100),
        why: "02:00:00:00:00:01 answers".into(),
    };
    assert_eq!(store.claim(&mine, at(10)).unwrap(), no);
    store.release(nth(5), at(10)).unwrap();
    assert_eq!(place.open().claim(&lease(nth(5), 2), at(99)).unwrap(), no);
    assert!(store.leases().unwrap().is_empty());
    let done = store.claim(&lease(nth(5), 2), at(100)).unwrap();
    assert_eq!(done, Claim::Done);
}

pub fn what_is_set_aside_is_replaced_and_forgotten(place: &impl Place) {
    let store = place.open();
    let late = aside(nth(3), 300, "third");
    for a in [
        &late,
        &aside(nth(2), 200, "second"),
        &aside(nth(1), 50, "early"),
        &aside(nth(1), 100, "first"),
    ] {
        store.set_aside(a).unwrap();
    }
    let other = place.open();
    let whys = |now| -> Vec<String> {
        let all = other.aside(at(now)).unwrap();
        all.into_iter().map(|a| a.why).collect()
    };
    assert_eq!(whys(50), ["first", "second", "third"]);
    assert_eq!(whys(100), ["second", "third"]);
    assert_eq!(store.aside(at(299)).unwrap(), [late]);
    assert!(whys(300).is_empty());
    assert!(whys(50).is_empty(), "what expired is gone for good");
}
