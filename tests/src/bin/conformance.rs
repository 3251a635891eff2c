//! Performs scripts of socket calls on real machines and in hostlets, and compares what
//! programs see.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use hostlet_tests::{Summary, named};

const USAGE: &str = "conformance named [FILTER] [--jobs J]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(summary) => {
            println!("{summary}");
            if summary.divergences == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(why) => {
            eprintln!("conformance: {why:#}");
            ExitCode::from(2)
        }
    }
}

fn run(args: &[String]) -> Result<Summary> {
    let Some((verb, rest)) = args.split_first() else {
        bail!("usage: {USAGE}");
    };
    let mut jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let mut filter = "";
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--jobs" => jobs = value()?.parse().context("--jobs J")?,
            word if word.starts_with('-') => bail!("usage: {USAGE}"),
            word => filter = word,
        }
    }
    match verb.as_str() {
        "named" => named::run(filter, jobs),
        _ => bail!("usage: {USAGE}"),
    }
}
