//! Ranges of addresses: what they are written as, and counting in them.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use hostlet_model::{AddressError, AddressRange, RangeError, Ranges};
use proptest::prelude::*;

fn range(s: &str) -> AddressRange {
    s.parse().unwrap_or_else(|e| panic!("{s}: {e}"))
}

fn error(s: &str) -> RangeError {
    s.parse::<AddressRange>().expect_err(s)
}

fn ip(s: &str) -> IpAddr {
    s.parse().unwrap()
}

fn ranges(all: &[&str], exclude: &[&str]) -> Ranges {
    let read = |all: &[&str]| -> Vec<AddressRange> { all.iter().map(|s| range(s)).collect() };
    Ranges::new(&read(all), &read(exclude))
}

#[test]
fn what_can_be_written() {
    for (text, is, count) in [
        ("192.0.2.7", "192.0.2.7", 1),
        ("192.0.2.100-192.0.2.199", "192.0.2.100-192.0.2.199", 100),
        ("192.0.2.100 - 192.0.2.199", "192.0.2.100-192.0.2.199", 100),
        ("192.0.2.7-192.0.2.7", "192.0.2.7", 1),
        ("192.0.2.0/24", "192.0.2.1-192.0.2.254", 254),
        ("192.0.2.4/30", "192.0.2.5-192.0.2.6", 2),
        ("192.0.2.4/31", "192.0.2.4-192.0.2.5", 2),
        ("192.0.2.4/32", "192.0.2.4", 1),
        ("2001:db8:5::/120", "2001:db8:5::1-2001:db8:5::ff", 255),
        ("2001:db8:5::4/126", "2001:db8:5::5-2001:db8:5::7", 3),
        ("2001:db8:5::4/127", "2001:db8:5::4-2001:db8:5::5", 2),
        ("2001:db8:5::4/128", "2001:db8:5::4", 1),
        (
            "2001:db8::/64",
            "2001:db8::1-2001:db8::ffff:ffff:ffff:ffff",
            (1 << 64) - 1,
        ),
    ] {
        let r = range(text);
        assert_eq!((r.to_string().as_str(), r.count()), (is, count), "{text}");
        assert_eq!(range(&r.to_string()), r);
        assert_eq!(AddressRange::new(r.first(), r.last()), Ok(r));
        let json = serde_json::to_string(&r).unwrap();
        assert_eq!(serde_json::from_str::<AddressRange>(&json).unwrap(), r);
    }
}

#[test]
fn what_cannot() {
    for s in ["", "-", "x", "192.0.2.1-", "192.0.2.0/33", "192.0.2.1-9"] {
        assert!(matches!(error(s), RangeError::Malformed { .. }), "{s}");
    }
    let e = error("192.0.2.1/24").to_string();
    assert!(e.contains("bits are set behind the length"), "{e}");
    let e = error("192.0.2.9-2001:db8::1");
    assert!(matches!(e, RangeError::Families { .. }), "{e}");
    let e = error("192.0.2.9-192.0.2.1").to_string();
    assert!(e.ends_with("write 192.0.2.1-192.0.2.9"), "{e}");
    for s in ["fe80::1", "fe80::/64", "fe00::-fe80::"] {
        assert!(matches!(error(s), RangeError::LinkLocal { .. }), "{s}");
    }
    use AddressError as A;
    for (s, wanted) in [
        ("0.0.0.0/0", "Unspecified"),
        ("::/0", "Unspecified"),
        ("126.0.0.0-128.0.0.0", "Loopback"),
        ("::1", "Loopback"),
        ("223.255.255.255-224.0.0.0", "Multicast"),
        ("ff02::1", "Multicast"),
        ("255.255.255.255", "Broadcast"),
        ("fd68:6f73:746c:7400::/64", "Reserved"),
        ("::ffff:192.0.2.1", "V4Mapped"),
    ] {
        let RangeError::Special(e) = error(s) else {
            panic!("{s}");
        };
        let is = match e {
            A::Unspecified { .. } => "Unspecified",
            A::Loopback { .. } => "Loopback",
            A::Multicast { .. } => "Multicast",
            A::Broadcast { .. } => "Broadcast",
            A::Reserved { .. } => "Reserved",
            A::V4Mapped { .. } => "V4Mapped",
            _ => "another",
        };
        assert_eq!(is, wanted, "{s}");
    }
}

