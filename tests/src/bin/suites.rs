//! Runs test suites that others wrote as a machine and as a hostlet, and compares.
//!
//! ```text
//! suites [--logs DIR] [SUITE]…
//! ```
//! Without a name, all of them. The last line for each is
//! `SUITE: N tests, D differences, K known …`. Fails on differences that the documents do
//! not list, and on listed ones that are none.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::suites::{self, SUITES};

fn main() -> ExitCode {
    match perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("suites: {why:#}");
            ExitCode::FAILURE
        }
    }
}

fn perform() -> Result<bool> {
    let mut names = Vec::new();
    let mut logs: Option<PathBuf> = None;
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if arg == "--logs" {
            let dir: PathBuf = args.next().context("--logs wants a directory")?.into();
            std::fs::create_dir_all(&dir).context("making the directory of logs")?;
            logs = Some(dir);
        } else {
            names.push(suites::find(&arg)?);
        }
    }
    if names.is_empty() {
        names.extend(SUITES);
    }
    let own = TestDir::new("suites")?;
    let logs = logs.unwrap_or_else(|| own.path().into());
    let known = hostlet_tests::foreign::known()?;
    let mut holds = true;
    for suite in names {
        let verdict = suites::judge(suite, &known, &logs)?;
        println!("{}", verdict.text(suite.name));
        holds &= verdict.holds();
    }
    Ok(holds)
}
