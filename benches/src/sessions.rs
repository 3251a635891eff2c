//! What sessions cost: a login by ssh with the module and without, by turns, and a thousand sessions at a time.

use std::cell::RefCell;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostlet_platform::cgroup;
use hostlet_testkit::sweep;

use crate::lending::Lending;
use crate::report::{Against, Better, Bound, KERNELS_PART, Plot, Row, Section, median};
use crate::stage::{Place, Stage, compiled, output, wall};
use crate::turns::{by_turns, needed};

const MOVES: &str = include_str!("../../bench/moves.c");

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
    /// wants it to. Who logs in does not wait for the end of the session: nor is that measured, but the next one begins after it.
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
        let took = wall(&mut ssh)?.as_secs_f64() * 1e3;
        let own = self.child.id();
        let serving = format!("/proc/{own}/task/{own}/children");
        until("a session is not closed", || {
            Ok(fs::read_to_string(&serving)?.is_empty())
        })?;
        none_left(stage)?;
        Ok(took)
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn until(not: &str, over: impl Fn() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !over()? {
        if start.elapsed() > Duration::from_secs(600) {
            bail!("{not}");
        }
        std::thread::yield_now();
    }
    Ok(())
}

/// Waits for the end of what sessions had.
fn none_left(stage: &Stage) -> Result<()> {
    until("sessions that are over have hostlets still", || {
        Ok(!stage.hostlet(&["list", "--json"])?.contains("\"name\""))
    })
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

/// The line that brings one which has the kernel do what it must, and nothing else.
fn moves(stage: &Stage) -> Result<String> {
    let cgroup = cgroup::find_mount()?;
    let name = sweep::cgroup_parent(&stage.root) + sweep::MOVED;
    let cgroup = cgroup.join(name);
    fs::create_dir_all(&cgroup).with_context(|| format!("make {}", cgroup.display()))?;
    let source = ("moves.c", MOVES);
    let file = compiled(&stage.root, source, "moves.so", &["-shared", "-fPIC"])?;
    let (file, cgroup) = (file.display(), cgroup.display());
    Ok(format!("session required {file} {cgroup}\n"))
}

/// All of them.
pub fn measure(stage: &Stage) -> Result<Section> {
    let lending = Lending::start_with(stage, RULE)?;
    let about = "Logins by ssh with an address of their own and without, by turns; what opening and closing a session takes of that; \
                 and many sessions at a time. *The kernel's part* is a module that moves the session's process into another cgroup, and does \
                 nothing else ([`bench/moves.c`](../bench/moves.c)): the kernel waits with that until each processor has seen that nobody forks \
                 meanwhile, up to 15 ms if the machine is idle otherwise ([what a login costs](sessions.md#what-a-login-costs)). Packets are \
                 acknowledged at once (`quickack`): else some acknowledgements come 40 ms later, and a login waits for one more or less by chance.";
    let parts = [
        ("native", "without", String::new()),
        ("hostlet", "with", module(stage)),
        (KERNELS_PART, "moves", moves(stage)?),
    ];
    acknowledge(stage, "quickack 1")?;
    let login = logins(stage, &parts);
    acknowledge(stage, "")?;
    Ok(Section::new("sessions", "Logins", about, Plot::None)
        .with([login?])
        .with(steps(stage, &parts)?)
        .with(thousand(stage, &lending)?))
}

/// Whether both ends of the wire acknowledge each packet at once.
fn acknowledge(stage: &Stage, how: &str) -> Result<()> {
    for (place, own) in [(Place::Machine, "192.0.2.1"), (Place::Client, "192.0.2.2")] {
        let route =
            format!("route replace 192.0.2.0/24 dev eth0 proto kernel scope link src {own} {how}");
        output(stage.at(place, "ip").args(route.split_whitespace()))?;
    }
    Ok(())
}

/// A way, what its PAM services end with, and their last line.
type Part = (&'static str, &'static str, String);

fn logins(stage: &Stage, parts: &[Part]) -> Result<Row> {
    let mut takers = Vec::new();
    for ((way, name, line), port) in parts.iter().zip(2201..) {
        let sshd = Sshd::start(stage, &format!("sshd-{name}"), port, line)?;
        takers.push(needed(way, move |_| sshd.log_in(stage)));
    }
    let what = "a login by ssh with a pool lease";
    let row = Row::new(what, "ms", Better::Less).command("ssh -s root@ADDRESS sftp < /dev/null");
    Ok(by_turns(row, stage.rounds(LOGINS), takers)?
        .against("native", Against::More)
        .goal("hostlet", OURS))
}

/// What a login waits for, and its end.
fn steps(stage: &Stage, parts: &[Part]) -> Result<[Row; 2]> {
    let closed = RefCell::new(vec![Vec::new(); parts.len()]);
    let mut takers = Vec::new();
    for (at, (way, name, line)) in parts.iter().enumerate() {
        let service = format!("figures-{name}");
        service_file(&service, line)?;
        let closed = &closed;
        takers.push(needed(way, move |_| {
            let words = ["session", service.as_str()];
            let (session, opened) = stage.start_saying(Place::Machine, &words)?;
            let ended = session.last()?;
            closed.borrow_mut()[at].push(milliseconds(&ended)?);
            none_left(stage)?;
            milliseconds(&opened)
        }));
    }
    let row = |what: &str| {
        Row::new(what, "ms", Better::Less).command("hostlet-bench work session SERVICE")
    };
    let opened = by_turns(
        row("opening a session with a pool lease (pam_open_session)"),
        stage.rounds(LOGINS),
        takers,
    )?;
    let mut ended = row("closing it (pam_close_session)");
    for ((way, ..), values) in parts.iter().zip(closed.into_inner()) {
        ended = ended.way(*way, values);
    }
    Ok([opened, ended].map(|row| row.against("native", Against::More)))
}

/// What `work session` says, in microseconds.
fn milliseconds(said: &str) -> Result<f64> {
    let said: f64 = said.parse().with_context(|| said.to_owned())?;
    Ok(said / 1e3)
}

/// Opens a thousand sessions and closes them.
fn thousand(stage: &Stage, lending: &Lending) -> Result<Vec<Row>> {
    let count = stage.rounds(HELD);
    let empty = lending.memory("Rss")?;
    let [mut opened, mut last, mut full, mut closed] = [const { Vec::new() }; 4];
    for _ in 0..stage.few(3) {
        let start = Instant::now();
        let (mut held, mut opening) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let (session, said) =
                stage.start_saying(Place::Machine, &["session", "figures-with"])?;
            opening.push(milliseconds(&said)?);
            held.push(session);
        }
        opened.push(start.elapsed().as_secs_f64());
        last.extend(median(opening.split_off(count - count / 10)));
        full.push(lending.memory("Rss")?);
        let start = Instant::now();
        drop(held);
        none_left(stage)?;
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
