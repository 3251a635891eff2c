//! How the tests of a suite ended, and where two runs differ.

use std::collections::BTreeMap;
use std::fmt;

/// By the test's name: `ok`, `fail`, `error`, `skip: WHY`…
pub type Outcomes = BTreeMap<String, String>;

/// A test that ended differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// Its name.
    pub test: String,
    /// On the machine.
    pub machine: String,
    /// In the hostlet.
    pub hostlet: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            test,
            machine,
            hostlet,
        } = self;
        write!(f, "{test}: machine {machine}, hostlet {hostlet}")
    }
}

/// The tests that ended differently, or on one side only.
pub fn differences(machine: &Outcomes, hostlet: &Outcomes) -> Vec<Difference> {
    let of = |side: &Outcomes, test: &str| side.get(test).map_or("not run", |o| o).to_owned();
    let mut names: Vec<&String> = machine.keys().chain(hostlet.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|test| Difference {
            test: test.clone(),
            machine: of(machine, test),
            hostlet: of(hostlet, test),
        })
        .filter(|d| d.machine != d.hostlet)
        .collect()
}

/// Name, tab, outcome.
pub(super) fn tabbed(text: &str) -> Outcomes {
    text.lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, outcome)| (name.into(), outcome.into()))
        .collect()
}

/// `--- PASS: TestName (0.00s)`, further in for subtests; a test that began and has no
/// such line was cut off by a panic.
pub(super) fn go(text: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for line in text.lines() {
        let line = line.trim_start();
        if let Some(name) = line.strip_prefix("=== RUN ") {
            outcomes
                .entry(name.trim().into())
                .or_insert_with(|| "cut off".into());
        }
        for (mark, outcome) in [("PASS", "ok"), ("FAIL", "fail"), ("SKIP", "skip")] {
            let rest = line.strip_prefix("--- ");
            let rest = rest.and_then(|l| l.strip_prefix(mark)?.strip_prefix(": "));
            if let Some((name, _)) = rest.and_then(|rest| rest.split_once(' ')) {
                outcomes.insert(name.into(), outcome.into());
            }
        }
    }
    outcomes
}

/// The Test Anything Protocol: `not ok 7 - name`, `ok 8 - name # SKIP why`.
pub(super) fn tap(text: &str) -> Outcomes {
    let mut outcomes = Outcomes::new();
    for line in text.lines() {
        let (good, rest) = match line.strip_prefix("not ok ") {
            Some(rest) => (false, rest),
            None => match line.strip_prefix("ok ") {
                Some(rest) => (true, rest),
                None => continue,
            },
        };
        let Some((_, rest)) = rest.split_once(" - ") else {
            continue;
        };
        let (name, outcome) = match rest.split_once(" # SKIP") {
            Some((name, why)) => (name, format!("skip: {}", why.trim())),
            None if good => (rest, "ok".into()),
            None => (rest, "fail".into()),
        };
        outcomes.insert(name.trim().into(), outcome);
    }
    outcomes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(pairs: &[(&str, &str)]) -> Outcomes {
        let pairs = pairs.iter();
        pairs.map(|(n, o)| ((*n).into(), (*o).into())).collect()
    }

    #[test]
    fn go_prints_subtests_further_in() {
        let said = "=== RUN   TestA\n=== RUN   TestA/sub\n    --- PASS: TestA/sub (0.01s)\n\
                    --- FAIL: TestA (0.02s)\n--- SKIP: TestB (0.00s)\n    why: x\n=== RUN   TestC\npanic: no\n";
        let wanted = of(&[
            ("TestA", "fail"),
            ("TestA/sub", "ok"),
            ("TestB", "skip"),
            ("TestC", "cut off"),
        ]);
        assert_eq!(go(said), wanted);
    }

    #[test]
    fn tap_is_read() {
        let said = "1..3\nok 1 - a\nnot ok 2 - b\n# exit code 6\nok 3 - c # SKIP no IPv6\n";
        let wanted = of(&[("a", "ok"), ("b", "fail"), ("c", "skip: no IPv6")]);
        assert_eq!(tap(said), wanted);
    }

    #[test]
    fn what_ran_on_one_side_only_differs() {
        let found = differences(
            &of(&[("a", "ok"), ("b", "ok")]),
            &of(&[("a", "fail"), ("c", "ok")]),
        );
        let said: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            said,
            [
                "a: machine ok, hostlet fail",
                "b: machine ok, hostlet not run",
                "c: machine not run, hostlet ok"
            ]
        );
    }
}
