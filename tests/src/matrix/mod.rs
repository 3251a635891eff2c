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
    rules: BTreeSet<usize>,
}

/// Performs the cells whose name contains the filter, or of these one of so many.
///
/// # Errors
/// When an arena cannot be made, or when most calls failed, so that nothing is proven.
pub fn run(filter: &str, one_of: usize, jobs: usize) -> Result<Summary> {
    let whole = filter.is_empty();
    let fits = |cell: &Cell| format!("matrix/{}", cell.name).contains(filter);
    let cells: Vec<Cell> = cells()
        .into_iter()
        .filter(fits)
        .step_by(one_of.max(1))
        .collect();
    if cells.is_empty() {
        return Ok(Summary::default());
    }
    let jobs = jobs.clamp(1, cells.len());
    let found = Mutex::new(Found::default());
    let next = Mutex::new(cells.iter());
    std::thread::scope(|scope| {
        let workers: Vec<_> = (0..jobs)
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
    if whole {
        ensure!(
            found.succeeded * 2 > found.steps,
            "only {} of {} calls did anything: the matrices prove nothing",
            found.succeeded,
            found.steps
        );
    }
    if whole && one_of == 1 {
        for stale in rules::unused(&found.rules) {
            println!("matrix: nothing differs by this rule any more: {stale}");
        }
    }
    Ok(found.summary)
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
            Ok((traces, Ok(used))) => {
                total.steps += traces.real.len();
                total.succeeded += traces.real.iter().filter(|a| succeeded(a)).count();
                total.summary.known += usize::from(!used.is_empty());
                total.rules.extend(used);
            }
            Ok((_, Err(why))) => {
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

/// What both sides say, and by which rules they differ; asked again, with more patience, where
/// no rule says why.
fn perform(
    arena: &mut Arena,
    cell: &Cell,
    script: &Script,
) -> Result<(Traces, Result<Vec<usize>>)> {
    arena.patience(SHORT_MS)?;
    let traces = arena.perform(script)?;
    let used = rules::explain(cell, script, &traces);
    if used.is_ok() {
        return Ok((traces, used));
    }
    arena.patience(LONG_MS)?;
    let traces = arena.perform(script)?;
    let used = rules::explain(cell, script, &traces);
    Ok((traces, used))
}

fn succeeded(answer: &str) -> bool {
    let name_of_an_error = answer.starts_with('E')
        && answer
            .chars()
            .all(|c| c.is_ascii_uppercase() || c.is_ascii_digit());
    !(name_of_an_error || answer == "no-socket")
}
