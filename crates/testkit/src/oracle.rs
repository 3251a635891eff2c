//! The oracle runner: one script, performed by machines and by hostlets; what
//! programs see must be the same.
//!
//! A script is lines of `ACTOR OP…`, performed in order, by `in` (the hostlet under
//! test), `other` (another), `host` (a program in none) and `peer` (another machine).
//! ` => ANSWER` says what the machines answer (`ONE|OTHER` where kernels differ);
//! without it the call must succeed.
//! Where a hostlet differs and is documented to, ` => ANSWER / ITS ANSWER`.
//! `{ACTOR.SOCKET}` stands for the port of a socket. `#` begins a comment. `set NAME` chooses the addresses of `in`, `hostlet OPTIONS`
//! adds options to its start.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use anyhow::{Result, bail};

use crate::agent::Agent;
use crate::lan::Lan;

/// One line of a script.
#[derive(Debug)]
struct Step {
    actor: String,
    line: String,
    real: Option<String>,
    hostlet: Option<String>,
}

/// A parsed script.
#[derive(Debug)]
pub struct Script {
    set: String,
    options: Vec<String>,
    steps: Vec<Step>,
}

impl Script {
    /// Reads a script.
    ///
    /// # Errors
    /// When a line has no actor or no op.
    pub fn parse(text: &str) -> Result<Script> {
        let mut script = Script {
            set: "two".into(),
            options: Vec::new(),
            steps: Vec::new(),
        };
        for raw in text.lines() {
            let line = raw.split('#').next().unwrap_or("").trim();
            if line.is_empty() {
                continue;
            }
            let (call, answers) = match line.split_once("=>") {
                Some((call, answers)) => (call.trim(), Some(answers)),
                None => (line, None),
            };
            let words: Vec<&str> = call.split_whitespace().collect();
            match words[..] {
                ["set", name] => script.set = name.into(),
                ["hostlet", ref options @ ..] => {
                    script.options = options.iter().map(|o| (*o).into()).collect();
                }
                [actor, _, ..] => {
                    let (actor, child) = actor.split_once('/').unwrap_or((actor, ""));
                    let mut line = words[1..].join(" ");
                    if !child.is_empty() {
                        line = format!("/{child} {line}");
                    }
                    let mut answers = answers
                        .into_iter()
                        .flat_map(|a| a.split(" / "))
                        .map(str::trim);
                    script.steps.push(Step {
                        actor: actor.into(),
                        line,
                        real: answers.next().map(Into::into),
                        hostlet: answers.next().map(Into::into),
                    });
                }
                _ => bail!("no step: {raw}"),
            }
        }
        Ok(script)
    }

    /// Performs it and gives the answers, one per step.
    fn perform(&self, lan: &Lan) -> Result<Vec<String>> {
        let mut agents: BTreeMap<&str, Agent> = BTreeMap::new();
        // All are there before the first step, as machines would be.
        agents.insert("in", lan.start("in")?);
        let mut answers = Vec::new();
        for step in &self.steps {
            if !agents.contains_key(step.actor.as_str()) {
                agents.insert(&step.actor, lan.start(&step.actor)?);
            }
        }
        for step in &self.steps {
            let line = with_ports(&step.line, &mut agents)?;
            if let Some(agent) = agents.get_mut(step.actor.as_str()) {
                answers.push(agent.ask(&line)?);
            }
        }
        for (name, agent) in agents {
            let status = agent.finish()?;
            if !status.success() {
                bail!("{name} ended with {status}");
            }
        }
        Ok(answers)
    }
}

/// The line with every `{ACTOR.SOCKET}` replaced by the port of that socket.
fn with_ports(line: &str, agents: &mut BTreeMap<&str, Agent>) -> Result<String> {
    let mut line = line.to_owned();
    while let Some((before, rest)) = line.clone().split_once('{') {
        let Some((name, after)) = rest.split_once('}') else {
            bail!("no end of {{ in {line}")
        };
        let Some((actor, socket)) = name.split_once('.') else {
            bail!("no {{ACTOR.SOCKET}}: {line}")
        };
        let Some(agent) = agents.get_mut(actor) else {
            bail!("nobody is called {actor}: {line}")
        };
        line = format!(
            "{before}{}{after}",
            agent.ask(&format!("raw-port {socket}"))?
        );
    }
    Ok(line)
}

/// Performs the script on both sides.
///
/// # Errors
/// When the machines do not answer as the script says (the script is wrong), or when
/// the hostlets answer otherwise than the machines (the product is), with both traces.
pub fn compare(row: &str, text: &str) -> Result<()> {
    let script = Script::parse(text)?;
    let real = script.perform(&Lan::real(&script.set)?)?;
    let mut wrong = Vec::new();
    for (step, answer) in script.steps.iter().zip(&real) {
        let good = match &step.real {
            Some(wanted) => wanted.split('|').any(|one| one == answer),
            None => !looks_failed(answer),
        };
        wrong.push(!good);
    }
    if wrong.contains(&true) {
        bail!(
            "{row}: the script does not say what real machines do:\n{}",
            script.table(&real, None, &wrong)
        );
    }
    let hostlets = script.perform(&Lan::hostlets(&script.set, &script.options)?)?;
    let wrong: Vec<bool> = script
        .steps
        .iter()
        .zip(real.iter().zip(&hostlets))
        .map(|(step, (real, hostlet))| match &step.hostlet {
            Some(wanted) => !wanted.split('|').any(|one| one == hostlet),
            None => real != hostlet,
        })
        .collect();
    if wrong.contains(&true) {
        bail!(
            "{row}: hostlets differ from machines:\n{}",
            script.table(&real, Some(&hostlets), &wrong)
        );
    }
    Ok(())
}

/// Answers that are names of errors, or say that nothing happened.
fn looks_failed(answer: &str) -> bool {
    let mut chars = answer.chars();
    matches!(answer, "not-ready" | "no-socket" | "child-gone")
        || (chars.next() == Some('E')
            && chars.all(|c| c.is_ascii_uppercase() || c.is_ascii_digit()))
}

impl Script {
    fn table(&self, real: &[String], hostlets: Option<&[String]>, wrong: &[bool]) -> String {
        let mut text = String::new();
        for (i, step) in self.steps.iter().enumerate() {
            let mark = if wrong[i] { "!" } else { " " };
            let call = format!("{:<6}{}", step.actor, step.line);
            let _ = write!(text, "{mark} {call:<52} {:<28}", real[i]);
            if let Some(hostlets) = hostlets {
                let _ = write!(text, " {}", hostlets[i]);
            } else if wrong[i] {
                let _ = write!(
                    text,
                    " (script: {})",
                    step.real.as_deref().unwrap_or("success")
                );
            }
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_read() {
        let script = Script::parse(
            "set one\nhostlet --source random\n# nothing\n in bind a 0.0.0.0:80 => ok / EADDRINUSE # why\n in/c name a\n",
        )
        .unwrap();
        assert_eq!(script.set, "one");
        assert_eq!(script.options, ["--source", "random"]);
        assert_eq!(script.steps.len(), 2);
        assert_eq!(script.steps[0].real.as_deref(), Some("ok"));
        assert_eq!(script.steps[0].hostlet.as_deref(), Some("EADDRINUSE"));
        assert_eq!(script.steps[1].line, "/c name a");
    }

    #[test]
    fn failures_are_recognised() {
        assert!(looks_failed("EADDRNOTAVAIL"));
        assert!(looks_failed("E2BIG"));
        assert!(!looks_failed("Echo from 10.0.0.1:80"));
        assert!(!looks_failed("ok"));
    }
}
