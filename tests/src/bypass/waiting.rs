//! What happens between two steps of the kernel's: copies, packets that wait, calls of others in between.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::os::fd::FromRawFd;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;

use super::{Attempt, Bench, Finding, Layer, Who, code};

pub(super) const ATTEMPTS: &[Attempt] = &[
    code(
        "looped-group",
        "connect UDP that has sent before to a group or to all of a network: the copy that the machine itself gets",
        Layer::Guard,
        looped,
    ),
    code(
        "looped-neighbour",
        "the same with a neighbour's address as its source (IP_MULTICAST_IF)",
        Layer::Guard,
        looped_neighbour,
    ),
    code(
        "looped-echo",
        "ping a group over IPv4: the copy that the machine itself gets",
        Layer::Nothing,
        looped_echo,
    )
    .possible("of echo requests and UDP-Lite the kernel makes that copy past guard and hooks, with the source by route: it stays on the machine, and is heard by its raw sockets and servers of UDP-Lite; the kernel answers no such ping (`icmp_echo_ignore_broadcasts`)"),
    code(
        "waiting-packet",
        "bind anew what has sent before, while a datagram waits for its neighbour's answer",
        Layer::Guard,
        waiting,
    ),
    code(
        "crowded-out",
        "connect UDP that has sent before over IPv6, then to `::ffff:…`, and push its connection out of the kernel part's table",
        Layer::Guard,
        crowded_out,
    ),
    code(
        "bind-clash",
        "bind all the time in a thread whose number meets a neighbour's: has its binds fail",
        Layer::Hook,
        clash,
    ),
];

fn name_of(who: Who) -> &'static str {
    match who {
        Who::User => "in-user",
        Who::Root => "in-root",
    }
}

fn finding(out: Option<String>) -> Finding {
    Finding {
        out,
        ..Finding::default()
    }
}

fn looped(bench: &mut Bench, who: Who) -> Result<Finding> {
    copies(bench, who, &["239.1.2.3:18895", "10.0.0.255:18895"], None)
}

fn looped_neighbour(bench: &mut Bench, who: Who) -> Result<Finding> {
    copies(bench, who, &["239.1.2.3:18895"], Some("10.0.0.9"))
}

/// Has a member send to groups, from that address if there is one; whether the host hears it from a foreign one.
fn copies(bench: &mut Bench, who: Who, groups: &[&str], from: Option<&str>) -> Result<Finding> {
    let name = name_of(who);
    let mut out = None;
    for to in groups {
        for line in [
            "g = socket udp4",
            "bind g 0.0.0.0:18895",
            "join g 239.1.2.3 eth0",
        ] {
            let said = bench.ask("host", line)?;
            ensure!(said == "ok", "{line}: {said}");
        }
        bench.ask(name, "a = socket udp4")?;
        bench.ask(name, "opt a broadcast 1")?;
        bench.ask(name, "sendto a 10.0.0.100:9 x")?;
        if let Some(from) = from {
            bench.ask(name, &format!("opt a mcast-if {from}"))?;
        }
        bench.ask(name, &format!("connect a {to}"))?;
        bench.ask(name, "send a looped")?;
        let heard = bench.ask("host", "recvfrom g")?;
        let (_, from) = heard
            .split_once(" from ")
            .with_context(|| format!("to {to} nothing is heard, which proves nothing: {heard}"))?;
        let (from, _) = from.rsplit_once(':').context("a port")?;
        if !bench.own.contains(&from.parse::<IpAddr>()?) {
            out = Some(format!("{from} → {to} heard at the host"));
        }
        bench.ask("host", "reset")?;
        bench.ask(name, "reset")?;
    }
    Ok(finding(out))
}

fn looped_echo(bench: &mut Bench, who: Who) -> Result<Finding> {
    let name = name_of(who);
    // A sniffer is not shown such copies.
    let socket = bench.lan.host().within(|| {
        // SAFETY: a plain system call.
        let fd = unsafe {
            libc::socket(
                libc::AF_INET,
                libc::SOCK_RAW | libc::SOCK_CLOEXEC,
                libc::IPPROTO_ICMP,
            )
        };
        if fd < 0 {
            return Err(std::io::Error::last_os_error());
        }
        // SAFETY: it is ours, and speaks datagrams as those of UDP do.
        Ok(unsafe { UdpSocket::from_raw_fd(fd) })
    })??;
    socket.set_read_timeout(Some(Duration::from_millis(500)))?;
    bench.ask(name, "a = socket ping4")?;
    bench.ask(name, "opt a mcast-if eth0")?;
    bench.ask(name, "echo a 224.0.0.1:0")?;
    let mut out = None;
    let mut packet = [0u8; 1500];
    while let (None, Ok(got)) = (&out, socket.recv(&mut packet)) {
        let from: [u8; 4] = packet[12..16].try_into()?;
        let asks = got > 20 && packet.get(usize::from(packet[0] & 15) * 4) == Some(&8);
        if asks && packet[16..20] == [224, 0, 0, 1] && !bench.own.contains(&from.into()) {
            out = Some(format!("{} heard at the host", IpAddr::from(from)));
        }
    }
    bench.ask(name, "reset")?;
    Ok(finding(out))
}

