//! From a rule to a hostlet.

use std::collections::BTreeSet;
use std::collections::btree_map::Entry;
use std::net::IpAddr;
use std::sync::{Arc, Condvar, Mutex, PoisonError};

use hostlet_model::config::{Config, PoolSource, Rule, Target, Unavailable};
use hostlet_model::{HostletSpec, Lifetime, Name};
use hostlet_platform::peer::Peer;
use hostlet_policy::Caller;
use hostlet_store::SessionKind;
use hostlet_wire::Error;

use crate::jobs::end;
use crate::make::{Making, make};
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
    let set = set_of(shared, name).map_err(|e| Error::Failed(e.to_string()))?;
    match set {
        Some(addresses) if shared.engine.cgroup_of(name).exists() => Ok(Given::Hostlet {
            name: name.clone(),
            addresses,
            made: false,
        }),
        _ => Err(Error::NotFound(format!(
            "hostlet '{name}' is not there: make it with 'hostlet apply' if it is declared, or with 'hostlet create {name} …'"
        ))),
    }
}

/// The single addresses that a hostlet is made of, leased or not; none: there is no such hostlet.
pub(crate) fn set_of(
    shared: &Shared,
    name: &Name,
) -> Result<Option<Vec<IpAddr>>, hostlet_engine::Error> {
    let rows = shared.engine.hostlets()?;
    let row = rows.into_iter().find(|row| row.name == *name);
    Ok(row.map(|row| {
        let single = row.entries.iter().filter(|e| !e.owned.is_prefix());
        single.map(|e| e.owned.net().addr()).collect()
    }))
}

/// One opening of a hostlet that several wait for.
#[derive(Default)]
pub(crate) struct Turn {
    outcome: Mutex<Option<Result<(), Error>>>,
    over: Condvar,
}

impl Turn {
    /// Waits for it; whoever waited need not try the same in vain.
    fn wait(&self) -> Result<(), Error> {
        let outcome = self.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        let over = self.over.wait_while(outcome, |o| o.is_none());
        let outcome = over.unwrap_or_else(PoisonError::into_inner);
        outcome.clone().unwrap_or(Ok(()))
    }
}

/// The one that a user's logins share: whoever comes first opens it, and the others wait for that.
fn common(shared: &Shared, asking: &Asking<'_>, pools: &[Name]) -> Result<Given, Error> {
    let key = (asking.rule.name.clone(), asking.owner.uid);
    let mut opening = loop {
        let turn = {
            let mut sessions = shared.sessions();
            match sessions.opening.entry(key.clone()) {
                Entry::Vacant(vacant) => {
                    let turn = Arc::clone(vacant.insert(Arc::default()));
                    break Opening {
                        shared,
                        key: &key,
                        turn,
                        outcome: Err(Error::Failed(
                            "opening the user's hostlet failed inside hostletd; its log says where"
                                .to_owned(),
                        )),
                    };
                }
                Entry::Occupied(other) => Arc::clone(other.get()),
            }
        };
        turn.wait()?;
    };
    let found = shared.sessions().shared_by.get(&key).cloned();
    if let Some(name) = found {
        let coming = (name.clone(), asking.process.pid);
        shared.sessions().coming.insert(coming.clone());
        // From here to its coming in nobody else keeps it: its last process may end at any moment.
        if shared.engine.keep_for(&name, asking.process).is_ok() {
            opening.outcome = Ok(());
            return Ok(Given::Hostlet {
                addresses: addresses(shared, &name),
                name,
                made: false,
            });
        }
        shared.sessions().coming.remove(&coming);
        end(shared, &name);
    }
    let given = fresh(shared, asking, pools);
    opening.outcome = given.as_ref().map(drop).map_err(Clone::clone);
    if let Ok(Given::Hostlet { name, .. }) = &given {
        let mut sessions = shared.sessions();
        sessions.shared_by.insert(key.clone(), name.clone());
        sessions.coming.insert((name.clone(), asking.process.pid));
    }
    given
}

/// A process came in, or will not. While others are about to, one of them keeps the hostlet: this one may end at any moment.
pub(crate) fn came(shared: &Shared, hostlet: &Name, pid: u32) {
    let mut sessions = shared.sessions();
    if !sessions.coming.remove(&(hostlet.clone(), pid)) {
        return;
    }
    let of_it = sessions.coming.iter().filter(|(name, _)| name == hostlet);
    let others: Vec<u32> = of_it.map(|(_, pid)| *pid).collect();
    drop(sessions);
    // One that ended keeps nothing.
    let mut living = others.into_iter().filter_map(|pid| Peer::of_pid(pid).ok());
    living.find(|process| shared.engine.keep_for(hostlet, process).is_ok());
}

/// The addresses that a hostlet holds.
pub(crate) fn addresses(shared: &Shared, name: &Name) -> Vec<IpAddr> {
    let held = shared.ledger().of(name);
    held.into_iter().map(|l| l.address).collect()
}

struct Opening<'a> {
    shared: &'a Shared,
    key: &'a (Name, u32),
    turn: Arc<Turn>,
    outcome: Result<(), Error>,
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        self.shared.sessions().opening.remove(self.key);
        let turn = &self.turn;
        let mut outcome = turn.outcome.lock().unwrap_or_else(PoisonError::into_inner);
        *outcome = Some(self.outcome.clone());
        turn.over.notify_all();
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
