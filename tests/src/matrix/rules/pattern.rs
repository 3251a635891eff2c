//! Patterns of answers.
//!
//! `{own*}` is an address of such a [place](super::super::addresses::Place), however written; several have commas between
//! them. `{to}` is an address of the place that the cell ends with. `{port}` is a port, the
//! same in the answers of both sides.

use super::super::addresses::{Family, Place};

/// Whether both sides answer so.
pub(super) fn both(machine: &str, real: &str, other: &str, hostlet: &str, to: &str) -> bool {
    let ports = |pattern: &str, answer| -> Vec<Option<String>> {
        let all = pattern.split('|');
        all.filter_map(|one| fits(one, answer, to)).collect()
    };
    let (ours, theirs) = (ports(machine, real), ports(other, hostlet));
    let same = |a: &Option<String>, b: &Option<String>| a.is_none() || b.is_none() || a == b;
    ours.iter().any(|a| theirs.iter().any(|b| same(a, b)))
}

/// The port, if the answer is of the pattern and has one.
fn fits(pattern: &str, answer: &str, to: &str) -> Option<Option<String>> {
    let (mut pattern, mut rest, mut port) = (pattern, answer, None);
    while let Some((before, after)) = pattern.split_once('{') {
        let (word, behind) = after.split_once('}')?;
        rest = rest.strip_prefix(before)?;
        let length = match (word, rest.find(']')) {
            ("port", _) => rest.find(|c: char| !c.is_ascii_digit() && c != '*'),
            (_, Some(end)) if rest.starts_with('[') => Some(end + 1),
            _ => rest.find(|c: char| !c.is_ascii_digit() && c != '.'),
        };
        let (token, left) = rest.split_at(length.unwrap_or(rest.len()));
        match word {
            "port" if token.is_empty() => return None,
            "port" => port = Some(token.to_owned()),
            _ if !there(token, word, to) => return None,
            _ => {}
        }
        (pattern, rest) = (behind, left);
    }
    (pattern == rest).then_some(port)
}

/// Whether the address is of one of these places.
fn there(address: &str, places: &str, to: &str) -> bool {
    // Who asks for the wildcard asks the loopback.
    let to = match to {
        "wildcard" => "loopback",
        to => to,
    };
    let wanted: Vec<&str> = places
        .split(',')
        .map(|place| if place == "to" { to } else { place })
        .collect();
    Place::ALL.iter().any(|place| {
        let written = |family: &Family| {
            let host = place.at(*family, 0);
            host.is_some_and(|at| at.strip_suffix(":0") == Some(address))
        };
        is_one_of(place.word(), &wanted) && Family::ALL.iter().any(written)
    })
}

/// Whether the word is one of these; `*` at an end stands for anything.
pub(super) fn is_one_of(word: &str, all: &[&str]) -> bool {
    all.iter()
        .any(|one| match (one.strip_prefix('*'), one.strip_suffix('*')) {
            (Some(end), _) => word.ends_with(end),
            (_, Some(start)) => word.starts_with(start),
            _ => word == *one,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(pattern: &str, answer: &str) -> bool {
        fits(pattern, answer, "own-second").is_some()
    }

    #[test]
    fn places_are_told_from_each_other() {
        assert!(one("{own*}:{port}", "10.0.0.6:5300"));
        assert!(one("{own*}:{port}", "[::ffff:10.0.0.6]:*"));
        assert!(one("x from {own,loopback}:5300", "x from [::1]:5300"));
        assert!(one("{to}", "[2001:db8::6]"));
        assert!(one("{foreign-host}", "10.0.0.1"));
        assert!(!one("{own*}:{port}", "10.0.0.1:5300"));
        assert!(!one("{to}:{port}", "10.0.0.5:5300"));
        assert!(!one("{own}", "10.0.0.5:80"));
        assert!(!one("{own}:{port}", "10.0.0.5:"));
        assert!(!one("{own}:{port}", "EAGAIN"));
        assert!(!one("{foreign-host}", "10.0.0.100"));
    }

    #[test]
    fn a_port_is_the_same_on_both_sides() {
        let names = "{own}:{port}";
        let at = |a, b| both(names, a, names, b, "");
        assert!(at("10.0.0.5:80", "[2001:db8::5]:80"));
        assert!(!at("10.0.0.5:80", "10.0.0.5:81"));
        assert!(both("EAGAIN|ok", "ok", names, "10.0.0.5:80", ""));
        assert!(!both("EAGAIN|ok", "EPERM", names, "10.0.0.5:80", ""));
    }
}
