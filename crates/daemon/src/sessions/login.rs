//! A login, from the question of PAM to the process in its hostlet.

use std::path::{Path, PathBuf};

use hostlet_engine::caller_named;
use hostlet_model::Name;
use hostlet_model::config::{Per, Target};
use hostlet_platform::{cgroup, proc};
use hostlet_policy::rules::{Occasion, decide};
use hostlet_store::{Session, SessionKind};
use hostlet_wire::{Decision, Error, LoggedIn, Login};

use super::ends::gone;
use super::given::{Asking, Given, came, describe, give};
use super::list::forget_silent;
use crate::keeper::Order;
use crate::log;
use crate::peer::Peer;
use crate::shared::Shared;

/// A login that was given a hostlet: the caller has yet to say that he knows, by coming in.
pub(crate) struct Pending {
    pub hostlet: Name,
    session: u64,
    /// Whether a rule made the hostlet.
    own: bool,
    kind: SessionKind,
    uid: u32,
    /// The session's hostlet that the process is in, such as that of a user who changes to another with su.
    leaving: Option<Name>,
    /// Where the process was before it came in, if it did.
    joined: Option<Joined>,
}

enum Joined {
    /// From this cgroup, as `/proc/PID/cgroup` names it.
    Moved(String),
    /// This cgroup of a service manager got the hostlet's rules.
    Attached(PathBuf),
}

impl Pending {
    /// Whether its process has come in.
    pub fn is_in(&self) -> bool {
        self.joined.is_some()
    }
}

/// Decides, and opens what is needed.
pub(crate) fn login(
    shared: &Shared,
    peer: &Peer,
    request: Login,
) -> Result<(LoggedIn, Option<Pending>), Error> {
    let plain = |decision| LoggedIn {
        decision,
        session: None,
        name: None,
        addresses: Vec::new(),
        rule: None,
        message: None,
    };
    // Anywhere else a login belongs to the hostlet that it happens in, as on a machine of its own.
    let Ok(leaving) = peer.may_leave(shared) else {
        return Ok((plain(Decision::Stays), None));
    };
    let config = shared.config();
    let Some(owner) = caller_named(&request.user) else {
        let why = format!("the user database has no user '{}'", request.user);
        // A strict rule may be about him.
        return match config.rules.is_empty() {
            true => Ok((plain(Decision::Machine), None)),
            false => Err(Error::NotFound(why)),
        };
    };
    let occasion = Occasion::Login {
        service: &request.service,
    };
    let Some(rule) = decide(&config.rules, &owner, &occasion).rule else {
        return Ok((plain(otherwise(&leaving)), None));
    };
    let kind = match rule.per {
        Per::Session => SessionKind::Session,
        Per::User => SessionKind::User,
        Per::Program | Per::None => {
            let answer = LoggedIn {
                rule: Some(rule.name.clone()),
                ..plain(otherwise(&leaving))
            };
            return Ok((answer, None));
        }
    };
    let mut program = vec![request.service.clone()];
    program.extend(request.remote.as_ref().map(|host| format!("from {host}")));
    let asking = Asking {
        rule,
        owner: &owner,
        kind,
        base: owner.user.clone(),
        process: peer.process(),
        program,
    };
    let mut answer = LoggedIn {
        rule: Some(rule.name.clone()),
        ..plain(Decision::Hostlet)
    };
    let given = give(shared, &asking).inspect_err(|error| {
        let who = describe(&owner, &asking.program);
        log::warning(format_args!("{who} is refused: {error}"));
    });
    let (hostlet, made) = match given? {
        Given::Hostlet {
            name,
            addresses,
            made,
        } => {
            answer.name = Some(name.clone());
            answer.addresses = addresses;
            (Some(name), made)
        }
        Given::Machine => {
            answer.decision = otherwise(&leaving);
            return Ok((answer, None));
        }
        Given::FallBack(why) => {
            let who = describe(&owner, &asking.program);
            log::warning(format_args!("{who} uses the machine's addresses: {why}"));
            answer.decision = if leaving.is_some() {
                Decision::Stays
            } else {
                Decision::FallBack
            };
            answer.message = Some(why);
            (None, false)
        }
    };
    if hostlet.is_none() {
        // Nobody hears of their end.
        forget_silent(shared);
    }
    let own = hostlet.is_some() && !matches!(rule.target, Target::Hostlet(_) if !made);
    let session = Session {
        number: 0,
        kind,
        hostlet: hostlet.clone(),
        own,
        joined: hostlet.is_none(),
        rule: answer.rule.clone(),
        user: owner.user.clone(),
        uid: owner.uid,
        service: request.service,
        tty: request.tty,
        remote: request.remote,
        since: shared.clock.timestamp(),
        pid: peer.pid,
        start_ticks: peer.start_ticks,
        ended: None,
        cut_off: own && answer.addresses.is_empty(),
    };
    let added = shared.sessions().add(session);
    let number = match added {
        Ok(number) => number,
        Err(error) => {
            if let Some(name) = &hostlet {
                came(shared, name, peer.pid);
            }
            if let Some(name) = hostlet.filter(|_| made) {
                take_back(shared, &name);
            }
            return Err(Error::Failed(error.to_string()));
        }
    };
    answer.session = Some(number);
    let pending = hostlet.map(|hostlet| Pending {
        hostlet,
        session: number,
        own,
        kind,
        uid: owner.uid,
        leaving,
        joined: None,
    });
    Ok((answer, pending))
}

