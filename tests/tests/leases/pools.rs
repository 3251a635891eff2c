//! B4, B7, B15, B16: addresses out of ranges of the configuration.

use std::net::IpAddr;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::wait;

use crate::stage::{HOST, Stage, text, within};

const OFFICE: &str = "[pool.office]\ninterface = \"eth0\"\n\
    ranges = [\"10.0.0.100-10.0.0.109\", \"2001:db8::100-2001:db8::109\"]\n";
/// Two addresses, not probed.
const SMALL: &str =
    "[pool.small]\ninterface = \"eth0\"\nranges = [\"10.0.0.100-10.0.0.101\"]\nprobe = \"off\"\n";

#[test]
fn a_program_runs_with_an_address_of_each_family() -> Result<()> {
    let stage = Stage::new(OFFICE)?;
    let mut agent = stage.hold(&["--pool", "office", "--name", "one"])?;
    let four = stage.seen(&mut agent, false)?;
    let six = stage.seen(&mut agent, true)?;
    ensure!(within(four, "10.0.0.100", "10.0.0.109"), "{four}");
    ensure!(within(six, "2001:db8::100", "2001:db8::109"), "{six}");
    // Nothing else is there for it.
    let own = HOST[0].trim_end_matches("/24");
    agent.ask("other = socket tcp4")?;
    let met = agent.ask(&format!("bind other {own}:80"))?;
    ensure!(met == "EADDRNOTAVAIL", "the machine's own address: {met}");

    ensure!(
        stage.placed()? == [four, six].into(),
        "{:?}",
        stage.placed()
    );
    let held = stage.held()?;
    ensure!(
        held == [("one".into(), [four, six].into())].into(),
        "{held:?}"
    );
    for lease in stage.leases()? {
        ensure!(text(&lease, "pool")? == "office", "{lease}");
        ensure!(text(&lease, "user")? == "root", "{lease}");
        ensure!(text(&lease, "state")? == "held", "{lease}");
        let program = lease["program"].to_string();
        ensure!(program.contains("hostlet-probe"), "{lease}");
    }
    ensure!(
        stage.pool("office")?["held"] == 2,
        "{}",
        stage.pool("office")?
    );
    ensure!(agent.finish()?.success());
    stage.nothing_left()
}

#[test]
fn a_killed_program_gives_its_addresses_back() -> Result<()> {
    let stage = Stage::new(OFFICE)?;
    let agent = stage.hold(&["--pool", "office"])?;
    ensure!(stage.placed()?.len() == 2);
    agent.kill()?;
    stage.nothing_left()
}

#[test]
fn a_holder_gets_its_last_address_again() -> Result<()> {
    let stage = Stage::new(OFFICE)?;
    let mut first = stage.hold(&["--pool", "office", "--name", "one"])?;
    let one = stage.seen(&mut first, false)?;
    first.finish()?;
    stage.nothing_left()?;
    // Somebody else gets one that nobody had, as long as there are such.
    let mut second = stage.hold(&["--pool", "office", "--name", "two"])?;
    let two = stage.seen(&mut second, false)?;
    ensure!(one != two, "two holders got {one}");
    let mut first = stage.hold(&["--pool", "office", "--name", "one"])?;
    let again = stage.seen(&mut first, false)?;
    ensure!(again == one, "{again}, not {one}");
    Ok(())
}

#[test]
fn an_exhausted_pool_says_who_holds_what() -> Result<()> {
    let stage = Stage::new(SMALL)?;
    let mut agents = Vec::new();
    for name in ["first", "second"] {
        agents.push(stage.hold(&["--pool", "small", "--name", name])?);
    }
    let says = ["small", "first", "second", "10.0.0.100", "10.0.0.101"];
    stage.refused(&["--pool", "small"], &says)?;
    agents.pop().context("an agent")?.finish()?;
    let freed = wait::until("the second to be gone", || {
        stage.held().is_ok_and(|h| h.len() == 1)
    });
    freed?;
    stage.hold(&["--pool", "small"])?;
    Ok(())
}

/// What a hostlet was given by hand before there was the pool is not lent, and who is refused is told whose it is.
#[test]
fn an_address_that_a_hostlet_was_given_by_hand() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    let given = [
        "create",
        "onpool",
        "--address",
        "10.0.0.100/24",
        "--assign",
        "eth0",
    ];
    stage.install.run(&stage.host, &given)?;
    let config = SMALL.replace("-10.0.0.101", "");
    stage.configure(&config)?;
    stage.begin()?;
    let says = "of 1, 0 held, 1 on this host; 10.0.0.100 belongs to hostlet 'onpool'";
    stage.refused(&["--pool", "small"], &[says])?;
    let wish = ["--pool", "small", "--request-address", "10.0.0.100"];
    stage.refused(&wish, &["it belongs to hostlet 'onpool'"])?;
    stage.install.run(&stage.host, &["remove", "onpool"])?;
    let mut agent = stage.hold(&["--pool", "small"])?;
    let got = stage.seen(&mut agent, false)?;
    ensure!(got.to_string() == "10.0.0.100", "{got}");
    Ok(())
}

#[test]
fn an_address_that_is_wished_for() -> Result<()> {
    let stage = Stage::new(SMALL)?;
    let wish = ["--pool", "small", "--request-address"];
    let mut agent = stage.hold(&[&wish[..], &["10.0.0.101"]].concat())?;
    let got = stage.seen(&mut agent, false)?;
    ensure!(got.to_string() == "10.0.0.101", "{got}");
    stage.refused(&[&wish[..], &["10.0.0.101"]].concat(), &["10.0.0.101"])?;
    let none = ["10.0.0.102", "in no range there"];
    stage.refused(&[&wish[..], &["10.0.0.102"]].concat(), &none)?;
    let both = ["10.0.0.100", "--request-address", "10.0.0.101"];
    stage.refused(&[&wish[..], &both].concat(), &["10.0.0.101", "one of each"])
}

