//! One side of a comparison: machines, and a program on each that performs what a
//! script says.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};

use super::ports::Plan;
use super::script::{Script, Step};
use crate::agent::Agent;
use crate::lan::Lan;

/// Everybody who can perform.
const ACTORS: &[&str] = &["in", "other", "host", "peer"];

/// Machines with their programs.
pub(super) struct Side {
    lan: Lan,
    agents: BTreeMap<String, Agent>,
}

impl Side {
    /// With the programs that the script needs; all are there before the first step, as
    /// machines would be.
    pub fn for_script(lan: Lan, script: &Script) -> Result<Side> {
        let mut side = Side {
            lan,
            agents: BTreeMap::new(),
        };
        side.start("in")?;
        for step in &script.steps {
            side.start(&step.actor)?;
        }
        Ok(side)
    }

    /// With everybody, for many scripts.
    pub fn to_stay(lan: Lan) -> Result<Side> {
        lan.be_generous()?;
        let mut side = Side {
            lan,
            agents: BTreeMap::new(),
        };
        for actor in ACTORS {
            side.start(actor)?;
        }
        Ok(side)
    }

    fn start(&mut self, actor: &str) -> Result<()> {
        if !self.agents.contains_key(actor) {
            self.agents.insert(actor.into(), self.lan.start(actor)?);
        }
        Ok(())
    }

    fn agent(&mut self, name: &str) -> Result<&mut Agent> {
        self.agents
            .get_mut(name)
            .with_context(|| format!("nobody is called {name}"))
    }

    /// Has the actor begin with steps that are all its own.
    pub fn tell(&mut self, steps: &[Step], ports: &Plan) -> Result<()> {
        let Some(first) = steps.first() else {
            return Ok(());
        };
        let mut lines = Vec::new();
        for step in steps {
            lines.push(ports.forth(&self.with_chosen(&step.line)?));
        }
        self.agent(&first.actor)?.tell(&lines.join("\n"))
    }

    /// What came of them.
    pub fn hear(&mut self, steps: &[Step], ports: &Plan) -> Result<Vec<String>> {
        let mut answers = Vec::new();
        for step in steps {
            let answer = self.agent(&step.actor)?.hear(&step.line)?;
            answers.push(ports.back(&answer));
        }
        Ok(answers)
    }

    /// Performs a script.
    pub fn perform(&mut self, script: &Script, ports: &Plan) -> Result<Vec<String>> {
        let mut answers = Vec::new();
        for steps in groups(&script.steps) {
            self.tell(steps, ports)?;
            answers.extend(self.hear(steps, ports)?);
        }
        Ok(answers)
    }

    /// The line with every `{ACTOR.SOCKET}` replaced by the port of that socket. A socket
    /// that is not there has port 1, where nobody listens.
    fn with_chosen(&mut self, line: &str) -> Result<String> {
        let mut line = line.to_owned();
        while let Some((before, rest)) = line.clone().split_once('{') {
            let Some((name, after)) = rest.split_once('}') else {
                bail!("no end of {{ in {line}")
            };
            let Some((actor, socket)) = name.split_once('.') else {
                bail!("no {{ACTOR.SOCKET}}: {line}")
            };
            let (actor, child) = actor.split_once('/').unwrap_or((actor, ""));
            let mut question = format!("raw-port {socket}");
            if !child.is_empty() {
                question = format!("/{child} {question}");
            }
            let port = self.agent(actor)?.ask(&question)?.parse::<u16>();
            line = format!("{before}{}{after}", port.unwrap_or(1));
        }
        Ok(line)
    }

    /// One line to everybody.
    pub fn all(&mut self, line: &str) -> Result<()> {
        for agent in self.agents.values_mut() {
            agent.tell(line)?;
        }
        for (name, agent) in &mut self.agents {
            let answer = agent.hear(line)?;
            if answer != "ok" {
                bail!("{name}: {line}: {answer}");
            }
        }
        Ok(())
    }

    /// Has the machines ask anew for neighbours that they have not found, or for all.
    pub fn forget_neighbours(&self, found: bool) -> Result<()> {
        self.lan.forget_neighbours(found)
    }

    /// Lets every program end.
    pub fn finish(self) -> Result<()> {
        for (name, agent) in self.agents {
            let status = agent.finish()?;
            if !status.success() {
                bail!("{name} ended with {status}");
            }
        }
        Ok(())
    }
}

/// Steps that one actor can be told at once: none asks for a port that another one
/// brings about.
pub(super) fn groups(steps: &[Step]) -> impl Iterator<Item = &[Step]> {
    steps.chunk_by(|a, b| a.actor == b.actor && !b.line.contains('{'))
}
