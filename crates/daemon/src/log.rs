//! What hostletd says, a line each on standard error. Under systemd with the journal's levels.

use std::collections::BTreeMap;
use std::fmt::Arguments;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

/// Whether standard error is the journal, which reads a level in front of each line.
fn journal() -> bool {
    static JOURNAL: OnceLock<bool> = OnceLock::new();
    *JOURNAL.get_or_init(|| std::env::var_os("JOURNAL_STREAM").is_some())
}

fn line(level: u8, word: &str, text: Arguments<'_>) {
    if journal() {
        eprintln!("<{level}>{text}");
    } else {
        eprintln!("hostletd: {word}{text}");
    }
}

/// What somebody has to see to.
pub(crate) fn warning(text: Arguments<'_>) {
    line(4, "warning: ", text);
}

/// What happened.
pub(crate) fn notice(text: Arguments<'_>) {
    line(5, "", text);
}

/// How long the same warning is not said again.
const AGAIN: Duration = Duration::from_secs(600);
/// How many different ones are remembered.
const KNOWN: usize = 256;

/// What would be said with each command of the engine, or each change of the network: here that is many times a second, and
/// once is enough for a while.
pub(crate) fn warn(text: &str) {
    static SAID: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());
    let mut said = SAID.lock().unwrap_or_else(PoisonError::into_inner);
    let now = Instant::now();
    said.retain(|_, at| now.duration_since(*at) < AGAIN);
    if said.contains_key(text) {
        return;
    }
    if said.len() < KNOWN {
        said.insert(text.to_owned(), now);
    }
    drop(said);
    warning(format_args!("{text}"));
}
