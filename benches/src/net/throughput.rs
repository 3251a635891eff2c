//! Bytes a second: iperf3.

use anyhow::{Context, Result};
use hostlet_testkit::wait;
use serde_json::Value;

use super::sides::{IPERF, Side};
use super::ways::Way;
use super::world::{Part, World, nanoseconds_each};
use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::Stage;

const ROUNDS: usize = 6;

const ABOUT: &str = "iperf3 over TCP, server and client each pinned to a processor. With segmentation offload a packet carries up to 64 \
KiB, and what is done for each weighs little; without (`ethtool -K IFACE gso off tso off gro off` on both ends of the wire) each carries 1,448 bytes: there, \
and with eight streams, the alternatives are left out. The kernel's count is for a gigabit. *In* is towards the server's two addresses, the second in every other round; *out* is away from it.";

/// One of the rows.
struct Case {
    offload: bool,
    out: bool,
    streams: &'static str,
    quick: bool,
}

const fn case(offload: bool, out: bool, streams: &'static str, quick: bool) -> Case {
    Case {
        offload,
        out,
        streams,
        quick,
    }
}

const CASES: [Case; 8] = [
    case(true, false, "1", true),
    case(true, false, "8", false),
    case(true, true, "1", false),
    case(true, true, "8", false),
    case(false, false, "1", true),
    case(false, false, "8", false),
    case(false, true, "1", false),
    case(false, true, "8", false),
];

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
    for case in CASES.iter().filter(|case| !stage.quick || case.quick) {
        // It stays off for those that follow.
        if !case.offload {
            offload_off(&world)?;
        }
        section.rows.push(case.measure(stage, &world)?);
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

impl Case {
    fn measure(&self, stage: &Stage, world: &World) -> Result<Row> {
        let plural = if self.streams == "1" { "" } else { "s" };
        let direction = if self.out { "out" } else { "in" };
        let without = if self.offload { "" } else { ", no offload" };
        let what = format!("{direction}, {} stream{plural}{without}", self.streams);
        let command = format!("iperf3 --client ADDRESS {}", self.words().join(" "));
        let row = Row::new(what, "Gbit/s", Better::More).command(command);
        let all = self.offload && self.streams == "1" && !stage.quick;
        let part = |way: Way| match all || way.judges() {
            true => Part::Takes,
            false => Part::LeftOut,
        };
        let rate = |side: &Side, round| self.rate(world, side, round);
        let row = world.row(row, ROUNDS, part, rate)?;
        // It runs for a second: as many gigabits as it has a second.
        let each = nanoseconds_each(&row);
        let kernel = match self.streams {
            "1" => Some(world.kernel(each, |side| rate(side, 1))?),
            _ => None,
        };
        Ok(row
            .kernel(kernel)
            .against(Way::Native.name(), Against::Share)
            .goal(Way::Hostlet.name(), Bound::AtLeast(0.98)))
    }

    fn words(&self) -> Vec<&'static str> {
        let mut words = vec!["--time", "1", "--parallel", self.streams, "--json"];
        if self.out {
            words.push("--reverse");
        }
        words
    }

    fn rate(&self, world: &World, side: &Side, round: usize) -> Result<f64> {
        let address = side.address(side.way.has_both() && round % 2 == 1);
        let mut iperf = world.client("iperf3");
        iperf.args(["--client", &address, "--port", &IPERF.to_string()]);
        iperf.args(["--connect-timeout", "2000"]).args(self.words());
        let mut last = Value::Null;
        let mut rate = None;
        // The server may not be done with the client before.
        wait::until("iperf3's server to take a client", || {
            let out = iperf.output().ok();
            let report = out.and_then(|out| serde_json::from_slice(&out.stdout).ok());
            last = report.unwrap_or_default();
            rate = last["end"]["sum_received"]["bits_per_second"].as_f64();
            rate.is_some_and(|rate| rate > 0.0)
        })
        .with_context(|| format!("iperf3: {}", last["error"]))?;
        Ok(rate.context("iperf3's report has no rate")? / 1e9)
    }
}
