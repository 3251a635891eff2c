//! `endurance churn MINUTES HOSTLETS [SEED]`, `endurance kills COUNT [SEED]`: see `make endurance`.

use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use hostlet_tests::endurance::{churn, kills};

fn main() -> ExitCode {
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
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words[..] {
        ["churn", minutes, hostlets, ref rest @ ..] => {
            let seed = rest.first().map_or(Ok(fresh), |text| number(text))?;
            println!("churn: {minutes} minutes, {hostlets} hostlets, seed {seed}");
            let done = churn::churn(&churn::Churn {
                time: Some(Duration::from_secs(60 * number(minutes)?)),
                steps: None,
                hostlets: number(hostlets)?.try_into()?,
                seed,
            })?;
            println!(
                "churn: {} hostlets made, {} addresses granted or revoked, {} programs started, {} of them killed, {} socket calls; all is as before",
                done.made, done.changed, done.started, done.crashed, done.calls
            );
        }
        ["kills", count, ref rest @ ..] => {
            let seed = rest.first().map_or(Ok(fresh), |text| number(text))?;
            println!("kills: {count} at random moments, seed {seed}");
            let done = kills::kills(&kills::Kills {
                count: number(count)?,
                seed,
            })?;
            println!(
                "kills: {} commands and {} hostletds killed ({} had finished before), {} rounds of tries by members, none succeeded; all is as before",
                done.commands, done.daemons, done.late, done.rounds
            );
        }
        _ => bail!("usage: endurance churn MINUTES HOSTLETS [SEED] | endurance kills COUNT [SEED]"),
    }
    Ok(())
}
