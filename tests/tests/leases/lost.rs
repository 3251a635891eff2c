//! What becomes of a holder whose lease is lost: cut off, or on the machine's address.

use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;

use crate::stage::{LAB, RANGES, Stage, text};

/// From where the short leases come after the server has moved.
const ELSEWHERE: [&str; 2] = ["10.0.0.200-10.0.0.220/24", "2001:db8::200-2001:db8::220/64"];

fn short(ranges: &[&str], seconds: u64) -> Result<Options> {
    Ok(Options::new("eth0", ranges)?.lease(Duration::from_secs(seconds)))
}

fn stage(on_loss: &str, seconds: u64) -> Result<Stage> {
    let config = format!("{LAB}on-loss = \"{on_loss}\"\n");
    Stage::with_server(Kind::Kea, short(&RANGES, seconds)?, &config)
}

/// Its socket on the lost address has died.
fn is_dead(agent: &mut Agent) -> Result<()> {
    let said = agent.ask("send open hello")?;
    ensure!(said.starts_with('E'), "the old connection sends: {said}");
    Ok(())
}

fn gone(stage: &Stage) -> Result<()> {
    wait::until("the addresses to go", || {
        stage.placed().is_ok_and(|p| p.is_empty())
    })
}

/// No server until the lease ends: the address goes, the sockets die, nothing is
/// reachable; with the server a new lease comes, for the same hostlet.
#[test]
fn a_silent_server_cuts_off_until_it_is_back() -> Result<()> {
    let mut stage = stage("cut-off", 4)?;
    let mut agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
    let (_, _open) = stage.connect(&mut agent, "open", false)?;
    let before = stage.held()?;
    stage.server()?.stop()?;
    gone(&stage)?;
    is_dead(&mut agent)?;
    agent.ask("now = socket tcp4")?;
    let met = agent.ask("connect now 10.0.0.2:9")?;
    ensure!(met == "ENETUNREACH", "cut off, connecting: {met}");
    let met = agent.ask("bind now 10.0.0.1:80")?;
    ensure!(met == "EADDRNOTAVAIL", "cut off, binding: {met}");
    stage.server()?.restart()?;
    let mut address = None;
    wait::until("the network to be back", || {
        address = stage.seen(&mut agent, false).ok();
        address.is_some()
    })?;
    let address = address.context("an address")?;
    ensure!(before["one"].contains(&address), "{address}");
    Ok(())
}

/// A lease came back, and somebody else has put its address on the machine meanwhile.
fn kept_waiting(seconds: u64) -> Result<(Stage, Agent, IpAddr)> {
    let mut stage = stage("cut-off", seconds)?;
    let mut agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
    let address = stage.seen(&mut agent, false)?;
    stage.server()?.stop()?;
    gone(&stage)?;
    others(&stage, "add", address)?;
    stage.server()?.restart()?;
    stage.daemon()?.log().wait("and not by hostletd")?;
    Ok((stage, agent, address))
}

fn others(stage: &Stage, what: &str, address: IpAddr) -> Result<()> {
    let line = format!("address {what} {address}/32 dev lo");
    stage.host.ip([line.as_str()])
}

/// Waiting for its address it goes on being prolonged, and counts as long as it was prolonged to once the address is free.
#[test]
fn a_lease_that_waits_for_its_address_is_prolonged() -> Result<()> {
    let (mut stage, mut agent, address) = kept_waiting(6)?;
    // Until what the server gave first is over.
    let limit = Duration::from_secs(20);
    wait::until_within(limit, "both leases to be had", || {
        ends(&stage).is_ok_and(|ends| ends.len() == 2)
    })?;
    for _ in 0..3 {
        prolonged(&stage, &ends(&stage)?, limit)?;
    }
    let before = ends(&stage)?;
    let lease = &stage.leases()?[0];
    ensure!(lease["prefix"] == 24, "{lease}");
    others(&stage, "del", address)?;
    let had = format!("has {address} from now on");
    stage.daemon()?.log().wait(&had)?;
    ensure!(stage.seen(&mut agent, false)? == address);
    let now = ends(&stage)?;
    ensure!(now >= before, "before: {before:?}, now: {now:?}");
    Ok(())
}

/// Lost again before its address was free, it is not put there afterwards.
#[test]
fn a_lease_that_waits_for_its_address_is_lost() -> Result<()> {
    let (mut stage, _agent, address) = kept_waiting(4)?;
    stage.server()?.stop()?;
    let lost = format!("lost {address}");
    wait::until("the loss of the second lease", || {
        stage.daemon().is_ok_and(|d| d.log().count(&lost) == 2)
    })?;
    others(&stage, "del", address)?;
    // What could not be done is tried again every ten seconds.
    wait::pass(Duration::from_secs(11));
    let placed = stage.placed()?;
    ensure!(placed.is_empty(), "{placed:?}");
    let had = format!("has {address} from now on");
    ensure!(stage.daemon()?.log().count(&had) == 0);
    Ok(())
}

