//! Cases made by chance: some thousands in each run of the tests, from a seed that is always the same and
//! from that of the day (days since 1970, UTC; `HOSTLET_SEED` is another). `make conformance` performs many
//! more, from one that never was.

use anyhow::{Result, ensure};
use hostlet_tests::chance::seed_of_the_day;
use hostlet_tests::generated::{Settings, run};

/// Performs so many cases; none may differ but as documented.
fn perform(seed: u64, cases: u64) -> Result<()> {
    let jobs = std::thread::available_parallelism().map_or(1, usize::from);
    let summary = run(Settings {
        cases,
        seed,
        first: 0,
        jobs,
    })?;
    println!("{summary}");
    ensure!(
        summary.divergences == 0,
        "{summary}: the scripts are above, each for tests/src/cases/chance_last.rs. Again: \
         conformance generated --seed {seed} --first CASE --cases 1"
    );
    Ok(())
}

#[test]
fn from_a_fixed_seed() -> Result<()> {
    perform(1, 3000)
}

/// The same cases for everybody, all day.
#[test]
fn from_the_seed_of_the_day() -> Result<()> {
    perform(seed_of_the_day()?, 2000)
}
