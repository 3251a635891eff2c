//! What a script shows: no difference, known ones, or one that there should not be.
//!
//! At first calls wait shortly, which is quick, and what differs then proves nothing. So the script is performed again and again,
//! and calls wait long: all of these runs have to be equal, or to differ as is known. And where a difference is known, the
//! script is judged again without the step that shows it, until all that is left is equal: it hides no other.

use std::collections::BTreeSet;

use anyhow::Result;
use hostlet_testkit::oracle::{Arena, Script, Traces};

use super::known;
use super::less::without;

/// How long calls wait at first: packets between namespaces of one machine arrive within
/// the sending call, so what is not there at once will not come.
const SHORT_MS: u32 = 8;

/// How long they wait before a difference is believed.
const LONG_MS: u32 = 500;

/// How often a script that has differed is performed again, each time twice: by machines that know none of their neighbours, and
/// by those that know what that has taught them. What scripts before have taught either side is its own. One in three
/// that differs is seen by these all but never not (one in 130).
const AGAIN: usize = 6;

/// The same for smaller scripts, of which many are tried when one differs for certain.
const SMALLER: usize = 2;

/// How often machines alone are asked whether they, too, answer now so, now otherwise.
const ASKED: usize = 8;

/// Who performs scripts.
pub(super) trait Sides {
    /// How long calls wait from now on.
    fn patience(&mut self, ms: u32) -> Result<()>;
    /// Ends what is known of neighbours, or questions for them that were in vain.
    fn forget_neighbours(&mut self, found: bool) -> Result<()>;
    /// What both sides answer.
    fn perform(&mut self, script: &Script) -> Result<Traces>;
    /// What machines answer.
    fn perform_real(&mut self, script: &Script) -> Result<Vec<String>>;
}

impl Sides for Arena {
    fn patience(&mut self, ms: u32) -> Result<()> {
        Arena::patience(self, ms)
    }

    fn forget_neighbours(&mut self, found: bool) -> Result<()> {
        Arena::forget_neighbours(self, found)
    }

    fn perform(&mut self, script: &Script) -> Result<Traces> {
        Arena::perform(self, script)
    }

    fn perform_real(&mut self, script: &Script) -> Result<Vec<String>> {
        Arena::perform_real(self, script)
    }
}

/// What came of a script.
#[derive(Default)]
pub(super) struct Judged {
    /// The difference that there should not be, in the script without what is known before.
    pub differs: Option<(Script, Traces)>,
    /// The known differences that it shows.
    pub known: BTreeSet<&'static str>,
    /// What machines answer now so, now otherwise, and hostlets too.
    pub voids: usize,
    /// Steps that were compared with nothing: those that need a socket or child which a step was to make that
    /// shows a known difference.
    pub uncompared: usize,
    /// What differed while calls waited shortly, and never while they waited long: the step, and both answers.
    pub once: Vec<String>,
}

