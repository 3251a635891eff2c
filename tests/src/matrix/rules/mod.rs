//! Which known difference a difference in a cell is.

mod pattern;
mod sharing;
mod talking;

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use hostlet_testkit::oracle::{Script, Traces};

use super::Cell;
use pattern::is_one_of;

/// A call, what machines answer to it, and what hostlets do: [patterns](pattern), `|` between several. The
/// call is its first words.
type Answers = (&'static str, &'static str, &'static str);

/// Where hostlets may differ: a known difference, the cells where it shows, and how.
struct Rule {
    id: &'static str,
    /// One word of each group is in the name of the cell; `*` at the end stands for the rest.
    cell: &'static [&'static [&'static str]],
    answers: &'static [&'static [Answers]],
}

/// What explained something: a rule, and one of its answers.
pub(super) type Used = BTreeSet<(usize, Answers)>;

const fn rule(
    id: &'static str,
    cell: &'static [&'static [&'static str]],
    answers: &'static [&'static [Answers]],
) -> Rule {
    Rule { id, cell, answers }
}

/// All of them, the first that fits being the one: known differences, the cells that show them, and how.
fn rules() -> impl Iterator<Item = &'static Rule> {
    talking::RULES.iter().chain(sharing::RULES)
}

impl Rule {
    /// The answers that explain what both sides say to the call.
    fn explains(
        &self,
        words: &[&str],
        call: &str,
        real: &str,
        hostlet: &str,
    ) -> Option<&'static Answers> {
        let here = |group: &&[&str]| words.iter().any(|word| is_one_of(word, group));
        if !self.cell.iter().all(here) {
            return None;
        }
        let to = words.last().copied().unwrap_or_default();
        let mut all = self.answers.iter().flat_map(|some| some.iter());
        all.find(|(calls, machine, other)| {
            calls.split('|').any(|first| begins(call, first))
                && pattern::both(machine, real, other, hostlet, to)
        })
    }
}

/// Whether these are the first words of the call.
fn begins(call: &str, words: &str) -> bool {
    let rest = call.strip_prefix(words);
    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

/// The ids that the rules name.
pub fn ids() -> impl Iterator<Item = &'static str> {
    rules().map(|rule| rule.id)
}

/// The rules that say why the sides differ.
///
/// # Errors
/// When there is a difference that no rule names, with both traces.
pub(super) fn explain(cell: &Cell, script: &Script, traces: &Traces) -> Result<Used> {
    let words: Vec<&str> = cell.name.split('/').collect();
    let mut used = BTreeSet::new();
    for (i, step) in script.steps.iter().enumerate() {
        let (real, hostlet) = (&traces.real[i], &traces.hostlets[i]);
        if real == hostlet {
            continue;
        }
        let call = match step.line.split_once(' ') {
            Some((child, rest)) if child.starts_with('/') => rest,
            _ => &step.line,
        };
        let call = call.rsplit("= ").next().unwrap_or(call);
        let found = rules().enumerate().find_map(|(at, rule)| {
            let answers = rule.explains(&words, call, real, hostlet)?;
            Some((at, *answers))
        });
        let Some(found) = found else {
            let which = format!("{} {}: {real} / {hostlet}", step.actor, step.line);
            // Says what differs, with everything before it.
            script
                .judge(cell.row, traces.real.as_slice(), &traces.hostlets)
                .map_err(|why| why.context(format!("no rule explains {which}")))?;
            bail!("{which}");
        };
        used.insert(found);
    }
    Ok(used)
}

/// Rules and answers by which nothing differed.
pub(super) fn unused(used: &Used) -> Vec<String> {
    let mut stale = Vec::new();
    for (at, rule) in rules().enumerate() {
        if !used.iter().any(|(other, _)| *other == at) {
            stale.push(format!("{} in {:?}", rule.id, rule.cell));
        }
    }
    // Lists of answers are shared: it is enough that one rule needs them.
    let all: BTreeSet<&Answers> = rules()
        .flat_map(|rule| rule.answers.iter().flat_map(|some| some.iter()))
        .collect();
    let met: BTreeSet<&Answers> = used.iter().map(|(_, answers)| answers).collect();
    stale.extend(all.difference(&met).map(|answers| format!("{answers:?}")));
    stale
}

#[cfg(test)]
mod tests {
    use super::*;

    fn explained(cell: &str, call: &str, real: &str, hostlet: &str) -> Option<&'static str> {
        let words: Vec<&str> = cell.split('/').collect();
        let fits = |rule: &&Rule| rule.explains(&words, call, real, hostlet).is_some();
        rules().find(fits).map(|rule| rule.id)
    }

    #[test]
    fn what_the_table_says_is_explained() {
        let cell = "traffic/udp/dual/bound-wildcard/connect/own";
        let why = explained(cell, "connect c [2001:db8::5]:5300", "ok", "EAFNOSUPPORT");
        assert_eq!(why, Some("dual-connect"));
        let cell = "traffic/udp/ipv4/unbound/sendto/own-second";
        let why = explained(
            cell,
            "recvfrom c",
            "back from 10.0.0.5:5300",
            "back from 10.0.0.6:5300",
        );
        assert_eq!(why, Some("udp-answer"));
    }

    #[test]
    fn what_it_does_not_say_is_not() {
        let dual = "traffic/udp/dual/bound-wildcard/connect/own";
        let udp = "traffic/udp/ipv4/unbound/sendto/own-second";
        let late = "sharing/tcp/own4/addr-late/same";
        let ping = "traffic/ping/ipv4/bound-foreign-host/connect/foreign-machine";
        for (cell, call, real, hostlet) in [
            (dual, "connect c [2001:db8::5]:5300", "ok", "ENOMEM"),
            (dual, "name c", "[2001:db8::5]:5310", "[2001:db8::1]:5310"),
            (dual, "name c", "[2001:db8::5]:5310", "[::]:5311"),
            (udp, "recvfrom c", "back from 10.0.0.5:5300", "EAGAIN"),
            (
                udp,
                "recvfrom c",
                "back from 10.0.0.5:5300",
                "back from 10.0.0.1:5300",
            ),
            (late, "bind b 10.0.0.5:5300", "EADDRINUSE", "ok"),
            (late, "bind b 10.0.0.5:5300", "ok", "ENOBUFS"),
            (
                ping,
                "echoed c",
                "EAGAIN",
                "type 0 sequence 7 from 10.0.0.100:0",
            ),
            (ping, "bind c 10.0.0.1:0", "EADDRNOTAVAIL", "EPERM"),
        ] {
            let why = explained(cell, call, real, hostlet);
            assert_eq!(why, None, "{cell}: {call}: {real} / {hostlet}");
        }
    }

    #[test]
    fn what_shows_nothing_is_stale() {
        let shared = ("drain", "0", "1");
        let all: Used = rules()
            .enumerate()
            .flat_map(|(at, rule)| rule.answers.iter().map(move |some| (at, some)))
            .flat_map(|(at, some)| some.iter().map(move |answers| (at, *answers)))
            .collect();
        assert!(unused(&all).is_empty());
        let without = |fits: &dyn Fn(&(usize, Answers)) -> bool| {
            unused(&all.iter().filter(|one| !fits(one)).copied().collect())
        };
        assert_eq!(without(&|(at, _)| *at == 0).len(), 1);
        assert_eq!(without(&|(_, answers)| *answers == shared).len(), 1);
    }

    #[test]
    fn calls_are_told_by_whole_words() {
        assert!(begins("name c", "name"));
        assert!(begins("name c", "name c"));
        assert!(!begins("recvfrom c", "recv"));
        assert!(!begins("name c2", "name c"));
    }
}
