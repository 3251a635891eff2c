//! Who is in.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hostlet_model::Name;
use hostlet_platform::cgroup;
use hostlet_platform::proc::{self, Process};
use hostlet_store::Session;

use super::given::{addresses, set_of};
use crate::log;
use crate::shared::Shared;

/// How many programs of a session are named.
const PROGRAMS: usize = 32;

/// The sessions of a user; of everybody.
pub(crate) fn list(shared: &Shared, of: Option<u32>) -> Vec<hostlet_wire::Session> {
    forget_silent(shared);
    let all: Vec<Session> = shared.sessions().all().cloned().collect();
    let mut seen: BTreeMap<Name, (Vec<IpAddr>, Vec<String>)> = BTreeMap::new();
    let wanted = all
        .into_iter()
        // One that has not come in yet may never do so.
        .filter(|s| s.joined && of.is_none_or(|uid| s.uid == uid));
    let show = |session: Session| {
        let inside = session.hostlet.as_ref().map(|name| {
            let known = seen.entry(name.clone());
            known
                .or_insert_with(|| (of_hostlet(shared, name), programs(shared, name)))
                .clone()
        });
        let (addresses, programs) = inside.unwrap_or_default();
        // Its end is under way.
        if session.ended.is_some() && programs.is_empty() {
            return None;
        }
        Some(hostlet_wire::Session {
            number: session.number,
            state: state(&session).to_owned(),
            hostlet: session.hostlet,
            user: session.user,
            uid: session.uid,
            service: session.service,
            tty: session.tty,
            remote: session.remote,
            since: format!("{:.0}", session.since),
            leader: session.pid,
            rule: session.rule,
            addresses,
            programs,
        })
    };
    wanted.filter_map(show).collect()
}

fn state(session: &Session) -> &'static str {
    match session {
        Session { cut_off: true, .. } => "cut-off",
        Session { ended: Some(_), .. } => "ended",
        _ => "open",
    }
}

/// Those without a hostlet, whose end nobody told.
pub(super) fn forget_silent(shared: &Shared) {
    let mut sessions = shared.sessions();
    let silent = sessions
        .all()
        .filter(|s| s.hostlet.is_none() && !proc::alive(s.pid, s.start_ticks));
    let silent: Vec<u64> = silent.map(|s| s.number).collect();
    if let Err(error) = sessions.forget(&silent) {
        log::warning(format_args!("{error}"));
    }
}

/// Its leases; of one that was there before, what it is made of.
fn of_hostlet(shared: &Shared, name: &Name) -> Vec<IpAddr> {
    let held = addresses(shared, name);
    if !held.is_empty() {
        return held;
    }
    // A list is not to fail because of one line.
    set_of(shared, name).ok().flatten().unwrap_or_default()
}

/// What runs in it, each once, in the order of their start.
fn programs(shared: &Shared, name: &Name) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    for dir in shared.engine.cgroups_of(name) {
        // Gone meanwhile: nothing runs there.
        let members = cgroup::members(&dir, true).unwrap_or_default();
        for process in members.into_iter().filter_map(Process::read) {
            if !names.contains(&process.comm) && names.len() < PROGRAMS {
                names.push(process.comm);
            }
        }
    }
    names
}
