//! One way, made: a machine with many addresses at the other end of the client's wire, and on it a server's place, which has
//! two of them.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use hostlet_testkit::install::Installation;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::wait;

use super::idle::Idle;
use super::ways::Way;
use crate::stage::output;

/// Where servers listen, so that what has to be told knows it: nginx, iperf3, our own.
pub const WEB: u16 = 8080;
pub const IPERF: u16 = 5201;
pub const ECHO: u16 = 7100;

/// The processors of the client, of the server, and of what stands between them.
pub const CLIENT: usize = 2;
const SERVER: usize = 0;
const HELPER: usize = 1;

/// The hostlet's name.
const NAME: &str = "server";

/// A process that is killed with this.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it; of what it says only complaints are seen.
    pub fn start(command: &mut Command) -> Result<Self> {
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Self(child))
    }

    fn ended(&mut self) -> bool {
        !matches!(self.0.try_wait(), Ok(None))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The words of `taskset` for one of the processors.
pub fn pinned(processor: usize) -> [String; 3] {
    let count = std::thread::available_parallelism().map_or(1, usize::from);
    ["taskset", "-c", &(processor % count).to_string()].map(ToOwned::to_owned)
}

/// A machine, and the server's place on it.
#[derive(Debug)]
pub struct Side {
    /// How.
    pub way: Way,
    number: usize,
    host: NetNs,
    inner: Option<NetNs>,
    install: Option<Installation>,
    idle: Option<Idle>,
    tools: std::path::PathBuf,
    // Ends before the namespaces.
    helper: Option<Running>,
}

impl Side {
    /// Makes it; the client's end of the wire is `w` and the number.
    pub fn new(way: Way, number: usize, client: &NetNs, tools: &Path) -> Result<Self> {
        let host = NetNs::new("host")?;
        let mut side = Self {
            way,
            number,
            host,
            inner: None,
            install: None,
            idle: None,
            tools: tools.to_path_buf(),
            helper: None,
        };
        let near = format!("w{number}");
        side.host.join("eth0", client, &near)?;
        client.ip([format!("address add {}/24 dev {near}", side.client())])?;
        match way {
            Way::Native | Way::NativeAgain | Way::Preload | Way::Notify => side.addresses(2..32)?,
            Way::Hostlet => side.hostlet()?,
            Way::Idle => {
                side.addresses(2..32)?;
                side.idle = Some(Idle::on(&side.host, tools)?);
            }
            Way::Routed => side.routed()?,
            Way::Bridged => side.bridged()?,
            Way::Macvlan => side.macvlan()?,
            Way::Pasta => side.pasta()?,
            Way::Slirp => side.slirp()?,
        }
        Ok(side)
    }

    /// The server's first address, or its second.
    pub fn address(&self, second: bool) -> String {
        self.at(if second { 6 } else { 5 })
    }

    /// The client's address on this wire.
    pub fn client(&self) -> String {
        self.at(100)
    }

    /// The client's interface of this wire.
    pub fn wire(&self) -> String {
        format!("w{}", self.number)
    }

    fn at(&self, last: usize) -> String {
        format!("10.80.{}.{last}", self.number)
    }

    /// The machine.
    pub fn host(&self) -> &NetNs {
        &self.host
    }

    /// The hostlet's installation, if it is one.
    pub fn install(&self) -> Option<&Installation> {
        self.install.as_ref()
    }

    /// The programs that do nothing, if it has them.
    pub fn idle(&self) -> Option<&Idle> {
        self.idle.as_ref()
    }

    /// A program in the server's place, on the server's processor.
    pub fn command(&self, program: &str) -> Command {
        let pinned = pinned(SERVER);
        let mut command = match (&self.install, &self.inner) {
            (Some(install), _) => {
                let mut command = install.command(&self.host, &["enter", NAME, "--"]);
                command.args(pinned);
                command
            }
            (None, inner) => {
                let ns = inner.as_ref().unwrap_or(&self.host);
                let [taskset, words @ ..] = pinned;
                let mut command;
                if let Some(idle) = &self.idle {
                    command = idle.command(&self.host);
                    command.arg(taskset);
                } else if self.way == Way::Notify {
                    let [own, first, second] = super::sides::pinned(HELPER);
                    command = ns.command(own);
                    command.args([first, second]).arg(self.tools.join("notify"));
                    command.args([self.address(false), taskset]);
                } else {
                    command = ns.command(taskset);
                }
                if self.way == Way::Preload {
                    command.env("LD_PRELOAD", self.tools.join("preload.so"));
                    command.env("OWN_ADDRESS", self.address(false));
                }
                command.args(words);
                command
            }
        };
        command.arg(program);
        command
    }

    /// Starts a server, and waits until it listens.
    pub fn serve(&self, command: &mut Command, port: u16) -> Result<Running> {
        let running = Running::start(command)?;
        self.inner
            .as_ref()
            .unwrap_or(&self.host)
            .wait_listening(port)?;
        Ok(running)
    }

    fn addresses(&self, last: std::ops::Range<usize>) -> Result<()> {
        let all = std::iter::once(1).chain(last);
        let lines = all.map(|last| format!("address add {}/24 dev eth0", self.at(last)));
        self.host.ip(lines.collect::<Vec<_>>())
    }

    fn hostlet(&mut self) -> Result<()> {
        self.addresses(2..32)?;
        let install = Installation::new()?;
        let [first, second] = [false, true].map(|second| self.address(second));
        let words = ["create", NAME, "--address", &first, "--address", &second];
        install.run(&self.host, &words)?;
        self.install = Some(install);
        Ok(())
    }

    fn routed(&mut self) -> Result<()> {
        self.addresses(1..1)?;
        let inner = NetNs::new("inner")?;
        self.host.join("in0", &inner, "eth0")?;
        for key in ["ip_forward", "conf/eth0/proxy_arp", "conf/in0/proxy_arp"] {
            self.host.set(&format!("ipv4/{key}"), "1")?;
        }
        // Who answers for others waits up to 0.8 s else, and that would be in whatever is measured first.
        for near in ["eth0", "in0"] {
            let key = format!("ipv4/neigh/{near}/proxy_delay");
            self.host.set(&key, "0")?;
        }
        let [first, second] = [false, true].map(|second| self.address(second));
        let near = self.at(1);
        self.host.ip([
            format!("route add {first} dev in0"),
            format!("route add {second} dev in0"),
        ])?;
        inner.ip([
            format!("address add {first}/32 dev eth0"),
            format!("address add {second}/32 dev eth0"),
            format!("route add {near} dev eth0 src {first}"),
            format!("route add default via {near} src {first}"),
        ])?;
        self.inner = Some(inner);
        Ok(())
    }

    fn bridged(&mut self) -> Result<()> {
        let inner = NetNs::new("inner")?;
        self.host.join("in0", &inner, "eth0")?;
        self.host.ip([
            "link add br0 type bridge stp_state 0 forward_delay 0".to_owned(),
            "link set br0 up".to_owned(),
            "link set eth0 master br0".to_owned(),
            "link set in0 master br0".to_owned(),
            format!("address add {}/24 dev br0", self.at(1)),
        ])?;
        self.inside(inner)
    }

    fn macvlan(&mut self) -> Result<()> {
        self.addresses(1..1)?;
        let inner = NetNs::new("inner")?;
        let path = inner.path();
        self.host
            .ip([
                "link add link eth0 name mv0 type macvlan mode bridge".to_owned(),
                format!("link set mv0 netns {path} name eth0"),
            ])
            .context("the kernel has no macvlan")?;
        inner.ip(["link set eth0 up"])?;
        self.inside(inner)
    }

    /// The two addresses on the namespace's own interface.
    fn inside(&mut self, inner: NetNs) -> Result<()> {
        let lines =
            [false, true].map(|second| format!("address add {}/24 dev eth0", self.address(second)));
        inner.ip(lines)?;
        self.inner = Some(inner);
        Ok(())
    }

    fn pasta(&mut self) -> Result<()> {
        self.addresses(2..32)?;
        // It takes an interface with a default route.
        self.host
            .ip([format!("route add default via {}", self.client())])?;
        let inner = NetNs::new("inner")?;
        // It learns the hardware address from the first packet that somebody sends: here, looking for routers.
        for (key, value) in [("addr_gen_mode", "0"), ("router_solicitations", "1")] {
            inner.set(&format!("ipv6/conf/default/{key}"), value)?;
        }
        // It has not the right to look at the descriptors of others.
        let path = self.tools.join("pasta.net");
        fs::write(&path, "").with_context(|| format!("write {}", path.display()))?;
        let path = path.display().to_string();
        output(Command::new("mount").args(["--bind", &inner.path(), &path]))?;
        let address = self.address(false);
        let mut command = self.helper("pasta");
        command.args(["--foreground", "--quiet", "--config-net", "--netns-only"]);
        // The gateway is the client: its address does not stand for the machine's loopback.
        command.args(["--no-map-gw", "--runas", "0"]);
        command.args(["--ns-ifname", "tap0", "--interface", "eth0"]);
        command.args(["--address", &address, "--outbound", &address]);
        // On all addresses of the machine: it does not take a port of two of them.
        command.args(["--tcp-ports", &format!("{WEB},{IPERF},{ECHO}")]);
        command.args(["--udp-ports", &ECHO.to_string()]);
        command.args(["--netns", &path]);
        self.translated(inner, &mut command, || true)
    }

    fn slirp(&mut self) -> Result<()> {
        self.addresses(2..32)?;
        let inner = NetNs::new("inner")?;
        let socket = self.tools.join("slirp.socket");
        let mut command = self.helper("slirp4netns");
        command.args(["--configure", "--mtu=65520"]);
        command.arg(format!("--outbound-addr={}", self.address(false)));
        command.arg(format!("--api-socket={}", socket.display()));
        command.args(["--disable-dns", "--netns-type=path", &inner.path(), "tap0"]);
        self.translated(inner, &mut command, || UnixStream::connect(&socket).is_ok())?;
        for second in [false, true] {
            for (kind, port) in [("tcp", WEB), ("tcp", IPERF), ("tcp", ECHO), ("udp", ECHO)] {
                let address = self.address(second);
                let request = serde_json::json!({
                    "execute": "add_hostfwd",
                    "arguments": {
                        "proto": kind, "host_addr": address, "host_port": port, "guest_port": port,
                    },
                });
                let mut stream = UnixStream::connect(&socket).context("ask slirp4netns")?;
                stream.write_all(request.to_string().as_bytes())?;
                stream.shutdown(std::net::Shutdown::Write)?;
                let mut answer = String::new();
                stream.read_to_string(&mut answer)?;
                if answer.contains("error") {
                    bail!("slirp4netns: {answer}");
                }
            }
        }
        Ok(())
    }

    /// What stands between the client and the server, on its processor.
    fn helper(&self, program: &str) -> Command {
        let [taskset, words @ ..] = pinned(HELPER);
        let mut command = self.host.command(taskset);
        command.args(words).arg(program);
        command
    }

    /// With what carries the packets of its namespace, once that does.
    fn translated(
        &mut self,
        inner: NetNs,
        command: &mut Command,
        ready: impl Fn() -> bool,
    ) -> Result<()> {
        // One of them says what it does, the other what it cannot.
        let said = self.tools.join(format!("said-{}", self.number));
        let file = fs::File::create(&said).with_context(|| format!("write {}", said.display()))?;
        let mut helper = Running::start(command.stderr(file))?;
        let mut ended = false;
        wait::until("an interface with a route in the namespace", || {
            ended = helper.ended();
            let routes = inner.run("ip", &["route"]);
            ended || (routes.is_ok_and(|routes| routes.contains("tap0")) && ready())
        })?;
        if ended {
            let said = fs::read_to_string(&said).unwrap_or_default();
            bail!("it ended: {}", said.lines().last().unwrap_or_default());
        }
        self.inner = Some(inner);
        self.helper = Some(helper);
        Ok(())
    }
}

impl Drop for Side {
    fn drop(&mut self) {
        self.helper = None;
        if let Some(install) = &self.install {
            // Its cgroup goes with the installation anyway.
            let _ = install.output(&self.host, &["remove", NAME, "--kill"]);
        }
        // The kernel takes its time with a namespace that nobody uses any more.
        let _ = self.host.ip(["link delete eth0"]);
    }
}
