//! Bytes a second: iperf3.

use anyhow::{Context, Result};
use serde_json::Value;

use super::sides::{IPERF, Side};
use super::ways::Way;
use super::world::{Part, World};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{Stage, output};

const ROUNDS: usize = 6;

const ABOUT: &str = "iperf3 over TCP, server and client each pinned to a processor. With segmentation offload a packet carries up to 64 \
KiB, and what is done for each weighs little; without (`ethtool -K IFACE gso off tso off gro off` on both ends of the wire) each carries 1,448 bytes: there \
the alternatives are left out. *In* is towards the server's two addresses, the second in every other round; *out* is away from it.";

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let world = World::new(stage)?;
    let mut servers = Vec::new();
    for side in world.made() {
        let mut iperf = side.command("iperf3");
        iperf.args(["--server", "--version4", "--port", &IPERF.to_string()]);
        servers.push(side.serve(&mut iperf, IPERF)?);
    }
    let mut section = Section::new("throughput", "Throughput", ABOUT, Plot::Shares);
    for offload in [true, false] {
        if !offload {
            offload_off(&world)?;
        }
        for (direction, reverse) in [("in", false), ("out", true)] {
            for streams in ["1", "8"] {
                section
                    .rows
                    .push(row(&world, offload, direction, reverse, streams)?);
            }
        }
    }
    Ok(section)
}

fn offload_off(world: &World) -> Result<()> {
    let words = ["gso", "off", "tso", "off", "gro", "off"];
    for side in world.made() {
        let wire = side.wire();
        world
            .machine()
            .run("ethtool", &[&["-K", &wire][..], &words].concat())?;
        side.host()
            .run("ethtool", &[&["-K", "eth0"][..], &words].concat())?;
    }
    Ok(())
}

fn row(world: &World, offload: bool, direction: &str, reverse: bool, streams: &str) -> Result<Row> {
    let plural = if streams == "1" { "stream" } else { "streams" };
    let without = if offload { "" } else { ", no offload" };
    let what = format!("{direction}, {streams} {plural}{without}");
    let mut words = vec!["--time", "1", "--parallel", streams, "--json"];
    if reverse {
        words.push("--reverse");
    }
    let command = format!("iperf3 --client ADDRESS {}", words.join(" "));
    let row = Row::new(what, "Gbit/s", Better::More).command(command);
    let part = |way: Way| match way {
        Way::Native | Way::Hostlet | Way::NativeAgain => Part::Takes,
        _ if !offload => Part::LeftOut,
        _ => Part::Takes,
    };
    let row = world.row(row, ROUNDS, part, |side, round| {
        rate(world, side, round, &words)
    })?;
    Ok(row
        .against(Way::Native.name(), Against::Share)
        .goal(Way::Hostlet.name(), Bound::AtLeast(0.98)))
}

fn rate(world: &World, side: &Side, round: usize, words: &[&str]) -> Result<f64> {
    let address = side.address(side.way.has_both() && round % 2 == 1);
    let mut iperf = world.client("iperf3");
    iperf.args([
        "--client",
        &address,
        "--port",
        &IPERF.to_string(),
        "--connect-timeout",
        "2000",
    ]);
    let report: Value =
        serde_json::from_str(&output(iperf.args(words))?).context("read iperf3's report")?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64();
    Ok(bits.context("iperf3's report has no rate")? / 1e9)
}
