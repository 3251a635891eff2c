//! Networks that lose, double and reorder; interfaces that go down; disks that are full.

use std::collections::BTreeSet;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;
use hostlet_testkit::wire::Trouble;

use crate::stage::{HOST, LAB, RANGES, Stage};

/// As many lease at once across a bad wire; all are served, if need be at their `tries`th
/// attempt of 25 seconds, none twice.
fn across(loss: f64, kind: Kind, callers: usize, tries: usize) -> Result<()> {
    let trouble = Trouble {
        loss,
        double: 0.05,
        hold: 0.1,
        hold_for: Duration::from_millis(30),
        delay: Duration::from_micros(500),
    };
    let mut stage = Stage::bare(Some((42, trouble)))?;
    stage.serve(kind, Options::new("eth0", &RANGES)?)?;
    stage.configure(
        "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\", \"ipv6\"]\nprobe = \"off\"\ntimeout = \"25s\"\n",
    )?;
    stage.begin()?;
    let agents: Vec<Agent> = std::thread::scope(|scope| {
        let starting: Vec<_> = (0..callers)
            .map(|_| {
                scope.spawn(|| {
                    let mut got = stage.hold(&["--pool", "lab"]);
                    for _ in 1..tries {
                        if got.is_ok() {
                            break;
                        }
                        got = stage.hold(&["--pool", "lab"]);
                    }
                    got
                })
            })
            .collect();
        let started = starting.into_iter().map(|s| s.join());
        started
            .map(|s| s.expect("no panic"))
            .collect::<Result<Vec<_>>>()
    })?;
    let held = stage.held()?;
    let all: BTreeSet<_> = held.values().flatten().copied().collect();
    ensure!(all.len() == 2 * callers, "{held:?}");
    ensure!(stage.placed()? == all, "{:?}", stage.placed());
    let counts = stage.wire.as_ref().context("a wire")?.counts();
    ensure!(counts.lost > 0, "nothing was lost: {counts:?}");
    // What the server still thinks lent has to contain ours; a lost RELEASE leaves more.
    let server = stage.server.as_ref().context("a server")?;
    let theirs: BTreeSet<_> = server.leases()?.iter().map(|l| l.address).collect();
    ensure!(all.is_subset(&theirs), "ours {all:?} theirs {theirs:?}");
    stage
        .wire
        .as_ref()
        .context("a wire")?
        .set(Trouble::default());
    drop(agents);
    stage.nothing_left()
}

#[test]
fn five_in_a_hundred_frames_are_lost() -> Result<()> {
    across(0.05, Kind::Dnsmasq, 20, 1)?;
    across(0.05, Kind::Kea, 20, 1)
}

/// Each message and its answer arrive in half of all cases: by chance a caller hears
/// nothing for as long as it is willing to wait.
#[test]
fn thirty_in_a_hundred_frames_are_lost_to_dnsmasq() -> Result<()> {
    across(0.3, Kind::Dnsmasq, 10, 5)
}

#[test]
fn thirty_in_a_hundred_frames_are_lost_to_kea() -> Result<()> {
    across(0.3, Kind::Kea, 10, 5)
}

/// The wire is cut when somebody asks: an error that says what was waited for, and
/// nothing is left.
#[test]
fn no_server_hears() -> Result<()> {
    let mut stage = Stage::bare(Some((1, Trouble::default())))?;
    stage.configure(
        "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\", \"ipv6\"]\ntimeout = \"2s\"\n",
    )?;
    stage.begin()?;
    stage.wire.as_ref().context("a wire")?.cut();
    stage.refused(&["--pool", "lab"], &["DHCP", "eth0"])?;
    stage.nothing_left()
}

/// B5: a server that does not hear of the end of a lease is told again (RFC 8415, 18.2.7), and who comes back meanwhile keeps what
/// he gets.
fn told_again(kind: Kind) -> Result<()> {
    let mut stage = Stage::bare(Some((7, Trouble::default())))?;
    stage.serve(kind, Options::new("eth0", &RANGES)?)?;
    stage.configure("[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv6\"]\nprobe = \"off\"\n")?;
    stage.begin()?;
    let agents = ["returns", "leaves"].map(|name| stage.hold(&["--pool", "lab", "--name", name]));
    let wire = stage.wire.as_ref().context("a wire")?;
    let server = stage.server.as_ref().context("a server")?;
    wire.cut();
    for agent in agents {
        agent?.finish()?;
    }
    wait::until("both to be gone here", || {
        stage.leases().is_ok_and(|l| l.is_empty())
    })?;
    let theirs = server.leases()?;
    ensure!(theirs.len() == 2, "they are not lost: {theirs:?}");
    wire.mend();
    let agent = stage.hold(&["--pool", "lab", "--name", "returns"])?;
    let held = stage.placed()?;
    // A lease lasts for an hour: no end of time takes it from the server.
    let mut left = String::new();
    let only_one = wait::until_within(Duration::from_secs(30), "the other to be back", || {
        let theirs = server.leases();
        left = format!("{theirs:?}");
        theirs.is_ok_and(|l| l.iter().map(|l| l.address).collect::<BTreeSet<_>>() == held)
    });
    only_one.with_context(|| format!("held: {held:?}; at the server: {left}"))?;
    agent.finish()?;
    stage.nothing_left()
}

