//! Threads that share sockets and agree on nothing. What one of them does falls between two steps of another's, where the kernel
//! part has looked at the socket already: no order of calls by one thread leads there.

use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::AsRawFd;
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::sniffer::Seen;
use hostlet_testkit::wait;
use rustix::event::{PollFd, PollFlags, poll};

use super::{Attempt, Bench, Finding, Layer, Who, code};
use crate::chance::seed_of_the_day;

pub(super) const ATTEMPTS: &[Attempt] = &[
    code(
        "quarrel-families",
        "several threads connect UDP that has sent before over IPv6 and to `::ffff:…`: a source of the other family",
        Layer::Guard,
        |bench, who| quarrel(bench, who, FAMILIES),
    ),
    code(
        "quarrel-loopback",
        "several threads connect sockets to the loopback and to the host: the loopback as a source",
        Layer::Guard,
        |bench, who| quarrel(bench, who, LOOPBACK),
    ),
    code(
        "quarrel-groups",
        "several threads connect UDP that has sent before to groups: the copies that the machine itself gets",
        Layer::Guard,
        |bench, who| quarrel(bench, who, GROUPS),
    ),
    code(
        "quarrel-any",
        "several threads do anything to sockets of all kinds that they share",
        Layer::Guard,
        |bench, who| quarrel(bench, who, ANY),
    ),
];

/// What they do: see the probe's `quarrel`. The host listens at `PORT`; what goes there is judged.
const FAMILIES: &str = "
    * = socket udp6
    sendto * {[2001:db8::100]|[::ffff:10.0.0.100]}:9 x
    connect * [2001:db8::{100|1}]:PORT
    connect * [::ffff:10.0.0.{100|1}]:PORT
    connect * [::ffff:10.0.0.{100|1}]:PORT
    connect * unspec
    send * x
    send * x
";

const LOOPBACK: &str = "
    * = socket {udp4|tcp4}
    sendto * 10.0.0.100:9 x
    bind * {0.0.0.0|127.0.0.1|239.1.2.3}:{0|7101}
    listen *
    connect * 10.0.0.{100|1}:PORT
    connect * 127.0.0.1:PORT
    connect * unspec
    shutdown * rdwr
    send * x
";

const GROUPS: &str = "
    * = socket {udp4|udp6}
    sendto * {10.0.0.100|[2001:db8::100]|[::ffff:10.0.0.100]}:9 x
    connect * {10.0.0.100|[2001:db8::100]}:PORT
    connect * {239.1.2.3|10.0.0.255|[ff02::1%eth0]}:PORT
    connect * {239.1.2.3|[ff02::1%eth0]|127.0.0.1|[::1]}:PORT
    connect * unspec
    opt * broadcast 1
    opt * mcast-if {eth0|10.0.0.9}
    send * x
    send * x
    send * x
";

const ANY: &str = "
    * = socket {udp4|udp4|udp6|udp6|tcp4|tcp6|ping4|ping6}
    bind * {10.0.0.5|0.0.0.0|127.0.0.1|10.0.0.9|10.0.0.1|239.1.2.3}:{0|7101|7102|7103}
    bind * [{2001:db8::5|::|::1|2001:db8::1|::ffff:10.0.0.5|::ffff:0.0.0.0|ff02::1}]:{0|7101|7102|7103}
    connect * {10.0.0.100|10.0.0.150|10.0.0.1|10.0.0.5|127.0.0.1|239.1.2.3|10.0.0.255|0.0.0.0}:PORT
    connect * [{2001:db8::100|2001:db8::1|2001:db8::5|::1|::|ff02::1%eth0}]:PORT
    connect * [::ffff:{10.0.0.100|10.0.0.1|127.0.0.1|239.1.2.3}]:PORT
    connect * unspec
    send * x
    send * x
    send * x
    sendto * {10.0.0.100|10.0.0.150|10.0.0.1|127.0.0.1|239.1.2.3|10.0.0.255|255.255.255.255}:PORT x
    sendto * [{2001:db8::100|2001:db8::1|::1|ff02::1%eth0|::ffff:10.0.0.100|::ffff:239.1.2.3}]:PORT x
    sendmsg * {-|10.0.0.100:PORT|10.0.0.1:PORT|239.1.2.3:PORT} x src={10.0.0.5|10.0.0.1|10.0.0.9|127.0.0.1}
    sendmsg * {-|[2001:db8::100]:PORT|[::ffff:10.0.0.100]:PORT} x src={2001:db8::5|2001:db8::1|::1|::ffff:10.0.0.1}
    echo * {-|10.0.0.100:0|[2001:db8::100]:0}
    listen *
    recv *
    shutdown * {rd|wr|rdwr}
    opt * {broadcast|reuseaddr|reuseport|freebind|mcast-loop|mcast-ttl|segment|v6only} {0|1}
    opt * mcast-if {eth0|10.0.0.9}
    opt * device {eth0|lo}
    opt * addrform 2
    source-route * loose 10.0.0.100
