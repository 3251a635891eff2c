//! The oracle runner: one script, performed by machines and by hostlets; what
//! programs see must be the same.
//!
//! A script is lines of `ACTOR OP…`, performed in order, by `in` (the hostlet under
//! test), `other` (another), `host` (a program in none) and `peer` (another machine).
//! ` => ANSWER` says what the machines answer (`ONE|OTHER` where kernels differ);
//! without it the call must succeed.
//! Where a hostlet differs and is documented to, ` => ANSWER / ITS ANSWER [ID]`, by the id
//! of the known difference (`~` in it: anything, but never the machines' answer). `{ACTOR.SOCKET}` stands for the port of a socket. `#` begins
//! a comment. `set NAME` chooses the addresses of `in`, `hostlet OPTIONS` adds options to
//! its start.
//!
//! [`compare`] makes machines for one script; an [`Arena`] keeps them for many.

mod arena;
mod ports;
mod script;
mod side;

use anyhow::{Result, bail};

pub use arena::{Arena, Traces};
pub use script::{Script, Step};

use crate::lan::Lan;
use ports::Plan;
use side::Side;

/// Performs the script on both sides, on machines of its own.
///
/// # Errors
/// When the machines do not answer as the script says (the script is wrong), or when
/// the hostlets answer otherwise than the machines (the product is), with both traces.
pub fn compare(row: &str, text: &str) -> Result<()> {
    let script = Script::parse(text)?;
    let perform = |lan: Lan| -> Result<Vec<String>> {
        let mut side = Side::for_script(lan, &script)?;
        let answers = side.perform(&script, &Plan::default())?;
        side.finish()?;
        Ok(answers)
    };
    let real = perform(Lan::real(&script.set)?)?;
    script.judge_real(row, &real)?;
    let hostlets = perform(Lan::hostlets(&script.set, &script.options)?)?;
    script.judge(row, &real, &hostlets)
}

impl Script {
    /// Whether the machines answer as the script says.
    ///
    /// # Errors
    /// When they do not, with a table.
    pub fn judge_real(&self, row: &str, real: &[String]) -> Result<()> {
        let good = |(step, answer): (&Step, &String)| match &step.real {
            Some(wanted) => wanted.split('|').any(|one| one == answer),
            None => !looks_failed(answer),
        };
        let wrong: Vec<bool> = self.steps.iter().zip(real).map(|p| !good(p)).collect();
        if wrong.contains(&true) {
            bail!(
                "{row}: the script does not say what real machines do:\n{}",
                self.table(real, None, &wrong)
            );
        }
        Ok(())
    }

    /// Whether the hostlets answer as the machines, or as the script says.
    ///
    /// # Errors
    /// When they do not, with a table.
    pub fn judge(&self, row: &str, real: &[String], hostlets: &[String]) -> Result<()> {
        let good = |(step, (real, hostlet)): (&Step, (&String, &String))| match &step.hostlet {
            Some(wanted) => wanted.split('|').any(|one| fits(one, real, hostlet)),
            None => real == hostlet,
        };
        let both = self.steps.iter().zip(real.iter().zip(hostlets));
        let wrong: Vec<bool> = both.map(|p| !good(p)).collect();
        if wrong.contains(&true) {
            bail!(
                "{row}: hostlets differ from machines:\n{}",
                self.table(real, Some(hostlets), &wrong)
            );
        }
        Ok(())
    }
}

/// Whether the answer is that one; `~` stands for what differs from installation to
/// installation, and is never what the machine answers.
fn fits(wanted: &str, real: &str, answer: &str) -> bool {
    match wanted.split_once('~') {
        Some((before, after)) => {
            let rest = answer.strip_prefix(before);
            answer != real && rest.is_some_and(|rest| rest.ends_with(after))
        }
        None => wanted == answer,
    }
}

/// Answers that are names of errors, or say that nothing happened.
pub fn looks_failed(answer: &str) -> bool {
    let mut chars = answer.chars();
    matches!(answer, "not-ready" | "no-socket" | "child-gone")
        || (chars.next() == Some('E')
            && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_anything_is_another_answer() {
        assert!(fits(
            "to 127.~ via lo",
            "to 127.0.0.1 via lo",
            "to 127.121.1.0 via lo"
        ));
        assert!(!fits(
            "to 127.~ via lo",
            "to 127.0.0.1 via lo",
            "to 127.0.0.1 via lo"
        ));
        assert!(!fits(
            "to 127.~ via lo",
            "to 127.0.0.1 via lo",
            "to 127.121.1.0 via eth0"
        ));
        assert!(fits("ok", "ok", "ok"));
    }

    #[test]
    fn failures_are_recognised() {
        assert!(looks_failed("EADDRNOTAVAIL"));
        assert!(looks_failed("E2BIG"));
        assert!(!looks_failed("Echo from 10.0.0.1:80"));
        assert!(!looks_failed("ok"));
    }
}
