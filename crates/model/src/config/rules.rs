//! `[sessions]` and `[[rule]]`, from text.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::time::Duration;

use super::error::unknown;
use super::pools::{HOUR, MILLISECOND, MINUTE, place};
use super::read::{Reader, Table};
use super::{Per, Pool, Rule, Sessions, Target, Who};
use crate::Name;

const SESSIONS: &[&str] = &["exclude", "deadline", "own-name"];
const RULE: &[&str] = &[
    "name",
    "who",
    "services",
    "per",
    "programs",
    "pools",
    "hostlet",
    "unavailable",
    "linger",
];

type Pools = BTreeMap<Name, Pool>;

impl Reader {
    pub(super) fn sessions(&mut self, top: &Table<'_>) -> Sessions {
        let d = Sessions::default();
        let Some(t) = self.section(top, "sessions") else {
            return d;
        };
        self.known(t, "key", SESSIONS);
        Sessions {
            exclude: self.distinct(t, "exclude"),
            deadline: self
                .duration(t, "deadline", 100 * MILLISECOND, 10 * MINUTE)
                .unwrap_or(d.deadline),
            own_name: self.parsed(t, "own-name").unwrap_or(d.own_name),
        }
    }

    pub(super) fn rules(&mut self, top: &Table<'_>, pools: &Pools) -> Vec<Rule> {
        let Some(value) = top.get("rule") else {
            return Vec::new();
        };
        let Some(all) = value.get_ref().as_array() else {
            self.wrong_type(value, "rule", "a list of tables: write [[rule]]");
            return Vec::new();
        };
        let mut rules: Vec<Rule> = Vec::new();
        for item in all.iter() {
            let Some(t) = item.get_ref().as_table() else {
                self.wrong_type(item, "rule", "a list of tables: write [[rule]]");
                continue;
            };
            let Some(rule) = self.rule(item.span().start, t, pools) else {
                continue;
            };
            if rules.iter().any(|r| r.name == rule.name) {
                let at = t.get("name").map_or(0, |v| v.span().start);
                let name = &rule.name;
                self.problem(at, format!("two rules have the name '{name}': rename one"));
            }
            rules.push(rule);
        }
        rules
    }

    /// A rule; none if it has no name or no `per`, without which nothing can be said about it.
    fn rule(&mut self, at: usize, t: &Table<'_>, pools: &Pools) -> Option<Rule> {
        self.known(t, "key", RULE);
        if t.get("name").is_none() {
            self.problem(at, "this rule has no name: add name = \"…\"");
        }
        let name: Option<Name> = self.parsed(t, "name");
        let called = match &name {
            Some(name) => format!("rule '{name}'"),
            None => "this rule".to_owned(),
        };
        if t.get("per").is_none() {
            self.problem(
                at,
                format!("{called} does not say what gets a hostlet: add per = \"session\", \"user\", \"program\" or \"none\""),
            );
        }
        let per: Option<Per> = self.parsed(t, "per");
        let who = self.distinct(t, "who");
        let services = self.services(t);
        let programs = self.distinct(t, "programs");
        let drawn = self.pools_of_rule(t, pools);
        let hostlet = self.parsed(t, "hostlet");
        let unavailable = self.parsed(t, "unavailable").unwrap_or_default();
        let linger = self.duration(t, "linger", Duration::ZERO, 24 * 30 * HOUR);
        let per = per?;
        self.combination(at, t, &called, per);
        self.units(t, &called, per, &who);
        Some(Rule {
            name: name?,
            who,
            services,
            per,
            programs,
            target: match (per, hostlet) {
                (Per::None, _) => Target::Machine,
                (_, Some(hostlet)) => Target::Hostlet(hostlet),
                (_, None) => Target::Pools(drawn),
            },
            unavailable,
            linger,
        })
    }

