//! The methods of the interface, for one caller.

use std::sync::Arc;

use hostlet_model::Name;
use hostlet_model::config::PoolSource;
use hostlet_policy::Refusal;
use hostlet_store::{Lease, LeaseState};
use hostlet_wire::{Aside, Error, Lent, LoggedIn, Login, Open, Opened, Pool, Service};

use crate::peer::Peer;
use crate::sessions::Pending;
use crate::shared::Shared;
use crate::{open, reload, sessions};

/// One connection's view of hostletd.
pub(crate) struct Caller {
    pub shared: Arc<Shared>,
    pub peer: Peer,
    /// What the last call opened: taken back if the caller never hears of it.
    pub opened: Option<Name>,
    /// A login whose process has not come in yet, or does not know that it has.
    pub login: Option<Pending>,
}

impl Caller {
    fn root(&self) -> bool {
        self.peer.caller.uid == 0
    }

    /// The caller's own hostlet, or any to root.
    fn owns(&self, name: &Name) -> Result<(), Error> {
        let owner = self.shared.ledger().owner(name);
        if self.root() || owner == Some(self.peer.caller.uid) {
            return Ok(());
        }
        Err(Error::NotFound(format!(
            "user '{}' has no hostlet '{name}'; see 'hostlet leases'",
            self.peer.caller.user
        )))
    }
}

impl Service for Caller {
    fn open(&mut self, mut request: Open) -> Result<Opened, Error> {
        self.heard();
        shorten(&mut request.program);
        let opened = open::open(&self.shared, &self.peer, request)?;
        self.opened = Some(opened.name.clone());
        Ok(opened)
    }

    fn login(&mut self, request: Login) -> Result<LoggedIn, Error> {
        self.left();
        self.must_be_root("say who logs in")?;
        let (answer, pending) = sessions::login(&self.shared, &self.peer, request)?;
        self.login = pending;
        Ok(answer)
    }

    fn logout(&mut self, session: u64) -> Result<(), Error> {
        self.heard();
        self.must_be_root("say who logs out")?;
        sessions::logout(&self.shared, session)
    }

    fn sessions(&mut self) -> Result<Vec<hostlet_wire::Session>, Error> {
        self.heard();
        let own = (!self.root()).then_some(self.peer.caller.uid);
        Ok(sessions::list(&self.shared, own))
    }

    fn join(&mut self, name: Name) -> Result<String, Error> {
        self.heard();
        if let Some(login) = self.login.as_mut().filter(|l| l.hostlet == name) {
            return sessions::join(&self.shared, &self.peer, login);
        }
        let leaving = self.peer.may_leave(&self.shared)?;
        self.may_enter(&name)?;
        let engine = &self.shared.engine;
        engine
            .join(&name, self.peer.process(), leaving.as_ref())
            .map_err(|error| match error {
                // It is up to the caller: the process is not one that may be moved.
                hostlet_engine::Error::Process { .. } => Error::NotAllowed(error.to_string()),
                error => failed(error),
            })
    }

    fn close(&mut self, name: Name, kill: bool) -> Result<(), Error> {
        self.heard();
        self.owns(&name)?;
        if !self.root() && sessions::made_by_rule(&self.shared, &name).is_some() {
            return Err(Error::NotAllowed(format!(
                "a rule gave user '{}' hostlet '{name}', and only root may end it: log out instead",
                self.peer.caller.user
            )));
        }
        let Some(_ending) = self.shared.ending(&name) else {
            return Err(Error::BadRequest(format!(
                "hostlet '{name}' is being made this moment; try again"
            )));
        };
        let engine = &self.shared.engine;
        engine.close(&name, kill).map_err(|error| match error {
            hostlet_engine::Error::Refused(Refusal::Inhabited { name, members })
                if !self.root() =>
            {
                failed(hostlet_policy::inhabited(&name, &members))
            }
            error => failed(error),
        })?;
        sessions::gone(&self.shared, &name);
        Ok(())
    }

    fn leases(&mut self) -> Result<Vec<hostlet_wire::Lease>, Error> {
        self.heard();
        let ledger = self.shared.ledger();
        let all = ledger.leases().values();
        let held = all.map(lease);
        let lost = ledger.lost().iter().map(|l| hostlet_wire::Lease {
            state: "lost".to_owned(),
            ..lease(l)
        });
        Ok(held
            .chain(lost)
            .filter(|l| self.root() || l.uid == self.peer.caller.uid)
            .collect())
    }

