//! A16: what is beside the ways out that `bypass` tries. They need root.

use std::fs;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::lan::Lan;

/// A hostlet with a probe in it.
struct Fixture {
    agent: Agent,
    lan: Lan,
}

impl Fixture {
    fn new() -> Result<Fixture> {
        let lan = Lan::hostlets("one", &[])?;
        Ok(Fixture {
            agent: lan.start("in")?,
            lan,
        })
    }
}

/// The kernel part is pinned below the installation's own directory here; a member
/// neither sees nor changes it.
#[test]
fn the_pins_are_out_of_reach() -> Result<()> {
    let f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    let bpf = install.root().join("bpf");
    let outside = fs::read_dir(&bpf).map(Iterator::count).unwrap_or(0);
    ensure!(outside > 0, "nothing is pinned below {}", bpf.display());
    let path = bpf.to_str().context("a path in UTF-8")?;
    let done = install.output(
        f.lan.host(),
        &["enter", "in", "--", "find", path, "-mindepth", "1"],
    )?;
    let seen = String::from_utf8_lossy(&done.stdout);
    ensure!(seen.trim().is_empty(), "a member sees {seen}");
    Ok(())
}

/// A namespace of a member's own is no machine of ours: there it may do as it likes, and
/// nothing comes out of it.
#[test]
fn a_network_namespace_of_its_own_passes_through() -> Result<()> {
    let f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    let script = "ip link set lo up && ip address add 10.0.0.1/32 dev lo && exec python3 -c \
                  'import socket; s = socket.socket(); s.bind((\"10.0.0.1\", 8080)); print(s.getsockname())'";
    let done = install.output(
        f.lan.host(),
        &[
            "enter",
            "in",
            "--",
            "unshare",
            "--user",
            "--map-root-user",
            "--net",
            "sh",
            "-c",
            script,
        ],
    )?;
    let said = String::from_utf8_lossy(&done.stdout);
    ensure!(
        said.trim() == "('10.0.0.1', 8080)",
        "{said}{}",
        String::from_utf8_lossy(&done.stderr)
    );
    Ok(())
}

/// C5: a socket that came from outside has none of our hooks; `check` finds it.
#[test]
fn a_socket_passed_in_from_outside_is_found() -> Result<()> {
    let mut f = Fixture::new()?;
    let install = f.lan.install().context("hostlets")?;
    ensure!(
        install
            .output(f.lan.host(), &["check", "in"])?
            .status
            .success(),
        "found before"
    );
    // The installation's own directory is read-only inside.
    let dir = TestDir::new("handover")?;
    let place = dir.path().join("handover");
    let place = place.to_str().context("a path in UTF-8")?.to_owned();
    let mut host = f.lan.start("host")?;
    host.ask("a = socket tcp4")?;
    host.ask("bind a 10.0.0.1:8080")?;
    host.ask("listen a")?;
    std::thread::scope(|s| -> Result<()> {
        let hand = s.spawn(|| host.ask(&format!("hand a {place}")));
        let took = f.agent.ask(&format!("b = take {place}"))?;
        ensure!(took == "ok", "take: {took}");
        hand.join()
            .map_err(|_| anyhow::anyhow!("the giver panicked"))??;
        Ok(())
    })?;
    let install = f.lan.install().context("hostlets")?;
    let done = install.output(f.lan.host(), &["check", "in", "--json"])?;
    ensure!(done.status.code() == Some(3), "check: {}", done.status);
    let found: serde_json::Value = serde_json::from_slice(&done.stdout)?;
    let text = found.to_string();
    ensure!(text.contains("10.0.0.1:8080"), "{text}");
    Ok(())
}

/// A6: a datagram without a source port, which anybody can send, is for the hostlet as any other, also where a socket of the
/// host shares the port and the hostlet's own on that address is connected.
#[test]
fn a_datagram_from_no_port_is_not_the_hosts() -> Result<()> {
    let mut f = Fixture::new()?;
    let mut host = f.lan.start("host")?;
    let share = ["a = socket udp4", "opt a reuseaddr 1"];
    let wild = |agent: &mut Agent| -> Result<()> {
        share
            .iter()
            .chain(&["bind a 0.0.0.0:5300"])
            .try_for_each(|line| agent.ask(line).map(drop))
    };
    wild(&mut host)?;
    wild(&mut f.agent)?;
    for line in [
        "b = socket udp4",
        "opt b reuseaddr 1",
        "bind b 10.0.0.5:5300",
        "connect b 10.0.0.100:5301",
    ] {
        ensure!(f.agent.ask(line)? == "ok", "{line}");
    }
    let send = "import socket, struct\n\
                s = socket.socket(socket.AF_INET, socket.SOCK_RAW, 17)\n\
                s.sendto(struct.pack('!HHHH', 0, 5300, 9, 0) + b'x', ('10.0.0.5', 0))";
    f.lan.peer().run("python3", &["-c", send])?;
    let heard = f.agent.ask("recvfrom a")?;
    ensure!(heard == "x from 10.0.0.100:0", "{heard}");
    let heard = host.ask("quiet a")?;
    ensure!(heard == "quiet", "the host: {heard}");
    Ok(())
}
