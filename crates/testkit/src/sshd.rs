//! OpenSSH's server, and sessions that real clients open at it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

use crate::daemon::{Daemon, Log};
use crate::dir::TestDir;
use crate::netns::NetNs;
use crate::people::Person;

/// A running sshd with PAM, which takes passwords, and one key for everybody, root too. Ended when
/// dropped; sessions go on without it.
#[derive(Debug)]
pub struct Sshd {
    daemon: Daemon,
    dir: TestDir,
}

impl Sshd {
    /// Starts one on port 22 of a machine that sees people ([`crate::people::People::on`]), with
    /// these lines of configuration before its own.
    ///
    /// # Errors
    /// When OpenSSH is not installed, or does not come to listen; with what it said.
    pub fn start(host: &NetNs, lines: &str) -> Result<Sshd> {
        let dir = TestDir::new("sshd")?;
        let at = dir.path().display();
        for key in ["host", "key"] {
            let mut made = Command::new("ssh-keygen");
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            let done = made.arg(dir.path().join(key)).output();
            let done = done.context("starting ssh-keygen: install openssh-client")?;
            let said = String::from_utf8_lossy(&done.stderr);
            ensure!(done.status.success(), "ssh-keygen: {said}");
        }
        // Whoever the server is for reads the list as the user who logs in.
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755))?;
        let config = dir.path().join("sshd_config");
        let text = format!(
            "{lines}\nPort 22\nHostKey {at}/host\nPidFile {at}/pid\nUsePAM yes\n\
             AuthorizedKeysFile {at}/key.pub\nStrictModes no\n\
             KbdInteractiveAuthentication no\nPasswordAuthentication yes\nUseDNS no\n\
             Subsystem sftp internal-sftp\n\
             PrintMotd no\nMaxStartups 1000\nMaxSessions 100\n"
        );
        fs::write(&config, text).context("writing sshd's configuration")?;
        // It starts itself anew for each connection, and wants its whole path for that.
        let mut command = host.command("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(&config);
        let daemon = Daemon::ready("sshd", command, "Server listening on")?;
        host.wait_listening(22)?;
        Ok(Sshd { daemon, dir })
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.daemon.pid()
    }

    /// What it and the processes of its sessions say.
    pub fn log(&self) -> &Log {
        self.daemon.log()
    }

    /// The private key that everybody accepts.
    pub fn key(&self) -> PathBuf {
        self.dir.path().join("key")
    }

    /// `ssh PERSON@AT` from a machine, by the key; options and a command are to be added.
    pub fn client(&self, from: &NetNs, person: &str, at: &str) -> Command {
        let mut command = from.command("ssh");
        command.args(client_options());
        command.args(["-o", "BatchMode=yes", "-o", "IdentitiesOnly=yes", "-i"]);
        command.arg(self.key()).arg(format!("{person}@{at}"));
        command
    }

    /// As [`Sshd::client`], by a password.
    pub fn client_by_password(&self, from: &NetNs, person: &Person, at: &str) -> Command {
        let mut command = from.command("sshpass");
        command.args(["-p", person.password, "ssh"]);
        command.args(client_options());
        command.args(["-o", "PubkeyAuthentication=no"]);
        command.arg(format!("{}@{at}", person.name));
        command
    }
}

fn client_options() -> [&'static str; 10] {
    [
        "-F",
        "/dev/null",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
        "-o",
        "ConnectTimeout=20",
    ]
}

/// A command line of somebody's: a shell that a command (an ssh client, say) gives, which
/// is asked one thing after the other. Its input ends when this is dropped, and with it
/// the session.
#[derive(Debug)]
pub struct Session {
    name: String,
    child: Child,
    input: Option<ChildStdin>,
    lines: Receiver<String>,
}

/// Longer than a single command of a session may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

impl Session {
    /// Starts the command, to which `sh` is added, and waits until that answers.
    ///
    /// # Errors
    /// When it ends before, with what it said on its standard error.
    pub fn open(name: &str, mut command: Command) -> Result<Session> {
        let mut child = command
            .arg("sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("starting {name}: {command:?}"))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("no output")?;
        let (to, lines) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if to.send(line).is_err() {
                    return;
                }
            }
        });
        let mut session = Session {
            name: name.into(),
            child,
            input,
            lines,
        };
        match session.run("true") {
            Ok(_) => Ok(session),
            Err(e) => bail!("{name} got no session ({e:#}): {}", session.last_words()),
        }
    }

    /// Runs a command line (its standard error too is taken for what it says), which must
    /// succeed, and gives what it said without the last end of line.
    ///
    /// # Errors
    /// When it fails, with what it said; when the session is gone.
    pub fn run(&mut self, line: &str) -> Result<String> {
        match self.status(line)? {
            (0, said) => Ok(said),
            (status, said) => bail!("{}: {line}: exit status {status}: {said}", self.name),
        }
    }

    /// As [`Session::run`], with whatever exit status.
    ///
    /// # Errors
    /// When the session is gone.
    pub fn status(&mut self, line: &str) -> Result<(i32, String)> {
        let input = self.input.as_mut().context("the session was ended")?;
        // The end is told on a line of its own, also after what has none.
        let text = format!("{{ {line}\n}} 2>&1 </dev/null; printf '\\n%s\\n' \"done: $?\"\n");
        let told = input
            .write_all(text.as_bytes())
            .and_then(|()| input.flush());
        told.with_context(|| format!("{} is gone at: {line}", self.name))?;
        let mut said = Vec::new();
        loop {
            match self.lines.recv_timeout(crate::wait::patience(LIMIT)) {
                Ok(part) => match part.strip_prefix("done: ") {
                    Some(status) => {
                        // The first of the two ends of line ended the last line, or is empty.
                        if said.last().is_some_and(String::is_empty) {
                            said.pop();
                        }
                        let status = status.parse().context("an exit status")?;
                        return Ok((status, said.join("\n")));
                    }
                    None => said.push(part),
                },
                Err(RecvTimeoutError::Timeout) => bail!("{} hangs at: {line}", self.name),
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("{} ended at: {line}: {}", self.name, said.join("\n"))
                }
            }
        }
    }

    /// The process that was started: the client, not the shell.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends the shell's input, and gives the status of the client.
    ///
    /// # Errors
    /// When it does not end.
    pub fn end(mut self) -> Result<ExitStatus> {
        self.input = None;
        crate::wait::until_within(LIMIT, &format!("{} to log out", self.name), || {
            !matches!(self.child.try_wait(), Ok(None))
        })?;
        self.child.wait().context("waiting for a session's client")
    }

    /// Kills the client, as when its machine is switched off.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill().ok();
        self.child
            .wait()
            .map(drop)
            .context("waiting for a session's client")
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
}

impl Drop for Session {
    fn drop(&mut self) {
        self.input = None;
        let ended = crate::wait::until("a session to end", || {
            matches!(self.child.try_wait(), Ok(Some(_)) | Err(_))
        });
        if ended.is_err() {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
