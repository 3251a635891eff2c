//! B1: hostletd is killed while people come, are there, and go.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;

use crate::stage::{LAB, OFFICE, Stage, rule, within};

#[test]
fn sessions_live_on_without_hostletd_and_end_without_it() -> Result<()> {
    let mut stage = Stage::with_server(&format!("{LAB}{}", rule("lab", "")))?;
    let mut all = stage.login_all(&["alice", "bob", "alice"])?;
    let before = stage.seen(&mut all[0], false)?;
    let listed = stage.sessions()?.len();
    ensure!(listed == 3, "{:?}", stage.sessions()?);
    stage.kill()?;
    ensure!(stage.seen(&mut all[0], false)? == before, "another address");
    // One goes while there is nobody to tell.
    let begin = Instant::now();
    all.remove(1).end()?;
    ensure!(
        begin.elapsed().as_secs() < 20,
        "logging out took {:?}",
        begin.elapsed()
    );
    stage.begin()?;
    wait::until("bob's leases to be released", || {
        stage
            .server
            .as_ref()
            .is_some_and(|s| s.leases().is_ok_and(|l| l.len() == 4))
    })?;
    // The others are known as before.
    ensure!(stage.seen(&mut all[0], false)? == before, "another address");
    let open = stage.sessions()?;
    let alice = |s: &serde_json::Value| s["user"] == "alice" && s["state"] == "open";
    ensure!(open.len() == 2 && open.iter().all(alice), "{open:?}");
    for session in all {
        session.end()?;
    }
    stage.nothing_left()
}

#[test]
fn a_login_during_which_hostletd_dies_is_refused_and_leaves_nothing() -> Result<()> {
    let mut stage = Stage::with_server(&format!("{LAB}{}", rule("lab", "")))?;
    // Somebody waits for an address.
    stage.server()?.freeze()?;
    let mut ssh = stage.ssh("alice");
    ssh.arg("echo in").stdin(std::process::Stdio::null());
    ssh.stdout(std::process::Stdio::piped());
    let asking = ssh.spawn()?;
    let log = stage.host.try_clone()?;
    wait::until("the login to wait for an address", || {
        // It has a connection to hostletd, beside none that is ours.
        let socket = stage.install.root().join("run/hostletd.sock");
        let open = log
            .run("ss", &["-Hxn", "state", "established"])
            .unwrap_or_default();
        open.contains(&*socket.to_string_lossy())
    })?;
    let begin = Instant::now();
    stage.kill()?;
    let done = asking.wait_with_output()?;
    ensure!(
        begin.elapsed().as_secs() < 20,
        "told after {:?}",
        begin.elapsed()
    );
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        !done.status.success() && !said.contains("in\n"),
        "let in: {said}"
    );
    stage.server()?.thaw()?;
    stage.begin()?;
    stage.nothing_left()?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    ensure!(within(own, "10.0.0.100", "10.0.0.199"), "{own} is no lease");
    Ok(())
}

#[test]
fn killed_again_and_again_while_people_come_and_go() -> Result<()> {
    let sessions = "[sessions]\ndeadline = \"4s\"\n";
    let mut stage = Stage::new(&format!("{sessions}{OFFICE}{}", rule("office", "")))?;
    for round in 0..5 {
        let people = ["alice", "bob", "alice", "bob"];
        let clients = people.map(|person| {
            let mut ssh = stage.ssh(person);
            ssh.arg(format!("sleep 0.{round}; echo $HOSTLET_ADDRESS"));
            ssh.stdin(std::process::Stdio::null())
                .stdout(std::process::Stdio::piped());
            ssh.stderr(std::process::Stdio::null()).spawn()
        });
        // At a moment that differs: as soon as so many of them are in.
        let known = stage.people.log().len();
        let _ = stage.people.log().wait_from(
            known,
            "no such line",
            std::time::Duration::from_millis(100 * (round + 1)),
        );
        stage.kill()?;
        stage.begin()?;
        for client in clients {
            let done = client?.wait_with_output()?;
            let said = String::from_utf8_lossy(&done.stdout).into_owned();
            // In with an address, or out: never in without.
            let address = said.split_whitespace().next().and_then(|w| w.parse().ok());
            let own = address.is_some_and(|a| within(a, "10.0.0.50", "10.0.0.99"));
            ensure!(
                own || !done.status.success(),
                "round {round}: in with: {said}"
            );
        }
    }
    stage.nothing_left().context("after all of them")
}
