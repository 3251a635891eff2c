//! hostletd is stopped, killed and told of a new configuration while addresses are held.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;

use crate::stage::{LAB, RANGES, Stage};

const OFFICE: &str =
    "[pool.office]\ninterface = \"eth0\"\nranges = [\"10.0.0.20-10.0.0.59\"]\nprobe = \"off\"\n";

/// It has its address, and none of the machine's.
fn confined(stage: &Stage, agent: &mut Agent, address: IpAddr) -> Result<()> {
    let now = stage.seen(agent, false)?;
    ensure!(now == address, "{address} became {now}");
    agent.ask("lapse = socket tcp4")?;
    let met = agent.ask("bind lapse 10.0.0.1:80")?;
    agent.ask("close lapse")?;
    ensure!(met == "EADDRNOTAVAIL", "the machine's address: {met}");
    Ok(())
}

#[test]
fn holders_stay_when_hostletd_is_stopped_or_killed() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let config = format!("{LAB}{OFFICE}");
        let mut stage = Stage::with_server(kind, Options::new("eth0", &RANGES)?, &config)?;
        let mut agents = Vec::new();
        for pool in ["office", "lab"] {
            let mut agent = stage.hold(&["--pool", pool, "--name", pool])?;
            let address = stage.seen(&mut agent, false)?;
            agents.push((agent, address));
        }
        let (held, placed) = (stage.held()?, stage.placed()?);
        for kill in [true, false] {
            let daemon = stage.daemon.take().context("hostletd")?;
            if kill {
                daemon.kill()?
            } else {
                daemon.stop()?
            }
            for (agent, address) in &mut agents {
                confined(&stage, agent, *address)?;
            }
            ensure!(stage.placed()? == placed, "{:?}", stage.placed());
            stage.begin()?;
            ensure!(stage.held()? == held, "{:?}", stage.held());
            for (agent, address) in &mut agents {
                confined(&stage, agent, *address)?;
            }
        }
        // What ends while nobody is there is cleaned up by the next.
        stage.daemon.take().context("hostletd")?.kill()?;
        drop(agents);
        stage.begin()?;
        stage.nothing_left()?;
    }
    Ok(())
}

/// A hostlet that stays holds its addresses with nobody inside, until it is removed.
#[test]
fn a_hostlet_that_is_created_keeps_its_addresses() -> Result<()> {
    let options = Options::new("eth0", &RANGES)?;
    let config = format!("{LAB}{OFFICE}");
    let mut stage = Stage::with_server(Kind::Dnsmasq, options, &config)?;
    let create = ["create", "stays", "--pool", "office", "--pool", "lab"];
    stage.install.run(&stage.host, &create)?;
    let (held, placed) = (stage.held()?, stage.placed()?);
    ensure!(held.len() == 1 && held["stays"] == placed, "{held:?}");
    ensure!(placed.len() == 3, "{placed:?}");
    let enter = |stage: &Stage| -> Result<Agent> {
        let command = stage.install.probe(&stage.host, &["enter", "stays"])?;
        Agent::start("stays", command)
    };
    let mut agent = enter(&stage)?;
    let address = stage.seen(&mut agent, false)?;
    ensure!(held["stays"].contains(&address), "{address}");
    agent.finish()?;
    for kill in [true, false] {
        let daemon = stage.daemon.take().context("hostletd")?;
        if kill {
            daemon.kill()?
        } else {
            daemon.stop()?
        }
        confined(&stage, &mut enter(&stage)?, address)?;
        stage.begin()?;
        ensure!(stage.held()? == held && stage.placed()? == placed);
        confined(&stage, &mut enter(&stage)?, address)?;
    }
    // Nobody else gets one of them meanwhile.
    let mut other = stage.hold(&["--pool", "office", "--name", "other"])?;
    let theirs = stage.seen(&mut other, false)?;
    ensure!(!placed.contains(&theirs), "{theirs}");
    other.finish()?;
    stage.install.run(&stage.host, &["remove", "stays"])?;
    stage.nothing_left()
}

