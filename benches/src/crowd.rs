//! Hostlets by the thousand: what making and removing them takes, what each of them holds of the kernel's memory, and what others,
//! inside and outside, notice of how many there are.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result};
use hostlet_engine::{Engine, Paths};

use crate::beside::{Beside, Side};
use crate::coming::{
    Figures, ONES_MEMORY, Set, Values, come_and_go, enter, line, text, where_hostletd_does,
};
use crate::everywhere;
use crate::lending::Daemon;
use crate::report::{Against, Better, Bound, IDLE, Kernel, Plot, Row, Section, median};
use crate::stage::{Place, Stage, output};
use crate::starting;
use crate::stats::{Counting, Programs, between, beyond, total};

/// How many there are, from step to step.
const STEPS: [u32; 3] = [1, 100, 10_000];
/// The same where it has to be short.
const QUICK: [u32; 3] = [1, 100, 1000];

/// With it, the IPv6 loopbacks of all hostlets are one route and not an address each, among which everybody would choose.
const NONLOCAL_BIND: &str = "/proc/sys/net/ipv6/ip_nonlocal_bind";

const ABOUT: &str = "\
What it takes to make and to remove one of so many, all by one `hostlet apply`, and what others notice of them.

- *By others*: calls outside of any hostlet, as multiples of the same, by turns, on a machine beside it that never had a hostlet and has the same
  addresses. *On a machine beside*: calls there, since it shares the kernel, with one hostlet on this machine as multiples of without.
- *The kernel's part* of making and removing is [`bench/many.c`](../bench/many.c), by turns with it: a cgroup with its attachments for each, the
  entries of tables like hostlet's, and what has to be listed and written.
- A command opens the database and the programs for itself, whether it makes one or thousands; *where hostletd does it*, as for leases and logins,
  they are open.
- *Programs that do nothing* are, for calls by others, on a third machine at hostlet's places on a machine (the interfaces' entries and
  exits, `sk_lookup`); for the machine beside, at all its places, on a cgroup and a machine that nobody is on.
- Each hostlet's cgroup has attachments of its own, of 19 kinds. As the kernel rewrites its own code for the first of each kind, the cgroup
  `hostlet.ready`, that nobody is in, has them all for as long as the programs are loaded.
- As is advised for thousands, `net.ipv6.ip_nonlocal_bind` is on: without it each IPv6 loopback is an address of `lo`, among which everybody's IPv6
  connects choose their source.
- 256 single addresses each are not measured with 10,000 hostlets: the tables have no room for 2.56 million, and who has so many gives
  prefixes, here of 256.
- The kernel's memory is what the whole machine holds more than before. Some MiB come and go by themselves: too much to tell with 100 hostlets what one
  holds, so only 10,000 are judged. Beside it is a network namespace with a veth pair, of 100.

The plot leaves out what looks like another of its panels; the table has all.";

const CALLS: &str = "10000";
const CONNECTIONS: &str = "1500";

/// The installation while there are many.
pub struct Crowd<'s> {
    /// Where.
    pub stage: &'s Stage,
    paths: Paths,
    engine: Engine,
    /// How many.
    pub steps: [u32; 3],
}

impl<'s> Crowd<'s> {
    fn gather(stage: &'s Stage) -> Result<Self> {
        let paths = Paths::under(&stage.root);
        output(Command::new("ip").args(["route", "replace", "local", "10.0.0.0/8", "dev", "lo"]))?;
        fs::write(NONLOCAL_BIND, "1").context("switch ip_nonlocal_bind on")?;
        Ok(Self {
            stage,
            engine: Engine::new(paths.clone(), |warning| eprintln!("{warning}")),
            paths,
            steps: if stage.quick { QUICK } else { STEPS },
        })
    }

    /// As hostletd has it, that stays.
    pub fn that_stays(&self) -> Engine {
        let engine = Engine::new(self.paths.clone(), |warning| eprintln!("{warning}"));
        engine.stay();
        engine
    }

    /// Makes it so many, as a command does; milliseconds.
    pub fn become_many(&self, many: u32, set: Set) -> Result<f64> {
        self.become_many_by(&self.engine, many, set)
    }

