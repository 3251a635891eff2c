//! Medians, and how sure one can be of them.

use serde::{Deserialize, Serialize};

/// Values of the same thing, measured several times.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Samples {
    /// How many.
    pub n: usize,
    /// The middle one.
    pub median: f64,
    /// Where the median of ever more of them would be, in 95 of 100 cases, by their order alone: not below this. Of fewer than six
    /// the smallest.
    pub low: f64,
    /// Nor above this; of fewer than six the largest.
    pub high: f64,
    /// In the order of measuring; none where a round left this out.
    pub values: Vec<Option<f64>>,
}

impl Samples {
    /// None if nothing was measured.
    pub fn of(values: Vec<Option<f64>>) -> Option<Self> {
        let rounded = |v: &Option<f64>| v.map(significant);
        let values: Vec<Option<f64>> = values.iter().map(rounded).collect();
        let mut sorted: Vec<f64> = values.iter().flatten().copied().collect();
        sorted.sort_by(f64::total_cmp);
        let n = sorted.len();
        let aside = aside(n);
        Some(Self {
            n,
            median: significant(median(sorted.clone())?),
            low: *sorted.get(aside)?,
            high: *sorted.get(n - 1 - aside)?,
            values,
        })
    }
}

/// Six digits: what is measured has fewer.
fn significant(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// How many values at each end are outside of the interval for the median: each of them is beyond the true median with the probability
/// of one half, whatever their distribution.
fn aside(n: usize) -> usize {
    let mut beyond = 0.5_f64.powi(i32::try_from(n).unwrap_or(i32::MAX));
    let (mut choices, mut aside) = (beyond, 0);
    loop {
        choices = choices * (n - aside) as f64 / (aside + 1) as f64;
        beyond += choices;
        if beyond > 0.025 || 2 * (aside + 1) >= n {
            return aside;
        }
        aside += 1;
    }
}

/// The middle of what was measured; of an even number, the mean of the two in the middle.
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    Some(f64::midpoint(values[values.len() / 2 - 1], upper))
}

/// The value that this share of what was measured does not exceed.
pub fn percentile(values: &[f64], share: f64) -> Option<f64> {
    let mut values = values.to_vec();
    values.sort_by(f64::total_cmp);
    let rank = (values.len() as f64 * share).ceil() as usize;
    values.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![4.0, 1.0, 2.0, 9.0]), Some(3.0));
    }

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&[], 0.5), None);
        assert_eq!(percentile(&[7.0], 0.99), Some(7.0));
        assert_eq!(percentile(&values, 0.5), Some(50.0));
        assert_eq!(percentile(&values, 0.99), Some(99.0));
    }

    /// The table of every textbook.
    #[test]
    fn the_interval_leaves_as_many_aside_as_the_binomial_distribution_says() {
        for (n, wanted) in [
            (1, 0),
            (2, 0),
            (5, 0),
            (6, 0),
            (8, 0),
            (9, 1),
            (11, 1),
            (12, 2),
            (15, 3),
            (20, 5),
            (30, 9),
        ] {
            assert_eq!(aside(n), wanted, "{n}");
        }
    }

    #[test]
    fn rounds_that_were_left_out_do_not_count() {
        let samples = Samples::of(vec![Some(3.0), None, Some(1.0), Some(2.0)]);
        let samples = samples.expect("there are three");
        assert_eq!((samples.n, samples.median), (3, 2.0));
        assert_eq!((samples.low, samples.high), (1.0, 3.0));
        assert_eq!(Samples::of(vec![None]), None);
    }
}