/// Its address went while there was no hostletd, as at a restart of the machine: it is put back when the server has said that it is
/// still its own, and not before, whatever else changes in the network meanwhile.
#[test]
fn a_kept_hostlet_asks_for_its_address() -> Result<()> {
    let options = Options::new("eth0", &RANGES)?;
    let config = LAB.replace("[\"ipv4\", \"ipv6\"]", "[\"ipv4\"]");
    let mut stage = Stage::with_server(Kind::Dnsmasq, options, &config)?;
    stage
        .install
        .run(&stage.host, &["create", "kept", "--pool", "lab"])?;
    let held = stage.held()?;
    let placed = stage.placed()?;
    let address = *placed.first().context("an address")?;
    stage.daemon.take().context("hostletd")?.kill()?;
    stage
        .host
        .ip([format!("address del {address}/32 dev eth0")])?;
    stage.server()?.freeze()?;
    stage.begin()?;
    stage.host.ip(["address add 203.0.113.9/32 dev lo"])?;
    // Longer than hostletd waits for the network to settle.
    wait::pass(Duration::from_millis(500));
    ensure!(stage.placed()?.is_empty(), "{:?}", stage.placed());
    stage.server()?.thaw()?;
    wait::until_within(Duration::from_secs(30), "the address to be back", || {
        stage.placed().is_ok_and(|p| p == placed)
    })?;
    let command = stage.install.probe(&stage.host, &["enter", "kept"])?;
    let mut agent = Agent::start("kept", command)?;
    wait::until("the hostlet to have it", || {
        stage
            .seen(&mut agent, false)
            .is_ok_and(|now| now == address)
    })?;
    ensure!(stage.held()? == held);
    agent.finish()?;
    stage.host.ip(["address del 203.0.113.9/32 dev lo"])?;
    stage.install.run(&stage.host, &["remove", "kept"])?;
    stage.nothing_left()
}

/// A lease goes on being renewed by the next hostletd.
#[test]
fn a_restarted_hostletd_renews() -> Result<()> {
    let options = Options::new("eth0", &RANGES)?.lease(Duration::from_secs(8));
    let mut stage = Stage::with_server(Kind::Kea, options, LAB)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let address = stage.seen(&mut agent, false)?;
    stage.daemon.take().context("hostletd")?.kill()?;
    stage.begin()?;
    for (log, event) in stage
        .server()?
        .logs()
        .iter()
        .zip(["DHCP4_LEASE_ALLOC", "DHCP6_LEASE_RENEW"])
    {
        let from = log.len();
        log.wait_from(from, event, Duration::from_secs(12))?;
    }
    confined(&stage, &mut agent, address)
}

/// Killed again and again while callers come and go: no address is ever with two, none
/// is left behind, and who holds one notices nothing.
#[test]
fn killed_at_random_moments() -> Result<()> {
    let times = match std::env::var("HOSTLET_KILLS") {
        Ok(n) => n.parse().context("HOSTLET_KILLS")?,
        Err(_) => 300,
    };
    let config = format!("{LAB}{OFFICE}");
    let options = Options::new("eth0", &RANGES)?;
    let mut stage = Stage::with_server(Kind::Dnsmasq, options, &config)?;
    let mut holders = Vec::new();
    for pool in ["office", "lab", "office"] {
        let mut agent = stage.hold(&["--pool", pool])?;
        let address = stage.seen(&mut agent, false)?;
        holders.push((agent, address));
    }
    let fixed: BTreeSet<IpAddr> = holders.iter().map(|(_, a)| *a).collect();
    let daemon = stage.daemon.take().context("hostletd")?;
    let (done, served) = (AtomicBool::new(false), AtomicUsize::new(0));
    let in_use = Mutex::new(fixed);
    let ended = std::thread::scope(|scope| {
        let (stage, done, served, in_use) = (&stage, &done, &served, &in_use);
        let callers: Vec<_> = (0..6)
            .map(|n| {
                scope.spawn(move || -> Result<()> {
                    while !done.load(Ordering::Relaxed) {
                        let pool = ["office", "lab"][n % 2];
                        // Without hostletd there is nothing to be had; that is no fault.
                        let Ok(mut agent) = stage.hold(&["--pool", pool]) else {
                            continue;
                        };
                        agent.ask("s = socket udp4")?;
                        let met = agent.ask("connect s 10.0.0.2:9")?;
                        let own: IpAddr = agent.ask("address s")?.parse().context(met)?;
                        let users = || in_use.lock().unwrap_or_else(PoisonError::into_inner);
                        ensure!(users().insert(own), "{own} is with two");
                        served.fetch_add(1, Ordering::Relaxed);
                        users().remove(&own);
                        agent.finish()?;
                    }
                    Ok(())
                })
            })
            .collect();
        let killing = kill_often(stage, daemon, times, &mut holders[0]);
        done.store(true, Ordering::Relaxed);
        for caller in callers {
            caller.join().expect("no caller panics")?;
        }
        killing
    });
    stage.daemon = Some(ended?);
    println!("{times} kills, {} served", served.load(Ordering::Relaxed));
    ensure!(served.load(Ordering::Relaxed) > 0, "nobody was served");
    for (agent, address) in &mut holders {
        confined(&stage, agent, *address)?;
    }
    wait::until("only the holders to be left", || {
        stage.held().is_ok_and(|h| h.len() == holders.len())
    })?;
    drop(holders);
    stage.nothing_left()
}

