//! B13: who held which address, from when to when, for which program.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;
use jiff::Timestamp;
use serde_json::Value;

use crate::stage::{Stage, text};

const NOBODY: u32 = 65534;
const OFFICE: &str = "[pool.office]\ninterface = \"eth0\"\n\
    ranges = [\"10.0.0.100-10.0.0.109\"]\nprobe = \"off\"\nmay-use = [\"user:nobody\"]\n";

/// One stretch of time of the record, in the words of `--json`.
#[derive(Clone, Debug, PartialEq)]
struct Held {
    hostlet: String,
    address: String,
    user: String,
    uid: u64,
    program: String,
    from: Timestamp,
    to: Option<Timestamp>,
}

impl Held {
    fn of(row: &Value) -> Result<Held> {
        let to = match &row["to"] {
            Value::Null => None,
            at => Some(at.as_str().context("no text")?.parse()?),
        };
        Ok(Held {
            hostlet: text(row, "hostlet")?.to_owned(),
            address: text(row, "address")?.to_owned(),
            user: text(row, "user")?.to_owned(),
            uid: row["uid"].as_u64().context("uid")?,
            program: row["program"].to_string(),
            from: text(row, "from")?.parse()?,
            to,
        })
    }
}

fn history(stage: &Stage, args: &[&str]) -> Result<Vec<Held>> {
    let answer = stage
        .install
        .json(&stage.host, &[&["history"], args].concat())?;
    let rows = answer.as_array().context("no list")?;
    rows.iter().map(Held::of).collect()
}

/// The names of the hostlets of these rows, in their order.
fn names(stage: &Stage, args: &[&str]) -> Result<Vec<String>> {
    let rows = history(stage, args)?;
    Ok(rows.into_iter().map(|r| r.hostlet).collect())
}

fn one(stage: &Stage, hostlet: &str) -> Result<Held> {
    let mut rows = history(stage, &["--hostlet", hostlet])?;
    ensure!(rows.len() == 1, "{rows:?}");
    rows.pop().context("a row")
}

/// Waits until the hostlet's only stretch has an end.
fn ended(stage: &Stage, hostlet: &str) -> Result<Held> {
    wait::until(&format!("the end of {hostlet} in the record"), || {
        one(stage, hostlet).is_ok_and(|row| row.to.is_some())
    })?;
    one(stage, hostlet)
}

#[test]
fn the_record_says_who_held_what_and_when() -> Result<()> {
    let stage = Stage::new(OFFICE)?;
    let before = Timestamp::now();
    let mut brief = stage.hold_as(NOBODY, &["--pool", "office", "--name", "brief"])?;
    let shared = stage.seen(&mut brief, false)?.to_string();
    brief.finish()?;
    let first = ended(&stage, "brief")?;
    let between = Timestamp::now();
    wait::until("its address to be free", || {
        stage.held().is_ok_and(|held| held.is_empty())
    })?;

    // Its address, with another holder and another program.
    let wish = ["--pool", "office", "--request-address", &shared];
    let mut mine = stage.hold(&[&wish[..], &["--name", "mine"]].concat())?;
    let his = stage.hold_as(NOBODY, &["--pool", "office", "--name", "his"])?;
    let run = [&["run"], &["--pool", "office", "--name", "other"][..]].concat();
    let run = [&run[..], &["--", "sleep", "0"]].concat();
    ensure!(stage.output_as(NOBODY, &run)?.status.success());
    let other = ended(&stage, "other")?;
    let after = Timestamp::now();

    let all = history(&stage, &[])?;
    ensure!(all.len() == 4, "{all:?}");
    for row in &all {
        let (user, uid) = match row.hostlet.as_str() {
            "mine" => ("root", 0),
            _ => ("nobody", NOBODY.into()),
        };
        ensure!(row.user == user && row.uid == uid, "{row:?}");
        let program = match row.hostlet.as_str() {
            "other" => "[\"sleep\",\"0\"]",
            _ => "hostlet-probe",
        };
        ensure!(row.program.contains(program), "{row:?}");
        let held = ["mine", "his"].contains(&row.hostlet.as_str());
        ensure!(row.to.is_none() == held, "{row:?}");
        let to = row.to.unwrap_or(after);
        ensure!(
            before <= row.from && row.from <= to && to <= after,
            "{row:?}"
        );
    }
    ensure!(first.address == shared && first.to.is_some_and(|to| to <= between));
    ensure!(other.from >= between);

    // By whom, by address, by time, and by several at once.
    let (before, between) = (before.to_string(), between.to_string());
    ensure!(names(&stage, &["--user", "root"])? == ["mine"]);
    ensure!(names(&stage, &["--user", "0"])? == ["mine"]);
    ensure!(names(&stage, &["--user", "nobody"])? == ["brief", "his", "other"]);
    ensure!(names(&stage, &["--user", "daemon"])?.is_empty());
    ensure!(names(&stage, &["--address", &shared])? == ["brief", "mine"]);
    ensure!(names(&stage, &["--address", "10.0.0.99"])?.is_empty());
    ensure!(names(&stage, &["--since", &between])? == ["mine", "his", "other"]);
    ensure!(names(&stage, &["--until", &between])? == ["brief"]);
    ensure!(names(&stage, &["--until", &before])?.is_empty());
    let both = ["--address", &shared, "--since", &between];
    ensure!(names(&stage, &both)? == ["mine"]);
    let all_three = ["--user", "nobody", "--since", &before, "--until", &between];
    ensure!(names(&stage, &all_three)? == ["brief"]);

    let read = stage
        .install
        .run(&stage.host, &["history", "--address", &shared])?;
    for word in [shared.as_str(), "mine", "brief", "root", "nobody"] {
        ensure!(read.contains(word), "no {word}: {read}");
    }
    stage.seen(&mut mine, false)?;
    drop((mine, his));
    stage.nothing_left()?;
    ensure!(history(&stage, &[])?.iter().all(|row| row.to.is_some()));
    Ok(())
}

/// What is held has no end, and what ended while nobody was there gets one.
#[test]
fn the_record_outlives_a_killed_hostletd() -> Result<()> {
    let mut stage = Stage::new(OFFICE)?;
    let stays = stage.hold(&["--pool", "office", "--name", "stays"])?;
    let goes = stage.hold_as(NOBODY, &["--pool", "office", "--name", "goes"])?;
    let brief = stage.hold_as(NOBODY, &["--pool", "office", "--name", "brief"])?;
    brief.finish()?;
    ended(&stage, "brief")?;
    let before = history(&stage, &[])?;
    let killed = Timestamp::now();
    stage.daemon.take().context("hostletd")?.kill()?;
    ensure!(history(&stage, &[])? == before, "the record needs hostletd");
    goes.finish()?;
    stage.begin()?;
    let gone = ended(&stage, "goes")?;
    let again = Timestamp::now();
    ensure!(
        gone.to.is_some_and(|to| killed <= to && to <= again),
        "{gone:?}"
    );

    // Nothing else became of it.
    let mut after = history(&stage, &[])?;
    for row in after.iter_mut().filter(|row| row.hostlet == "goes") {
        row.to = None;
    }
    ensure!(after == before, "{before:?}\nbecame\n{after:?}");
    ensure!(one(&stage, "stays")?.to.is_none());

    // Killed once more, with nothing to make up for.
    stage.daemon.take().context("hostletd")?.kill()?;
    stage.begin()?;
    ensure!(one(&stage, "goes")? == gone);
    drop(stays);
    stage.nothing_left()?;
    ensure!(one(&stage, "stays")?.to.is_some_and(|to| again <= to));
    Ok(())
}
