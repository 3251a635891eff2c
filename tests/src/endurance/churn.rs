//! Hostlets that come, change, crash and go, many at a time.

use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::wait;

use super::stage::Stage;
use crate::chance::Chance;

/// Threads that do it, each with hostlets of its own.
const WORKERS: usize = 4;

/// The most addresses that a hostlet gets.
const MOST: usize = 4;

/// How long, and how many.
#[derive(Debug, Clone, Copy)]
pub struct Churn {
    /// Until this much time has passed.
    pub time: Option<Duration>,
    /// Or so many steps were taken by each worker.
    pub steps: Option<u64>,
    /// The most hostlets at one time.
    pub hostlets: usize,
    /// Where chance begins.
    pub seed: u64,
}

/// What was done.
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Hostlets made.
    pub made: u64,
    /// Addresses granted or revoked.
    pub changed: u64,
    /// Programs started in hostlets.
    pub started: u64,
    /// Socket calls of theirs.
    pub calls: u64,
    /// Programs, and commands that waited for them, that were killed.
    pub crashed: u64,
}

/// One hostlet of a worker, or a place for one.
#[derive(Default)]
struct Slot {
    name: String,
    /// Numbers of its addresses; none: it does not exist.
    addresses: Vec<usize>,
    agents: Vec<Agent>,
    /// It ends with its program.
    run: bool,
}

/// Does it, and compares before and after.
///
/// # Errors
/// When any command fails, a call has another answer than it should, or something is left behind.
pub fn churn(plan: &Churn) -> Result<Done> {
    let stage = Stage::new()?;
    let per = plan.hostlets.div_ceil(WORKERS);
    let end = plan.time.map(|time| Instant::now() + time);
    let mut all = Done::default();
    std::thread::scope(|scope| -> Result<()> {
        let workers: Vec<_> = (0..WORKERS)
            .map(|n| {
                let stage = &stage;
                scope.spawn(move || {
                    let seed = plan.seed ^ (n as u64) << 56;
                    let mut worker = Worker::new(stage, n * per..(n + 1) * per, seed);
                    let mut steps = 0;
                    while end.is_none_or(|end| Instant::now() < end)
                        && plan.steps.is_none_or(|most| steps < most)
                    {
                        worker
                            .step()
                            .with_context(|| format!("seed {seed}, step {steps}"))?;
                        steps += 1;
                    }
                    anyhow::Ok(worker.done)
                })
            })
            .collect();
        for worker in workers {
            let done = worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
            all.made += done.made;
            all.changed += done.changed;
            all.started += done.started;
            all.calls += done.calls;
            all.crashed += done.crashed;
        }
        Ok(())
    })?;
    stage.clean()?;
    Ok(all)
}

struct Worker<'a> {
    stage: &'a Stage,
    chance: Chance,
    /// The number of the first slot: no two workers have a name or an address in common.
    first: usize,
    slots: Vec<Slot>,
    done: Done,
}

