//! What is wrong with a configuration, and where.

use std::fmt;

use toml::de::DeTable;

use crate::Name;

/// A configuration that cannot be used, with everything that is wrong with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file, as named by the caller.
    pub file: String,
    /// What is wrong, in the order of the file; never empty.
    pub problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What is wrong and what would be right.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, p) in self.problems.iter().enumerate() {
            if i > 0 {
                writeln!(f)?;
            }
            write!(f, "{}:{}:{}: {}", self.file, p.line, p.column, p.message)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigError {}

/// Where a text declares a hostlet: the line and the column of its name, both from 1.
#[must_use]
pub fn place_of(text: &str, hostlet: &Name) -> Option<(usize, usize)> {
    let tree = DeTable::parse(text).ok()?;
    let hostlets = tree.get_ref().get("hostlet")?.get_ref().as_table()?;
    let (name, _) = hostlets.get_key_value(hostlet.as_str())?;
    Some(position(text, name.span().start))
}

/// A file that is no text from this byte on.
pub(super) fn not_utf8(bytes: &[u8], offset: usize, file: &str) -> ConfigError {
    let (before, rest) = bytes.split_at(offset);
    let before = String::from_utf8_lossy(before);
    let (line, column) = position(&before, before.len());
    let byte = rest.first().copied().unwrap_or_default();
    ConfigError {
        file: file.to_owned(),
        problems: vec![Problem {
            line,
            column,
            message: format!(
                "this is not UTF-8 (byte 0x{byte:02x}): save the file in that encoding; 'iconv -f latin1 -t utf-8' makes it of Latin-1"
            ),
        }],
    }
}

/// Line and column of a byte offset.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let start = before.rfind('\n').map_or(0, |i| i + 1);
    (line, before[start..].chars().count() + 1)
}

/// "(did you mean 'x'?)" for a key near one of the allowed, and the list of those.
pub(super) fn unknown(what: &str, given: &str, allowed: &[&str]) -> String {
    let near = allowed
        .iter()
        .map(|a| (distance(given, a), *a))
        .filter(|(d, a)| *d <= 1 + a.len() / 4)
        .min();
    let hint = match near {
        Some((_, a)) => format!(" (did you mean '{a}'?)"),
        None => String::new(),
    };
    let known = if allowed.len() == 1 { "is" } else { "are" };
    format!(
        "unknown {what} '{given}'{hint}; known {known} {}",
        allowed.join(", ")
    )
}

/// Edit distance; the strings are short keys.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut left_up = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let best = (left_up + usize::from(ca != *cb))
                .min(row[j] + 1)
                .min(row[j + 1] + 1);
            left_up = row[j + 1];
            row[j + 1] = best;
        }
    }
    row[b.len()]
}
