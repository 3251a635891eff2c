//! What all of the kernel's processes notice of hostlet, in other network namespaces as well: the same calls on a machine without
//! hostlets, while there is no kernel part and while there is one.

use anyhow::{Context, Result};
use hostlet_testkit::netns::NetNs;

use crate::beside::{Beside, Side};
use crate::net::Idle;
use crate::report::{Better, Bound, IDLE, Row};
use crate::stage::Stage;

/// These loops, by turns: without a hostlet on the stage, with one, and without again. In each other round the same with programs that
/// do nothing, on a third machine.
pub fn rows(stage: &Stage, calls: &[(&'static str, [&str; 3])]) -> Result<Vec<Row>> {
    let beside = Beside::of(stage)?;
    let _sink = beside.start(Side::PlainClient, &["accept", "[::]:7000"])?;
    let [mut shares, mut kernels] = [const { Vec::new() }; 2];
    let once = || {
        let each = calls
            .iter()
            .map(|(what, words)| beside.work(Side::Plain, words).context(*what));
        each.collect::<Result<Vec<f64>>>()
    };
    let share = |before: Vec<f64>, with: [Vec<f64>; 2], after: Vec<f64>| {
        let of = |n: usize| (with[0][n] + with[1][n]) / (before[n] + after[n]);
        (0..calls.len()).map(of).collect::<Vec<f64>>()
    };
    for round in 0..stage.rounds(12) {
        let before = once()?;
        // The first hostlet brings the kernel part, and the last one takes it away.
        stage.hostlet(&["create", "only", "--address", "192.0.2.51"])?;
        let with = once().and_then(|first| Ok([first, once()?]));
        stage.hostlet(&["remove", "only"])?;
        shares.push(share(before, with?, once()?));
        if round % 2 == 0 {
            let before = once()?;
            let other = NetNs::new("idle")?;
            other.ip(["link add eth0 type veth peer name eth1"])?;
            let idle = Idle::on(&other, &stage.root)?;
            let with = [once()?, once()?];
            drop(idle);
            kernels.push(share(before, with, once()?));
        }
    }
    let values = |all: &[Vec<f64>], n: usize| all.iter().map(|round| round[n]).collect::<Vec<_>>();
    let row = |(n, (what, words)): (usize, &(&str, [&str; 3]))| {
        let what = format!("{what} on a machine beside");
        Row::new(what, "×", Better::Less)
            .command(format!("hostlet-bench work {}", words.join(" ")))
            .way("one hostlet", values(&shares, n))
            .way(IDLE, values(&kernels, n))
            .goal("one hostlet", Bound::AtMost(1.01))
    };
    Ok(calls.iter().enumerate().map(row).collect())
}
