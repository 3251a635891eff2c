//! A machine with people and sshd, one they come from, one with a DHCP server, one with a
//! web server, and between them a network.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::binaries;
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{FROM_ROOT, PLAIN, People};
use hostlet_testkit::segment::Segment;
use hostlet_testkit::servers::Nginx;
use hostlet_testkit::servers::dhcp::{Kind, Options, Server};
use hostlet_testkit::sshd::{Session, Sshd};
use hostlet_testkit::wait;
use serde_json::Value;

/// The addresses of the machine itself.
pub const HOST: [&str; 2] = ["10.0.0.1/24", "2001:db8::1/64"];
/// Where the DHCP server is.
const FAR: [&str; 2] = ["10.0.0.2/24", "2001:db8::2/64"];
/// Where the web server is.
const WEB: [&str; 2] = ["10.0.0.3/24", "2001:db8::3/64"];
/// Where people come from.
const CLIENT: [&str; 2] = ["10.0.0.4/24", "2001:db8::4/64"];
/// What the DHCP server lends.
const RANGES: [&str; 2] = ["10.0.0.100-10.0.0.199/24", "2001:db8::100-2001:db8::1ff/64"];

/// The pool of what the DHCP server lends.
pub const LAB: &str =
    "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\", \"ipv6\"]\nprobe = \"off\"\n";
/// A pool of hostletd's own.
pub const OFFICE: &str = "[pool.office]\ninterface = \"eth0\"\nprobe = \"off\"\n\
    ranges = [\"10.0.0.50-10.0.0.99\", \"2001:db8::50-2001:db8::99\"]\n";
/// Each login of staff's by ssh from the pool of that name.
pub fn rule(pool: &str, more: &str) -> String {
    format!(
        "[[rule]]\nname = \"staff\"\nwho = [\"group:staff\"]\nservices = [\"sshd\"]\n\
         per = \"session\"\npools = [\"{pool}\"]\n{more}\n"
    )
}

/// Everything a test needs. Sessions end before it.
pub struct Stage {
    pub daemon: Option<Hostletd>,
    pub server: Option<Server>,
    pub sshd: Sshd,
    pub web: Nginx,
    pub install: Installation,
    pub host: NetNs,
    pub client: NetNs,
    pub people: People,
    far: NetNs,
    _segment: Segment,
    count: AtomicU32,
}

impl Stage {
    /// With hostletd and this configuration.
    pub fn new(config: &str) -> Result<Stage> {
        let mut stage = Stage::bare()?;
        stage.configure(config)?;
        stage.begin()?;
        Ok(stage)
    }

    /// As [`Stage::new`], with dnsmasq.
    pub fn with_server(config: &str) -> Result<Stage> {
        let mut stage = Stage::bare()?;
        let options = Options::new("eth0", &RANGES)?;
        stage.server = Some(Server::start(Kind::Dnsmasq, &stage.far, options)?);
        stage.configure(config)?;
        stage.begin()?;
        Ok(stage)
    }

    /// Without a configuration; the modules are installed.
    pub fn bare() -> Result<Stage> {
        let (people, segment) = (People::new()?, Segment::new()?);
        let plug = |name: &str, addresses: &[&str]| -> Result<NetNs> {
            let ns = NetNs::new(name)?;
            segment.plug(&ns, "eth0", addresses)?;
            Ok(ns)
        };
        let host = people.on(&plug("host", &HOST)?)?;
        let client = people.on(&plug("client", &CLIENT)?)?;
        let (far, web) = (plug("far", &FAR)?, plug("web", &WEB)?);
        let install = Installation::new()?;
        let stage = Stage {
            daemon: None,
            server: None,
            sshd: Sshd::start(&host, "")?,
            web: Nginx::start("web", |program| web.command(program))?,
            install,
            host,
            client,
            people,
            far,
            _segment: segment,
            count: AtomicU32::new(0),
        };
        stage.install_modules()?;
        Ok(stage)
    }

    /// As a package does it, but for what PAM calls optional or required here.
    fn install_modules(&self) -> Result<()> {
        for service in ["sshd", "login", "cron"] {
            self.pam(service, "")?;
        }
        for service in ["su", "su-l"] {
            let text = format!("{FROM_ROOT}{PLAIN}{}", self.pam_line("")?);
            self.people.pam(service, &text)?;
        }
        let run = self.install.root().join("run");
        std::fs::create_dir_all(&run)?;
        self.people.bind(&run, "/run/hostlet".as_ref())?;
        let library = self.people.path().join("lib");
        std::fs::create_dir_all(&library)?;
        std::fs::copy(binaries::nss()?, library.join("libnss_hostlet.so.2"))
            .context("installing the module for names")?;
        self.people.libraries(&library)?;
        let own = "passwd: files\ngroup: files\nshadow: files\nhosts: hostlet files\n";
        self.people.write_etc("nsswitch.conf", own)?;
        // The machine's own name, for whoever is not in a hostlet.
        let hosts = "127.0.0.1 localhost\n::1 localhost\n10.0.0.1 port\n";
        self.people.write_etc("hosts", hosts)
    }

