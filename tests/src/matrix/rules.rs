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
const DELIVERY: &[&str] = &["delivery"];
const UDPLITE: &[&str] = &["udplite"];
const SIX: &[&str] = &["ipv6", "dual"];
const DUAL: &[&str] = &["dual"];
const CONNECT: &[&str] = &["connect"];
const SENDTO: &[&str] = &["sendto"];
const TO_ALL: &[&str] = &["broadcast*", "multicast"];
const ON_WILDCARD: &[&str] = &["bound-wildcard", "port-0-wildcard"];
const ON_LOOPBACK: &[&str] = &["bound-loopback*", "port-0-loopback"];

/// Whose source the route chooses, and sockets that are bound to no address of S.
const NOT_BOUND: &[&str] = &[
    "unbound",
    "autobound",
    "reconnected",
    "connected-twice",
    "bound-foreign-*",
    "bound-broadcast*",
    "bound-multicast",
];

/// Addresses of S that are not the primary one.
const NOT_PRIMARY: &[&str] = &["own-second", "wildcard", "loopback*"];

/// What tells where a datagram went.
const ARRIVES: &[&str] = &["answer", "recvfrom"];

/// What tells which of two has it.
const WHICH: &[&str] = &["accept-any", "which", "drain"];

/// The first that fits is the one.
const RULES: &[Rule] = &[
    rule(
        "udplite-connect",
        &[UDPLITE, TRAFFIC, CONNECT, NOT_BOUND],
        &[],
    ),
    rule(
        "udplite-connect",
        &[UDPLITE, TRAFFIC, CONNECT, NOT_PRIMARY],
        &[],
    ),
    rule(
        "udplite-connect",
        &[
            UDPLITE,
            TRAFFIC,
            CONNECT,
            ON_LOOPBACK,
            &["foreign-*", "broadcast*", "multicast"],
        ],
        &[],
    ),
    rule(
        "udplite-connect",
        &[
            UDPLITE,
            TRAFFIC,
            SENDTO,
            &["reconnected", "connected-twice"],
        ],
        &[],
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, SENDTO, NOT_PRIMARY],
        ARRIVES,
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, DUAL, &["own", "foreign-hostlet"]],
        ARRIVES,
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, TRAFFIC, DUAL, SENDTO, ON_WILDCARD],
        &["recvfrom"],
    ),
    rule(
        "udplite-wildcard",
        &[
            UDPLITE,
            SERVING,
            &["bound-wildcard"],
            &["own-second", "loopback*", "broadcast*", "multicast"],
        ],
        ARRIVES,
    ),
    rule(
        "udplite-wildcard",
        &[UDPLITE, SERVING, DUAL, &["bound-wildcard"], &["own"]],
        ARRIVES,
    ),
    rule(
        "dual-connect",
        &[TRAFFIC, UDPLITE, DUAL, CONNECT, ON_WILDCARD],
        &[],
    ),
    rule(
        "dual-connect",
        &[TRAFFIC, &["tcp", "udp"], DUAL, CONNECT, &["bound-wildcard"]],
        &[],
    ),
    rule(
        "dual-any",
        &[TRAFFIC, DUAL, SENDTO, &["bound-wildcard"], &["wildcard"]],
        &["answer"],
    ),
    rule(
        "loopback-to-all",
        &[TRAFFIC, &["tcp", "udp", "udplite"], ON_LOOPBACK, TO_ALL],
        &[],
    ),
    rule(
        "host-source",
        &[TRAFFIC, SIX, &["udp", "udplite"], &["foreign-host"]],
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
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            &["wildcard4", "wildcard", "mapped-wildcard"],
            &["own4"],
        ],
        WHICH,
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["wildcard6"], &["own6"]],
        WHICH,
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["wildcard"], &["mapped-wildcard"]],
        WHICH,
    ),
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            &["wildcard", "mapped-wildcard"],
            &["wildcard4"],
        ],
        WHICH,
    ),
    rule(
        "reuse-delivery",
        &[SHARING, DELIVERY, &["udp"], &["wildcard"], &["wildcard6"]],
        WHICH,
    ),
    rule(
        "reuse-delivery",
        &[
            SHARING,
            DELIVERY,
            &["tcp"],
            &["reuseport"],
            &["mapped"],
            &["second4"],
        ],
        WHICH,
    ),
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