/// When each lease ends, as hostletd has it.
fn ends(stage: &Stage) -> Result<Vec<String>> {
    let leases = stage.leases()?;
    let ends = leases.iter().map(|l| Ok(text(l, "expires")?.to_owned()));
    ends.collect()
}

/// Waits until the leases of both families end later than that.
fn prolonged(stage: &Stage, before: &[String], limit: Duration) -> Result<()> {
    ensure!(before.len() == 2, "{before:?}");
    wait::until_within(limit, "both leases to be prolonged", || {
        let now = ends(stage).unwrap_or_default();
        now.len() == 2 && now.iter().zip(before).all(|(now, before)| now != before)
    })
}

/// Cut off, it stays its user's, and is looked after by the next hostletd too.
#[test]
fn a_hostlet_that_is_cut_off_outlives_hostletd() -> Result<()> {
    let mut stage = stage("cut-off", 4)?;
    let mut agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
    stage.server()?.stop()?;
    gone(&stage)?;
    stage.daemon.take().context("hostletd")?.kill()?;
    stage.begin()?;
    let listed = stage.install.json(&stage.host, &["leases"])?;
    let lost = |l: &serde_json::Value| l["state"] == "lost" && l["hostlet"] == "one";
    ensure!(
        listed.as_array().is_some_and(|all| all.iter().any(lost)),
        "{listed}"
    );
    stage.server()?.restart()?;
    wait::until_within(Duration::from_secs(30), "the network to be back", || {
        stage.seen(&mut agent, false).is_ok()
    })?;
    agent.kill()?;
    stage.nothing_left()
}

/// The server is away for less than the lease: nobody notices.
#[test]
fn a_server_that_is_away_past_t1_and_t2() -> Result<()> {
    let mut stage = stage("cut-off", 24)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let (_, _open) = stage.connect(&mut agent, "open", false)?;
    let before = stage.held()?;
    prolonged(&stage, &ends(&stage)?, Duration::from_secs(20))?;
    let renewed = ends(&stage)?;
    // From the renewals until after T2, which is at 21 of 24 s, it hears nothing.
    stage.server()?.freeze()?;
    wait::pass(Duration::from_millis(21_500));
    stage.daemon()?.log().wait("does not prolong")?;
    stage.server()?.thaw()?;
    prolonged(&stage, &renewed, Duration::from_secs(10))?;
    ensure!(stage.held()? == before);
    ensure!(agent.ask("send open hello")? == "ok", "the connection died");
    Ok(())
}

/// It has forgotten everything and serves other addresses: NAK.
#[test]
fn a_nak_after_amnesia_cuts_off_and_gives_a_new_address() -> Result<()> {
    let mut stage = stage("cut-off", 4)?;
    let mut agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
    let (_, _open) = stage.connect(&mut agent, "open", false)?;
    let before = stage.held()?;
    let server = stage.server()?;
    server.forget()?;
    server.restart_with(short(&ELSEWHERE, 4)?)?;
    wait::until("other addresses", || {
        stage.held().is_ok_and(|h| {
            h.get("one")
                .is_some_and(|now| now.len() == 2 && now.is_disjoint(&before["one"]))
        })
    })?;
    is_dead(&mut agent)?;
    let now = stage.held()?;
    for v6 in [false, true] {
        let address = stage.seen(&mut agent, v6)?;
        ensure!(now["one"].contains(&address), "{address}: {now:?}");
    }
    let placed = stage.placed()?;
    ensure!(placed == now["one"], "{placed:?}: {now:?}");
    Ok(())
}

#[test]
fn fallen_back_it_has_the_machines_address() -> Result<()> {
    let mut stage = stage("fall-back", 4)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let (_, _open) = stage.connect(&mut agent, "open", false)?;
    stage.server()?.stop()?;
    gone(&stage)?;
    is_dead(&mut agent)?;
    wait::until("the machine's address", || {
        stage
            .seen(&mut agent, false)
            .is_ok_and(|a| a.to_string() == "10.0.0.1")
    })?;
    let six = stage.seen(&mut agent, true)?;
    ensure!(six.to_string() == "2001:db8::1", "{six}");
    agent.finish()?;
    let daemon = stage.daemon.take().context("hostletd")?;
    daemon.stop()
}
