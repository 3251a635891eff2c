//! The end of a session, and what is left of it.

use std::collections::BTreeSet;
use std::time::Duration;

use hostlet_model::{Name, Owned};
use hostlet_platform::{cgroup, proc};
use hostlet_store::{Session, SessionKind};
use hostlet_wire::Error;
use jiff::Timestamp;

use super::login::give_up_session;
use crate::jobs::Job;
use crate::keeper::Order;
use crate::log;
use crate::shared::Shared;

/// A hostlet is gone: what it held is given back, and nobody is in it any more.
pub(crate) fn gone(shared: &Shared, hostlet: &Name) {
    shared.give_back(hostlet);
    if let Err(error) = shared.sessions().forget_hostlet(hostlet) {
        // The next start finds that there is no such hostlet.
        log::warning(format_args!("{error}"));
    }
}

/// A session was closed.
pub(crate) fn logout(shared: &Shared, number: u64) -> Result<(), Error> {
    close(shared, number).map_err(|e| Error::Failed(e.to_string()))
}

fn close(shared: &Shared, number: u64) -> hostlet_store::Result<()> {
    let mut sessions = shared.sessions();
    let Some(session) = sessions.get(number).cloned() else {
        // Its last process was quicker.
        return Ok(());
    };
    let Some(hostlet) = session.hostlet.clone().filter(|_| session.ended.is_none()) else {
        return match session.hostlet {
            None => sessions.forget(&[number]),
            Some(_) => Ok(()),
        };
    };
    let others = sessions
        .of(&hostlet)
        .any(|s| s.number != number && s.ended.is_none());
    // What is left of it belongs to the other logins of the user.
    if others || !session.own {
        return sessions.forget(&[number]);
    }
    sessions.end(number, shared.clock.timestamp())?;
    drop(sessions);
    arm(shared, &session, Duration::ZERO);
    Ok(())
}

/// How long what outlives a session keeps its addresses; none: as long as it lives.
fn linger(shared: &Shared, session: &Session) -> Option<Duration> {
    let config = shared.config();
    let mut rules = config.rules.iter();
    rules
        .find(|r| Some(&r.name) == session.rule.as_ref())?
        .linger
}

/// Sees to it that what outlives the session loses its addresses when its rule says so.
fn arm(shared: &Shared, session: &Session, passed: Duration) {
    let (Some(linger), Some(hostlet)) = (linger(shared, session), &session.hostlet) else {
        return;
    };
    shared.orders.give(Order::After {
        wait: linger.saturating_sub(passed),
        job: Job::Linger {
            hostlet: hostlet.clone(),
        },
    });
}

/// The first process of a session in this hostlet may have ended without a word.
pub(crate) fn leaders_gone(shared: &Shared, hostlet: &Name) {
    let silent: Vec<u64> = {
        let sessions = shared.sessions();
        let all = sessions
            .of(hostlet)
            .filter(|s| s.kind != SessionKind::Program);
        let open = all.filter(|s| s.ended.is_none() && !proc::alive(s.pid, s.start_ticks));
        open.map(|s| s.number).collect()
    };
    for number in silent {
        if let Err(error) = close(shared, number) {
            log::warning(format_args!("{error}"));
        }
    }
}

/// What is left of a hostlet's sessions has had its time.
pub(crate) fn linger_over(shared: &Shared, hostlet: &Name) {
    let Some(_ending) = shared.ending(hostlet) else {
        return;
    };
    let last = {
        let sessions = shared.sessions();
        if sessions.of(hostlet).any(|s| s.ended.is_none() || s.cut_off) {
            return;
        }
        let ended = sessions.of(hostlet).max_by_key(|s| s.ended);
        ended.cloned()
    };
    let Some((last, at)) = last.and_then(|s| s.ended.map(|at| (s, at))) else {
        return;
    };
    let passed = since(at, shared.clock.timestamp());
    match linger(shared, &last) {
        Some(whole) if passed >= whole => {}
        // This was the time of an earlier session, or there is a new configuration.
        _ => return arm(shared, &last, passed),
    }
    let held: Vec<Owned> = {
        let all = shared.ledger().of(hostlet);
        all.iter().map(crate::shared::owned).collect()
    };
    if let Err(error) = shared.engine.replace(hostlet, &held, &[]) {
        log::warning(format_args!(
            "what outlives the session in hostlet '{hostlet}' keeps its addresses for now: {error}"
        ));
        return shared.later(Job::Linger {
            hostlet: hostlet.clone(),
        });
    }
    log::notice(format_args!(
        "what outlives the session in hostlet '{hostlet}' is cut off"
    ));
    shared.give_back(hostlet);
    if let Err(error) = shared.sessions().cut_off(hostlet) {
        log::warning(format_args!("{error}"));
    }
}

/// Takes over the sessions that an earlier hostletd knew; hostlets are healed already.
pub(crate) fn recover(shared: &Shared, hostlets: &BTreeSet<Name>) -> anyhow::Result<()> {
    let now = shared.clock.timestamp();
    let known: Vec<Session> = shared.sessions().all().cloned().collect();
    let over = known.iter().filter(|s| match &s.hostlet {
        Some(hostlet) => !hostlets.contains(hostlet),
        None => !proc::alive(s.pid, s.start_ticks),
    });
    let over: Vec<u64> = over.map(|s| s.number).collect();
    shared.sessions().forget(&over)?;
    for session in known.iter().filter(|s| !over.contains(&s.number)) {
        match (session.ended, &session.hostlet) {
            (_, Some(hostlet)) if !session.joined && !came_in(shared, session, hostlet)? => {
                give_up_session(shared, session.number, hostlet, session.own);
            }
            (Some(ended), _) if !session.cut_off => arm(shared, session, since(ended, now)),
            (None, Some(hostlet)) => {
                leaders_gone(shared, hostlet);
                shared.orders.give(Order::WatchProcess {
                    hostlet: hostlet.clone(),
                    process: pidfd(session),
                });
            }
            _ => {}
        }
    }
    Ok(())
}

/// Whether a session began of which was not written down that it did. Its caller was told nothing, but sees where its process is; that
/// its scope has rules it does not see, and went on without them.
fn came_in(shared: &Shared, session: &Session, hostlet: &Name) -> anyhow::Result<bool> {
    let own = shared.engine.cgroup_of(hostlet);
    let Some(there) = proc::cgroup(session.pid).filter(|_| pidfd(session).is_some()) else {
        return Ok(false);
    };
    let there = cgroup::find_mount()?.join(there.trim_start_matches('/'));
    if there.starts_with(&own) {
        shared.sessions().joined(session.number)?;
        return Ok(true);
    }
    let others = shared.sessions().of(hostlet).any(|s| s.joined);
    let scopes = shared.engine.cgroups_of(hostlet);
    let scope = scopes.iter().find(|dir| there.starts_with(dir));
    if let Some(scope) = scope.filter(|_| !others) {
        shared.engine.detach_scope(hostlet, scope)?;
    }
    Ok(false)
}

fn pidfd(session: &Session) -> Option<std::os::fd::OwnedFd> {
    let peer = hostlet_platform::peer::Peer::of_pid(session.pid).ok()?;
    (peer.start_ticks == session.start_ticks).then_some(peer.pidfd)
}

fn since(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
