//! Addresses as users write them, and sets of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use hostlet_model::{AddressError, AddressSpec, IpNet, MAX_ADDRESSES, Owned, SetError, check_set};
use proptest::prelude::*;

fn spec(s: &str) -> AddressSpec {
    s.parse().unwrap_or_else(|e| panic!("{s}: {e}"))
}

fn error(s: &str) -> AddressError {
    match s.parse::<AddressSpec>() {
        Ok(a) => panic!("{s} was taken as {a:?}"),
        Err(e) => e,
    }
}

#[test]
fn what_users_write_is_understood() {
    let single = |a: &str, onlink| AddressSpec {
        owned: Owned::Single(a.parse().unwrap()),
        onlink,
        zone: None,
    };
    assert_eq!(spec("10.0.0.5"), single("10.0.0.5", None));
    assert_eq!(spec("10.0.0.5/24"), single("10.0.0.5", Some(24)));
    assert_eq!(spec("10.0.0.5/32"), single("10.0.0.5", Some(32)));
    assert_eq!(spec("10.0.0.1/31"), single("10.0.0.1", Some(31)));
    assert_eq!(spec("2001:db8::5/64"), single("2001:db8::5", Some(64)));
    assert_eq!(spec("2001:db8::5/128"), single("2001:db8::5", Some(128)));
    for p in ["10.9.0.0/24", "2001:db8:7::/64", "10.0.0.0/31"] {
        let a = spec(p);
        assert_eq!(a.owned, Owned::Prefix(p.parse().unwrap()));
        assert_eq!((a.onlink, a.zone), (None, None));
    }
    for z in ["fe80::1%eth0/64", "fe80::1/64%eth0"] {
        let a = spec(z);
        assert_eq!(a.owned, Owned::Single("fe80::1".parse().unwrap()));
        assert_eq!((a.onlink, a.zone.as_deref()), (Some(64), Some("eth0")));
    }
    assert_eq!(spec("fe80::1%eth0").to_string(), "fe80::1%eth0");
}

#[test]
fn malformed() {
    for s in [
        "",
        " ",
        "10.0.0",
        "10.0.0.5.6",
        "10.0.0.256",
        "010.0.0.1",
        "web",
        "10.0.0.5:80",
        "10.0.0.5 ",
        "2001:db8::g",
        "1:2:3:4:5:6:7:8:9",
        "[::2]",
        "/24",
        "%eth0",
    ] {
        assert!(
            matches!(error(s), AddressError::Malformed { .. }),
            "{s:?}: {:?}",
            error(s)
        );
    }
}

#[test]
fn lengths_out_of_range() {
    for s in [
        "10.0.0.5/33",
        "10.0.0.5/",
        "10.0.0.5/-1",
        "10.0.0.5/+8",
        "10.0.0.5/2 4",
        "::5/129",
        "10.0.0.5/24/24",
    ] {
        assert!(
            matches!(error(s), AddressError::BadLength { .. }),
            "{s:?}: {:?}",
            error(s)
        );
    }
}

#[test]
fn loopback() {
    for s in [
        "127.0.0.1",
        "127.64.0.9",
        "127.0.0.0/8",
        "127.1.2.0/24",
        "::1",
        "126.0.0.0/7",
    ] {
        assert!(matches!(error(s), AddressError::Loopback { .. }), "{s}");
    }
    for s in ["fd68:6f73:746c:7400::9", "fd68:6f73:746c::/48"] {
        assert!(matches!(error(s), AddressError::Reserved { .. }), "{s}");
    }
}

#[test]
fn multicast() {
    for s in [
        "224.0.0.1",
        "239.255.0.1",
        "224.0.0.0/4",
        "ff02::1",
        "ff00::/8",
        "192.0.0.0/2",
    ] {
        assert!(matches!(error(s), AddressError::Multicast { .. }), "{s}");
    }
    let said = |s| error(s).to_string();
    assert!(said("224.0.0.1").contains(" is a multicast"));
    assert!(said("128.0.0.0/1").contains(" includes a multicast"));
}

#[test]
fn unspecified() {
    for s in ["0.0.0.0", "::", "0.0.0.0/0", "::/0", "0.0.0.0/8", "::/64"] {
        assert!(matches!(error(s), AddressError::Unspecified { .. }), "{s}");
    }
}

#[test]
fn broadcast() {
    for s in ["255.255.255.255", "255.255.255.255/24", "255.255.255.0/24"] {
        assert!(matches!(error(s), AddressError::Broadcast { .. }), "{s}");
    }
}

