//! Tries every known way out of a hostlet, and tells what came of it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use hostlet_testkit::supervised::supervised;
use hostlet_tests::bypass::{ALL, Attempt, Row, Tally, absent_table, perform, table};

const USAGE: &str = "bypass [--table] [GROUP|ID]…";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args == ["--table"] {
        return match table() {
            Ok(table) => {
                println!("{table}\n{}", absent_table().trim_end());
                ExitCode::SUCCESS
            }
            Err(why) => {
                eprintln!("bypass: {why:#}");
                ExitCode::from(2)
            }
        };
    }
    supervised("bypass", || work(&args))
}

fn work(args: &[String]) -> ExitCode {
    match run(args) {
        Ok(tally) => {
            println!("{tally}");
            if tally.failed == 0 {
                ExitCode::SUCCESS
            } else {
                ExitCode::FAILURE
            }
        }
        Err(why) => {
            eprintln!("bypass: {why:#}");
            ExitCode::from(2)
        }
    }
}

fn run(names: &[String]) -> Result<Tally> {
    let all = || ALL.iter().flat_map(|(_, attempts)| attempts.iter());
    for name in names {
        let group = ALL.iter().any(|(group, _)| group == name);
        if !group && !all().any(|attempt| attempt.id == name) {
            let groups: Vec<_> = ALL.iter().map(|(group, _)| *group).collect();
            let groups = groups.join(", ");
            bail!(
                "nothing is called {name}; groups are {groups}, ids are those of `bypass --table`; usage: {USAGE}"
            );
        }
    }
    let mut chosen: Vec<Attempt> = Vec::new();
    for (group, attempts) in ALL {
        let named = |id: &str| names.is_empty() || names.iter().any(|n| n == group || n == id);
        chosen.extend(attempts.iter().filter(|a| named(a.id)));
    }
    println!(
        "{:<28} {:<36} {:<36} layer",
        "attempt", "as user", "as root"
    );
    perform(&chosen, |row: &Row| {
        println!(
            "{:<28} {:<36} {:<36} {}",
            row.attempt.id,
            row.user.to_string(),
            row.root.to_string(),
            row.attempt.layer.name()
        );
    })
}
