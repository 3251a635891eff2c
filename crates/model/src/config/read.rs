//! From text to [`Config`]. The tree is walked by hand so that every complaint has its place in the file and all are given at once.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::net::IpAddr;
use std::str::FromStr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::{position, unknown};
use super::{Config, ConfigError, Declared, Limits, Problem, RunOptions, capability};
use crate::address::interface_name;
use crate::{AddressSpec, HostletId, HostletSpec, Name, Owned, SourcePolicy, check_set};

const SECTIONS: &[&str] = &["defaults", "limits", "hostlet"];
const DEFAULTS: &[&str] = &["source", "guard", "assign"];
const LIMITS: &[&str] = &["hostlets", "sockets", "history-days"];
const HOSTLET: &[&str] = &[
    "addresses",
    "assign",
    "source",
    "host-loopback",
    "guard",
    "raw",
    "may-start",
    "may-enter",
    "user",
    "group",
    "workdir",
    "env",
    "keep-capability",
];

pub(super) fn config(text: &str, file_name: &str) -> Result<Config, ConfigError> {
    let mut r = Reader::default();
    let config = match DeTable::parse(text) {
        Ok(tree) => r.config(tree.get_ref()),
        Err(e) => {
            let at = e.span().map_or(text.len(), |s| s.start);
            r.problem(at, e.message().replace('\n', ", "));
            Config::default()
        }
    };
    if r.problems.is_empty() {
        return Ok(config);
    }
    r.problems.sort();
    r.problems.dedup();
    let problems = r.problems.into_iter().map(|(at, message)| {
        let (line, column) = position(text, at);
        Problem {
            line,
            column,
            message,
        }
    });
    Err(ConfigError {
        file: file_name.to_owned(),
        problems: problems.collect(),
    })
}

#[derive(Default)]
struct Reader {
    /// Byte offset and message.
    problems: Vec<(usize, String)>,
    /// Every address declared so far, and by whom, by the first address of each. No two overlap.
    taken: BTreeMap<IpAddr, (Owned, Name)>,
}

/// What `[defaults]` says.
#[derive(Default)]
struct Defaults {
    source: Option<SourcePolicy>,
    guard: Option<bool>,
    assign: Option<String>,
}

type Table<'i> = DeTable<'i>;
type Value<'i> = Spanned<DeValue<'i>>;

impl Reader {
    fn problem(&mut self, at: usize, message: impl Into<String>) {
        self.problems.push((at, message.into()));
    }

    fn config(&mut self, top: &Table<'_>) -> Config {
        self.known(top, "section", SECTIONS);
        let defaults = match self.section(top, "defaults") {
            None => Defaults::default(),
            Some(t) => {
                self.known(t, "key", DEFAULTS);
                Defaults {
                    source: self.parsed(t, "source"),
                    guard: self.boolean(t, "guard"),
                    assign: self.interface(t, "assign"),
                }
            }
        };
        let limits = self
            .section(top, "limits")
            .map_or_else(Limits::default, |t| self.limits(t));
        let mut hostlets = BTreeMap::new();
        if let Some(all) = self.section(top, "hostlet") {
            // In the order of the file, so that the second of two that clash is the one complained about.
            let mut all: Vec<_> = all.iter().collect();
            all.sort_by_key(|(k, _)| k.span().start);
            for (key, value) in all {
                let at = key.span().start;
                let Ok(name) = key
                    .get_ref()
                    .parse::<Name>()
                    .map_err(|e| self.problem(at, e.to_string()))
                else {
                    continue;
                };
                match value.get_ref().as_table() {
                    Some(t) => {
                        let d = self.hostlet(&name, at, t, &defaults);
                        hostlets.insert(name, d);
                    }
                    None => self.wrong_type(value, &format!("hostlet.{name}"), "a table"),
                }
            }
        }
        Config {
            limits,
            hostlets,
            ..Config::default()
        }
    }

    fn limits(&mut self, t: &Table<'_>) -> Limits {
        self.known(t, "key", LIMITS);
        let d = Limits::default();
        let hostlets = self
            .number(t, "hostlets", 1, HostletId::MAX)
            .unwrap_or(d.hostlets);
        Limits {
            hostlets,
            sockets: self
                .number(t, "sockets", 1, 1 << 28)
                .unwrap_or_else(|| hostlets.saturating_mul(Limits::SOCKETS_PER_HOSTLET)),
            history_days: self
                .number(t, "history-days", 1, 36_525)
                .unwrap_or(d.history_days),
        }
    }