#[test]
fn link_local() {
    for s in ["fe80::1", "fe80::1/64", "febf::9"] {
        assert!(
            matches!(error(s), AddressError::LinkLocalWithoutInterface { .. }),
            "{s}"
        );
    }
    for s in ["fe80::/64%eth0", "fe80::/10", "fc00::/6"] {
        // fc00::/6 meets hostlet's own range first; it must be refused all the same.
        assert!(
            matches!(
                error(s),
                AddressError::LinkLocalPrefix { .. } | AddressError::Reserved { .. }
            ),
            "{s}"
        );
    }
    assert!(matches!(
        error("10.0.0.5%eth0"),
        AddressError::ZoneWithoutLinkLocal { .. }
    ));
    assert!(matches!(
        error("2001:db8::1%eth0"),
        AddressError::ZoneWithoutLinkLocal { .. }
    ));
    for s in [
        "fe80::1%",
        "fe80::1%a/b",
        "fe80::1%sixteen-letters-x",
        "fe80::1%e h",
    ] {
        assert!(s.parse::<AddressSpec>().is_err(), "{s}");
    }
}

#[test]
fn mapped() {
    let e = error("::ffff:10.0.0.5");
    assert!(matches!(&e, AddressError::V4Mapped { plain, .. } if plain == "10.0.0.5"));
    assert!(matches!(
        error("::ffff:0:0/96"),
        AddressError::V4Mapped { .. }
    ));
}

/// All the world would be on the link.
#[test]
fn no_subnet() {
    for (s, better) in [
        ("10.0.0.5/0", "10.0.0.5/24"),
        ("2001:db8::5/0", "2001:db8::5/64"),
    ] {
        let e = error(s).to_string();
        assert!(e.contains(s) && e.contains(better), "{e}");
    }
    assert!(matches!(
        error("fe80::5%eth0/0"),
        AddressError::NoSubnet { .. }
    ));
    assert!(matches!(
        error("0.0.0.0/0"),
        AddressError::Unspecified { .. }
    ));
}

#[test]
fn every_refusal_names_what_was_given() {
    for s in [
        "10.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "0.0.0.0",
        "fe80::1",
        "::ffff:1.2.3.4",
        "10.0.0.1/40",
    ] {
        assert!(error(s).to_string().contains(s), "{}", error(s));
    }
}

#[test]
fn sets() {
    let set = |l: &[&str]| check_set(&l.iter().map(|s| spec(s)).collect::<Vec<_>>());
    let owned = |s: &str| spec(s).owned;
    assert_eq!(
        set(&["10.0.0.5", "10.0.0.6/24", "10.9.0.0/24", "2001:db8::/64"]),
        Ok(())
    );
    assert_eq!(set(&[]), Err(SetError::Empty));
    assert_eq!(
        set(&["10.0.0.5", "::5", "10.0.0.5/24"]),
        Err(SetError::Duplicate {
            address: owned("10.0.0.5")
        })
    );
    assert_eq!(
        set(&["10.9.0.7", "10.9.0.0/24"]),
        Err(SetError::Overlap {
            outer: owned("10.9.0.0/24"),
            inner: owned("10.9.0.7")
        })
    );
    assert_eq!(
        set(&["2001:db8:7:1::/64", "2001:db8:7::/48"]),
        Err(SetError::Overlap {
            outer: owned("2001:db8:7::/48"),
            inner: owned("2001:db8:7:1::/64")
        })
    );
    let many = |n: usize| -> Vec<AddressSpec> {
        (0..n)
            .map(|i| spec(&format!("10.0.{}.{}", i / 250, i % 250 + 1)))
            .collect()
    };
    assert_eq!(check_set(&many(MAX_ADDRESSES)), Ok(()));
    assert_eq!(
        check_set(&many(MAX_ADDRESSES + 1)),
        Err(SetError::TooMany {
            count: MAX_ADDRESSES + 1
        })
    );
}

#[test]
fn the_first_address_of_a_prefix_is_not_its_network() {
    let first = |s: &str| spec(s).owned.first().to_string();
    assert_eq!(first("10.9.0.0/24"), "10.9.0.1");
    assert_eq!(first("10.9.0.0/31"), "10.9.0.1");
    assert_eq!(first("2001:db8:7::/64"), "2001:db8:7::1");
    assert_eq!(first("10.0.0.5/24"), "10.0.0.5");
}

