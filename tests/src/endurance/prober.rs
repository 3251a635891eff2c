//! Programs in hostlets that try, all the time, what they must not be able to.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;

use anyhow::{Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::sniffer::Seen;

/// Who does a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Who {
    Member,
    Peer,
}
use Who::{Member, Peer};

/// What is tried: addresses of the host, of nobody, of another hostlet, and what is answered (`ONE|OTHER`: as the kernel, or
/// the moment, has it). To `PORT` of the peer only what leaves from the hostlet's own addresses may come: whoever listens on the
/// wire looks for others. `{a}` is the port of the member's socket.
const TRIES: &[(Who, &str, &str)] = &[
    // A foreign source by bind.
    (Member, "a = socket tcp4", "ok"),
    (Member, "bind a 10.0.0.1:0", "EADDRNOTAVAIL"),
    (Member, "opt a freebind 1", "ok"),
    (Member, "bind a 10.0.0.9:0", "EADDRNOTAVAIL"),
    (Member, "bind a 10.0.0.5:0", "EADDRNOTAVAIL"),
    (Member, "connect a 10.0.0.100:PORT", REFUSED),
    (Member, "a = socket tcp6", "ok"),
    (Member, "bind a [::ffff:10.0.0.1]:0", "EADDRNOTAVAIL"),
    (Member, "bind a [2001:db8::1]:0", "EADDRNOTAVAIL"),
    (Member, "connect a [2001:db8::100]:PORT", REFUSED),
    // By a control message, on a socket without an address, with one, and connected.
    (Member, "a = socket udp4", "ok"),
    (Member, "bind a 10.0.0.1:0", "EADDRNOTAVAIL"),
    (
        Member,
        "sendmsg a 10.0.0.100:PORT x src=10.0.0.1",
        NO_SOURCE,
    ),
    (
        Member,
        "sendmsg a 10.0.0.100:PORT x src=10.0.0.5",
        NO_SOURCE,
    ),
    (Member, "sendto a 10.0.0.100:PORT x", "ok"),
    (
        Member,
        "sendmsg a 10.0.0.100:PORT x src=10.0.0.1",
        NO_SOURCE,
    ),
    (Member, "connect a 10.0.0.100:PORT", "ok"),
    (Member, "send a x", "ok"),
    // Which leaves from its own all the same, since it has sent before.
    (Member, "sendmsg a - x src=10.0.0.9", "ok"),
    (Member, "a = socket udp4", "ok"),
    (Member, "connect a 10.0.0.100:PORT", "ok"),
    (Member, "sendmsg a - x src=10.0.0.9", NO_SOURCE),
    (Member, "a = socket udp6", "ok"),
    (Member, "bind a [2001:db8::9]:0", "EADDRNOTAVAIL"),
    (
        Member,
        "sendmsg a [2001:db8::100]:PORT x src=2001:db8::1",
        NO_SOURCE,
    ),
    (Member, "sendto a [2001:db8::100]:PORT x", "ok"),
    (
        Member,
        "sendmsg a [2001:db8::100]:PORT x src=2001:db8::9",
        NO_SOURCE,
    ),
    (
        Member,
        "sendmsg a [::ffff:10.0.0.100]:PORT x src=::ffff:10.0.0.1",
        NO_SOURCE,
    ),
    // Listening without a bind, which the kernel puts on the host's wildcard.
    (Member, "a = socket tcp4", "ok"),
    (Member, "listen a", "ok"),
    (Peer, "b = socket tcp4", "ok"),
    (Peer, "connect b 10.0.0.1:{a}", NOBODY),
    (Member, "c = accept a", "EAGAIN"),
    (Member, "a = socket tcp6", "ok"),
    (Member, "listen a", "ok"),
    (Peer, "b = socket tcp6", "ok"),
    (Peer, "connect b [2001:db8::1]:{a}", NOBODY),
    (Member, "c = accept a", "EAGAIN"),
];

