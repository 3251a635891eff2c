//! A machine with a hostlet `in` on eth0, and programs inside and outside.

use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result};
use hostlet_engine::{Engine, FileId, Paths, Stamp};
use hostlet_model::{HostletSpec, Lifetime, Name, Unreachable};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::binaries;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

/// What `in` is to be, beside its addresses.
#[derive(Clone, Copy, Default)]
pub struct Wish {
    pub excludes: bool,
    pub unreachable: Option<Unreachable>,
}

pub struct Stage {
    players: Players,
    pub lan: Lan,
}

impl Stage {
    /// Without a hostlet.
    pub fn empty() -> Result<Stage> {
        let lan = Lan::hostlets("nets", &[])?;
        let mut players = Players::default();
        for actor in ["host", "peer"] {
            players.add(actor, lan.start(actor)?);
        }
        Ok(Stage { players, lan })
    }

    /// With `in` on 10.0.0.5 and 2001:db8::5, and a probe of that name in it.
    pub fn new(wish: Wish) -> Result<Stage> {
        let mut s = Stage::empty()?;
        s.make(wish, &["10.0.0.5", "2001:db8::5"])?;
        s.enter("in", &binaries::probe()?)?;
        Ok(s)
    }

    pub fn make(&self, wish: Wish, addresses: &[&str]) -> Result<()> {
        let addresses: Result<_, _> = addresses.iter().map(|a| a.parse()).collect();
        let spec = HostletSpec {
            excludes: wish.excludes,
            unreachable: wish.unreachable,
            ..HostletSpec::new(name()?, addresses?)
        };
        self.engine(|e| e.lend(&spec, &Lifetime::Kept, &Stamp::default()))??;
        Ok(())
    }

    /// Starts a program in `in`.
    pub fn enter(&mut self, actor: &str, program: &std::path::Path) -> Result<()> {
        let install = self.lan.install().context("hostlets")?;
        let mut command = install.command(self.lan.host(), &["enter", "in", "--"]);
        command.arg(program);
        self.players.add(actor, Agent::start(actor, command)?);
        Ok(())
    }

    /// Starts a program outside and moves it into `in`, as rules do: with all that its user may.
    pub fn move_in(&mut self, actor: &str, program: &std::path::Path) -> Result<()> {
        let agent = Agent::start(actor, self.lan.host().command(program))?;
        let name = name()?;
        let cgroup = self.engine(|e| e.cgroup_of(&name))?;
        std::fs::write(cgroup.join("cgroup.procs"), agent.pid().to_string())?;
        self.players.add(actor, agent);
        Ok(())
    }

    /// One that was started elsewhere.
    pub fn add(&mut self, actor: &str, agent: Agent) {
        self.players.add(actor, agent);
    }

    pub fn engine<T: Send>(&self, work: impl FnOnce(&Engine) -> T + Send) -> Result<T> {
        let root = self.lan.install().context("hostlets")?.root().to_owned();
        let work = || work(&Engine::new(Paths::under(&root), |_| {}));
        self.lan.host().within(work)
    }

    /// A program that is not the probe to the kernel, and does the same.
    pub fn copy(&self, of: &str) -> Result<PathBuf> {
        let copy = self.lan.install().context("hostlets")?.root().join(of);
        std::fs::copy(binaries::probe()?, &copy)?;
        Ok(copy)
    }

    pub fn exclude(&self, programs: &[&PathBuf]) -> Result<()> {
        let mut files = Vec::new();
        for program in programs {
            files.push(FileId::of(&File::open(program)?)?);
        }
        Ok(self.engine(|e| e.set_excluded(&files))??)
    }

    /// Routes or addresses changed, and hostletd would notice.
    pub fn rewire(&self, lines: &[&str]) -> Result<()> {
        self.lan.host().ip(lines)?;
        Ok(self.engine(Engine::follow_network)??)
    }

    pub fn hostlet(&self, args: &[&str]) -> Result<String> {
        let install = self.lan.install().context("hostlets")?;
        install.run(self.lan.host(), args)
    }

    pub fn ask(&mut self, actor: &str, op: &str) -> Result<String> {
        self.players.of(actor)?.ask(op)
    }

    /// As [`Players::play`].
    pub fn play(&mut self, script: &str) -> Result<()> {
        self.players.play(script)
    }
}

pub fn name() -> Result<Name> {
    Ok("in".parse()?)
}
