//! Interfaces that are deleted, made again and renamed while addresses on them are held; wires and servers that cannot be
//! asked.

use std::net::{IpAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;

use crate::stage::{HOST, LAB, RANGES, Stage};

/// What Kea says when it prolongs a lease of either family.
const RENEWED: [&str; 2] = ["DHCP4_LEASE_ALLOC", "DHCP6_LEASE_RENEW"];

fn stage(seconds: u64) -> Result<Stage> {
    let options = Options::new("eth0", &RANGES)?.lease(Duration::from_secs(seconds));
    Stage::with_server(Kind::Kea, options, LAB)
}

fn addresses(stage: &Stage, agent: &mut Agent) -> Result<[IpAddr; 2]> {
    Ok([stage.seen(agent, false)?, stage.seen(agent, true)?])
}

/// The machine gets another interface of the same name.
fn plug(stage: &Stage) -> Result<()> {
    stage.segment.plug(&stage.host, "eth0", &HOST)
}

/// Both leases are prolonged, and used as before.
fn renewed(stage: &mut Stage, agent: &mut Agent, before: [IpAddr; 2]) -> Result<()> {
    let logs = stage.server()?.logs();
    let from: Vec<usize> = logs.iter().map(|log| log.len()).collect();
    for ((log, from), event) in logs.iter().zip(from).zip(RENEWED) {
        log.wait_from(from, event, Duration::from_secs(12))?;
    }
    wait::until("the addresses to be where they were", || {
        addresses(stage, agent).is_ok_and(|now| now == before)
    })?;
    ensure!(stage.placed()? == before.into(), "{:?}", stage.placed());
    ensure!(stage.held()?.values().eq([&before.into()]));
    Ok(())
}

fn clean_end(mut stage: Stage, agent: Agent) -> Result<()> {
    agent.finish()?;
    stage.nothing_left()?;
    stage.daemon.take().context("hostletd")?.stop()
}

#[test]
fn leases_are_renewed_on_an_interface_that_was_made_again() -> Result<()> {
    let mut stage = stage(8)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let before = addresses(&stage, &mut agent)?;
    stage.host.ip(["link delete eth0"])?;
    plug(&stage)?;
    for _ in 0..2 {
        renewed(&mut stage, &mut agent, before)?;
    }
    clean_end(stage, agent)
}

#[test]
fn leases_follow_the_name_of_their_interface() -> Result<()> {
    let mut stage = stage(8)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let before = addresses(&stage, &mut agent)?;
    stage.host.ip([
        "link set eth0 down",
        "link set eth0 name old0",
        "address flush dev old0 scope link",
        "address delete 10.0.0.1/24 dev old0",
    ])?;
    plug(&stage)?;
    for _ in 0..2 {
        renewed(&mut stage, &mut agent, before)?;
    }
    let old = stage.host.run("ip", &["address", "show", "dev", "old0"])?;
    ensure!(
        before.iter().all(|a| !old.contains(&a.to_string())),
        "{old}"
    );
    clean_end(stage, agent)
}

#[test]
fn an_interface_that_is_away_for_longer_than_the_lease() -> Result<()> {
    let mut stage = stage(6)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    addresses(&stage, &mut agent)?;
    stage.host.ip(["link delete eth0"])?;
    // What else changes is no reason to complain again.
    for name in ["one", "two"] {
        let other = format!("link add {name}0 type veth peer name {name}1");
        stage.host.ip([other])?;
        wait::pass(Duration::from_millis(100));
    }
    wait::until("the leases to be lost", || {
        stage.leases().is_ok_and(|l| l.is_empty())
    })?;
    let log = stage.daemon()?.log().clone();
    let gone = log.count("interface eth0 is gone; its leases");
    ensure!(gone == 1, "said {gone} times");
    let without = log.count("is without");
    ensure!(without == 2, "said of two addresses {without} times");
    plug(&stage)?;
    wait::until("the network to be back", || {
        addresses(&stage, &mut agent).is_ok()
    })?;
    clean_end(stage, agent)
}

#[test]
fn an_interface_that_is_made_again_while_hostletd_is_dead() -> Result<()> {
    for late in [false, true] {
        let mut stage = stage(3600)?;
        let mut agent = stage.hold(&["--pool", "lab"])?;
        let before = addresses(&stage, &mut agent)?;
        stage.daemon.take().context("hostletd")?.kill()?;
        stage.host.ip(["link delete eth0"])?;
        if late {
            stage.begin()?;
            plug(&stage)?;
        } else {
            plug(&stage)?;
            stage.begin()?;
        }
        wait::until("the addresses to be where they were", || {
            addresses(&stage, &mut agent).is_ok_and(|now| now == before)
        })?;
        clean_end(stage, agent)?;
    }
    Ok(())
}

/// hostletd has no descriptor left when the server has answered.
#[test]
fn what_a_server_lends_is_not_used_without_a_probe() -> Result<()> {
    let config = "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\"]\n";
    let options = Options::new("eth0", &RANGES)?;
    let mut stage = Stage::with_server(Kind::Dnsmasq, options, config)?;
    let mut server = stage.server.take().context("a server")?;
    server.freeze()?;
    let pid = stage.daemon()?.pid().to_string();
    let limit = |soft: u32| -> Result<()> {
        let nofile = format!("--nofile={soft}:");
        let set = Command::new("prlimit")
            .args(["--pid", &pid, &nofile])
            .status();
        ensure!(set.context("prlimit")?.success());
        Ok(())
    };
    std::thread::scope(|scope| -> Result<()> {
        let caller = scope.spawn(|| stage.refused(&["--pool", "lab"], &["cannot probe 10.0.0."]));
        wait::until("hostletd to listen for servers", || {
            let sockets = stage
                .host
                .within(|| std::fs::read_to_string("/proc/thread-self/net/packet"));
            sockets.is_ok_and(|text| text.is_ok_and(|t| t.contains(" 0800 ")))
        })?;
        // More than it waits for at once, less than it has.
        limit(8)?;
        server.thaw()?;
        let refused = caller.join().expect("no caller panics");
        limit(4096)?;
        refused
    })?;
    stage.server = Some(server);
    stage.nothing_left()?;
    let agent = stage.hold(&["--pool", "lab"])?;
    clean_end(stage, agent)
}

/// Another program has the port on the leased address.
#[test]
fn a_renewal_that_must_be_broadcast_is_told_once() -> Result<()> {
    let mut stage = stage(4)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let before = addresses(&stage, &mut agent)?;
    let port = (before[0], 68);
    let _held = stage.host.within(|| UdpSocket::bind(port))??;
    for _ in 0..2 {
        renewed(&mut stage, &mut agent, before)?;
    }
    let told = stage.daemon()?.log().count("it is broadcast instead");
    ensure!(told == 1, "told {told} times");
    clean_end(stage, agent)
}
