//! Users, groups and units in access rules.

use std::fmt;
use std::str::FromStr;

/// Someone in an access rule: `user:alice`, `group:ops`, `unit:web.service`. A number stands for an id of a user or group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A user by name or id.
    User(String),
    /// Everyone in a group, by name or id.
    Group(String),
    /// Every process of a systemd unit, by the unit's whole name: `web.service`.
    Unit(String),
}

/// A text that names neither a user nor a group nor a unit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names nobody: write user:NAME, group:NAME or unit:NAME.service")]
pub struct WhoError(pub String);

impl FromStr for Who {
    type Err = WhoError;

    fn from_str(s: &str) -> Result<Self, WhoError> {
        let fail = || WhoError(s.to_owned());
        let (kind, name) = s.split_once(':').ok_or_else(fail)?;
        if kind == "unit" {
            return match unit_name(name) {
                true => Ok(Who::Unit(name.to_owned())),
                false => Err(fail()),
            };
        }
        if name.is_empty() || name.contains([':', '/', '\n', '\0']) || name.trim() != name {
            return Err(fail());
        }
        match kind {
            "user" => Ok(Who::User(name.to_owned())),
            "group" => Ok(Who::Group(name.to_owned())),
            _ => Err(fail()),
        }
    }
}

/// The kinds of units that have processes.
const WITH_PROCESSES: &[&str] = &["service", "scope", "slice", "socket", "mount", "swap"];

/// Is this the whole name of a unit that has processes, as systemd allows it?
fn unit_name(s: &str) -> bool {
    let Some((stem, kind)) = s.rsplit_once('.') else {
        return false;
    };
    !stem.is_empty()
        && s.len() < 256
        && WITH_PROCESSES.contains(&kind)
        && s.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b":-_.\\@".contains(&b))
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(n) => write!(f, "user:{n}"),
            Who::Group(n) => write!(f, "group:{n}"),
            Who::Unit(n) => write!(f, "unit:{n}"),
        }
    }
}

serde_as_text!(Who, "user:NAME, group:NAME or unit:NAME");
