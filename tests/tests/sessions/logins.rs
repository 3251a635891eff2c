//! B1, B6, B9: a login has an address of its own, from a DHCP server, until it ends.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::people::PEOPLE;
use hostlet_testkit::sshd::Session;
use hostlet_testkit::wait;

use crate::stage::{LAB, OFFICE, Stage, ip, rule, text, within};

/// Verifying the kernel part takes a while: no login waits for that.
#[test]
fn the_kernel_part_is_there_before_the_first_login() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let maps = stage.install.root().join("bpf/hostlet/maps");
    let maps = maps.display().to_string();
    let there = || -> Result<bool> {
        let asked = stage.host.output("test", &["-d", &maps])?;
        Ok(asked.status.success())
    };
    ensure!(there()?, "not when hostletd is ready");
    let machine = &["--address", "10.0.0.1"];
    let run = |args: &[&str]| stage.install.run(&stage.host, args);
    run(&[&["create", "web"], &machine[..]].concat())?;
    run(&["remove", "web"])?;
    ensure!(there()?, "gone with another hostlet");
    Ok(())
}

#[test]
fn everybody_leaves_by_a_lease_of_their_own() -> Result<()> {
    let mut stage = Stage::with_server(&format!("{LAB}{}", rule("lab", "")))?;
    let mut all = stage.login_all(&["alice", "bob"])?;
    // A third session, of the first user.
    all.push(stage.login("alice")?);
    let (mut seen, mut names) = (BTreeSet::new(), BTreeSet::new());
    for session in &mut all {
        let (four, six) = (stage.seen(session, false)?, stage.seen(session, true)?);
        ensure!(
            within(four, "10.0.0.100", "10.0.0.199"),
            "{four} is no lease"
        );
        ensure!(
            within(six, "2001:db8::100", "2001:db8::1ff"),
            "{six} is no lease"
        );
        ensure!(
            seen.insert(four) && seen.insert(six),
            "seen twice: {four} {six}"
        );
        ensure!(
            stage.seen(session, false)? == four,
            "another address the second time"
        );
        let told = session.run("echo $HOSTLET_ADDRESS")?;
        let told: BTreeSet<_> = told.split(' ').map(ip).collect();
        ensure!(
            told == BTreeSet::from([four, six]),
            "HOSTLET_ADDRESS is {told:?}"
        );
        names.insert(session.run("echo $HOSTLET_NAME")?);
    }
    let wanted = ["alice-1", "alice-2", "bob-1"].map(str::to_owned);
    ensure!(names == BTreeSet::from(wanted), "{names:?}");
    ensure!(
        stage.placed()? == seen,
        "on the machine: {:?}",
        stage.placed()?
    );

    // The server has written down the same, under hardware addresses with the ids of the
    // holders in them.
    let (ours, theirs) = (stage.leases()?, stage.server()?.leases()?);
    ensure!(theirs.len() == 6 && ours.len() == 6, "{theirs:?} {ours:?}");
    for lease in &theirs {
        let address = lease.address.to_string();
        let own = ours.iter().find(|l| l["address"] == address.as_str());
        let own = own.with_context(|| format!("hostletd knows nothing of {address}"))?;
        let holder = own["holder"].as_u64().context("no holder")?;
        if let Some(hardware) = &lease.hardware {
            let bytes = holder.to_be_bytes();
            let id = format!("{:02x}:{:02x}:{:02x}", bytes[5], bytes[6], bytes[7]);
            ensure!(
                hardware.ends_with(&id),
                "{hardware} is not of holder {holder}"
            );
        } else {
            ensure!(
                lease.iaid.is_some_and(|n| u64::from(n) == holder),
                "{lease:?}"
            );
        }
    }

    // Whoever logs out gives theirs back, and nobody else's.
    let bob = all.remove(1);
    ensure!(bob.end()?.success(), "logging out");
    hostlet_testkit::wait::until("bob's leases to be released", || {
        let left = stage.server.as_ref().map(|s| s.leases());
        matches!(left, Some(Ok(left)) if left.len() == 4)
            && stage.placed().is_ok_and(|p| p.len() == 4)
    })?;
    ensure!(
        seen.contains(&stage.seen(&mut all[0], false)?),
        "alice's address"
    );
    for session in all {
        session.end()?;
    }
    stage.nothing_left()
}

#[test]
fn who_comes_back_gets_the_same_address() -> Result<()> {
    let stage = Stage::with_server(&format!("{LAB}{}", rule("lab", "")))?;
    let mut alice = stage.login("alice")?;
    let first = [
        stage.seen(&mut alice, false)?,
        stage.seen(&mut alice, true)?,
    ];
    alice.end()?;
    stage.nothing_left()?;
    // Somebody else was here meanwhile.
    let mut bob = stage.login("bob")?;
    ensure!(
        stage.seen(&mut bob, false)? != first[0],
        "bob has alice's address"
    );
    let mut alice = stage.login("alice")?;
    let again = [
        stage.seen(&mut alice, false)?,
        stage.seen(&mut alice, true)?,
    ];
    ensure!(first == again, "{first:?}, then {again:?}");
    Ok(())
}

