//! A17: addresses join and leave a running hostlet. They need root.

use anyhow::{Context, Result};
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

/// One hostlet with a probe in it, programs on the host and the peer, and a script for them.
///
/// The programs come first: they end before the machines that they run on.
struct Stage {
    players: Players,
    lan: Lan,
}

impl Stage {
    fn new(set: &str) -> Result<Stage> {
        let lan = Lan::hostlets(set, &[])?;
        let mut players = Players::default();
        for actor in ["in", "host", "peer"] {
            players.add(actor, lan.start(actor)?);
        }
        Ok(Stage { players, lan })
    }

    fn ask(&mut self, actor: &str, line: &str) -> Result<String> {
        self.players.of(actor)?.ask(line)
    }

    /// As [`Players::play`]; `hostlet …` is the command.
    fn play(&mut self, script: &str) -> Result<()> {
        for line in script.lines().map(str::trim) {
            match line.strip_prefix("hostlet ") {
                Some(args) => {
                    let args: Vec<&str> = args.split(' ').collect();
                    let install = self.lan.install().context("hostlets")?;
                    install.run(self.lan.host(), &args)?;
                }
                None => self.players.play(line)?,
            }
        }
        Ok(())
    }
}

/// A17: both ends of a connection on an address that leaves learn of it at once, others nothing.
#[test]
fn the_peer_of_a_connection_on_a_revoked_address_is_told() -> Result<()> {
    let mut s = Stage::new("two")?;
    for (kind, any, stays, goes, peer) in [
        ("tcp4", "0.0.0.0", "10.0.0.5", "10.0.0.6", "10.0.0.100"),
        (
            "tcp6",
            "[::]",
            "[2001:db8::5]",
            "[2001:db8::6]",
            "[2001:db8::100]",
        ),
    ] {
        let address = goes.trim_matches(['[', ']']);
        s.play(&format!(
            "in a = socket {kind}
             in opt a reuseaddr 1
             in bind a {any}:8080
             in listen a
             in l = socket {kind}
             in bind l {goes}:8081
             in listen l
             peer c = socket {kind}
             peer connect c {goes}:8080
             in b = accept a => from {peer}:*
             peer d = socket {kind}
             peer connect d {stays}:8080
             in e = accept a => from {peer}:*
             peer m = socket {kind}
             peer bind m {peer}:9090
             peer listen m
             in o = socket {kind}
             in bind o {goes}:0
             in connect o {peer}:9090
             peer p = accept m => from {goes}:*
             peer q = socket {kind}
             peer connect q {goes}:8081
             in r = accept l => from {peer}:*
             hostlet revoke in {address}
             peer recv c => ECONNRESET
             peer recv p => ECONNRESET
             peer recv q => ECONNRESET
             in recv b => ECONNABORTED
             in recv o => ECONNABORTED
             in recv r => ECONNABORTED
             peer send d still
             in recv e => still
             peer f = socket {kind}
             peer connect f {goes}:8080 => ECONNREFUSED
             peer connect f {goes}:8081 => ECONNREFUSED
             in z = socket {kind}
             in bind z {goes}:0 => EADDRNOTAVAIL
             in close a
             in close b
             in close e
             in close l
             in close o
             in close r
             in close z
             peer close c
             peer close d
             peer close f
             peer close m
             peer close p
             peer close q"
        ))?;
    }
    Ok(())
}

/// A17: a socket on the host's real wildcard, whose source is replaced on the way out, does not leave from an
/// address that its hostlet lost.
#[test]
fn a_connection_from_the_real_wildcard_does_not_outlive_its_address() -> Result<()> {
    let mut s = Stage::new("two")?;
    s.play(
        "peer a = socket udp6
         peer bind a [::]:5300
         in c = socket udp6
         in bind c [::]:0
         in connect c [2001:db8::100]:5300
         in send c one
         peer recvfrom a => one from [2001:db8::5]:*
         hostlet revoke in 2001:db8::5
         in getopt c error => ECONNABORTED
         in send c two => EDESTADDRREQ
         peer quiet a => quiet",
    )
}

/// The same of TCP: both ends hear of it.
#[test]
fn a_tcp_connection_from_the_real_wildcard_ends_with_its_address() -> Result<()> {
    let mut s = Stage::new("two")?;
    s.play(
        "peer a = socket tcp6
         peer bind a [::]:8080
         peer listen a
         in c = socket tcp6
         in bind c [::]:0
         in connect c [2001:db8::100]:8080
         peer b = accept a => from [2001:db8::5]:*
         in send c one
         peer recv b => one
         hostlet revoke in 2001:db8::5
         peer recv b => ECONNRESET
         in recv c => ECONNABORTED",
    )
}

/// Sockets stay where they stand: known difference `wildcard-revoked`.
#[test]
fn a_wildcard_socket_stays_on_a_primary_address_that_is_revoked() -> Result<()> {
    let mut s = Stage::new("two")?;
    s.play(
        "in u = socket udp4
         in bind u 0.0.0.0:5300
         hostlet revoke in 10.0.0.5
         in name u => 0.0.0.0:5300
         host a = socket udp4
         host bind a 10.0.0.5:5300 => EADDRINUSE
         host b = socket udp4
         host sendto b 10.0.0.5:5300 lost
         in quiet u => quiet
         peer v = socket udp4
         peer sendto v 10.0.0.6:5300 there
         in recvfrom u => there from 10.0.0.100:*
         in close u
         host c = socket udp4
         host bind c 10.0.0.5:5300",
    )
}

