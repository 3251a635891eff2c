//! What holds for every session and every program that a rule confines: `[sessions]`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What holds for all hostlets that rules make: `[sessions]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sessions {
    /// Programs that keep the machine's address inside those hostlets (row B8).
    pub exclude: Vec<Exclude>,
    /// The longest that a login, or the start of a program, waits for its address.
    pub deadline: Duration,
    /// The order of addresses of the machine's own name in a session (row B12).
    pub own_name: OwnName,
}

impl Sessions {
    /// The value of [`Sessions::deadline`] when nothing is said.
    pub const DEADLINE: Duration = Duration::from_secs(10);
}

impl Default for Sessions {
    fn default() -> Self {
        Sessions {
            exclude: Vec::new(),
            deadline: Self::DEADLINE,
            own_name: OwnName::default(),
        }
    }
}

/// A program that keeps the machine's address (row B8): by its path, by the SHA-256 of its file, or by both together.
///
/// Written `/usr/bin/Xorg`, `sha256:HEX`, or `/usr/bin/Xorg sha256:HEX`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Exclude {
    /// The absolute path of the program; none: wherever it lies. Never none together with [`Exclude::sha256`].
    pub path: Option<String>,
    /// The SHA-256 of the program's file; none: whatever is in it.
    pub sha256: Option<[u8; 32]>,
}

/// Why a text names no program that is excluded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum ExcludeError {
    #[error(
        "'{given}' names no program: write its path, sha256:HEX, or both with a space between them"
    )]
    Malformed { given: String },
    #[error("'{given}' is no SHA-256: write 64 hexadecimal digits, as sha256sum prints them")]
    Digest { given: String },
    #[error("'{given}' is no checksum that is understood: write sha256: and what sha256sum prints")]
    Checksum { given: String },
    #[error(transparent)]
    Path(#[from] PathError),
}

const DIGEST: &str = "sha256:";

impl FromStr for Exclude {
    type Err = ExcludeError;

    fn from_str(s: &str) -> Result<Self, ExcludeError> {
        // A path may have spaces in it; the digest, which has none, comes last.
        let (path, digest) = match s.strip_prefix(DIGEST) {
            Some(digest) => (None, Some(digest)),
            None => match s.rsplit_once(&format!(" {DIGEST}")) {
                Some((path, digest)) => (Some(path.trim_end()), Some(digest)),
                None => (Some(s), None),
            },
        };
        if path.is_some_and(|p| !p.starts_with('/')) {
            return Err(ExcludeError::Malformed {
                given: s.to_owned(),
            });
        }
        // A checksum of another kind would be taken for a part of the path, and exclude nothing.
        let other = |word: &&str| word.contains(':') && !word.contains('/');
        if let Some(word) = path.and_then(|p| p.split_whitespace().skip(1).find(other)) {
            return Err(ExcludeError::Checksum {
                given: word.to_owned(),
            });
        }
        Ok(Exclude {
            path: path.map(program_path).transpose()?.map(str::to_owned),
            sha256: digest.map(sha256).transpose()?,
        })
    }
}

impl fmt::Display for Exclude {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            f.write_str(path)?;
        }
        if let Some(digest) = &self.sha256 {
            let space = if self.path.is_some() { " " } else { "" };
            write!(f, "{space}{DIGEST}")?;
            for byte in digest {
                write!(f, "{byte:02x}")?;
            }
        }
        Ok(())
    }
}

serde_as_text!(Exclude, "a program's path, sha256:HEX, or both");

fn sha256(s: &str) -> Result<[u8; 32], ExcludeError> {
    let fail = || ExcludeError::Digest {
        given: s.to_owned(),
    };
    if s.len() != 64 || !s.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(fail());
    }
    let mut out = [0; 32];
    for (i, byte) in out.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&s[2 * i..2 * i + 2], 16).map_err(|_| fail())?;
    }
    Ok(out)
}

/// Why a text is no path of a program.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum PathError {
    #[error("'{given}' is no absolute path: begin it with /")]
    Relative { given: String },
    #[error(
        "'{given}' is not how the kernel names a file: leave out '.', '..', double and final slashes, and control characters"
    )]
    NotPlain { given: String },
    #[error(
        "'{given}': only /directory/* for the files of a directory and * for every program are understood, no other patterns"
    )]
    Pattern { given: String },
}

/// A path in the form in which the kernel tells it, so that it can be compared as text.
pub(super) fn program_path(s: &str) -> Result<&str, PathError> {
    let given = || s.to_owned();
    let Some(rest) = s.strip_prefix('/') else {
        return Err(PathError::Relative { given: given() });
    };
    if rest.contains('*') {
        return Err(PathError::Pattern { given: given() });
    }
    let plain = |part: &str| !matches!(part, "" | "." | "..") && !part.contains(char::is_control);
    if !rest.split('/').all(plain) || s.len() >= 4096 {
        return Err(PathError::NotPlain { given: given() });
    }
    Ok(s)
}

/// Which address of the machine's own name comes first, inside a session (row B12).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OwnName {
    /// The session's addresses, then the machine's.
    #[default]
    SessionFirst,
    /// The machine's, then the session's.
    MachineFirst,
}

words!(
    OwnName,
    OwnNameError,
    "order of addresses",
    SessionFirst = "session-first",
    MachineFirst = "machine-first",
);
