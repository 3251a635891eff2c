//! A13, B2, B8: programs in a session that a rule names have an address of their own, and
//! those that are excluded have the machine's.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::stage::{OFFICE, Stage, ip, rule, within};

#[test]
fn a_listed_program_has_its_own_and_an_excluded_one_the_machines() -> Result<()> {
    let mut stage = Stage::bare()?;
    let (listed, excluded, by_sum) = (
        stage.curl("listed")?,
        stage.curl("out")?,
        stage.curl("sum")?,
    );
    // The same but for a byte at its end, so that its sum is its own.
    let file = std::fs::File::options().append(true).open(&by_sum)?;
    std::io::Write::write_all(&mut &file, b"x")?;
    drop(file);
    let sum = Command::new("sha256sum").arg(&by_sum).output()?;
    let sum = String::from_utf8(sum.stdout)?;
    let sum = sum.split(' ').next().context("no sum")?.to_owned();
    let (listed, excluded) = (listed.display().to_string(), excluded.display().to_string());
    let programs = format!(
        "[[rule]]\nname = \"tools\"\nwho = [\"group:staff\"]\nper = \"program\"\n\
         programs = [\"{listed}\"]\npools = [\"office\"]\n"
    );
    stage.configure(&format!(
        "[sessions]\nexclude = [\"{excluded}\", \"sha256:{sum}\"]\n{OFFICE}{}{programs}",
        rule("office", "")
    ))?;
    stage.begin()?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    let tool = stage.seen_by(&mut alice, &listed, false)?;
    ensure!(
        within(tool, "10.0.0.50", "10.0.0.99") && tool != own,
        "{tool}, the session {own}"
    );
    for (curl, v6, wanted) in [
        (&excluded, false, ip("10.0.0.1")),
        (&excluded, true, ip("2001:db8::1")),
        (&by_sum.display().to_string(), false, ip("10.0.0.1")),
    ] {
        let seen = stage.seen_by(&mut alice, curl, v6)?;
        ensure!(seen == wanted, "{curl} is seen as {seen}");
    }
    ensure!(
        stage.seen(&mut alice, false)? == own,
        "the session's own address"
    );
    // Who is in no session, but named by the rule.
    let mut carol = stage.login("carol")?;
    let seen = stage.seen_by(&mut carol, &listed, false)?;
    ensure!(seen == ip("10.0.0.1"), "carol's is seen as {seen}");
    alice.end()?;
    carol.end()?;
    stage.nothing_left()
}
