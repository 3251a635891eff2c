//! The servers and the relay lend addresses to clients that are not ours. Needs root.

use std::net::{IpAddr, Ipv6Addr, SocketAddrV6, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::segment::Segment;
use hostlet_testkit::servers::dhcp::{Kind, Options, Relay, Server};
use hostlet_testkit::wait;

const SERVER: [&str; 2] = ["10.0.0.2/24", "2001:db8::2/64"];
const FOUR: &str = "10.0.0.100-10.0.0.150/24";
const SIX: &str = "2001:db8::100-2001:db8::1ff/64";

struct Net {
    server: NetNs,
    client: NetNs,
    segment: Segment,
}

fn net() -> Result<Net> {
    let segment = Segment::new()?;
    let (server, client) = (NetNs::new("server")?, NetNs::new("client")?);
    segment.plug(&server, "eth0", &SERVER)?;
    segment.plug(&client, "eth0", &[])?;
    client.ip(["link set eth0 address 02:00:00:00:00:01"])?;
    Ok(Net {
        server,
        client,
        segment,
    })
}

/// What busybox's client gets.
fn udhcpc(client: &NetNs, args: &[&str]) -> Result<IpAddr> {
    let fixed = [
        "-i",
        "eth0",
        "-n",
        "-q",
        "-f",
        "-t",
        "10",
        "-T",
        "1",
        "-s",
        "/bin/true",
    ];
    let done = client.output("udhcpc", &[&fixed, args].concat())?;
    let said = String::from_utf8_lossy(&done.stderr);
    let address = said
        .split_once("lease of ")
        .and_then(|(_, rest)| rest.split(' ').next());
    let address = address.with_context(|| format!("udhcpc: {}: {said}", done.status))?;
    address.parse().context("udhcpc's lease")
}

/// One DHCPv6 exchange by hand: the answer to a message with these options.
fn exchange(socket: &UdpSocket, kind: u8, options: &[u8]) -> Result<Vec<u8>> {
    let to: Ipv6Addr = "ff02::1:2".parse()?;
    let message = [&[kind, 1, 2, 3], options].concat();
    let mut buffer = [0; 1500];
    for _ in 0..5 {
        socket.send_to(&message, SocketAddrV6::new(to, 547, 0, 0))?;
        match socket.recv(&mut buffer) {
            Ok(length) => return Ok(buffer[4..length].to_vec()),
            Err(e) if e.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(e) => return Err(e.into()),
        }
    }
    bail!("no answer to a message of kind {kind}")
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).expect("short");
    [&code.to_be_bytes(), &length.to_be_bytes(), value].concat()
}

fn find(mut options: &[u8], wanted: u16) -> Option<&[u8]> {
    while let [a, b, c, d, rest @ ..] = options {
        let length = usize::from(u16::from_be_bytes([*c, *d]));
        let value = rest.get(..length)?;
        if u16::from_be_bytes([*a, *b]) == wanted {
            return Some(value);
        }
        options = &rest[length..];
    }
    None
}

const DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 1];

/// SOLICIT, ADVERTISE, REQUEST, REPLY: the address of association 9.
fn lease6(client: &NetNs) -> Result<IpAddr> {
    let socket = client.within(|| -> Result<UdpSocket> {
        // SAFETY: the string is terminated and lives through the call.
        let index = unsafe { libc::if_nametoindex(c"eth0".as_ptr()) };
        let socket = UdpSocket::bind("[::]:546")?;
        // Where multicast goes; a namespace has no other interface for it.
        client.ip(["route replace multicast ff00::/8 dev eth0 table local"])?;
        ensure!(index > 0, "no eth0");
        Ok(socket)
    })??;
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let association = [&9u32.to_be_bytes()[..], &[0; 8]].concat();
    let ours = [option(1, &DUID), option(8, &[0, 0])].concat();
    let advertised = exchange(
        &socket,
        1,
        &[ours.clone(), option(3, &association)].concat(),
    )?;
    let server = find(&advertised, 2).context("no server in an ADVERTISE")?;
    let offer = find(&advertised, 3).context("no association in an ADVERTISE")?;
    let request = [ours, option(2, server), option(3, offer)].concat();
    let reply = exchange(&socket, 3, &request)?;
    let lent = find(&reply, 3).context("no association in a REPLY")?;
    let address = find(&lent[12..], 5).context("no address in a REPLY")?;
    let bytes: [u8; 16] = address[..16].try_into()?;
    Ok(IpAddr::from(bytes))
}

