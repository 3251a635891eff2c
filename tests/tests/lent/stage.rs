//! A machine with hostlets, and what a test says of them.

use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use hostlet_engine::{Engine, Paths, Stamp};
use hostlet_model::{AddressSpec, HostletSpec, Lifetime, Name, Owned};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

/// A machine with hostlets, and the engine as hostletd has it.
pub struct Stage {
    pub players: Players,
    pub lan: Lan,
}

impl Stage {
    pub fn new() -> Result<Stage> {
        let lan = Lan::hostlets("two", &[])?;
        let mut players = Players::default();
        for actor in ["host", "peer"] {
            players.add(actor, lan.start(actor)?);
        }
        Ok(Stage { players, lan })
    }

    pub fn engine<T: Send>(&self, work: impl FnOnce(&Engine) -> T + Send) -> Result<T> {
        let root = self.lan.install().context("hostlets")?.root().to_owned();
        let work = || work(&Engine::new(Paths::under(&root), |_| {}));
        self.lan.host().within(work)
    }

    /// Lends these to `in`, and starts a probe there.
    pub fn lend(&mut self, lifetime: &Lifetime, addresses: &[&str]) -> Result<()> {
        let spec = spec("in", addresses)?;
        self.engine(|e| e.lend(&spec, lifetime, &by()))??;
        self.enter("in")
    }

    pub fn enter(&mut self, actor: &str) -> Result<()> {
        let install = self.lan.install().context("hostlets")?;
        let probe = install.probe(self.lan.host(), &["enter", "in"])?;
        self.players.add(actor, Agent::start(actor, probe)?);
        Ok(())
    }

    pub fn replace(&self, lost: &[&str], gained: &[&str]) -> Result<()> {
        let (lost, gained) = (owned(lost)?, wishes(gained)?);
        Ok(self.engine(|e| e.replace(&name("in"), &lost, &gained))??)
    }

    pub fn fall_back(&self, lost: &[&str]) -> Result<()> {
        let lost = owned(lost)?;
        Ok(self.engine(|e| e.fall_back(&name("in"), &lost))??)
    }

    pub fn shown(&self) -> Result<serde_json::Value> {
        let install = self.lan.install().context("hostlets")?;
        install.json(self.lan.host(), &["show", "in"])
    }

    /// As [`Players::play`].
    pub fn play(&mut self, script: &str) -> Result<()> {
        self.players.play(script)
    }
}

pub fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

pub fn owned(texts: &[&str]) -> Result<Vec<Owned>> {
    Ok(texts.iter().map(|a| a.parse()).collect::<Result<_, _>>()?)
}

pub fn wishes(texts: &[&str]) -> Result<Vec<AddressSpec>> {
    Ok(texts.iter().map(|a| a.parse()).collect::<Result<_, _>>()?)
}

pub fn spec(of: &str, addresses: &[&str]) -> Result<HostletSpec> {
    Ok(HostletSpec::new(name(of), wishes(addresses)?))
}

pub fn by() -> Stamp {
    Stamp {
        program: vec!["sleep".into(), "9".into()],
        uid: 4711,
        user: "alice".into(),
    }
}

/// As long as a process lives.
pub fn while_lives(pid: u32) -> Result<Lifetime> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let fields = stat.rsplit(')').next().context("fields")?;
    let start_ticks = fields.split_whitespace().nth(19).context("its start")?;
    Ok(Lifetime::Run {
        pid,
        start_ticks: start_ticks.parse()?,
    })
}

/// A process that waits until it is killed.
pub fn waiting() -> Result<Child> {
    Ok(Command::new("cat")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?)
}