    /// What an administrator writes for the module.
    pub fn pam_line(&self, arguments: &str) -> Result<String> {
        let (module, root) = (binaries::pam()?, self.install.root());
        let (module, root) = (module.display(), root.display());
        Ok(format!(
            "session required {module} root={root} {arguments}\n"
        ))
    }

    /// Puts the module with these arguments into a service.
    pub fn pam(&self, service: &str, arguments: &str) -> Result<()> {
        let text = format!("{PLAIN}{}", self.pam_line(arguments)?);
        self.people.pam(service, &text)
    }

    /// Where it says nothing of deadlines, nothing is refused because the machine is busy.
    pub fn configure(&self, config: &str) -> Result<()> {
        let path = self.install.root().join("hostlet.toml");
        const PATIENT: &str = "[sessions]\ndeadline = \"100s\"\n";
        let text = if config.contains("deadline") {
            config.to_owned()
        } else if config.contains("[sessions]\n") {
            config.replacen("[sessions]\n", PATIENT, 1)
        } else {
            format!("{PATIENT}{config}")
        };
        std::fs::write(path, text).context("writing the configuration")
    }

    /// Starts hostletd.
    pub fn begin(&mut self) -> Result<()> {
        self.daemon = Some(Hostletd::start(&self.install, &self.host)?);
        Ok(())
    }

    pub fn daemon(&mut self) -> Result<&mut Hostletd> {
        self.daemon.as_mut().context("hostletd was not started")
    }

    /// Kills hostletd at whatever it does.
    pub fn kill(&mut self) -> Result<()> {
        self.daemon
            .take()
            .context("hostletd was not started")?
            .kill()
    }

    pub fn server(&mut self) -> Result<&mut Server> {
        self.server.as_mut().context("there is no DHCP server")
    }

    /// `ssh PERSON@host`, to which options and a command are to be added.
    pub fn ssh(&self, person: &str) -> Command {
        self.sshd.client(&self.client, person, "10.0.0.1")
    }

    /// Somebody logs in and stays.
    pub fn login(&self, person: &str) -> Result<Session> {
        let opened = Session::open(person, self.ssh(person));
        opened.with_context(|| self.why())
    }

