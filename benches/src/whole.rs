//! Figures of whole commands and of throughput.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostlet_engine::{Engine, Paths};
use hostlet_model::{HostletSpec, Name, SourcePolicy};

use crate::report::{Against, Better, Bound, Plot, Row, Section};
use crate::stage::{ANOTHER4, Stage, wall};
use crate::turns::{by_turns, needed};

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Starting, creating, memory.
pub fn measure(stage: &Stage) -> Result<Section> {
    let section = Section::new("hostlets", "Starting, creating, memory", "", Plot::None);
    let mut rows = vec![run_true(stage)?];
    rows.extend(create(stage)?);
    rows.push(memory(stage)?);
    Ok(section.with(rows))
}

/// `hostlet run -- true` over `true`.
fn run_true(stage: &Stage) -> Result<Row> {
    let native = |_| Ok(milliseconds(wall(&mut Command::new("true"))?));
    let hostlet = |_| {
        let words = ["run", "--address", ANOTHER4, "--", "true"];
        Ok(milliseconds(wall(stage.command().args(words))?))
    };
    let row = Row::new("to start true", "ms", Better::Less)
        .command(format!("hostlet run --address {ANOTHER4} -- true"));
    let takers = vec![needed("native", native), needed("hostlet", hostlet)];
    Ok(by_turns(row, stage.rounds(30), takers)?
        .against("native", Against::More)
        .goal("hostlet", Bound::AtMost(2.0)))
}

/// A create, in this process and as a command.
fn create(stage: &Stage) -> Result<Vec<Row>> {
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
    for _ in 0..stage.rounds(30) {
        let start = Instant::now();
        engine.create(&spec)?;
        within.push(milliseconds(start.elapsed()));
        engine.remove(&name, false)?;
        command.push(milliseconds(wall(stage.command().args([
            "create",
            "figure",
            "--address",
            ANOTHER4,
        ]))?));
        engine.remove(&name, false)?;
    }
    Ok(vec![
        Row::new("to create a hostlet, in-process", "ms", Better::Less)
            .way("hostlet", within)
            .goal("hostlet", Bound::AtMost(2.0)),
        Row::new("to create a hostlet, the command", "ms", Better::Less).way("hostlet", command),
    ])
}

/// Kernel memory of a hostlet with its cgroup: what a block of them adds, divided by how many they are.
fn memory(stage: &Stage) -> Result<Row> {
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
    let what = "kernel memory of a hostlet, its cgroup included";
    Ok(Row::new(what, "KiB", Better::Less)
        .way("hostlet", each)
        .goal("hostlet", Bound::AtMost(24.0)))
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
