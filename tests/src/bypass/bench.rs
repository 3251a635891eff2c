//! Where attempts are made: a hostlet with a neighbour on one machine, and another machine.

use std::collections::HashMap;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::install::Installation;
use hostlet_testkit::lan::{self, Lan};
use hostlet_testkit::sniffer::Sniffer;
use hostlet_testkit::{binaries, wait};

use super::Who;

/// An ordinary user whom nobody knows, and who has no other processes.
pub const USER: u32 = 61234;
/// How long a call waits for what shall not come.
const PATIENCE: Duration = Duration::from_millis(250);
const FIRST_PORT: u16 = 20_000;

/// The machines, and who is on them.
///
/// A script is lines of `ACTOR OP…` as probes perform them. `in` is who tries, `host` and `peer`
/// are others, `other` is another hostlet. What somebody foreign sends says `secret`: `in` must not
/// get to read it. `in!` and the like: that this step succeeds is proof enough. `{P}` is a port of this
/// attempt's own: what arrives there has to come from the hostlet. `{ACTOR.SOCKET}` is the port
/// of a socket; for other names in braces see `words`.
pub struct Bench {
    pub(super) lan: Lan,
    pub(super) at_peer: Sniffer,
    pub(super) at_host: Sniffer,
    pub(super) agents: HashMap<String, Agent>,
    /// What the member may send from.
    pub(super) own: Vec<IpAddr>,
    pub(super) words: HashMap<String, String>,
    pub(super) next_port: u16,
    /// Ports of stopped attempts, for what arrives late.
    pub(super) quiet: Vec<(u16, String)>,
    /// The number of the last event that was read.
    last_event: u64,
    files: TestDir,
    pub(super) probe: PathBuf,
}

impl Bench {
    /// Builds it; `guarded` as ever, or with the guard switched off.
    ///
    /// # Errors
    /// Without root, and when the product is not built.
    pub fn new(guarded: bool) -> Result<Bench> {
        let lan = Lan::hostlets("two", &[])?;
        // The host's address that nothing leaves from by itself: who names it means it.
        lan.host().ip([
            "address add 10.0.0.2/24 dev eth0",
            "address add 2001:db8::2/64 dev eth0 nodad preferred_lft 0",
            "address add fe80::1/64 dev eth0 nodad",
        ])?;
        lan.peer().ip(["address add fe80::100/64 dev br0 nodad"])?;
        let (at_peer, at_host) = (Sniffer::new(lan.peer())?, Sniffer::new(lan.host())?);
        let files = TestDir::new("bypass")?;
        // A directory and a program that an ordinary user gets at.
        std::fs::set_permissions(files.path(), PermissionsExt::from_mode(0o1777))?;
        let probe = files.path().join("probe");
        std::fs::copy(binaries::probe()?, &probe)?;
        let mut bench = Bench {
            lan,
            at_peer,
            at_host,
            agents: HashMap::new(),
            own: Vec::new(),
            words: HashMap::new(),
            next_port: FIRST_PORT,
            quiet: Vec::new(),
            last_event: 0,
            files,
            probe,
        };
        bench.make_hostlets(guarded)?;
        Ok(bench)
    }

    fn make_hostlets(&mut self, guarded: bool) -> Result<()> {
        let mut args = vec!["create", "in"];
        for address in lan::set("two")? {
            args.extend(["--address", address]);
            self.own.push(address.parse()?);
        }
        if !guarded {
            args.push("--no-guard");
        }
        let neighbour = [
            "create",
            "other",
            "--address",
            "10.0.0.9",
            "--address",
            "2001:db8::9",
        ];
        self.install()?.run(self.lan.host(), &args)?;
        self.install()?.run(self.lan.host(), &neighbour)?;
        for name in ["in", "other"] {
            let shown = self.install()?.json(self.lan.host(), &["show", name])?;
            let mut loops = Vec::new();
            collect_addresses(&shown["loopback"], &mut loops);
            for address in loops {
                let family = if address.is_ipv4() { 4 } else { 6 };
                self.words
                    .insert(format!("{name}-loop{family}"), address.to_string());
                if name == "in" {
                    self.own.push(address);
                }
            }
            let cgroup = shown["cgroup"].as_str().context("a cgroup")?.to_owned();
            let (parent, _) = cgroup.rsplit_once('/').context("a parent")?;
            let (mount, _) = cgroup.split_once("/hostlet-").context("a mount")?;
            if name == "in" {
                self.words.insert("parent".into(), parent.into());
                self.words.insert("mount".into(), mount.into());
            }
            self.words.insert(format!("{name}-cgroup"), cgroup);
        }
        let root = self.install()?.root().display().to_string();
        self.words.insert("bpf".into(), format!("{root}/bpf"));
        self.words.insert("installation".into(), root);
        self.words.insert("uid".into(), USER.to_string());
        self.words
            .insert("files".into(), self.files.path().display().to_string());
        Ok(())
    }

    /// The installation of the product.
    pub fn install(&self) -> Result<&Installation> {
        self.lan.install().context("no hostlets here")
    }

    /// The machines.
    pub fn lan(&self) -> &Lan {
        &self.lan
    }

    /// What stands for a name in braces.
    pub fn word(&self, name: &str) -> Result<String> {
        self.words
            .get(name)
            .cloned()
            .with_context(|| format!("no {name}"))
    }

