//! A probe that runs somewhere, and the talk with it.

use std::io::{Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

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
    output: ChildStdout,
    /// What it said and nobody has heard yet.
    said: Vec<u8>,
}

/// Why there is no line.
enum Silence {
    TooLong,
    Ended,
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
        let output = child.stdout.take().context("the probe has no output")?;
        let mut agent = Agent {
            name: name.into(),
            child,
            input,
            output,
            said: Vec::new(),
        };
        match agent.line(START_LIMIT) {
            Ok(line) if line == "ready" => Ok(agent),
            other => bail!(
                "{name} did not become ready ({:?}): {}",
                other.ok(),
                agent.last_words()
            ),
        }
    }

    /// The next line that it says.
    fn line(&mut self, limit: Duration) -> Result<String, Silence> {
        let end = Instant::now() + patience(limit);
        loop {
            if let Some(at) = self.said.iter().position(|b| *b == b'\n') {
                let rest = self.said.split_off(at + 1);
                let mut line = std::mem::replace(&mut self.said, rest);
                line.pop();
                return Ok(String::from_utf8_lossy(&line).into_owned());
            }
            let left = end.saturating_duration_since(Instant::now());
            let left = Timespec::try_from(left).map_err(|_| Silence::TooLong)?;
            let mut ready = [PollFd::new(&self.output, PollFlags::IN)];
            match poll(&mut ready, Some(&left)) {
                Ok(0) => return Err(Silence::TooLong),
                Ok(_) => {}
                Err(rustix::io::Errno::INTR) => continue,
                Err(_) => return Err(Silence::Ended),
            }
            let mut room = [0; 4096];
            match self.output.read(&mut room) {
                Ok(got) if got > 0 => self.said.extend_from_slice(&room[..got]),
                _ => return Err(Silence::Ended),
            }
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
        self.tell(line)?;
        self.hear(line)
    }

    /// Gives it a line, or several, to perform.
    ///
    /// # Errors
    /// When the probe is gone.
    pub fn tell(&mut self, lines: &str) -> Result<()> {
        let input = self.input.as_mut().context("the probe was told to end")?;
        let told = input.write_all(format!("{lines}\n").as_bytes());
        if told.is_err() {
            let words = self.last_words();
            bail!("{} is gone at `{lines}`: {words}", self.name);
        }
        Ok(())
    }

    /// The answer to the next line of those that it was told; `line` is for messages.
    ///
    /// # Errors
    /// When the probe is gone, silent, or does not understand the line.
    pub fn hear(&mut self, line: &str) -> Result<String> {
        let answer = match self.line(LIMIT) {
            Ok(answer) => answer,
            Err(Silence::TooLong) => {
                let words = self.last_words();
                bail!("{} says nothing to `{line}`: {words}", self.name)
            }
            Err(Silence::Ended) => {
                let words = self.last_words();
                bail!("{} is gone at `{line}`: {words}", self.name)
            }
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
