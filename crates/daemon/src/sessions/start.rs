//! A program that a rule gives a hostlet, while its process waits in execve.

use std::path::Path;

use hostlet_model::Name;
use hostlet_model::config::Rule;
use hostlet_platform::peer::Peer;
use hostlet_policy::Caller;
use hostlet_store::{Session, SessionKind};
use hostlet_wire::Error;

use super::ends::gone;
use super::given::{Asking, Given, describe, give};
use super::made_by_rule;
use crate::log;
use crate::shared::Shared;

/// Where a program starts.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Started {
    /// In a hostlet; its process is there.
    Hostlet(Name),
    /// Where its process was.
    Machine,
}

/// Does what a rule says about a program's start (rows A13, B2). The error is the reason why it must not start.
pub(crate) fn start_program(
    shared: &Shared,
    rule: &Rule,
    caller: &Caller,
    process: &Peer,
    program: &str,
) -> Result<Started, Error> {
    let leaving = match shared.engine.hostlet_of(process.pid) {
        None => None,
        // One that belongs to a session goes from there to its own; all others stay, and with them what they start.
        Some(name) => match made_by_rule(shared, &name) {
            Some(SessionKind::Session | SessionKind::User) => Some(name),
            Some(SessionKind::Program) | None => return Ok(Started::Machine),
        },
    };
    let file = Path::new(program).file_name().unwrap_or_default();
    let asking = Asking {
        rule,
        owner: caller,
        kind: SessionKind::Program,
        base: format!("{}-{}", caller.user, file.to_string_lossy()),
        process,
        program: vec![program.to_owned()],
    };
    let (name, made) = match give(shared, &asking)? {
        Given::Hostlet { name, made, .. } => (name, made),
        Given::Machine => return Ok(Started::Machine),
        Given::FallBack(why) => {
            let who = describe(caller, &asking.program);
            log::warning(format_args!("{who} uses the machine's addresses: {why}"));
            return Ok(Started::Machine);
        }
    };
    let failed = |error: &dyn std::fmt::Display| Error::Failed(error.to_string());
    let placed = shared
        .engine
        .place(&name, process, leaving.as_ref())
        .map_err(|e| failed(&e));
    let recorded = placed.and_then(|_| {
        if !made {
            return Ok(0);
        }
        let session = Session {
            number: 0,
            kind: SessionKind::Program,
            hostlet: Some(name.clone()),
            own: true,
            joined: true,
            rule: Some(rule.name.clone()),
            user: caller.user.clone(),
            uid: caller.uid,
            service: program.to_owned(),
            tty: None,
            remote: None,
            since: shared.clock.timestamp(),
            pid: process.pid,
            start_ticks: process.start_ticks,
            ended: None,
            cut_off: false,
        };
        shared.sessions().add(session).map_err(|e| failed(&e))
    });
    match recorded {
        Ok(_) => Ok(Started::Hostlet(name)),
        Err(error) => {
            if made && shared.engine.close(&name, true).is_ok() {
                gone(shared, &name);
            }
            Err(error)
        }
    }
}
