//! A suite on both sides, and what comes of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::known::Known;
use super::outcome::{Difference, Outcomes, differences};
use super::{Bench, Suite};
use crate::lan::Lan;

/// How often a difference is looked at again before it counts.
const AGAIN: usize = 3;

/// What a failed test is said to be.
const FAILED: &[&str] = &["fail", "error", "unexpected success", "cut off"];

/// Under which terms a suite runs.
#[derive(Debug, Clone, Copy)]
pub struct Terms<'a> {
    /// The set of addresses, by the name that [`Lan`] knows.
    pub set: &'a str,
    /// Who runs the tests.
    pub user: &'a str,
}

impl Default for Terms<'_> {
    fn default() -> Self {
        // Every Debian has him.
        let user = "nobody";
        Terms { set: "two", user }
    }
}

/// What came of a suite.
#[derive(Debug)]
pub struct Verdict {
    /// How many tests the machine ran.
    pub tests: usize,
    /// How many of them it skipped.
    pub skipped: usize,
    /// How many fail there, for want of the world or of what they expect of a system.
    pub failed: usize,
    /// Differences that nobody has explained.
    pub differences: Vec<Difference>,
    /// Those of the table.
    pub known: Vec<Difference>,
    /// Those of tests that end by chance: it did not come again, or the machine ended them so, too, at another time.
    pub passing: Vec<Difference>,
    /// Rows of the table that came to nothing.
    pub unseen: Vec<Known>,
}

impl Verdict {
    /// Does it hold: no difference that is not in the table, and no row too many?
    pub fn holds(&self) -> bool {
        self.differences.is_empty() && self.unseen.is_empty()
    }

    /// The whole of it, for people; the last line is the summary.
    pub fn text(&self, name: &str) -> String {
        let mut text = String::new();
        let groups = [
            ("DIFFERS", &self.differences),
            ("known", &self.known),
            ("by chance", &self.passing),
        ];
        for (what, group) in groups {
            for one in group {
                let _ = writeln!(text, "{name}: {what}: {one}");
            }
        }
        for row in &self.unseen {
            let _ = writeln!(text, "{name}: NOT SEEN, but in the table: {}", row.test);
        }
        let _ = write!(
            text,
            "{name}: {} tests, {} differences, {} known ({} skipped; {} fail on the machine)",
            self.tests,
            self.differences.len(),
            self.known.len(),
            self.skipped,
            self.failed
        );
        text
    }
}

/// Performs the suite as a machine and as a hostlet beside another, and compares. `known` are
/// the rows that hold under these terms. What was printed is left in `logs`.
///
/// # Errors
/// When a side cannot be made, or the suite cannot be run.
pub fn judge(
    suite: &'static Suite,
    terms: Terms<'_>,
    known: &[Known],
    logs: &Path,
) -> Result<Verdict> {
    let bench = suite.prepare(terms.user)?;
    let log = |side: &str| logs.join(format!("{}-{side}.log", suite.name));
    let (machine, hostlet) = both(&bench, terms.set, &[], &log)?;

    let mut verdict = Verdict {
        tests: machine.len(),
        skipped: machine.values().filter(|o| o.starts_with("skip")).count(),
        failed: machine.values().filter(|o| FAILED.contains(&&***o)).count(),
        differences: Vec::new(),
        known: Vec::new(),
        passing: Vec::new(),
        unseen: Vec::new(),
    };
    let mut open = Vec::new();
    for found in differences(&machine, &hostlet) {
        if known.iter().any(|row| row.is(suite.name, &found)) {
            verdict.known.push(found);
        } else {
            open.push(found);
        }
    }
    let seen = |row: &Known| verdict.known.iter().any(|d| row.is(suite.name, d));
    // Another version of the suite may not have the test.
    let here = |row: &&Known| row.suite == suite.name && machine.contains_key(&row.test);
    let rows = known.iter().filter(here);
    verdict.unseen = rows.filter(|row| !seen(row)).cloned().collect();

    let mut shown: Vec<Shown> = open.iter().map(Shown::of).collect();
    for turn in 0..AGAIN {
        let names: Vec<&str> = open.iter().map(|d| d.test.as_str()).collect();
        for only in bench.again(&names) {
            let file = |side: &str| log("again").with_extension(format!("{turn}.{side}"));
            let (machine, hostlet) = both(&bench, terms.set, &only, &file)?;
            for (found, shown) in open.iter().zip(&mut shown) {
                shown.add(&found.test, &machine, &hostlet);
            }
        }
    }
    for (found, shown) in open.into_iter().zip(shown) {
        if shown.is_difference() {
            verdict.differences.push(found);
        } else {
            verdict.passing.push(found);
        }
    }
    Ok(verdict)
}

