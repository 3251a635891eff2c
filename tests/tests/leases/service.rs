//! hostletd as its systemd unit starts it: with the capabilities, the umask and the socket of the unit, and somebody who is told.

use std::fs;
use std::io::ErrorKind;
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::daemon::Daemon;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;

use crate::stage::{LAB, RANGES, Stage};

const NOBODY: u32 = 65534;
/// The first descriptor that a service manager passes.
const PASSED: i32 = 3;

fn dist(name: &str) -> Result<String> {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR"));
    let path = tests.parent().context("dist")?.join("dist").join(name);
    fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))
}

/// The value of a setting of the unit.
fn setting(key: &str) -> Result<String> {
    let unit = dist("hostletd.service")?;
    let mut lines = unit.lines();
    let value = lines.find_map(|l| l.strip_prefix(key)?.strip_prefix('='));
    Ok(value
        .with_context(|| format!("no {key}= in the unit"))?
        .to_owned())
}

/// What a service manager has: the socket that outlives hostletd, and the one on which it is told.
struct Manager {
    listener: UnixListener,
    told: UnixDatagram,
    notify: PathBuf,
}

impl Manager {
    fn new(stage: &Stage) -> Result<Manager> {
        let run = stage.install.root().join("run");
        fs::create_dir_all(&run).context("the run directory")?;
        fs::set_permissions(&run, fs::Permissions::from_mode(0o755))?;
        let socket = run.join("hostletd.sock");
        let listener = UnixListener::bind(&socket).context("the socket")?;
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666))?;
        let notify = stage.install.root().join("notify");
        let told = UnixDatagram::bind(&notify).context("the socket to be told on")?;
        told.set_read_timeout(Some(Duration::from_secs(15)))?;
        Ok(Manager {
            listener,
            told,
            notify,
        })
    }

    /// hostletd with what the unit leaves it, when it says that it is ready.
    fn start(&self, stage: &Stage) -> Result<Daemon> {
        let mut set = "-all".to_owned();
        for name in setting("CapabilityBoundingSet")?.split_whitespace() {
            let name = name.strip_prefix("CAP_").context("a capability")?;
            set = format!("{set},+{}", name.to_lowercase());
        }
        // The shell's process becomes hostletd: it knows the number that has to be passed.
        let script = "umask \"$0\" && LISTEN_PID=$$ LISTEN_FDS=1 exec \"$@\"";
        let mut command = stage.host.command("sh");
        command.args(["-c", script, &setting("UMask")?, "setpriv"]);
        command.args(["--bounding-set", &set, "--inh-caps", "-all"]);
        if setting("NoNewPrivileges")? == "yes" {
            command.arg("--no-new-privs");
        }
        command.arg("--").arg(binaries::hostletd()?);
        command.arg("--root").arg(stage.install.root());
        command.env("NOTIFY_SOCKET", &self.notify);
        let fd = self.listener.as_raw_fd();
        // SAFETY: both calls are safe between fork and exec, and take no pointers. The listener outlives the spawning.
        unsafe {
            command.pre_exec(move || {
                if libc::dup2(fd, PASSED) < 0 || libc::fcntl(PASSED, libc::F_SETFD, 0) < 0 {
                    return Err(std::io::Error::last_os_error());
                }
                Ok(())
            });
        }
        let daemon = Daemon::start("hostletd", command)?;
        self.hears("READY=1")
            .with_context(|| format!("hostletd said: {:?}", daemon.log().lines()))?;
        Ok(daemon)
    }

    /// Waits until hostletd says this.
    fn hears(&self, state: &str) -> Result<()> {
        let mut heard = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            match self.told.recv(&mut buffer) {
                Ok(length) => {
                    let text = String::from_utf8_lossy(&buffer[..length]);
                    if text.lines().any(|line| line == state) {
                        return Ok(());
                    }
                    heard.push(text.into_owned());
                }
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    bail!("not told {state}, but {heard:?}")
                }
                Err(e) => return Err(e.into()),
            }
        }
    }
}

/// Has hostletd what the unit says, and not more?
fn confined(daemon: &Daemon) -> Result<()> {
    let status = fs::read_to_string(format!("/proc/{}/status", daemon.pid()))?;
    let field = |key: &str| -> Result<&str> {
        let mut lines = status.lines();
        let value = lines.find_map(|l| l.strip_prefix(key)?.strip_prefix(':'));
        Ok(value.with_context(|| format!("no {key}: {status}"))?.trim())
    };
    let bounding = u64::from_str_radix(field("CapBnd")?, 16)?;
    let wanted = setting("CapabilityBoundingSet")?.split_whitespace().count();
    // A container may have less to leave it.
    ensure!(bounding.count_ones() as usize <= wanted, "{status}");
    ensure!(field("CapEff")? == field("CapBnd")?, "{status}");
    ensure!(field("NoNewPrivs")? == "1", "{status}");
    Ok(())
}