    fn hostlet(&mut self, name: &Name, at: usize, t: &Table<'_>, defaults: &Defaults) -> Declared {
        self.known(t, "key", HOSTLET);
        let spec = HostletSpec {
            name: name.clone(),
            addresses: self.addresses(name, at, t),
            assign: self
                .interface(t, "assign")
                .or_else(|| defaults.assign.clone()),
            source: self
                .parsed(t, "source")
                .or(defaults.source)
                .unwrap_or_default(),
            host_loopback: self.list(t, "host-loopback"),
            guard: self.boolean(t, "guard").or(defaults.guard).unwrap_or(true),
            raw: self.boolean(t, "raw").unwrap_or(false),
            fallen_back: false,
        };
        Declared {
            spec,
            may_start: self.list(t, "may-start"),
            may_enter: self.list(t, "may-enter"),
            run: RunOptions {
                user: self.text(t, "user"),
                group: self.text(t, "group"),
                workdir: self.workdir(t),
                env: self.environment(t),
                keep_capabilities: self
                    .list::<capability::Named>(t, "keep-capability")
                    .into_iter()
                    .map(|c| c.0)
                    .collect(),
            },
        }
    }

    fn addresses(&mut self, name: &Name, at: usize, t: &Table<'_>) -> Vec<AddressSpec> {
        let Some(value) = t.get("addresses") else {
            self.problem(
                at,
                format!("hostlet '{name}' has no addresses: add addresses = [\"…\"]"),
            );
            return Vec::new();
        };
        let before = self.problems.len();
        let placed: Vec<(usize, AddressSpec)> = self.items(value, "addresses");
        for (at, a) in &placed {
            let clash = self.taken_around(&a.owned).cloned();
            if clash.is_none() {
                let first = a.owned.net().network();
                self.taken.insert(first, (a.owned, name.clone()));
            }
            // Entries of one hostlet that overlap are the business of the check of the set.
            if let Some((o, other)) = clash.filter(|(_, other)| other != name) {
                let which = if o == a.owned {
                    format!("{o} is declared")
                } else {
                    format!("{} meets {o}, declared", a.owned)
                };
                self.problem(
                    *at,
                    format!(
                        "{which} for two hostlets, '{other}' and '{name}': an address has one owner"
                    ),
                );
            }
        }
        let set: Vec<AddressSpec> = placed.into_iter().map(|(_, a)| a).collect();
        // Entries that could not be read are missing from the set; complain about it only if it is complete.
        if self.problems.len() == before
            && let Err(e) = check_set(&set)
        {
            self.problem(value.span().start, e.to_string());
        }
        set
    }

    /// A declared entry that overlaps this one: one that begins before it, or the first that begins inside it.
    fn taken_around(&self, owned: &Owned) -> Option<&(Owned, Name)> {
        let net = owned.net();
        let before = self.taken.range(..=net.network()).next_back();
        let inside = || self.taken.range(net.network()..=net.broadcast()).next();
        before
            .filter(|(_, (o, _))| o.overlaps(owned))
            .or_else(inside)
            .map(|(_, taken)| taken)
    }

    fn workdir(&mut self, t: &Table<'_>) -> Option<String> {
        let dir = self.text(t, "workdir")?;
        if !dir.starts_with('/') {
            let at = t.get("workdir").map_or(0, |v| v.span().start);
            self.problem(at, format!("workdir '{dir}' must be an absolute path"));
        }
        Some(dir)
    }

    fn environment(&mut self, t: &Table<'_>) -> Vec<(String, String)> {
        let Some(value) = t.get("env") else {
            return Vec::new();
        };
        let Some(vars) = value.get_ref().as_table() else {
            self.wrong_type(value, "env", "a table of strings, like { LANG = \"C\" }");
            return Vec::new();
        };
        let mut out = Vec::new();
        for (k, v) in vars {
            let key: &str = k.get_ref();
            if key.is_empty() || key.contains(['=', '\0']) {
                self.problem(
                    k.span().start,
                    format!("'{key}' cannot be the name of a variable"),
                );
            }
            match v.get_ref().as_str() {
                Some(s) if !s.contains('\0') => out.push((key.to_owned(), s.to_owned())),
                _ => self.wrong_type(v, key, "a string"),
            }
        }
        out
    }

