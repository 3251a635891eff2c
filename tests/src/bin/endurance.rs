//! Hostlets come and go, and hostlet's own processes are killed: see `make endurance`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use hostlet_testkit::supervised::supervised;
use hostlet_tests::endurance::{churn, kills};

const USAGE: &str = "endurance all MINUTES HOSTLETS KILLS [SEED]
       endurance churn MINUTES HOSTLETS [SEED]
       endurance kills COUNT [SEED]";

fn main() -> ExitCode {
    supervised("endurance", work)
}

fn work() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("endurance: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<()> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let number = |text: &str| -> Result<u64> {
        text.parse()
            .with_context(|| format!("`{text}` is no number"))
    };
    let fresh = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let seed = |rest: &[&str]| rest.first().map_or(Ok(fresh), |text| number(text));
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["all", minutes, hostlets, count, ref rest @ ..] => {
            let (count, seed) = (number(count)?, seed(rest)?);
            come_and_go(number(minutes)?, number(hostlets)?, seed)?;
            kill(count, seed)
        }
        ["churn", minutes, hostlets, ref rest @ ..] => {
            come_and_go(number(minutes)?, number(hostlets)?, seed(rest)?)
        }
        ["kills", count, ref rest @ ..] => kill(number(count)?, seed(rest)?),
        _ => bail!("usage: {USAGE}"),
    }
}

fn come_and_go(minutes: u64, hostlets: u64, seed: u64) -> Result<()> {
    println!("churn: {minutes} minutes, {hostlets} hostlets, seed {seed}");
    let done = churn::churn(&churn::Churn {
        time: Some(Duration::from_secs(60 * minutes)),
        steps: None,
        hostlets: hostlets.try_into()?,
        seed,
    })?;
    println!(
        "churn: {} hostlets made, {} addresses granted or revoked, {} programs started, {} of them killed, {} socket calls; all is as before",
        done.made, done.changed, done.started, done.crashed, done.calls
    );
    Ok(())
}

fn kill(count: u64, seed: u64) -> Result<()> {
    println!("kills: {count} at random moments, seed {seed}");
    let done = kills::kills(&kills::Kills { count, seed })?;
    for (verb, spread) in &done.verbs {
        println!("kills: {verb}: {spread}");
    }
    println!(
        "kills: {} commands and {} hostletds killed ({} had finished before), {} rounds of tries by members, none succeeded, {} packets, \
         all from their own addresses; all is as before",
        done.commands, done.daemons, done.late, done.rounds, done.packets
    );
    Ok(())
}
