//! SO_REUSEADDR and SO_REUSEPORT: what a second socket may bind while a first one stands, and who
//! gets what comes where both do.

use std::fmt::Write as _;

use super::Cell;
use super::addresses::kind;

const PORT: u16 = 5300;

/// Families and addresses that meet, or do not: a word, the socket's digit, V6ONLY, the address.
const PLACES: [(&str, u8, bool, &str); 12] = [
    ("wildcard4", 4, false, "0.0.0.0"),
    ("own4", 4, false, "10.0.0.5"),
    ("second4", 4, false, "10.0.0.6"),
    ("loopback4", 4, false, "127.0.0.1"),
    ("group4", 4, false, "239.1.2.3"),
    ("wildcard", 6, false, "[::]"),
    ("wildcard6", 6, true, "[::]"),
    ("own6", 6, false, "[2001:db8::5]"),
    ("second6", 6, true, "[2001:db8::6]"),
    ("loopback6", 6, false, "[::1]"),
    ("mapped", 6, false, "[::ffff:10.0.0.6]"),
    ("mapped-wildcard", 6, false, "[::ffff:0.0.0.0]"),
];

/// What is said before and after bind.
const FLAGS: [(&str, &[&str], &[&str]); 8] = [
    ("none", &[], &[]),
    ("addr", &["reuseaddr 1"], &[]),
    ("port", &["reuseport 1"], &[]),
    ("both", &["reuseaddr 1", "reuseport 1"], &[]),
    ("addr-late", &[], &["reuseaddr 1"]),
    ("port-late", &[], &["reuseport 1"]),
    ("addr-undone", &["reuseaddr 1"], &["reuseaddr 0"]),
    ("port-undone", &["reuseport 1"], &["reuseport 0"]),
];

/// Who has the second socket.
const SECONDS: [(&str, &str, &str); 5] = [
    ("same", "in", ""),
    ("child", "in/child", "in fork child\n"),
    ("user", "in/child", "in fork child\nin/child become 1000\n"),
    ("hostlet", "other", ""),
    ("outside", "host", ""),
];

pub(super) fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for protocol in [
        "tcp",
        "tcp-listening",
        "mptcp",
        "mptcp-listening",
        "udp",
        "udplite",
    ] {
        for first in &PLACES {
            for flags in &FLAGS {
                for second in &SECONDS {
                    // Others can be at the hostlet's own addresses in no way.
                    let places: Vec<_> = match second.0 {
                        "hostlet" => vec![PLACES[0], PLACES[3], PLACES[5], PLACES[9]],
                        // What the host binds later is a matter of its own.
                        "outside" => vec![PLACES[3], PLACES[9]],
                        _ => PLACES.to_vec(),
                    };
                    cells.push(binds(protocol, first, flags, second, &places));
                }
            }
        }
    }
    for protocol in ["tcp", "mptcp", "udp"] {
        for first in &PLACES {
            for second in &PLACES {
                for flag in ["reuseaddr", "reuseport"] {
                    cells.extend(deliveries(protocol, first, second, flag));
                }
            }
        }
    }
    cells
}

/// A socket of that place with those flags, bound.
fn bound(
    actor: &str,
    name: &str,
    protocol: &str,
    place: &(&str, u8, bool, &str),
    flags: &[&str],
) -> String {
    let (_, digit, v6only, address) = place;
    let kind = kind(protocol, *digit);
    let mut text = format!("{actor} {name} = socket {kind}\n");
    if *v6only {
        let _ = writeln!(text, "{actor} opt {name} v6only 1");
    }
    for flag in flags {
        let _ = writeln!(text, "{actor} opt {name} {flag}");
    }
    let _ = writeln!(text, "{actor} bind {name} {address}:{PORT}");
    text
}

/// One first socket, and every second one in turn.
fn binds(
    protocol: &str,
    first: &(&str, u8, bool, &str),
    flags: &(&str, &[&str], &[&str]),
    second: &(&str, &str, &str),
    places: &[(&str, u8, bool, &str)],
) -> Cell {
    let (kind, listening) = match protocol {
        "tcp-listening" => ("tcp", true),
        "mptcp-listening" => ("mptcp", true),
        other => (other, false),
    };
    let mut text = second.2.to_owned();
    text += &bound("in", "a", kind, first, flags.1);
    if listening {
        text += "in listen a\n";
    }
    for flag in flags.2 {
        let _ = writeln!(text, "in opt a {flag}");
    }
    let actor = second.1;
    for place in places {
        for (_, before, after) in &FLAGS[..4] {
            debug_assert!(after.is_empty());
            text += &bound(actor, "b", kind, place, before);
            let _ = writeln!(text, "{actor} name b");
            if kind != "udp" && kind != "udplite" {
                let _ = writeln!(text, "{actor} listen b");
            }
            let _ = writeln!(text, "{actor} close b");
        }
    }
    Cell {
        name: format!("sharing/{protocol}/{}/{}/{}", first.0, flags.0, second.0),
        row: "A5",
        script: text,
    }
}

/// Both stand, where they may: who gets what is sent to each address.
fn deliveries(
    protocol: &str,
    first: &(&str, u8, bool, &str),
    second: &(&str, u8, bool, &str),
    flag: &str,
) -> Option<Cell> {
    // Which of two equals gets a connection is the kernel's affair.
    if first.0 == second.0 {
        return None;
    }
    let flag_on = format!("{flag} 1");
    let mut text = bound("in", "a", protocol, first, &[&flag_on]);
    text += &bound("in", "b", protocol, second, &[&flag_on]);
    if protocol != "udp" {
        text += "in listen a\nin listen b\n";
    }
    for (n, (who, digit, to)) in [
        ("peer", 4, "10.0.0.5"),
        ("peer", 4, "10.0.0.6"),
        ("in", 4, "127.0.0.1"),
        ("peer", 6, "[2001:db8::5]"),
        ("peer", 6, "[2001:db8::6]"),
        ("in", 6, "[::1]"),
    ]
    .into_iter()
    .enumerate()
    {
        let _ = writeln!(text, "{who} c{n} = socket {}", kind(protocol, digit));
        if protocol != "udp" {
            let _ = write!(
                text,
                "{who} connect c{n} {to}:{PORT}\nin d{n} = accept-any a b\n"
            );
        } else {
            let _ = write!(
                text,
                "{who} sendto c{n} {to}:{PORT} x\nin which a b\nin drain a\nin drain b\n"
            );
        }
    }
    Some(Cell {
        name: format!(
            "sharing/{protocol}/{}/{flag}/{}/delivery",
            first.0, second.0
        ),
        row: "A6",
        script: text,
    })
}