";

const THREADS: u64 = 4;
const SOCKETS: u64 = 2;
/// So many by each thread, in so many turns with new sockets.
const ROUNDS: u64 = 50_000;
const TURNS: u64 = 2;
/// For somebody outside, who does not have to be lucky.
const OUTSIDE: u64 = 2_000;

fn quarrel(bench: &mut Bench, who: Who, lines: &str) -> Result<Finding> {
    let name = match who {
        Who::User => "in-user",
        Who::Root => "in-root",
    };
    let (seed, port) = (seed_of_the_day()?, bench.next_port);
    bench.next_port += 2;
    // Where the processor is emulated each call is slow: fewer have to do.
    let slow = wait::patience(Duration::from_secs(1)).as_secs();
    let outside = bench.fought("outside", lines, seed, OUTSIDE / slow, port + 1)?;
    ensure!(
        outside.stray.is_some(),
        "outside nothing foreign is seen or heard either: it proves nothing"
    );
    let mut well = 0;
    for turn in 0..TURNS {
        let seed = seed.wrapping_add(turn);
        let fought = bench.fought(name, lines, seed, ROUNDS / (slow * slow), port)?;
        ensure!(
            fought.own > 0,
            "nothing is heard from the hostlet's own addresses: it proves nothing"
        );
        if let Some(stray) = fought.stray {
            return Ok(Finding {
                out: Some(format!("{stray} (seed {seed})")),
                ..Finding::default()
            });
        }
        well += fought.well;
    }
    Ok(Finding {
        refused: format!("seed {seed}, {well} calls"),
        ..Finding::default()
    })
}

/// What came of a quarrel.
struct Fought {
    /// How many calls did something.
    well: u64,
    /// What the host's services heard from addresses of the hostlet.
    own: usize,
    /// What was seen or heard with another source, or with the loopback's where it does not belong.
    stray: Option<String>,
}

impl Bench {
    /// Has somebody quarrel, while neighbours are forgotten and one comes and goes: packets wait for them.
    fn fought(
        &mut self,
        name: &str,
        lines: &str,
        seed: u64,
        rounds: u64,
        port: u16,
    ) -> Result<Fought> {
        let file = self.files().join("quarrel");
        let lines = lines.trim().lines().map(str::trim).collect::<Vec<_>>();
        std::fs::write(&file, lines.join("\n").replace("PORT", &port.to_string()))?;
        let at = (self.at_peer.seen().len(), self.at_host.seen().len());
        let ears = Ears::open(self, port)?;
        // It is there before anything is disturbed.
        self.ask(name, "status Uid")?;
        let mut agent = self.agents.remove(name).context("an agent")?;
        let line = format!(
            "quarrel {seed} {THREADS} {SOCKETS} {rounds} {}",
            file.display()
        );
        let quarrel = std::thread::spawn(move || {
            let said = agent.ask(&line);
            (agent, said)
        });
        while !quarrel.is_finished() {
            let peer = self.lan.peer();
            peer.ip(["address add 10.0.0.150/24 dev br0"])?;
            // New ones come faster than `ip` has patience for.
            let _ = self.lan.forget_neighbours(true);
            peer.ip(["address del 10.0.0.150/24 dev br0"])?;
        }
        let quarrel = quarrel.join();
        let (agent, said) = quarrel.map_err(|_| anyhow::anyhow!("who quarrels panicked"))?;
        self.agents.insert(name.into(), agent);
        let said = said?;
        let well = said.parse().with_context(|| format!("{name}: {said}"))?;
        self.flush()?;
        let (own, strange): (Vec<_>, Vec<_>) = ears
            .close()?
            .into_iter()
            .partition(|from| self.own.contains(from) && !self.is_own_loop(from));
        let heard = strange
            .first()
            .map(|from| format!("{from} heard by a service of the host"));
        Ok(Fought {
            well,
            own: own.len(),
            stray: self.stray(port, at).or(heard),
        })
    }

