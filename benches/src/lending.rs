//! hostletd at work: the real one, a DHCP server at the other end of the wire, and what the kernel says of its process.

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hostlet_engine::Paths;
use hostlet_lease::{Client as DhcpClient, Output, Settings, dhcp4};
use hostlet_platform::dhcp::{BUFFER, SendTo, Socket4};
use hostlet_platform::netlink;
use hostlet_wire::{Client, Open};
use rustix::event::{PollFd, PollFlags, poll};

use crate::stage::{Place, Stage, output};

/// How long an answer may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(10);

/// The pool that hostletd lends from by itself.
pub const RANGES: &str = "ranges";
/// The pool of the DHCP server.
pub const DHCP: &str = "dhcp";

const CONFIG: &str = r#"
[pool.ranges]
interface = "eth0"
ranges = ["10.64.0.10-10.64.7.255"]
probe = "off"

[pool.dhcp]
interface = "eth0"
dhcp = ["ipv4"]
probe = "off"
"#;

/// hostletd and dnsmasq; both end when this is dropped.
#[derive(Debug)]
pub struct Lending {
    socket: PathBuf,
    config: PathBuf,
    daemon: Daemon,
    server: Child,
}

/// hostletd; it is told to end when this is dropped.
#[derive(Debug)]
pub struct Daemon(Child);

impl Lending {
    /// Gives both ends of the wire an address in the networks that are lent from, and starts them.
    pub fn start(stage: &Stage) -> Result<Self> {
        Self::start_with(stage, "")
    }

    /// As [`Lending::start`], with more configuration.
    pub fn start_with(stage: &Stage, more: &str) -> Result<Self> {
        let paths = Paths::under(&stage.root);
        for (place, address) in [
            (Place::Machine, "10.64.0.1/16"),
            (Place::Machine, "10.65.0.1/16"),
            (Place::Client, "10.65.0.2/16"),
        ] {
            output(
                stage
                    .at(place, "ip")
                    .args(["address", "replace", address, "dev", "eth0"]),
            )?;
        }
        fs::write(&paths.config, format!("{CONFIG}{more}"))
            .with_context(|| format!("write {}", paths.config.display()))?;
        let mut server = stage.at(Place::Client, "dnsmasq");
        server
            .args(["--keep-in-foreground", "--conf-file=/dev/null", "--port=0"])
            .args(["--log-facility=-", "--user=root", "--group=root"])
            // It asks nobody before it offers an address: what it takes is its own work.
            .args(["--no-ping", "--dhcp-authoritative", "--dhcp-lease-max=5000"])
            .args(["--interface=eth0", "--pid-file="])
            .arg("--dhcp-range=10.65.0.10,10.65.7.255,255.255.0.0,1h");
        let mut leases = OsString::from("--dhcp-leasefile=");
        leases.push(stage.root.join("dnsmasq.leases"));
        server.arg(leases);
        let server = ready(&mut server, "IP range")?;
        Ok(Self {
            socket: paths.socket(),
            config: paths.config,
            daemon: Daemon::alone(stage)?,
            server,
        })
    }

    /// Ends hostletd as a crash does, and the DHCP server as ever.
    pub fn kill(mut self) -> Result<()> {
        self.daemon.kill()
    }

    /// A connection to hostletd.
    pub fn client(&self) -> Result<Client> {
        Ok(Client::connect(&self.socket, PATIENCE)?)
    }

    /// A request for an address of a pool.
    pub fn request(pool: &str, name: Option<String>) -> Result<Open> {
        let name = name.map(|n| n.parse()).transpose();
        Ok(Open {
            name: name.context("a name")?,
            ..Open::new(vec![pool.parse().context("a name")?])
        })
    }

    /// What the process used so far.
    pub fn used(&self) -> Result<Used> {
        Used::of(self.daemon.0.id())
    }

    /// A figure of `/proc/PID/smaps_rollup`, in MiB.
    pub fn memory(&self, key: &str) -> Result<f64> {
        self.daemon.memory(key)
    }
}

impl Daemon {
    /// With the configuration that is there.
    pub fn alone(stage: &Stage) -> Result<Self> {
        let mut daemon = Command::new(stage.hostlet.with_file_name("hostletd"));
        daemon.arg("--root").arg(&stage.root);
        ready(&mut daemon, "ready on").map(Self)
    }

    /// A connection to it.
    pub fn client(&self, stage: &Stage) -> Result<Client> {
        let socket = Paths::under(&stage.root).socket();
        Ok(Client::connect(&socket, PATIENCE)?)
    }

    /// Ends it as a crash does.
    fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        Ok(self.0.wait().map(drop)?)
    }

    /// A figure of `/proc/PID/smaps_rollup`, in MiB.
    pub fn memory(&self, key: &str) -> Result<f64> {
        let path = format!("/proc/{}/smaps_rollup", self.0.id());
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        text.lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'))
            .and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<f64>().ok())
            .map(|kib| kib / 1024.0)
            .with_context(|| format!("{path} has no {key}"))
    }
}

