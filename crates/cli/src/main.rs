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

fn main() -> ExitCode {
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
