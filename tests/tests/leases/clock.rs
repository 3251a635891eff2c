//! B5: leases of an hour, seen through by setting hostletd's clock ahead. The server is a real one, and has its own clock.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_daemon::{Clock, Daemon};
use hostlet_engine::Paths;
use hostlet_testkit::agent::Agent;
use hostlet_testkit::servers::dhcp::{Kind, Options};
use hostlet_testkit::wait;

use crate::stage::{LAB, RANGES, Stage, text};

const HOLDERS: usize = 50;
const LEASES: usize = 2 * HOLDERS;

/// hostletd in this process, so that its clock can be set.
fn begin(stage: &Stage) -> Result<Daemon> {
    let paths = Paths::under(stage.install.root());
    stage
        .host
        .within(|| Daemon::start(paths, Arc::new(Clock::new()), None))?
}

fn minutes(count: u64) -> Duration {
    Duration::from_secs(60 * count)
}

/// When each lease ends, as seconds since the epoch, by address.
fn ends(stage: &Stage) -> Result<BTreeMap<String, i64>> {
    let leases = stage.leases()?;
    let end = |lease| -> Result<(String, i64)> {
        let at: jiff::Timestamp = text(lease, "expires")?.parse()?;
        Ok((text(lease, "address")?.to_owned(), at.as_second()))
    };
    leases.iter().map(end).collect()
}

/// Waits until every lease of `before` ends at least that much later.
fn prolonged(stage: &Stage, before: &BTreeMap<String, i64>, by: Duration) -> Result<()> {
    let by = i64::try_from(by.as_secs())?;
    wait::until_within(minutes(1), "all leases to be renewed", || {
        ends(stage).is_ok_and(|now| {
            let later =
                |(address, end): (&String, &i64)| now.get(address).is_some_and(|n| *n >= end + by);
            before.iter().all(later)
        })
    })
}

fn hold(stage: &Stage) -> Result<Vec<Agent>> {
    std::thread::scope(|scope| {
        let starting: Vec<_> = (0..HOLDERS)
            .map(|n| {
                scope.spawn(move || stage.hold(&["--pool", "lab", "--name", &format!("h{n}")]))
            })
            .collect();
        let started = starting.into_iter().map(|s| s.join());
        started.map(|s| s.expect("no panic")).collect()
    })
}

#[test]
fn an_hour_and_more_of_fifty_leases() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    let options = Options::new("eth0", &RANGES)?.lease(minutes(60));
    stage.serve(Kind::Dnsmasq, options)?;
    stage.configure(LAB)?;
    let daemon = begin(&stage)?;
    let mut agents = hold(&stage)?;
    let held = stage.held()?;
    let first = ends(&stage)?;
    ensure!(first.len() == LEASES, "{first:?}");

    // T1: renewed by the server that gave it.
    daemon.advance(minutes(31));
    prolonged(&stage, &first, minutes(30))?;
    ensure!(stage.held()? == held);

    // Silent past T1 and T2: the holders notice nothing. Heard again, it is asked again.
    let second = ends(&stage)?;
    let server = |stage: &mut Stage, frozen: bool| -> Result<()> {
        let server = stage.server.as_mut().context("a server")?;
        if frozen {
            server.freeze()
        } else {
            server.thaw()
        }
    };
    server(&mut stage, true)?;
    daemon.advance(minutes(55));
    for agent in &mut agents[..3] {
        stage.seen(agent, false)?;
        stage.seen(agent, true)?;
    }
    server(&mut stage, false)?;
    daemon.advance(minutes(2));
    prolonged(&stage, &second, minutes(50))?;
    ensure!(stage.held()? == held);

    // Silent to the end: all is lost, and found again when the server is back.
    server(&mut stage, true)?;
    daemon.advance(minutes(61));
    wait::until_within(minutes(1), "all leases to be lost", || {
        stage.leases().is_ok_and(|all| all.is_empty())
    })?;
    ensure!(
        stage.seen(&mut agents[0], false).is_err(),
        "it still has an address"
    );
    server(&mut stage, false)?;
    daemon.advance(minutes(3));
    wait::until_within(minutes(1), "all leases to be found again", || {
        stage.held().is_ok_and(|now| now == held)
    })?;
    // The record is first, the hostlets follow.
    for agent in &mut agents {
        wait::until_within(minutes(1), "its address", || {
            stage.seen(agent, false).is_ok()
        })?;
    }
    for agent in agents {
        agent.kill()?;
    }
    stage.nothing_left()?;
    daemon.stop();
    Ok(())
}