/// What one look at a script shows.
enum Look {
    Same,
    /// At that step.
    Known(&'static str, usize),
    Void(usize),
    Differs(Traces),
}

/// Performs the script until all that it shows is known.
pub(super) fn judge(sides: &mut impl Sides, script: &Script) -> Result<Judged> {
    let mut judged = Judged::default();
    let mut script = script.clone();
    loop {
        let at = match look(sides, &script, &mut judged.once)? {
            Look::Same => return Ok(judged),
            Look::Differs(traces) => {
                judged.differs = Some((script, traces));
                return Ok(judged);
            }
            Look::Known(id, at) => {
                judged.known.insert(id);
                at
            }
            Look::Void(at) => {
                judged.voids += 1;
                at
            }
        };
        let less = without(&script, at..at + 1);
        judged.uncompared += script.steps.len() - less.steps.len() - 1;
        script = less;
    }
}

/// Performs the script, and again if there is a difference.
fn look(sides: &mut impl Sides, script: &Script, once: &mut Vec<String>) -> Result<Look> {
    sides.patience(SHORT_MS)?;
    let traces = sides.perform(script)?;
    match shown(script, &traces) {
        Look::Differs(traces) => {
            let look = look_again(sides, script, AGAIN)?;
            if let (Look::Same | Look::Known(..), Some(at)) = (&look, first(&traces)) {
                let step = &script.steps[at];
                once.push(format!(
                    "{} {} => {} / {}",
                    step.actor, step.line, traces.real[at], traces.hostlets[at]
                ));
            }
            Ok(look)
        }
        fine => Ok(fine),
    }
}

/// What it shows while calls wait long: a difference, if it is one even once.
fn look_again(sides: &mut impl Sides, script: &Script, often: usize) -> Result<Look> {
    sides.patience(LONG_MS)?;
    let mut answers = Vec::new();
    let mut last = Look::Same;
    for anew in [true, false].repeat(often) {
        sides.forget_neighbours(anew)?;
        let traces = sides.perform(script)?;
        answers.push((anew, traces.real.clone()));
        match shown(script, &traces) {
            Look::Differs(traces) => {
                let answers = answers.into_iter().filter(|(was, _)| *was == anew);
                let answers = answers.map(|(_, real)| real);
                let void = is_chance(sides, script, &traces, anew, answers)?;
                return Ok(void.map_or(Look::Differs(traces), Look::Void));
            }
            fine => last = fine,
        }
    }
    Ok(last)
}

/// The step at which both sides differ, if machines that know as much of their neighbours answer there as the hostlets did,
/// at another time.
fn is_chance(
    sides: &mut impl Sides,
    script: &Script,
    traces: &Traces,
    anew: bool,
    mut answers: impl Iterator<Item = Vec<String>>,
) -> Result<Option<usize>> {
    let Some(at) = first(traces) else {
        return Ok(None);
    };
    let likewise = |real: Vec<String>| real[..=at] == traces.hostlets[..=at];
    if answers.any(likewise) {
        return Ok(Some(at));
    }
    for _ in 0..ASKED {
        sides.forget_neighbours(anew)?;
        if likewise(sides.perform_real(script)?) {
            return Ok(Some(at));
        }
    }
    Ok(None)
}

/// What came of performing it once.
fn shown(script: &Script, traces: &Traces) -> Look {
    let Some(at) = first(traces) else {
        return Look::Same;
    };
    match known::explain(script, at, traces) {
        Some(id) => Look::Known(id, at),
        None => Look::Differs(traces.clone()),
    }
}

/// The first step that differs.
pub(super) fn first(traces: &Traces) -> Option<usize> {
    let mut both = traces.real.iter().zip(&traces.hostlets);
    both.position(|(real, hostlet)| real != hostlet)
}

/// The smallest script that still differs, as far as leaving out steps goes.
pub(super) fn shrink(
    sides: &mut impl Sides,
    script: &Script,
    traces: Traces,
) -> Result<(Script, Traces)> {
    let mut best = ended(script, traces);
    let mut size = best.0.steps.len() / 2;
    while size > 0 {
        let mut at = best.0.steps.len();
        while at > 0 {
            let from = at.saturating_sub(size);
            let less = without(&best.0, from..at);
            if let Look::Differs(traces) = look_again(sides, &less, SMALLER)? {
                best = ended(&less, traces);
            }
            at = from.min(best.0.steps.len());
        }
        size /= 2;
    }
    Ok(best)
}

/// Without what comes after the first difference, which is of no interest.
fn ended(script: &Script, mut traces: Traces) -> (Script, Traces) {
    let mut script = script.clone();
    let end = first(&traces).map_or(script.steps.len(), |at| at + 1);
    script.steps.truncate(end);
    traces.real.truncate(end);
    traces.hostlets.truncate(end);
    (script, traces)
}

/// The script as a named case, with what the machines answer.
pub(super) fn as_case(script: &Script, traces: &Traces, name: &str) -> String {
    let mut text = format!("    {name}: \"A18\", r\"\n");
    if script.set != "two" {
        text.push_str(&format!("        set {}\n", script.set));
    }
    for (step, (real, hostlet)) in script
        .steps
        .iter()
        .zip(traces.real.iter().zip(&traces.hostlets))
    {
        let line = match step.line.strip_prefix('/').and_then(|l| l.split_once(' ')) {
            Some((child, line)) => format!("{}/{child} {line}", step.actor),
            None => format!("{} {}", step.actor, step.line),
        };
        text.push_str("        ");
        text.push_str(&line);
        if real != "ok" {
            text.push_str(&format!(" => {real}"));
        }
        if real != hostlet {
            text.push_str(&format!("    # hostlet: {hostlet}"));
        }
        text.push('\n');
    }
    text.push_str("    \";");
    text
}

#[cfg(test)]
mod tests;
