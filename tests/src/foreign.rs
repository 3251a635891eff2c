//! What the documents say of test suites that others wrote.

use anyhow::Result;
use hostlet_testkit::suites::{self, Known};

const DOCUMENT: &str = include_str!("../../docs/known-differences.md");

/// The tests that are known to end differently in a hostlet.
///
/// # Errors
/// When the document has no such table.
pub fn known() -> Result<Vec<Known>> {
    suites::known(DOCUMENT, "## Test suites of others")
}