#[test]
fn a_server_that_did_not_hear_of_the_end_is_told_again() -> Result<()> {
    told_again(Kind::Dnsmasq)?;
    told_again(Kind::Kea)
}

/// The kernel forgets the IPv6 addresses of an interface that goes down: those that are lent come back with it.
#[test]
fn an_interface_that_is_switched_off_and_on() -> Result<()> {
    let office = "[pool.office]\ninterface = \"eth0\"\n\
        ranges = [\"10.0.0.20-10.0.0.29\", \"2001:db8::20-2001:db8::29\"]\nprobe = \"off\"\n";
    let options = Options::new("eth0", &RANGES)?;
    let config = format!("{LAB}{office}");
    let stage = Stage::with_server(Kind::Dnsmasq, options, &config)?;
    let mut agents = Vec::new();
    for pool in ["office", "lab"] {
        let mut agent = stage.hold(&["--pool", pool])?;
        let seen = [
            stage.seen(&mut agent, false)?,
            stage.seen(&mut agent, true)?,
        ];
        agents.push((agent, seen));
    }
    let (held, placed) = (stage.held()?, stage.placed()?);
    ensure!(placed.len() == 4, "{placed:?}");
    stage.host.ip(["link set eth0 down"])?;
    // hostletd may have put what is lent back already.
    let left = stage.host.run("ip", &["address", "show", "dev", "eth0"])?;
    ensure!(!left.contains(HOST[1]), "nothing was forgotten: {left}");
    stage.host.ip([
        "link set eth0 up".to_owned(),
        // The machine's own are its own business.
        "address add fe80::1/64 dev eth0 nodad".to_owned(),
        format!("address add {} dev eth0 nodad", HOST[1]),
    ])?;
    wait::until("the addresses to be back", || {
        stage.placed().is_ok_and(|now| now == placed)
    })?;
    // Until then the kernel drops what is sent, and nobody acknowledges a release.
    wait::until("the wire to carry again", || {
        let link = stage.host.run("ip", &["link", "show", "dev", "eth0"]);
        link.is_ok_and(|link| link.contains("state UP"))
    })?;
    ensure!(stage.held()? == held, "{:?}", stage.held());
    for (agent, before) in &mut agents {
        let seen = [stage.seen(agent, false)?, stage.seen(agent, true)?];
        ensure!(seen == *before, "{before:?} became {seen:?}");
    }
    drop(agents);
    stage.nothing_left()
}

/// With the disk full nobody gets an address that could not be written down.
#[test]
fn a_full_disk() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    let root = stage.install.root().to_path_buf();
    let mounted = Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=2m,mode=755", "tmpfs"])
        .arg(&root)
        .status()
        .context("mounting a small disk")?;
    ensure!(mounted.success(), "mounting a small disk: {mounted}");
    stage.configure(
        "[pool.office]\ninterface = \"eth0\"\nranges = [\"10.0.0.100-10.0.0.109\"]\nprobe = \"off\"\n",
    )?;
    stage.begin()?;
    let mut before = stage.hold(&["--pool", "office", "--name", "before"])?;
    let address = stage.seen(&mut before, false)?;
    let fill = root.join("fill");
    let full = std::fs::File::create(&fill)
        .and_then(|mut file| std::io::copy(&mut std::io::repeat(b'x'), &mut file));
    ensure!(full.is_err(), "the disk is endless");
    // More than the pages that the database has anyway.
    let mut refused = 0;
    let mut agents = Vec::new();
    for n in 0..9 {
        let name = format!("{n}-{}", "x".repeat(40));
        match stage.hold(&["--pool", "office", "--name", &name]) {
            Ok(agent) => agents.push(agent),
            Err(why) => {
                let why = format!("{why:#}");
                ensure!(why.contains("full") || why.contains("space"), "{why}");
                refused += 1;
            }
        }
    }
    ensure!(refused > 0, "a full disk refuses nobody");
    ensure!(stage.placed()?.len() == 1 + agents.len());
    ensure!(stage.seen(&mut before, false)? == address);
    // What ends now is tried again in a while, not again and again at once.
    before.finish()?;
    drop(agents);
    wait::pass(Duration::from_secs(2));
    let said = stage.daemon()?.log().len();
    ensure!(said < 100, "hostletd said {said} lines");
    // With room again all is as before, and what could not be written is made up for.
    std::fs::remove_file(&fill)?;
    stage.nothing_left()?;
    stage.hold(&["--pool", "office"])?;
    Ok(())
}
