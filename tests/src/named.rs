//! The named cases, many on one pair of local networks.

use std::sync::Mutex;

use anyhow::{Context, Result};
use hostlet_testkit::oracle::{Arena, Script};

use crate::Summary;
use crate::cases::{ALL, Case};

/// A case that can be performed.
struct Ready {
    name: String,
    case: Case,
    script: Script,
}

/// The beginnings of all cases' names.
pub fn groups() -> Vec<String> {
    ALL.iter().map(|(file, _)| (*file).to_owned()).collect()
}

/// Performs all cases whose name contains the filter.
///
/// # Errors
/// When a script cannot be read, or an arena cannot be made.
pub fn run(filter: &str, jobs: usize) -> Result<Summary> {
    let mut ready = Vec::new();
    for (file, cases) in ALL {
        for case in *cases {
            let name = format!("{file}::{}", case.name);
            if name.contains(filter) {
                let script = Script::parse(case.script).context(name.clone())?;
                let case = *case;
                ready.push(Ready { name, case, script });
            }
        }
    }
    // Machines serve as many cases in a row as can be.
    ready.sort_by_cached_key(|r| (r.script.set.clone(), r.script.options.clone()));
    let jobs = jobs.clamp(1, ready.len().max(1));
    let total = Mutex::new(Summary::default());
    std::thread::scope(|scope| {
        let workers: Vec<_> = ready
            .chunks(ready.len().div_ceil(jobs).max(1))
            .map(|part| scope.spawn(|| work(part, &total)))
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let summary = total.into_inner().unwrap_or_default();
    anyhow::ensure!(
        summary.cases == ready.len(),
        "some cases were not performed"
    );
    Ok(summary)
}

fn work(part: &[Ready], total: &Mutex<Summary>) -> Result<()> {
    let mut arena: Option<(&Script, Arena)> = None;
    for ready in part {
        let script = &ready.script;
        let fits = |(other, _): &(&Script, Arena)| {
            (&other.set, &other.options) == (&script.set, &script.options)
        };
        let (_, at) = match arena.take().filter(fits) {
            Some(kept) => arena.insert(kept),
            None => arena.insert((script, Arena::new(&script.set, &script.options)?)),
        };
        // Whom a case before this one asked for in vain, this one would find missing at once.
        at.forget_neighbours(false)?;
        let done = at.perform(script).and_then(|traces| {
            script.judge_real(ready.case.row, &traces.real)?;
            script.judge(ready.case.row, &traces.real, &traces.hostlets)?;
            Ok(traces.real != traces.hostlets)
        });
        let mut total = total.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        total.cases += 1;
        match done {
            Ok(known) => total.known += usize::from(known),
            Err(why) => {
                println!("{}: {why:#}", ready.name);
                total.divergences += 1;
                // Whatever went wrong: the next case gets machines that are as they should be.
                arena = None;
            }
        }
    }
    Ok(())
}
