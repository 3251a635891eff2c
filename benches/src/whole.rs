//! Figures of whole commands and of throughput.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostlet_engine::{Engine, Paths};
use hostlet_model::{HostletSpec, Name, SourcePolicy};
use serde_json::Value;

use crate::stage::{Place, Stage, output, wall};
use crate::table::{Figure, Promise, median};
use crate::{ANOTHER4, MACHINE4, ONE, ROUNDS};

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn middle(values: Vec<f64>) -> Result<f64> {
    median(values).context("nothing was measured")
}

/// Bytes a second from the client to a hostlet, against the same server without one.
pub fn throughput(stage: &Stage) -> Result<Figure> {
    let (mut inside, mut outside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        outside.push(iperf(stage, Place::Machine, MACHINE4)?);
        inside.push(iperf(stage, Place::Hostlet(ONE.0), ONE.1[0])?);
    }
    Ok(Figure::alone(
        "iperf3 from the client to a hostlet",
        "Gbit/s",
        middle(inside)? / 1e9,
        Promise::AtLeast(0.98),
    )
    .share_of(middle(outside)? / 1e9))
}

fn iperf(stage: &Stage, place: Place, address: &str) -> Result<f64> {
    // As a daemon it returns once it listens; it ends by itself after one client.
    output(
        stage
            .at(place, "iperf3")
            .args(["--server", "--one-off", "--daemon"]),
    )?;
    let printed = output(
        stage
            .at(Place::Client, "iperf3")
            .args(["--client", address, "--time", "2", "--omit", "1", "--json"]),
    )?;
    let report: Value = serde_json::from_str(&printed).context("read iperf3's report")?;
    report["end"]["sum_received"]["bits_per_second"]
        .as_f64()
        .context("iperf3's report has no rate")
}

/// `hostlet run -- true` over `true`.
pub fn run_true(stage: &Stage) -> Result<Figure> {
    let (mut with, mut without) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * 6 {
        without.push(milliseconds(wall(&mut Command::new("true"))?));
        with.push(milliseconds(wall(Command::new(&stage.hostlet).args([
            "run",
            "--address",
            "192.0.2.61",
            "--",
            "true",
        ]))?));
    }
    let (with, without) = (middle(with)?, middle(without)?);
    Ok(Figure::alone(
        "hostlet run -- true, over true",
        "ms",
        with,
        Promise::AtMost(5.0),
    )
    .more_than(without))
}

/// A create, in this process and as a command.
pub fn create(stage: &Stage) -> Result<Vec<Figure>> {
    let engine = Engine::new(Paths::under(&stage.root), |warning| eprintln!("{warning}"));
    let name: Name = "figure".parse().context("a name")?;
    let spec = HostletSpec {
        name: name.clone(),
        addresses: vec![ANOTHER4.parse().context("an address")?],
        assign: None,
        source: SourcePolicy::default(),
        host_loopback: Vec::new(),
        guard: true,
        raw: false,
        fallen_back: false,
        excludes: false,
        unreachable: None,
    };
    let (mut within, mut command) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS * 6 {
        let start = Instant::now();
        engine.create(&spec)?;
        within.push(milliseconds(start.elapsed()));
        engine.remove(&name, false)?;
        command.push(milliseconds(wall(Command::new(&stage.hostlet).args([
            "create",
            "figure",
            "--address",
            ANOTHER4,
        ]))?));
        engine.remove(&name, false)?;
    }
    Ok(vec![
        Figure::alone(
            "create, in-process",
            "ms",
            middle(within)?,
            Promise::AtMost(2.0),
        ),
        Figure::alone("create, the command", "ms", middle(command)?, Promise::None),
    ])
}

/// Kernel memory of a hostlet with its cgroup: what a block of them adds, divided by how many they are.
pub fn memory(stage: &Stage) -> Result<Figure> {
    const BLOCK: usize = 150;
    const BLOCKS: usize = 5;
    let names: Vec<(String, String)> = (0..BLOCK * BLOCKS)
        .map(|n| {
            (
                format!("memory-{n}"),
                format!("198.18.{}.{}", n / 200, n % 200 + 1),
            )
        })
        .collect();
    let mut each = Vec::new();
    for block in names.chunks(BLOCK) {
        let before = kernel_kib()?;
        for (name, address) in block {
            stage.hostlet(&["create", name, "--assign", "lo", "--address", address])?;
        }
        each.push((kernel_kib()? - before) / BLOCK as f64);
    }
    for (name, _) in &names {
        stage.hostlet(&["remove", name])?;
    }
    Ok(Figure::alone(
        "kernel memory of a hostlet, its cgroup included",
        "KiB",
        middle(each)?,
        Promise::AtMost(24.0),
    ))
}

/// What the kernel holds for itself and cannot give back on demand; other work on the machine shows
/// in it as well.
fn kernel_kib() -> Result<f64> {
    let info = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    Ok(info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| ["SUnreclaim", "Percpu"].contains(key))
        .filter_map(|(_, value)| value.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .sum())
}
