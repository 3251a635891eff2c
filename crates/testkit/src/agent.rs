//! A probe that runs somewhere, and the talk with it.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::wait::patience;

/// Longer than any single call of a probe may take.
const LIMIT: Duration = Duration::from_secs(15);

/// Longer than the first hostlet of an installation takes to load its programs on a
/// busy machine.
const START_LIMIT: Duration = Duration::from_secs(60);

/// A started probe, or a program that runs one as its child. Killed when dropped.
#[derive(Debug)]
pub struct Agent {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Agent {
    /// Starts the command and waits until the probe says that it is ready.
    ///
    /// # Errors
    /// When it ends before, with what it said on its standard error.
    pub fn start(name: &str, mut command: Command) -> Result<Agent> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        let input = child.stdin.take();
        let (to, lines) = channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if to.send(line).is_err() {
                        return;
                    }
                }
            });
        }
        let mut agent = Agent {
            name: name.into(),
            child,
            input,
            lines,
        };
        match agent.lines.recv_timeout(patience(START_LIMIT)) {
            Ok(line) if line == "ready" => Ok(agent),
            other => bail!(
                "{name} did not become ready ({other:?}): {}",
                agent.last_words()
            ),
        }
    }

    fn last_words(&mut self) -> String {
        let _ = self.child.kill();
        let status = self.child.wait();
        let mut said = String::new();
        if let Some(mut stderr) = self.child.stderr.take() {
            let _ = std::io::Read::read_to_string(&mut stderr, &mut said);
        }
        format!("{status:?}: {said}")
    }

    /// Has one line performed and gives the answer.
    ///
    /// # Errors
    /// When the probe is gone, silent, or does not understand the line.
    pub fn ask(&mut self, line: &str) -> Result<String> {
        let input = self.input.as_mut().context("the probe was told to end")?;
        let told = writeln!(input, "{line}").and_then(|()| input.flush());
        let answer = match (told, self.lines.recv_timeout(patience(LIMIT))) {
            (Ok(()), Ok(answer)) => answer,
            (_, Err(RecvTimeoutError::Timeout)) => {
                bail!(
                    "{} says nothing to `{line}`: {}",
                    self.name.clone(),
                    self.last_words()
                )
            }
            _ => bail!(
                "{} is gone at `{line}`: {}",
                self.name.clone(),
                self.last_words()
            ),
        };
        if answer.starts_with("usage: ") {
            bail!("{}: {answer}", self.name);
        }
        Ok(answer)
    }

    /// The process that was started.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Kills what was started, so that neither it nor the probe can do anything more.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<ExitStatus> {
        self.child.kill().ok();
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// Lets the probe end and gives the exit status of the command.
    pub fn finish(mut self) -> Result<ExitStatus> {
        self.input = None;
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        // Whoever runs the probe gets the chance to clean up behind it.
        self.input = None;
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            return;
        }
        let ended = crate::wait::until("a probe to end", || {
            matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
        });
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
