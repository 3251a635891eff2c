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

/// Memory is taken from the kernel in one piece, for all threads, and not given back bit by bit: a command ends soon. What is not
/// written to stays the kernel's.
fn take_memory_at_once() {
    const PIECE: libc::c_int = 4 << 20;
    // SAFETY: numbers; nothing has been allocated by another thread.
    unsafe {
        libc::mallopt(libc::M_TOP_PAD, PIECE);
        libc::mallopt(libc::M_TRIM_THRESHOLD, 16 * PIECE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

fn main() -> ExitCode {
    take_memory_at_once();
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
