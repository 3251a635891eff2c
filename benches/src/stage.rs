//! The place of the measurements: a machine and a client, each in a network namespace of its own, and the hostlet command to use there.
//!
//! The machine is the namespace of this very process, which has its own mounts as well: all that is made here ends with it.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::{binaries, netns::NetNs, sweep};

/// The client's addresses.
pub const CLIENT4: &str = "192.0.2.2";
pub const CLIENT6: &str = "[2001:db8::2]";
/// Held by no hostlet; for those that come and go.
pub const ANOTHER4: &str = "192.0.2.61";

/// Compiles a program of the folder `bench` into a directory.
pub fn compiled(
    dir: &Path,
    (name, text): (&str, &str),
    to: &str,
    options: &[&str],
) -> Result<PathBuf> {
    let (source, to) = (dir.join(name), dir.join(to));
    fs::write(&source, text).with_context(|| format!("write {}", source.display()))?;
    let mut cc = Command::new("cc");
    output(cc.args(["-O2", "-o"]).arg(&to).args(options).arg(&source))?;
    Ok(to)
}

/// Where to measure and with what.
#[derive(Debug)]
pub struct Stage {
    /// The hostlet command.
    pub hostlet: PathBuf,
    /// The installation's root.
    pub root: PathBuf,
    /// This program, for its loops.
    pub myself: PathBuf,
    /// The client's machine: 192.0.2.2, 2001:db8::2 on its `eth0`, at the other end of this machine's wire.
    pub client: NetNs,
    /// Everything is to be short: it is tried whether it works.
    pub quick: bool,
    _dir: TestDir,
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
    /// Makes both machines. To be called before there are threads.
    pub fn set_up(quick: bool) -> Result<Self> {
        // SAFETY: takes no pointers, and there is this thread alone.
        if unsafe { libc::unshare(libc::CLONE_NEWNS | libc::CLONE_NEWNET) } != 0 {
            let why = std::io::Error::last_os_error();
            bail!("this needs root: namespaces cannot be made: {why}");
        }
        let dir = TestDir::new("bench")?;
        let stage = Self {
            hostlet: binaries::hostlet()?,
            root: dir.path().to_path_buf(),
            myself: std::env::current_exe().context("find this program's own file")?,
            client: NetNs::new("client")?,
            quick,
            _dir: dir,
        };
        stage.mounts()?;
        stage.wire()?;
        Ok(stage)
    }

    /// Logins are measured with PAM services, and leave records, that are not this machine's.
    fn mounts(&self) -> Result<()> {
        let mount = |words: &[&str]| output(Command::new("mount").args(words)).map(drop);
        let text = |path: &Path| path.display().to_string();
        mount(&["--make-rprivate", "/"])?;
        // Here, and not by the first hostlet command: some have mounts of their own.
        let bpf = self.root.join("bpf");
        fs::create_dir(&bpf).with_context(|| format!("make {}", bpf.display()))?;
        mount(&["-t", "bpf", "bpf", &text(&bpf)])?;
        // On a machine this is below /run.
        let run = self.root.join("run");
        fs::create_dir(&run).with_context(|| format!("make {}", run.display()))?;
        let pam = self.root.join("pam.d");
        output(Command::new("cp").args(["-a", "/etc/pam.d"]).arg(&pam))?;
        mount(&["--bind", &text(&pam), "/etc/pam.d"])?;
        for at in ["/var/log", "/run", &text(&run)] {
            mount(&["-t", "tmpfs", "-o", "mode=755", "tmpfs", at])?;
        }
        fs::create_dir("/run/sshd").context("make /run/sshd")
    }

