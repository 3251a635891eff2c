//! Machines that stay, for many scripts.

use anyhow::Result;

use super::ports::Ports;
use super::script::Script;
use super::side::{Side, groups};
use crate::lan::Lan;
use crate::probe::PATIENCE_MS;

/// A pair of local networks: machines, and one machine with hostlets, with a program on
/// each that performs one script after the other.
pub struct Arena {
    real: Side,
    hostlets: Side,
    ports: Ports,
    patience: u32,
}

/// What both sides answered, one for each step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Traces {
    /// The machines.
    pub real: Vec<String>,
    /// The hostlets.
    pub hostlets: Vec<String>,
}

impl Arena {
    /// For scripts with these addresses and options.
    ///
    /// # Errors
    /// When machines or hostlets cannot be made.
    pub fn new(set: &str, options: &[String]) -> Result<Arena> {
        Ok(Arena {
            real: Side::to_stay(Lan::real(set)?)?,
            hostlets: Side::to_stay(Lan::hostlets(set, options)?)?,
            ports: Ports::new(),
            patience: PATIENCE_MS,
        })
    }

    /// How long calls wait from now on.
    ///
    /// # Errors
    /// When a program is gone.
    pub fn patience(&mut self, ms: u32) -> Result<()> {
        if ms != self.patience {
            let line = format!("patience {ms}");
            self.real.all(&line)?;
            self.hostlets.all(&line)?;
            self.patience = ms;
        }
        Ok(())
    }

    /// Ends what scripts before this one left of questions for neighbours, or with `found` of answers as well.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn forget_neighbours(&self, found: bool) -> Result<()> {
        self.real.forget_neighbours(found)?;
        self.hostlets.forget_neighbours(found)
    }

    /// Performs the script on both sides, step by step at the same time, on ports that no
    /// script before it had, and clears up.
    ///
    /// # Errors
    /// When a program is gone; the arena is of no use then.
    pub fn perform(&mut self, script: &Script) -> Result<Traces> {
        let ports = self.ports.plan(script);
        let (mut real, mut hostlets) = (Vec::new(), Vec::new());
        for steps in groups(&script.steps) {
            self.real.tell(steps, &ports)?;
            self.hostlets.tell(steps, &ports)?;
            real.extend(self.real.hear(steps, &ports)?);
            hostlets.extend(self.hostlets.hear(steps, &ports)?);
        }
        self.real.all("reset")?;
        self.hostlets.all("reset")?;
        Ok(Traces { real, hostlets })
    }

    /// Performs it on the machines alone.
    ///
    /// # Errors
    /// As [`Arena::perform`].
    pub fn perform_real(&mut self, script: &Script) -> Result<Vec<String>> {
        let ports = self.ports.plan(script);
        let answers = self.real.perform(script, &ports)?;
        self.real.all("reset")?;
        Ok(answers)
    }
}
