//! From text to [`Config`]. The tree is walked by hand so that every complaint has its place in the file and all are given at once.

use std::collections::BTreeMap;
use std::net::IpAddr;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::position;
use super::{Config, ConfigError, Declared, Limits, Problem, RunOptions, capability};
use crate::{
    AddressSpec, HostletId, HostletSpec, Name, Owned, Ranges, SetError, SourcePolicy, check_set,
};

const SECTIONS: &[&str] = &[
    "defaults", "limits", "hostlet", "pool", "dhcp", "hostletd", "sessions", "rule",
];
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
pub(super) struct Reader {
    /// Byte offset and message.
    pub(super) problems: Vec<(usize, String)>,
    /// Every address declared so far, and by whom, by the first address of each. No two overlap.
    taken: BTreeMap<IpAddr, (Owned, Name)>,
    /// What the pools read so far lend. No two overlap.
    pub(super) lent: Vec<(Name, Ranges)>,
}

/// What `[defaults]` says.
#[derive(Default)]
struct Defaults {
    source: Option<SourcePolicy>,
    guard: Option<bool>,
    assign: Option<String>,
}

pub(super) type Table<'i> = DeTable<'i>;
pub(super) type Value<'i> = Spanned<DeValue<'i>>;

impl Reader {
    pub(super) fn problem(&mut self, at: usize, message: impl Into<String>) {
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
        // Before the hostlets, which may declare no address that a pool lends.
        let pools = self.named(top, "pool", Self::pool);
        let hostlets = self.named(top, "hostlet", |r, name, at, t| {
            r.hostlet(name, at, t, &defaults)
        });
        let rules = self.rules(top, &pools);
        Config {
            limits,
            hostlets,
            pools,
            rules,
            sessions: self.sessions(top),
            dhcp: self.dhcp_options(top),
            daemon: self.daemon_options(top),
        }
    }

    /// The tables of a section by their names, each with the place of its name.
    fn named<T>(
        &mut self,
        top: &Table<'_>,
        section: &str,
        mut read: impl FnMut(&mut Self, &Name, usize, &Table<'_>) -> T,
    ) -> BTreeMap<Name, T> {
        let mut out = BTreeMap::new();
        let Some(all) = self.section(top, section) else {
            return out;
        };
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
                    let read = read(self, &name, at, t);
                    out.insert(name, read);
                }
                None => self.wrong_type(value, &format!("{section}.{name}"), "a table"),
            }
        }
        out
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
            ..HostletSpec::new(name.clone(), self.addresses(name, at, t))
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
            self.not_lent(*at, &a.owned);
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
            let problem = match e {
                SetError::Empty => format!(
                    "hostlet '{name}' needs at least one address: addresses = [\"192.0.2.10/24\"], for instance"
                ),
                e => e.to_string(),
            };
            self.problem(value.span().start, problem);
        }
        set
    }

    /// No address of a hostlet is one that a pool lends.
    fn not_lent(&mut self, at: usize, owned: &Owned) {
        let net = owned.net();
        let lent = self.lent.iter().find_map(|(pool, ranges)| {
            Some((pool, ranges.overlap(net.network(), net.broadcast())?))
        });
        let Some((pool, first)) = lent else {
            return;
        };
        let what = if owned.is_prefix() {
            format!("{owned} has {first}, which")
        } else {
            format!("{owned} is an address that")
        };
        let problem = format!(
            "{what} pool '{pool}' lends: leave it out here, or add it to 'exclude' of the pool"
        );
        self.problem(at, problem);
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
}
