//! xrdp with its session manager and xorgxrdp, and desktops that a real client (`xfreerdp`
//! on an `Xvfb`) opens there.
//!
//! Without a service manager both run with `--nodaemon`. The session manager forks a
//! process (root's) for each session, which opens the PAM session, starts the X server,
//! the channel server and `~/startwm.sh`, waits for the latter's end, and closes the PAM
//! session. To close the client only disconnects; the session goes on.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::daemon::Daemon;
use crate::netns::NetNs;
use crate::people::{People, Person};
use crate::wait;

/// The client's own display, far from those that the session manager gives out.
const DISPLAY: &str = ":90";

/// What a session runs: two small programs to be seen, and what the test asks for.
const DESKTOP: &str = "#!/bin/sh\nxclock -geometry 300x300+50+50 &\n\
    xeyes -geometry 300x200+400+100 &\nenv > ~/environment\n\
    for p in xclock xeyes; do until xwininfo -name $p 2>&1 | grep -q IsViewable; do sleep 0.1; done; done\n\
    cat /proc/self/cgroup > ~/cgroup\n\
    sh ~/errand > ~/said 2>&1\ntouch ~/ready\n\
    while [ ! -e ~/logout ]; do sleep 0.1; done\nkill %1 %2 2>/dev/null\nexit 0\n";

/// Running xrdp and xrdp-sesman. Ended when dropped.
#[derive(Debug)]
pub struct Xrdp {
    xrdp: Daemon,
    _sesman: Daemon,
    log: PathBuf,
}

impl Xrdp {
    /// Starts both on a machine that sees the people. X servers lie in `/tmp`, whatever
    /// one says to them: the people get one of their own, that shows the machine's
    /// directories of now, and all mounts below the given ones.
    ///
    /// # Errors
    /// When they are not installed, or do not come to listen; with what they said.
    pub fn start(host: &NetNs, people: &People, keep: &[&Path]) -> Result<Xrdp> {
        let mut script = String::from(
            "set -e\nmkdir -p /run/tmp /run/xrdp\nmount --rbind /tmp /run/tmp\n\
             mount -t tmpfs -o mode=1777 tmp /tmp\ncd /run/tmp\n\
             for d in */; do mkdir -p \"/tmp/$d\"; mount --bind \"$d\" \"/tmp/$d\" || [ ! -d \"$d\" ]; done\n",
        );
        // What is mounted below these has to be seen as well.
        for dir in keep.iter().filter(|d| d.starts_with("/tmp")) {
            let (at, from) = (dir.display(), dir.strip_prefix("/tmp")?.display());
            script += &format!("mount --rbind /run/tmp/{from} {at}\n");
        }
        host.run("sh", &["-c", &script])?;
        people
            .etc("xrdp")
            .exists()
            .then_some(())
            .context("/etc/xrdp is missing: install xrdp and xorgxrdp")?;
        let mut command = host.command("xrdp-sesman");
        command.arg("--nodaemon");
        let sesman = Daemon::start("xrdp-sesman", command)?;
        // A port until version 0.9, then a socket.
        let run = format!("/proc/{}/root/run/xrdp", sesman.pid());
        let socket = Path::new(&run).join("sockdir/sesman.socket");
        wait::until("xrdp-sesman to listen", || {
            host.listens(3350) || socket.exists()
        })?;
        let mut command = host.command("xrdp");
        command.arg("--nodaemon");
        let xrdp = Daemon::start("xrdp", command)?;
        host.wait_listening(3389)?;
        let log = format!("/proc/{}/root/var/log/xrdp-sesman.log", sesman.pid());
        Ok(Xrdp {
            xrdp,
            _sesman: sesman,
            log: log.into(),
        })
    }

