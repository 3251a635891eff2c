//! One figure: the same thing done in several ways.

use serde::{Deserialize, Serialize};

pub use super::bound::{Bound, Goal, Verdict};
use super::interval::Samples;
use super::kernel::Kernel;
use super::print::{grouped, number};

/// A way that is what the kernel takes of it at all: programs of one instruction where hostlet has its own.
pub const IDLE: &str = "programs that do nothing";
/// Another: a program that makes nothing but the calls without which it cannot be done.
pub const KERNELS_PART: &str = "the kernel's part";

/// Which direction is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Better {
    /// As of requests a second.
    More,
    /// As of milliseconds.
    Less,
}

/// How a way is compared with the baseline, round by round.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// Divided by it.
    Share,
    /// What it takes more, in the row's unit.
    More,
}

/// One way to do it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Way {
    /// "native", "hostlet", an alternative; or how many of something there are.
    pub name: String,
    /// That number, for lines.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<f64>,
    /// What was measured; none if it cannot be done this way.
    pub samples: Option<Samples>,
    /// The same against the baseline's value of the same round.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub against: Option<Samples>,
    /// Why it cannot be done, or what is different about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl Way {
    /// Whether it is what the kernel takes of it, without hostlet.
    pub fn is_kernels(&self) -> bool {
        self.name == IDLE || self.name.starts_with(KERNELS_PART)
    }

    /// Whether it is that of this way: of all, or of the same number.
    fn is_kernels_of(&self, of: &Self) -> bool {
        self.is_kernels() && (self.at.is_none() || self.at == of.at) && !of.is_kernels()
    }
}

/// One figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// What is done; with the section's title, all that a reader needs.
    pub what: String,
    /// Of what.
    pub unit: String,
    /// Which direction is good.
    pub better: Better,
    /// What measured it, to be tried by hand.
    pub command: String,
    /// The way that others are compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<(String, Against)>,
    /// In the order of the page.
    pub ways: Vec<Way>,
    /// What is wanted.
    pub goals: Vec<Goal>,
    /// What the kernel counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kernel: Option<Kernel>,
    /// Whether the plot leaves it out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub told_only: bool,
}

impl Row {
    /// A figure that nothing was measured of yet.
    pub fn new(what: impl Into<String>, unit: &str, better: Better) -> Self {
        Self {
            what: what.into(),
            unit: unit.to_owned(),
            better,
            command: String::new(),
            baseline: None,
            ways: Vec::new(),
            goals: Vec::new(),
            kernel: None,
            told_only: false,
        }
    }

    /// Whether the plot leaves it out, because another panel looks like it.
    #[must_use]
    pub fn told_only(mut self, told_only: bool) -> Self {
        self.told_only = told_only;
        self
    }

    /// What measured it.
    #[must_use]
    pub fn command(mut self, command: impl Into<String>) -> Self {
        self.command = command.into();
        self
    }

    /// What was measured in a way, a value a round.
    #[must_use]
    pub fn way(self, name: impl Into<String>, values: impl IntoIterator<Item = f64>) -> Self {
        self.rounds(name, values.into_iter().map(Some).collect())
    }

    /// As [`Row::way`], where some rounds may have been left out.
    #[must_use]
    pub fn rounds(mut self, name: impl Into<String>, values: Vec<Option<f64>>) -> Self {
        self.ways.push(Way {
            name: name.into(),
            at: None,
            samples: Samples::of(values),
            against: None,
            note: None,
        });
        self
    }

    /// As [`Row::way`], with so many of what the line is over.
    #[must_use]
    pub fn at(self, number: u32, values: impl IntoIterator<Item = f64>) -> Self {
        let mut row = self.way(grouped(f64::from(number)), values);
        if let Some(way) = row.ways.last_mut() {
            way.at = Some(f64::from(number));
        }
        row
    }

