//! Rules: who gets which hostlet at a login, and which programs are started in one.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Who;
use super::sessions::{PathError, program_path};
use crate::Name;

/// One `[[rule]]` (rows A13, B1, B2, B9). The first that fits a login, or the start of a program, decides it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rule {
    /// Its name, unique among the rules; shown wherever the rule decided.
    pub name: Name,
    /// Whom it is about; empty: every person, that is nobody of the system's own accounts.
    pub who: Vec<Who>,
    /// The PAM services whose logins it is about; empty: all. Never together with programs.
    pub services: Vec<String>,
    /// What gets a hostlet of its own.
    pub per: Per,
    /// The programs whose starts it is about; empty: it is about logins.
    pub programs: Vec<ProgramPattern>,
    /// Which hostlet that is; the machine exactly if `per` is none.
    pub target: Target,
    /// What becomes of the login, or the start, if there is no hostlet to be had.
    pub unavailable: Unavailable,
    /// How long processes that outlive the session keep its address after the logout, before they are cut off; none: as
    /// long as one of them lives.
    pub linger: Option<Duration>,
}

/// What gets a hostlet of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Per {
    /// Each login.
    Session,
    /// Each user: all logins that he has at a time share one.
    User,
    /// Each start of a listed program, with its children.
    Program,
    /// Nothing: the machine's address.
    None,
}

words!(
    Per,
    PerError,
    "choice for 'per'",
    Session = "session",
    User = "user",
    Program = "program",
    None = "none",
);

/// Where the hostlet of a rule comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", content = "of", rename_all = "kebab-case")]
pub enum Target {
    /// No hostlet: the machine's address.
    Machine,
    /// One that is made with an address from each of these pools; never empty.
    Pools(Vec<Name>),
    /// One that is there already and is joined.
    Hostlet(Name),
}

/// What becomes of a login, or of the start of a program, for which there is no hostlet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unavailable {
    /// It is refused, with a message.
    #[default]
    Strict,
    /// It goes on with nothing but a loopback of its own.
    CutOff,
    /// It goes on with the machine's address.
    FallBack,
}

words!(
    Unavailable,
    UnavailableError,
    "choice for 'unavailable'",
    Strict = "strict",
    CutOff = "cut-off",
    FallBack = "fall-back",
);

/// Programs that a rule lists: `/usr/bin/curl`, `/opt/app/*` or `*`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProgramPattern {
    /// The file of this absolute path.
    Path(String),
    /// Every file directly in this directory, whose path has no slash at the end unless it is `/` itself.
    Directory(String),
    /// Every program.
    All,
}

impl ProgramPattern {
    /// Is the program of this path, as the kernel names it, one of them?
    pub fn matches(&self, path: &str) -> bool {
        match self {
            ProgramPattern::Path(p) => p == path,
            ProgramPattern::Directory(d) => {
                let rest = match d.as_str() {
                    "/" => path.strip_prefix('/'),
                    d => path.strip_prefix(d).and_then(|r| r.strip_prefix('/')),
                };
                rest.is_some_and(|file| !file.is_empty() && !file.contains('/'))
            }
            ProgramPattern::All => true,
        }
    }
}

impl FromStr for ProgramPattern {
    type Err = PathError;

    fn from_str(s: &str) -> Result<Self, PathError> {
        match s.strip_suffix("/*") {
            _ if s == "*" => Ok(ProgramPattern::All),
            Some("") => Ok(ProgramPattern::Directory("/".into())),
            Some(dir) => Ok(ProgramPattern::Directory(program_path(dir)?.to_owned())),
            None => Ok(ProgramPattern::Path(program_path(s)?.to_owned())),
        }
    }
}

impl fmt::Display for ProgramPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ProgramPattern::Path(p) => f.write_str(p),
            ProgramPattern::Directory(d) => write!(f, "{}/*", d.trim_end_matches('/')),
            ProgramPattern::All => f.write_str("*"),
        }
    }
}

serde_as_text!(
    ProgramPattern,
    "an absolute path, /directory/* for the files of a directory, or *"
);
