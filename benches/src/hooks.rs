//! What each hook costs, by the kernel's own count, and whether established connections run any.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::empty::Empty;
use crate::stage::{Place, Stage};
use crate::stats::{Counting, Counts, Programs, between};
use crate::table::{Figure, Promise, median};
use crate::{CLIENT4, CLIENT6, MANY, ONE, ROUNDS};

/// Hooks with a promise: program, what it is called in the report, nanoseconds.
const PROMISED: &[(&str, &str, f64)] = &[
    ("hl_bind4", "bind, IPv4", 250.0),
    ("hl_bind6", "bind, IPv6", 250.0),
    ("hl_connect4", "connect, IPv4", 400.0),
    ("hl_connect6", "connect, IPv6", 400.0),
    ("hl_sendmsg4", "sendmsg, IPv4", 80.0),
    ("hl_sendmsg6", "sendmsg, IPv6", 80.0),
    ("hl_egress", "guard, outwards", 35.0),
    ("hl_ingress", "guard, inwards", 35.0),
    ("hl_lookup", "sk_lookup", 150.0),
];

/// These run for packets; every other program of ours is a call hook.
const PACKET_HOOKS: &[&str] = &["hl_egress", "hl_ingress", "hl_learn"];

const CALLS: &str = "20000";
const CONNECTIONS: &str = "4000";

/// One run of everything that a hook can see; in the hostlet, and steered to it from the client.
fn load(stage: &Stage, name: &str, addresses: [&str; 2]) -> Result<()> {
    let inside = Place::Hostlet(name);
    let own = [
        format!("{}:8001", addresses[0]),
        format!("[{}]:8001", addresses[1]),
    ];
    for address in [
        "0.0.0.0:8001",
        &own[0],
        "127.0.0.1:8001",
        "[::]:8001",
        &own[1],
        "[::1]:8001",
    ] {
        stage.work(inside, &["bind", address, CALLS])?;
    }
    for client in [CLIENT4, CLIENT6] {
        stage.work(inside, &["connect", &format!("{client}:7000"), CONNECTIONS])?;
        stage.work(inside, &["send", &format!("{client}:7001"), CALLS])?;
    }
    let server = stage.start(inside, &["accept", "[::]:7002"])?;
    for address in [
        format!("{}:7002", addresses[0]),
        format!("[{}]:7002", addresses[1]),
    ] {
        stage.work(Place::Client, &["connect", &address, CONNECTIONS])?;
    }
    drop(server);
    Ok(())
}

/// Mean nanoseconds of each hook: medians over the rounds, for one address and for several.
pub fn cost(stage: &Stage) -> Result<Vec<Figure>> {
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let sink = stage.start(Place::Client, &["accept", "[::]:7000"])?;
    let empty = Empty::load(stage)?;
    let mut figures = Vec::new();
    for (name, what, addresses) in [
        (ONE.0, "one address", ONE.1),
        (MANY.0, "several addresses", MANY.1),
    ] {
        let mut means: BTreeMap<String, Vec<f64>> = BTreeMap::new();
        for _ in 0..ROUNDS {
            let before = programs.read()?;
            load(stage, name, addresses)?;
            for (program, count) in between(&before, &programs.read()?) {
                means.entry(program).or_default().extend(count.mean());
            }
        }
        for (program, means) in means {
            let Some(measured) = median(means) else {
                continue;
            };
            let promised = PROMISED.iter().find(|(p, _, _)| *p == program);
            let (label, promise) = promised
                .map_or((program.as_str(), Promise::None), |(_, l, ns)| {
                    (*l, Promise::AtMost(*ns))
                });
            figures.push(Figure::new(
                format!("{label}; {what}"),
                "ns",
                measured,
                promise,
            ));
        }
    }
    drop(sink);
    let empty = empty.cost(stage)?;
    for figure in &mut figures {
        figure.without = Some(empty);
    }
    Ok(figures)
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
    let runs = call_hook_runs(&between(&before, &programs.read()?));
    talk.nudge()?;
    drop(talk);
    drop(server);
    Ok(Figure::new(
        "call hooks run by 10,000 exchanges on a TCP connection",
        "runs",
        runs as f64,
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