    /// As [`Row::at`], of what the kernel takes of it.
    #[must_use]
    pub fn part_at(self, number: u32, values: impl IntoIterator<Item = f64>) -> Self {
        let at = f64::from(number);
        let mut row = self.way(format!("{KERNELS_PART} at {}", grouped(at)), values);
        if let Some(way) = row.ways.last_mut() {
            way.at = Some(at);
        }
        row
    }

    /// What the kernel takes of this way.
    pub fn kernels_part(&self, of: &str) -> Option<&Way> {
        let of = self.ways.iter().find(|way| way.name == of)?;
        self.ways.iter().find(|way| way.is_kernels_of(of))
    }

    /// That it cannot be done this way, and why.
    #[must_use]
    pub fn cannot(mut self, name: impl Into<String>, why: impl Into<String>) -> Self {
        self.ways.push(Way {
            name: name.into(),
            at: None,
            samples: None,
            against: None,
            note: Some(why.into()),
        });
        self
    }

    /// What is different about a way.
    #[must_use]
    pub fn note(mut self, name: &str, note: impl Into<String>) -> Self {
        if let Some(way) = self.ways.iter_mut().find(|way| way.name == name) {
            way.note = Some(note.into());
        }
        self
    }

    /// Compares all ways that are there with this one of them, round by round.
    #[must_use]
    pub fn against(mut self, baseline: &str, how: Against) -> Self {
        let base = self.ways.iter().find(|way| way.name == baseline);
        let base = base.and_then(|way| way.samples.clone());
        for way in self.ways.iter_mut().filter(|way| way.name != baseline) {
            let (Some(samples), Some(base)) = (&way.samples, &base) else {
                continue;
            };
            let pairs = samples.values.iter().zip(&base.values);
            let compared = pairs.map(|(value, base)| {
                let (value, base) = ((*value)?, (*base)?);
                Some(match how {
                    Against::Share => value / base,
                    Against::More => value - base,
                })
            });
            way.against = Samples::of(compared.collect());
        }
        self.baseline = Some((baseline.to_owned(), how));
        self
    }

    /// What is wanted of a way that is there; to be said last.
    #[must_use]
    pub fn goal(mut self, of: &str, bound: Bound) -> Self {
        let measured = self.ways.iter().find(|way| way.name == of);
        let measured = measured.and_then(|way| self.judged(way));
        let verdict = match measured {
            Some(samples) if bound.holds(samples.median) => Verdict::Met,
            Some(samples) => {
                // Two to four values span less than that certainty: each side is taken twice. A value far off on one side says nothing
                // of the other.
                let times = if (2..5).contains(&samples.n) {
                    2.0
                } else {
                    1.0
                };
                let reach = |end: f64| samples.median + times * (end - samples.median);
                if bound.holds(reach(samples.low)) || bound.holds(reach(samples.high)) {
                    Verdict::WithinNoise
                } else {
                    Verdict::Missed
                }
            }
            None => Verdict::Missed,
        };
        self.goals.push(Goal {
            of: of.to_owned(),
            bound,
            verdict,
        });
        self
    }

    /// What the kernel counted, for one unit of work.
    #[must_use]
    pub fn kernel(mut self, kernel: Option<Kernel>) -> Self {
        self.kernel = kernel;
        self
    }

