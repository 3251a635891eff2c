//! A7: how a source is chosen among the addresses that fit. They need root.

use std::collections::BTreeSet;

use anyhow::{Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::lan::Lan;

/// Connects to each destination in turn; the sources, without their ports.
fn sources(agent: &mut Agent, kind: &str, destinations: &[String]) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for destination in destinations {
        for line in [
            format!("a = socket {kind}"),
            format!("connect a {destination}"),
        ] {
            let answer = agent.ask(&line)?;
            ensure!(answer == "ok", "{line} → {answer}");
        }
        found.push(agent.ask("address a")?);
        agent.ask("close a")?;
    }
    Ok(found)
}

/// The agent comes last, so that it goes first.
fn with(policy: &str) -> Result<(Lan, Agent)> {
    let lan = Lan::hostlets("two", &["--source".into(), policy.into()])?;
    let agent = lan.start("in")?;
    Ok((lan, agent))
}

fn set_of(found: &[String]) -> BTreeSet<&str> {
    found.iter().map(String::as_str).collect()
}

#[test]
fn primary_is_always_the_first() -> Result<()> {
    let (_lan, mut agent) = with("primary")?;
    let many: Vec<String> = (0..20).map(|n| format!("192.0.2.{n}:5300")).collect();
    let found = sources(&mut agent, "udp4", &many)?;
    ensure!(set_of(&found) == BTreeSet::from(["10.0.0.5"]), "{found:?}");
    Ok(())
}

#[test]
fn random_uses_every_address_that_fits() -> Result<()> {
    let (_lan, mut agent) = with("random")?;
    // Each of two misses all of 40 once in 10^12 runs.
    let four = vec!["10.0.0.100:5300".to_owned(); 40];
    let found = sources(&mut agent, "udp4", &four)?;
    ensure!(
        set_of(&found) == BTreeSet::from(["10.0.0.5", "10.0.0.6"]),
        "{found:?}"
    );
    let six = vec!["[2001:db8::100]:5300".to_owned(); 40];
    let found = sources(&mut agent, "udp6", &six)?;
    ensure!(
        set_of(&found) == BTreeSet::from(["[2001:db8::5]", "[2001:db8::6]"]),
        "{found:?}"
    );
    Ok(())
}

#[test]
fn by_destination_is_the_same_for_the_same() -> Result<()> {
    let (_lan, mut agent) = with("by-destination")?;
    let many: Vec<String> = (0..40).map(|n| format!("192.0.2.{n}:5300")).collect();
    let first = sources(&mut agent, "udp4", &many)?;
    let again = sources(&mut agent, "udp4", &many)?;
    ensure!(first == again, "{first:?} then {again:?}");
    ensure!(
        set_of(&first) == BTreeSet::from(["10.0.0.5", "10.0.0.6"]),
        "{first:?}"
    );
    Ok(())
}
