//! From a rule to a hostlet.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::PoisonError;

use hostlet_model::config::{Config, PoolSource, Rule, Target, Unavailable};
use hostlet_model::{HostletSpec, Lifetime, Name};
use hostlet_platform::peer::Peer;
use hostlet_policy::Caller;
use hostlet_store::SessionKind;
use hostlet_wire::Error;

use crate::jobs::{End, end};
use crate::make::{Making, is_empty, make};
use crate::shared::Shared;
use crate::wanted::of_pools;

/// What a rule gives.
pub(crate) enum Given {
    /// A hostlet; the process is not in it yet.
    Hostlet {
        name: Name,
        addresses: Vec<IpAddr>,
        /// Whether it was made just now, for this one alone.
        made: bool,
    },
    /// The machine's addresses, as the rule has it.
    Machine,
    /// The machine's addresses, because there is nothing else, for this reason.
    FallBack(String),
}

/// Who is to be given something.
pub(crate) struct Asking<'a> {
    pub rule: &'a Rule,
    pub owner: &'a Caller,
    pub kind: SessionKind,
    /// What the hostlet is called, but for a number.
    pub base: String,
    /// The process that it is for, and whose end may be its own.
    pub process: &'a Peer,
    /// For the record.
    pub program: Vec<String>,
}

/// Gives what the rule says, or what it says for the case that this cannot be had.
pub(crate) fn give(shared: &Shared, asking: &Asking<'_>) -> Result<Given, Error> {
    let rule = asking.rule;
    let wanted = match &rule.target {
        Target::Machine => return Ok(Given::Machine),
        Target::Hostlet(name) => existing(shared, name),
        Target::Pools(pools) if asking.kind == SessionKind::User => common(shared, asking, pools),
        Target::Pools(pools) => fresh(shared, asking, pools),
    };
    let error = match wanted {
        Ok(given) => return Ok(given),
        Err(error) => error,
    };
    match rule.unavailable {
        Unavailable::Strict => Err(error),
        Unavailable::FallBack => Ok(Given::FallBack(error.to_string())),
        Unavailable::CutOff => {
            crate::log::warning(format_args!(
                "{} is cut off: {error}",
                describe(asking.owner, &asking.program)
            ));
            fresh(shared, asking, &[])
        }
    }
}

/// For the log.
pub(crate) fn describe(owner: &Caller, program: &[String]) -> String {
    format!("user '{}' ({})", owner.user, program.join(" "))
}

fn existing(shared: &Shared, name: &Name) -> Result<Given, Error> {
    let rows = shared
        .engine
        .hostlets()
        .map_err(|e| Error::Failed(e.to_string()))?;
    let row = rows.into_iter().find(|row| row.name == *name);
    match row {
        Some(row) if shared.engine.cgroup_of(name).exists() => {
            let single = row.entries.iter().filter(|e| !e.owned.is_prefix());
            Ok(Given::Hostlet {
                name: name.clone(),
                addresses: single.map(|e| e.owned.net().addr()).collect(),
                made: false,
            })
        }
        _ => Err(Error::NotFound(format!(
            "hostlet '{name}' is not there: make it with 'hostlet apply' if it is declared, or with 'hostlet create {name} …'"
        ))),
    }
}

/// The one that a user's logins share: whoever comes first opens it, and the others wait for that.
fn common(shared: &Shared, asking: &Asking<'_>, pools: &[Name]) -> Result<Given, Error> {
    let key = (asking.rule.name.clone(), asking.owner.uid);
    let found = {
        let mut sessions = shared.sessions();
        let opened = std::sync::Arc::clone(&sessions.opened);
        while sessions.opening.contains(&key) {
            sessions = opened
                .wait(sessions)
                .unwrap_or_else(PoisonError::into_inner);
        }
        sessions.opening.insert(key.clone());
        sessions.shared_by.get(&key).cloned()
    };
    let _opening = Opening { shared, key: &key };
    if let Some(name) = found {
        let cgroups = shared.engine.cgroups_of(&name);
        // An empty one may have lost its last process this moment; or the one that it was opened for is yet to come in.
        if !cgroups.iter().all(|dir| is_empty(dir)) || end(shared, &name) == End::Lives {
            return Ok(Given::Hostlet {
                addresses: addresses(shared, &name),
                name,
                made: false,
            });
        }
    }
    let given = fresh(shared, asking, pools)?;
    if let Given::Hostlet { name, .. } = &given {
        shared
            .sessions()
            .shared_by
            .insert(key.clone(), name.clone());
    }
    Ok(given)
}

