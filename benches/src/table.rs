//! Figures and how they are printed.

use serde_json::{Value, json};

/// What a figure has to keep to.
#[derive(Debug, Clone, Copy)]
pub enum Promise {
    /// Not more than this.
    AtMost(f64),
    /// Not less than this.
    AtLeast(f64),
    /// Nothing; it stands there to compare with.
    None,
}

/// One line of the report.
#[derive(Debug, Clone)]
pub struct Figure {
    /// What was measured.
    pub what: String,
    /// The unit of what was measured.
    pub unit: &'static str,
    /// The median of the rounds.
    pub with: f64,
    /// The same without hostlet, in the same run.
    pub without: Option<f64>,
    /// What the promise is about: the figure itself, or how it stands to the one without.
    pub result: f64,
    /// What was promised.
    pub promise: Promise,
}

impl Figure {
    /// A figure that stands for itself.
    pub fn alone(what: impl Into<String>, unit: &'static str, with: f64, promise: Promise) -> Self {
        Self {
            what: what.into(),
            unit,
            with,
            without: None,
            result: with,
            promise,
        }
    }

    /// What it costs more than without.
    #[must_use]
    pub fn more_than(mut self, without: f64) -> Self {
        self.without = Some(without);
        self.result = self.with - without;
        self
    }

    /// Its share of what there is without.
    #[must_use]
    pub fn share_of(mut self, without: f64) -> Self {
        self.without = Some(without);
        self.result = self.with / without;
        self
    }

    /// Whether the promise is kept; figures without one always do.
    pub fn kept(&self) -> bool {
        match self.promise {
            Promise::AtMost(most) => self.result <= most,
            Promise::AtLeast(least) => self.result >= least,
            Promise::None => true,
        }
    }

    fn json(&self) -> Value {
        let promise = match self.promise {
            Promise::AtMost(most) => json!({ "at_most": most }),
            Promise::AtLeast(least) => json!({ "at_least": least }),
            Promise::None => Value::Null,
        };
        json!({
            "what": self.what,
            "unit": self.unit,
            "with": self.with,
            "without": self.without,
            "result": self.result,
            "promise": promise,
            "kept": self.kept(),
        })
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

/// Prints all figures as people read them.
pub fn print(figures: &[Figure]) {
    println!(
        "{:<52} {:>10} {:>10} {:<7} {:>9} {:>9}",
        "", "with", "without", "unit", "result", "promised"
    );
    for figure in figures {
        let promise = match figure.promise {
            Promise::AtMost(most) => format!("<= {}", number(most)),
            Promise::AtLeast(least) => format!(">= {}", number(least)),
            Promise::None => String::new(),
        };
        println!(
            "{:<52} {:>10} {:>10} {:<7} {:>9} {:>9}{}",
            figure.what,
            number(figure.with),
            figure.without.map(number).unwrap_or_default(),
            figure.unit,
            number(figure.result),
            promise,
            if figure.kept() { "" } else { "  MISSED" }
        );
    }
}

/// Prints all figures as JSON.
pub fn print_json(figures: &[Figure]) {
    println!("{:#}", Value::from_iter(figures.iter().map(Figure::json)));
}

fn number(value: f64) -> String {
    match value {
        v if v == 0.0 || v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
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

    #[test]
    fn promises_have_two_directions() {
        let kept = |promise| Figure::alone("x", "ns", 10.0, promise).kept();
        assert!(kept(Promise::AtMost(10.0)));
        assert!(!kept(Promise::AtMost(9.0)));
        assert!(kept(Promise::AtLeast(10.0)));
        assert!(!kept(Promise::AtLeast(11.0)));
        assert!(kept(Promise::None));
    }

    #[test]
    fn the_promise_is_about_the_result() {
        let figure = Figure::alone("x", "ns", 10.0, Promise::AtMost(3.0));
        assert!(!figure.kept());
        assert!(figure.clone().more_than(8.0).kept());
        assert!(!figure.more_than(6.0).kept());
        let share = Figure::alone("x", "Gbit/s", 9.9, Promise::AtLeast(0.98)).share_of(10.0);
        assert!(share.kept());
    }
}