#[test]
fn both_families_are_counted_apart() {
    let r = ranges(
        &["2001:db8::/64", "192.0.2.0/29", "192.0.2.100"],
        &["192.0.2.2-192.0.2.3", "2001:db8::1"],
    );
    assert_eq!(
        r.to_string(),
        "192.0.2.1, 192.0.2.4-192.0.2.6, 192.0.2.100, 2001:db8::2-2001:db8::ffff:ffff:ffff:ffff"
    );
    assert!(r.has(false) && r.has(true));
    assert_eq!((r.count(false), r.count(true)), (5, (1 << 64) - 2));
    assert_eq!(r.nth(false, 0), Some(ip("192.0.2.1")));
    assert_eq!(r.nth(false, 4), Some(ip("192.0.2.100")));
    assert_eq!(r.nth(false, 5), None);
    let last = ip("2001:db8::ffff:ffff:ffff:ffff");
    assert_eq!(r.nth(true, (1 << 64) - 3), Some(last));
    assert_eq!(r.nth(true, (1 << 64) - 2), None);
    assert_eq!(r.position(last), Some((1 << 64) - 3));
    assert_eq!(r.position(ip("192.0.2.2")), None);
    assert_eq!(
        r.overlap(ip("192.0.2.7"), ip("192.0.2.200")),
        Some(ip("192.0.2.100"))
    );
    let json = serde_json::to_string(&r).unwrap();
    assert_eq!(serde_json::from_str::<Ranges>(&json).unwrap(), r);
    let none = Ranges::default();
    assert!(none.is_empty() && !none.has(false) && none.nth(true, 0).is_none());
}

#[test]
fn the_ends_of_what_there_is_do_not_overflow() {
    let r = ranges(
        &["1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255"],
        &[],
    );
    assert_eq!(r.count(false), (126 << 24) + (96 << 24));
    let r = ranges(&["fec0::-feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"], &[]);
    assert_eq!(r.count(true), 1 << 118);
    assert_eq!(r.nth(true, u128::MAX), None);
    let all = ranges(
        &["192.0.2.1-192.0.2.5"],
        &["1.0.0.0-126.255.255.255", "128.0.0.0-223.255.255.255"],
    );
    assert!(all.is_empty());
}

/// Some small ranges of 10.0.0.0/26, and what they have.
fn some() -> impl Strategy<Value = Vec<AddressRange>> {
    let one = (0_u32..64, 0_u32..12).prop_map(|(first, more)| {
        let ip = |n: u32| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | n));
        AddressRange::new(ip(first), ip(first + more)).unwrap()
    });
    prop::collection::vec(one, 0..6)
}

fn members(all: &[AddressRange]) -> BTreeSet<IpAddr> {
    (0..256)
        .map(|n| IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | n)))
        .filter(|a| all.iter().any(|r| r.contains(*a)))
        .collect()
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(s in "[0-9a-f:./ -]{0,40}") {
        if let Ok(r) = s.parse::<AddressRange>() {
            prop_assert!(r.count() >= 1);
            prop_assert_eq!(r.to_string().parse::<AddressRange>().unwrap(), r);
        }
    }

    #[test]
    fn ranges_are_the_set_that_is_left(all in some(), exclude in some()) {
        let r = Ranges::new(&all, &exclude);
        let wanted: Vec<IpAddr> = members(&all).difference(&members(&exclude)).copied().collect();
        prop_assert_eq!(r.count(false), wanted.len() as u128);
        let listed: Vec<IpAddr> = (0..).map_while(|n| r.nth(false, n)).collect();
        prop_assert_eq!(&listed, &wanted);
        for n in 0..80_u32 {
            let a = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | n));
            prop_assert_eq!(r.contains(a), wanted.contains(&a));
            let position = wanted.iter().position(|w| *w == a).map(|n| n as u128);
            prop_assert_eq!(r.position(a), position);
        }
        let pieces: Vec<&AddressRange> = r.iter().collect();
        prop_assert_eq!(Ranges::from(r.iter().copied().collect::<Vec<_>>()), r.clone());
        for two in pieces.windows(2) {
            prop_assert!(two[0].last() < two[1].first());
            // They do not touch either.
            let between = AddressRange::new(two[0].last(), two[1].first()).unwrap();
            prop_assert!(between.count() > 2);
        }
        for other in &exclude {
            prop_assert_eq!(r.overlap(other.first(), other.last()), None);
        }
        for other in &all {
            let first = wanted.iter().find(|a| other.contains(**a)).copied();
            prop_assert_eq!(r.overlap(other.first(), other.last()), first);
        }
    }
}