    /// What goals of this way are about.
    pub fn judged<'a>(&self, way: &'a Way) -> Option<&'a Samples> {
        match self.baseline {
            Some(_) => way.against.as_ref(),
            None => way.samples.as_ref(),
        }
    }

    /// What a share would be by the kernel's count alone.
    pub fn counted(&self) -> Option<f64> {
        let leaves = self.kernel?.leaves?;
        Some(match self.better {
            Better::More => leaves,
            Better::Less => 1.0 / leaves,
        })
    }

    /// What a bound is of, to stand behind it.
    pub fn of_what(&self) -> String {
        match &self.baseline {
            Some((base, Against::Share)) => format!(" of {base}"),
            Some((base, Against::More)) => format!(" {} over {base}", self.unit),
            None if self.unit == "×" => " of without hostlets".to_owned(),
            None => format!(" {}", self.unit),
        }
    }

    /// Whether what the kernel takes misses this goal by itself, by more than its interval: then it is not hostlet's to reach.
    pub fn is_the_kernels(&self, goal: &Goal) -> bool {
        let part = self.kernels_part(&goal.of);
        let part = part.and_then(|way| self.judged(way));
        part.is_some_and(|part| !goal.bound.holds(part.low) && !goal.bound.holds(part.high))
    }

    /// Each goal that was missed, as a sentence; and whether noise does not explain it.
    pub fn missed(&self) -> Vec<(String, bool)> {
        let missed = self.goals.iter().filter(|g| g.verdict != Verdict::Met);
        let told = missed.map(|goal| {
            let measured = self.ways.iter().find(|way| way.name == goal.of);
            let measured = match measured.and_then(|way| self.judged(way)) {
                Some(s) => format!(
                    "{} ({} to {})",
                    number(s.median),
                    number(s.low),
                    number(s.high)
                ),
                None => "not measured".to_owned(),
            };
            let (what, name, wanted) = (&self.what, &goal.of, goal.bound.text());
            let of = self.of_what();
            let text = format!("{what}, {name}: {measured}, wanted {wanted}{of}");
            (text, goal.verdict == Verdict::Missed)
        });
        told.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(values: &[f64], bound: Bound) -> Verdict {
        let row = Row::new("x", "ns", Better::Less).way("hostlet", values.iter().copied());
        row.goal("hostlet", bound).goals[0].verdict
    }

    #[test]
    fn goals_have_two_directions_and_an_interval() {
        let values = [9.0, 9.0, 9.5, 10.0, 10.0, 12.0, 12.0];
        for (bound, wanted) in [
            (Bound::AtMost(10.0), Verdict::Met),
            (Bound::AtMost(9.5), Verdict::WithinNoise),
            (Bound::AtMost(8.0), Verdict::Missed),
            (Bound::AtLeast(10.0), Verdict::Met),
            (Bound::AtLeast(11.0), Verdict::WithinNoise),
            (Bound::AtLeast(13.0), Verdict::Missed),
        ] {
            assert_eq!(verdict(&values, bound), wanted, "{bound:?}");
        }
        let few = |most| verdict(&[9.0, 10.0], Bound::AtMost(most));
        assert_eq!(few(8.5), Verdict::WithinNoise);
        assert_eq!(few(8.4), Verdict::Missed);
        let five = [2.1, 2.2, 2.3, 2.4, 9.0];
        assert_eq!(verdict(&five, Bound::AtMost(2.0)), Verdict::Missed);
    }

    #[test]
    fn the_kernels_part_is_that_of_the_same_number() {
        let row = Row::new("x", "ms", Better::Less)
            .at(1, [2.0])
            .at(100, [1.0])
            .part_at(100, [0.5]);
        assert!(row.kernels_part("1").is_none());
        let part = row.kernels_part("100").and_then(|way| way.samples.as_ref());
        assert_eq!(part.map(|samples| samples.median), Some(0.5));
        let row = row.way(IDLE, [0.1]);
        assert_eq!(
            row.kernels_part("1").map(|way| way.name.as_str()),
            Some(IDLE)
        );
    }

    #[test]
    fn what_was_not_measured_is_missed() {
        let row = Row::new("x", "ns", Better::Less).cannot("hostlet", "it cannot");
        let row = row.goal("hostlet", Bound::AtMost(1.0));
        assert_eq!(row.goals[0].verdict, Verdict::Missed);
        assert!(row.missed()[0].1);
    }

    #[test]
    fn ways_are_compared_within_their_round() {
        let row = Row::new("x", "1/s", Better::More)
            .way("native", [10.0, 20.0, 40.0])
            .rounds("hostlet", vec![Some(9.0), None, Some(40.0)])
            .against("native", Against::Share);
        let against = row.ways[1].against.as_ref().expect("it is compared");
        assert_eq!(against.values, [Some(0.9), None, Some(1.0)]);
        assert!(row.ways[0].against.is_none());
    }
}
