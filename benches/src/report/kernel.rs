//! What the kernel itself counts.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::interval::median;

/// What the kernel counted of hostlet's programs for one unit of work (a connection, a packet).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Kernel {
    /// How many ran.
    pub runs: f64,
    /// What they took together, in nanoseconds, beyond what ones that do nothing took at the same places in the same work.
    pub nanoseconds: f64,
    /// The share of native's speed that this leaves, where one processor does all of the work and nothing else is different.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leaves: Option<f64>,
}

impl Kernel {
    /// Of several countings; `each` is what a unit takes natively, in nanoseconds.
    pub fn of(runs: Vec<f64>, nanoseconds: Vec<f64>, each: f64) -> Result<Self> {
        let nanoseconds = median(nanoseconds).context("nothing was counted")?;
        Ok(Self {
            runs: median(runs).context("nothing was counted")?,
            nanoseconds,
            // Programs make nothing faster: what is below zero is too little to tell.
            leaves: Some(each / (each + nanoseconds.max(0.0))),
        })
    }
}