    /// Which keys go together; each is complained about where it stands.
    fn combination(&mut self, at: usize, t: &Table<'_>, called: &str, per: Per) {
        if let (Some(_), Some(at)) = (place(t, "programs"), place(t, "services")) {
            self.problem(
                at,
                format!("{called} has services and programs: the first are about logins, the second about starts of programs; make it two rules"),
            );
        }
        let login = matches!(per, Per::Session | Per::User);
        match place(t, "programs") {
            Some(at) if login => self.problem(
                at,
                format!("'programs' goes with per = \"program\" or \"none\", and {called} says \"{per}\": leave it out"),
            ),
            None if per == Per::Program => self.problem(
                at,
                format!("{called} lists no programs: add programs = [\"/usr/bin/…\"]"),
            ),
            _ => {}
        }
        if let Some(at) = place(t, "services").filter(|_| per == Per::Program) {
            self.problem(
                at,
                format!(
                    "'services' is about logins, and {called} says per = \"program\": leave it out"
                ),
            );
        }
        if per == Per::None {
            for key in ["pools", "hostlet", "unavailable", "linger"] {
                if let Some(at) = place(t, key) {
                    self.problem(
                        at,
                        format!(
                            "{called} says per = \"none\", the machine's address: leave '{key}' out"
                        ),
                    );
                }
            }
            return;
        }
        match (place(t, "pools"), place(t, "hostlet")) {
            (None, None) => self.problem(
                at,
                format!(
                    "{called} has nowhere to take a hostlet from: add pools = [\"…\"] or hostlet = \"…\""
                ),
            ),
            (Some(a), Some(b)) => self.problem(
                a.max(b),
                format!("{called} has both pools and hostlet: leave one out"),
            ),
            _ => {}
        }
        if let Some(at) = place(t, "linger") {
            if !login {
                self.problem(
                    at,
                    format!("'linger' is about what outlives a login, and {called} says per = \"{per}\": leave it out"),
                );
            } else if place(t, "hostlet").is_some() {
                self.problem(
                    at,
                    format!("'linger' goes with 'pools': the hostlet that {called} names is not given back at a logout"),
                );
            }
        }
    }

    /// A login is of a user; units are asked about processes that start something.
    fn units(&mut self, t: &Table<'_>, called: &str, per: Per, who: &[Who]) {
        let login = place(t, "services").is_some() || matches!(per, Per::Session | Per::User);
        let Some(unit) = who.iter().find(|w| matches!(w, Who::Unit(_))) else {
            return;
        };
        if login {
            let at = t.get("who").map_or(0, |v| v.span().start);
            self.problem(
                at,
                format!("{unit} says which processes start a program, and {called} is about logins: name users, groups or services"),
            );
        }
    }

    fn services(&mut self, t: &Table<'_>) -> Vec<String> {
        let Some(v) = t.get("services") else {
            return Vec::new();
        };
        let items: Vec<(usize, String)> = self.items(v, "services");
        for (at, s) in &items {
            // A service is a file of /etc/pam.d.
            if s.is_empty() || s.contains(['/', ' ']) || s.contains(char::is_control) {
                self.problem(
                    *at,
                    format!("services: '{s}' is no PAM service: write the name of a file in /etc/pam.d, like sshd"),
                );
            }
        }
        self.not_empty(t, "services", items.len());
        items.into_iter().map(|(_, s)| s).collect()
    }

    fn pools_of_rule(&mut self, t: &Table<'_>, pools: &Pools) -> Vec<Name> {
        let names: Vec<Name> = self.distinct(t, "pools");
        let Some(items) = t.get("pools").and_then(|v| v.get_ref().as_array()) else {
            return names;
        };
        for item in items.iter() {
            let Some(name) = item.get_ref().as_str() else {
                continue;
            };
            if name.parse::<Name>().is_ok_and(|n| !pools.contains_key(&n)) {
                let known: Vec<&str> = pools.keys().map(Name::as_str).collect();
                let problem = if known.is_empty() {
                    format!("unknown pool '{name}'; there is none: add [pool.{name}]")
                } else {
                    unknown("pool", name, &known)
                };
                self.problem(item.span().start, problem);
            }
        }
        names
    }

    /// A list that says something, and nothing twice.
    fn distinct<T>(&mut self, t: &Table<'_>, key: &str) -> Vec<T>
    where
        T: std::str::FromStr<Err: Display> + PartialEq + Display,
    {
        let Some(v) = t.get(key) else {
            return Vec::new();
        };
        let before = self.problems.len();
        let mut out: Vec<T> = Vec::new();
        for (at, item) in self.items::<T>(v, key) {
            if out.contains(&item) {
                self.problem(at, format!("{key}: {item} is given twice"));
            } else {
                out.push(item);
            }
        }
        // An empty list could mean everybody or nobody; of what may be left out, one way is enough.
        if self.problems.len() == before && key != "exclude" {
            self.not_empty(t, key, out.len());
        }
        out
    }

    fn not_empty(&mut self, t: &Table<'_>, key: &str, items: usize) {
        let Some(v) = t.get(key).filter(|v| v.get_ref().is_array()) else {
            return;
        };
        if items == 0 && v.get_ref().as_array().is_some_and(|a| a.is_empty()) {
            self.problem(
                v.span().start,
                format!("'{key}' is empty: leave it out instead"),
            );
        }
    }
}