#[test]
fn the_unit_leaves_it_what_it_needs() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    stage.serve(Kind::Dnsmasq, Options::new("eth0", &RANGES)?)?;
    let office = "[pool.office]\ninterface = \"eth0\"\n\
        ranges = [\"10.0.0.20-10.0.0.29\", \"2001:db8::20-2001:db8::29\"]\nmay-use = [\"user:nobody\"]\n";
    stage.configure(&format!("{LAB}may-use = [\"user:nobody\"]\n{office}"))?;
    let manager = Manager::new(&stage)?;
    let mut daemon = manager.start(&stage)?;
    confined(&daemon)?;
    let pools = ["--pool", "office", "--pool", "lab"];
    let mut agents = [
        stage.hold(&pools)?,
        stage.hold_as(NOBODY, &[&pools[..], &["--name", "his"]].concat())?,
    ];
    let held = stage.held()?;
    ensure!(held.len() == 2 && held["his"].len() == 4, "{held:?}");
    let mut seen = Vec::new();
    for agent in &mut agents {
        seen.push((stage.seen(agent, false)?, stage.seen(agent, true)?));
    }

    daemon.signal(libc::SIGHUP)?;
    manager.hears("RELOADING=1")?;
    manager.hears("READY=1")?;

    // Ended, and started with the same socket, which the service manager keeps.
    daemon.signal(libc::SIGTERM)?;
    manager.hears("STOPPING=1")?;
    ensure!(daemon.stop()?.success(), "{:?}", daemon.log().lines());
    let mut daemon = manager.start(&stage)?;
    ensure!(stage.held()? == held, "{:?}", stage.held());
    for (agent, before) in agents.iter_mut().zip(seen) {
        let now = (stage.seen(agent, false)?, stage.seen(agent, true)?);
        ensure!(now == before, "{before:?} became {now:?}");
    }
    let [root, user] = agents;
    root.finish()?;
    user.kill()?;
    stage.nothing_left()?;
    let warnings = daemon.log().count("warning");
    ensure!(warnings == 0, "{:?}", daemon.log().lines());
    ensure!(daemon.stop()?.success(), "{:?}", daemon.log().lines());
    Ok(())
}

/// What it does when a lease is lost needs other rights: sockets die, sets change.
#[test]
fn the_unit_lets_it_cut_off_and_fall_back() -> Result<()> {
    for on_loss in ["cut-off", "fall-back"] {
        let mut stage = Stage::bare(None)?;
        let options = Options::new("eth0", &RANGES)?.lease(Duration::from_secs(8));
        stage.serve(Kind::Kea, options)?;
        stage.configure(&format!("{LAB}on-loss = \"{on_loss}\"\n"))?;
        let manager = Manager::new(&stage)?;
        let _daemon = manager.start(&stage)?;
        let mut agent = stage.hold(&["--pool", "lab"])?;
        let (_, _open) = stage.connect(&mut agent, "open", false)?;
        stage.server()?.stop()?;
        wait::until("the connection to die", || {
            let sent = agent.ask("send open hello");
            sent.is_ok_and(|said| said.starts_with('E'))
        })?;
        if on_loss == "fall-back" {
            wait::until("the machine's address", || {
                let seen = stage.seen(&mut agent, false);
                seen.is_ok_and(|a| a.to_string() == "10.0.0.1")
            })?;
        }
        wait::until("the addresses to go", || {
            stage.placed().is_ok_and(|p| p.is_empty())
        })?;
    }
    Ok(())
}

/// systemd's own opinion of both units, where it is installed.
#[test]
fn systemd_understands_the_units() -> Result<()> {
    let dir = TestDir::new("units")?;
    let program = binaries::hostletd()?;
    let sbindir = program.parent().context("a directory")?;
    let service = dist("hostletd.service")?;
    ensure!(service.contains("@sbindir@"), "{service}");
    let service = service.replace("@sbindir@", &sbindir.display().to_string());
    let path = dir.path().join("hostletd.service");
    fs::write(&path, service)?;
    fs::write(dir.path().join("hostletd.socket"), dist("hostletd.socket")?)?;
    let verified = Command::new("systemd-analyze")
        .args(["verify", "--man=no", "--recursive-errors=no"])
        .arg(&path)
        .output();
    let done = match verified {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            println!("systemd-analyze is not installed: nothing was checked");
            return Ok(());
        }
        other => other.context("starting systemd-analyze")?,
    };
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.success() && !said.contains("hostletd"),
        "{done:?}"
    );
    Ok(())
}