impl Drop for Lending {
    fn drop(&mut self) {
        end(&mut self.server);
        let _ = fs::remove_file(&self.config);
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        end(&mut self.0);
    }
}

fn end(child: &mut Child) {
    // One that was waited for has a number that may be another's.
    if matches!(child.try_wait(), Ok(Some(_))) {
        return;
    }
    if let Some(pid) = rustix::process::Pid::from_raw(child.id().cast_signed()) {
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
    }
    let _ = child.wait();
}

/// Starts what says on stderr that it is ready, in these words.
fn ready(command: &mut Command, word: &str) -> Result<Child> {
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {command:?}"))?;
    let mut lines = BufReader::new(child.stderr.take().context("stderr was asked for")?).lines();
    let mut said = Vec::new();
    for line in lines.by_ref() {
        let line = line.with_context(|| format!("read what {command:?} says"))?;
        if line.contains(word) {
            // What it says later would fill the pipe otherwise.
            std::thread::spawn(move || lines.map_while(std::io::Result::ok).for_each(drop));
            return Ok(child);
        }
        said.push(line);
    }
    let _ = child.wait();
    bail!("{command:?} did not get ready: {}", said.join("; "))
}

/// CPU time and wakeups of a process.
#[derive(Debug, Clone, Copy)]
pub struct Used {
    /// Of all its threads, those that ended too, in milliseconds.
    pub cpu: f64,
    /// How often the threads that live now went to sleep and were woken.
    pub wakeups: f64,
}

impl Used {
    fn of(pid: u32) -> Result<Self> {
        let path = format!("/proc/{pid}/stat");
        let stat = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        // The name may hold anything; behind its bracket the fields are counted from the third.
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        let ticks: Vec<f64> = fields
            .split(' ')
            .skip(11)
            .take(2)
            .filter_map(|n| n.parse().ok())
            .collect();
        let mut wakeups = 0.0;
        for task in fs::read_dir(format!("/proc/{pid}/task"))? {
            // A thread may end meanwhile.
            let status = fs::read_to_string(task?.path().join("status")).unwrap_or_default();
            wakeups += status
                .lines()
                .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))
                .and_then(|n| n.trim().parse::<f64>().ok())
                .unwrap_or(0.0);
        }
        Ok(Self {
            // Linux counts a hundred ticks a second here, whatever its own are.
            cpu: ticks.iter().sum::<f64>() * 10.0,
            wakeups,
        })
    }
}

/// A DHCP client that does nothing but ask: what the server's two round trips take.
#[derive(Debug)]
pub struct Bare {
    socket: Socket4,
    start: Instant,
    seed: u64,
}

impl Bare {
    /// On the machine's wire.
    pub fn open() -> Result<Self> {
        let interfaces = netlink::interfaces()?;
        let eth0 = interfaces.iter().find(|i| i.name == "eth0");
        Ok(Self {
            socket: Socket4::open(eth0.context("there is no eth0")?.index)?,
            start: Instant::now(),
            seed: 0,
        })
    }

    /// From DISCOVER to the ACK; the lease is given back afterwards.
    pub fn ask(&mut self) -> Result<Duration> {
        self.seed += 1;
        // What was meant for others.
        let mut buffer = vec![0; BUFFER];
        while self.socket.recv(&mut buffer)?.is_some() {}
        let settings = Settings::V4(dhcp4::Settings {
            hardware: [2, 0xfe, 0xfe, 0, 0, 1],
            hostname: None,
            user_class: None,
            wish: None,
            insist: false,
            seed: self.seed,
        });
        let begin = Instant::now();
        let mut client = DhcpClient::new(settings, self.start.elapsed());
        while !self.go_on(&mut client)? {
            self.wait()?;
            while let Some(received) = self.socket.recv(&mut buffer)? {
                client.receive(received.payload, self.start.elapsed());
            }
            if begin.elapsed() > PATIENCE {
                bail!("the DHCP server did not answer within {PATIENCE:?}");
            }
        }
        let took = begin.elapsed();
        client.release(self.start.elapsed());
        self.go_on(&mut client)?;
        Ok(took)
    }

    /// Does what the client asks for; whether it has its lease.
    fn go_on(&self, client: &mut DhcpClient) -> Result<bool> {
        while let Some(output) = client.poll() {
            match output {
                Output::Send { payload, .. } => self.socket.send(&payload, SendTo::Broadcast)?,
                Output::Claim { .. } => client.claimed(true, self.start.elapsed()),
                Output::Probe { .. } => client.probed(true, self.start.elapsed()),
                Output::Bound(_) => return Ok(true),
                Output::Refused { why } => bail!("the DHCP server refused: {why}"),
                Output::Renewed(_) | Output::Lost { .. } => {}
            }
        }
        Ok(false)
    }

    fn wait(&self) -> Result<()> {
        let wait = rustix::event::Timespec::try_from(PATIENCE).context("a time")?;
        let mut fds = [PollFd::from_borrowed_fd(self.socket.as_fd(), PollFlags::IN)];
        match poll(&mut fds, Some(&wait)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}
