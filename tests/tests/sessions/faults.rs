//! B1: what becomes of a login for which there is no address: as its rule says, and soon.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::stage::{LAB, OFFICE, Stage, ip, rule, within};

/// Room for one session.
const TINY: &str = "[pool.tiny]\ninterface = \"eth0\"\nprobe = \"off\"\n\
    ranges = [\"10.0.0.50-10.0.0.50\"]\n";
/// How long a login may take that waits for nothing, on a busy machine.
const SOON: Duration = Duration::from_secs(60);

/// The same with another answer to having nothing.
fn unavailable(pool: &str, what: &str) -> String {
    rule(pool, &format!("unavailable = \"{what}\""))
}

#[test]
fn an_exhausted_pool_refuses_and_says_so() -> Result<()> {
    let stage = Stage::new(&format!("{TINY}{}", rule("tiny", "")))?;
    let alice = stage.login("alice")?;
    // What is told is of use to whoever is refused, and to whom he asks.
    stage.refused("bob", &["hostlet", "tiny"])?;
    stage.people.log().wait("tiny")?;
    ensure!(stage.sessions()?.len() == 1, "{:?}", stage.sessions()?);
    // Others are not concerned.
    let mut carol = stage.login("carol")?;
    ensure!(stage.seen(&mut carol, false)? == ip("10.0.0.1"), "carol");
    // The one address is free when its session ends.
    alice.end()?;
    stage.nothing_left()?;
    let mut bob = stage.login("bob")?;
    ensure!(stage.seen(&mut bob, false)? == ip("10.0.0.50"), "bob");
    Ok(())
}

#[test]
fn an_exhausted_pool_means_the_machines_address_if_the_rule_says_so() -> Result<()> {
    let stage = Stage::new(&format!("{TINY}{}", unavailable("tiny", "fall-back")))?;
    let _alice = stage.login("alice")?;
    let mut bob = stage.login("bob")?;
    ensure!(stage.seen(&mut bob, false)? == ip("10.0.0.1"), "bob");
    let listed = stage.session_of("bob")?;
    ensure!(listed["hostlet"].is_null(), "{listed}");
    bob.end()?;
    Ok(())
}

#[test]
fn an_exhausted_pool_means_no_network_if_the_rule_says_so() -> Result<()> {
    let stage = Stage::new(&format!("{TINY}{}", unavailable("tiny", "cut-off")))?;
    let alice = stage.login("alice")?;
    let mut bob = stage.login("bob")?;
    for v6 in [false, true] {
        let (url, _) = stage.page(v6);
        let (status, said) = bob.status(&crate::stage::fetch("curl", &url))?;
        ensure!(status == 7, "curl: {status}: {said}");
    }
    // But for its own loopback.
    let ping = "python3 -c 'import socket as s; a = s.create_server((\"127.0.0.1\", 0)); \
        s.create_connection(a.getsockname()); print(a.accept()[1][0])'";
    ensure!(bob.run(ping)? == "127.0.0.1", "the loopback");
    bob.end()?;
    alice.end()?;
    stage.nothing_left()
}

#[test]
fn a_silent_dhcp_server_refuses_after_the_deadline() -> Result<()> {
    let sessions = "[sessions]\ndeadline = \"5s\"\n";
    let mut stage = Stage::with_server(&format!("{sessions}{LAB}{}", rule("lab", "")))?;
    stage.server()?.freeze()?;
    // By hostletd, which knows why, and before the deadline.
    let took = stage.refused("alice", &["lab", "DHCP"])?;
    ensure!(
        took >= Duration::from_secs(2),
        "refused after {took:?}: nobody was asked"
    );
    ensure!(took < SOON, "refused after {took:?}");
    // What comes after the wait takes as long as it takes, on a busy machine.
    let silent = format!("[sessions]\ndeadline = \"100s\"\n{LAB}timeout = \"3s\"\n");
    // No network, if the rule says so.
    let cut_off = format!("{silent}{}", unavailable("lab", "cut-off"));
    stage.configure(&cut_off)?;
    stage.install.run(&stage.host, &["reload"])?;
    let mut bob = stage.login("bob")?;
    let (status, said) = bob.status(&crate::stage::fetch("curl", &stage.page(false).0))?;
    ensure!(status == 7, "curl: {status}: {said}");
    bob.end()?;
    // The machine's address, if the rule says so.
    let fall_back = format!("{silent}{}", unavailable("lab", "fall-back"));
    stage.configure(&fall_back)?;
    stage.install.run(&stage.host, &["reload"])?;
    let begin = Instant::now();
    let mut bob = stage.login("bob")?;
    ensure!(begin.elapsed() < SOON, "let in after {:?}", begin.elapsed());
    ensure!(stage.seen(&mut bob, false)? == ip("10.0.0.1"), "bob");
    bob.end()?;
    // What the server answers late is given back.
    stage.server()?.thaw()?;
    stage.nothing_left()
}

#[test]
fn a_hostletd_that_hangs_keeps_nobody_longer_than_the_deadline() -> Result<()> {
    let sessions = "[sessions]\ndeadline = \"3s\"\n";
    let mut stage = Stage::new(&format!("{sessions}{OFFICE}{}", rule("office", "")))?;
    stage.daemon()?.signal(libc::SIGSTOP)?;
    let took = stage.refused("alice", &["hostlet"])?;
    ensure!(took < SOON, "refused after {took:?}");
    // Whom no rule names is not refused, late or not.
    let carol = stage.login("carol");
    stage.daemon()?.signal(libc::SIGCONT)?;
    let mut carol = carol?;
    ensure!(stage.seen(&mut carol, false)? == ip("10.0.0.1"), "carol");
    carol.end()?;
    // The login that hostletd got to know of too late is over.
    stage.nothing_left()?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    ensure!(
        within(own, "10.0.0.50", "10.0.0.99"),
        "{own} is not of the pool"
    );
    Ok(())
}

#[test]
fn without_hostletd_the_configuration_decides() -> Result<()> {
    let mut stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    stage.daemon.take().context("hostletd")?.stop()?;
    stage.refused("alice", &["hostlet"])?;
    let mut carol = stage.login("carol")?;
    ensure!(stage.seen(&mut carol, false)? == ip("10.0.0.1"), "carol");
    let mut root = stage.login("root")?;
    ensure!(stage.seen(&mut root, false)? == ip("10.0.0.1"), "root");
    drop((carol, root));

    stage.configure(&format!("{OFFICE}{}", unavailable("office", "fall-back")))?;
    stage.begin()?;
    stage.daemon.take().context("hostletd")?.stop()?;
    let mut alice = stage.login("alice")?;
    ensure!(stage.seen(&mut alice, false)? == ip("10.0.0.1"), "alice");
    alice.end()?;
    stage.begin()?;
    stage.nothing_left()
}
