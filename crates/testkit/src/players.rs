//! Programs on several machines, and scripts for them whose answers are known.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail, ensure};

use crate::agent::Agent;
use crate::oracle::looks_failed;

/// The programs, by the names that scripts use.
#[derive(Debug, Default)]
pub struct Players(BTreeMap<String, Agent>);

impl Players {
    /// One more, or another one of that name.
    pub fn add(&mut self, name: &str, agent: Agent) {
        self.0.insert(name.into(), agent);
    }

    /// The one of that name.
    ///
    /// # Errors
    /// When nobody has it.
    pub fn of(&mut self, name: &str) -> Result<&mut Agent> {
        let found = self.0.get_mut(name);
        found.with_context(|| format!("nobody is called {name}"))
    }

    /// Takes the one of that name out.
    ///
    /// # Errors
    /// When nobody has it.
    pub fn take(&mut self, name: &str) -> Result<Agent> {
        let found = self.0.remove(name);
        found.with_context(|| format!("nobody is called {name}"))
    }

    /// Performs lines of `ACTOR OP…`, with ` => ANSWER`, which may end in `*`; without one the call
    /// must succeed. `{ACTOR.SOCKET}` is the port of that socket.
    ///
    /// # Errors
    /// When an answer is another one.
    pub fn play(&mut self, script: &str) -> Result<()> {
        for line in script.lines().map(str::trim).filter(|l| !l.is_empty()) {
            let (call, wanted) = match line.split_once(" => ") {
                Some((call, wanted)) => (call, Some(wanted)),
                None => (line, None),
            };
            let (actor, op) = call.split_once(' ').context(line.to_owned())?;
            let op = self.with_ports(op)?;
            let got = self.of(actor)?.ask(&op)?;
            let fits = match wanted.map(|w| (w, w.strip_suffix('*'))) {
                Some((_, Some(start))) => got.starts_with(start),
                Some((all, None)) => got == all,
                None => !looks_failed(&got),
            };
            ensure!(fits, "`{line}`: {got}");
        }
        Ok(())
    }

    fn with_ports(&mut self, op: &str) -> Result<String> {
        let mut op = op.to_owned();
        while let Some((before, rest)) = op.clone().split_once('{') {
            let Some(((actor, socket), after)) = rest
                .split_once('}')
                .and_then(|(word, after)| Some((word.split_once('.')?, after)))
            else {
                bail!("no {{ACTOR.SOCKET}}: {op}")
            };
            let port = self.of(actor)?.ask(&format!("raw-port {socket}"))?;
            op = format!("{before}{port}{after}");
        }
        Ok(op)
    }
}