/// The addresses that a hostlet holds.
pub(crate) fn addresses(shared: &Shared, name: &Name) -> Vec<IpAddr> {
    let held = shared.ledger().of(name);
    held.into_iter().map(|l| l.address).collect()
}

struct Opening<'a> {
    shared: &'a Shared,
    key: &'a (Name, u32),
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        let mut sessions = self.shared.sessions();
        sessions.opening.remove(self.key);
        sessions.opened.notify_all();
    }
}

/// The same, but that no server is waited for until who waits for us has given up: that there is no answer is an answer, after which
/// the rule says what is done.
fn in_time(config: &Config) -> Config {
    let mut config = config.clone();
    let most = config.sessions.deadline * 3 / 4;
    for pool in config.pools.values_mut() {
        if let PoolSource::Dhcp(pool) = &mut pool.source {
            pool.timeout = pool.timeout.min(most);
        }
    }
    config
}

/// A hostlet with addresses out of these pools; of none, it is cut off.
fn fresh(shared: &Shared, asking: &Asking<'_>, pools: &[Name]) -> Result<Given, Error> {
    let config = in_time(&shared.config());
    let wanted = of_pools(&config, pools)?;
    let naming = Naming::of(shared, &asking.base)?;
    let name = naming.name.clone();
    let making = Making {
        owner: asking.owner,
        label: &asking.rule.name,
        wanted,
        spec: HostletSpec {
            excludes: true,
            ..HostletSpec::new(name.clone(), Vec::new())
        },
        lifetime: Lifetime::Run {
            pid: asking.process.pid,
            start_ticks: asking.process.start_ticks,
        },
        process: asking.process.pidfd.try_clone().ok(),
        program: asking.program.clone(),
    };
    let drawn = make(shared, making)?;
    Ok(Given::Hostlet {
        name,
        addresses: drawn.iter().map(|d| d.lease.address).collect(),
        made: true,
    })
}

/// A name that nobody else takes meanwhile.
struct Naming<'a> {
    shared: &'a Shared,
    name: Name,
}

impl<'a> Naming<'a> {
    fn of(shared: &'a Shared, base: &str) -> Result<Self, Error> {
        let config = shared.config();
        let base = stem(base);
        let taken: BTreeSet<Name> = {
            let ledger = shared.ledger();
            ledger.names().into_iter().cloned().collect()
        };
        for number in 1_u32.. {
            let name: Name = format!("{base}-{number}")
                .parse()
                .map_err(|e| Error::Failed(format!("{e}")))?;
            let known = taken.contains(&name)
                || config.hostlets.contains_key(&name)
                || shared.engine.cgroup_of(&name).exists();
            if !known && shared.sessions().naming.insert(name.clone()) {
                return Ok(Self { shared, name });
            }
        }
        Err(Error::Failed(format!("no name is left for '{base}'")))
    }
}

impl Drop for Naming<'_> {
    fn drop(&mut self) {
        self.shared.sessions().naming.remove(&self.name);
    }
}

/// The longest part of a name that is a user's or a program's: a number follows, and there is a limit.
const STEM: usize = 48;

/// What a name of a hostlet may have of any text.
fn stem(text: &str) -> String {
    let fine = |c: char| match c.to_ascii_lowercase() {
        c if c.is_ascii_lowercase() || c.is_ascii_digit() => c,
        _ => '-',
    };
    let all: String = text.chars().map(fine).take(STEM).collect();
    let trimmed = all.trim_matches('-');
    if trimmed.is_empty() {
        return "session".to_owned();
    }
    trimmed.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_user_and_program_makes_a_name() {
        for (text, stem_) in [
            ("alice", "alice"),
            ("Alice.B@example.org", "alice-b-example-org"),
            ("_apt", "apt"),
            ("$", "session"),
            ("ünal-x", "nal-x"),
        ] {
            assert_eq!(stem(text), stem_);
            assert!(format!("{}-4294967295", stem(text)).parse::<Name>().is_ok());
        }
        let long = "x".repeat(300);
        assert!(
            format!("{}-4294967295", stem(&long))
                .parse::<Name>()
                .is_ok()
        );
    }
}
