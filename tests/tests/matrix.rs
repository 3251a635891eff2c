//! The matrices, thinned out: every cell is performed by `make conformance`.

/// A number that no coordinate's length divides, so that every coordinate is met.
const ONE_OF: usize = 17;

#[test]
fn cells_of_every_matrix() -> anyhow::Result<()> {
    let summary = hostlet_tests::matrix::run("", ONE_OF, 2)?;
    assert!(summary.cases > 500, "only {summary}");
    assert_eq!(summary.divergences, 0, "{summary}");
    Ok(())
}
