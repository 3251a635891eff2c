//! A machine with a hostlet `in` on eth0, and programs inside and outside.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use hostlet_engine::{Engine, FileId, Paths, Stamp};
use hostlet_model::{HostletSpec, Lifetime, Name, Unreachable};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::binaries;
use hostlet_testkit::lan::Lan;

/// What `in` is to be, beside its addresses.
#[derive(Clone, Copy, Default)]
pub struct Wish {
    pub excludes: bool,
    pub unreachable: Option<Unreachable>,
}

pub struct Stage {
    agents: BTreeMap<String, Agent>,
    pub lan: Lan,
}

impl Stage {
    /// Without a hostlet.
    pub fn empty() -> Result<Stage> {
        let lan = Lan::hostlets("nets", &[])?;
        let mut agents = BTreeMap::new();
        for actor in ["host", "peer"] {
            agents.insert(actor.to_owned(), lan.start(actor)?);
        }
        Ok(Stage { agents, lan })
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
        self.agents
            .insert(actor.into(), Agent::start(actor, command)?);
        Ok(())
    }

    /// Starts a program outside and moves it into `in`, as rules do: with all that its user may.
    pub fn move_in(&mut self, actor: &str, program: &std::path::Path) -> Result<()> {
        let agent = Agent::start(actor, self.lan.host().command(program))?;
        let name = name()?;
        let cgroup = self.engine(|e| e.cgroup_of(&name))?;
        std::fs::write(cgroup.join("cgroup.procs"), agent.pid().to_string())?;
        self.agents.insert(actor.into(), agent);
        Ok(())
    }

    /// One that was started elsewhere.
    pub fn add(&mut self, actor: &str, agent: Agent) {
        self.agents.insert(actor.into(), agent);
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
        self.agents
            .get_mut(actor)
            .context(actor.to_owned())?
            .ask(op)
    }

    /// Lines of `ACTOR OP… => ANSWER`; without an answer the call must succeed.
    pub fn play(&mut self, script: &str) -> Result<()> {
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (call, wanted) = match line.split_once(" => ") {
                Some((call, wanted)) => (call, Some(wanted)),
                None => (line, None),
            };
            let (actor, op) = call.split_once(' ').context(line.to_owned())?;
            let got = self.ask(actor, op)?;
            let fits = wanted.map_or(!got.starts_with('E'), |wanted| got == wanted);
            ensure!(fits, "`{line}`: {got}");
        }
        Ok(())
    }
}

pub fn name() -> Result<Name> {
    Ok("in".parse()?)
}
