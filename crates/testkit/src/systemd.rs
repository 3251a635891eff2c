//! A machine that systemd runs: as its first process, with its journal and logind, in
//! namespaces of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::daemon::Daemon;
use crate::dir::TestDir;
use crate::netns::NetNs;
use crate::people::People;
use crate::wait;

/// How long starting all of it may take.
const BOOT: Duration = Duration::from_secs(60);

/// What systemd would do to a real machine, and has no business here.
const NOT_HERE: &[&str] = &[
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "ldconfig.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-config.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-firstboot.service",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-machine-id-commit.service",
    "systemd-modules-load.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysctl.service",
    "systemd-sysusers.service",
    "systemd-tmpfiles-clean.timer",
    "systemd-tmpfiles-setup-dev.service",
    "systemd-tmpfiles-setup.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd.service",
];

/// A machine with systemd. All its processes are killed when this is dropped.
#[derive(Debug)]
pub struct Systemd {
    daemon: Daemon,
    first: u32,
    cgroup: Cgroup,
    _root: TestDir,
}

/// A cgroup with those below it; goes when this is dropped.
#[derive(Debug)]
struct Cgroup(PathBuf);

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _ = wait::until("its cgroups to be empty", || remove(&self.0));
    }
}

impl Systemd {
    /// Boots one on that network, with the people's accounts, homes and services of PAM, the
    /// units (name and text; those that can be installed are started), and the files, which
    /// it shows as `/opt/NAME`. D-Bus and logind run.
    ///
    /// # Errors
    /// Without root; without systemd, logind and D-Bus; when one of the units does not start, with
    /// what the journal says.
    pub fn boot(
        ns: &NetNs,
        people: &People,
        units: &[(&str, String)],
        files: &[(&str, PathBuf)],
    ) -> Result<Systemd> {
        for needed in [
            "/lib/systemd/systemd",
            "/lib/systemd/systemd-logind",
            "/usr/bin/dbus-daemon",
        ] {
            ensure!(
                Path::new(needed).exists(),
                "there is no {needed}: install systemd, libpam-systemd and dbus"
            );
        }
        install(people, units)?;
        let root = TestDir::new("systemd")?;
        let cgroup = cgroup2()?.join(root.path().file_name().context("it has a name")?);
        fs::create_dir(&cgroup).context("making a cgroup")?;
        let cgroup = Cgroup(cgroup);
        let mut command = ns.command("sh");
        // In its cgroup before the namespace is made: that is the root that it sees.
        command.args([
            "-c",
            "echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"",
            "sh",
        ]);
        command.arg(&cgroup.0).args([
            "unshare",
            "-mpCiu",
            "--fork",
            "--kill-child",
            "--",
            "sh",
            "-c",
            include_str!("systemd/boot.sh"),
            "sh",
        ]);
        command.args([root.path(), people.path()]);
        for (name, path) in files {
            command.arg(format!("{name}={}", path.display()));
        }
        let daemon = Daemon::ready("systemd", command, "booting")?;
        let children = format!("/proc/{0}/task/{0}/children", daemon.pid());
        let children = fs::read_to_string(&children).context(children)?;
        let mut machine = Systemd {
            daemon,
            first: children.trim().parse().context("one first process")?,
            cgroup,
            _root: root,
        };
        machine.wait()?;
        Ok(machine)
    }

    /// Waits until all that is to be started is.
    fn wait(&mut self) -> Result<()> {
        let mut state = String::new();
        let waited = wait::until_within(BOOT, "systemd to start everything", || {
            let said = self.output("systemctl", &["is-system-running"]);
            state = said.map_or_else(
                |e| e.to_string(),
                |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
            );
            matches!(state.as_str(), "running" | "degraded") || !self.daemon.runs()
        });
        if waited.is_err() || state != "running" {
            let journal = self.journal().unwrap_or_default();
            let said = self.daemon.log().lines().join("\n");
            anyhow::bail!("systemd is {state:?}\n{said}\n{journal}");
        }
        Ok(())
    }