    /// As [`Crowd::become_many`], by whom.
    pub fn become_many_by(&self, engine: &Engine, many: u32, set: Set) -> Result<f64> {
        let mut text = "[limits]\nhostlets = 10100\nsockets = 65536\n".to_owned();
        for hostlet in 0..many {
            let addresses = set.of(hostlet);
            writeln!(
                text,
                "[hostlet.crowd-{hostlet:05}]\naddresses = [{addresses}]"
            )?;
        }
        fs::write(&self.paths.config, text)?;
        let begin = Instant::now();
        engine.apply(false, false, &mut |_| {})?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        // What cannot be undone goes with the stage.
        let _ = self.become_many(0, Set::Single(1));
        let _ = fs::remove_file(&self.paths.config);
        let _ = fs::write(NONLOCAL_BIND, "0");
        let _ = Command::new("ip")
            .args(["route", "del", "local", "10.0.0.0/8"])
            .status();
    }
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let calls = [
        ("bind", BIND),
        ("connect", CONNECT),
        ("connect over IPv6", CONNECT6),
        ("sendto", SEND),
    ];
    let everywhere = everywhere::rows(stage, &calls)?;
    let crowd = Crowd::gather(stage)?;
    // The kernel part is there before, and stays.
    stage.hostlet(&["create", "stays", "--address", "192.0.2.51"])?;
    let done = rows(&crowd);
    drop(crowd);
    stage.hostlet(&["remove", "stays"])?;
    let mut done = done?;
    if !stage.quick {
        let namespaces = starting::namespaces(stage)?;
        let row = done.iter_mut().find(|row| row.what == ONES_MEMORY);
        let row = row.context("what one holds was measured")?;
        *row = row.clone().way("a namespace with veth", namespaces);
    }
    let title = "From one hostlet to ten thousand";
    Ok(Section::new("crowd", title, ABOUT, Plot::Lines)
        .with(done)
        .with(everywhere))
}

fn rows(crowd: &Crowd) -> Result<Vec<Row>> {
    let mut rows = others_and_members(crowd)?;
    for set in [Set::Single(2), Set::Single(256), Set::Prefix] {
        let alike = set != Set::Single(256);
        rows.extend(
            come_and_go(crowd, set)?
                .into_iter()
                .map(|row| row.told_only(alike)),
        );
    }
    for set in [Set::Single(1), Set::Single(256)] {
        rows.extend(where_hostletd_does(crowd, set)?);
    }
    Ok(rows)
}

/// A loop of calls on the stage, and what it is compared with.
struct Call {
    what: &'static str,
    of: (Side<'static>, [&'static str; 3]),
    plain: (Side<'static>, [&'static str; 3]),
    /// Whether it is done by others: what they pay counts. Else, whether it grows.
    by_others: bool,
}

const BIND: [&str; 3] = ["bind", "0.0.0.0:8001", CALLS];
const CONNECT: [&str; 3] = ["connect", "192.0.2.2:7000", CONNECTIONS];
const CONNECT6: [&str; 3] = ["connect", "[2001:db8::2]:7000", CONNECTIONS];
const SEND: [&str; 3] = ["send", "192.0.2.2:7001", CALLS];
const OUTSIDE: Side = Side::Ours(Place::Machine);

fn calls() -> [Call; 6] {
    let outside = |what, words| Call {
        what,
        of: (OUTSIDE, words),
        plain: (Side::Plain, words),
        by_others: true,
    };
    [
        outside("bind by others", BIND),
        outside("connect by others", CONNECT),
        outside("connect over IPv6 by others", CONNECT6),
        outside("sendto by others", SEND),
        Call {
            what: "connect in a hostlet",
            of: (Side::Ours(Place::Hostlet("crowd-00000")), CONNECT),
            plain: (Side::Plain, CONNECT),
            by_others: false,
        },
        Call {
            what: "connections to a hostlet",
            of: (
                Side::Ours(Place::Client),
                ["connect", "192.0.2.41:7002", CONNECTIONS],
            ),
            plain: (
                Side::PlainClient,
                ["connect", "192.0.2.1:7002", CONNECTIONS],
            ),
            by_others: false,
        },
    ]
}

