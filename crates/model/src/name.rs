//! Names of hostlets and pools.

use std::fmt;
use std::str::FromStr;

/// The name of a hostlet or a pool: 1 to 63 characters of `a-z`, `0-9` and `-`, not starting with `-`.
///
/// The alphabet is that of a DNS label in lower case, so that a name is a file name, a cgroup name and a host name without escaping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Why a text is no name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// Nothing at all.
    #[error("the name is empty: give 1 to 63 characters of a-z, 0-9 and '-'")]
    Empty,
    /// More than [`Name::MAX`] characters.
    #[error("the name '{name}' has {length} characters, at most 63 are allowed: shorten it")]
    TooLong {
        /// The text as given, cut if it is very long.
        name: String,
        /// Its length in characters.
        length: usize,
    },
    /// A character outside the alphabet.
    #[error("the name '{name}' contains {bad:?}: only a-z, 0-9 and '-' are allowed")]
    BadCharacter {
        /// The text as given.
        name: String,
        /// The first offending character.
        bad: char,
    },
    /// A dash in front would read as an option.
    #[error("the name '{name}' starts with '-': start it with a letter or a digit")]
    LeadingDash {
        /// The text as given.
        name: String,
    },
}

impl Name {
    /// The greatest length of a name.
    pub const MAX: usize = 63;

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(s: &str) -> Result<Self, NameError> {
        if s.is_empty() {
            return Err(NameError::Empty);
        }
        let length = s.chars().count();
        if length > Name::MAX {
            // An error is printed on one line; a megabyte of name is not.
            let mut name: String = s.chars().take(80).collect();
            if name.len() < s.len() {
                name.push('…');
            }
            return Err(NameError::TooLong { name, length });
        }
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if let Some(bad) = s.chars().find(|c| !fine(*c)) {
            return Err(NameError::BadCharacter {
                name: s.to_owned(),
                bad,
            });
        }
        if s.starts_with('-') {
            return Err(NameError::LeadingDash { name: s.to_owned() });
        }
        Ok(Name(s.to_owned()))
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

serde_as_text!(Name, "a hostlet's name");
