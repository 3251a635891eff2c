//! What hostlet costs and what people use instead costs, measured side by side in one run. `make bench` starts it.

mod beside;
mod coming;
mod crowd;
mod everywhere;
mod facts;
mod fault;
mod floor;
mod hooks;
mod leases;
mod lending;
mod memory;
mod net;
mod pam;
mod report;
mod sessions;
mod sets;
mod stage;
mod starting;
mod stats;
mod turns;
mod work;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use hostlet_testkit::supervised::supervised;

use report::{Results, Section, Tally};
use stage::Stage;

/// Measures one section.
type Measure = fn(&Stage) -> Result<Section>;

/// All sections, in the order of the page, by the names that the command line knows.
const SECTIONS: &[(&str, Measure)] = &[
    ("web", net::web),
    ("throughput", net::throughput),
    ("udp", net::udp),
    ("latency", net::latency),
    ("calls", hooks::measure),
    ("starting", starting::measure),
    ("crowd", crowd::measure),
    ("sets", sets::measure),
    ("fault", fault::measure),
    ("leases", leases::measure),
    ("sessions", sessions::measure),
];

/// Where the results are, below the directory of the command line.
const RESULTS: &str = "bench/results.json";

const USAGE: &str = "hostlet-bench [--quick] [--only SECTION,…] DIRECTORY
           measures; writes bench/results.json and docs/performance.md below the directory
       hostlet-bench page DIRECTORY
           writes the page anew from the results that are there";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match &words[..] {
        ["work", rest @ ..] => {
            let rest: Vec<String> = rest.iter().map(ToString::to_string).collect();
            told(work::run(&rest).map(|()| ExitCode::SUCCESS))
        }
        ["page", to] => told(page(Path::new(to))),
        _ => match Wanted::of(&words) {
            Some(wanted) => supervised("hostlet-bench", move || told(measure(&wanted))),
            None => {
                eprintln!("usage: {USAGE}");
                ExitCode::from(2)
            }
        },
    }
}

fn told(result: Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("hostlet-bench: {error:#}");
        ExitCode::FAILURE
    })
}

/// What the command line says.
struct Wanted {
    quick: bool,
    only: Vec<String>,
    to: PathBuf,
}

impl Wanted {
    fn of(words: &[&str]) -> Option<Self> {
        let (mut quick, mut only, mut to) = (false, Vec::new(), None);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "--quick" => quick = true,
                "--only" => only = words.next()?.split(',').map(ToOwned::to_owned).collect(),
                option if option.starts_with('-') => return None,
                directory => to = Some(PathBuf::from(directory)),
            }
        }
        let known = |name: &String| SECTIONS.iter().any(|(known, _)| known == name);
        only.iter().all(known).then_some(())?;
        Some(Self {
            quick,
            only,
            to: to?,
        })
    }
}

/// Measures, writes, prints. 0: all goals met, or missed by no more than the noise; 3: a goal is missed; 1: something could not be
/// measured.
fn measure(wanted: &Wanted) -> Result<ExitCode> {
    let begin = Instant::now();
    let stage = Stage::set_up(wanted.quick)?;
    let mut results = Results {
        quick: wanted.quick,
        date: 0,
        took: 0,
        machine: facts::machine(),
        versions: facts::versions(),
        sections: Vec::new(),
        failures: Vec::new(),
    };
    for (name, measure) in SECTIONS {
        if !wanted.only.is_empty() && !wanted.only.iter().any(|only| only == name) {
            continue;
        }
        let at = begin.elapsed().as_secs();
        eprintln!("{:3}:{:02}  {name}", at / 60, at % 60);
        match measure(&stage) {
            Ok(section) => results.sections.push(section),
            Err(why) => {
                eprintln!("        not measured: {why:#}");
                results.failures.push(format!("{name}: {why:#}"));
                if let Err(why) = stage.forget_hostlets() {
                    eprintln!("        and left hostlets: {why:#}");
                }
            }
        }
    }
    drop(stage);
    results.took = begin.elapsed().as_secs();
    results.date = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
    let file = wanted.to.join(RESULTS);
    let text = format!("{}\n", serde_json::to_string_pretty(&results)?);
    report::write(&file, &text)?;
    report::write_page(&results, &wanted.to)?;
    report::print(&results);
    Ok(verdict(&results))
}

fn verdict(results: &Results) -> ExitCode {
    let missed = results.missed();
    println!();
    for (text, clearly) in &missed {
        let how = match clearly {
            true => "MISSED",
            false => "missed within noise",
        };
        println!("{how}: {text}");
    }
    for failure in &results.failures {
        println!("NOT MEASURED: {failure}");
    }
    let tally = Tally::of(&results.sections);
    println!(
        "{} goals: {} met, {} missed within noise, {} missed; {} s",
        tally.all(),
        tally.met,
        tally.within_noise,
        tally.missed,
        results.took
    );
    match (results.failures.is_empty(), tally.missed) {
        (false, _) => ExitCode::FAILURE,
        (true, 0) => ExitCode::SUCCESS,
        (true, _) => ExitCode::from(3),
    }
}

fn page(to: &Path) -> Result<ExitCode> {
    let file = to.join(RESULTS);
    let text =
        std::fs::read_to_string(&file).with_context(|| format!("read {}", file.display()))?;
    let results: Results = serde_json::from_str(&text).context("read the results")?;
    report::write_page(&results, to)?;
    Ok(ExitCode::SUCCESS)
}