    /// What the session manager has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Xrdp {
    fn drop(&mut self) {
        // It leaves the process of a connection alone when it ends, and one whose X server
        // never came waits for that for minutes.
        let pid = self.xrdp.pid();
        let listed = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"));
        let listed = listed.unwrap_or_default();
        for child in listed.split_whitespace().filter_map(|p| p.parse().ok()) {
            // SAFETY: takes no pointers; the parent, which runs, has not waited for it.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
    }
}

/// A client with a desktop of somebody's. Logs out when dropped.
#[derive(Debug)]
pub struct Desktop {
    client: NetNs,
    home: PathBuf,
    /// Where the program of RDP remembers what it met.
    memory: PathBuf,
    /// What the program of RDP is started with.
    words: Vec<String>,
    free: Daemon,
    _screen: Daemon,
}

impl Desktop {
    /// Connects with the person's password, without waiting for more than the client's
    /// own display. The session will run the lines of shell as its errand.
    ///
    /// # Errors
    /// When the client is not installed.
    pub fn open(
        client: &NetNs,
        people: &People,
        person: &Person,
        at: &str,
        errand: &str,
    ) -> Result<Desktop> {
        let home = people.home(person.name);
        for (name, text, mode) in [("startwm.sh", DESKTOP, 0o755), ("errand", errand, 0o644)] {
            let path = home.join(name);
            fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
            fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
            chown(&path, Some(person.uid), Some(person.uid))?;
        }
        let mut screen = client.command("Xvfb");
        screen.args([DISPLAY, "-screen", "0", "1024x768x24", "-nolisten", "tcp"]);
        let screen = Daemon::start("Xvfb", screen)?;
        wait::until("the client's display", || {
            let asked = client.output("xwininfo", &["-root", "-display", DISPLAY]);
            asked.is_ok_and(|done| done.status.success())
        })?;
        let words = vec![
            format!("/v:{at}"),
            format!("/u:{}", person.name),
            format!("/p:{}", person.password),
            "/cert:ignore".into(),
            "/size:1024x768".into(),
        ];
        Ok(Desktop {
            free: connect(client, people.path(), &words)?,
            client: client.try_clone()?,
            home,
            memory: people.path().to_owned(),
            words,
            _screen: screen,
        })
    }

    /// Disconnects and comes again: xrdp gives an X server of VNC three seconds from the login
    /// on, in which the session has to be opened as well, and does not try again by itself.
    ///
    /// # Errors
    /// When the client cannot be started.
    pub fn again(&mut self) -> Result<()> {
        self.free.stop()?;
        self.free = connect(&self.client, &self.memory, &self.words)?;
        Ok(())
    }

    /// Waits until the session has done its errand; gives what that said.
    ///
    /// # Errors
    /// When it does not, with the client's words.
    pub fn errand(&self) -> Result<String> {
        let ready = self.home.join("ready");
        wait::until_within(wait::LIMIT * 3, "the desktop's errand", || ready.exists())
            .with_context(|| self.free.log().lines().join("\n"))?;
        fs::read_to_string(self.home.join("said")).context("what the errand said")
    }

    /// A variable of the session's environment.
    ///
    /// # Errors
    /// When it is not set there.
    pub fn variable(&self, name: &str) -> Result<String> {
        let all = fs::read_to_string(self.home.join("environment"))?;
        let found = all
            .lines()
            .find_map(|l| l.strip_prefix(name)?.strip_prefix('='));
        found
            .map(str::to_owned)
            .with_context(|| format!("no {name} in {all}"))
    }

    /// Takes a picture (PNG) of what the client shows, once it has that many colours;
    /// gives how many there are. A blank one has one.
    ///
    /// # Errors
    /// When it stays blank, or ImageMagick is not installed.
    pub fn picture(&self, to: &Path, colours: u32) -> Result<u32> {
        let to = to.to_str().context("a path that is text")?;
        let mut seen = 0;
        wait::until_within(wait::LIMIT * 2, "a picture of the desktop", || {
            let take = ["-display", DISPLAY, "-window", "root", to];
            if self.client.run("import", &take).is_err() {
                return false;
            }
            let count = self.client.run("identify", &["-format", "%k", to]);
            seen = count.ok().and_then(|n| n.trim().parse().ok()).unwrap_or(0);
            seen >= colours
        })
        .with_context(|| format!("{seen} colours"))?;
        Ok(seen)
    }

    /// Ends the session from within, as the desktop's own "log out" does.
    ///
    /// # Errors
    /// When the home cannot be written to.
    pub fn log_out(&self) -> Result<()> {
        if let Err(why) = fs::write(self.home.join("logout"), "") {
            bail!("asking the desktop to log out: {why}");
        }
        Ok(())
    }
}

fn connect(client: &NetNs, memory: &Path, words: &[String]) -> Result<Daemon> {
    // Its third version has the number in its name.
    let old = Path::new("/usr/bin/xfreerdp").exists();
    let mut free = client.command(if old { "xfreerdp" } else { "xfreerdp3" });
    free.env("DISPLAY", DISPLAY).env("HOME", memory);
    free.args(words);
    Daemon::start("xfreerdp", free)
}

impl Drop for Desktop {
    fn drop(&mut self) {
        let _ = self.log_out();
    }
}