/// A17: a server that stands on the wildcard answers on an address that joins, and no longer on
/// one that left, without being touched.
#[test]
fn a_running_wildcard_server_follows_the_set() -> Result<()> {
    let mut s = Stage::new("one")?;
    s.lan.host().ip([
        "address add 10.0.0.6/24 dev eth0",
        "address add 2001:db8::6/64 dev eth0 nodad preferred_lft 0",
    ])?;
    for (four, any, old, new, peer) in [
        (true, "0.0.0.0", "10.0.0.5", "10.0.0.6", "10.0.0.100"),
        (
            false,
            "[::]",
            "[2001:db8::5]",
            "[2001:db8::6]",
            "[2001:db8::100]",
        ),
    ] {
        let (tcp, udp) = if four {
            ("tcp4", "udp4")
        } else {
            ("tcp6", "udp6")
        };
        let address = new.trim_matches(['[', ']']);
        s.play(&format!(
            "in a = socket {tcp}
             in opt a reuseaddr 1
             in bind a {any}:8080
             in listen a
             in u = socket {udp}
             in bind u {any}:5300
             peer v = socket {udp}
             peer bind v {peer}:5301
             peer sendto v {old}:5300 first
             in recvfrom u => first from {peer}:5301
             peer sendto v {old}:5300 alone
             in recvfrom u => alone from {peer}:5301
             peer c = socket {tcp}
             peer connect c {new}:8080 => ECONNREFUSED
             hostlet grant in {address}
             peer d = socket {tcp}
             peer connect d {new}:8080
             in b = accept a => from {peer}:*
             in name b => {new}:8080
             peer send d ask
             in recv b => ask
             in send b answer
             peer recv d => answer
             peer sendto v {new}:5300 hello
             in recvfrom u => hello from {peer}:5301
             in sendto u {peer}:5301 back
             peer recvfrom v => back from {new}:5300
             peer sendto v {old}:5300 again
             in recvfrom u => again from {peer}:5301
             in sendto u {peer}:5301 here
             peer recvfrom v => here from {old}:5300
             in z = socket {tcp}
             in bind z {new}:8082
             hostlet revoke in {address}
             peer recv d => ECONNRESET
             in recv b => ECONNABORTED
             peer e = socket {tcp}
             peer connect e {new}:8080 => ECONNREFUSED
             peer sendto v {new}:5300 gone
             peer sendto v {old}:5300 there
             in recvfrom u => there from {peer}:5301
             peer f = socket {tcp}
             peer connect f {old}:8080
             in g = accept a => from {peer}:*
             peer send f x
             in recv g => x
             in close a
             in close b
             in close g
             in close u
             in close z
             peer close c
             peer close d
             peer close e
             peer close f
             peer close v"
        ))?;
    }
    Ok(())
}

/// A17: an address that passes to another hostlet is served by that one's wildcard socket, from the first datagram on.
#[test]
fn a_wildcard_server_serves_an_address_that_was_anothers() -> Result<()> {
    let mut s = Stage::new("two")?;
    s.players.add("other", s.lan.start("other")?);
    s.play(
        "in u = socket udp4
         in bind u 0.0.0.0:5300
         other w = socket udp4
         other bind w 0.0.0.0:5300
         peer v = socket udp4
         peer bind v 10.0.0.100:5301
         peer sendto v 10.0.0.6:5300 one
         in recvfrom u => one from 10.0.0.100:5301
         peer sendto v 10.0.0.6:5300 two
         in recvfrom u => two from 10.0.0.100:5301
         hostlet revoke in 10.0.0.6
         hostlet grant other 10.0.0.6
         peer sendto v 10.0.0.6:5300 three
         other recvfrom w => three from 10.0.0.100:5301
         other sendto w 10.0.0.100:5301 back
         peer recvfrom v => back from 10.0.0.6:5300
         other close w
         other w = socket udp4
         other bind w 0.0.0.0:5300
         peer sendto v 10.0.0.6:5300 four
         other recvfrom w => four from 10.0.0.100:5301",
    )
}

/// A17: a socket on the host's real wildcard that connects over and over pushes nobody's connection out of the table.
#[test]
fn many_connects_from_the_real_wildcard_harm_no_other() -> Result<()> {
    let mut s = Stage::new("two")?;
    s.play(
        "peer l = socket tcp6
         peer bind l [::]:8080
         peer listen l
         in c = socket tcp6
         in bind c [::]:0
         in connect c [2001:db8::100]:8080
         peer a = accept l => from [2001:db8::5]:*
         in u = socket udp6
         in bind u [::]:0",
    )?;
    for port in 1..20_000 {
        s.ask("in", &format!("connect u [2001:db8::100]:{port}"))?;
    }
    s.play(
        "peer send a down
         in recv c => down
         in send c up
         peer recv a => up
         in name c => [2001:db8::5]:*",
    )
}