/// What others pay and what members notice, with ever more hostlets.
fn others_and_members(crowd: &Crowd) -> Result<Vec<Row>> {
    let stage = crowd.stage;
    let beside = Beside::of(stage)?;
    let _servers = [
        beside.start(Side::Ours(Place::Client), &["accept", "[::]:7000"])?,
        beside.start(Side::PlainClient, &["accept", "[::]:7000"])?,
        beside.start(Side::Plain, &["accept", "0.0.0.0:7002"])?,
    ];
    let idle = Beside::with_idle_programs(stage)?;
    let _idles_server = idle.start(Side::PlainClient, &["accept", "[::]:7000"])?;
    let calls = calls();
    let mut shares: Vec<Values> = calls.iter().map(|_| Vec::new()).collect();
    let mut kernels: Vec<Vec<f64>> = calls.iter().map(|_| Vec::new()).collect();
    let mut figures = Figures::new(crowd, Set::Single(1))?;
    let (mut daemon, mut counts) = (Vec::new(), Vec::new());
    for many in crowd.steps {
        figures.all_rounds(many, |last| {
            let memory = Daemon::alone(stage)?.memory("Pss")? * 1024.0;
            enter(&mut daemon, many, memory);
            if !last {
                return Ok(());
            }
            let name = Place::Hostlet("crowd-00000");
            let _server = stage.start(name, &["accept", "0.0.0.0:7002"])?;
            // Between the fewest and the most half as many rounds are enough.
            let rounds = if many == crowd.steps[1] { 6 } else { 12 };
            for round in 0..stage.rounds(rounds) {
                for (n, call) in calls.iter().enumerate() {
                    let share =
                        beside.share((call.of.0, &call.of.1), (call.plain.0, &call.plain.1));
                    enter(&mut shares[n], many, share.with_context(|| call.what)?);
                    // How many hostlets there are is nothing to that: a third of the rounds at each number is enough.
                    if call.by_others && round % 3 == 0 {
                        kernels[n].push(idle.share_of(&beside, &call.plain.1)?);
                    }
                }
            }
            if many == crowd.steps[2] {
                let by_others = calls.iter().filter(|call| call.by_others);
                let counted = by_others.map(|call| counted(stage, (&beside, &idle), call));
                counts = counted.collect::<Result<Vec<_>>>()?;
            }
            Ok(())
        })?;
    }
    let mut rows = figures.rows();
    rows.push(daemon_row(&daemon)?);
    let [first, .., last] = crowd.steps.map(text);
    let mut counts = counts.into_iter();
    for ((call, shares), kernels) in calls.iter().zip(shares).zip(kernels) {
        let command = format!("hostlet-bench work {}", call.of.1.join(" "));
        let row = Row::new(call.what, "×", Better::Less).command(command);
        rows.push(match call.by_others {
            true => line(row, shares, Some(Bound::AtMost(1.01)))
                .way(IDLE, kernels)
                .kernel(counts.next()),
            false => line(row, shares, None)
                .against(&first, Against::Share)
                .goal(&last, Bound::AtMost(1.05)),
        });
    }
    Ok(rows)
}

/// What hostletd holds for each, by what it holds with most of them and with the fewest.
fn daemon_row(all: &Values) -> Result<Row> {
    let [(few, least), .., (many, most)] = &all[..] else {
        anyhow::bail!("there are several steps");
    };
    let least = median(least.clone()).context("nothing was measured")?;
    let each = most
        .iter()
        .map(|most| (most - least) / f64::from(many - few));
    let what = "memory of hostletd for each, where it runs";
    let row =
        Row::new(what, "KiB", Better::Less).command("hostletd; grep Pss /proc/PID/smaps_rollup");
    Ok(line(row, vec![(*many, each.collect())], None))
}

/// What the kernel itself counts of hostlet's programs, for one call, beyond what it counts of programs that do nothing.
fn counted(stage: &Stage, (beside, idle): (&Beside, &Beside), call: &Call) -> Result<Kernel> {
    let (side, words) = call.of;
    let calls: f64 = words[2].parse()?;
    let each = beside.work(call.plain.0, &call.plain.1)?;
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let nothing = idle.idle_programs()?;
    let _counting = Counting::start()?;
    let (mut runs, mut nanoseconds) = (Vec::new(), Vec::new());
    // A program that is interrupted is counted with what interrupts it.
    for _ in 0..3 {
        let before = (programs.read()?, nothing.read()?);
        beside.work(side, &words)?;
        idle.work(call.plain.0, &call.plain.1)?;
        let counts = between(&before.0, &programs.read()?);
        let idle = between(&before.1, &nothing.read()?);
        runs.push(total(&counts).runs as f64 / calls);
        nanoseconds.push(beyond(&counts, &idle) / calls);
    }
    Kernel::of(runs, nanoseconds, each)
}