fn waiting(bench: &mut Bench, who: Who) -> Result<Finding> {
    let name = name_of(who);
    let (neighbour, port) = match who {
        Who::User => ("10.0.0.177", 18_896),
        Who::Root => ("10.0.0.178", 18_898),
    };
    let at = (bench.at_peer.seen().len(), bench.at_host.seen().len());
    for line in [
        "a = socket udp4".to_owned(),
        "sendto a 10.0.0.100:9 x".into(),
        format!("connect a {neighbour}:{port}"),
        "send a waits".into(),
        "connect a 10.0.0.100:9".into(),
        "connect a unspec".into(),
        "bind a 10.0.0.5:0".into(),
        // It waits behind the first.
        "b = socket udp4".into(),
        format!("sendto b {neighbour}:{} x", port + 1),
    ] {
        let said = bench.ask(name, &line)?;
        ensure!(said == "ok", "{line}: {said}");
    }
    let command = format!("address add {neighbour}/24 dev br0");
    bench.lan.peer().ip([command.as_str()])?;
    wait::until("the second datagram to arrive", || {
        let seen = bench.at_peer.seen();
        seen.iter().skip(at.0).any(|s| s.port == port + 1)
    })?;
    bench.flush()?;
    let out = bench.foreign(port, at, false);
    let command = format!("address del {neighbour}/24 dev br0");
    bench.lan.peer().ip([command.as_str()])?;
    bench.ask(name, "reset")?;
    Ok(finding(out))
}

/// More connections than the table holds, each of a socket that has sent before. First some on every processor: what one of them has
/// entered last is its own, and not pushed out by others.
const CROWD: &str = "import os, socket
cpus = os.sched_getaffinity(0)
for turn, cpu in enumerate([*cpus, min(cpus)]):
    os.sched_setaffinity(0, {cpu})
    for n in range(600 if turn < len(cpus) else 20000):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        s.sendto(b'x', ('10.0.0.5', 11))
        try: s.connect(('10.0.0.100', 1000 + n))
        except OSError: pass
        s.close()
print('well')
";

/// The guard finds what it knows of a connection with the socket then, where nothing says on which address it stands.
fn crowded_out(bench: &mut Bench, who: Who) -> Result<Finding> {
    let name = name_of(who);
    let port = bench.next_port;
    bench.next_port += 2;
    let at = (bench.at_peer.seen().len(), bench.at_host.seen().len());
    for line in [
        "a = socket udp6".to_owned(),
        "sendto a [::ffff:10.0.0.100]:9 x".into(),
        format!("connect a [2001:db8::100]:{port}"),
        format!("connect a [::ffff:10.0.0.100]:{port}"),
    ] {
        let said = bench.ask(name, &line)?;
        ensure!(said == "ok", "{line}: {said}");
    }
    let crowd = bench
        .member(who, "/usr/bin/python3", &["-c", CROWD])?
        .stdin(Stdio::null())
        .current_dir("/")
        .output()?;
    ensure!(crowd.stdout == b"well\n", "the crowd: {crowd:?}");
    bench.ask(name, "send a crowded")?;
    bench.flush()?;
    let out = bench.foreign(port, at, false);
    bench.ask(name, "reset")?;
    Ok(finding(out))
}

/// Goes through numbers of processes until one meets that of the neighbour's, and has that bind until there is a file.
const CLASH: &str = "import os, socket, sys
wanted, stop = int(sys.argv[1]) % 4096, sys.argv[2]
while True:
    child = os.fork()
    if child == 0:
        if os.getpid() % 4096 != wanted: os._exit(0)
        print('binding', flush=True)
        while not os.path.exists(stop):
            for n in range(1000):
                s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
                try: s.bind(('', 0))
                except OSError: pass
                s.close()
        os._exit(0)
    os.waitpid(child, 0)
    if child % 4096 == wanted: break
";

fn clash(bench: &mut Bench, who: Who) -> Result<Finding> {
    bench.victims()?;
    let stop = bench.files().join("stop");
    let _ = std::fs::remove_file(&stop);
    let (pid, path) = (bench.word("other-pid")?, stop.display().to_string());
    let mut attacker = bench
        .member(who, "/usr/bin/python3", &["-c", CLASH, &pid, &path])?
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .current_dir("/")
        .spawn()?;
    let mut said = String::new();
    BufReader::new(attacker.stdout.take().context("a pipe")?).read_line(&mut said)?;
    let mut failed = None;
    for _ in 0..1000 {
        bench.ask("other", "c = socket udp4")?;
        let answer = bench.ask("other", "bind c 0.0.0.0:0")?;
        if answer != "ok" {
            failed = Some(format!("a neighbour's bind: {answer}"));
        }
        bench.ask("other", "close c")?;
    }
    std::fs::write(&stop, "")?;
    attacker.wait()?;
    std::fs::remove_file(&stop)?;
    ensure!(said.starts_with("binding"), "{said}");
    Ok(finding(failed))
}