#[test]
fn owned_as_text() {
    assert_eq!(
        "10.9.0.0/24".parse::<Owned>().unwrap().to_string(),
        "10.9.0.0/24"
    );
    assert_eq!(
        "10.9.0.4/32".parse::<Owned>().unwrap(),
        Owned::Single("10.9.0.4".parse().unwrap())
    );
    assert!("10.9.0.4/24".parse::<Owned>().is_err());
    assert!("x".parse::<Owned>().is_err());
    assert_eq!(format!("{:>12}|", spec("10.0.0.5").owned), "    10.0.0.5|");
    assert_eq!(
        format!("{:<12}|", spec("10.9.0.0/24").owned),
        "10.9.0.0/24 |"
    );
}

/// Small worlds, so that overlaps are frequent.
fn any_owned() -> impl Strategy<Value = Owned> {
    let v4 = (0_u32..64, 26_u8..=32).prop_map(|(host, len)| {
        IpNet::new(IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | host)), len).unwrap()
    });
    let v6 = (0_u128..64, 122_u8..=128).prop_map(|(host, len)| {
        IpNet::new(
            IpAddr::V6(Ipv6Addr::from((0x2001_0db8_u128 << 96) | host)),
            len,
        )
        .unwrap()
    });
    prop_oneof![v4, v6].prop_map(Owned::from_net)
}

fn addresses(o: &Owned) -> Vec<IpAddr> {
    match o.net() {
        IpNet::V4(n) => (u32::from(n.network())..=u32::from(n.broadcast()))
            .map(|a| IpAddr::V4(a.into()))
            .collect(),
        IpNet::V6(n) => (u128::from(n.network())..=u128::from(n.broadcast()))
            .map(|a| IpAddr::V6(a.into()))
            .collect(),
    }
}

proptest! {
    #[test]
    fn overlap_is_having_an_address_in_common(a in any_owned(), b in any_owned()) {
        let common = addresses(&a).iter().any(|x| addresses(&b).contains(x));
        prop_assert_eq!(a.overlaps(&b), common);
        prop_assert_eq!(b.overlaps(&a), common);
    }

    #[test]
    fn a_set_is_refused_exactly_if_two_entries_overlap(all in prop::collection::vec(any_owned(), 1..12)) {
        let set: Vec<AddressSpec> = all
            .iter()
            .map(|o| AddressSpec { owned: *o, onlink: None, zone: None })
            .collect();
        let clash = (0..all.len()).any(|i| (0..i).any(|j| all[i].overlaps(&all[j])));
        prop_assert_eq!(check_set(&set).is_err(), clash);
        match check_set(&set) {
            Err(SetError::Overlap { outer, inner }) => {
                prop_assert!(addresses(&inner).iter().all(|a| outer.contains(*a)));
                prop_assert_ne!(outer, inner);
            }
            Err(SetError::Duplicate { address }) => prop_assert!(all.iter().filter(|o| **o == address).count() > 1),
            _ => {}
        }
    }

    #[test]
    fn contains_agrees_with_the_list(o in any_owned(), host in 0_u32..64) {
        let a = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 | host));
        prop_assert_eq!(o.contains(a), addresses(&o).contains(&a));
        prop_assert!(o.contains(o.first()));
    }

    #[test]
    fn v4_text_and_back(a in any::<u32>(), len in prop::option::of(0_u8..=32)) {
        round_trip(Ipv4Addr::from(a).to_string(), len)?;
    }

    #[test]
    fn v6_text_and_back(a in any::<u128>(), len in prop::option::of(0_u8..=128)) {
        round_trip(Ipv6Addr::from(a).to_string(), len)?;
    }

    #[test]
    fn no_text_makes_the_parser_panic(s in ".{0,40}") {
        let _ = s.parse::<AddressSpec>();
        let _ = s.parse::<Owned>();
    }

    #[test]
    fn no_near_miss_makes_the_parser_panic(s in "[0-9a-f:.%/ ]{0,40}") {
        if let Ok(a) = s.parse::<AddressSpec>() {
            prop_assert_eq!(a.to_string().parse::<AddressSpec>(), Ok(a));
        }
    }
}

fn round_trip(mut text: String, len: Option<u8>) -> Result<(), TestCaseError> {
    if let Some(l) = len {
        text = format!("{text}/{l}");
    }
    if let Ok(a) = text.parse::<AddressSpec>() {
        prop_assert_eq!(a.to_string(), text);
        let json = serde_json::to_string(&a).unwrap();
        prop_assert_eq!(serde_json::from_str::<AddressSpec>(&json).unwrap(), a);
    }
    Ok(())
}
