//! B1: processes that outlive their session.

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;

use crate::stage::{OFFICE, Stage, rule};

/// A program that stays when its session ends, and asks for a page whenever a file says
/// so. What it met lies in another file.
fn stay(stage: &Stage, dir: &str) -> String {
    let (url, _) = stage.page(false);
    let ask = crate::stage::fetch("curl", &url);
    format!(
        "mkdir -p {dir}; mkfifo {dir}/ask; setsid nohup sh -c 'while :; do read -r word < {dir}/ask || continue; \
         {}; echo $? > {dir}/new; mv {dir}/new {dir}/met; done' \
         >/dev/null 2>&1 & echo $! >{dir}/pid",
        ask.replace('\'', "\"")
    )
}

/// Has the program ask, and gives curl's exit status.
fn met(stage: &Stage, dir: &str) -> Result<i32> {
    let home = stage.people.home("alice").join(dir);
    let met = home.join("met");
    let _ = std::fs::remove_file(&met);
    // Opened for both, so that this does not wait for a reader that is gone.
    let mut ask = std::fs::File::options()
        .read(true)
        .write(true)
        .open(home.join("ask"))?;
    std::io::Write::write_all(&mut ask, b"ask\n")?;
    wait::until("what outlives its session to ask", || met.exists())?;
    let said = std::fs::read_to_string(&met)?;
    said.trim().parse().context(said)
}

/// Kills a process of this test's, which runs.
fn kill(pid: i32) -> Result<()> {
    // SAFETY: takes no pointers.
    let done = unsafe { libc::kill(pid, libc::SIGKILL) };
    ensure!(done == 0, "no process {pid}");
    Ok(())
}

fn end(stage: &Stage, dir: &str) -> Result<()> {
    let path = stage.people.home("alice").join(dir).join("pid");
    let pid: i32 = std::fs::read_to_string(path)?.trim().parse()?;
    kill(pid)
}

#[test]
fn they_keep_the_address_as_long_as_they_live() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    alice.run(&stay(&stage, "stay"))?;
    alice.end()?;
    wait::until("the session to be over", || {
        stage
            .session_of("alice")
            .is_ok_and(|s| s["state"] == "ended")
    })?;
    ensure!(met(&stage, "stay")? == 0, "it has no network");
    ensure!(stage.placed()?.contains(&own), "{own} is gone");
    // Another session of hers has another address meanwhile.
    let mut again = stage.login("alice")?;
    ensure!(stage.seen(&mut again, false)? != own, "{own} is held twice");
    again.end()?;
    end(&stage, "stay")?;
    stage.nothing_left()
}

#[test]
fn they_are_cut_off_after_as_long_as_the_rule_says() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "linger = \"2s\"")))?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    alice.run(&stay(&stage, "stay"))?;
    alice.end()?;
    ensure!(met(&stage, "stay")? == 0, "it has no network at once");
    wait::until("the address to be given back", || {
        stage.placed().is_ok_and(|p| !p.contains(&own))
    })?;
    // It lives, without a network: neither the old address nor the machine's.
    ensure!(met(&stage, "stay")? == 7, "it has a network");
    // Whoever comes may have the address.
    let mut bob = stage.login("bob")?;
    ensure!(stage.seen(&mut bob, false)? != machine(), "bob");
    bob.end()?;
    end(&stage, "stay")?;
    stage.nothing_left()
}

fn machine() -> std::net::IpAddr {
    crate::stage::ip("10.0.0.1")
}

#[test]
fn a_client_that_vanishes_ends_its_session() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    ensure!(stage.seen(&mut alice, false)? != machine(), "alice");
    alice.kill()?;
    stage.nothing_left()
}

#[test]
fn sshd_that_is_killed_leaves_no_session() -> Result<()> {
    let mut stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    ensure!(stage.seen(&mut alice, false)? != machine(), "alice");
    // The one process that would tell of the end: the parent of what runs in the session.
    let listed = stage.session_of("alice")?;
    let leader = listed["leader"].as_i64().context("no leader")?;
    let leader = i32::try_from(leader)?;
    kill(leader)?;
    drop(alice);
    stage.nothing_left()?;
    ensure!(stage.daemon()?.runs(), "hostletd has ended");
    Ok(())
}
