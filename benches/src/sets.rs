//! Address sets from a single one to 65,536: what calls in a hostlet notice of how many addresses it has.

use std::process::Command;

use anyhow::{Context, Result};

use crate::beside::{Beside, Side};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Place, Stage, output};

const CALLS: &str = "10000";
const CONNECTIONS: &str = "1500";
/// How many addresses the sets have; those that are larger than 256 are prefixes.
const SETS: [u32; 5] = [1, 16, 256, 4096, 65_536];

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let about = "Calls in hostlets of ever more addresses, as multiples of the same on a machine that never had a hostlet, by \
                 turns; and those against that of one address. From 4,096 on the set is a prefix.";
    let section = Section::new("sets", "From one address to 65,536", about, Plot::Lines);
    output(Command::new("ip").args(["route", "replace", "local", "10.0.0.0/8", "dev", "lo"]))?;
    stage
        .client
        .ip(["route replace 10.0.0.0/8 via 192.0.2.1"])?;
    let made: Result<Vec<()>> = SETS.iter().map(|count| make(stage, *count)).collect();
    let rows = made.and_then(|_| rows(stage));
    for count in SETS {
        // The first failure is the one to tell.
        let _ = stage.hostlet(&["remove", &name(count)]);
    }
    output(Command::new("ip").args(["route", "del", "local", "10.0.0.0/8"]))?;
    Ok(section.with(rows?))
}

fn name(count: u32) -> String {
    format!("set-{count}")
}

/// The last address of a set: no primary, unless it is the only one.
fn last(count: u32) -> String {
    let at = SETS.iter().take_while(|c| **c != count).count();
    let ip = std::net::Ipv4Addr::from(0x0a00_0000 + ((at as u32) << 16) + count - 1);
    ip.to_string()
}

fn make(stage: &Stage, count: u32) -> Result<()> {
    let at = SETS.iter().take_while(|c| **c != count).count();
    let mut words = vec!["create".to_owned(), name(count)];
    if count > 256 {
        let bits = 32 - count.trailing_zeros();
        words.push(format!("--address=10.{at}.0.0/{bits}"));
    } else {
        words.extend((0..count).map(|n| format!("--address=10.{at}.0.{n}")));
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    stage.hostlet(&words).map(drop)
}

fn rows(stage: &Stage) -> Result<Vec<Row>> {
    let beside = Beside::of(stage)?;
    let _sinks = [
        beside.start(Side::Ours(Place::Client), &["accept", "[::]:7000"])?,
        beside.start(Side::PlainClient, &["accept", "[::]:7000"])?,
        beside.start(Side::Plain, &["accept", "0.0.0.0:7002"])?,
    ];
    let names = SETS.map(name);
    let servers = names
        .iter()
        .map(|name| stage.start(Place::Hostlet(name), &["accept", "0.0.0.0:7002"]));
    let _servers = servers.collect::<Result<Vec<_>>>()?;
    let mut all = Vec::new();
    for (what, words) in [
        ("connect", ["connect", "192.0.2.2:7000", CONNECTIONS]),
        ("sendto", ["send", "192.0.2.2:7001", CALLS]),
        ("bind", ["bind", "0.0.0.0:8001", CALLS]),
    ] {
        let share = |at: usize| {
            let ours = Side::Ours(Place::Hostlet(&names[at]));
            beside.share((ours, &words), (Side::Plain, &words))
        };
        let row = row(stage, what, share).context(what)?;
        all.push(row.command(format!("hostlet-bench work {}", words.join(" "))));
    }
    let what = "connections to its last address";
    let share = |at: usize| {
        let to = format!("{}:7002", last(SETS[at]));
        let ours = ["connect", &to, CONNECTIONS];
        let plain = ["connect", "192.0.2.1:7002", CONNECTIONS];
        beside.share(
            (Side::Ours(Place::Client), &ours),
            (Side::PlainClient, &plain),
        )
    };
    let row = row(stage, what, share).context(what)?;
    all.push(row.command(format!(
        "hostlet-bench work connect ADDRESS:7002 {CONNECTIONS}"
    )));
    Ok(all)
}

/// The sizes take turns, so that what drifts hits all of them.
fn row(stage: &Stage, what: &str, share: impl Fn(usize) -> Result<f64>) -> Result<Row> {
    let mut values = [const { Vec::new() }; SETS.len()];
    for round in 0..stage.rounds(10) {
        for step in 0..SETS.len() {
            let at = if round % 2 == 0 {
                step
            } else {
                SETS.len() - 1 - step
            };
            values[at].push(share(at)?);
        }
    }
    let mut row = Row::new(what, "×", Better::Less);
    for (count, values) in SETS.into_iter().zip(values) {
        row = row.at(count, values);
    }
    row = row.against("1", Against::Share);
    for count in ["256", "65,536"] {
        row = row.goal(count, Bound::AtMost(1.05));
    }
    Ok(row)
}

#[cfg(test)]
mod tests {
    use super::{SETS, last};

    #[test]
    fn each_set_ends_where_the_next_begins() {
        let ends = SETS.map(last);
        assert_eq!(
            ends,
            [
                "10.0.0.0",
                "10.1.0.15",
                "10.2.0.255",
                "10.3.15.255",
                "10.4.255.255"
            ]
        );
    }
}
