//! Goals.

use serde::{Deserialize, Serialize};

use super::print::number;

/// What was wanted.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bound {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
}

impl Bound {
    /// Whether a value is on its good side.
    pub fn holds(self, value: f64) -> bool {
        match self {
            Self::AtMost(most) => value <= most,
            Self::AtLeast(least) => value >= least,
        }
    }

    /// The number alone.
    pub fn value(self) -> f64 {
        match self {
            Self::AtMost(value) | Self::AtLeast(value) => value,
        }
    }

    /// As people write it.
    pub fn text(self) -> String {
        match self {
            Self::AtMost(most) => format!("≤ {}", number(most)),
            Self::AtLeast(least) => format!("≥ {}", number(least)),
        }
    }
}

/// Whether a goal was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// The median is on the good side.
    Met,
    /// It is not, but its interval reaches there.
    WithinNoise,
    /// Not even the interval does.
    Missed,
}

/// A way and what is wanted of it: of what it is against the baseline, where there is one, else of its value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Goal {
    /// The way.
    pub of: String,
    /// What is wanted.
    pub bound: Bound,
    /// How it came out.
    pub verdict: Verdict,
}