fn kill_often(
    stage: &Stage,
    mut daemon: hostlet_testkit::hostletd::Hostletd,
    times: u64,
    (holder, address): &mut (Agent, IpAddr),
) -> Result<hostlet_testkit::hostletd::Hostletd> {
    use hostlet_testkit::hostletd::Hostletd;
    let mut random = 0x5eed_u64;
    for _ in 0..times {
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        wait::pass(Duration::from_micros((random >> 33) % 60_000));
        daemon.kill()?;
        // With nobody there, and as the next one takes over.
        confined(stage, holder, *address)?;
        daemon = Hostletd::start(&stage.install, &stage.host)?;
        confined(stage, holder, *address)?;
        let held = stage.held()?;
        ensure!(held.len() >= 3, "a holder is missing: {held:?}");
    }
    Ok(daemon)
}

#[test]
fn a_new_configuration_is_applied_or_refused_whole() -> Result<()> {
    let mut stage = Stage::new(OFFICE)?;
    let mut agent = stage.hold(&["--pool", "office", "--name", "one"])?;
    let address = stage.seen(&mut agent, false)?;
    let more = "[pool.more]\ninterface = \"eth0\"\nranges = [\"10.0.0.70-10.0.0.79\"]\nmay-use = [\"user:nobody\"]\n";
    stage.configure(&format!("{OFFICE}{more}"))?;
    let plan = stage.install.run(&stage.host, &["reload", "--dry-run"])?;
    ensure!(plan.contains("more"), "{plan}");
    ensure!(stage.pool("more").is_err(), "a dry run did it");
    stage.install.run(&stage.host, &["reload"])?;
    stage.hold(&["--pool", "more"])?;

    // Ranges that overlap: refused, and all is as it was. (Root's own commands read the file, and say what is wrong with it.)
    stage.configure(&format!(
        "{OFFICE}{}",
        more.replace("10.0.0.70", "10.0.0.50")
    ))?;
    let said = stage.install.fail(&stage.host, 1, &["reload"])?;
    ensure!(said.contains("office") && said.contains("more"), "{said}");
    stage.hold_as(65534, &["--pool", "more"])?;
    confined(&stage, &mut agent, address)?;

    // A lost file takes nothing away, an empty one would.
    fs::remove_file(stage.install.root().join("hostlet.toml"))?;
    let said = stage.install.fail(&stage.host, 1, &["reload"])?;
    ensure!(
        said.contains("hostlet.toml") && said.contains("empty file"),
        "{said}"
    );
    stage.pool("more")?;

    // By the signal, too.
    stage.configure(OFFICE)?;
    stage.daemon()?.signal(libc::SIGHUP)?;
    wait::until("the pool to go", || stage.pool("more").is_err())?;
    confined(&stage, &mut agent, address)?;
    let status = agent.finish()?;
    if !status.success() {
        bail!("the program ended with {status}");
    }
    stage.nothing_left()
}

/// What it took over is what it goes by, which it does not where it cannot start. Others than root read neither that nor who had what.
#[test]
fn only_one_that_started_has_taken_over() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    stage.configure(OFFICE)?;
    let root = stage.install.root().to_owned();
    let in_the_way = root.join("run/hostletd.sock/file");
    fs::create_dir_all(&in_the_way)?;
    ensure!(stage.begin().is_err(), "it listens on a directory");
    ensure!(!root.join("hostletd.toml").exists(), "it took nothing over");
    fs::remove_dir_all(root.join("run/hostletd.sock"))?;
    stage.begin()?;
    stage.pool("office")?;
    for name in ["hostletd.toml", "hostlet.db"] {
        let mode = fs::metadata(root.join(name))?.permissions().mode();
        ensure!(mode & 0o777 == 0o600, "{name}: {mode:o}");
    }
    Ok(())
}

/// Holders do not lose their leases for a mistake in the file: what was in force last counts until it is mended.
#[test]
fn a_broken_file_does_not_keep_it_from_starting() -> Result<()> {
    let mut stage = Stage::new(OFFICE)?;
    let mut agent = stage.hold(&["--pool", "office", "--name", "one"])?;
    let address = stage.seen(&mut agent, false)?;
    stage.daemon.take().context("hostletd")?.kill()?;
    stage.configure("[pool.office\n")?;
    stage.begin()?;
    stage.daemon()?.log().wait("hostletd.toml")?;
    confined(&stage, &mut agent, address)?;
    stage.pool("office")?;
    let said = stage.install.fail(&stage.host, 1, &["reload"])?;
    ensure!(said.contains("hostlet.toml:1:"), "{said}");
    stage.configure(OFFICE)?;
    stage.install.run(&stage.host, &["reload"])?;
    agent.finish()?;
    stage.nothing_left()
}
