//! Every process of the product, killed at any moment.
//!
//! Victims have probers in them all the time, and are what the killed commands change.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::wait;

use super::prober::Prober;
use super::stage::Stage;
use crate::chance::Chance;

/// Hostlets that commands change while probers are in them.
const VICTIMS: usize = 2;

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
#[derive(Debug, Clone, Copy, Default)]
pub struct Done {
    /// Commands that were killed.
    pub commands: u64,
    /// Times that hostletd was killed.
    pub daemons: u64,
    /// Processes that had ended before the signal came: not counted above.
    pub late: u64,
    /// Rounds of tries that probers made meanwhile.
    pub rounds: u64,
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
        let so_far = killer.done;
        killer
            .step()
            .with_context(|| format!("seed {}, after {so_far:?}", plan.seed))?;
    }
    let done = killer.finish()?;
    stage.clean()?;
    Ok(done)
}

struct Killer<'a> {
    stage: &'a Stage,
    chance: Chance,
    probers: Vec<Prober>,
    hostletd: Option<Hostletd>,
    /// How long such commands take here, so that moments are within them.
    lasts: Duration,
    steps: u64,
    done: Done,
}

impl<'a> Killer<'a> {
    fn new(stage: &'a Stage, seed: u64) -> Result<Killer<'a>> {
        let install = stage.install()?;
        std::fs::write(install.root().join("hostlet.toml"), CONFIG)?;
        let hostletd = Hostletd::start(install, stage.host())?;
        let mut probers = Vec::new();
        let mut lasts = Duration::ZERO;
        for n in 0..VICTIMS {
            let (name, own) = (format!("v{n}"), format!("10.20.8.{}", n + 1));
            let (address, began) = (format!("{own}/16"), Instant::now());
            stage.run(&["create", &name, "--address", &address, "--assign", "eth0"])?;
            lasts = began.elapsed();
            probers.push(Prober::start(stage.enter(&name)?, Some(&own)));
        }
        // And one whose address is lent.
        let command = install.probe(stage.host(), &["run", "--name", "lent", "--pool", "lan"])?;
        probers.push(Prober::start(Agent::start("lent", command)?, None));
        Ok(Killer {
            stage,
            chance: Chance::new(seed),
            probers,
            hostletd: Some(hostletd),
            lasts,
            steps: 0,
            done: Done::default(),
        })
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
        let (name, more) = (format!("v{n}"), format!("10.20.8.{}", 100 + n));
        if self.stage.addresses(&name)?.contains(&more) {
            self.kill_command(&["revoke", &name, &more])
        } else {
            let given = format!("{more}/16");
            self.kill_command(&["grant", &name, &given, "--assign", "eth0"])
        }
    }

    fn make_or_remove(&mut self) -> Result<()> {
        if self.stage.names()?.iter().any(|name| name == "passing") {
            return self.kill_command(&["remove", "passing", "--kill"]);
        }
        if self.chance.below(2) == 0 {
            return self.kill_command(&["create", "passing", "--pool", "lan"]);
        }
        let args = [
            "create",
            "passing",
            "--address",
            "10.20.7.1/16",
            "--address",
            "2001:db8:20::701/64",
            "--assign",
            "eth0",
        ];
        self.kill_command(&args)
    }

    fn run_one(&mut self) -> Result<()> {
        let kinds: [&[&str]; 3] = [
            &["run", "--pool", "lan", "--", "true"],
            &[
                "run",
                "--address",
                "10.20.6.1/16",
                "--assign",
                "eth0",
                "--",
                "true",
            ],
            &["enter", "v0", "--", "true"],
        ];
        let args = *self.chance.one_of(&kinds);
        self.kill_command(args)
    }

    fn apply(&mut self) -> Result<()> {
        let config = if self.chance.below(2) == 0 {
            [CONFIG, DECLARED].concat()
        } else {
            CONFIG.to_owned()
        };
        std::fs::write(self.stage.install()?.root().join("hostlet.toml"), config)?;
        self.kill_command(&["apply", "--kill"])
    }

    /// Starts it, and kills it within the time that it takes.
    fn kill_command(&mut self, args: &[&str]) -> Result<()> {
        let mut command = self.stage.install()?.command(self.stage.host(), args);
        quiet(&mut command);
        let mut child = command
            .spawn()
            .with_context(|| format!("hostlet {args:?}"))?;
        wait::pass(self.chance.moment(self.lasts));
        let ended = child.try_wait()?.is_some();
        child.kill()?;
        child.wait()?;
        if ended {
            self.done.late += 1;
        } else {
            self.done.commands += 1;
        }
        Ok(())
    }

    /// While it is busy with somebody, or with starting.
    fn kill_hostletd(&mut self) -> Result<()> {
        let mut asker = None;
        if self.chance.below(3) > 0 {
            let args = ["run", "--pool", "lan", "--", "true"];
            let mut command = self.stage.install()?.command(self.stage.host(), &args);
            quiet(&mut command);
            asker = Some(command.spawn()?);
        }
        wait::pass(self.chance.moment(self.lasts));
        if let Some(hostletd) = self.hostletd.take() {
            hostletd.kill()?;
            self.done.daemons += 1;
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
        self.stage.run(&["run", "--pool", "lan", "--", "true"])?;
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

fn quiet(command: &mut Command) {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
}