    /// A directory that everybody may write to.
    pub fn files(&self) -> &std::path::Path {
        self.files.path()
    }

    /// A command that is a member.
    pub fn member(&self, who: Who, program: &str, args: &[&str]) -> Result<Command> {
        let user = USER.to_string();
        let mut all = vec!["enter", "in"];
        if who == Who::User {
            all.extend(["--user", &user, "--group", &user]);
        }
        all.extend(["--", program]);
        all.extend(args);
        Ok(self.install()?.command(self.lan.host(), &all))
    }

    fn start(&self, name: &str) -> Result<Agent> {
        let probe = self.probe.to_str().context("a path in UTF-8")?;
        let outside = || self.lan.host().command(&self.probe);
        let mut command = match name {
            "in-user" => self.member(Who::User, probe, &[])?,
            "in-root" => self.member(Who::Root, probe, &[])?,
            "other" => {
                let args = ["enter", "other", "--", probe];
                self.install()?.command(self.lan.host(), &args)
            }
            "host" | "outside" | "root-victim" => outside(),
            "user-victim" => {
                let mut command = self.lan.host().command("setpriv");
                command
                    .arg(format!("--reuid={USER}"))
                    .arg(format!("--regid={USER}"));
                command.arg("--clear-groups").arg(&self.probe);
                command
            }
            "peer" => self.lan.peer().command(&self.probe),
            _ => bail!("nobody is called {name}"),
        };
        command.current_dir("/");
        let mut agent = Agent::start(name, command)?;
        let wait = wait::patience(PATIENCE).as_millis();
        agent.ask(&format!("patience {wait}"))?;
        Ok(agent)
    }

    /// The errors of what the kernel programs refused members since this was last asked.
    pub(super) fn told(&mut self) -> Result<Vec<String>> {
        let install = self.install()?;
        let text = install.run(self.lan.host(), &["events", "in", "--json"])?;
        let (mut new, mut last) = (Vec::new(), self.last_event);
        for line in text.lines() {
            let event: serde_json::Value = serde_json::from_str(line)?;
            // Earlier ones may be lost: of the last attempt there are not as many as are kept.
            if event.get("lost").is_some() {
                continue;
            }
            let number = event["seq"].as_u64().context("an event's number")?;
            if number > self.last_event {
                new.push(event["error"].as_str().unwrap_or("").to_owned());
                last = last.max(number);
            }
        }
        self.last_event = last;
        Ok(new)
    }

    /// Has somebody perform a line.
    pub fn ask(&mut self, name: &str, line: &str) -> Result<String> {
        if !self.agents.contains_key(name) {
            let agent = self.start(name)?;
            self.agents.insert(name.into(), agent);
        }
        let agent = self.agents.get_mut(name).context("an agent")?;
        let said = agent.ask(line);
        if said.is_err() {
            self.agents.remove(name);
        }
        said
    }

    /// Processes outside that may be looked into: one of root's, and one of the user's.
    pub(super) fn victims(&mut self) -> Result<()> {
        for (name, pid_word, fd_word) in [
            ("root-victim", "root-pid", "root-fd"),
            ("user-victim", "user-pid", "user-fd"),
        ] {
            if self.words.contains_key(pid_word) {
                continue;
            }
            self.ask(name, "v = socket udp4")?;
            self.ask(name, "bind v 10.0.0.2:0")?;
            let pid = self.agents.get(name).context("a victim")?.pid();
            let fd = socket_of(pid)?;
            self.words.insert(pid_word.into(), pid.to_string());
            self.words.insert(fd_word.into(), fd);
        }
        if !self.words.contains_key("other-pid") {
            self.ask("other", "v = socket udp4")?;
            self.ask("other", "bind v 10.0.0.9:0")?;
            let procs =
                std::fs::read_to_string(format!("{}/cgroup.procs", self.word("other-cgroup")?))?;
            let pid = procs
                .lines()
                .next()
                .context("a member of the other")?
                .to_owned();
            let fd = socket_of(pid.parse()?)?;
            self.words.insert("other-pid".into(), pid);
            self.words.insert("other-fd".into(), fd);
        }
        Ok(())
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.agents.clear();
        for name in ["in", "other"] {
            if let Ok(install) = self.install() {
                let _ = install.output(self.lan.host(), &["remove", name, "--kill"]);
            }
        }
    }
}

fn collect_addresses(value: &serde_json::Value, found: &mut Vec<IpAddr>) {
    match value {
        serde_json::Value::String(text) => {
            found.extend(
                text.split([' ', ','])
                    .filter_map(|t| t.parse::<IpAddr>().ok()),
            );
        }
        serde_json::Value::Array(all) => all.iter().for_each(|v| collect_addresses(v, found)),
        serde_json::Value::Object(all) => all.values().for_each(|v| collect_addresses(v, found)),
        _ => {}
    }
}

/// The number of the one socket that a probe has.
fn socket_of(pid: u32) -> Result<String> {
    for entry in std::fs::read_dir(format!("/proc/{pid}/fd"))? {
        let entry = entry?;
        let target = std::fs::read_link(entry.path())?;
        if target.to_string_lossy().starts_with("socket:") {
            return Ok(entry.file_name().to_string_lossy().into_owned());
        }
    }
    bail!("process {pid} has no socket")
}
