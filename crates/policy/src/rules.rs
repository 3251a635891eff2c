//! Which rule decides a login, or the start of a program (rows A13, B1, B2, B9). The PAM module, hostletd and `hostlet explain` all
//! ask here, so that they cannot differ.

use std::fmt;

use hostlet_model::config::{Per, Rule, Who};

use crate::Caller;

/// What is to be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occasion<'a> {
    /// A user logs in.
    Login {
        /// The PAM service: `sshd`.
        service: &'a str,
    },
    /// A process starts a program.
    Start {
        /// The program's path, as the kernel names it.
        program: &'a str,
    },
}

/// Which rule decides, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided<'a> {
    /// The rule; none: the machine's address.
    pub rule: Option<&'a Rule>,
    /// A line for each rule that was looked at, in their order: why it fits, or why it does not.
    pub why: Vec<String>,
}

/// The first rule that fits. None: the machine's address, as if there were no hostlet on this machine.
pub fn decide<'a>(rules: &'a [Rule], caller: &Caller, occasion: &Occasion<'_>) -> Decided<'a> {
    let mut why = Vec::new();
    for rule in rules {
        let fits = about(rule, occasion).and_then(|()| whom(rule, caller, occasion));
        match fits {
            Ok(because) => {
                why.push(format!("rule '{}' fits: {because}", rule.name));
                return Decided {
                    rule: Some(rule),
                    why,
                };
            }
            Err(because) => why.push(format!("rule '{}' does not fit: {because}", rule.name)),
        }
    }
    Decided { rule: None, why }
}

/// Is this an account of the system and not of a person? Those are touched only by rules that name them (row B9): root, the accounts
/// of packages, the users that systemd makes for services, and nobody.
///
/// What lies above is of people again: directories give them ids from 100,000 or 1,000,000 on.
pub fn system_account(uid: u32) -> bool {
    matches!(uid, 0..1000 | 61184..=65535 | u32::MAX)
}

/// Is the rule about such an occasion?
fn about(rule: &Rule, occasion: &Occasion<'_>) -> Result<(), String> {
    match occasion {
        Occasion::Login { service } => {
            if !rule.programs.is_empty() {
                return Err("it is about programs, not about logins".into());
            }
            if !rule.services.is_empty() && !rule.services.iter().any(|s| s == service) {
                return Err(format!(
                    "it is about logins by {}, not by {service}",
                    list(&rule.services)
                ));
            }
            Ok(())
        }
        Occasion::Start { program } => {
            let every = rule.per == Per::None && rule.services.is_empty();
            if rule.programs.is_empty() {
                return match every {
                    true => Ok(()),
                    false => Err("it is about logins, not about programs".into()),
                };
            }
            match rule.programs.iter().any(|p| p.matches(program)) {
                true => Ok(()),
                false => Err(format!("{program} is not among {}", list(&rule.programs))),
            }
        }
    }
}

/// Is it about this caller? Says why, either way.
fn whom(rule: &Rule, caller: &Caller, occasion: &Occasion<'_>) -> Result<String, String> {
    let login = matches!(occasion, Occasion::Login { .. });
    let user = &caller.user;
    let system = system_account(caller.uid);
    if rule.who.is_empty() {
        return match system {
            true => Err(format!(
                "{user} is an account of the system, and the rule does not name it"
            )),
            false => Ok(format!(
                "{user} is a person, and the rule is about everyone"
            )),
        };
    }
    let is = |w: &&Who| match w {
        Who::User(u) => u == user || *u == caller.uid.to_string(),
        Who::Group(g) => caller.groups.contains(g),
        // Of a login nobody asks what process lets it in: the user does.
        Who::Unit(u) => !login && caller.units.contains(u),
    };
    let mut member = None;
    for w in rule.who.iter().filter(is) {
        match w {
            Who::Group(_) if system => member = Some(w),
            Who::User(_) => return Ok(format!("{user} is named by {w}")),
            Who::Group(_) => return Ok(format!("{user} is in {w}")),
            Who::Unit(_) => return Ok(format!("the process is in {w}")),
        }
    }
    Err(match member {
        Some(group) => format!(
            "{user} is in {group}, but is an account of the system, which only user:{user} would name"
        ),
        None => format!("{user} is not among {}", list(&rule.who)),
    })
}

/// The items, and how many there are beyond a few.
fn list<T: fmt::Display>(items: &[T]) -> String {
    const SHOWN: usize = 8;
    let mut text: Vec<String> = items.iter().take(SHOWN).map(T::to_string).collect();
    if items.len() > SHOWN {
        text.push(format!("{} more", items.len() - SHOWN));
    }
    text.join(", ")
}