    fn is_own_loop(&self, ip: &IpAddr) -> bool {
        let text = ip.to_string();
        let of = |word: &str| self.words.get(word).is_some_and(|known| *known == text);
        // The kernel gives sockets of IPv6 that are connected 127.0.0.6; what stands for further addresses of a loopback is in
        // 127.192.0.0/10, and nobody else here has any.
        let further =
            matches!(ip, IpAddr::V4(ip) if ip.octets()[0] == 127 && ip.octets()[1] >= 192);
        further || of("in-loop4") || of("in-loop6")
    }

    /// A packet with a foreign source, or from the hostlet's loopback to elsewhere.
    fn stray(&self, port: u16, from: (usize, usize)) -> Option<String> {
        let sides = [
            (&self.at_peer, from.0, "peer"),
            (&self.at_host, from.1, "host"),
        ];
        for (sniffer, start, side) in sides {
            let strays = |seen: &&Seen| {
                let home = self.own.contains(&seen.to) || seen.to.is_loopback();
                // The loopback is asked for an echo, which the kernel answers everywhere.
                let asks = seen.echo && side == "host" && seen.from.is_loopback() && home;
                let foreign = match self.is_own_loop(&seen.from) {
                    true => !home,
                    false => self.is_foreign(seen),
                };
                (seen.port == port || seen.echo) && foreign && !asks
            };
            if let Some(seen) = sniffer.seen().iter().skip(start).find(strays) {
                let what = match seen.port {
                    0 => "an echo request".into(),
                    _ => format!("a packet of protocol {}", seen.protocol),
                };
                let Seen { from, to, .. } = seen;
                return Some(format!("{what} {from} → {to} seen at {side}"));
            }
        }
        None
    }
}

/// The host's services at a port, on the wildcard of both families: who speaks to them.
struct Ears {
    end: std::io::PipeWriter,
    thread: JoinHandle<Result<Vec<IpAddr>>>,
}

impl Ears {
    fn open(bench: &Bench, port: u16) -> Result<Ears> {
        let (datagrams, connections) = bench.lan.host().within(|| -> std::io::Result<_> {
            let datagrams = UdpSocket::bind(("::", port))?;
            let group = libc::ip_mreqn {
                imr_multiaddr: libc::in_addr {
                    s_addr: u32::from_ne_bytes([239, 1, 2, 3]),
                },
                imr_address: libc::in_addr {
                    s_addr: u32::from_ne_bytes([10, 0, 0, 1]),
                },
                imr_ifindex: 0,
            };
            // SAFETY: the value is as long as said and lives through the call.
            let joined = unsafe {
                libc::setsockopt(
                    datagrams.as_raw_fd(),
                    libc::IPPROTO_IP,
                    libc::IP_ADD_MEMBERSHIP,
                    (&raw const group).cast(),
                    size_of_val(&group) as libc::socklen_t,
                )
            };
            if joined < 0 {
                return Err(std::io::Error::last_os_error());
            }
            datagrams.set_nonblocking(true)?;
            let connections = TcpListener::bind(("::", port))?;
            connections.set_nonblocking(true)?;
            Ok((datagrams, connections))
        })??;
        let (ended, end) = std::io::pipe()?;
        let thread = std::thread::spawn(move || -> Result<Vec<IpAddr>> {
            let mut heard = Vec::new();
            loop {
                let mut ready = [
                    PollFd::new(&datagrams, PollFlags::IN),
                    PollFd::new(&connections, PollFlags::IN),
                    PollFd::new(&ended, PollFlags::IN),
                ];
                poll(&mut ready, None)?;
                let over = !ready[2].revents().is_empty();
                let mut text = [0; 16];
                while let Ok((_, from)) = datagrams.recv_from(&mut text) {
                    heard.push(from.ip().to_canonical());
                }
                while let Ok((_, from)) = connections.accept() {
                    heard.push(from.ip().to_canonical());
                }
                if over {
                    return Ok(heard);
                }
            }
        });
        Ok(Ears { end, thread })
    }

    /// Who spoke to them.
    fn close(self) -> Result<Vec<IpAddr>> {
        drop(self.end);
        let heard = self.thread.join();
        heard.map_err(|_| anyhow::anyhow!("who listened panicked"))?
    }
}
