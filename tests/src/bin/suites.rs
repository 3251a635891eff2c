//! Runs test suites that others wrote as a machine and as a hostlet, and compares.
//!
//! ```text
//! suites [--logs DIR] [--set NAME] [--user NAME] [SUITE]…
//! ```
//! Without a name, all of them; with the addresses of the set `two` and as nobody, for which the
//! documents list what is known. The last line for each is
//! `SUITE: N tests, D differences, K known …`. Fails on differences that the documents do
//! not list, and on listed ones that are none.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::suites::{self, SUITES, Terms};
use hostlet_testkit::supervised::supervised;

fn main() -> ExitCode {
    supervised("suites", work)
}

fn work() -> ExitCode {
    match perform() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("suites: {why:#}");
            ExitCode::from(2)
        }
    }
}

fn perform() -> Result<bool> {
    let mut names = Vec::new();
    let mut logs: Option<PathBuf> = None;
    let (mut set, mut user) = (None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        if !arg.starts_with("--") {
            names.push(suites::find(&arg)?);
            continue;
        }
        let value = args
            .next()
            .with_context(|| format!("{arg} wants a value"))?;
        match arg.as_str() {
            "--logs" => logs = Some(value.into()),
            "--set" => set = Some(value),
            "--user" => user = Some(value),
            _ => bail!("unknown option {arg}"),
        }
    }
    if names.is_empty() {
        names.extend(SUITES);
    }
    let own = TestDir::new("suites")?;
    let logs = logs.unwrap_or_else(|| own.path().into());
    std::fs::create_dir_all(&logs).context("making the directory of logs")?;
    let usual = Terms::default();
    let known = match (&set, &user) {
        (None, None) => hostlet_tests::foreign::known()?,
        _ => Vec::new(),
    };
    let terms = Terms {
        set: set.as_deref().unwrap_or(usual.set),
        user: user.as_deref().unwrap_or(usual.user),
    };
    let mut holds = true;
    for suite in names {
        let verdict = suites::judge(suite, terms, &known, &logs)?;
        println!("{}", verdict.text(suite.name));
        holds &= verdict.holds();
    }
    Ok(holds)
}
