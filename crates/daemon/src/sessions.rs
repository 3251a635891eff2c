//! What rules give: a hostlet to a login, to all logins of a user, or to a program (rows A13, B1, B2).
//!
//! Who gets what is decided in `hostlet_policy::rules`; here it is done. A session is written down, so that the next hostletd knows of
//! it what this one knew; what it holds are ordinary leases of an ordinary hostlet, which ends with its last process.

mod ends;
mod given;
mod list;
mod login;
mod start;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use hostlet_model::Name;
use hostlet_store::{Result, Session, SessionKind, Store};
use jiff::Timestamp;

use crate::log;
use crate::shared::Shared;
use given::Turn;

pub(crate) use ends::{gone, leaders_gone, linger_over, logout, recover};
pub(crate) use list::list;
pub(crate) use login::{Pending, give_up, join, login};
pub(crate) use start::{Started, start_program};

/// Where rules make hostlets, what they need of the kernel is there before the first login asks.
pub(crate) fn prepare(shared: &Shared) {
    if shared.config().rules.is_empty() {
        return;
    }
    if let Err(error) = shared.engine.prepare() {
        log::warning(format_args!(
            "cannot load the kernel part before it is needed; the next login tries again: {error}"
        ));
    }
}

/// The record of sessions: the store, and in memory what it says. hostletd alone writes it, so both agree.
pub(crate) struct Sessions {
    store: Store,
    all: BTreeMap<u64, Session>,
    /// Users whose common hostlet of a rule is being opened this moment.
    opening: BTreeMap<(Name, u32), Arc<Turn>>,
    /// The hostlets that users' logins share, by rule and user.
    shared_by: BTreeMap<(Name, u32), Name>,
    /// Processes that are about to come into a hostlet that they share with others.
    coming: BTreeSet<(Name, u32)>,
    /// Names of hostlets that are being opened.
    naming: BTreeSet<Name>,
}

impl Sessions {
    /// What the store has.
    pub fn open(db: &Path) -> Result<Self> {
        let store = Store::open_to_stay(db)?;
        let all = store.sessions()?;
        let common = all
            .iter()
            .filter(|s| s.kind == SessionKind::User && s.own && !s.cut_off)
            .filter_map(|s| Some(((s.rule.clone()?, s.uid), s.hostlet.clone()?)));
        Ok(Self {
            shared_by: common.collect(),
            all: all.into_iter().map(|s| (s.number, s)).collect(),
            store,
            opening: BTreeMap::new(),
            coming: BTreeSet::new(),
            naming: BTreeSet::new(),
        })
    }

    /// Every session, by number.
    pub fn all(&self) -> impl Iterator<Item = &Session> {
        self.all.values()
    }

    /// Those in a hostlet.
    pub fn of<'a>(&'a self, hostlet: &'a Name) -> impl Iterator<Item = &'a Session> {
        self.all().filter(|s| s.hostlet.as_ref() == Some(hostlet))
    }

    /// Writes one down; its number is filled in.
    pub fn add(&mut self, session: Session) -> Result<u64> {
        let session = self.store.add_session(session)?;
        let number = session.number;
        self.all.insert(number, session);
        Ok(number)
    }

    /// One of them.
    pub fn get(&self, number: u64) -> Option<&Session> {
        self.all.get(&number)
    }

    /// Its first process is in its hostlet.
    pub fn joined(&mut self, number: u64) -> Result<()> {
        self.change(number, |s| s.joined = true)
    }

    /// It was closed, and processes of it are left.
    pub fn end(&mut self, number: u64, now: Timestamp) -> Result<()> {
        self.change(number, |s| s.ended = Some(now))
    }

    /// What is left in a hostlet has lost its addresses.
    pub fn cut_off(&mut self, hostlet: &Name) -> Result<()> {
        self.shared_by.retain(|_, name| name != hostlet);
        let all: Vec<u64> = self.of(hostlet).map(|s| s.number).collect();
        all.into_iter()
            .try_for_each(|number| self.change(number, |s| s.cut_off = true))
    }

    fn change(&mut self, number: u64, how: impl FnOnce(&mut Session)) -> Result<()> {
        let Some(session) = self.all.get_mut(&number) else {
            return Ok(());
        };
        how(session);
        self.store.change_session(session)
    }

    /// These are over.
    pub fn forget(&mut self, numbers: &[u64]) -> Result<()> {
        if numbers.is_empty() {
            return Ok(());
        }
        for number in numbers {
            self.all.remove(number);
        }
        self.store.forget_sessions(numbers)
    }

    /// A hostlet is gone, and with it all that were in it.
    pub fn forget_hostlet(&mut self, hostlet: &Name) -> Result<()> {
        self.shared_by.retain(|_, name| name != hostlet);
        let all: Vec<u64> = self.of(hostlet).map(|s| s.number).collect();
        self.forget(&all)
    }

    /// What a hostlet is that a rule made; none: it was there before.
    pub fn kind(&self, hostlet: &Name) -> Option<SessionKind> {
        self.of(hostlet).find(|s| s.own).map(|s| s.kind)
    }
}

/// What a hostlet is for, if a rule had it made; none: somebody asked for it.
pub(crate) fn made_by_rule(shared: &Shared, hostlet: &Name) -> Option<SessionKind> {
    shared.sessions().kind(hostlet)
}
