//! What each hook costs, by the kernel's own count, and whether established connections run any.
//!
//! The kernel's count of a run has a floor, what an empty program costs on the same machine; the
//! promises are about what comes on top of it.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::empty::Empty;
use crate::stage::{Place, Stage};
use crate::stats::{Counting, Counts, Programs, between};
use crate::table::{Figure, Promise, median};
use crate::{CLIENT4, CLIENT6, MANY, ONE, ROUNDS};

/// These run for packets; every other program of ours is a call hook.
const PACKET_HOOKS: &[&str] = &["hl_egress", "hl_ingress", "hl_learn", "hl_ping"];

const CALLS: &str = "20000";
const CONNECTIONS: &str = "4000";

/// One loop, and the programs whose cost it shows: name, label, promised nanoseconds.
struct Case {
    place: Place<'static>,
    words: Vec<String>,
    watched: Vec<(&'static str, String, f64)>,
}

fn cases(name: &'static str, [own4, own6]: [&str; 2]) -> Vec<Case> {
    let inside = Place::Hostlet(name);
    let words = |words: &[&str]| words.iter().map(|w| (*w).to_owned()).collect();
    let mut cases = Vec::new();
    for (program, label, address) in [
        ("hl_bind4", "bind 0.0.0.0", "0.0.0.0:8001"),
        ("hl_bind4", "bind its IPv4 address", &format!("{own4}:8001")),
        ("hl_bind4", "bind 127.0.0.1", "127.0.0.1:8001"),
        ("hl_bind6", "bind ::", "[::]:8001"),
        (
            "hl_bind6",
            "bind its IPv6 address",
            &format!("[{own6}]:8001"),
        ),
        ("hl_bind6", "bind ::1", "[::1]:8001"),
    ] {
        cases.push(Case {
            place: inside,
            words: words(&["bind", address, CALLS]),
            watched: vec![(program, label.to_owned(), 250.0)],
        });
    }
    for (version, client, own) in [
        ("4", CLIENT4, own4.to_owned()),
        ("6", CLIENT6, format!("[{own6}]")),
    ] {
        let pick = |v4, v6| if version == "4" { v4 } else { v6 };
        cases.push(Case {
            place: inside,
            words: words(&["connect", &format!("{client}:7000"), CONNECTIONS]),
            watched: vec![(
                pick("hl_connect4", "hl_connect6"),
                format!("connect, IPv{version}"),
                400.0,
            )],
        });
        cases.push(Case {
            place: inside,
            words: words(&["send", &format!("{client}:7001"), CALLS]),
            watched: vec![
                (
                    pick("hl_sendmsg4", "hl_sendmsg6"),
                    format!("sendmsg, IPv{version}"),
                    80.0,
                ),
                (
                    "hl_egress",
                    format!("guard outwards, UDP, IPv{version}"),
                    35.0,
                ),
            ],
        });
        cases.push(Case {
            place: Place::Client,
            words: words(&["connect", &format!("{own}:7002"), CONNECTIONS]),
            watched: vec![
                ("hl_lookup", format!("sk_lookup, IPv{version}"), 150.0),
                (
                    "hl_egress",
                    format!("guard outwards, TCP, IPv{version}"),
                    35.0,
                ),
                (
                    "hl_ingress",
                    format!("guard inwards, TCP, IPv{version}"),
                    35.0,
                ),
            ],
        });
    }
    cases
}

/// Mean nanoseconds of each hook: medians over the rounds, for one address and for several.
pub fn cost(stage: &Stage) -> Result<Vec<Figure>> {
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let _sink = stage.start(Place::Client, &["accept", "[::]:7000"])?;
    let empty = Empty::load(stage)?;
    let mut floor = Vec::new();
    let mut figures = Vec::new();
    for (name, what, addresses) in [(ONE.0, "one address", ONE.1), (MANY.0, "eight", MANY.1)] {
        let server = stage.start(Place::Hostlet(name), &["accept", "[::]:7002"])?;
        let cases = cases(name, addresses);
        let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        let mut others: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            floor.push(empty.cost(stage)?);
            for case in &cases {
                let before = programs.read()?;
                stage.work(
                    case.place,
                    &case.words.iter().map(String::as_str).collect::<Vec<_>>(),
                )?;
                for (program, count) in between(&before, &programs.read()?) {
                    let Some(mean) = count.mean() else { continue };
                    match case.watched.iter().find(|(p, _, _)| *p == program) {
                        Some((_, label, _)) => means.entry(label.clone()).or_default().push(mean),
                        None => others.entry(program).or_default().push(mean),
                    }
                }
            }
        }
        drop(server);
        for (_, label, promised) in cases.iter().flat_map(|case| &case.watched) {
            let measured = means
                .remove(label)
                .and_then(median)
                .with_context(|| format!("{label}: the program never ran"))?;
            figures.push(Figure::alone(
                format!("{label}; {what}"),
                "ns",
                measured,
                Promise::AtMost(*promised),
            ));
        }
        for (program, means) in others {
            let watched = cases.iter().flat_map(|case| &case.watched);
            if watched.clone().any(|(name, _, _)| *name == program) {
                continue;
            }
            let measured = median(means).context("a mean is only kept of what ran")?;
            figures.push(Figure::alone(
                format!("{program}; {what}"),
                "ns",
                measured,
                Promise::None,
            ));
        }
    }
    let floor = median(floor).context("the empty program never ran")?;
    Ok(figures.into_iter().map(|f| f.more_than(floor)).collect())
}

/// How often call hooks ran while an established connection exchanged data.
pub fn established(stage: &Stage) -> Result<Figure> {
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let server = stage.start(Place::Client, &["echo", "[::]:7000"])?;
    let mut talk = stage.start(
        Place::Hostlet(ONE.0),
        &["talk", &format!("{CLIENT4}:7000"), "10000"],
    )?;
    let before = programs.read()?;
    talk.nudge()?;
    talk.line().context("the exchange of 10,000 bytes")?;
    let counts = between(&before, &programs.read()?);
    talk.nudge()?;
    drop(talk);
    drop(server);
    let packets = counts.get("hl_egress").map_or(0, |count| count.runs);
    anyhow::ensure!(
        packets >= 10_000,
        "the guard saw only {packets} packets: nothing was counted"
    );
    Ok(Figure::alone(
        "call hooks run by 10,000 exchanges on a TCP connection",
        "runs",
        call_hook_runs(&counts) as f64,
        Promise::AtMost(0.0),
    ))
}

fn call_hook_runs(counts: &Counts) -> u64 {
    counts
        .iter()
        .filter(|(name, _)| !PACKET_HOOKS.contains(&name.as_str()))
        .map(|(_, count)| count.runs)
        .sum()
}
