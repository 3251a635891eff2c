//! What leases cost: one by one, over the socket of hostletd as `hostlet run --pool` asks for them, and a thousand at once.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostlet_model::Name;

use crate::lending::{Bare, DHCP, Lending, RANGES, Used};
use crate::report::{Against, Better, Bound, Plot, Row, Section, median, percentile};
use crate::stage::Stage;

/// How often in a round at most one lease is taken and given back, of each kind.
const TIMES: usize = 200;
/// As many as it takes for an interval.
const ROUNDS: usize = 6;
/// How many are held at once.
const HELD: usize = 1000;
/// For how many seconds it is watched what holding them wakes.
const SPAN: u64 = 5;
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
    let mut bare = Bare::open()?;
    let (mut ranges, mut dhcp, mut server) = (Vec::new(), Vec::new(), Vec::new());
    let mut cpu = Vec::new();
    // The first of each brings the kernel part and the sockets there.
    lease(lending, RANGES)?;
    lease(lending, DHCP)?;
    bare.ask()?;
    let times = stage.rounds(TIMES);
    for _ in 0..stage.rounds(ROUNDS) {
        let [mut of_ranges, mut of_dhcp, mut of_server] = [const { Vec::new() }; 3];
        let mut used = 0.0;
        for _ in 0..times {
            let before = lending.used()?;
            of_ranges.push(lease(lending, RANGES)?);
            used += lending.used()?.cpu - before.cpu;
            of_dhcp.push(lease(lending, DHCP)?);
            of_server.push(milliseconds(bare.ask()?));
        }
        ranges.push(of_ranges);
        dhcp.push(of_dhcp);
        server.push(of_server);
        cpu.push(used / times as f64);
    }
    let mut figures = Vec::new();
    for (what, share) in [("median", 0.5), ("99th percentile", 0.99)] {
        let new = |kind| {
            let what = format!("a {kind} lease, {what} of {times}");
            Row::new(what, "ms", Better::Less).command(RUN)
        };
        let of = |rounds: &[Vec<f64>]| {
            let each = rounds.iter().map(|round| percentile(round, share));
            each.collect::<Option<Vec<f64>>>()
                .context("nothing was measured")
        };
        figures.push(
            new("pool")
                .way("hostlet", of(&ranges)?)
                .goal("hostlet", OURS),
        );
        figures.push(
            new("DHCP")
                .way("the server alone", of(&server)?)
                .way("hostlet", of(&dhcp)?)
                .against("the server alone", Against::More)
                .goal("hostlet", OURS),
        );
    }
    let what = "CPU time of hostletd for a pool lease and its end";
    figures.push(alone(what.to_owned(), "ms", cpu));
    Ok(figures)
}

/// What a thousand from one kind of pool took, a value a round.
#[derive(Default)]
struct Thousand {
    opened: Vec<f64>,
    last: Vec<f64>,
    cpu: Vec<f64>,
    rss: Vec<f64>,
    pss: Vec<f64>,
    woken: Vec<f64>,
    closed: Vec<f64>,
}

/// Takes and gives back a thousand from each kind of pool.
fn thousand(stage: &Stage, lending: &Lending) -> Result<Vec<Row>> {
    let held = stage.rounds(HELD);
    let empty = lending.memory("Pss")?;
    let mut kinds = [
        (RANGES, "pool", Thousand::default()),
        (DHCP, "DHCP", Thousand::default()),
    ];
    for round in 0..stage.few(3) {
        for (pool, _, all) in &mut kinds {
            // Nothing wakes it, and to see that takes time.
            let watched = round == 0 && !stage.quick;
            hold(lending, pool, held, watched, all)?;
        }
    }
    let mut figures = Vec::new();
    for (_, kind, all) in kinds {
        let figure =
            |what: &str, unit, values| alone(format!("{held} {kind} leases: {what}"), unit, values);
        figures.push(figure("to open", "s", all.opened));
        figures.push(figure("each of the last hundred", "ms", all.last));
        figures.push(figure("CPU time of each", "ms", all.cpu));
        figures.push(figure("hostletd's RSS", "MiB", all.rss));
        figures.push(figure("hostletd's PSS", "MiB", all.pss));
        if !all.woken.is_empty() {
            let what = format!("wakeups a minute, over {SPAN} s");
            figures.push(figure(&what, "", all.woken));
        }
        figures.push(figure("to give back", "s", all.closed));
    }
    let what = "no lease: hostletd's PSS".to_owned();
    figures.push(alone(what, "MiB", vec![empty]));
    Ok(figures)
}

/// Holds so many from this pool for a while.
fn hold(
    lending: &Lending,
    pool: &str,
    held: usize,
    watched: bool,
    all: &mut Thousand,
) -> Result<()> {
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
    all.opened.push(start.elapsed().as_secs_f64());
    let after = lending.used()?;
    all.last.extend(median(last));
    all.cpu.push((after.cpu - before.cpu) / held as f64);
    all.rss.push(lending.memory("Rss")?);
    all.pss.push(lending.memory("Pss")?);
    drop(client);
    if watched {
        all.woken.push(wakeups(lending)?);
    }
    let mut client = lending.client()?;
    let start = Instant::now();
    for name in &names {
        client.close(name, false)?;
    }
    all.closed.push(start.elapsed().as_secs_f64());
    Ok(())
}

fn alone(what: String, unit: &str, values: Vec<f64>) -> Row {
    Row::new(what, unit, Better::Less)
        .command(format!("{RUN}; {PROC}"))
        .way("hostlet", values)
}

/// While nobody asks for anything.
fn wakeups(lending: &Lending) -> Result<f64> {
    // What the last changes of the network set off is not what holding costs.
    pass(Duration::from_secs(2));
    let before: Used = lending.used()?;
    pass(Duration::from_secs(SPAN));
    let after = lending.used()?;
    Ok((after.wakeups - before.wakeups) * 60.0 / SPAN as f64)
}

#[expect(
    clippy::disallowed_methods,
    reason = "there is no event: that time passes is what is measured"
)]
fn pass(time: Duration) {
    std::thread::sleep(time);
}
