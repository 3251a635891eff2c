//! What hostletd says, a line each on standard error. Under systemd with the journal's levels.

use std::fmt::Arguments;
use std::sync::OnceLock;

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

/// For the engine, which takes a plain function.
pub(crate) fn warn(text: &str) {
    warning(format_args!("{text}"));
}
