//! Every process of the product, killed at any moment.
//!
//! Victims have probers in them all the time, and are what the killed commands change.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::sniffer::Sniffer;
use hostlet_testkit::wait;

use super::prober::Prober;
use super::stage::Stage;
pub use super::verb::Verb;
use crate::chance::Chance;

/// Hostlets that commands change while probers are in them.
const VICTIMS: usize = 2;

/// How often commands are timed before.
const TURNS: usize = 3;

/// At the peer, the first of the ports to which probers send.
const PORT: u16 = 9900;

/// After so many kills all must be well again, and commands work.
const LOOK: u64 = 10;

/// How many, and where chance begins.
#[derive(Debug, Clone, Copy)]
pub struct Kills {
    /// How many processes are killed.
    pub count: u64,
    /// Where chance begins.
    pub seed: u64,
}

/// What was done.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// Commands that were killed.
    pub commands: u64,
    /// Times that hostletd was killed.
    pub daemons: u64,
    /// Processes that had ended before the signal came: not counted above.
    pub late: u64,
    /// Rounds of tries that probers made meanwhile.
    pub rounds: u64,
    /// Packets of theirs that arrived, all from their own addresses.
    pub packets: usize,
    /// How it went for each kind of command.
    pub verbs: BTreeMap<&'static str, Verb>,
}

/// What hostletd lends, and a hostlet that `apply` makes.
const CONFIG: &str = r#"
[pool.lan]
interface = "eth0"
ranges = ["10.0.0.200-10.0.0.220", "2001:db8::200-2001:db8::220"]
subnets = ["10.0.0.0/24", "2001:db8::/64"]
probe = "off"
"#;
const DECLARED: &str = r#"
[hostlet.declared]
addresses = ["10.20.9.1/16", "2001:db8:20::901/64"]
assign = "eth0"
"#;

/// Does it, and compares before and after.
///
/// # Errors
/// When a prober got what it must not, or not what is its own; when a command fails after another was killed; when something
/// is left behind.
pub fn kills(plan: &Kills) -> Result<Done> {
    let stage = Stage::new()?;
    let mut killer = Killer::new(&stage, plan.seed)?;
    while killer.done.commands + killer.done.daemons < plan.count {
        let so_far = (killer.done.commands, killer.done.daemons);
        killer.step().with_context(|| {
            format!(
                "seed {}, after {so_far:?} commands and hostletds",
                plan.seed
            )
        })?;
    }
    let done = killer.finish()?;
    stage.clean()?;
    Ok(done)
}

struct Killer<'a> {
    stage: &'a Stage,
    chance: Chance,
    probers: Vec<Prober>,
    at_peer: Sniffer,
    hostletd: Option<Hostletd>,
    steps: u64,
    done: Done,
}

/// Addresses of hostlets that come and go.
const PASSING: [&str; 2] = ["10.20.7.1/16", "2001:db8:20::701/64"];
const RUN: [&str; 7] = [
    "run",
    "--address",
    "10.20.6.1/16",
    "--assign",
    "eth0",
    "--",
    "true",
];
const RUN_LENT: [&str; 5] = ["run", "--pool", "lan", "--", "true"];
const CREATE: [&str; 8] = [
    "create",
    "passing",
    "--address",
    PASSING[0],
    "--address",
    PASSING[1],
    "--assign",
    "eth0",
];
const CREATE_LENT: [&str; 4] = ["create", "passing", "--pool", "lan"];
const REMOVE: [&str; 3] = ["remove", "passing", "--kill"];
const ENTER: [&str; 4] = ["enter", "v0", "--", "true"];
const APPLY: [&str; 2] = ["apply", "--kill"];