    fn pools(&mut self) -> Result<Vec<Pool>, Error> {
        self.heard();
        let config = self.shared.config();
        let ledger = self.shared.ledger();
        let aside = ledger
            .aside(self.shared.clock.timestamp())
            .map_err(failed)?;
        let caller = &self.peer.caller;
        let mine = config
            .pools
            .values()
            .filter(|p| hostlet_policy::may(caller, &p.may_use));
        let pools = mine.map(|p| {
            let held = |v6: bool| {
                let all = ledger.leases().values();
                let held = all.filter(|l| l.pool == p.name && l.address.is_ipv6() == v6);
                u64::try_from(held.count()).unwrap_or(u64::MAX)
            };
            let lent = [(false, "ipv4"), (true, "ipv6")]
                .into_iter()
                .filter(|(v6, _)| p.has(*v6))
                .map(|(v6, family)| Lent {
                    family: family.to_owned(),
                    size: match &p.source {
                        PoolSource::Dhcp(_) => None,
                        PoolSource::Static(s) => Some(s.ranges.count(v6).to_string()),
                    },
                    held: held(v6),
                });
            let (kind, ranges, size) = match &p.source {
                PoolSource::Dhcp(_) => ("dhcp", Vec::new(), None),
                PoolSource::Static(s) => {
                    let ranges = s.ranges.iter().map(ToString::to_string).collect();
                    let size = s.ranges.count(false).saturating_add(s.ranges.count(true));
                    ("static", ranges, Some(size.to_string()))
                }
            };
            Pool {
                name: p.name.clone(),
                interface: p.interface.clone(),
                kind: kind.to_owned(),
                families: p.families().into_iter().map(str::to_owned).collect(),
                ranges,
                size,
                held: held(false).saturating_add(held(true)),
                lent: lent.collect(),
                asides: aside
                    .iter()
                    .filter(|a| a.pool == p.name)
                    .map(|a| Aside {
                        address: a.address,
                        until: format!("{:.0}", a.until),
                        why: a.why.clone(),
                    })
                    .collect(),
                may_use: p.may_use.iter().map(ToString::to_string).collect(),
            }
        });
        Ok(pools.collect())
    }

    fn reload(&mut self, dry_run: bool) -> Result<Vec<String>, Error> {
        self.heard();
        self.must_be_root("reload the configuration")?;
        reload::reload(&self.shared, dry_run)
    }

    fn undelivered(&mut self) {
        if let Some(name) = self.opened.take() {
            crate::jobs::end(&self.shared, &name);
        }
        self.give_up();
    }
}

impl Caller {
    /// Another call comes in, so the answer to the last one has arrived.
    fn heard(&mut self) {
        self.opened = None;
        self.login.take_if(|login| login.is_in());
    }

    /// Nobody is at the other end any more: a login whose process never came in is taken back.
    pub fn left(&mut self) {
        self.heard();
        self.give_up();
    }

    fn give_up(&mut self) {
        if let Some(login) = self.login.take() {
            sessions::give_up(&self.shared, &self.peer, login);
        }
    }

    fn must_be_root(&self, what: &str) -> Result<(), Error> {
        if self.root() {
            return Ok(());
        }
        Err(Error::NotAllowed(format!(
            "user '{}' may not {what}: only root may; run the command with sudo, or as root",
            self.peer.caller.user
        )))
    }

    /// The owner of a hostlet may, root, and whom the configuration lists, where it does not say as whom programs run.
    fn may_enter(&self, name: &Name) -> Result<(), Error> {
        let config = self.shared.config();
        let Some(declared) = config.hostlets.get(name) else {
            return self.owns(name);
        };
        let caller = &self.peer.caller;
        if !hostlet_policy::may(caller, &declared.may_enter) {
            return Err(Error::NotAllowed(format!(
                "user '{}' may not enter hostlet '{name}': an administrator allows it with may-enter = [\"user:{}\"] under [hostlet.{name}] in {}",
                caller.user,
                caller.user,
                self.shared.engine.paths().config.display()
            )));
        }
        match &declared.run.user {
            Some(user) if *user != caller.user && caller.uid != 0 => {
                Err(Error::NotAllowed(format!(
                    "programs in hostlet '{name}' run as user '{user}': use 'sudo hostlet enter {name}'"
                )))
            }
            _ => Ok(()),
        }
    }
}

/// How much of a command line is kept: the record is not the callers' to fill.
const COMMAND_LINE: usize = 4096;

fn shorten(program: &mut Vec<String>) {
    let mut left = COMMAND_LINE;
    program.retain_mut(|word| {
        let room = left;
        left = left.saturating_sub(word.len() + 1);
        if word.len() > room {
            while word.len() > room {
                word.pop();
            }
        }
        room > 0
    });
}

fn failed(error: impl std::fmt::Display) -> Error {
    Error::Failed(error.to_string())
}

fn lease(l: &Lease) -> hostlet_wire::Lease {
    let terms = l.terms.as_ref();
    hostlet_wire::Lease {
        address: l.address,
        prefix: l.prefix_len,
        pool: l.pool.clone(),
        interface: l.interface.clone(),
        hostlet: l.hostlet.clone(),
        user: l.user.clone(),
        uid: l.uid,
        program: l.program.clone(),
        holder: l.holder,
        since: format!("{:.0}", l.since),
        state: match l.state {
            LeaseState::Claimed => "claimed",
            LeaseState::Held => "held",
        }
        .to_owned(),
        hardware: terms.map(|t| t.hardware.clone()),
        server: terms.map(|t| t.server.clone()),
        renew: terms.map(|t| format!("{:.0}", t.renew)),
        rebind: terms.map(|t| format!("{:.0}", t.rebind)),
        expires: terms.and_then(|t| t.expires).map(|at| format!("{at:.0}")),
    }
}
