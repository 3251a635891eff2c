//! What sessions cost: a login by ssh with the module and without, by turns, and a thousand sessions at a time.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::lending::Lending;
use crate::report::{Against, Better, Bound, Plot, Row, Section, median};
use crate::stage::{Place, Stage, output, wall};
use crate::turns::{by_turns, needed};

/// How often somebody logs in, of each kind.
const LOGINS: usize = 50;
/// How many sessions are held at once.
const HELD: usize = 1000;
/// What the module may add to a login.
const OURS: Bound = Bound::AtMost(15.0);

/// The rule by which root's sessions get addresses: no account has to be made for this.
pub const RULE: &str = r#"
[[rule]]
name = "figures"
who = ["user:root"]
services = ["sshd-with", "figures-with"]
per = "session"
pools = ["ranges"]
"#;

/// An sshd of its own name, and so of its own PAM service. Ended when dropped.
struct Sshd {
    child: Child,
    port: u16,
    key: PathBuf,
}

impl Sshd {
    fn start(stage: &Stage, service: &str, port: u16, session: &str) -> Result<Self> {
        let dir = stage.root.join(service);
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        let (program, key, config) = (dir.join(service), dir.join("key"), dir.join("config"));
        // By its name it finds its PAM service, and by its path itself.
        fs::copy("/usr/sbin/sshd", &program).context("copy sshd")?;
        for name in ["host", "key"] {
            let mut made = Command::new("ssh-keygen");
            made.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
            output(made.arg(dir.join(name)))?;
        }
        service_file(service, session)?;
        let at = dir.display();
        let text = format!(
            "Port {port}\nHostKey {at}/host\nPidFile {at}/pid\nUsePAM yes\nStrictModes no\nUseDNS no\n\
             AuthorizedKeysFile {at}/key.pub\nSubsystem sftp internal-sftp\nPermitRootLogin prohibit-password\nPrintMotd no\n"
        );
        fs::write(&config, text).context("write the configuration of sshd")?;
        let mut command = Command::new(&program);
        command.args(["-D", "-E"]).arg(dir.join("log"));
        command.arg("-f").arg(&config).stdin(Stdio::null());
        let child = command.spawn().context("start sshd")?;
        let started = Self { child, port, key };
        let until = Instant::now() + Duration::from_secs(10);
        // The first one shows that it listens.
        while started.log_in(stage).is_err() {
            if Instant::now() > until {
                let said = fs::read_to_string(dir.join("log")).unwrap_or_default();
                bail!("nobody can log in to {service}: {said}");
            }
        }
        Ok(started)
    }

    /// Milliseconds that it takes to log in, to do nothing, and to be out again; without a shell, whose start takes what its user
    /// wants it to.
    fn log_in(&self, stage: &Stage) -> Result<f64> {
        let mut ssh = stage.at(Place::Client, "ssh");
        ssh.args([
            "-F",
            "/dev/null",
            "-o",
            "BatchMode=yes",
            "-o",
            "LogLevel=ERROR",
        ])
        .args([
            "-o",
            "StrictHostKeyChecking=no",
            "-o",
            "UserKnownHostsFile=/dev/null",
        ])
        .args(["-o", "IdentitiesOnly=yes", "-i"])
        .arg(&self.key)
        .args(["-p", &self.port.to_string(), "-s", "root@192.0.2.1", "sftp"])
        .stdin(Stdio::null())
        .stderr(Stdio::null());
        Ok(wall(&mut ssh)?.as_secs_f64() * 1e3)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `/etc/pam.d` is the measurement's own.
fn service_file(name: &str, session: &str) -> Result<()> {
    let text = format!(
        "auth required pam_permit.so\naccount required pam_permit.so\n\
         session required pam_permit.so\n{session}"
    );
    fs::write(format!("/etc/pam.d/{name}"), text).context("write a PAM service")
}

/// The line that brings our module.
fn module(stage: &Stage) -> String {
    let file = stage.hostlet.with_file_name("libpam_hostlet.so");
    let (file, root) = (file.display(), stage.root.display());
    format!("session required {file} root={root} deadline=60s\n")
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let lending = Lending::start_with(stage, RULE)?;
    let about = "Logins by ssh with an address of their own and without, by turns; and many sessions at a time.";
    Ok(Section::new("sessions", "Logins", about, Plot::None)
        .with([logins(stage)?])
        .with(thousand(stage, &lending)?))
}

fn logins(stage: &Stage) -> Result<Row> {
    let with = Sshd::start(stage, "sshd-with", 2201, &module(stage))?;
    let without = Sshd::start(stage, "sshd-without", 2202, "")?;
    let row = Row::new(
        "a login by ssh with a pool lease, and its end",
        "ms",
        Better::Less,
    )
    .command("ssh -s root@ADDRESS sftp < /dev/null");
    let native = |_| without.log_in(stage);
    let hostlet = |_| with.log_in(stage);
    let takers = vec![needed("native", native), needed("hostlet", hostlet)];
    Ok(by_turns(row, stage.rounds(LOGINS), takers)?
        .against("native", Against::More)
        .goal("hostlet", OURS))
}

/// Opens a thousand sessions and closes them.
fn thousand(stage: &Stage, lending: &Lending) -> Result<Vec<Row>> {
    let count = stage.rounds(HELD);
    service_file("figures-with", &module(stage))?;
    let empty = lending.memory("Rss")?;
    let [mut opened, mut last, mut full, mut closed] = [const { Vec::new() }; 4];
    for _ in 0..stage.few(3) {
        let start = Instant::now();
        let (mut held, mut opening) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (session, said) =
                stage.start_saying(Place::Machine, &["session", "figures-with"])?;
            opening.push(said.parse::<f64>().context(said)? / 1e3);
            held.push(session);
        }
        opened.push(start.elapsed().as_secs_f64());
        last.extend(median(opening.split_off(count - count / 10)));
        full.push(lending.memory("Rss")?);
        let start = Instant::now();
        drop(held);
        while stage.hostlet(&["list", "--json"])?.contains("\"name\"") {
            if start.elapsed() > Duration::from_secs(600) {
                bail!("sessions that are over have hostlets still");
            }
        }
        closed.push(start.elapsed().as_secs_f64());
    }
    let figure = |what: &str, unit, values: Vec<f64>| {
        Row::new(format!("{count} sessions: {what}"), unit, Better::Less)
            .command("hostlet-bench work session SERVICE; grep Rss /proc/PID/smaps_rollup")
            .way("hostlet", values)
    };
    Ok(vec![
        figure("to open, one after the other", "s", opened),
        figure("each of the last hundred", "ms", last),
        figure("to close, and all hostlets gone", "s", closed),
        figure("hostletd's RSS", "MiB", full),
        figure("hostletd's RSS before", "MiB", vec![empty]),
    ])
}
