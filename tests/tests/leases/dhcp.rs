//! B5, B6: addresses that real servers lend.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::segment::Segment;
use hostlet_testkit::servers::dhcp::{Kind, Options, Relay};
use hostlet_testkit::wait;

use crate::stage::{LAB, RANGES, Stage, text, within};

fn lab(kind: Kind) -> Result<Stage> {
    Stage::with_server(kind, Options::new("eth0", &RANGES)?, LAB)
}

/// Are the leases of the server and ours the same: addresses, and who is known by what?
fn files_agree(stage: &Stage) -> Result<()> {
    let server = stage.server.as_ref().context("a server")?;
    let mut difference = String::new();
    let waited = wait::until("the server's file to say what we say", || {
        let compared = (|| -> Result<bool> {
            let theirs: BTreeMap<IpAddr, String> = server
                .leases()?
                .into_iter()
                .map(|l| {
                    let name = match (l.hardware, l.iaid) {
                        (None, Some(iaid)) => {
                            let duid = l.client_id.unwrap_or_default();
                            format!("{}/{iaid}", duid.replace(':', ""))
                        }
                        (hardware, _) => hardware.unwrap_or_default(),
                    };
                    (l.address, name)
                })
                .collect();
            let mut ours = BTreeMap::new();
            for lease in stage.leases()? {
                ensure!(text(&lease, "state")? == "held", "{lease}");
                ours.insert(
                    text(&lease, "address")?.parse::<IpAddr>()?,
                    text(&lease, "hardware")?.to_lowercase(),
                );
            }
            let placed = stage.placed()?;
            difference = format!("ours {ours:?}\ntheirs {theirs:?}\nplaced {placed:?}");
            let same = ours == theirs;
            Ok(same && placed == ours.keys().copied().collect())
        })();
        compared.unwrap_or_else(|why| {
            difference = format!("{why:#}");
            false
        })
    });
    waited.with_context(|| difference.clone())
}

fn leased_and_released(kind: Kind) -> Result<()> {
    let config = format!("{LAB}user-class = \"students\"\n");
    let stage = Stage::with_server(kind, Options::new("eth0", &RANGES)?, &config)?;
    let mut agent = stage.hold(&["--pool", "lab", "--name", "bob"])?;
    let four = stage.seen(&mut agent, false)?;
    let six = stage.seen(&mut agent, true)?;
    ensure!(within(four, "10.0.0.100", "10.0.0.199"), "{four}");
    ensure!(within(six, "2001:db8::100", "2001:db8::1ff"), "{six}");
    files_agree(&stage)?;
    let server = stage.server.as_ref().context("a server")?;
    let leases = server.leases()?;
    let lease = leases.iter().find(|l| l.address == four).context("IPv4")?;
    let hardware = lease.hardware.clone().context("a hardware address")?;
    ensure!(hardware.starts_with("02:"), "{lease:?}");
    let identifier = lease.client_id.clone().context("a client identifier")?;
    ensure!(identifier == format!("01:{hardware}"), "{lease:?}");
    ensure!(lease.hostname.as_deref() == Some("bob"), "{lease:?}");
    // The holder's number is in the address, and is the association of IPv6 (B6).
    let six = leases.iter().find(|l| l.address == six).context("IPv6")?;
    let number = hardware.rsplit(':').take(3).collect::<Vec<_>>();
    let number = u32::from_str_radix(&format!("{}{}{}", number[2], number[1], number[0]), 16)?;
    ensure!(six.iaid == Some(number), "{six:?} of {hardware}");
    if kind == Kind::Dnsmasq {
        server.logs()[0].wait("user class: students")?;
    }
    // It is there for as long as it is lent, and no longer.
    let shown = stage.host.run("ip", &["address", "show", "dev", "eth0"])?;
    let after = shown.split_once(&format!("{four}/")).context("on eth0")?.1;
    ensure!(
        after
            .lines()
            .nth(1)
            .is_some_and(|l| !l.contains("valid_lft forever")),
        "no lifetime: {shown}"
    );
    agent.finish()?;
    stage.nothing_left()
}

#[test]
fn dnsmasq_lends_and_takes_back() -> Result<()> {
    leased_and_released(Kind::Dnsmasq)
}