/// Where no rule gives anything: nobody leaves a session's hostlet for the machine's addresses by changing the user.
fn otherwise(leaving: &Option<Name>) -> Decision {
    match leaving {
        Some(_) => Decision::Stays,
        None => Decision::Machine,
    }
}

/// Brings the process in that logs in.
pub(crate) fn join(shared: &Shared, peer: &Peer, pending: &mut Pending) -> Result<String, Error> {
    let ended = || Error::Failed(format!("process {} ended meanwhile", peer.pid));
    let before = proc::cgroup(peer.pid).ok_or_else(ended)?;
    // Who gives a slice up that others share has to know of all that are in.
    let _one = shared.coming_in();
    let cgroup = bring_in(shared, peer, pending, before)?;
    came(shared, &pending.hostlet, peer.pid);
    let written = shared.sessions().joined(pending.session);
    written.map_err(|e| Error::Failed(e.to_string()))?;
    Ok(cgroup)
}

fn bring_in(
    shared: &Shared,
    peer: &Peer,
    pending: &mut Pending,
    before: String,
) -> Result<String, Error> {
    if let Some(dir) = scope(&before, peer, pending).filter(|_| pending.leaving.is_none()) {
        match shared.engine.attach_scope(&pending.hostlet, &dir) {
            Ok(()) => {
                pending.joined = Some(Joined::Attached(dir.clone()));
                shared.orders.give(Order::Watch {
                    hostlet: pending.hostlet.clone(),
                    cgroup: dir,
                    process: peer.watch(),
                });
                return Ok(before);
            }
            // The session manager's cgroup is another's already, or gone: the process alone comes in.
            Err(error) => log::warning(format_args!("{error}")),
        }
    }
    let leaving = pending.leaving.as_ref();
    let cgroup = shared
        .engine
        .place(&pending.hostlet, peer.process(), leaving)
        .map_err(|e| Error::Failed(e.to_string()))?;
    pending.joined = Some(Joined::Moved(before));
    shared.orders.give(Order::WatchProcess {
        hostlet: pending.hostlet.clone(),
        process: peer.watch(),
    });
    Ok(cgroup)
}

/// The cgroup that the service manager made for what the hostlet is for: the scope of this session, or the slice of this user. Whoever
/// moves a process out of it ends the session for the service manager.
fn scope(cgroup: &str, peer: &Peer, pending: &Pending) -> Option<PathBuf> {
    let slice = format!("user-{}.slice", pending.uid);
    let is_scope = |part: &str| part.starts_with("session-") && part.ends_with(".scope");
    let mut dir = cgroup::find_mount().ok()?;
    let mut his = false;
    for part in Path::new(cgroup.trim_start_matches('/')) {
        let part = part.to_str()?;
        dir.push(part);
        his |= part == slice;
        let found = match pending.kind {
            SessionKind::User => part == slice,
            _ => his && is_scope(part) && begins_with(&dir, peer.pid),
        };
        if found {
            return Some(dir);
        }
    }
    None
}

/// Whether a session's scope has nobody in it but the process that logs in, and what that started: with su a login happens in the
/// session of somebody who is in there already.
fn begins_with(scope: &Path, leader: u32) -> bool {
    let (Ok(members), Ok(family)) = (cgroup::members(scope, true), proc::descendants(leader))
    else {
        return false;
    };
    members
        .iter()
        .all(|pid| *pid == leader || family.contains(pid))
}

/// The caller of a login does not know what it was given, or did not want it any more.
pub(crate) fn give_up(shared: &Shared, peer: &Peer, pending: Pending) {
    let Pending { hostlet, own, .. } = &pending;
    came(shared, hostlet, peer.pid);
    let coming = shared.coming_in();
    let out = match &pending.joined {
        Some(Joined::Moved(before)) => shared.engine.place_back(peer.process(), before),
        Some(Joined::Attached(dir)) if !shared_slice(shared, &pending) => {
            shared.engine.detach_scope(hostlet, dir)
        }
        Some(Joined::Attached(_)) | None => Ok(()),
    };
    if let Err(error) = out {
        log::warning(format_args!("{error}"));
    }
    drop(coming);
    give_up_session(shared, pending.session, hostlet, *own);
}

/// The slice of a user is that of his other logins as well.
fn shared_slice(shared: &Shared, pending: &Pending) -> bool {
    let sessions = shared.sessions();
    let others = sessions
        .of(&pending.hostlet)
        .any(|s| s.number != pending.session && s.joined);
    pending.kind == SessionKind::User && others
}

/// A session that never began: what was made for it alone goes.
pub(super) fn give_up_session(shared: &Shared, number: u64, hostlet: &Name, own: bool) {
    let others = {
        let mut sessions = shared.sessions();
        if let Err(error) = sessions.forget(&[number]) {
            log::warning(format_args!("{error}"));
        }
        sessions.of(hostlet).next().is_some()
    };
    if own && !others {
        take_back(shared, hostlet);
    }
}

fn take_back(shared: &Shared, hostlet: &Name) {
    let Some(_ending) = shared.ending(hostlet) else {
        return;
    };
    match shared.engine.close(hostlet, false) {
        Ok(()) => gone(shared, hostlet),
        // Its end will be heard of.
        Err(error) => log::warning(format_args!(
            "hostlet '{hostlet}' of a login that was given up stays for now: {error}"
        )),
    }
}