    /// A command on the machine, outside its units.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let first = self.first.to_string();
        command.args([
            "-t", &first, "-m", "-p", "-C", "-n", "-i", "-u", "--", program,
        ]);
        command.env("LC_ALL", "C").stdin(Stdio::null());
        command
    }

    /// Runs a command on the machine to its end.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<Output> {
        let done = self.command(program).args(args).output();
        done.with_context(|| format!("running {program}"))
    }

    /// As [`Systemd::output`], and it must succeed; gives its standard output.
    ///
    /// # Errors
    /// When it does not.
    pub fn run(&self, program: &str, args: &[&str]) -> Result<String> {
        let done = self.output(program, args)?;
        let said = String::from_utf8_lossy(&done.stderr);
        ensure!(
            done.status.success(),
            "{program} {}: {}: {said}",
            args.join(" "),
            done.status
        );
        Ok(String::from_utf8_lossy(&done.stdout).into_owned())
    }

    /// A property of a unit, as `systemctl show` gives it.
    ///
    /// # Errors
    /// When systemd does not answer.
    pub fn property(&self, unit: &str, property: &str) -> Result<String> {
        let args = ["show", "--value", "-p", property, unit];
        Ok(self.run("systemctl", &args)?.trim().to_owned())
    }

    /// What the journal says.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn journal(&self) -> Result<String> {
        self.run("journalctl", &["--no-pager", "-o", "cat", "-n", "200"])
    }

    /// The directory of the machine's root cgroup, as it is seen from outside.
    pub fn cgroup(&self) -> &Path {
        &self.cgroup.0
    }
}

impl Drop for Systemd {
    fn drop(&mut self) {
        // With the first process all others of its namespace end.
        // SAFETY: takes no pointers. Its parent, which has not been waited for, has not reaped it.
        unsafe { libc::kill(self.first.cast_signed(), libc::SIGKILL) };
        let ended = wait::until("systemd to end", || !self.daemon.runs());
        if ended.is_err() {
            let _ = self.daemon.kill();
        }
    }
}

/// Removes a cgroup with those below it.
fn remove(cgroup: &Path) -> bool {
    for below in fs::read_dir(cgroup).into_iter().flatten().flatten() {
        if below.path().is_dir() {
            remove(&below.path());
        }
    }
    fs::remove_dir(cgroup).is_ok()
}

/// Puts the units in place of those that are installed on the machine.
fn install(people: &People, units: &[(&str, String)]) -> Result<()> {
    let dir = people.etc("systemd/system");
    if dir.exists() {
        fs::remove_dir_all(&dir).context("leaving out the machine's own units")?;
    }
    let wants = dir.join("hostlet-test.target.wants");
    fs::create_dir_all(&wants)?;
    for name in NOT_HERE {
        std::os::unix::fs::symlink("/dev/null", dir.join(name))?;
    }
    fs::write(
        dir.join("hostlet-test.target"),
        "[Unit]\nRequires=basic.target dbus.socket\nWants=systemd-logind.service\n\
         After=basic.target dbus.socket systemd-logind.service\n",
    )?;
    for (name, text) in units {
        let unit = dir.join(name);
        fs::write(&unit, text).with_context(|| format!("writing {name}"))?;
        if text.contains("[Install]") {
            std::os::unix::fs::symlink(unit_path(name), wants.join(name))?;
        }
    }
    // systemd makes one at its first start, and a link to it may lead nowhere here.
    fs::write(
        people.etc("machine-id"),
        "68adf5a3b0f14e4aa4cbf4d13c7b2f6e\n",
    )?;
    Ok(())
}

/// Where the machine sees a unit.
fn unit_path(name: &str) -> PathBuf {
    Path::new("/etc/systemd/system").join(name)
}

fn cgroup2() -> Result<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let found = mounts.lines().find_map(|line| {
        let mut words = line.split(' ').skip(1);
        match (words.next(), words.next()) {
            (Some(at), Some("cgroup2")) => Some(PathBuf::from(at)),
            _ => None,
        }
    });
    found.context("no cgroup2 file system is mounted")
}
