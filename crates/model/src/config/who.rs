//! Users and groups in access rules.

use std::fmt;
use std::str::FromStr;

/// Someone in an access rule: `user:alice`, `group:ops`. A number stands for an id.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Who {
    /// A user by name or id.
    User(String),
    /// Everyone in a group, by name or id.
    Group(String),
}

/// A text that names neither a user nor a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' names nobody: write user:NAME or group:NAME")]
pub struct WhoError(pub String);

impl FromStr for Who {
    type Err = WhoError;

    fn from_str(s: &str) -> Result<Self, WhoError> {
        let fail = || WhoError(s.to_owned());
        let (kind, name) = s.split_once(':').ok_or_else(fail)?;
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

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Who::User(n) => write!(f, "user:{n}"),
            Who::Group(n) => write!(f, "group:{n}"),
        }
    }
}

serde_as_text!(Who, "user:NAME or group:NAME");
