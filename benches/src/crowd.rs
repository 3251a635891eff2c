//! Hostlets by the thousand: what making and removing them takes, what each of them holds of the kernel's memory, and what others,
//! inside and outside, notice of how many there are.

use std::fmt::Write;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use hostlet_engine::{Engine, Paths};

use crate::beside::{Beside, Side};
use crate::empty::Empty;
use crate::everywhere;
use crate::lending::Daemon;
use crate::report::{Against, Better, Bound, Kernel, Plot, Row, Section, median};
use crate::stage::{Place, Stage, output};
use crate::stats::{Count, Counting, Programs, between};

/// How many there are, from step to step.
const STEPS: [u32; 3] = [1, 100, 10_000];
/// The same where it has to be short.
const QUICK: [u32; 3] = [1, 100, 1000];

/// The address of the first one; the others have theirs in a network that is this machine's own.
const FIRST: &str = "192.0.2.41";

/// With it, the IPv6 loopbacks of all hostlets are one route and not an address each, among which everybody would choose.
const NONLOCAL_BIND: &str = "/proc/sys/net/ipv6/ip_nonlocal_bind";

/// What makes and removes them.
const APPLY: &str = "hostlet apply";
/// What shows the kernel's memory.
pub const MEMINFO: &str =
    "cat /proc/sys/vm/stat_refresh; grep -E 'SUnreclaim|Percpu' /proc/meminfo";

const CALLS: &str = "10000";
const CONNECTIONS: &str = "1500";

/// What a single one may take to make or remove, in milliseconds.
const EACH: Bound = Bound::AtMost(1.0);
/// And of the kernel's memory, in KiB.
const MEMORY: Bound = Bound::AtMost(16.0);
/// How many it takes to judge that: what else the kernel takes and gives back meanwhile is some MiB.
const JUDGED: u32 = 10_000;

/// The addresses that each hostlet has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Set {
    Single(u32),
    /// A prefix of 256 addresses.
    Prefix,
}

impl Set {
    fn text(self) -> String {
        match self {
            Self::Single(1) => "1 address".to_owned(),
            Self::Single(count) => format!("{count} addresses"),
            Self::Prefix => "a prefix of 256".to_owned(),
        }
    }

    /// Those of one of the hostlets, as the configuration has them.
    fn of(self, hostlet: u32) -> String {
        let ip = |n: u32| std::net::Ipv4Addr::from(0x0a00_0000 + n);
        match self {
            Self::Single(1) if hostlet == 0 => format!("\"{FIRST}\""),
            Self::Single(count) => {
                let all = (0..count).map(|n| format!("\"{}\"", ip(hostlet * count + n)));
                all.collect::<Vec<_>>().join(", ")
            }
            Self::Prefix => format!("\"{}/24\"", ip(hostlet << 8)),
        }
    }
}

/// The installation while there are many.
struct Crowd<'s> {
    stage: &'s Stage,
    paths: Paths,
    engine: Engine,
    steps: [u32; 3],
}

impl<'s> Crowd<'s> {
    fn gather(stage: &'s Stage) -> Result<Self> {
        let paths = Paths::under(&stage.root);
        // As on any machine, where it is /run.
        fs::create_dir_all(&paths.run)?;
        output(
            Command::new("mount")
                .args(["-t", "tmpfs", "tmpfs"])
                .arg(&paths.run),
        )?;
        output(Command::new("ip").args(["route", "replace", "local", "10.0.0.0/8", "dev", "lo"]))?;
        fs::write(NONLOCAL_BIND, "1").context("switch ip_nonlocal_bind on")?;
        Ok(Self {
            stage,
            engine: Engine::new(paths.clone(), |warning| eprintln!("{warning}")),
            paths,
            steps: if stage.quick { QUICK } else { STEPS },
        })
    }

