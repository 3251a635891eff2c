//! B1, B2: all logins of a user share one hostlet, while some come and others go.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;
use serde_json::json;

use super::asker::Asker;
use crate::stage::{LAB, OFFICE, Stage, ip, rule, within};

/// Each user of staff's has one address from the pool.
fn per_user(pool: &str, more: &str) -> String {
    rule(pool, more).replace("\"session\"", "\"user\"")
}

/// The numbers of the sessions that are open.
fn open(stage: &Stage) -> Result<Vec<u64>> {
    let all = stage.sessions()?;
    let open = all.iter().filter(|s| s["state"] == "open");
    Ok(open.filter_map(|s| s["number"].as_u64()).collect())
}

/// B1, B2. Otherwise a login would be refused, though nothing is wrong, because another one of the same user ended that moment.
#[test]
fn whoever_is_about_to_come_in_finds_the_hostlet_there() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", per_user("office", "")))?;
    let (mut first, given) = Asker::logged_in(&stage, "alice", "sshd")?;
    let own = first.seen()?.context("no network")?;
    let mut all = Vec::new();
    for _ in 0..4 {
        let mut asker = Asker::new(&stage)?;
        let also = asker.login("alice", "sshd")?;
        ensure!(also["name"] == given["name"], "{also}");
        all.push((asker, also));
    }
    // One does not come at all.
    all.remove(1).0.think_again()?;
    first.end()?;
    let mut ended = given["session"].as_u64();
    // In an order of their own; of those that came none is left when the next one does.
    for at in [2, 0, 0] {
        wait::until("the session before to be over", || {
            open(&stage).is_ok_and(|open| open.iter().all(|n| Some(*n) != ended))
        })?;
        let (mut asker, given) = all.remove(at);
        asker.join(&given)?;
        ensure!(asker.seen()? == Some(own), "{:?}, not {own}", asker.seen()?);
        asker.end()?;
        ended = given["session"].as_u64();
    }
    stage.nothing_left()
}

/// B1, B2. The same at moments that nobody chose.
#[test]
fn logins_of_a_user_come_and_go_all_the_time() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", per_user("office", "")))?;
    let mut all = Vec::new();
    for _ in 0..3 {
        let mut asker = Asker::new(&stage)?;
        asker.begin(&json!(["often", "alice", 40]))?;
        all.push(asker);
    }
    for mut asker in all {
        let said = asker.result()?;
        ensure!(said == json!({ "wrong": [] }), "{said}");
    }
    stage.nothing_left()
}

/// B1, B2. Otherwise what outlives a session would lose its address before the rule says so, because an earlier session ended before.
#[test]
fn what_outlives_has_the_whole_time_from_the_last_logout() -> Result<()> {
    let linger = Duration::from_secs(4);
    let config = per_user("office", "linger = \"4s\"");
    let stage = Stage::new(&format!("{OFFICE}{config}"))?;
    let mut other = Asker::new(&stage)?;
    let (mut stays, given) = Asker::logged_in(&stage, "alice", "sshd")?;
    let own = stays.seen()?.context("no network")?;
    stays.does(&json!(["outlive"]))?;
    other.logout(&given)?;
    wait::pass(linger / 2);
    let (second, given) = Asker::logged_in(&stage, "alice", "sshd")?;
    let begin = Instant::now();
    other.logout(&given)?;
    second.end()?;
    wait::until("the address to be given back", || {
        stage.placed().is_ok_and(|placed| !placed.contains(&own))
    })?;
    let after = begin.elapsed();
    ensure!(stays.seen()?.is_none(), "it has {:?}", stays.seen()?);
    // Two clocks need not agree to the millisecond.
    ensure!(
        after + Duration::from_millis(100) > linger,
        "cut off {after:?} after the last logout"
    );
    drop(stays);
    stage.nothing_left()
}

/// B1, B2. Otherwise the last of many logins would be told long after all deadlines that there is no address.
#[test]
fn a_silent_server_is_asked_once_for_all_that_wait() -> Result<()> {
    let deadline = "[sessions]\ndeadline = \"4s\"\n";
    let mut stage = Stage::with_server(&format!("{deadline}{LAB}{}", per_user("lab", "")))?;
    stage.server()?.freeze()?;
    let mut all = Vec::new();
    for _ in 0..16 {
        all.push(Asker::new(&stage)?);
    }
    let begin = Instant::now();
    for asker in &mut all {
        let who = json!({ "user": "alice", "service": "sshd" });
        asker.begin(&json!(["ask", "Login", who]))?;
    }
    for asker in &mut all {
        let refused = asker.result()?;
        ensure!(refused["error"] == "io.hostlet.NoAddress", "{refused}");
    }
    // One after the other they would wait for 48 s.
    let took = begin.elapsed();
    ensure!(took < Duration::from_secs(24), "told after {took:?}");
    stage.server()?.thaw()?;
    drop(all);
    stage.nothing_left()?;
    let (mut alice, _) = Asker::logged_in(&stage, "alice", "sshd")?;
    let own = alice.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.100", "10.0.0.199"), "{own} is no lease");
    alice.end()?;
    stage.nothing_left()
}

/// B1, B2. Otherwise a user who was cut off once would be cut off at each login after a restart of hostletd, with addresses there for him.
#[test]
fn a_cut_off_login_shares_with_nobody_after_a_restart() -> Result<()> {
    let tiny = OFFICE.replace(
        "\"10.0.0.50-10.0.0.99\", \"2001:db8::50-2001:db8::99\"",
        "\"10.0.0.50-10.0.0.50\"",
    );
    let config = per_user("office", "unavailable = \"cut-off\"");
    let mut stage = Stage::new(&format!("{tiny}{config}"))?;
    let (bob, _) = Asker::logged_in(&stage, "bob", "sshd")?;
    let (mut first, given) = Asker::logged_in(&stage, "alice", "sshd")?;
    ensure!(given["addresses"] == json!([]), "{given}");
    ensure!(first.seen()?.is_none(), "cut off with {:?}", first.seen()?);
    bob.end()?;
    wait::until("bob's address to be free", || {
        stage.leases().is_ok_and(|leases| leases.is_empty())
    })?;
    stage.daemon.take().context("hostletd")?.stop()?;
    stage.begin()?;
    let (mut second, given) = Asker::logged_in(&stage, "alice", "sshd")?;
    ensure!(given["addresses"] == json!(["10.0.0.50"]), "{given}");
    ensure!(
        second.seen()? == Some(ip("10.0.0.50")),
        "{:?}",
        second.seen()?
    );
    ensure!(first.seen()?.is_none(), "it has {:?}", first.seen()?);
    drop((first, second));
    stage.nothing_left()
}
