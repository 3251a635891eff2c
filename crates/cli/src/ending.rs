//! How the command ends: exit codes, and what is said on the way.

use std::ffi::OsString;
use std::io;
use std::process::ExitCode;

use clap::error::ErrorKind;
use hostlet_engine::{Ending, end_like};

use crate::table::printable;

/// Something failed or was refused.
const FAILED: u8 = 1;
/// The command line was wrong.
const USAGE: u8 = 2;
/// `check` found sockets outside policy.
const FOUND: u8 = 3;
/// hostlet itself failed, where the other codes are the program's (as `env` and `timeout` do it).
const FAILED_TO_RUN: u8 = 125;

/// How a verb ended that did not fail.
#[derive(Debug)]
pub enum End {
    /// Done.
    Done,
    /// Something needed is missing (`doctor`).
    Missing,
    /// `check` found something.
    Found,
    /// As the program ended.
    Program(Ending),
}

impl End {
    /// The exit code; ends by the program's signal if that ended by one.
    pub fn code(self) -> ExitCode {
        match self {
            End::Done => ExitCode::SUCCESS,
            End::Missing => ExitCode::from(FAILED),
            End::Found => ExitCode::from(FOUND),
            // Nothing is left to be undone: the engine has cleaned up.
            End::Program(ending) => end_like(ending),
        }
    }
}

/// Says what failed. A reader that went away (`hostlet list | head -1`) is no failure.
pub fn failed(error: &anyhow::Error, runs_a_program: bool) -> ExitCode {
    let gone = error.chain().any(|cause| {
        cause
            .downcast_ref::<io::Error>()
            .is_some_and(|e| e.kind() == io::ErrorKind::BrokenPipe)
    });
    if gone {
        return ExitCode::SUCCESS;
    }
    let own = error.downcast_ref::<hostlet_engine::Error>();
    let hostletd = error.downcast_ref::<hostlet_wire::ClientError>();
    match (own, hostletd) {
        // Their texts have their causes in them.
        (Some(own), _) => eprintln!("hostlet: {own}"),
        (_, Some(hostletd)) => eprintln!("hostlet: {}", lines_of_text(&hostletd.to_string())),
        (None, None) => eprintln!("hostlet: {error:#}"),
    }
    match own {
        Some(own) if runs_a_program => ExitCode::from(own.run_exit_code()),
        _ if runs_a_program => ExitCode::from(FAILED_TO_RUN),
        _ => ExitCode::from(FAILED),
    }
}

/// What came over a socket may have several lines, and must not steer the terminal.
fn lines_of_text(text: &str) -> String {
    let lines: Vec<String> = text.lines().map(printable).collect();
    lines.join("\n")
}

/// Prints clap's answer; help and version are no failures.
pub fn wrong_usage(error: &clap::Error) -> ExitCode {
    // Nothing can be done if the terminal is gone.
    let _ = error.print();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => ExitCode::SUCCESS,
        _ if asked_to_run(std::env::args_os().skip(1)) => ExitCode::from(FAILED_TO_RUN),
        _ => ExitCode::from(USAGE),
    }
}

/// Whether the verb on a command line that could not be parsed is one that runs a program.
fn asked_to_run(words: impl Iterator<Item = OsString>) -> bool {
    let mut words = words.map(|word| word.to_string_lossy().into_owned());
    while let Some(word) = words.next() {
        match word.as_str() {
            "--root" => {
                words.next();
            }
            option if option.starts_with('-') => {}
            verb => return matches!(verb, "run" | "enter" | "start"),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(line: &str) -> bool {
        asked_to_run(line.split(' ').map(OsString::from))
    }

    #[test]
    fn the_verb_decides_what_wrong_usage_is() {
        assert!(asked("--root /tmp/x run --adress"));
        assert!(asked("--root=/tmp/x enter"));
        assert!(!asked("create run"));
        assert!(!asked("--root run"));
    }
}
