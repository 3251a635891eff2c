//! Performs scripts of socket calls on real machines and in hostlets, and compares what
//! programs see.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use hostlet_testkit::supervised::supervised;
use hostlet_tests::generated::Settings;
use hostlet_tests::{Summary, generated, matrix, named};

const USAGE: &str = "conformance all [--cases N] [--seed S] [--jobs J]
       conformance named [FILTER] [--jobs J]
       conformance generated [--cases N] [--seed S] [--first CASE] [--jobs J]
       conformance show SEED CASE
       conformance explain FILE";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [verb, seed, case] = &args[..]
        && let ("show", Ok(seed), Ok(case)) = (verb.as_str(), seed.parse(), case.parse())
    {
        println!("{}", generated::script(seed, case));
        return ExitCode::SUCCESS;
    }
    supervised("conformance", || work(&args))
}

fn work(args: &[String]) -> ExitCode {
    if let [verb, file] = args
        && verb == "explain"
    {
        let text = std::fs::read_to_string(file).context(file.clone());
        return match text.and_then(|text| generated::explain(&text)) {
            Ok(answer) => {
                println!("{answer}");
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("conformance: {why:#}");
                ExitCode::from(2)
            }
        };
    }
    match run(args) {
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
    let (mut cases, mut first, mut seed) = (1000, 0, fresh_seed());
    let mut words = rest.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            words
                .next()
                .with_context(|| format!("{word} needs a value"))
        };
        match word.as_str() {
            "--jobs" => jobs = value()?.parse().context("--jobs J")?,
            "--cases" => cases = value()?.parse().context("--cases N")?,
            "--seed" => seed = value()?.parse().context("--seed S")?,
            "--first" => first = value()?.parse().context("--first CASE")?,
            word if word.starts_with('-') => bail!("usage: {USAGE}"),
            word => filter = word,
        }
    }
    let settings = Settings {
        cases,
        seed,
        first,
        jobs,
    };
    match verb.as_str() {
        "named" => by_name(filter, jobs),
        "generated" if filter.is_empty() => generated::run(settings),
        "all" if filter.is_empty() => {
            let summary = by_name("", jobs)?;
            if summary.divergences > 0 {
                return Ok(summary);
            }
            println!("{summary}");
            generated::run(settings)
        }
        _ => bail!("usage: {USAGE}"),
    }
}

fn by_name(filter: &str, jobs: usize) -> Result<Summary> {
    let summary = named::run(filter, jobs)? + matrix::run(filter, jobs)?;
    if summary.cases == 0 {
        let groups = [named::groups(), matrix::groups()].concat().join(", ");
        bail!(
            "no named case is called {filter}; cases are GROUP::NAME or matrix/GROUP/…, of these groups: {groups}"
        );
    }
    Ok(summary)
}

/// A seed that no run before had.
fn fresh_seed() -> u64 {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed();
    now.map_or(0, |since| since.as_secs())
}
