//! Which known difference explains a difference in a generated case: a function for
//! each id of the table, as narrow as it can be.

use hostlet_testkit::oracle::{Script, Step, Traces};

/// The first difference between the sides.
struct Difference<'a> {
    /// What came before.
    before: &'a [Step],
    step: &'a Step,
    real: &'a str,
    hostlet: &'a str,
}

/// The id of the known difference that the step shows.
pub(super) fn explain(script: &Script, at: usize, traces: &Traces) -> Option<&'static str> {
    let difference = Difference {
        before: &script.steps[..at],
        step: &script.steps[at],
        real: &traces.real[at],
        hostlet: &traces.hostlets[at],
    };
    KNOWN
        .iter()
        .find(|(_, explains)| explains(&difference))
        .map(|(id, _)| *id)
}

type Explains = fn(&Difference) -> bool;

const KNOWN: &[(&str, Explains)] = &[("freebind", freebind)];

/// The words of a step, without `/child`.
fn words(step: &Step) -> Vec<&str> {
    let words = step.line.split_whitespace();
    words.skip_while(|w| w.starts_with('/')).collect()
}

impl Difference<'_> {
    fn words(&self) -> Vec<&str> {
        words(self.step)
    }

    /// Whether an earlier step of the actor has these words first.
    fn did(&self, first: &[&str]) -> bool {
        self.before
            .iter()
            .any(|s| s.actor == self.step.actor && words(s).starts_with(first))
    }
}

fn freebind(d: &Difference) -> bool {
    let words = d.words();
    let ["bind", socket, _] = words[..] else {
        return false;
    };
    matches!(d.real, "ok" | "EADDRINUSE")
        && d.hostlet == "EADDRNOTAVAIL"
        && d.did(&["opt", socket, "freebind", "1"])
}
