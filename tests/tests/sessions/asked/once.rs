//! A14, B1, B3: hostlets that no rule made, and a hostletd that dies between two questions.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;
use serde_json::json;

use super::asker::Asker;
use crate::stage::{OFFICE, Stage, ip, rule, within};

/// bob's logins join a hostlet that is there; alice may use the pool, and has a rule.
const WEB: &str =
    "[[rule]]\nname = \"web\"\nwho = [\"user:bob\"]\nper = \"session\"\nhostlet = \"web\"\n";

fn create_web(stage: &Stage) -> Result<()> {
    let args = [
        "create",
        "web",
        "--address",
        "10.0.0.30/24",
        "--assign",
        "eth0",
    ];
    stage.install.run(&stage.host, &args).map(drop)
}

/// A14, B1. Otherwise whoever is confined to a hostlet could leave it as soon as somebody else's session is in it.
#[test]
fn nobody_leaves_a_hostlet_because_a_session_joined_it() -> Result<()> {
    let office = format!("{OFFICE}may-use = [\"user:alice\"]\n");
    let stage = Stage::new(&format!("{office}{WEB}{}", rule("office", "")))?;
    create_web(&stage)?;
    let confine = |asker: &Asker| {
        let pid = asker.pid().to_string();
        stage
            .install
            .run(&stage.host, &["attach", "web", "--pid", &pid])
    };
    let (mut root, mut alice) = (Asker::new(&stage)?, Asker::new(&stage)?);
    confine(&root)?;
    confine(&alice)?;
    alice.does(&json!(["become", 1001]))?;
    let (mut bob, given) = Asker::logged_in(&stage, "bob", "sshd")?;
    ensure!(given["name"] == "web", "{given}");
    let stays = root.ask("Login", &json!({ "user": "alice", "service": "sshd" }))?;
    ensure!(stays["decision"] == "stays", "{stays}");
    let denied = alice.ask("Open", &json!({ "pools": ["office"] }))?;
    ensure!(denied["error"] == "io.hostlet.NotAllowed", "{denied}");
    // It goes on without the session.
    bob.logout(&given)?;
    bob.end()?;
    for asker in [&mut root, &mut alice] {
        let address = asker.seen()?;
        ensure!(address == Some(ip("10.0.0.30")), "{address:?}");
    }
    ensure!(stage.sessions()?.is_empty(), "{:?}", stage.sessions()?);
    drop((root, alice));
    stage.install.run(&stage.host, &["remove", "web"]).map(drop)
}

/// B1, B3. Otherwise a login that was given up would end a hostlet of somebody else's, who is about to come in.
#[test]
fn a_login_that_was_given_up_leaves_the_hostlet_that_was_there() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{WEB}"))?;
    let mut owner = Asker::new(&stage)?;
    let opened = owner.ask("Open", &json!({ "pools": ["office"], "name": "web" }))?;
    ensure!(opened["name"] == "web", "{opened}");
    let mut bob = Asker::new(&stage)?;
    bob.login("bob", "sshd")?;
    bob.think_again()?;
    owner.join(&opened)?;
    let own = owner.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{own}");
    owner.end()?;
    stage.nothing_left()
}

/// B1. Otherwise the next hostletd would list a session that never was, with an address that nobody uses, as long as its process lives.
#[test]
fn hostletd_killed_between_login_and_join_leaves_no_session() -> Result<()> {
    let mut stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = Asker::new(&stage)?;
    alice.login("alice", "sshd")?;
    stage.kill()?;
    // With a rule that falls back, PAM goes on now.
    stage.begin()?;
    stage.nothing_left()?;
    ensure!(alice.seen()? == Some(ip("10.0.0.1")), "{:?}", alice.seen()?);
    // It may try again.
    alice.hang_up()?;
    let given = alice.login("alice", "sshd")?;
    alice.join(&given)?;
    let own = alice.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{own}");
    alice.end()?;
    stage.nothing_left()
}

/// Writes to the record of hostletd's, and takes its time.
const WRITER: &str = r#"
import sqlite3, sys
record = sqlite3.connect(sys.argv[1], isolation_level=None)
record.execute("BEGIN IMMEDIATE")
print("begun", flush=True)
sys.stdin.readline()
"#;

/// B1. Otherwise a session that PAM let in, because the kernel says that it is in its hostlet, would be in no list, its logout would
/// mean nothing, and what outlives it would keep the address for ever.
#[test]
fn hostletd_killed_before_it_wrote_that_a_session_began_knows_it_afterwards() -> Result<()> {
    let config = rule("office", "linger = \"1s\"");
    let mut stage = Stage::new(&format!("{OFFICE}{config}"))?;
    let mut alice = Asker::new(&stage)?;
    let given = alice.login("alice", "sshd")?;
    let mut writer = stage.host.command("python3");
    writer
        .args(["-c", WRITER])
        .arg(stage.install.root().join("hostlet.db"));
    let mut writer = writer
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut said = String::new();
    let output = writer.stdout.take().context("no output")?;
    BufReader::new(output).read_line(&mut said)?;
    ensure!(said == "begun\n", "the record: {said}");
    alice.begin(&json!(["ask", "Join", { "name": given["name"] }]))?;
    let cgroup = format!("/proc/{}/cgroup", alice.pid());
    wait::until("the process to be moved", || {
        std::fs::read_to_string(&cgroup).is_ok_and(|text| text.contains("/alice-1"))
    })
    .with_context(|| stage.why())?;
    stage.kill()?;
    drop(writer.stdin.take());
    writer.wait()?;
    ensure!(alice.result()?["error"] == "closed", "it was answered");
    alice.hang_up()?;
    stage.begin()?;
    let listed = stage.session_of("alice")?;
    ensure!(listed["number"] == given["session"], "{listed}");
    let own = alice.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{own}");
    alice.logout(&given)?;
    wait::until("what outlives it to be cut off", || {
        stage.placed().is_ok_and(|placed| placed.is_empty())
    })?;
    alice.end()?;
    stage.nothing_left()
}