/// It answers the probe, is set aside, and the holder gets the next.
#[test]
fn an_address_that_a_stranger_uses() -> Result<()> {
    let config = "[pool.two]\ninterface = \"eth0\"\n\
        ranges = [\"10.0.0.100-10.0.0.101\", \"2001:db8::100-2001:db8::101\"]\n";
    let stage = Stage::new(config)?;
    let stranger = stage
        .segment
        .stranger(&["10.0.0.100/24", "2001:db8::100/64"])?;
    let mut agent = stage.hold(&["--pool", "two"])?;
    for (v6, wanted) in [(false, "10.0.0.101"), (true, "2001:db8::101")] {
        let got = stage.seen(&mut agent, v6)?;
        ensure!(got.to_string() == wanted, "{got}");
    }
    // Whichever was tried first: none is given to anybody else.
    stage.refused(&["--pool", "two"], &["two"])?;
    let pool = stage.pool("two")?;
    let lent = serde_json::json!([
        {"family": "ipv4", "size": "2", "held": 1},
        {"family": "ipv6", "size": "2", "held": 1},
    ]);
    ensure!(pool["lent"] == lent, "{pool}");
    let asides = pool["asides"].as_array().context("asides")?;
    let mut aside = Vec::new();
    for one in asides {
        aside.push(text(one, "address")?.parse::<IpAddr>()?);
    }
    for address in ["10.0.0.100", "2001:db8::100"] {
        ensure!(aside.contains(&address.parse()?), "{address}: {pool}");
    }
    drop(stranger);
    Ok(())
}

/// An address of the machine itself is in the range: it is never lent, and stays.
#[test]
fn an_address_that_the_machine_has_is_not_touched() -> Result<()> {
    let stage = Stage::bare(None)?;
    stage.host.ip(["address add 10.0.0.100/24 dev eth0"])?;
    stage.configure(SMALL)?;
    let mut stage = stage;
    stage.begin()?;
    let mut agent = stage.hold(&["--pool", "small"])?;
    let got = stage.seen(&mut agent, false)?;
    ensure!(got.to_string() == "10.0.0.101", "{got}");
    stage.refused(&["--pool", "small"], &["on this host"])?;
    agent.finish()?;
    wait::until("the lent address to go", || {
        stage.placed().is_ok_and(|p| p.len() == 1)
    })?;
    stage.daemon.take().context("hostletd")?.stop()?;
    stage.begin()?;
    let left = stage.placed()?;
    ensure!(left == ["10.0.0.100".parse()?].into(), "{left:?}");
    Ok(())
}

/// Through it the machine reaches others: lent, it would be the machine's own.
#[test]
fn a_next_hop_of_the_machine_is_not_lent() -> Result<()> {
    let mut stage = Stage::bare(None)?;
    stage.host.ip(["address add 10.0.0.9/24 dev eth0"])?;
    stage.host.ip(["route add default via 10.0.0.100"])?;
    stage.configure(SMALL)?;
    stage.begin()?;
    let mut agent = stage.hold(&["--pool", "small"])?;
    let got = stage.seen(&mut agent, false)?;
    ensure!(got.to_string() == "10.0.0.101", "{got}");
    stage.refused(&["--pool", "small"], &["1 a next hop of its routes"])?;
    let said = stage.install.run(&stage.host, &["reload"])?;
    let says = "pool small: 10.0.0.100 is a next hop of this machine's routes";
    ensure!(said.contains(says), "{said}");
    // Another router is found: it is an address as others are.
    agent.finish()?;
    stage.host.ip(["route replace default via 10.0.0.101"])?;
    let wish = ["--pool", "small", "--request-address"];
    stage.refused(&[&wish[..], &["10.0.0.101"]].concat(), &["next hop"])?;
    let mut agent = stage.hold(&["--pool", "small"])?;
    let got = stage.seen(&mut agent, false)?;
    ensure!(got.to_string() == "10.0.0.100", "{got}");
    Ok(())
}

/// Neighbours that knew another machine under the address learn of the new one.
#[test]
fn a_new_address_is_announced() -> Result<()> {
    let config = "[pool.one]\ninterface = \"eth0\"\n\
        ranges = [\"10.0.0.100\", \"2001:db8::100\"]\nprobe = \"off\"\n";
    let stage = Stage::new(config)?;
    // Else what was just written is believed for a second.
    stage.far.set("ipv4/neigh/eth0/locktime", "0")?;
    for address in ["10.0.0.100", "2001:db8::100"] {
        let line = "lladdr 02:00:00:00:00:99 dev eth0 nud stale";
        stage
            .far
            .ip([format!("neighbour replace {address} {line}")])?;
    }
    let _agent = stage.hold(&["--pool", "one"])?;
    let link = stage
        .host
        .run("ip", &["-oneline", "link", "show", "eth0"])?;
    let mac = link.split_once("link/ether ").context("a MAC")?.1;
    let mac = mac.split(' ').next().context("a MAC")?;
    for address in ["10.0.0.100", "2001:db8::100"] {
        wait::until(&format!("{address} to be known by {mac}"), || {
            let show = ["neighbour", "show", address];
            stage.far.run("ip", &show).is_ok_and(|t| t.contains(mac))
        })?;
    }
    Ok(())
}
