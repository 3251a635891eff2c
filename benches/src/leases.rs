//! What leases cost: one by one, over the socket of hostletd as `hostlet run --pool` asks for them, and a thousand at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostlet_model::Name;

use crate::lending::{Bare, DHCP, Lending, RANGES, Used};
use crate::report::{Against, Better, Bound, Plot, Row, Section, percentile};
use crate::stage::Stage;

/// How often at most one lease is taken and given back, of each kind.
const TIMES: usize = 300;
/// How many are held at once.
const HELD: usize = 1000;
/// For how many seconds it is watched what holding them wakes.
const SPAN: usize = 10;
/// Who asks for what is measured: these ask over the same socket, and start nothing.
const RUN: &str = "hostlet run --pool POOL -- PROGRAM";
/// What shows how much memory hostletd has, and how often it wakes.
const PROC: &str = "cat /proc/PID/smaps_rollup /proc/PID/stat /proc/PID/task/*/status";
/// What hostletd may add to a lease.
const OURS: Bound = Bound::AtMost(3.0);

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let lending = Lending::start(stage)?;
    let about = "How long whoever starts a program waits for an address that hostletd lends, and what holding many costs.";
    Ok(
        Section::new("leases", "Addresses on loan", about, Plot::None)
            .with(one_by_one(stage, &lending)?)
            .with(thousand(stage, &lending)?),
    )
}

/// Milliseconds from the connection to the answer, as whoever starts a program waits; then it is given back.
fn lease(lending: &Lending, pool: &str) -> Result<f64> {
    let request = Lending::request(pool, None)?;
    let start = Instant::now();
    let mut client = lending.client()?;
    let opened = client.open(&request)?;
    let took = milliseconds(start.elapsed());
    client.close(&opened.name, false)?;
    Ok(took)
}

fn one_by_one(stage: &Stage, lending: &Lending) -> Result<Vec<Row>> {
    let times = stage.rounds(TIMES);
    let mut bare = Bare::open()?;
    let (mut ranges, mut dhcp, mut server) = (Vec::new(), Vec::new(), Vec::new());
    // The first of each brings the kernel part and the sockets there.
    lease(lending, RANGES)?;
    lease(lending, DHCP)?;
    bare.ask()?;
    let mut cpu = 0.0;
    for _ in 0..times {
        let before = lending.used()?;
        ranges.push(lease(lending, RANGES)?);
        cpu += lending.used()?.cpu - before.cpu;
        dhcp.push(lease(lending, DHCP)?);
        server.push(milliseconds(bare.ask()?));
    }
    let mut figures = Vec::new();
    for late in [false, true] {
        let what = if late { "99th percentile" } else { "median" };
        let new =
            |kind| Row::new(format!("a {kind} lease, {what}"), "ms", Better::Less).command(RUN);
        // A percentile is one value; how those lie that it is of, stands beside it.
        let way = |row: Row, name: &str, all: &[f64]| {
            if !late {
                return Ok(row.way(name, all.iter().copied()));
            }
            let at = |of| percentile(all, of).context("nothing was measured");
            let row = row.way(name, [at(0.99)?]);
            anyhow::Ok(row.note(
                name,
                format!(
                    "of {}: half between {:.2} and {:.2}, the longest {:.2}",
                    all.len(),
                    at(0.25)?,
                    at(0.75)?,
                    at(1.0)?
                ),
            ))
        };
        figures.push(way(new("pool"), "hostlet", &ranges)?.goal("hostlet", OURS));
        let row = way(new("DHCP"), "the server alone", &server)?;
        figures.push(
            way(row, "hostlet", &dhcp)?
                .against("the server alone", Against::More)
                .goal("hostlet", OURS),
        );
    }
    figures.push(alone(
        "CPU time of hostletd for a pool lease and its end".to_owned(),
        "ms",
        cpu / times as f64,
    ));
    Ok(figures)
}

/// Takes and gives back a thousand from each kind of pool.
fn thousand(stage: &Stage, lending: &Lending) -> Result<Vec<Row>> {
    let (held, span) = (stage.rounds(HELD), stage.rounds(SPAN));
    let mut figures = Vec::new();
    let empty = lending.memory("Pss")?;
    for (pool, kind) in [(RANGES, "pool"), (DHCP, "DHCP")] {
        let mut client = lending.client()?;
        let before = lending.used()?;
        let start = Instant::now();
        let mut names: Vec<Name> = Vec::new();
        let mut last = Vec::new();
        for n in 0..held {
            let begin = Instant::now();
            let request = Lending::request(pool, Some(format!("{pool}-{n}")))?;
            names.push(client.open(&request)?.name);
            if n >= held - held / 10 {
                last.push(milliseconds(begin.elapsed()));
            }
        }
        let opened = start.elapsed().as_secs_f64();
        let after = lending.used()?;
        figures.push(alone(format!("{held} {kind} leases: to open"), "s", opened));
        let what = format!("{held} {kind} leases: each of the last hundred");
        let row = Row::new(what, "ms", Better::Less).command(RUN);
        figures.push(row.way("hostlet", last));
        figures.push(alone(
            format!("{held} {kind} leases: CPU time of each"),
            "ms",
            (after.cpu - before.cpu) / held as f64,
        ));
        for key in ["Rss", "Pss"] {
            figures.push(alone(
                format!("{held} {kind} leases: hostletd's {}", key.to_uppercase()),
                "MiB",
                lending.memory(key)?,
            ));
        }
        drop(client);
        figures.push(alone(
            format!("{held} {kind} leases: wakeups a minute, over {span} s"),
            "",
            wakeups(lending, span as u64)?,
        ));
        let mut client = lending.client()?;
        let start = Instant::now();
        for name in &names {
            client.close(name, false)?;
        }
        figures.push(alone(
            format!("{held} {kind} leases: to give back"),
            "s",
            start.elapsed().as_secs_f64(),
        ));
    }
    figures.push(alone("no lease: hostletd's PSS".to_owned(), "MiB", empty));
    Ok(figures)
}

fn alone(what: String, unit: &str, value: f64) -> Row {
    Row::new(what, unit, Better::Less)
        .command(format!("{RUN}; {PROC}"))
        .way("hostlet", [value])
}

/// While nobody asks for anything.
fn wakeups(lending: &Lending, span: u64) -> Result<f64> {
    // What the last changes of the network set off is not what holding costs.
    pass(Duration::from_secs(2));
    let before: Used = lending.used()?;
    pass(Duration::from_secs(span));
    let after = lending.used()?;
    Ok((after.wakeups - before.wakeups) * 60.0 / span as f64)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no event: that time passes is what is measured"
)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}