    fn wire(&self) -> Result<()> {
        for key in [
            "ipv6/conf/all/accept_dad",
            "ipv6/conf/default/accept_dad",
            "ipv6/conf/default/dad_transmits",
            "ipv6/conf/default/router_solicitations",
        ] {
            let path = format!("/proc/sys/net/{key}");
            fs::write(&path, "0").with_context(|| format!("write {path}"))?;
        }
        let client = self.client.path();
        let peer = format!("link add eth0 type veth peer name eth0 netns {client}");
        let mut lines = vec![
            peer,
            "link set lo up".to_owned(),
            "link set eth0 up".to_owned(),
        ];
        lines.extend(addresses());
        ip(&lines)?;
        self.client.ip([
            "link set eth0 up",
            "address add 192.0.2.2/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0 nodad",
        ])
    }

    /// So many rounds, or as few as say something where it has to be short.
    pub fn rounds(&self, rounds: usize) -> usize {
        match self.quick {
            true => (rounds / 5).max(2),
            false => rounds,
        }
    }

    /// So many rounds, or a single one where it has to be short.
    pub fn few(&self, rounds: usize) -> usize {
        if self.quick { 1 } else { rounds }
    }

    /// The hostlet command.
    pub fn command(&self) -> Command {
        let mut command = Command::new(&self.hostlet);
        command.env("HOSTLET_ROOT", &self.root);
        command
    }

    /// A command at a place; for hostlets it goes through `hostlet enter`.
    pub fn at(&self, place: Place, program: impl AsRef<OsStr>) -> Command {
        match place {
            Place::Machine => Command::new(program),
            Place::Client => self.client.command(program),
            Place::Hostlet(name) => {
                let mut command = self.command();
                command.args(["enter", name, "--"]).arg(program);
                command
            }
        }
    }

    /// Runs the hostlet command and gives back what it printed.
    pub fn hostlet(&self, words: &[&str]) -> Result<String> {
        output(self.command().args(words))
    }

    /// Removes what a section that failed has left, or the next ones find their addresses taken.
    pub fn forget_hostlets(&self) -> Result<()> {
        let there: serde_json::Value = serde_json::from_str(&self.hostlet(&["list", "--json"])?)?;
        let names = there.as_array().into_iter().flatten();
        for name in names.filter_map(|one| one["name"].as_str()) {
            self.hostlet(&["remove", name, "--kill"])?;
        }
        Ok(())
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

/// What gives a machine its addresses: its own, and those of the hostlets that are measured.
pub fn addresses() -> Vec<String> {
    let mut lines = vec![
        "address add 192.0.2.1/24 dev eth0".to_owned(),
        "address add 2001:db8::1/64 dev eth0 nodad".to_owned(),
    ];
    for last in [41].into_iter().chain(51..=58).chain([61]) {
        lines.push(format!("address add 192.0.2.{last}/24 dev eth0"));
        lines.push(format!(
            "address add 2001:db8::{last}/64 dev eth0 nodad preferred_lft 0"
        ));
    }
    lines
}

/// Runs lines of `ip` on the machine.
pub fn ip(lines: &[String]) -> Result<()> {
    use std::io::Write;
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .context("start ip")?;
    let mut input = child.stdin.take().context("stdin was asked for")?;
    input.write_all((lines.join("\n") + "\n").as_bytes())?;
    drop(input);
    let status = child.wait().context("wait for ip")?;
    anyhow::ensure!(status.success(), "ip: {status}:\n{}", lines.join("\n"));
    Ok(())
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
    /// Starts it; with the first line that it says.
    pub fn start(command: &mut Command) -> Result<(Self, String)> {
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

    /// Tells it to end; the last line it says.
    pub fn last(mut self) -> Result<String> {
        drop(self.stdin.take());
        self.line()
    }

    /// Gives it a line.
    pub fn nudge(&mut self) -> Result<()> {
        use std::io::Write;
        let stdin = self.stdin.as_mut().context("stdin is still open")?;
        Ok(stdin.write_all(b"\n")?)
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        // The kernel part stays for the next hostlet, with a cgroup of its own.
        for cgroup in sweep::cgroups(&self.root) {
            let _ = fs::remove_dir(cgroup);
        }
    }
}

impl Drop for Talking {
    fn drop(&mut self) {
        // End of file tells it to end; there is nobody to hear of a failure.
        drop(self.stdin.take());
        let _ = self.child.wait();
    }
}
