//! Addresses as scripts name them: by family, and by whose they are.

use crate::chance::Chance;

/// What a socket can be made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Kind {
    pub name: &'static str,
    pub six: bool,
    pub stream: bool,
    /// UDP-Lite, which has ports of its own.
    pub lite: bool,
}

impl Kind {
    const fn new(name: &'static str, six: bool) -> Kind {
        let name_is = name.as_bytes();
        Kind {
            name,
            six,
            stream: name_is[0] == b't',
            lite: name_is.len() > 4,
        }
    }

    /// The same, of that family.
    pub fn of(self, six: bool) -> Kind {
        let all = [TCP4, TCP6, UDP4, UDP6, LITE4, LITE6];
        let fits = |k: &&Kind| k.six == six && k.stream == self.stream && k.lite == self.lite;
        all.iter().find(fits).copied().unwrap_or(self)
    }
}

pub(super) const TCP4: Kind = Kind::new("tcp4", false);
pub(super) const TCP6: Kind = Kind::new("tcp6", true);
pub(super) const UDP4: Kind = Kind::new("udp4", false);
pub(super) const UDP6: Kind = Kind::new("udp6", true);
pub(super) const LITE4: Kind = Kind::new("udplite4", false);
pub(super) const LITE6: Kind = Kind::new("udplite6", true);

/// Sets of addresses that cases are made for: how often, name, IPv4, IPv6.
pub(super) type Set = (
    usize,
    &'static str,
    &'static [&'static str],
    &'static [&'static str],
);

pub(super) const SETS: &[Set] = &[
    (
        6,
        "two",
        &["10.0.0.5", "10.0.0.6"],
        &["2001:db8::5", "2001:db8::6"],
    ),
    (
        2,
        "nets",
        &["10.0.0.5", "10.0.0.6", "10.1.0.5"],
        &["2001:db8::5", "2001:db8:1::5"],
    ),
    (1, "four", &["10.0.0.5", "10.0.0.6"], &[]),
    (1, "six", &[], &["2001:db8::5", "2001:db8::6"]),
];

/// An address for `bind` of that actor, as text that fits the family, mostly.
pub(super) fn to_bind(chance: &mut Chance, set: &Set, actor: &str, kind: Kind) -> String {
    let v4 = if kind.six {
        chance.percent(15)
    } else {
        !chance.percent(1)
    };
    let host = if v4 {
        bind4(chance, set, actor, kind)
    } else {
        bind6(chance, set, actor)
    };
    shown(chance, host, kind, v4)
}

fn bind4(chance: &mut Chance, set: &Set, actor: &str, kind: Kind) -> &'static str {
    if actor != "in" {
        // The host itself is one machine with the hostlets.
        let loopback = if actor == "host" { 0 } else { 8 };
        return chance.pick(&[(50, "0.0.0.0"), (50, own4(actor)), (loopback, "127.0.0.1")]);
    }
    match chance.below(100) {
        0..45 => "0.0.0.0",
        45..70 => chance.one(set.2).unwrap_or(&"10.0.0.5"),
        70..86 => "127.0.0.1",
        86..88 => "127.0.0.2",
        88..96 => chance.pick(&[
            (3, "10.0.0.1"),
            (3, "10.0.0.9"),
            (1, "10.0.0.100"),
            (1, "8.8.8.8"),
        ]),
        _ if kind.stream => "0.0.0.0",
        _ => chance.pick(&[(1, "10.0.0.255"), (1, "255.255.255.255"), (2, "239.1.2.3")]),
    }
}

fn bind6(chance: &mut Chance, set: &Set, actor: &str) -> &'static str {
    if actor != "in" {
        let loopback = if actor == "host" { 0 } else { 8 };
        return chance.pick(&[(50, "::"), (50, own6(actor)), (loopback, "::1")]);
    }
    match chance.below(100) {
        0..50 => "::",
        50..75 => chance.one(set.3).unwrap_or(&"2001:db8::5"),
        75..90 => "::1",
        90..98 => chance.pick(&[(3, "2001:db8::1"), (3, "2001:db8::9"), (1, "2001:db8::100")]),
        _ => "ff0e::1:7",
    }
}

fn own4(actor: &str) -> &'static str {
    match actor {
        "peer" => "10.0.0.100",
        "other" => "10.0.0.9",
        "host" => "10.0.0.1",
        _ => "10.0.0.5",
    }
}

fn own6(actor: &str) -> &'static str {
    match actor {
        "peer" => "2001:db8::100",
        "other" => "2001:db8::9",
        "host" => "2001:db8::1",
        _ => "2001:db8::5",
    }
}

/// An address at which `at` can be reached by `from`, perhaps; none if nobody has one of that
/// family there: when a machine gives up asking for it is a matter of time.
pub(super) fn to_reach(
    chance: &mut Chance,
    set: &Set,
    from: &str,
    at: &str,
    kind: Kind,
    v4: bool,
) -> Option<String> {
    let inside = from == at;
    // The other hostlet is on the first network alone.
    let both = set.1 == "nets" && from != "other";
    let near = |address: &&&str| {
        from != "other" || !(address.starts_with("10.1.") || address.starts_with("2001:db8:1:"))
    };
    let four: Vec<&str> = set.2.iter().filter(near).copied().collect();
    let six: Vec<&str> = set.3.iter().filter(near).copied().collect();
    if at == "in" && !inside && (if v4 { set.2 } else { set.3 }).is_empty() {
        return None;
    }
    let host = match (v4, at) {
        (true, "in") => match chance.below(100) {
            0..40 if inside => "127.0.0.1",
            40..48 if inside => chance.pick(&[(4, "0.0.0.0"), (1, "127.0.0.2")]),
            _ => chance.one(&four).unwrap_or(&"10.0.0.5"),
        },
        (false, "in") => match chance.below(100) {
            0..40 if inside => "::1",
            40..48 if inside => "::",
            _ => chance.one(&six).unwrap_or(&"2001:db8::5"),
        },
        (true, "peer") if both && chance.percent(40) => "10.1.0.100",
        (false, "peer") if both && chance.percent(40) => "2001:db8:1::100",
        (true, "peer") if chance.percent(10) => "192.0.2.1",
        (true, at) => own4(at),
        (false, at) => own6(at),
    };
    Some(shown(chance, host, kind, v4))
}

/// As a socket of the family wants it: mapped if need be, rarely not.
fn shown(chance: &mut Chance, host: &str, kind: Kind, v4: bool) -> String {
    match (v4, kind.six) {
        (true, false) => host.to_owned(),
        (true, true) if !chance.percent(2) => format!("[::ffff:{host}]"),
        (true, true) => host.to_owned(),
        (false, _) => format!("[{host}]"),
    }
}