/// How a test that ended differently ended over all runs.
#[derive(Default)]
struct Shown {
    machine: BTreeSet<String>,
    hostlet: BTreeSet<String>,
    /// Did it end differently once more?
    again: bool,
}

impl Shown {
    fn of(found: &Difference) -> Self {
        Shown {
            machine: [found.machine.clone()].into(),
            hostlet: [found.hostlet.clone()].into(),
            again: false,
        }
    }

    /// Another run, perhaps of other tests.
    fn add(&mut self, test: &str, machine: &Outcomes, hostlet: &Outcomes) {
        let (machine, hostlet) = (machine.get(test), hostlet.get(test));
        self.again |= machine != hostlet;
        self.machine.extend(machine.cloned());
        self.hostlet.extend(hostlet.cloned());
    }

    /// It came again, and the hostlet ended as the machine never did: a test that races with the network has more than one end on either.
    fn is_difference(&self) -> bool {
        self.again && !self.hostlet.is_subset(&self.machine)
    }
}

/// On the machine, and in the hostlet.
fn both(
    bench: &Bench,
    set: &str,
    only: &[&str],
    log: &(dyn Fn(&str) -> PathBuf + Sync),
) -> Result<(Outcomes, Outcomes)> {
    let machine = || run(bench, Lan::real(set)?, only, &log("machine"));
    let hostlet = || run(bench, Lan::hostlets(set, &[])?, only, &log("hostlet"));
    if !bench.apart() {
        return Ok((machine()?, hostlet()?));
    }
    std::thread::scope(|scope| {
        let machine = scope.spawn(machine);
        let hostlet = hostlet()?;
        let machine = machine.join();
        let machine = machine.map_err(|_| anyhow::anyhow!("the machine's thread panicked"))??;
        Ok((machine, hostlet))
    })
}

fn run(bench: &Bench, lan: Lan, only: &[&str], log: &Path) -> Result<Outcomes> {
    // A neighbour: another hostlet, or another machine.
    let neighbour = lan.start("other")?;
    let outcomes = bench.perform(&lan, only, log)?;
    neighbour.finish()?;
    Ok(outcomes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// First this on the machine and that in the hostlet, then so many turns.
    fn is_difference(first: (&str, &str), turns: &[(&str, &str)]) -> bool {
        let outcomes = |end: &str| Outcomes::from([("it".to_owned(), end.to_owned())]);
        let mut shown = Shown::of(&Difference {
            test: "it".into(),
            machine: first.0.into(),
            hostlet: first.1.into(),
        });
        for (machine, hostlet) in turns {
            shown.add("it", &outcomes(machine), &outcomes(hostlet));
        }
        shown.add("it", &Outcomes::new(), &Outcomes::new());
        shown.is_difference()
    }

    #[test]
    fn a_difference_comes_again() {
        assert!(is_difference(
            ("ok", "fail"),
            &[("ok", "ok"), ("ok", "fail")]
        ));
        assert!(!is_difference(
            ("ok", "fail"),
            &[("ok", "ok"), ("ok", "ok")]
        ));
    }

    #[test]
    fn a_race_that_the_machine_loses_too_is_none() {
        assert!(!is_difference(
            ("skip", "ok"),
            &[("ok", "ok"), ("skip", "ok")]
        ));
        assert!(is_difference(
            ("skip", "ok"),
            &[("ok", "fail"), ("ok", "ok")]
        ));
    }

    #[test]
    fn what_does_not_run_is_an_end() {
        let (ran, nothing) = (
            Outcomes::from([("it".into(), "ok".into())]),
            Outcomes::new(),
        );
        let mut shown = Shown::of(&differences(&ran, &nothing)[0]);
        shown.add("it", &ran, &nothing);
        assert!(shown.is_difference());
    }
}