#[test]
fn kea_lends_and_takes_back() -> Result<()> {
    leased_and_released(Kind::Kea)
}

/// Fifty at once, killed, and again: each gets what it had.
fn fifty(kind: Kind) -> Result<()> {
    let stage = lab(kind)?;
    let hold_all = || -> Result<Vec<Agent>> {
        std::thread::scope(|scope| {
            let starting: Vec<_> = (0..50)
                .map(|n| {
                    let stage = &stage;
                    scope.spawn(move || {
                        let name = format!("h{n}");
                        stage.hold(&["--pool", "lab", "--name", &name])
                    })
                })
                .collect();
            let started = starting.into_iter().map(|s| s.join());
            started.map(|s| s.expect("no panic")).collect()
        })
    };
    let mut agents = hold_all()?;
    let mut seen = BTreeSet::new();
    for agent in &mut agents {
        for v6 in [false, true] {
            let address = stage.seen(agent, v6)?;
            ensure!(seen.insert(address), "{address} is used by two");
        }
    }
    let held = stage.held()?;
    ensure!(held.len() == 50 && seen.len() == 100, "{held:?}");
    files_agree(&stage)?;
    for agent in agents {
        agent.kill()?;
    }
    stage.nothing_left()?;
    let agents = hold_all()?;
    let again = stage.held()?;
    ensure!(again == held, "{held:?}\nbecame\n{again:?}");
    files_agree(&stage)?;
    drop(agents);
    stage.nothing_left()
}

#[test]
fn fifty_lease_from_dnsmasq_and_return() -> Result<()> {
    fifty(Kind::Dnsmasq)
}

#[test]
fn fifty_lease_from_kea_and_return() -> Result<()> {
    fifty(Kind::Kea)
}

/// Whoever was on the address gets it again although the server has forgotten all, for
/// it asks for it.
#[test]
fn an_old_address_after_the_servers_amnesia() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let mut stage = lab(kind)?;
        let agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
        let held = stage.held()?;
        agent.finish()?;
        stage.nothing_left()?;
        let server = stage.server()?;
        server.forget()?;
        server.restart()?;
        let _agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
        let again = stage.held()?;
        ensure!(held == again, "{kind:?}: {held:?} became {again:?}");
    }
    Ok(())
}

#[test]
fn a_lease_is_renewed() -> Result<()> {
    // Shorter ones end where a busy machine keeps the server from its work for some seconds.
    let options = Options::new("eth0", &RANGES)?.lease(Duration::from_secs(8));
    let stage = Stage::with_server(Kind::Kea, options, LAB)?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    let address = stage.seen(&mut agent, false)?;
    let before = stage.held()?;
    // Well past the end of the first lease.
    let [four, six] = &stage.server.as_ref().context("a server")?.logs()[..] else {
        anyhow::bail!("Kea has two logs")
    };
    for (log, event) in [(four, "DHCP4_LEASE_ALLOC"), (six, "DHCP6_LEASE_RENEW")] {
        let mut from = 0;
        for _ in 0..3 {
            let line = log.wait_from(from, event, Duration::from_secs(10))?;
            let lines = log.lines();
            from += 1 + lines[from..].iter().position(|l| *l == line).unwrap_or(0);
        }
    }
    ensure!(stage.held()? == before);
    ensure!(stage.seen(&mut agent, false)? == address);
    files_agree(&stage)
}

/// Somebody uses what the server offers: it is declined, and another taken.
#[test]
fn a_conflict_is_declined() -> Result<()> {
    let config =
        "[pool.lab]\ninterface = \"eth0\"\ndhcp = [\"ipv4\", \"ipv6\"]\ntimeout = \"60s\"\n";
    let ranges = ["10.0.0.100-10.0.0.101/24", "2001:db8::100-2001:db8::101/64"];
    // dnsmasq chooses by the hardware address; of Kea the first is known.
    let stage = Stage::with_server(Kind::Kea, Options::new("eth0", &ranges)?, config)?;
    let _stranger = stage
        .segment
        .stranger(&["10.0.0.100/24", "2001:db8::100/64"])?;
    let mut agent = stage.hold(&["--pool", "lab"])?;
    for (v6, wanted) in [(false, "10.0.0.101"), (true, "2001:db8::101")] {
        let got = stage.seen(&mut agent, v6)?;
        ensure!(got.to_string() == wanted, "{got}");
    }
    let logs = stage.server.as_ref().context("a server")?.logs();
    logs[0].wait("DHCP4_DECLINE_LEASE")?;
    logs[1].wait("DHCP6_DECLINE_LEASE")?;
    Ok(())
}

