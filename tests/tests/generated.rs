//! Cases made by chance: some thousands in each run of the tests, from a seed that is
//! always the same. `make conformance` performs many more, from one that never was.

use anyhow::{Result, ensure};
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
        "{summary}; seed {seed}: the scripts are above, each for tests/src/cases/found.rs"
    );
    Ok(())
}

#[test]
fn from_a_fixed_seed() -> Result<()> {
    perform(1, 3000)
}

#[test]
#[ignore = "about one case in ten thousand still differs in ways that are neither mended nor listed"]
fn from_a_fresh_seed() -> Result<()> {
    let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?;
    perform(now.as_secs(), 3000)
}