    /// Makes it so many; milliseconds.
    fn become_many(&self, many: u32, set: Set) -> Result<f64> {
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
        self.engine.apply(false, false, &mut |_| {})?;
        Ok(begin.elapsed().as_secs_f64() * 1e3)
    }
}

impl Drop for Crowd<'_> {
    fn drop(&mut self) {
        // What cannot be undone goes with the stage.
        let _ = self.become_many(0, Set::Single(1));
        let _ = fs::remove_file(&self.paths.config);
        let _ = fs::write(NONLOCAL_BIND, "0");
        let _ = Command::new("umount").arg(&self.paths.run).status();
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
    let about = "What it takes to make and to remove one of so many, all by one `hostlet apply`, and what of them others notice. \
                 Those are compared, by turns, with the same on a machine beside it that never had a hostlet, and has the same addresses. \
                 A third of what 256 addresses take is the kernel's, for four steps of its hash tables with each. \
                 What such a machine notices itself, since it shares the kernel, is measured with and without a hostlet. \
                 Of a `sendto` by others all is the kernel's way to one program at the interface's exit (50 to 80 ns here), which \
                 returns at once. \
                 As is advised for thousands, `net.ipv6.ip_nonlocal_bind` is on: without it each IPv6 loopback is an address of `lo`, \
                 among which everybody's IPv6 connects choose their source. \
                 256 single addresses each are not measured with 10,000 hostlets: the tables have no room for 2.56 million, and who \
                 has so many gives prefixes, here of 256. Each hostlet's cgroup has attachments of its own, 19 kinds, \
                 and shares none of a parent's: so they live exactly as long as it. As the kernel rewrites its own code for the first of \
                 each kind, the cgroup `hostlet.ready`, that nobody is in, has them all for as long as the programs are loaded. \
                 The kernel's memory is what the whole machine \
                 holds more than before: some MiB come and go by themselves, which is too much with 100 hostlets to tell what one holds, so \
                 only 10,000 are judged.";
    let title = "From one hostlet to ten thousand";
    Ok(Section::new("crowd", title, about, Plot::Lines)
        .with(done?)
        .with(everywhere))
}

fn rows(crowd: &Crowd) -> Result<Vec<Row>> {
    let mut rows = others_and_members(crowd)?;
    for set in [Set::Single(2), Set::Single(256), Set::Prefix] {
        rows.extend(come_and_go(crowd, set)?);
    }
    Ok(rows)
}

/// Making and removing so many, without looking at anything else.
fn come_and_go(crowd: &Crowd, set: Set) -> Result<Vec<Row>> {
    let mut figures = Figures::new(set);
    for many in crowd.steps {
        // As many addresses as the tables have room for.
        if set == Set::Single(256) && many > 100 {
            continue;
        }
        let rounds = if many > 100 { 1 } else { crowd.stage.rounds(5) };
        for _ in 0..rounds {
            figures.made(many, || crowd.become_many(many, set))?;
            figures.removed(crowd, many)?;
        }
    }
    Ok(figures.rows())
}

/// What making, removing and keeping one of so many takes, by how many.
struct Figures {
    set: Set,
    make: Vec<(u32, Vec<f64>)>,
    remove: Vec<(u32, Vec<f64>)>,
    kept: Vec<(u32, Vec<f64>)>,
}

impl Figures {
    fn new(set: Set) -> Self {
        Self {
            set,
            make: Vec::new(),
            remove: Vec::new(),
            kept: Vec::new(),
        }
    }

    fn made(&mut self, many: u32, make: impl FnOnce() -> Result<f64>) -> Result<()> {
        // A few hundred find room in what the kernel has in reserve, and do not stand out from what else it does.
        let before = (many >= 1_000).then(kernel_kib).transpose()?;
        enter(&mut self.make, many, make()? / f64::from(many));
        if let Some(before) = before {
            let kept = kernel_kib()? - before;
            enter(&mut self.kept, many, kept / f64::from(many));
        }
        Ok(())
    }