/// The server is behind a relay, which is also the way to it.
#[test]
fn through_a_relay() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let mut stage = Stage::bare(None)?;
        let below = Segment::new()?;
        let relay = NetNs::new("relay")?;
        stage.segment.plug(&relay, "eth0", &["10.0.0.3/24"])?;
        below.plug(&relay, "eth1", &["10.1.0.3/24"])?;
        below.plug(&stage.host, "eth1", &["10.1.0.1/24"])?;
        relay.set("ipv4/ip_forward", "1")?;
        stage.far.ip(["route add 10.1.0.0/24 via 10.0.0.3"])?;
        stage.host.ip(["route add default via 10.1.0.3 dev eth1"])?;
        let ranges = [RANGES[0], "10.1.0.100-10.1.0.199/24"];
        stage.serve(kind, Options::new("eth0", &ranges)?)?;
        let running = Relay::start(&relay, "eth1", "eth0", "10.0.0.2")?;
        stage.configure("[pool.lab]\ninterface = \"eth1\"\ndhcp = [\"ipv4\"]\n")?;
        stage.begin()?;
        let agent = stage.hold(&["--pool", "lab"])?;
        let held = stage.held()?;
        let address = held.values().flatten().next().context("an address")?;
        ensure!(within(*address, "10.1.0.100", "10.1.0.199"), "{held:?}");
        ensure!(running.log().count("Forwarded BOOTREPLY") >= 2);
        let listed = stage.host.run("ip", &["address", "show", "dev", "eth1"])?;
        ensure!(listed.contains(&format!("{address}/32")), "{listed}");
        agent.finish()?;
        wait::until("the lease to be released", || {
            let server = stage.server.as_ref();
            server.is_some_and(|s| s.leases().is_ok_and(|l| l.is_empty()))
        })?;
    }
    Ok(())
}

/// The same with DHCPv6, where the relay is not seen by who asks.
#[test]
fn through_a_relay_of_ipv6() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let mut stage = Stage::bare(None)?;
        let below = Segment::new()?;
        let relay = NetNs::new("relay")?;
        stage.segment.plug(&relay, "eth0", &["2001:db8::3/64"])?;
        below.plug(&relay, "eth1", &["2001:db8:1::3/64"])?;
        below.plug(&stage.host, "eth1", &["2001:db8:1::1/64"])?;
        let route = "route add 2001:db8:1::/64 via 2001:db8::3";
        stage.far.ip([route])?;
        let ranges = [RANGES[1], "2001:db8:1::100-2001:db8:1::1ff/64"];
        stage.serve(kind, Options::new("eth0", &ranges)?)?;
        let running = Relay::start6(&relay, "eth1", "eth0", "2001:db8::2")?;
        stage.configure("[pool.lab]\ninterface = \"eth1\"\ndhcp = [\"ipv6\"]\n")?;
        stage.begin()?;
        let agent = stage.hold(&["--pool", "lab", "--name", "one"])?;
        let held = stage.held()?;
        let address = held.values().flatten().next().context("an address")?;
        let (first, last) = ("2001:db8:1::100", "2001:db8:1::1ff");
        ensure!(within(*address, first, last), "{held:?}");
        ensure!(running.log().count("Relaying") >= 2, "{:?}", running.log());
        let listed = stage.host.run("ip", &["address", "show", "dev", "eth1"])?;
        ensure!(listed.contains(&format!("{address}/")), "{listed}");
        agent.finish()?;
        wait::until("the lease to be released", || {
            let server = stage.server.as_ref();
            server.is_some_and(|s| s.leases().is_ok_and(|l| l.is_empty()))
        })?;
        let _again = stage.hold(&["--pool", "lab", "--name", "one"])?;
        ensure!(stage.held()? == held, "{held:?} became {:?}", stage.held());
    }
    Ok(())
}
