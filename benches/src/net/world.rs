//! A client, and a machine for each way, each at the other end of a wire of its own.

use std::process::Command;

use anyhow::{Context, Result};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::netns::NetNs;

use super::sides::{CLIENT, Side, pinned};
use super::ways::Way;
use crate::report::{Kernel, Row};
use crate::stage::{Stage, compiled};
use crate::stats::{Counting, Programs, between, beyond, total};
use crate::turns::{Taker, by_turns, needed, often, other};

/// What stands for interception in user space.
const PRELOAD: &str = include_str!("../../../bench/preload.c");
const NOTIFY: &str = include_str!("../../../bench/notify.c");

/// Whether a way takes part in a row.
#[derive(Debug, Clone, Copy)]
pub enum Part {
    /// It does.
    Takes,
    /// It could, but the time is spent otherwise.
    LeftOut,
    /// It cannot do that, for this reason.
    Cannot(&'static str),
}

/// All machines.
pub struct World<'a> {
    stage: &'a Stage,
    /// Made, or why not.
    pub sides: Vec<(Way, Result<Side, String>)>,
    client: NetNs,
    dir: TestDir,
}

impl<'a> World<'a> {
    /// Makes all of them.
    pub fn new(stage: &'a Stage) -> Result<Self> {
        let dir = TestDir::new("bench-net")?;
        compile(&dir)?;
        let client = NetNs::new("client")?;
        // As many connections as there are ports, one after the other.
        client.set("ipv4/ip_local_port_range", "1024 65535")?;
        let sides = Way::ALL.iter().enumerate().map(|(number, way)| {
            let made = Side::new(*way, number, &client, dir.path());
            (*way, made.map_err(|why| format!("{why:#}")))
        });
        let sides = sides.collect();
        Ok(Self {
            stage,
            sides,
            client,
            dir,
        })
    }

    /// A directory for configurations.
    pub fn dir(&self) -> &std::path::Path {
        self.dir.path()
    }

    /// The client's machine.
    pub fn machine(&self) -> &NetNs {
        &self.client
    }

    /// A program of the client's, on the client's processor.
    pub fn client(&self, program: &str) -> Command {
        let [taskset, words @ ..] = pinned(CLIENT);
        let mut command = self.client.command(taskset);
        command.args(words).arg(program);
        command
    }

    /// Those that were made.
    pub fn made(&self) -> impl Iterator<Item = &Side> {
        self.sides.iter().filter_map(|(_, side)| side.as_ref().ok())
    }

    /// Measures the row in all ways by turns, except where one cannot.
    pub fn row(
        &self,
        row: Row,
        rounds: usize,
        part: impl Fn(Way) -> Part,
        take: impl Fn(&Side, usize) -> Result<f64>,
    ) -> Result<Row> {
        let mut takers: Vec<Taker> = Vec::new();
        let mut never = Vec::new();
        for (way, side) in &self.sides {
            let take = &take;
            match (side, part(*way)) {
                (_, Part::LeftOut) => {}
                (_, Part::Cannot(why)) => never.push((way.name(), why.to_owned())),
                (Err(why), Part::Takes) if matches!(way, Way::Native | Way::Hostlet) => {
                    anyhow::bail!("{}: {why}", way.name());
                }
                (Err(why), Part::Takes) => never.push((way.name(), why.clone())),
                (Ok(side), Part::Takes) => {
                    let take = move |round| take(side, round);
                    takers.push(match way {
                        Way::Native | Way::Hostlet => needed(way.name(), take),
                        Way::Idle => often(way.name(), take),
                        _ => other(way.name(), take),
                    });
                }
            }
        }
        let mut row = by_turns(row, self.stage.rounds(rounds), takers)?;
        for (name, why) in never {
            row = row.cannot(name, why);
        }
        Ok(row)
    }

    /// What the kernel counts of the hostlet's programs while this runs, for each unit of work that it says it has done, beyond what it
    /// counts of programs that do nothing in the same work. `each` is what one takes natively, in nanoseconds.
    pub fn kernel(&self, each: f64, work: impl Fn(&Side) -> Result<f64>) -> Result<Kernel> {
        let side = |way: Way| {
            let made = self.made().find(|side| side.way == way);
            made.with_context(|| format!("{}: was not made", way.name()))
        };
        let (hostlet, idle) = (side(Way::Hostlet)?, side(Way::Idle)?);
        let install = hostlet.install().context("it has an installation")?;
        let programs = Programs::pinned_below(&install.root().join("bpf"))?;
        let nothing = idle.idle().context("it has programs")?.programs()?;
        let _counting = Counting::start()?;
        let (mut runs, mut nanoseconds) = (Vec::new(), Vec::new());
        // A program that is interrupted is counted with what interrupts it.
        for _ in 0..self.stage.few(3) {
            let before = (programs.read()?, nothing.read()?);
            let done = work(hostlet)?;
            work(idle)?;
            let counts = between(&before.0, &programs.read()?);
            let idle = between(&before.1, &nothing.read()?);
            runs.push(total(&counts).runs as f64 / done);
            nanoseconds.push(beyond(&counts, &idle) / done);
        }
        Kernel::of(runs, nanoseconds, each)
    }
}

/// Of a row, what one unit takes natively if the row counts units a second.
pub fn nanoseconds_each(row: &Row) -> f64 {
    let native = row.ways.iter().find(|way| way.name == Way::Native.name());
    let a_second = native.and_then(|way| way.samples.as_ref());
    a_second.map_or(f64::NAN, |samples| 1e9 / samples.median)
}

fn compile(dir: &TestDir) -> Result<()> {
    for (name, text, to, options) in [
        (
            "preload.c",
            PRELOAD,
            "preload.so",
            &["-shared", "-fPIC"][..],
        ),
        ("notify.c", NOTIFY, "notify", &[]),
    ] {
        compiled(dir.path(), (name, text), to, options)?;
    }
    Ok(())
}