    fn removed(&mut self, crowd: &Crowd, many: u32) -> Result<()> {
        let took = crowd.become_many(0, self.set)?;
        enter(&mut self.remove, many, took / f64::from(many));
        Ok(())
    }

    fn rows(self) -> Vec<Row> {
        let text = self.set.text();
        let lines = [
            (format!("to make one with {text}"), self.make),
            (format!("to remove one with {text}"), self.remove),
        ];
        let took = |(what, values)| {
            let row = Row::new(what, "ms", Better::Less).command(APPLY);
            line(row, values, Some(EACH))
        };
        let mut rows: Vec<Row> = lines.into_iter().map(took).collect();
        let judged = self.kept.iter().any(|(many, _)| *many == JUDGED);
        let what = format!("kernel memory of one with {text}");
        let row = Row::new(what, "KiB", Better::Less).command(format!("{APPLY}; {MEMINFO}"));
        let row = line(row, self.kept, None);
        rows.push(match judged {
            true => row.goal(&self::text(JUDGED), MEMORY),
            false => row,
        });
        rows
    }
}

fn enter(all: &mut Vec<(u32, Vec<f64>)>, many: u32, value: f64) {
    match all.iter_mut().find(|(at, _)| *at == many) {
        Some((_, values)) => values.push(value),
        None => all.push((many, vec![value])),
    }
}