#[test]
fn sessions_are_listed_with_all_that_is_known() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let listed = stage.session_of("alice")?;
    for (key, value) in [
        ("hostlet", "alice-1"),
        ("service", "sshd"),
        ("remote", "10.0.0.4"),
        ("rule", "staff"),
        ("state", "open"),
    ] {
        ensure!(text(&listed, key)? == value, "{key}: {listed}");
    }
    let own = stage.seen(&mut alice, false)?.to_string();
    let listed = listed["addresses"].as_array().context("no addresses")?;
    ensure!(
        listed.iter().any(|a| *a == own.as_str()),
        "no {own} in {listed:?}"
    );
    // Its programs, while they run.
    let _ = alice.run("sleep 1000 & true")?;
    let runs = |p: &serde_json::Value| p.as_str().is_some_and(|p| p.contains("sleep"));
    // Until its exec it is the shell that started it.
    wait::until("sleep among the programs", || {
        let listed = stage.session_of("alice");
        listed.is_ok_and(|s| s["programs"].as_array().is_some_and(|p| p.iter().any(runs)))
    })?;
    let table = stage.install.run(&stage.host, &["sessions"])?;
    for word in ["alice-1", "sshd", "10.0.0.4", &own, "staff"] {
        ensure!(table.contains(word), "no {word} in: {table}");
    }
    alice.run("kill %1 || kill $!")?;
    alice.end()?;
    stage.nothing_left()
}

#[test]
fn whom_no_rule_names_keeps_the_machines_address() -> Result<()> {
    // The second rule is for everybody: root and the system's accounts are nobody.
    let everybody = "[[rule]]\nname = \"all\"\nservices = [\"login\", \"sshd\"]\n\
        per = \"session\"\npools = [\"office\"]\n";
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut carol = stage.login("carol")?;
    ensure!(stage.seen(&mut carol, false)? == ip("10.0.0.1"), "carol");
    ensure!(
        carol
            .run("echo \"$HOSTLET_NAME$HOSTLET_ADDRESS\"")?
            .is_empty(),
        "told"
    );
    ensure!(stage.placed()?.is_empty(), "{:?}", stage.placed()?);

    stage.configure(&format!("{OFFICE}{everybody}"))?;
    stage.install.run(&stage.host, &["reload"])?;
    // Who is in already stays as they are.
    ensure!(
        stage.seen(&mut carol, false)? == ip("10.0.0.1"),
        "carol after the reload"
    );
    let mut again = stage.login("carol")?;
    let own = stage.seen(&mut again, false)?;
    ensure!(
        within(own, "10.0.0.50", "10.0.0.99"),
        "{own} is not of the pool"
    );
    let mut root = stage.login("root")?;
    ensure!(
        stage.seen(&mut root, false)? == ip("10.0.0.1"),
        "root is confined"
    );

    // Unless a rule names them.
    let named = "[[rule]]\nname = \"root\"\nwho = [\"user:root\"]\nservices = [\"sshd\"]\n\
        per = \"session\"\npools = [\"office\"]\n";
    stage.configure(&format!("{OFFICE}{named}"))?;
    stage.install.run(&stage.host, &["reload"])?;
    let mut named = stage.login("root")?;
    let own = stage.seen(&mut named, false)?;
    ensure!(
        within(own, "10.0.0.50", "10.0.0.99"),
        "{own} is not of the pool"
    );
    Ok(())
}

#[test]
fn all_sessions_of_a_user_share_an_address_if_the_rule_says_so() -> Result<()> {
    let config = rule("office", "").replace("\"session\"", "\"user\"");
    let stage = Stage::new(&format!("{OFFICE}{config}"))?;
    let mut all = stage.login_all(&["alice", "alice", "alice"])?;
    let mut bob = stage.login("bob")?;
    let own = stage.seen(&mut all[0], false)?;
    for session in &mut all {
        ensure!(
            stage.seen(session, false)? == own,
            "another address than {own}"
        );
    }
    ensure!(
        stage.seen(&mut bob, false)? != own,
        "bob has alice's address"
    );
    // It stays as long as one of them.
    let mut last = all.pop().context("no session")?;
    for session in all {
        session.end()?;
    }
    ensure!(
        stage.seen(&mut last, false)? == own,
        "not the address of before"
    );
    last.end()?;
    bob.end()?;
    stage.nothing_left()
}

#[test]
fn a_password_opens_the_same_session() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let command = |n: usize| {
        let person = &PEOPLE[n];
        stage
            .sshd
            .client_by_password(&stage.client, person, "10.0.0.1")
    };
    let mut alice = Session::open("alice", command(0))?;
    ensure!(
        within(stage.seen(&mut alice, false)?, "10.0.0.50", "10.0.0.99"),
        "no lease"
    );
    // A wrong one gets nobody an address.
    let mut wrong = stage.client.command("sshpass");
    wrong
        .args(["-p", "guessed"])
        .args(command(1).get_args().skip(2))
        .arg("true");
    let denied = wrong.output()?;
    ensure!(!denied.status.success(), "a guessed word lets in");
    ensure!(stage.sessions()?.len() == 1, "{:?}", stage.sessions()?);
    Ok(())
}