/// Nobody listens at the peer; where the machine is busy, its refusal is late.
const REFUSED: &str = "ECONNREFUSED|EINPROGRESS";
const NO_SOURCE: &str = "EINVAL|ENETUNREACH";
/// Whoever asks the host for what a member listens on hears nothing, or that nobody does.
const NOBODY: &str = "EINPROGRESS|ECONNREFUSED";

/// How long a step waits for what shall not come, in milliseconds.
const PATIENCE: &str = "patience 10";

/// A prober; it tries until it is ended.
pub(super) struct Prober {
    port: u16,
    /// Its own addresses, also one that comes and goes.
    own: Vec<IpAddr>,
    stop: Arc<AtomicBool>,
    tried: Arc<AtomicU64>,
    thread: JoinHandle<Result<()>>,
}

impl Prober {
    /// `port` is one that nobody else sends to, at the peer's machine, on which `peer` is. The member's own addresses are
    /// `own`, and `always` are some that it always has.
    pub(super) fn start(
        mut member: Agent,
        mut peer: Agent,
        port: u16,
        own: Vec<IpAddr>,
        always: Vec<String>,
    ) -> Result<Prober> {
        let stop = Arc::new(AtomicBool::new(false));
        let tried = Arc::new(AtomicU64::new(0));
        let (told, counted) = (stop.clone(), tried.clone());
        member.ask(PATIENCE)?;
        peer.ask(PATIENCE)?;
        // Somebody has the port of datagrams, and reads none: no answer says that nobody does.
        for (socket, bind) in [("u = socket udp4", "0.0.0.0"), ("v = socket udp6", "[::]")] {
            let name = &socket[..1];
            peer.ask(socket)?;
            if name == "v" {
                peer.ask("opt v v6only 1")?;
            }
            let got = peer.ask(&format!("bind {name} {bind}:{port}"))?;
            ensure!(got == "ok", "the peer cannot bind {port}: {got}");
        }
        let thread = std::thread::spawn(move || {
            while !told.load(Ordering::Relaxed) {
                once(&mut member, &mut peer, port, &always)?;
                counted.fetch_add(1, Ordering::Relaxed);
            }
            peer.finish()?;
            member.finish().map(drop)
        });
        Ok(Prober {
            port,
            own,
            stop,
            tried,
            thread,
        })
    }

    /// Still well?
    pub(super) fn runs(&self) -> bool {
        !self.thread.is_finished()
    }

    /// How many packets of its arrived, all of which are from its own addresses.
    ///
    /// # Errors
    /// When one is not.
    pub(super) fn heard(&self, seen: &[Seen]) -> Result<usize> {
        let mut count = 0;
        for packet in seen.iter().filter(|packet| packet.port == self.port) {
            ensure!(
                self.own.contains(&packet.from),
                "a packet to port {} came from {}",
                self.port,
                packet.from
            );
            count += 1;
        }
        Ok(count)
    }

    /// Ends it, and gives how many rounds it tried.
    pub(super) fn finish(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let done = self.thread.join();
        done.map_err(|_| anyhow::anyhow!("a prober panicked"))??;
        Ok(self.tried.load(Ordering::Relaxed))
    }
}

/// Everything, once.
fn once(member: &mut Agent, peer: &mut Agent, port: u16, always: &[String]) -> Result<()> {
    let port = port.to_string();
    for (who, line, wanted) in TRIES {
        let mut line = line.replace("PORT", &port);
        if line.contains("{a}") {
            line = line.replace("{a}", &member.ask("raw-port a")?);
        }
        let got = match who {
            Member => member.ask(&line)?,
            Peer => peer.ask(&line)?,
        };
        let right = wanted.split('|').any(|one| one == got);
        ensure!(right, "`{line}`: {got}, not {wanted}");
    }
    for own in always {
        let family = if own.starts_with('[') { '6' } else { '4' };
        member.ask(&format!("a = socket tcp{family}"))?;
        let got = member.ask(&format!("bind a {own}"))?;
        ensure!(got == "ok", "`bind a {own}`: {got}");
    }
    Ok(())
}
