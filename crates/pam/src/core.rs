//! What is done for a session, without PAM: tests call it directly.

use std::time::{Duration, Instant};

use hostlet_wire::{Decision, LoggedIn, Login};

use crate::arguments::Arguments;
use crate::ask::{self, No, Until};
use crate::local::{Alone, Local};

/// The longest that a logout waits: nothing depends on its answer.
const LOGOUT: Duration = Duration::from_secs(3);

/// Priorities of syslog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// `LOG_ERR`: a login was refused.
    Error = 3,
    /// `LOG_WARNING`: something should be mended.
    Warning = 4,
    /// `LOG_INFO`: what became of a session.
    Info = 6,
    /// `LOG_DEBUG`: what is of no interest otherwise.
    Debug = 7,
}

/// What became of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Whether the login may go on.
    pub let_in: bool,
    /// What is to be given to [`close`]; none: nobody needs to hear of its end.
    pub session: Option<u64>,
    /// Variables for the session's environment.
    pub variables: Vec<(&'static str, String)>,
    /// What the user should know.
    pub tell: Option<String>,
    /// What the administrator should know.
    pub log: (Level, String),
}

/// Opens a session for the calling process, which becomes a member of the hostlet that the rules give it (B1). Takes no longer than
/// the deadline of the arguments or of the configuration.
#[must_use]
pub fn open(arguments: &Arguments, login: &Login) -> Opened {
    let begun = Instant::now();
    let paths = arguments.paths();
    let local = Local::new(&paths);
    let whole = arguments.deadline.unwrap_or_else(|| local.deadline());
    match ask::login(&paths, Until::after(begun, whole), login) {
        Ok(given) => answered(login, given),
        // Programs in a private host do not see hostletd's socket. What logs in there belongs to it; whoever is in another hostlet
        // keeps what is enforced on it.
        Err(no) if !no.refused && ask::in_a_hostlet(&paths) => stays(login, &no),
        // That it said no is no reason to refuse whom its rules would let in: it may have more callers than it can take.
        Err(no) => alone(login, local.decide(login), &no),
    }
}

/// Tells hostletd that a session is closed. The sentence is for the log, if it could not be told: the session ends then with its
/// last process.
///
/// # Errors
/// hostletd could not be told.
pub fn close(arguments: &Arguments, session: u64) -> Result<(), String> {
    let begun = Instant::now();
    let paths = arguments.paths();
    let whole = arguments
        .deadline
        .unwrap_or_else(|| Local::new(&paths).deadline())
        .min(LOGOUT);
    ask::logout(&paths.socket(), Until::after(begun, whole), session).map_err(|no| {
        format!(
            "hostletd was not told that session {session} is closed, which ends with its last process now: {}",
            no.why
        )
    })
}

fn answered(login: &Login, given: LoggedIn) -> Opened {
    let addresses: Vec<String> = given.addresses.iter().map(ToString::to_string).collect();
    let addresses = addresses.join(" ");
    let user = &login.user;
    let by = match &given.rule {
        Some(rule) => format!("by rule {rule}"),
        None => "no rule is about it".to_owned(),
    };
    let (level, mut text) = match (given.decision, &given.name) {
        (Decision::Hostlet, Some(name)) => {
            let set = match addresses.as_str() {
                "" => "no address",
                some => some,
            };
            let text = format!("the session of {user} is in hostlet {name}, with {set}, {by}");
            (Level::Info, text)
        }
        (Decision::Stays | Decision::Hostlet, _) => (
            Level::Debug,
            format!("the session of {user} stays in the hostlet that it was begun in"),
        ),
        (Decision::Machine, _) => (
            Level::Debug,
            format!("the session of {user} keeps the machine's address, {by}"),
        ),
        (Decision::FallBack, _) => (
            Level::Warning,
            format!("the session of {user} falls back to the machine's address, {by}"),
        ),
    };
    let mut variables = Vec::new();
    if let (Decision::Hostlet | Decision::Stays, Some(name)) = (given.decision, &given.name) {
        variables.push(("HOSTLET_NAME", name.to_string()));
        variables.push(("HOSTLET_ADDRESS", addresses));
    }
    let level = match given.message {
        Some(message) => {
            text = format!("{text}: {message}");
            Level::Warning
        }
        None => level,
    };
    Opened {
        let_in: true,
        session: given.session,
        variables,
        tell: None,
        log: (level, text),
    }
}

fn stays(login: &Login, no: &No) -> Opened {
    let text = format!(
        "the session of {} by {} stays in the hostlet that it was begun in: {}",
        login.user, login.service, no.why
    );
    Opened {
        let_in: true,
        session: None,
        variables: Vec::new(),
        tell: None,
        log: (Level::Info, text),
    }
}

fn alone(login: &Login, decided: Alone, no: &No) -> Opened {
    let (user, service, why) = (&login.user, &login.service, &no.why);
    let (let_in, tell, log) = match decided {
        Alone::Machine(because) => (
            true,
            None,
            (
                Level::Warning,
                format!(
                    "the session of {user} by {service} keeps the machine's address ({because}): {why}"
                ),
            ),
        ),
        Alone::Refuse(because) => (
            false,
            Some(format!(
                "No address for this session, and without one you are not let in: {}. Try again later, or ask your administrator.",
                no.tell.trim_end_matches('.')
            )),
            (
                Level::Error,
                format!("{user} is not let in by {service} ({because}): {why}"),
            ),
        ),
    };
    Opened {
        let_in,
        session: None,
        variables: Vec::new(),
        tell,
        log,
    }
}
