//! Which known difference a difference in a cell is.

use std::collections::BTreeSet;

use anyhow::{Result, bail};
use hostlet_testkit::oracle::{Script, Traces};

use super::Cell;

/// Where hostlets may differ: a known difference, the cells and the calls where it shows.
struct Rule {
    id: &'static str,
    /// One word of each group is in the name of the cell; `*` at the end stands for the rest.
    cell: &'static [&'static [&'static str]],
    /// How the call begins, one of them; none: every call.
    call: &'static [&'static str],
}

const fn rule(
    id: &'static str,
    cell: &'static [&'static [&'static str]],
    call: &'static [&'static str],
) -> Rule {
    Rule { id, cell, call }
}

const TRAFFIC: &[&str] = &["traffic"];
const SERVING: &[&str] = &["serving"];
const SHARING: &[&str] = &["sharing"];
const SIX: &[&str] = &["ipv6", "dual"];
const WILDCARD: &[&str] = &["bound-wildcard", "port-0-wildcard"];
const TO_ALL: &[&str] = &["broadcast*", "multicast"];

/// The first that fits is the one.
const RULES: &[Rule] = &[
    rule("udplite-wildcard", &[&["udplite"], TRAFFIC], &[]),
    rule(
        "udplite-wildcard",
        &[&["udplite"], SERVING, &["bound-wildcard"]],
        &[],
    ),
    rule("dual-connect", &[TRAFFIC, &["dual"], WILDCARD], &[]),
    rule("wildcard-connect", &[TRAFFIC, WILDCARD, &["connect"]], &[]),
    rule(
        "loopback-to-all",
        &[
            TRAFFIC,
            &["tcp", "udp"],
            &["bound-loopback*", "port-0-loopback"],
            TO_ALL,
        ],
        &[],
    ),
    rule(
        "bound-to-all",
        &[
            TRAFFIC,
            &["tcp", "udp"],
            &["bound-broadcast*", "bound-multicast"],
            &["connect"],
        ],
        &[],
    ),
    rule(
        "host-source",
        &[TRAFFIC, SIX, &["udp"], &["foreign-host"]],
        &["recvfrom"],
    ),
    rule("host-source", &[SERVING, SIX, &["by-host"]], &[]),
    rule(
        "udp-answer",
        &[
            &["udp"],
            TRAFFIC,
            &["own", "own-second", "loopback*", "wildcard"],
        ],
        &["recvfrom"],
    ),
    rule("udp-answer", &[&["udp"], SERVING], &["recvfrom"]),
    rule(
        "failed-call-port",
        &[SERVING, &["tcp"], &["by-*"], &["loopback*"]],
        &["name"],
    ),
    rule("ping-bind", &[TRAFFIC, &["ping"], &["bound-*"]], &[]),
    rule(
        "ping-again",
        &[TRAFFIC, &["ping"], &["autobound", "reconnected"]],
        &["address", "echoed"],
    ),
    rule(
        "multicast-loop",
        &[SERVING, &["udp"], &["bound-wildcard"], TO_ALL],
        &[],
    ),
    rule("reuse-after-bind", &[SHARING, &["*-late", "*-undone"]], &[]),
    rule("reuse-user", &[SHARING, &["user"], &["both", "port"]], &[]),
    rule(
        "reuse-listen",
        &[SHARING, &["tcp"], &["delivery"], &["reuseaddr"]],
        &[],
    ),
    rule("reuse-delivery", &[SHARING, &["delivery"]], &[]),
];

impl Rule {
    fn fits(&self, words: &[&str], call: &str) -> bool {
        let is =
            |word: &str, wanted: &str| match (wanted.strip_prefix('*'), wanted.strip_suffix('*')) {
                (Some(end), _) => word.ends_with(end),
                (_, Some(start)) => word.starts_with(start),
                _ => word == wanted,
            };
        let call = call.rsplit("= ").next().unwrap_or(call);
        self.cell.iter().all(|group| {
            words
                .iter()
                .any(|word| group.iter().any(|wanted| is(word, wanted)))
        }) && (self.call.is_empty() || self.call.iter().any(|start| call.starts_with(start)))
    }
}

/// The ids that the rules name.
pub fn ids() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.id)
}

/// The rules that say why the sides differ, by their places.
///
/// # Errors
/// When there is a difference that no rule names, with both traces.
pub(super) fn explain(cell: &Cell, script: &Script, traces: &Traces) -> Result<Vec<usize>> {
    let words: Vec<&str> = cell.name.split('/').collect();
    let mut used = BTreeSet::new();
    for (i, step) in script.steps.iter().enumerate() {
        if traces.real[i] == traces.hostlets[i] {
            continue;
        }
        let call = match step.line.split_once(' ') {
            Some((child, rest)) if child.starts_with('/') => rest,
            _ => &step.line,
        };
        let fits = |rule: &Rule| rule.fits(&words, call);
        match RULES.iter().position(fits) {
            Some(rule) => {
                used.insert(rule);
            }
            None => {
                // Says what differs, with everything before it.
                script.judge(cell.row, &traces.real, &traces.hostlets)?;
                bail!("{}: differs", step.line);
            }
        }
    }
    Ok(used.into_iter().collect())
}

/// Rules by which nothing differed.
pub(super) fn unused(used: &BTreeSet<usize>) -> Vec<String> {
    let stale = |(i, _): &(usize, &Rule)| !used.contains(i);
    let rules = RULES.iter().enumerate().filter(stale);
    rules
        .map(|(_, rule)| format!("{} in {:?} at {:?}", rule.id, rule.cell, rule.call))
        .collect()
}