fn both_families(kind: Kind) -> Result<()> {
    let net = net()?;
    let mut server = Server::start(kind, &net.server, Options::new("eth0", &[FOUR, SIX])?)?;
    ensure!(server.leases()?.is_empty());
    let four = udhcpc(&net.client, &["-x", "hostname:bob", "-x", "0x4d:6c6162"])?;
    let six = lease6(&net.client).with_context(|| format!("{:?}", server.logs()))?;
    let mut leases = Vec::new();
    wait::until("both leases in the files", || {
        leases = server.leases().unwrap_or_default();
        leases.len() == 2
    })?;
    let lease = leases.iter().find(|l| l.address == four).context("IPv4")?;
    ensure!(
        lease.hardware.as_deref() == Some("02:00:00:00:00:01"),
        "{lease:?}"
    );
    ensure!(
        lease.client_id.as_deref() == Some("01:02:00:00:00:00:01"),
        "{lease:?}"
    );
    ensure!(lease.hostname.as_deref() == Some("bob"), "{lease:?}");
    let lease = leases.iter().find(|l| l.address == six).context("IPv6")?;
    ensure!(
        lease.client_id.as_deref() == Some("00:03:00:01:02:00:00:00:00:01"),
        "{lease:?}"
    );
    ensure!(lease.iaid == Some(9), "{lease:?}");

    // It knows them after a restart, and not after amnesia.
    server.restart()?;
    ensure!(server.leases()? == leases);
    ensure!(udhcpc(&net.client, &[])? == four, "another address");
    server.forget()?;
    ensure!(server.leases()?.is_empty(), "{:?}", server.leases()?);
    server.restart()?;
    ensure!(server.leases()?.is_empty(), "{:?}", server.leases()?);

    let four = udhcpc(&net.client, &[])?;
    ensure!(server.leases()?.iter().any(|l| l.address == four));
    server.stop()?;
    Ok(())
}

#[test]
fn dnsmasq_lends_both_families() -> Result<()> {
    both_families(Kind::Dnsmasq)
}

#[test]
fn kea_lends_both_families() -> Result<()> {
    both_families(Kind::Kea)
}

#[test]
fn a_fixed_address() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let net = net()?;
        let mut options = Options::new("eth0", &[FOUR])?.lease(Duration::from_secs(120));
        let fixed = ("02:00:00:00:00:01".to_owned(), "10.0.0.77".parse()?);
        options.fixed.push(fixed);
        let server = Server::start(kind, &net.server, options)?;
        let got = udhcpc(&net.client, &[])?;
        ensure!(got.to_string() == "10.0.0.77", "{kind:?}: {got}");
        ensure!(server.kind() == kind);
    }
    Ok(())
}

#[test]
fn a_server_that_does_not_run_does_not_answer() -> Result<()> {
    let net = net()?;
    let mut server = Server::start(Kind::Dnsmasq, &net.server, Options::new("eth0", &[FOUR])?)?;
    let once = [
        "-i",
        "eth0",
        "-n",
        "-q",
        "-f",
        "-t",
        "1",
        "-T",
        "1",
        "-s",
        "/bin/true",
    ];
    server.freeze()?;
    ensure!(!net.client.output("udhcpc", &once)?.status.success());
    server.thaw()?;
    udhcpc(&net.client, &[])?;
    server.stop()?;
    ensure!(!net.client.output("udhcpc", &once)?.status.success());
    Ok(())
}

#[test]
fn a_server_without_its_interface_is_an_error() -> Result<()> {
    let ns = NetNs::new("bare")?;
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let options = Options::new("eth7", &[FOUR])?;
        ensure!(Server::start(kind, &ns, options).is_err(), "{kind:?}");
    }
    Ok(())
}

#[test]
fn the_relay_reaches_a_server_elsewhere() -> Result<()> {
    for kind in [Kind::Dnsmasq, Kind::Kea] {
        let net = net()?;
        let below = Segment::new()?;
        let (relay, far) = (NetNs::new("relay")?, NetNs::new("far")?);
        net.segment
            .plug(&relay, "eth0", &["10.0.0.3/24", "2001:db8::3/64"])?;
        below.plug(&relay, "eth1", &["10.1.0.1/24", "2001:db8:1::1/64"])?;
        below.plug(&far, "eth0", &[])?;
        relay.set("ipv4/ip_forward", "1")?;
        net.server.ip([
            "route add 10.1.0.0/24 via 10.0.0.3",
            "route add 2001:db8:1::/64 via 2001:db8::3",
        ])?;
        let ranges = [
            FOUR,
            "10.1.0.100-10.1.0.150/24",
            SIX,
            "2001:db8:1::100-2001:db8:1::1ff/64",
        ];
        let server = Server::start(kind, &net.server, Options::new("eth0", &ranges)?)?;
        let four = Relay::start(&relay, "eth1", "eth0", "10.0.0.2")?;
        let _six = Relay::start6(&relay, "eth1", "eth0", "2001:db8::2")?;
        let got = udhcpc(&far, &[])?;
        ensure!(got.to_string().starts_with("10.1.0.1"), "{kind:?}: {got}");
        // It says so when it has done it.
        wait::until("the relay to have forwarded two answers", || {
            four.log().count("Forwarded BOOTREPLY") >= 2
        })?;
        let got = lease6(&far).with_context(|| format!("{:?}", server.logs()))?;
        ensure!(
            got.to_string().starts_with("2001:db8:1::1"),
            "{kind:?}: {got}"
        );
        let near = udhcpc(&net.client, &[])?;
        ensure!(near.to_string().starts_with("10.0.0.1"), "{kind:?}: {near}");
        wait::until("three leases", || {
            server.leases().is_ok_and(|l| l.len() == 3)
        })?;
    }
    Ok(())
}
