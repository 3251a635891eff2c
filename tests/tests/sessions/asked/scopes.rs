//! B1, B9: sessions of a service manager, in which somebody is already.

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;
use rustix::fs::{FlockOperation, flock};
use serde_json::{Value, json};

use super::asker::{Asker, Scope};
use crate::stage::{OFFICE, Stage, ip, rule, within};

/// Logins by su from the pool.
fn su() -> String {
    format!("{OFFICE}{}", rule("office", "").replace("sshd", "su-l"))
}

/// The first process of a scope stays what it was while another, in the same scope, logs somebody in.
fn only_the_one_that_logs_in(uid: u32, user: &str) -> Result<()> {
    let stage = Stage::new(&su())?;
    let scope = Scope::new(uid)?;
    let mut shell = Asker::within(&stage, &scope.dir)?;
    let mut su = Asker::within(&stage, &scope.dir)?;
    let given = su.login(user, "su-l")?;
    let cgroup = su.join(&given)?;
    ensure!(
        cgroup != scope.path()? && su.cgroup()? == cgroup,
        "{user} is in {cgroup}"
    );
    let own = su.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{user} is {own}");
    let as_before = |shell: &mut Asker| -> Result<()> {
        let (address, cgroup) = (shell.seen()?, shell.cgroup()?);
        ensure!(
            address == Some(ip("10.0.0.1")) && cgroup == scope.path()?,
            "the shell has {address:?} in {cgroup}"
        );
        Ok(())
    };
    as_before(&mut shell)?;
    shell.logout(&given)?;
    su.end()?;
    stage.nothing_left()?;
    as_before(&mut shell)
}

/// B1, B9. Otherwise all of root's session would have bob's address, and with his logout no network.
#[test]
fn su_in_a_session_of_roots_changes_nothing_of_roots() -> Result<()> {
    only_the_one_that_logs_in(0, "bob")
}

/// B1. Otherwise what alice runs outside of any rule would change its address under way.
#[test]
fn a_login_in_a_users_own_session_changes_nothing_of_the_others_in_it() -> Result<()> {
    only_the_one_that_logs_in(1001, "alice")
}

/// Joins, and is gone when hostletd gets to it.
fn too_late(stage: &Stage, asker: &mut Asker, given: &Value) -> Result<()> {
    let path = stage.install.root().join("run/lock");
    let lock = File::open(&path).context("opening the lock")?;
    flock(&lock, FlockOperation::LockExclusive).context("taking the lock")?;
    asker.does(&json!(["send", "Join", { "name": given["name"] }]))?;
    let inode = format!(":{} ", fs::metadata(&path)?.ino());
    wait::until("hostletd to wait for the lock", || {
        let locks = fs::read_to_string("/proc/locks").unwrap_or_default();
        let waits = |line: &str| line.contains("-> FLOCK") && line.contains(&inode);
        locks.lines().any(waits)
    })?;
    asker.hang_up()?;
    flock(&lock, FlockOperation::Unlock).context("giving the lock back")
}

/// B1. Otherwise a login that went on with the machine's address, as its rule says, would lose it under way, and the hostlet of a
/// session that never was would hold an address.
#[test]
fn a_join_later_than_its_caller_leaves_the_scope_alone() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let scope = Scope::new(1001)?;
    let mut alice = Asker::within(&stage, &scope.dir)?;
    let given = alice.login("alice", "sshd")?;
    too_late(&stage, &mut alice, &given)?;
    stage.nothing_left()?;
    let (address, cgroup) = (alice.seen()?, alice.cgroup()?);
    ensure!(
        address == Some(ip("10.0.0.1")) && cgroup == scope.path()?,
        "{address:?} in {cgroup}"
    );

    // In time, the scope is the session's.
    let given = alice.login("alice", "sshd")?;
    let cgroup = alice.join(&given)?;
    ensure!(cgroup == scope.path()?, "moved to {cgroup}");
    let own = alice.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{own}");
    alice.end()?;
    stage.nothing_left()
}

/// B1, B2. Otherwise a login that was too late would take the address from the user's other sessions, or be listed as long as it lives.
#[test]
fn a_join_later_than_its_caller_leaves_the_slice_to_those_who_come() -> Result<()> {
    let config = rule("office", "").replace("\"session\"", "\"user\"");
    let stage = Stage::new(&format!("{OFFICE}{config}"))?;
    let scope = Scope::new(1001)?;
    let mut first = Asker::within(&stage, &scope.dir)?;
    let given = first.login("alice", "sshd")?;
    let mut late = Asker::within(&stage, &scope.dir)?;
    let also = late.login("alice", "sshd")?;
    too_late(&stage, &mut late, &also)?;
    ensure!(first.join(&given)? == scope.path()?, "moved");
    wait::until("the late one to be given up", || {
        let listed = stage.session_of("alice");
        listed.is_ok_and(|s| s["number"] == given["session"])
    })?;
    let own = first.seen()?.context("no network")?;
    ensure!(within(own, "10.0.0.50", "10.0.0.99"), "{own}");
    late.end()?;
    ensure!(first.seen()? == Some(own), "{:?}", first.seen()?);
    first.end()?;
    stage.nothing_left()
}