impl<'a> Killer<'a> {
    fn new(stage: &'a Stage, seed: u64) -> Result<Killer<'a>> {
        let install = stage.install()?;
        std::fs::write(install.root().join("hostlet.toml"), CONFIG)?;
        let hostletd = Hostletd::start(install, stage.host())?;
        let at_peer = Sniffer::new(stage.lan.peer())?;
        let mut probers = Vec::new();
        for n in 0..VICTIMS {
            let (name, number) = (format!("v{n}"), n + 1);
            let own = [
                format!("10.20.8.{number}"),
                format!("2001:db8:20::80{number}"),
            ];
            let lengths = [format!("{}/16", own[0]), format!("{}/64", own[1])];
            let more = ["--address", &lengths[0], "--address", &lengths[1]];
            stage.run(&[&["create", &name][..], &more, &["--assign", "eth0"]].concat())?;
            let always = vec![format!("{}:0", own[0]), format!("[{}]:0", own[1])];
            // And what is granted and revoked.
            let all = own.into_iter().chain([passing(n)]);
            let all = all.map(|address| address.parse().context(address));
            let (member, peer) = (stage.enter(&name)?, stage.lan.start("peer")?);
            let port = PORT + u16::try_from(n)?;
            let own = all.collect::<Result<_>>()?;
            probers.push(Prober::start(member, peer, port, own, always)?);
        }
        // And one whose address is lent.
        let command = install.probe(stage.host(), &["run", "--name", "lent", "--pool", "lan"])?;
        let (member, peer) = (Agent::start("lent", command)?, stage.lan.start("peer")?);
        let own = stage.addresses("lent")?.into_iter();
        let own = own.map(|address| address.parse().context(address));
        let own = own.collect::<Result<_>>()?;
        let port = PORT + u16::try_from(VICTIMS)?;
        probers.push(Prober::start(member, peer, port, own, Vec::new())?);
        let mut killer = Killer {
            stage,
            chance: Chance::new(seed),
            probers,
            at_peer,
            hostletd: Some(hostletd),
            steps: 0,
            done: Done::default(),
        };
        killer.measure()?;
        Ok(killer)
    }

    /// How long commands take here while probers are at work, so that moments are within all of that.
    fn measure(&mut self) -> Result<()> {
        let grant = ["grant", "v0", "10.20.8.100/16", "--assign", "eth0"];
        for turn in 0..TURNS {
            self.declare(turn % 2 == 0)?;
            let all: [(&'static str, &[&str]); 11] = [
                ("create", &CREATE),
                ("remove", &REMOVE),
                ("create --pool", &CREATE_LENT),
                ("remove", &REMOVE),
                ("run", &RUN),
                ("run --pool", &RUN_LENT),
                ("enter", &ENTER),
                ("grant", &grant),
                ("revoke", &["revoke", "v0", "10.20.8.100"]),
                ("apply", &APPLY),
                ("hostletd", &RUN_LENT),
            ];
            for (verb, args) in all {
                let begin = Instant::now();
                self.stage.run(args)?;
                let verb = self.done.verbs.entry(verb).or_default();
                verb.took(begin.elapsed());
            }
        }
        Ok(())
    }

    /// Writes the configuration, with a hostlet in it or without.
    fn declare(&self, hostlet: bool) -> Result<()> {
        let config = [CONFIG, if hostlet { DECLARED } else { "" }].concat();
        let place = self.stage.install()?.root().join("hostlet.toml");
        std::fs::write(place, config).context("writing the configuration")
    }

    /// One process is started, and killed.
    fn step(&mut self) -> Result<()> {
        self.steps += 1;
        match self.chance.below(8) {
            0..=2 => self.change_a_victim()?,
            3 | 4 => self.make_or_remove()?,
            5 => self.run_one()?,
            6 => self.apply()?,
            _ => self.kill_hostletd()?,
        }
        if self.steps.is_multiple_of(LOOK) {
            self.look()?;
        }
        Ok(())
    }

    fn change_a_victim(&mut self) -> Result<()> {
        let n = self.chance.below(VICTIMS);
        let (name, more) = (format!("v{n}"), passing(n));
        if self.stage.addresses(&name)?.contains(&more) {
            self.kill_command("revoke", &["revoke", &name, &more])
        } else {
            let given = format!("{more}/16");
            let args = ["grant", &name, &given, "--assign", "eth0"];
            self.kill_command("grant", &args)
        }
    }

    fn make_or_remove(&mut self) -> Result<()> {
        if self.stage.names()?.iter().any(|name| name == "passing") {
            return self.kill_command("remove", &REMOVE);
        }
        if self.chance.below(2) == 0 {
            return self.kill_command("create --pool", &CREATE_LENT);
        }
        self.kill_command("create", &CREATE)
    }

    fn run_one(&mut self) -> Result<()> {
        match self.chance.below(3) {
            0 => self.kill_command("run --pool", &RUN_LENT),
            1 => self.kill_command("run", &RUN),
            _ => self.kill_command("enter", &ENTER),
        }
    }

    fn apply(&mut self) -> Result<()> {
        let declared = self.chance.below(2) == 0;
        self.declare(declared)?;
        self.kill_command("apply", &APPLY)
    }

    /// Starts it, and kills it within the time that it takes.
    fn kill_command(&mut self, verb: &'static str, args: &[&str]) -> Result<()> {
        let mut command = self.stage.install()?.command(self.stage.host(), args);
        quiet(&mut command);
        let moment = self.moment(verb);
        let mut child = command
            .spawn()
            .with_context(|| format!("hostlet {args:?}"))?;
        wait::pass(moment);
        let ended = child.try_wait()?;
        child.kill()?;
        child.wait()?;
        let verb = self.done.verbs.entry(verb).or_default();
        match ended {
            None => {
                self.done.commands += 1;
                verb.killed(moment);
            }
            Some(status) => {
                self.done.late += 1;
                verb.ended(moment, status.success());
            }
        }
        Ok(())
    }

    /// One within the time that such a command takes.
    fn moment(&mut self, verb: &'static str) -> Duration {
        let lasts = self.done.verbs.entry(verb).or_default().lasts();
        self.chance.moment(lasts)
    }

    /// While it is busy with somebody, or with starting.
    fn kill_hostletd(&mut self) -> Result<()> {
        let mut asker = None;
        if self.chance.below(3) > 0 {
            let install = self.stage.install()?;
            let mut command = install.command(self.stage.host(), &RUN_LENT);
            quiet(&mut command);
            asker = Some(command.spawn()?);
        }
        let moment = self.moment("hostletd");
        wait::pass(moment);
        if let Some(hostletd) = self.hostletd.take() {
            hostletd.kill()?;
            self.done.daemons += 1;
            let verb = self.done.verbs.entry("hostletd").or_default();
            verb.killed(moment);
        }
        if let Some(mut asker) = asker {
            // It says that nobody answers, and ends.
            asker.wait()?;
        }
        self.hostletd = Some(Hostletd::start(self.stage.install()?, self.stage.host())?);
        Ok(())
    }

    /// Probers are well, commands work, nobody has a socket outside policy.
    fn look(&mut self) -> Result<()> {
        for (n, prober) in self.probers.iter().enumerate() {
            if !prober.runs() {
                let prober = self.probers.remove(n);
                prober.finish().with_context(|| format!("prober {n}"))?;
                anyhow::bail!("prober {n} ended");
            }
        }
        self.listen()?;
        self.stage.run(&["check"])?;
        self.stage.run(&[
            "run",
            "--address",
            "10.20.5.1/16",
            "--assign",
            "eth0",
            "--",
            "true",
        ])?;
        self.stage.run(&RUN_LENT)?;
        Ok(())
    }

    /// What arrived of probers is from their own addresses.
    fn listen(&mut self) -> Result<()> {
        let seen = self.at_peer.seen();
        self.done.packets = 0;
        for (n, prober) in self.probers.iter().enumerate() {
            let heard = prober.heard(&seen).with_context(|| format!("prober {n}"))?;
            ensure!(
                heard > 0,
                "nothing of prober {n} arrived: it proves nothing"
            );
            self.done.packets += heard;
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Done> {
        self.look()?;
        for prober in std::mem::take(&mut self.probers) {
            let rounds = prober.finish()?;
            ensure!(rounds > 0, "a prober tried nothing");
            self.done.rounds += rounds;
        }
        for name in self.stage.names()? {
            // The one that was lent an address may be gone with its program already.
            let done = self
                .stage
                .install()?
                .output(self.stage.host(), &["remove", &name, "--kill"])?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(
                done.status.success() || said.contains("no hostlet"),
                "remove {name}: {said}"
            );
        }
        let mut leases = String::new();
        wait::until("all leases to be given back", || {
            leases = self.stage.run(&["leases", "--json"]).unwrap_or_default();
            leases.trim() == "[]"
        })
        .with_context(|| leases.clone())?;
        if let Some(hostletd) = self.hostletd.take() {
            hostletd.stop()?;
        }
        Ok(self.done)
    }
}

/// What a victim is granted, and revoked.
fn passing(victim: usize) -> String {
    format!("10.20.8.{}", 100 + victim)
}

fn quiet(command: &mut Command) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}
