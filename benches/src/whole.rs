//! Figures of whole commands and of throughput.

use std::fs;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::stage::{Place, Stage, output, wall};
use crate::table::{Figure, Promise, median};
use crate::{MACHINE4, ONE, ROUNDS};

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
    let (inside, outside) = (middle(inside)?, middle(outside)?);
    Ok(Figure::new(
        format!(
            "iperf3 to a hostlet ({:.1} against {:.1} Gbit/s)",
            inside / 1e9,
            outside / 1e9
        ),
        "ratio",
        inside / outside,
        Promise::AtLeast(0.98),
    )
    .without(1.0))
}

fn iperf(stage: &Stage, place: Place, address: &str) -> Result<f64> {
    let pid = stage.root.join("iperf3.pid");
    // As a daemon it returns once it listens; it ends by itself after one client.
    output(
        stage
            .at(place, "iperf3")
            .args(["--server", "--one-off", "--daemon", "--pidfile"])
            .arg(&pid),
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
    Ok(Figure::new(
        "hostlet run -- true, over true alone",
        "ms",
        with - without,
        Promise::AtMost(5.0),
    )
    .without(without))
}

/// `hostlet create` as a command: process, store, kernel, cgroup.
pub fn create(stage: &Stage) -> Result<Figure> {
    let mut times = Vec::new();
    for _ in 0..ROUNDS * 6 {
        times.push(milliseconds(wall(Command::new(&stage.hostlet).args([
            "create",
            "figure",
            "--address",
            "192.0.2.61",
        ]))?));
        stage.hostlet(&["remove", "figure"])?;
    }
    Ok(Figure::new(
        "hostlet create, the command",
        "ms",
        middle(times)?,
        Promise::None,
    ))
}

/// Kernel memory of a hostlet with its cgroup: what many of them add, divided by how many they are.
pub fn memory(stage: &Stage) -> Result<Figure> {
    const MANY: usize = 400;
    let names: Vec<(String, String)> = (0..MANY)
        .map(|n| {
            (
                format!("memory-{n}"),
                format!("198.18.{}.{}", n / 200, n % 200 + 1),
            )
        })
        .collect();
    let mut rounds = Vec::new();
    for _ in 0..3 {
        let before = kernel_bytes()?;
        for (name, address) in &names {
            stage.hostlet(&["create", name, "--assign", "lo", "--address", address])?;
        }
        let after = kernel_bytes()?;
        for (name, _) in &names {
            stage.hostlet(&["remove", name])?;
        }
        rounds.push((after - before) / MANY as f64 / 1024.0);
    }
    Ok(Figure::new(
        format!("kernel memory of a hostlet, cgroup included ({MANY} made)"),
        "KiB",
        middle(rounds)?,
        Promise::AtMost(24.0),
    ))
}

/// What the kernel holds for itself.
fn kernel_bytes() -> Result<f64> {
    let info = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    let kib: f64 = info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| ["Slab", "Percpu", "VmallocUsed", "PageTables"].contains(key))
        .filter_map(|(_, value)| value.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .sum();
    Ok(kib * 1024.0)
}
