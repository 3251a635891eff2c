//! The `hostlet` command: reads the command line, asks the engine, prints.

mod args;
mod docs;
mod ending;
mod explain;
mod lent;
mod print;
mod rules;
mod table;
mod verbs;
mod when;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;

/// Memory is asked for in few and large pieces, and stays: a command lives for milliseconds, and each page that was given back and
/// is asked for again is cleared again.
fn memory() {
    const MUCH: libc::c_int = 64 << 20;
    // SAFETY: there are no other threads yet. Where it is refused, everything is as without.
    unsafe {
        libc::mallopt(libc::M_TRIM_THRESHOLD, MUCH);
        libc::mallopt(libc::M_TOP_PAD, 512 << 10);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

fn main() -> ExitCode {
    memory();
    let cli = match Cli::try_parse().and_then(|cli| cli.verb.complete().map(|()| cli)) {
        Ok(cli) => cli,
        Err(error) => return ending::wrong_usage(&error),
    };
    let runs_a_program = cli.verb.runs_a_program();
    match verbs::perform(cli) {
        Ok(end) => end.code(),
        Err(error) => ending::failed(&error, runs_a_program),
    }
}