impl<'a> Worker<'a> {
    fn new(stage: &'a Stage, numbers: Range<usize>, seed: u64) -> Worker<'a> {
        Worker {
            stage,
            chance: Chance::new(seed),
            first: numbers.start,
            slots: numbers
                .map(|n| Slot {
                    name: format!("h{n}"),
                    ..Slot::default()
                })
                .collect(),
            done: Done::default(),
        }
    }

    /// Something happens to one of the hostlets.
    fn step(&mut self) -> Result<()> {
        let at = self.chance.below(self.slots.len());
        if self.slots[at].addresses.is_empty() {
            return self.make(at);
        }
        match self.chance.below(10) {
            0 | 1 => self.grant(at),
            2 | 3 => self.revoke(at),
            4 => self.start(at),
            5..=7 => self.call(at),
            8 => self.crash(at),
            _ => self.remove(at),
        }
    }

    fn address(&self, at: usize, number: usize) -> String {
        let n = self.first + at;
        if number < MOST / 2 {
            format!("10.20.{}.{}", n / 50, (n % 50) * 4 + number + 1)
        } else {
            format!("2001:db8:20::{n:x}:{number:x}")
        }
    }

    /// As `--address` takes it: where it is on the link.
    fn given(&self, at: usize, number: usize) -> String {
        let length = if number < MOST / 2 { 16 } else { 64 };
        format!("{}/{length}", self.address(at, number))
    }

    fn make(&mut self, at: usize) -> Result<()> {
        let first = self.chance.below(MOST);
        let mut numbers = vec![first];
        if self.chance.below(2) == 0 {
            numbers.push((first + 1) % MOST);
        }
        let name = self.slots[at].name.clone();
        let mut args = vec![name, "--assign".into(), "eth0".into()];
        for number in &numbers {
            args.extend(["--address".into(), self.given(at, *number)]);
        }
        let run = self.chance.below(3) == 0;
        let mut words: Vec<&str> = args.iter().map(String::as_str).collect();
        if run {
            words.splice(..1, ["run", "--name", &args[0]]);
            let install = self.stage.install()?;
            let agent = Agent::start(&args[0], install.probe(self.stage.host(), &words)?)?;
            self.slots[at].agents.push(agent);
            self.done.started += 1;
        } else {
            words.insert(0, "create");
            self.stage.run(&words)?;
        }
        self.slots[at].run = run;
        self.slots[at].addresses = numbers;
        self.done.made += 1;
        Ok(())
    }

    fn grant(&mut self, at: usize) -> Result<()> {
        let has = &self.slots[at].addresses;
        let Some(number) = (0..MOST).find(|number| !has.contains(number)) else {
            return Ok(());
        };
        let given = self.given(at, number);
        let name = &self.slots[at].name;
        self.stage
            .run(&["grant", name, &given, "--assign", "eth0"])?;
        self.slots[at].addresses.push(number);
        self.done.changed += 1;
        Ok(())
    }

    fn revoke(&mut self, at: usize) -> Result<()> {
        let has = self.slots[at].addresses.len();
        if has < 2 {
            return Ok(());
        }
        let number = self.slots[at].addresses[self.chance.below(has)];
        let address = self.address(at, number);
        self.stage
            .run(&["revoke", &self.slots[at].name, &address])?;
        self.slots[at].addresses.retain(|n| *n != number);
        self.done.changed += 1;
        Ok(())
    }

    fn start(&mut self, at: usize) -> Result<()> {
        let agent = self.stage.enter(&self.slots[at].name)?;
        self.slots[at].agents.push(agent);
        self.done.started += 1;
        Ok(())
    }

    /// A program of the hostlet opens sockets, and leaves some of them open.
    fn call(&mut self, at: usize) -> Result<()> {
        if self.slots[at].agents.is_empty() {
            return Ok(());
        }
        let number = *self.chance.one_of(&self.slots[at].addresses);
        let (family, own) = if number < MOST / 2 {
            (4, self.address(at, number))
        } else {
            (6, format!("[{}]", self.address(at, number)))
        };
        let (wild, loopback, foreign) = if family == 4 {
            ("0.0.0.0", "127.0.0.1", "10.0.0.9")
        } else {
            ("[::]", "[::1]", "[2001:db8::9]")
        };
        let s = self.chance.below(6);
        let lines = [
            vec![
                (format!("s{s} = socket tcp{family}"), "ok"),
                (format!("bind s{s} {wild}:0"), "ok"),
                (format!("listen s{s}"), "ok"),
                (format!("c = socket tcp{family}"), "ok"),
                (format!("connect c {own}:{{s{s}}}"), "ok"),
            ],
            vec![
                (format!("s{s} = socket udp{family}"), "ok"),
                (format!("bind s{s} {own}:0"), "ok"),
                (format!("sendto s{s} {own}:9 x"), "ok"),
            ],
            vec![
                (format!("s{s} = socket udp{family}"), "ok"),
                (format!("bind s{s} {wild}:0"), "ok"),
                (format!("sendto s{s} {loopback}:9 x"), "ok"),
            ],
            vec![
                (format!("s{s} = socket tcp{family}"), "ok"),
                (format!("bind s{s} {foreign}:0"), "EADDRNOTAVAIL"),
                (format!("listen s{s}"), "ok"),
            ],
        ];
        for (line, wanted) in self.chance.one_of(&lines) {
            self.ask(at, line, wanted)?;
        }
        Ok(())
    }

    fn ask(&mut self, at: usize, line: &str, wanted: &str) -> Result<()> {
        let agent = self.slots[at].agents.last_mut().context("an agent")?;
        let line = match line.split_once('{') {
            Some((before, socket)) => {
                let port = agent.ask(&format!("raw-port {}", socket.trim_end_matches('}')))?;
                format!("{before}{port}")
            }
            None => line.to_owned(),
        };
        let got = agent.ask(&line)?;
        ensure!(got == wanted, "`{line}`: {got}, not {wanted}");
        self.done.calls += 1;
        Ok(())
    }

    /// The newest program dies, or the command that waits for it.
    fn crash(&mut self, at: usize) -> Result<()> {
        let Some(agent) = self.slots[at].agents.pop() else {
            return Ok(());
        };
        agent.kill()?;
        self.done.crashed += 1;
        if self.slots[at].run && self.slots[at].agents.is_empty() {
            // Nobody is left to take it away when its program ends: the next command does.
            let slot = &mut self.slots[at];
            slot.addresses.clear();
            let name = slot.name.clone();
            return self.wait_gone(&name);
        }
        Ok(())
    }

    fn wait_gone(&self, name: &str) -> Result<()> {
        let install = self.stage.install()?;
        let mut said = String::new();
        let gone = wait::until("a hostlet to be gone", || {
            match install.output(self.stage.host(), &["remove", name, "--kill"]) {
                Ok(done) if done.status.success() => true,
                Ok(done) => {
                    said = String::from_utf8_lossy(&done.stderr).into_owned();
                    said.contains("no hostlet")
                }
                Err(_) => false,
            }
        });
        if gone.is_err() {
            bail!("{name} does not go: {said}");
        }
        Ok(())
    }

    fn remove(&mut self, at: usize) -> Result<()> {
        let slot = &mut self.slots[at];
        slot.addresses.clear();
        if slot.run {
            // It ends with its programs.
            let agents = std::mem::take(&mut slot.agents);
            let name = slot.name.clone();
            for agent in agents {
                let status = agent.finish()?;
                ensure!(status.success(), "{name} ended with {status}");
            }
            return self.wait_gone(&name);
        }
        self.stage.run(&["remove", &slot.name, "--kill"])?;
        // Its programs were killed; what started them ends.
        for agent in std::mem::take(&mut slot.agents) {
            agent.finish()?;
        }
        Ok(())
    }
}
