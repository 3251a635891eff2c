//! Lines of scripts, and what whoever tries is answered.

use anyhow::{Context, Result};

use super::judging::looks_failed;
use super::{Finding, Who};

/// `ACTOR OP…`, and behind ` => ` what a member is answered; `ONE|OTHER` where kernels differ, `USER / ROOT` where the two do.
/// Without it a member's step must succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Line<'a> {
    /// Who does it.
    pub(super) actor: &'a str,
    /// Does it prove enough if it succeeds?
    pub(super) proof: bool,
    /// What is done.
    pub(super) op: &'a str,
    answer: Option<&'a str>,
}

/// Answers that are no refusal of the attempt: nobody is there, nothing came, or it hangs on a step that was refused.
const NOTHING: &[&str] = &[
    "ECONNREFUSED",
    "EINPROGRESS",
    "EAGAIN",
    "no-socket",
    "quiet",
];

/// Is this the answer of somebody who refuses?
pub(super) fn is_refusal(said: &str) -> bool {
    looks_failed(said) && !NOTHING.contains(&said)
}

/// The lines of a script.
pub(super) fn lines(text: &str) -> Result<Vec<Line<'_>>> {
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    let read = |line| {
        let (step, answer) = match str::split_once(line, " => ") {
            Some((step, answer)) => (step, Some(answer)),
            None => (line, None),
        };
        let words = step.split_once(' ');
        let (actor, op) = words.with_context(|| format!("no step: {line}"))?;
        Ok(Line {
            actor: actor.trim_end_matches('!'),
            proof: actor.ends_with('!'),
            op: op.trim(),
            answer: answer.map(str::trim),
        })
    };
    lines.map(read).collect()
}

impl<'a> Line<'a> {
    /// The answers of which this kind of member gets one; none where it must succeed.
    pub(super) fn wanted(&self, who: Who) -> Option<&'a str> {
        let answer = self.answer?;
        Some(match (answer.split_once(" / "), who) {
            (None, _) => answer,
            (Some((user, _)), Who::User) => user,
            (Some((_, root)), Who::Root) => root,
        })
    }

    /// Why this is not the answer that it has to be.
    pub(super) fn surprise(&self, who: Who, said: &str) -> Option<String> {
        match self.wanted(who) {
            Some(wanted) if wanted.split('|').any(|one| one == said) => None,
            Some(wanted) => Some(format!("{said}, not {wanted}")),
            None => looks_failed(said).then(|| format!("{said}, though nothing refuses it")),
        }
    }
}

/// The words of calls at which the cgroup has a program that tells what it refuses.
const CALLS: &[&str] = &[
    "bind",
    "uring-bind",
    "connect",
    "fastopen",
    "sendto",
    "uring-sendto",
    "sendmsg",
    "sendmmsg",
    "socket",
    "uring-socket",
    "escape",
];

/// The first refusal that no event tells of, though nothing of the kind is refused outside: it was not a hook that refused.
pub(super) fn untold(found: &Finding, outside: &Finding) -> Option<String> {
    let mut told = found.told.clone();
    for (step, outside) in found.steps.iter().zip(&outside.steps) {
        let call = step.op.split(' ').next().unwrap_or("");
        if !is_refusal(&step.said) || outside.said == step.said || !CALLS.contains(&call) {
            continue;
        }
        match told.iter().position(|error| *error == step.said) {
            Some(at) => drop(told.swap_remove(at)),
            None => return Some(format!("{}: {}", step.op, step.said)),
        }
    }
    None
}

/// With what a script is refused, in the words of a document: `USER / ROOT` where these differ.
pub(super) fn refusals(text: &str) -> Result<String> {
    let of = |who| -> Result<String> {
        let mut all: Vec<&str> = Vec::new();
        for line in lines(text)?.iter().filter(|line| line.actor == "in") {
            let answers = line.wanted(who).unwrap_or("").split('|');
            // A command's exit status says nothing to anybody.
            let named = |answer: &&str| is_refusal(answer) && !answer.starts_with("exit");
            for answer in answers.filter(named) {
                if !all.contains(&answer) {
                    all.push(answer);
                }
            }
        }
        Ok(all.join(", "))
    };
    let (user, root) = (of(Who::User)?, of(Who::Root)?);
    Ok(match (user == root, user.is_empty(), root.is_empty()) {
        (true, ..) => user,
        (_, true, _) => format!("– / {root}"),
        (.., true) => format!("{user} / –"),
        _ => format!("{user} / {root}"),
    })
}
