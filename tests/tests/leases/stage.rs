//! A machine with hostletd, another that watches, and between them a network.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::hostletd::Hostletd;
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::segment::Segment;
use hostlet_testkit::servers::dhcp::{Kind, Options, Server};
use hostlet_testkit::wait;
use hostlet_testkit::wire::{Trouble, Wire};
use serde_json::Value;

/// The addresses of the machine itself.
pub const HOST: [&str; 2] = ["10.0.0.1/24", "2001:db8::1/64"];
/// Those of the other machine, where the DHCP server is.
pub const FAR: [&str; 2] = ["10.0.0.2/24", "2001:db8::2/64"];
/// What a DHCP server lends here, unless a test says otherwise.
pub const RANGES: [&str; 2] = ["10.0.0.100-10.0.0.199/24", "2001:db8::100-2001:db8::1ff/64"];
/// A pool of what it lends.
pub const LAB: &str =
    "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\", \"ipv6\"]\nprobe = \"off\"\n";

/// Everything a test needs. Programs in hostlets (`Agent`) end before it.
pub struct Stage {
    pub daemon: Option<Hostletd>,
    pub server: Option<Server>,
    pub install: Installation,
    pub host: NetNs,
    pub far: NetNs,
    pub segment: Segment,
    pub wire: Option<Wire>,
    listeners: [TcpListener; 2],
}

impl Stage {
    /// With hostletd and this configuration.
    pub fn new(config: &str) -> Result<Stage> {
        let mut stage = Stage::bare(None)?;
        stage.configure(config)?;
        stage.begin()?;
        Ok(stage)
    }

    /// As [`Stage::new`], with a DHCP server first.
    pub fn with_server(kind: Kind, options: Options, config: &str) -> Result<Stage> {
        let mut stage = Stage::bare(None)?;
        stage.serve(kind, options)?;
        stage.configure(config)?;
        stage.begin()?;
        Ok(stage)
    }

    /// Without a configuration; a machine is on the network by a wire if there is a seed.
    pub fn bare(wire: Option<(u64, Trouble)>) -> Result<Stage> {
        let segment = Segment::new()?;
        let (host, far) = (NetNs::new("host")?, NetNs::new("far")?);
        let wire = match wire {
            Some((seed, trouble)) => {
                Some(segment.plug_by_wire(&host, "eth0", &HOST, seed, trouble)?)
            }
            None => {
                segment.plug(&host, "eth0", &HOST)?;
                None
            }
        };
        segment.plug(&far, "eth0", &FAR)?;
        let listeners = far.within(|| -> Result<[TcpListener; 2]> {
            let open = |address: &str| -> Result<TcpListener> {
                let listener = TcpListener::bind(address)?;
                listener.set_nonblocking(true)?;
                Ok(listener)
            };
            Ok([open("10.0.0.2:9")?, open("[2001:db8::2]:9")?])
        })??;
        Ok(Stage {
            daemon: None,
            server: None,
            install: Installation::new()?,
            host,
            far,
            segment,
            wire,
            listeners,
        })
    }

    pub fn configure(&self, config: &str) -> Result<()> {
        let path = self.install.root().join("hostlet.toml");
        std::fs::write(path, config).context("writing the configuration")
    }

    pub fn serve(&mut self, kind: Kind, options: Options) -> Result<()> {
        self.server = Some(Server::start(kind, &self.far, options)?);
        Ok(())
    }

    /// Starts hostletd.
    pub fn begin(&mut self) -> Result<()> {
        self.daemon = Some(Hostletd::start(&self.install, &self.host)?);
        Ok(())
    }

    pub fn daemon(&mut self) -> Result<&mut Hostletd> {
        self.daemon.as_mut().context("hostletd was not started")
    }

    pub fn server(&mut self) -> Result<&mut Server> {
        self.server.as_mut().context("there is no DHCP server")
    }

    /// `hostlet run ARGS -- PROBE`, ready.
    pub fn hold(&self, args: &[&str]) -> Result<Agent> {
        let command = self.install.probe(&self.host, &[&["run"], args].concat())?;
        Agent::start(&args.join(" "), command)
    }

    /// As [`Stage::hold`], by a user.
    pub fn hold_as(&self, uid: u32, args: &[&str]) -> Result<Agent> {
        let command = self.install.probe(&self.host, &[&["run"], args].concat())?;
        Agent::start(&args.join(" "), self.by(uid, &command))
    }

