//! B12: the machine's own name in a session.

use std::collections::BTreeSet;
use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::sshd::Session;

use crate::stage::{OFFICE, Stage, ip, rule};

/// The addresses that getent says, in its order, each once.
fn addresses(session: &mut Session, line: &str) -> Result<Vec<IpAddr>> {
    let said = session.run(line)?;
    let mut all: Vec<IpAddr> = Vec::new();
    for address in said.lines().filter_map(|l| l.split_whitespace().next()) {
        let address = address.parse().context(said.clone())?;
        if !all.contains(&address) {
            all.push(address);
        }
    }
    Ok(all)
}

#[test]
fn the_machines_name_is_both_addresses() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let (four, six) = (
        stage.seen(&mut alice, false)?,
        stage.seen(&mut alice, true)?,
    );
    let (host4, host6) = (ip("10.0.0.1"), ip("2001:db8::1"));
    let v4 = addresses(&mut alice, "getent ahostsv4 $(hostname)")?;
    ensure!(v4 == [four, host4], "{v4:?}");
    let v6 = addresses(&mut alice, "getent ahostsv6 $(hostname)")?;
    ensure!(v6 == [six, host6], "{v6:?}");
    let all: BTreeSet<_> = addresses(&mut alice, "getent ahosts $(hostname)")?
        .into_iter()
        .collect();
    ensure!(all == BTreeSet::from([four, six, host4, host6]), "{all:?}");
    let hosts = addresses(&mut alice, "getent hosts $(hostname)")?;
    ensure!(
        !hosts.is_empty() && hosts.iter().all(|a| all.contains(a)),
        "{hosts:?}"
    );
    // gethostbyname, and back.
    let python = format!(
        "python3 -c 'import socket; print(socket.gethostbyname_ex(socket.gethostname())[2]); \
         print(socket.gethostbyaddr(\"{four}\")[0], socket.gethostbyaddr(\"{six}\")[0])'"
    );
    let said = alice.run(&python)?;
    ensure!(
        said == format!("['{four}', '{host4}']\nport port"),
        "{said}"
    );
    ensure!(
        alice.run("getent hosts localhost")?.contains("::1"),
        "localhost"
    );
    // Another session's address is nobody's name here.
    let mut bob = stage.login("bob")?;
    let (status, said) = bob.status(&format!("getent hosts {four}"))?;
    ensure!(status == 2, "bob finds alice: {said}");
    Ok(())
}

#[test]
fn outside_the_name_is_what_the_files_say() -> Result<()> {
    let config = format!("{OFFICE}{}", rule("office", ""));
    let stage = Stage::new(&format!(
        "{config}[sessions]\nown-name = \"machine-first\"\n"
    ))?;
    let mut carol = stage.login("carol")?;
    let said = addresses(&mut carol, "getent ahosts $(hostname)")?;
    ensure!(said == [ip("10.0.0.1")], "{said:?}");
    // The other order, which the configuration says.
    let mut alice = stage.login("alice")?;
    let four = stage.seen(&mut alice, false)?;
    // getaddrinfo puts its answers into an order of its own; the old call does not.
    let said = alice.run(
        "python3 -c 'import socket; print(socket.gethostbyname_ex(socket.gethostname())[2])'",
    )?;
    ensure!(said == format!("['10.0.0.1', '{four}']"), "{said}");
    Ok(())
}

#[test]
fn names_need_no_hostletd() -> Result<()> {
    let mut stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let before = addresses(&mut alice, "getent ahosts $(hostname)")?;
    stage.kill()?;
    let after = addresses(&mut alice, "getent ahosts $(hostname)")?;
    ensure!(
        before == after && before.len() == 4,
        "{before:?}, then {after:?}"
    );
    stage.begin()
}
