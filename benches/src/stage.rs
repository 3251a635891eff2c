//! The place of the measurements: a machine and a client, each in a network namespace of its own, made
//! by `scripts/figures`, and the hostlet command to use there.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Where to measure and with what.
#[derive(Debug)]
pub struct Stage {
    /// The hostlet command.
    pub hostlet: PathBuf,
    /// The network namespace of the client.
    pub client: PathBuf,
    /// The installation's root.
    pub root: PathBuf,
    /// This program, for its loops.
    pub myself: PathBuf,
}

/// Where a command runs.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// On the machine, unconfined.
    Machine,
    /// In the client's namespace.
    Client,
    /// In the hostlet of this name.
    Hostlet(&'a str),
}

impl Stage {
    /// As `scripts/figures` set it up.
    pub fn from_environment() -> Result<Self> {
        let path = |name: &str| {
            std::env::var_os(name)
                .map(PathBuf::from)
                .with_context(|| format!("{name} is not set; start this through `make figures`"))
        };
        Ok(Self {
            hostlet: path("HOSTLET")?,
            client: path("HOSTLET_CLIENT")?,
            root: path("HOSTLET_ROOT")?,
            myself: std::env::current_exe().context("find this program's own file")?,
        })
    }

    /// A command at a place; for hostlets it goes through `hostlet enter`.
    pub fn at(&self, place: Place, program: impl AsRef<OsStr>) -> Command {
        let mut command;
        match place {
            Place::Machine => return Command::new(program),
            Place::Client => {
                command = Command::new("nsenter");
                let mut net = std::ffi::OsString::from("--net=");
                net.push(&self.client);
                command.arg(net);
            }
            Place::Hostlet(name) => {
                command = Command::new(&self.hostlet);
                command.args(["enter", name, "--"]);
            }
        }
        command.arg(program);
        command
    }

    /// Runs the hostlet command and gives back what it printed.
    pub fn hostlet(&self, words: &[&str]) -> Result<String> {
        output(Command::new(&self.hostlet).args(words))
    }

    /// Runs one of the loops to its end; nanoseconds a round.
    pub fn work(&self, place: Place, words: &[&str]) -> Result<f64> {
        let printed = output(self.at(place, &self.myself).arg("work").args(words))?;
        printed
            .trim()
            .parse()
            .with_context(|| format!("'{printed}' from work {words:?} is not a number"))
    }

    /// Starts one of the loops that talk over stdin and stdout.
    pub fn start(&self, place: Place, words: &[&str]) -> Result<Talking> {
        let mut command = self.at(place, &self.myself);
        command.arg("work").args(words);
        Talking::start(&mut command).map(|(talking, _)| talking)
    }

    /// As [`Stage::start`], with the first line that it says.
    pub fn start_saying(&self, place: Place, words: &[&str]) -> Result<(Talking, String)> {
        let mut command = self.at(place, &self.myself);
        Talking::start(command.arg("work").args(words))
    }
}

/// Runs to the end; what it printed, or an error with what it complained about.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command
        .output()
        .with_context(|| format!("start {command:?}"))?;
    if !out.status.success() {
        bail!(
            "{command:?}: {}: {}",
            out.status,
            String::from_utf8_lossy(&out.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Wall time of one run to the end.
pub fn wall(command: &mut Command) -> Result<Duration> {
    command.stdout(Stdio::null()).stdin(Stdio::null());
    let start = Instant::now();
    let status = command
        .status()
        .with_context(|| format!("start {command:?}"))?;
    let took = start.elapsed();
    if !status.success() {
        bail!("{command:?}: {status}");
    }
    Ok(took)
}

/// A process that says a line when it is ready and ends when its stdin does.
#[derive(Debug)]
pub struct Talking {
    child: Child,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
}

impl Talking {
    fn start(command: &mut Command) -> Result<(Self, String)> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().context("stdout was asked for")?);
        let mut talking = Self {
            child,
            stdin,
            stdout,
        };
        let said = talking.line();
        let said = said.with_context(|| format!("{command:?} did not get ready"))?;
        Ok((talking, said))
    }

    /// The next line it says.
    pub fn line(&mut self) -> Result<String> {
        let mut line = String::new();
        if self.stdout.read_line(&mut line)? == 0 {
            bail!("it ended without a word");
        }
        Ok(line.trim().to_owned())
    }

    /// Gives it a line.
    pub fn nudge(&mut self) -> Result<()> {
        use std::io::Write;
        let stdin = self.stdin.as_mut().context("stdin is still open")?;
        Ok(stdin.write_all(b"\n")?)
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // End of file tells it to end; there is nobody to hear of a failure.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