    /// Several log in at the same time.
    pub fn login_all(&self, all: &[&str]) -> Result<Vec<Session>> {
        std::thread::scope(|scope| {
            let opening: Vec<_> = all
                .iter()
                .map(|person| scope.spawn(|| self.login(person)))
                .collect();
            let join = |t: std::thread::ScopedJoinHandle<'_, Result<Session>>| match t.join() {
                Ok(session) => session,
                Err(_) => bail!("a thread that logs in panicked"),
            };
            opening.into_iter().map(join).collect()
        })
    }

    /// Somebody tries to log in, who has to be refused and told all of this; in how long.
    pub fn refused(&self, person: &str, says: &[&str]) -> Result<Duration> {
        let begin = std::time::Instant::now();
        let done = self
            .ssh(person)
            .arg("echo in")
            .stdin(Stdio::null())
            .output()?;
        let took = begin.elapsed();
        let said = String::from_utf8_lossy(&done.stdout).into_owned()
            + &String::from_utf8_lossy(&done.stderr);
        let context = || format!("{person} is told: {said}\n{}", self.why());
        ensure!(
            !done.status.success() && !said.contains("in\n"),
            "let in: {}",
            context()
        );
        for text in says {
            ensure!(said.contains(text), "no '{text}': {}", context());
        }
        Ok(took)
    }

    /// The last that was said on the machine.
    pub fn why(&self) -> String {
        let tail = |lines: Vec<String>| lines[lines.len().saturating_sub(8)..].join("\n");
        let daemon = self.daemon.as_ref().map(|d| tail(d.log().lines()));
        let (sshd, syslog) = (
            tail(self.sshd.log().lines()),
            tail(self.people.log().lines()),
        );
        format!(
            "sshd:\n{sshd}\nsyslog:\n{syslog}\nhostletd:\n{}",
            daemon.unwrap_or_default()
        )
    }

    /// A page that nobody asked for before, at the web server.
    pub fn page(&self, v6: bool) -> (String, String) {
        let page = format!("page-{}", self.count.fetch_add(1, Ordering::Relaxed));
        let at = if v6 { "[2001:db8::3]" } else { "10.0.0.3" };
        (format!("http://{at}/{page}"), page)
    }

    /// The address from which the web server's log says that the page was asked for.
    pub fn asked_from(&self, page: &str) -> Result<IpAddr> {
        let wanted = format!("GET /{page} ");
        let mut found = None;
        wait::until(&format!("{page} in the web server's log"), || {
            let log = std::fs::read_to_string(self.web.log()).unwrap_or_default();
            let line = log.lines().find(|line| line.contains(&wanted));
            found = line.and_then(|line| line.split(' ').next()?.parse().ok());
            found.is_some()
        })?;
        found.context("no address")
    }

    /// The address with which a session is seen by the web server.
    pub fn seen(&self, session: &mut Session, v6: bool) -> Result<IpAddr> {
        self.seen_by(session, "curl", v6)
    }

    /// As [`Stage::seen`], with another curl.
    pub fn seen_by(&self, session: &mut Session, curl: &str, v6: bool) -> Result<IpAddr> {
        let (url, page) = self.page(v6);
        session.run(&fetch(curl, &url))?;
        self.asked_from(&page)
    }

    /// What `sessions --json` lists.
    pub fn sessions(&self) -> Result<Vec<Value>> {
        let answer = self.install.json(&self.host, &["sessions"])?;
        let list = answer
            .get("sessions")
            .unwrap_or(&answer)
            .as_array()
            .cloned();
        list.with_context(|| format!("no list of sessions: {answer}"))
    }

    /// The only session of that user.
    pub fn session_of(&self, user: &str) -> Result<Value> {
        let mut list = self.sessions()?;
        list.retain(|s| s["user"] == user);
        ensure!(list.len() == 1, "{user} has: {list:?}");
        list.pop().context("no session")
    }

    /// What `leases --json` lists.
    pub fn leases(&self) -> Result<Vec<Value>> {
        let answer = self.install.json(&self.host, &["leases"])?;
        let list = answer.get("leases").unwrap_or(&answer).as_array().cloned();
        list.with_context(|| format!("no list of leases: {answer}"))
    }

    /// The addresses of the machine's network that hostlet put there.
    pub fn placed(&self) -> Result<BTreeSet<IpAddr>> {
        let args = ["-oneline", "address", "show", "dev", "eth0"];
        let listed = self.host.run("ip", &args)?;
        let words = listed.lines().filter_map(|l| l.split_whitespace().nth(3));
        Ok(words
            .filter(|text| !HOST.contains(text) && !text.starts_with("fe80:"))
            .filter_map(|text| text.split('/').next()?.parse().ok())
            .collect())
    }

    /// Waits until no session, no hostlet, no lease and no address is left, here and at
    /// the server.
    pub fn nothing_left(&self) -> Result<()> {
        let mut left = String::new();
        // Hundreds of ends, one after the other, on a busy machine.
        let limit = Duration::from_secs(60);
        let waited = wait::until_within(limit, "everything to be given back", || {
            let server = self.server.as_ref().map(Server::leases);
            let (placed, leases) = (self.placed(), self.leases());
            let list = self.install.json(&self.host, &["list"]);
            let open = self.sessions();
            left = format!("{placed:?}\n{leases:?}\n{list:?}\n{open:?}\n{server:?}");
            placed.is_ok_and(|p| p.is_empty())
                && leases.is_ok_and(|l| l.is_empty())
                && list.is_ok_and(|v| v.as_array().is_some_and(Vec::is_empty))
                && open.is_ok_and(|l| l.is_empty())
                && server.is_none_or(|s| s.is_ok_and(|l| l.is_empty()))
        });
        waited.with_context(|| format!("left: {left}\n{}", self.why()))
    }

    /// A copy of curl of another name, that all may run.
    pub fn curl(&self, name: &str) -> Result<PathBuf> {
        let at = self.people.path().join("bin");
        std::fs::create_dir_all(&at)?;
        std::fs::copy("/usr/bin/curl", at.join(name)).context("copying curl")?;
        Ok(at.join(name))
    }
}

/// Asks for a page, with nothing said.
pub fn fetch(curl: &str, url: &str) -> String {
    format!(
        "{curl} --silent --show-error --globoff --noproxy '*' --max-time 20 --output /dev/null '{url}'"
    )
}

/// A text in an answer.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    let found = value[key].as_str();
    found.with_context(|| format!("no text '{key}' in {value}"))
}

/// An address, written out.
pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::from([0, 0, 0, 0]))
}

/// Is it in the range, both ends included?
pub fn within(address: IpAddr, first: &str, last: &str) -> bool {
    ip(first) <= address && address <= ip(last)
}
