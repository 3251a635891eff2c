//! Cross products: every combination of protocol, family, address and state, as scripts that
//! code makes.
//!
//! A cell of a matrix says what is done, not what comes of it: the machines say that. Where
//! hostlets differ, a [rule](rules) has to name the known difference.

mod addresses;
mod rules;
mod serving;
mod sharing;
mod traffic;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Mutex;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::oracle::{Arena, Script, Traces};

use crate::Summary;
pub use rules::ids;

/// How long a call waits at first: what comes at all comes at once, between machines that are
/// namespaces of one.
const SHORT_MS: u32 = 15;

/// How long where the sides differ, before they are said to.
const LONG_MS: u32 = 2500;

/// How often a cell that has differed is performed again: it must never do so as no rule says.
const AGAIN: usize = 3;

/// One cell in so many, and a few where there are few, may differ once and not again.
const SELDOM: usize = 1000;

/// One combination.
#[derive(Debug, Clone)]
pub struct Cell {
    /// `MATRIX/PROTOCOL/…`, one word for each coordinate.
    pub name: String,
    /// What it proves.
    pub row: &'static str,
    /// Lines that the oracle reads, without answers.
    pub script: String,
}

/// All cells of all matrices, in an order that does not change.
pub fn cells() -> Vec<Cell> {
    let mut all = traffic::cells();
    all.extend(serving::cells());
    all.extend(sharing::cells());
    all
}

/// The beginnings of all cells' names, as a filter takes them.
pub fn groups() -> Vec<String> {
    let first = |cell: Cell| {
        cell.name
            .split('/')
            .next()
            .map(|word| format!("matrix/{word}"))
    };
    let all: BTreeSet<String> = cells().into_iter().filter_map(first).collect();
    all.into_iter().collect()
}

/// What came of the cells that a worker performed.
#[derive(Default)]
struct Found {
    summary: Summary,
    steps: usize,
    succeeded: usize,
    /// Sockets of a kind that this kernel has not.
    lacking: usize,
    rules: rules::Used,
}

/// Performs the cells whose name contains the filter.
///
/// # Errors
/// When an arena cannot be made; of all cells, when most calls failed, so that nothing is proven, or
/// when a known difference does not show any more.
pub fn run(filter: &str, jobs: usize) -> Result<Summary> {
    let fits = |cell: &Cell| format!("matrix/{}", cell.name).contains(filter);
    let (cells, others): (Vec<Cell>, Vec<Cell>) = cells().into_iter().partition(fits);
    let found = perform_all(&cells, jobs)?;
    if others.is_empty() {
        found.proves_something()?;
        let stale = rules::unused(&found.rules);
        let lacking = found.lacking > 0 || !Path::new("/proc/sys/net/mptcp").exists();
        ensure!(
            stale.is_empty() || lacking,
            "nothing differs by these rules of the matrices any more, or in this way: take them out\n{}",
            stale.join("\n")
        );
    }
    Ok(found.summary)
}

/// Performs one of so many cells, from there on.
///
/// # Errors
/// As [`run`], but for known differences that do not show.
pub fn sample(one_of: usize, first: usize, jobs: usize) -> Result<Summary> {
    let all = cells().into_iter();
    let cells: Vec<Cell> = all.skip(first).step_by(one_of).collect();
    let found = perform_all(&cells, jobs)?;
    found.proves_something()?;
    Ok(found.summary)
}

impl Found {
    fn proves_something(&self) -> Result<()> {
        ensure!(
            self.succeeded * 2 > self.steps,
            "only {} of {} calls did anything: the matrices prove nothing",
            self.succeeded,
            self.steps
        );
        Ok(())
    }
}

fn perform_all(cells: &[Cell], jobs: usize) -> Result<Found> {
    let found = Mutex::new(Found::default());
    let next = Mutex::new(cells.iter());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs.min(cells.len()))
            .map(|_| scope.spawn(|| work(&next, &found)))
            .collect();
        for worker in workers {
            worker
                .join()
                .map_err(|_| anyhow::anyhow!("a worker panicked"))??;
        }
        anyhow::Ok(())
    })?;
    let found = found
        .into_inner()
        .map_err(|_| anyhow::anyhow!("poisoned"))?;
    ensure!(
        found.summary.cases == cells.len(),
        "some cells were not performed"
    );
    ensure!(
        found.summary.once <= 2 + cells.len() / SELDOM,
        "{}: more than one in {SELDOM} that differ, and then do not: a machine with so little time that calls run out of theirs, or \
         a difference that shows seldom; the steps are above",
        found.summary,
    );
    Ok(found)
}

fn work(next: &Mutex<std::slice::Iter<'_, Cell>>, total: &Mutex<Found>) -> Result<()> {
    let mut arena = None;
    loop {
        let Some(cell) = next.lock().map_err(|_| anyhow::anyhow!("poisoned"))?.next() else {
            return Ok(());
        };
        let script = Script::parse(&cell.script).with_context(|| cell.name.clone())?;
        let at = match &mut arena {
            Some(at) => at,
            None => arena.insert(Arena::new(&script.set, &script.options)?),
        };
        let outcome = perform(at, cell, &script);
        let mut total = total.lock().map_err(|_| anyhow::anyhow!("poisoned"))?;
        total.summary.cases += 1;
        match outcome {
            Ok((traces, Ok(used), once)) => {
                if let Some(step) = once {
                    println!("matrix/{}: differed once and not again: {step}", cell.name);
                    total.summary.once += 1;
                }
                total.steps += traces.real.len();
                total.succeeded += traces.real.iter().filter(|a| succeeded(a)).count();
                let mut calls = script.steps.iter().zip(&traces.real);
                let lacks = calls.any(|(s, a)| s.line.contains("= socket ") && !succeeded(a));
                total.lacking += usize::from(lacks);
                total.summary.known += usize::from(!used.is_empty());
                total.rules.extend(used);
            }
            Ok((_, Err(why), _)) => {
                println!("matrix/{}: {why:#}", cell.name);
                total.summary.divergences += 1;
            }
            Err(why) => {
                println!("matrix/{}: {why:#}", cell.name);
                total.summary.divergences += 1;
                // A program is gone: the next cell gets machines that are as they should be.
                arena = None;
            }
        }
    }
}

/// What both sides say, and by which rules they differ; where no rule says why, they are asked again, with more patience. Each of these
/// answers has to be explained, too; then the first is told as one that differed once.
fn perform(
    arena: &mut Arena,
    cell: &Cell,
    script: &Script,
) -> Result<(Traces, Result<rules::Used>, Option<String>)> {
    arena.patience(SHORT_MS)?;
    let traces = arena.perform(script)?;
    let used = rules::explain(cell, script, &traces);
    let Err(first) = used else {
        return Ok((traces, used, None));
    };
    arena.patience(LONG_MS)?;
    for _ in 1..AGAIN {
        let traces = arena.perform(script)?;
        let used = rules::explain(cell, script, &traces);
        if used.is_err() {
            return Ok((traces, used, None));
        }
    }
    let traces = arena.perform(script)?;
    let used = rules::explain(cell, script, &traces);
    Ok((traces, used, Some(first.to_string())))
}

fn succeeded(answer: &str) -> bool {
    let name_of_an_error = answer.starts_with('E')
        && answer
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    !(name_of_an_error || answer == "no-socket")
}