    fn interface(&mut self, t: &Table<'_>, key: &str) -> Option<String> {
        let name = self.text(t, key)?;
        if !interface_name(&name) {
            let at = t.get(key).map_or(0, |v| v.span().start);
            self.problem(at, format!("'{name}' cannot be the name of an interface"));
        }
        Some(name)
    }

    // The readers of single values follow: each gives None for an absent key and for one it has complained about.

    fn known(&mut self, t: &Table<'_>, what: &str, allowed: &[&str]) {
        for (k, _) in t {
            let given: &str = k.get_ref();
            if !allowed.contains(&given) {
                self.problem(k.span().start, unknown(what, given, allowed));
            }
        }
    }

    fn wrong_type(&mut self, v: &Value<'_>, key: &str, wanted: &str) {
        let is = v.get_ref().type_str();
        self.problem(
            v.span().start,
            format!("'{key}' must be {wanted}, this is of type {is}"),
        );
    }

    fn section<'t, 'i>(&mut self, t: &'t Table<'i>, key: &str) -> Option<&'t Table<'i>> {
        let v = t.get(key)?;
        let table = v.get_ref().as_table();
        if table.is_none() {
            self.wrong_type(v, key, &format!("a table: write [{key}]"));
        }
        table
    }

    fn text(&mut self, t: &Table<'_>, key: &str) -> Option<String> {
        let v = t.get(key)?;
        match v.get_ref().as_str() {
            Some("") => {
                self.problem(
                    v.span().start,
                    format!("'{key}' is empty: leave it out instead"),
                );
                None
            }
            Some(s) => Some(s.to_owned()),
            None => {
                self.wrong_type(v, key, "a string");
                None
            }
        }
    }

    fn parsed<T: FromStr<Err: Display>>(&mut self, t: &Table<'_>, key: &str) -> Option<T> {
        let at = t.get(key)?.span().start;
        let text = self.text(t, key)?;
        text.parse()
            .map_err(|e: T::Err| self.problem(at, e.to_string()))
            .ok()
    }

    fn boolean(&mut self, t: &Table<'_>, key: &str) -> Option<bool> {
        let v = t.get(key)?;
        let b = v.get_ref().as_bool();
        if b.is_none() {
            self.wrong_type(v, key, "true or false");
        }
        b
    }

    fn number(&mut self, t: &Table<'_>, key: &str, least: u32, most: u32) -> Option<u32> {
        let v = t.get(key)?;
        let Some(i) = v.get_ref().as_integer() else {
            self.wrong_type(v, key, "a whole number");
            return None;
        };
        match u32::from_str_radix(i.as_str(), i.radix()) {
            Ok(n) if (least..=most).contains(&n) => Some(n),
            _ => {
                self.problem(
                    v.span().start,
                    format!(
                        "'{key}' must be between {least} and {most}, not {}",
                        i.as_str()
                    ),
                );
                None
            }
        }
    }

    fn list<T: FromStr<Err: Display>>(&mut self, t: &Table<'_>, key: &str) -> Vec<T> {
        match t.get(key) {
            None => Vec::new(),
            Some(v) => self.items(v, key).into_iter().map(|(_, x)| x).collect(),
        }
    }

    /// The items of a list of strings with their places. A single string is not taken for a list: one way to write a thing.
    fn items<T: FromStr<Err: Display>>(&mut self, v: &Value<'_>, key: &str) -> Vec<(usize, T)> {
        let Some(array) = v.get_ref().as_array() else {
            self.wrong_type(v, key, "a list of strings: put it into [ ]");
            return Vec::new();
        };
        let mut out = Vec::new();
        for item in array.iter() {
            let at = item.span().start;
            match item.get_ref().as_str() {
                Some(s) => match s.parse() {
                    Ok(x) => out.push((at, x)),
                    Err(e) => self.problem(at, format!("{key}: {e}")),
                },
                None => self.wrong_type(item, key, "a list of strings"),
            }
        }
        out
    }
}
