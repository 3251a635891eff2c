//! What a script shows: no difference, a known one, or one that there should not be.

use anyhow::Result;
use hostlet_testkit::oracle::{Arena, Script, Traces};

use super::known;

/// How long calls wait at first: packets between namespaces of one machine arrive within
/// the sending call, so what is not there at once will not come.
const SHORT_MS: u32 = 8;

/// How long they wait before a difference is believed.
const LONG_MS: u32 = 500;

/// What came of a script.
pub(super) enum Verdict {
    /// Both sides answered alike.
    Same,
    /// They differ first in a way that is documented.
    Known(&'static str),
    /// The machines do not answer twice alike.
    Void,
    /// They differ.
    Differs(Traces),
}

/// Performs the script, and again if there is a difference: it is none if it depends on what the machines
/// remember of their neighbours from scripts before, each its own.
pub(super) fn judge(arena: &mut Arena, script: &Script) -> Result<Verdict> {
    arena.patience(SHORT_MS)?;
    let traces = arena.perform(script)?;
    if let Some(verdict) = explained(script, &traces) {
        return Ok(verdict);
    }
    arena.patience(LONG_MS)?;
    let mut last = traces;
    for found in [false, true] {
        arena.forget_neighbours(found)?;
        last = arena.perform(script)?;
        if let Some(verdict) = explained(script, &last) {
            return Ok(verdict);
        }
    }
    arena.forget_neighbours(true)?;
    if arena.perform_real(script)? != last.real {
        return Ok(Verdict::Void);
    }
    Ok(Verdict::Differs(last))
}

fn explained(script: &Script, traces: &Traces) -> Option<Verdict> {
    let Some(at) = first(traces) else {
        return Some(Verdict::Same);
    };
    known::explain(script, at, traces).map(Verdict::Known)
}

/// The first step that differs.
pub(super) fn first(traces: &Traces) -> Option<usize> {
    let mut both = traces.real.iter().zip(&traces.hostlets);
    both.position(|(real, hostlet)| real != hostlet)
}

/// The smallest script that still differs, as far as leaving out steps goes.
pub(super) fn shrink(
    arena: &mut Arena,
    script: &Script,
    traces: Traces,
) -> Result<(Script, Traces)> {
    let mut best = (script.clone(), traces);
    // What comes after the first difference is of no interest.
    let end = first(&best.1).map_or(best.0.steps.len(), |at| at + 1);
    best.0.steps.truncate(end);
    best.1.real.truncate(end);
    best.1.hostlets.truncate(end);
    let mut size = best.0.steps.len() / 2;
    while size > 0 {
        let mut at = best.0.steps.len();
        while at > 0 {
            let from = at.saturating_sub(size);
            let less = without(&best.0, from..at);
            if let Verdict::Differs(traces) = judge(arena, &less)? {
                let end = first(&traces).map_or(0, |at| at + 1);
                best = (less, traces);
                best.0.steps.truncate(end);
                best.1.real.truncate(end);
                best.1.hostlets.truncate(end);
            }
            at = from.min(best.0.steps.len());
        }
        size /= 2;
    }
    Ok(best)
}

/// The script without these steps, and without what children do that are not there then.
fn without(script: &Script, steps: std::ops::Range<usize>) -> Script {
    let mut less = script.clone();
    less.steps.drain(steps);
    let mut children = vec![String::new()];
    less.steps.retain(|step| {
        let words: Vec<&str> = step.line.split(' ').collect();
        match words[..] {
            ["fork" | "exec", child, ..] => children.push(child.to_owned()),
            ["give", _, child] => return children.iter().any(|c| c == child),
            ["exit", child] => {
                let there = children.iter().any(|c| c == child);
                children.retain(|c| c != child);
                return there;
            }
            _ => {}
        }
        let child = step.line.strip_prefix('/').and_then(|l| l.split_once(' '));
        let there = child.is_none_or(|(child, _)| children.iter().any(|c| c == child));
        // Ports of sockets of children that are not there.
        let named = step
            .line
            .split_once("{in/")
            .and_then(|(_, l)| l.split_once('.'));
        there && named.is_none_or(|(child, _)| children.iter().any(|c| c == child))
    });
    less
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
