//! The matrices, thinned out: one part of them each day. `make conformance` performs every cell, and looks for known
//! differences that do not show any more.

use hostlet_tests::chance::seed_of_the_day;
use hostlet_tests::matrix;

/// A number that no coordinate's length divides, so that every coordinate is met.
const ONE_OF: usize = 17;

#[test]
fn cells_of_every_matrix() -> anyhow::Result<()> {
    let first = seed_of_the_day()? as usize % ONE_OF;
    let summary = matrix::sample(ONE_OF, first, 2)?;
    assert!(summary.cases > 500, "only {summary}");
    assert_eq!(summary.divergences, 0, "{summary}");
    Ok(())
}
