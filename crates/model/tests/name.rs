//! Names and ids.

use std::net::{Ipv4Addr, Ipv6Addr};

use hostlet_model::{HostletId, Name, NameError};
use proptest::prelude::*;

#[test]
fn names_of_the_alphabet_are_taken() {
    for n in ["a", "0", "web", "web-1", "a-", "x".repeat(63).as_str()] {
        assert_eq!(n.parse::<Name>().unwrap().as_str(), n);
    }
}

#[test]
fn every_bad_name_has_its_reason() {
    let of = |n: &str| n.parse::<Name>().unwrap_err();
    assert_eq!(of(""), NameError::Empty);
    assert!(matches!(
        of(&"x".repeat(64)),
        NameError::TooLong { length: 64, .. }
    ));
    assert!(matches!(
        of("Web"),
        NameError::BadCharacter { bad: 'W', .. }
    ));
    assert!(matches!(
        of("a b"),
        NameError::BadCharacter { bad: ' ', .. }
    ));
    assert!(matches!(of("ü"), NameError::BadCharacter { bad: 'ü', .. }));
    assert!(matches!(
        of("a/b"),
        NameError::BadCharacter { bad: '/', .. }
    ));
    assert!(matches!(of(".."), NameError::BadCharacter { bad: '.', .. }));
    assert!(matches!(of("-a"), NameError::LeadingDash { .. }));
}

#[test]
fn the_error_for_a_huge_name_is_short() {
    let e = "é".repeat(1_000_000).parse::<Name>().unwrap_err();
    assert!(e.to_string().len() < 400, "{}", e.to_string().len());
    assert!(e.to_string().contains("1000000 characters"));
}

#[test]
fn a_name_read_back_is_checked_again() {
    let n: Name = serde_json::from_str("\"web\"").unwrap();
    assert_eq!(serde_json::to_string(&n).unwrap(), "\"web\"");
    assert!(serde_json::from_str::<Name>("\"../x\"").is_err());
}

#[test]
fn loopbacks_come_from_the_id() {
    let id = HostletId::new(1).unwrap();
    assert_eq!(id.loopback4(), Ipv4Addr::new(127, 64, 0, 1));
    assert_eq!(
        id.loopback6(),
        "fd68:6f73:746c:7400::1".parse::<Ipv6Addr>().unwrap()
    );
    let last = HostletId::new(HostletId::MAX).unwrap();
    assert_eq!(last.loopback4(), Ipv4Addr::new(127, 127, 255, 254));
    assert_eq!(
        last.loopback6(),
        "fd68:6f73:746c:7400::3f:fffe".parse::<Ipv6Addr>().unwrap()
    );
}

#[test]
fn zero_and_the_last_number_are_no_ids() {
    assert!(HostletId::new(0).is_err());
    assert!(HostletId::new(HostletId::MAX + 1).is_err());
    assert!(serde_json::from_str::<HostletId>("0").is_err());
    assert_eq!(
        serde_json::from_str::<HostletId>("7").unwrap(),
        HostletId(7)
    );
}

proptest! {
    #[test]
    fn a_text_is_a_name_exactly_if_the_rule_says_so(s in "[a-z0-9A-Z_. -]{0,70}") {
        let rule = (1..=63).contains(&s.len())
            && s.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
            && !s.starts_with('-');
        prop_assert_eq!(s.parse::<Name>().is_ok(), rule);
    }

    #[test]
    fn loopbacks_are_of_one_hostlet(a in 1..=HostletId::MAX, b in 1..=HostletId::MAX) {
        let (a, b) = (HostletId(a), HostletId(b));
        prop_assert_eq!(a == b, a.loopback4() == b.loopback4());
        prop_assert_eq!(a == b, a.loopback6() == b.loopback6());
        prop_assert!(a.loopback4().is_loopback());
        prop_assert_eq!(a.loopback4().octets()[1] & 0xc0, 64);
    }
}
