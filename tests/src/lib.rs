//! What tests and programs that check the product share; tests that belong to no
//! single crate live in `tests/`.

pub mod bypass;
pub mod cases;
pub mod chance;
pub mod endurance;
pub mod foreign;
pub mod generated;
pub mod matrix;
pub mod named;
pub mod traps;

use std::fmt;

/// What came of performing cases.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Performed.
    pub cases: usize,
    /// In which hostlets differ from machines, and should not.
    pub divergences: usize,
    /// In which they differ as documented.
    pub known: usize,
    /// In which they differed once, while calls waited shortly, and never again.
    pub once: usize,
}

impl std::ops::Add for Summary {
    type Output = Summary;

    fn add(self, other: Summary) -> Summary {
        Summary {
            cases: self.cases + other.cases,
            divergences: self.divergences + other.divergences,
            known: self.known + other.known,
            once: self.once + other.once,
        }
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary {
            cases,
            divergences,
            known,
            once,
        } = self;
        write!(
            f,
            "{cases} cases, {divergences} divergences, {known} known, {once} differed once and not again"
        )
    }
}
