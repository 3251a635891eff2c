//! Programs that run on beside a test, and what they say.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How long a line may take that a test waits for.
const LIMIT: Duration = crate::wait::LIMIT;

/// What a program has said so far on its standard output and error.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<(Mutex<Said>, Condvar)>);

#[derive(Debug, Default)]
struct Said {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.0.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All lines.
    pub fn lines(&self) -> Vec<String> {
        self.said().lines.clone()
    }

    /// How many lines there are: a place from which [`Log::wait_from`] can go on.
    pub fn len(&self) -> usize {
        self.said().lines.len()
    }

    /// Has nothing been said?
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many lines contain the text.
    pub fn count(&self, text: &str) -> usize {
        self.said()
            .lines
            .iter()
            .filter(|l| l.contains(text))
            .count()
    }

    /// Waits for a line that contains the text, also one that is there already.
    ///
    /// # Errors
    /// When the program ends first, or the time is up; with the last that it said.
    pub fn wait(&self, text: &str) -> Result<String> {
        self.wait_from(0, text, LIMIT)
    }

    /// As [`Log::wait`], for lines from that one on and for that long.
    ///
    /// # Errors
    /// As [`Log::wait`].
    pub fn wait_from(&self, from: usize, text: &str, limit: Duration) -> Result<String> {
        let end = Instant::now() + crate::wait::patience(limit);
        let mut said = self.said();
        let mut next = from;
        loop {
            let new = said.lines.get(next..).unwrap_or_default();
            if let Some(line) = new.iter().find(|l| l.contains(text)) {
                return Ok(line.clone());
            }
            next = next.max(said.lines.len());
            let left = end.saturating_duration_since(Instant::now());
            if said.ended || left.is_zero() {
                let why = if said.ended {
                    "it ended"
                } else {
                    "the time is up"
                };
                let tail = said.lines.len().saturating_sub(15);
                bail!(
                    "no line with '{text}': {why}\n{}",
                    said.lines[tail..].join("\n")
                );
            }
            said = self
                .0
                .1
                .wait_timeout(said, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
    }

    /// One more line; none: there will be no more.
    pub(crate) fn add(&self, line: Option<String>) {
        let mut said = self.said();
        match line {
            Some(line) => said.lines.push(line),
            None => said.ended = true,
        }
        self.0.1.notify_all();
    }
}

/// A started program. Ended when dropped, and killed with the thread that started it,
/// so that a killed test leaves none behind.
#[derive(Debug)]
pub struct Daemon {
    name: String,
    child: Child,
    log: Log,
}

impl Daemon {
    /// Starts it.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(name: &str, mut command: Command) -> Result<Daemon> {
        let (reader, writer) = std::io::pipe().context("making a pipe")?;
        let second = writer.try_clone().context("making a pipe")?;
        // SAFETY: the closure makes one system call without pointers between fork and exec.
        unsafe {
            command.pre_exec(|| {
                if libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL) != 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(writer)
            .stderr(second)
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        // The command keeps the writing ends open; with them the log would not end.
        drop(command);
        let log = Log::default();
        let to = log.clone();
        std::thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            while matches!(reader.read_until(b'\n', &mut line), Ok(1..)) {
                to.add(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
                line.clear();
            }
            to.add(None);
        });
        Ok(Daemon {
            name: name.into(),
            child,
            log,
        })
    }

    /// As [`Daemon::start`], and waits until it says the text.
    ///
    /// # Errors
    /// When it does not, or ends.
    pub fn ready(name: &str, command: Command, text: &str) -> Result<Daemon> {
        let daemon = Daemon::start(name, command)?;
        daemon
            .log
            .wait(text)
            .with_context(|| format!("{name} does not become ready"))?;
        Ok(daemon)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it says.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Does it still run?
    pub fn runs(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it has ended.
    pub fn signal(&mut self, signal: i32) -> Result<()> {
        if !self.runs() {
            bail!("{} has ended", self.name);
        }
        // SAFETY: takes no pointers; the child has not been waited for, so the pid is its own.
        if unsafe { libc::kill(self.child.id().cast_signed(), signal) } != 0 {
            let why = std::io::Error::last_os_error();
            bail!("sending {} signal {signal}: {why}", self.name);
        }
        Ok(())
    }

    /// Makes it do nothing, as on a machine that hangs. What is sent to it waits.
    ///
    /// # Errors
    /// When it has ended.
    pub fn freeze(&mut self) -> Result<()> {
        self.signal(libc::SIGSTOP)
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it has ended.
    pub fn thaw(&mut self) -> Result<()> {
        self.signal(libc::SIGCONT)
    }

    /// Ends it as a service manager does.
    ///
    /// # Errors
    /// When it does not end.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if self.runs() {
            self.signal(libc::SIGTERM)?;
            self.signal(libc::SIGCONT).ok();
            crate::wait::until(&format!("{} to end", self.name), || !self.runs())?;
        }
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))
    }

    /// Kills it: it gets no chance to do anything.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> Result<ExitStatus> {
        self.child.kill().ok();
        self.child
            .wait()
            .with_context(|| format!("waiting for {}", self.name))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        if self.stop().is_err() {
            let _ = self.kill();
        }
    }
}
