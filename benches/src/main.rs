//! The figures hostlet promises, measured side by side in one run. `make figures` starts it.

mod empty;
mod hooks;
mod leases;
mod lending;
mod pam;
mod sessions;
mod stage;
mod stats;
mod table;
mod whole;
mod work;

use std::process::ExitCode;

use anyhow::Result;

use stage::Stage;

/// How often each thing is measured; the report gives the median.
const ROUNDS: usize = 5;

const MACHINE4: &str = "192.0.2.1";
const CLIENT4: &str = "192.0.2.2";
/// Held by no hostlet; for those that come and go.
const ANOTHER4: &str = "192.0.2.61";
const CLIENT6: &str = "[2001:db8::2]";

/// A hostlet with one address of each family.
const ONE: (&str, [&str; 2]) = ("one", ["192.0.2.41", "2001:db8::41"]);
/// A hostlet with eight of each; the addresses named are not its primaries.
const MANY: (&str, [&str; 2]) = ("many", ["192.0.2.58", "2001:db8::58"]);

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["work", ref rest @ ..] => {
            work::run(&rest.iter().map(ToString::to_string).collect::<Vec<_>>()).map(|()| true)
        }
        [] => figures(None, false),
        ["--json"] => figures(None, true),
        ["--only", only @ ("hostlets" | "leases" | "sessions")] => figures(Some(only), false),
        [
            "--only",
            only @ ("hostlets" | "leases" | "sessions"),
            "--json",
        ] => figures(Some(only), true),
        _ => {
            eprintln!(
                "hostlet-figures: usage: hostlet-figures [--only hostlets|leases|sessions] [--json]"
            );
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(3),
        Err(error) => {
            eprintln!("hostlet-figures: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Measures and prints; whether every promise is kept.
fn figures(only: Option<&str>, json: bool) -> Result<bool> {
    let stage = Stage::from_environment()?;
    let mut figures = Vec::new();
    let mut failed = Vec::new();
    let mut add = |what: &str, result: Result<Vec<table::Figure>>| match result {
        Ok(more) => figures.extend(more),
        Err(error) => failed.push(format!("{what}: {error:#}")),
    };
    let wanted = |what| only.is_none_or(|only| only == what);
    if wanted("hostlets") {
        hostlets(&stage, &mut add)?;
    }
    if wanted("leases") {
        add("leases", leases::measure(&stage));
    }
    if wanted("sessions") {
        add("sessions", sessions::measure(&stage));
    }
    if json {
        table::print_json(&figures);
    } else {
        table::print(&figures);
    }
    for failure in &failed {
        eprintln!("not measured: {failure}");
    }
    Ok(failed.is_empty() && figures.iter().all(table::Figure::kept))
}

/// What needs no hostletd.
fn hostlets(stage: &Stage, add: &mut dyn FnMut(&str, Result<Vec<table::Figure>>)) -> Result<()> {
    let mut create = vec!["create".to_owned(), ONE.0.to_owned()];
    create.extend(ONE.1.map(|address| format!("--address={address}")));
    stage.hostlet(&create.iter().map(String::as_str).collect::<Vec<_>>())?;
    let mut create = vec!["create".to_owned(), MANY.0.to_owned()];
    for last in 51..=58 {
        create.push(format!("--address=192.0.2.{last}"));
        create.push(format!("--address=2001:db8::{last}"));
    }
    stage.hostlet(&create.iter().map(String::as_str).collect::<Vec<_>>())?;

    add("cost of the hooks", hooks::cost(stage));
    add(
        "an established connection",
        hooks::established(stage).map(|f| vec![f]),
    );
    add("throughput", whole::throughput(stage).map(|f| vec![f]));
    add("run", whole::run_true(stage).map(|f| vec![f]));
    add("create", whole::create(stage));
    add("memory", whole::memory(stage).map(|f| vec![f]));
    for name in [ONE.0, MANY.0] {
        stage.hostlet(&["remove", name])?;
    }
    Ok(())
}