    /// As [`Stage::hold_as`], from within a cgroup.
    pub fn hold_in(&self, cgroup: &Path, uid: u32, args: &[&str]) -> Result<Agent> {
        let command = self.install.probe(&self.host, &[&["run"], args].concat())?;
        let user = self.by(uid, &command);
        let mut within = self.host.command("sh");
        within.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]);
        within.arg(cgroup).arg(user.get_program());
        within.args(user.get_args());
        Agent::start(&args.join(" "), within)
    }

    /// `hostlet ARGS` by a user.
    pub fn output_as(&self, uid: u32, args: &[&str]) -> Result<Output> {
        let command = self.install.command(&self.host, args);
        let mut command = self.by(uid, &command);
        command.stdin(Stdio::null()).output().context("hostlet")
    }

    /// The same command, without any privilege.
    fn by(&self, uid: u32, command: &Command) -> Command {
        let id = uid.to_string();
        let mut user = self.host.command("setpriv");
        user.args(["--reuid", &id, "--regid", &id, "--clear-groups", "--"]);
        user.arg(command.get_program()).args(command.get_args());
        user
    }

    /// `hostlet run --pool P -- true`, which has to fail with this in its message.
    pub fn refused(&self, args: &[&str], says: &[&str]) -> Result<()> {
        let all = [&["run"], args, &["--", "true"]].concat();
        let said = self.install.fail(&self.host, 125, &all)?;
        for text in says {
            ensure!(said.contains(text), "no '{text}' in: {said}");
        }
        Ok(())
    }

    /// The address from which the far machine sees the program connect.
    pub fn seen(&self, agent: &mut Agent, v6: bool) -> Result<IpAddr> {
        let (own, _) = self.connect(agent, "seen", v6)?;
        agent.ask("close seen")?;
        Ok(own)
    }

    /// A connection to the far machine that stays open: its source, and its other end.
    pub fn connect(
        &self,
        agent: &mut Agent,
        socket: &str,
        v6: bool,
    ) -> Result<(IpAddr, TcpStream)> {
        let (kind, to) = if v6 {
            ("tcp6", "[2001:db8::2]:9")
        } else {
            ("tcp4", "10.0.0.2:9")
        };
        agent.ask(&format!("{socket} = socket {kind}"))?;
        let met = agent.ask(&format!("connect {socket} {to}"))?;
        ensure!(met == "ok", "connecting to {to}: {met}");
        let listener = &self.listeners[usize::from(v6)];
        let mut accepted = None;
        wait::until("a connection to arrive", || match listener.accept() {
            Err(e) if e.kind() == ErrorKind::WouldBlock => false,
            other => {
                accepted = other.ok();
                true
            }
        })?;
        let (stream, from) = accepted.context("accepting")?;
        let own = agent.ask(&format!("address {socket}"))?;
        let own: IpAddr = own.trim_matches(['[', ']']).parse().context(own)?;
        ensure!(from.ip() == own, "{own} arrived as {}", from.ip());
        Ok((own, stream))
    }

    /// What `leases --json` lists.
    pub fn leases(&self) -> Result<Vec<Value>> {
        let answer = self.install.json(&self.host, &["leases"])?;
        let list = answer.get("leases").unwrap_or(&answer).as_array().cloned();
        let mut list = list.with_context(|| format!("no list of leases: {answer}"))?;
        // What a hostlet is without is listed as well.
        list.retain(|lease| lease["state"] != "lost");
        Ok(list)
    }

    /// Who holds which address, by hostlet.
    pub fn held(&self) -> Result<BTreeMap<String, BTreeSet<IpAddr>>> {
        let mut held = BTreeMap::<String, BTreeSet<IpAddr>>::new();
        let mut all = BTreeSet::new();
        for lease in self.leases()? {
            let address: IpAddr = text(&lease, "address")?.parse()?;
            ensure!(all.insert(address), "{address} is held twice");
            let name = text(&lease, "hostlet")?.to_owned();
            held.entry(name).or_default().insert(address);
        }
        Ok(held)
    }

    /// What is said of a pool.
    pub fn pool(&self, name: &str) -> Result<Value> {
        let answer = self.install.json(&self.host, &["pools"])?;
        let list = answer.get("pools").unwrap_or(&answer).as_array();
        let list = list.with_context(|| format!("no list of pools: {answer}"))?;
        let pool = list.iter().find(|p| p["name"] == name);
        pool.cloned()
            .with_context(|| format!("no pool {name}: {answer}"))
    }

    /// The addresses of the machine's network that hostlet put there.
    pub fn placed(&self) -> Result<BTreeSet<IpAddr>> {
        let args = ["-oneline", "address", "show", "dev", "eth0"];
        let listed = self.host.run("ip", &args)?;
        let address = |line: &str| -> Option<(String, IpAddr)> {
            let with_length = line.split_whitespace().nth(3)?;
            let address = with_length.split('/').next()?.parse().ok()?;
            Some((with_length.to_owned(), address))
        };
        let placed = listed.lines().filter_map(address);
        Ok(placed
            .filter(|(text, _)| !HOST.contains(&text.as_str()) && !text.starts_with("fe80:"))
            .map(|(_, address)| address)
            .collect())
    }

    /// Waits until no hostlet, no lease and no address is left, here and at the server.
    pub fn nothing_left(&self) -> Result<()> {
        let mut left = String::new();
        // A hundred ends, one after the other, on a busy machine.
        let limit = Duration::from_secs(60);
        let waited = wait::until_within(limit, "everything to be given back", || {
            let server = self.server.as_ref().map(Server::leases);
            let placed = self.placed().unwrap_or_default();
            let leases = self.leases().unwrap_or_default();
            let list = self.install.json(&self.host, &["list"]);
            left = format!("{placed:?} {leases:?} {list:?} {server:?}");
            let none = |v: Value| v.as_array().is_some_and(Vec::is_empty);
            placed.is_empty()
                && self.leases().is_ok_and(|l| l.is_empty())
                && list.is_ok_and(none)
                && server.is_none_or(|s| s.is_ok_and(|l| l.is_empty()))
        });
        waited.with_context(|| format!("left: {left}"))
    }
}

/// A text in an answer.
pub fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str> {
    let found = value[key].as_str();
    found.with_context(|| format!("no text '{key}' in {value}"))
}

/// Is it in the range, both ends included?
pub fn within(address: IpAddr, first: &str, last: &str) -> bool {
    let bound = |text: &str| text.parse::<IpAddr>();
    bound(first).is_ok_and(|f| f <= address) && bound(last).is_ok_and(|l| address <= l)
}