/// A line over how many there are, with a goal for each number.
fn line(mut row: Row, values: Vec<(u32, Vec<f64>)>, goal: Option<Bound>) -> Row {
    let numbers: Vec<u32> = values.iter().map(|(many, _)| *many).collect();
    for (many, values) in values {
        row = row.at(many, values);
    }
    for many in numbers {
        if let Some(goal) = goal {
            row = row.goal(&text(many), goal);
        }
    }
    row
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
        outside("bind by others, of without hostlets", BIND),
        outside("connect by others, of without hostlets", CONNECT),
        outside("connect over IPv6 by others, of without hostlets", CONNECT6),
        outside("sendto by others, of without hostlets", SEND),
        Call {
            what: "connect in a hostlet, of without hostlets",
            of: (Side::Ours(Place::Hostlet("crowd-00000")), CONNECT),
            plain: (Side::Plain, CONNECT),
            by_others: false,
        },
        Call {
            what: "connections to a hostlet, of without hostlets",
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
    let beside = Beside::of(crowd.stage)?;
    let _servers = [
        beside.start(Side::Ours(Place::Client), &["accept", "[::]:7000"])?,
        beside.start(Side::PlainClient, &["accept", "[::]:7000"])?,
        beside.start(Side::Plain, &["accept", "0.0.0.0:7002"])?,
    ];
    let calls = calls();
    let mut shares: Vec<Vec<(u32, Vec<f64>)>> = calls.iter().map(|_| Vec::new()).collect();
    let mut figures = Figures::new(Set::Single(1));
    let (mut daemon, mut counts) = (Vec::new(), Vec::new());
    let rounds = crowd.stage.rounds(12);
    // One alone says little, and the very first one of a process opens what the others find.
    for many in [crowd.steps[0], crowd.steps[1]] {
        for _ in 1..crowd.stage.rounds(5) {
            figures.made(many, || crowd.become_many(many, Set::Single(1)))?;
            figures.removed(crowd, many)?;
        }
    }
    for many in crowd.steps {
        let make = || crowd.become_many(many, Set::Single(1));
        figures.made(many, make)?;
        daemon.push((many, Daemon::alone(crowd.stage)?.memory("Pss")? * 1024.0));
        let name = Place::Hostlet("crowd-00000");
        let server = crowd.stage.start(name, &["accept", "0.0.0.0:7002"])?;
        for _ in 0..rounds {
            for (call, shares) in calls.iter().zip(&mut shares) {
                let share = beside.share((call.of.0, &call.of.1), (call.plain.0, &call.plain.1));
                enter(shares, many, share.with_context(|| call.what)?);
            }
        }
        drop(server);
        if many == crowd.steps[2] {
            let by_others = calls.iter().filter(|call| call.by_others);
            let counted = by_others.map(|call| counted(crowd.stage, &beside, call));
            counts = counted.collect::<Result<Vec<_>>>()?;
        }
        figures.removed(crowd, many)?;
    }
    let mut rows = figures.rows();
    let [(few, least), .., (many, most)] = daemon[..] else {
        anyhow::bail!("there are several steps");
    };
    let each = (most - least) / f64::from(many - few);
    let what = "memory of hostletd for each, where it runs";
    rows.push(line(
        Row::new(what, "KiB", Better::Less).command("hostletd; grep Pss /proc/PID/smaps_rollup"),
        vec![(many, vec![each])],
        None,
    ));
    let [first, .., last] = crowd.steps.map(text);
    let mut counts = counts.into_iter();
    for (call, shares) in calls.iter().zip(shares) {
        let command = format!("hostlet-bench work {}", call.of.1.join(" "));
        let row = Row::new(call.what, "×", Better::Less).command(command);
        rows.push(match call.by_others {
            true => line(row, shares, Some(Bound::AtMost(1.01))).kernel(counts.next()),
            false => line(row, shares, None)
                .against(&first, Against::Share)
                .goal(&last, Bound::AtMost(1.05)),
        });
    }
    Ok(rows)
}

/// What the kernel itself counts of hostlet's programs, for one call.
fn counted(stage: &Stage, beside: &Beside, call: &Call) -> Result<Kernel> {
    let (side, words) = call.of;
    let calls: f64 = words[2].parse()?;
    let each = beside.work(call.plain.0, &call.plain.1)?;
    let programs = Programs::pinned_below(&stage.root.join("bpf"))?;
    let _counting = Counting::start()?;
    let floor = Empty::load(stage)?.cost(stage)?;
    let (mut runs, mut nanoseconds) = (Vec::new(), Vec::new());
    // A program that is interrupted is counted with what interrupts it.
    for _ in 0..3 {
        let before = programs.read()?;
        beside.work(side, &words)?;
        let counts = between(&before, &programs.read()?);
        let sum = |of: fn(&Count) -> u64| counts.values().map(of).sum::<u64>() as f64 / calls;
        let ran = sum(|count| count.runs);
        runs.push(ran);
        nanoseconds.push(sum(|count| count.nanoseconds) - ran * floor);
    }
    let nanoseconds = median(nanoseconds).context("nothing was counted")?;
    Ok(Kernel {
        runs: median(runs).context("nothing was counted")?,
        nanoseconds,
        leaves: Some(each / (each + nanoseconds)),
    })
}

/// How a number names a place of a line.
fn text(number: u32) -> String {
    match number {
        0..1000 => number.to_string(),
        _ => format!("{},{:03}", number / 1000, number % 1000),
    }
}

/// What the kernel holds for itself and cannot give back on demand, as soon as that falls no more: much is given back some time after
/// its last user is gone. Other work on the machine shows in it as well.
pub fn kernel_kib() -> Result<f64> {
    let mut least = held_kib()?;
    // Half a second is several times the kernel's grace period; a busy machine is not waited for longer than two.
    let (mut calm, mut asked) = (0, 0);
    while calm < 5 && asked < 20 {
        pause();
        let now = held_kib()?;
        // Less than this is in no figure of hundreds.
        calm = if now < least - 64.0 { 0 } else { calm + 1 };
        least = least.min(now);
        asked += 1;
    }
    held_kib()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kernel does not tell when it has given memory back"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

fn held_kib() -> Result<f64> {
    // Each processor counts some pages for itself, which else appear within seconds; where that is not to be had, they do so.
    let _ = fs::read("/proc/sys/vm/stat_refresh");
    let info = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    Ok(info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| ["SUnreclaim", "Percpu"].contains(key))
        .filter_map(|(_, value)| value.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .sum())
}
