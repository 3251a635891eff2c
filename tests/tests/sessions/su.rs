//! B1: a session within a session.

use anyhow::{Result, ensure};
use hostlet_testkit::people::PEOPLE;

use crate::stage::{OFFICE, Stage, fetch, ip, rule, within};

/// `su -l bob -c COMMAND` by somebody who knows bob's word.
fn by_bob(command: &str) -> String {
    format!("echo {} | su -l bob -c \"{command}\"", PEOPLE[1].password)
}

#[test]
fn su_l_gives_another_persons_session_its_own_address() -> Result<()> {
    let su = rule("office", "")
        .replace("sshd", "su-l")
        .replace("staff\"\nwho", "su\"\nwho");
    let stage = Stage::new(&format!("{OFFICE}{}{su}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    let (url, page) = stage.page(false);
    alice.run(&by_bob(&fetch("curl", &url)))?;
    let bobs = stage.asked_from(&page)?;
    ensure!(
        within(bobs, "10.0.0.50", "10.0.0.99") && bobs != own,
        "{bobs}, and alice {own}"
    );
    let name = alice.run(&by_bob("echo \\$HOSTLET_NAME"))?;
    ensure!(name.contains("bob-"), "its name: {name}");
    // hers is as it was.
    ensure!(
        stage.seen(&mut alice, false)? == own,
        "alice has another address"
    );
    alice.end()?;
    stage.nothing_left()
}

#[test]
fn su_without_a_rule_stays_in_the_session() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let own = stage.seen(&mut alice, false)?;
    let (url, page) = stage.page(false);
    alice.run(&by_bob(&fetch("curl", &url)))?;
    ensure!(
        stage.asked_from(&page)? == own,
        "bob, by alice: {}",
        stage.asked_from(&page)?
    );
    Ok(())
}

#[test]
fn a_private_host_keeps_the_sessions_in_it() -> Result<()> {
    let su = rule("office", "").replace("sshd", "su-l");
    let stage = Stage::new(&format!("{OFFICE}{su}"))?;
    let add = [
        "create",
        "private",
        "--address",
        "10.0.0.30/24",
        "--assign",
        "eth0",
    ];
    stage.install.run(&stage.host, &add)?;
    let (url, page) = stage.page(false);
    let line = fetch("curl", &url);
    let args = ["enter", "private", "--", "su", "-l", "bob", "-c", &line];
    stage.install.run(&stage.host, &args)?;
    ensure!(
        stage.asked_from(&page)? == ip("10.0.0.30"),
        "seen as {}",
        stage.asked_from(&page)?
    );
    stage.install.run(&stage.host, &["remove", "private"])?;
    Ok(())
}
