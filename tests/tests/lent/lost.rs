//! B5: hostlets whose addresses are lost.

use anyhow::{Context, Result, ensure};
use hostlet_model::Lifetime;
use hostlet_testkit::agent::Agent;
use hostlet_testkit::binaries;
use hostlet_testkit::netns::NetNs;

use crate::stage::{Stage, name};

/// B5: who lost every address has what a machine with nothing but a loopback has; a new lease brings him back.
#[test]
fn a_hostlet_that_is_cut_off_keeps_its_loopback() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5", "2001:db8::5"])?;
    s.play(
        "in w = socket tcp4
         in opt w reuseaddr 1
         in bind w 0.0.0.0:8080
         in listen w
         in o = socket tcp4
         peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in connect o 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*",
    )?;
    s.replace(&["10.0.0.5", "2001:db8::5"], &[])?;
    ensure!(s.shown()?["state"] == "cut-off" && s.shown()?["fallen_back"] == false);
    s.play(
        "peer recv p => ECONNRESET
         in recv o => ECONNABORTED",
    )?;
    // The same on a machine that has only a loopback.
    let bare = NetNs::new("bare")?;
    bare.ip(["link set lo up"])?;
    let mut oracle = Agent::start("bare", bare.command(binaries::probe()?))?;
    let inside = s.players.of("in")?;
    for line in "a = socket tcp4
         bind a 10.0.0.5:8081
         connect a 10.0.0.100:9090
         b = socket tcp6
         bind b [2001:db8::5]:8081
         connect b [2001:db8::100]:9090
         u = socket udp4
         sendto u 10.0.0.100:53 x
         v = socket udp6
         sendto v [2001:db8::100]:53 x
         c = socket udp4
         connect c 10.0.0.1:53
         l = socket tcp4
         bind l 127.0.0.1:8082
         listen l
         k = socket tcp4
         connect k 127.0.0.1:8082
         name k
         g = accept l
         send k hello
         recv g
         x = socket tcp4
         bind x 0.0.0.0:8083
         listen x
         y = socket tcp4
         connect y 127.0.0.1:8083
         z = accept x
         six = socket tcp6
         bind six [::1]:8084
         listen six
         seven = socket tcp6
         connect seven [::1]:8084"
        .lines()
        .map(str::trim)
    {
        let (wanted, got) = (oracle.ask(line)?, inside.ask(line)?);
        ensure!(wanted == got, "`{line}`: {got}, a machine says {wanted}");
    }
    // A server that stands on the wildcard answers on what comes.
    s.replace(&[], &["10.0.0.6"])?;
    ensure!(s.shown()?["state"] == "live");
    s.play(
        "peer d = socket tcp4
         peer connect d 10.0.0.6:8080
         in b4 = accept w => from 10.0.0.100:*
         in n = socket tcp4
         in connect n 10.0.0.100:9090
         peer q = accept m => from 10.0.0.6:*",
    )?;
    // Both at once, and once more what is done already.
    s.replace(&["10.0.0.6"], &["10.0.0.5"])?;
    s.replace(&["10.0.0.6"], &["10.0.0.5"])?;
    s.play(
        "peer recv q => ECONNRESET
         in n2 = socket tcp4
         in bind n2 10.0.0.6:0 => EADDRNOTAVAIL
         in bind n2 10.0.0.5:0",
    )?;
    ensure!(s.replace(&[], &["10.0.0.9", "10.0.0.77"]).is_err());
    ensure!(
        s.shown()?["addresses"]
            .as_array()
            .is_some_and(|a| a.len() == 1)
    );
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}

/// B5: who fell back is as a program outside, with the machine's addresses and its loopback.
#[test]
fn a_hostlet_that_falls_back_has_the_machines_addresses() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &["10.0.0.5", "2001:db8::5"])?;
    s.play(
        "in o = socket tcp4
         peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in connect o 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*
         in w = socket tcp4
         in bind w 0.0.0.0:8080
         in listen w
         in unbound = socket udp4
         in sendto unbound 10.0.0.100:9 x
         in l = socket tcp4
         in bind l 127.0.0.1:8090
         in listen l
         in k = socket tcp4
         in connect k 127.0.0.1:8090
         in g = accept l => from 127.0.0.1:*
         in s6 = socket tcp6
         in bind s6 [2001:db8::5]:8086
         in listen s6
         host h = socket tcp4
         host bind h 127.0.0.1:8091
         host listen h",
    )?;
    s.fall_back(&["10.0.0.5"])?;
    s.fall_back(&["10.0.0.5"])?;
    let shown = s.shown()?;
    ensure!(shown["state"] == "fallen-back" && shown["fallen_back"] == true);
    let install = s.lan.install().context("hostlets")?;
    let said = install.json(s.lan.host(), &["explain", "in", "bind", "10.0.0.99:80"])?;
    ensure!(said.to_string().contains("fallen-back"), "{said}");
    ensure!(
        install
            .json(s.lan.host(), &["check"])?
            .as_array()
            .is_some_and(Vec::is_empty)
    );
    s.play(
        "peer recv p => ECONNRESET
         in recv o => ECONNABORTED
         in a = socket tcp4
         in connect a 10.0.0.100:9090
         peer q = accept m => from 10.0.0.1:*
         in b = socket tcp4
         in bind b 10.0.0.1:8081
         in listen b
         peer c = socket tcp4
         peer connect c 10.0.0.1:8081
         in d = accept b => from 10.0.0.100:*
         in e = socket tcp4
         in connect e 127.0.0.1:8091
         host f = accept h => from 127.0.0.1:*
         in name e => 127.0.0.1:*
         in old = socket tcp4
         in connect old 127.0.0.1:8090 => ECONNREFUSED
         peer older = socket tcp4
         peer connect older 10.0.0.1:8080 => ECONNREFUSED
         in send k still
         in recv g => still
         in x = socket tcp4
         in bind x 0.0.0.0:8083
         in listen x
         peer y = socket tcp4
         peer connect y 10.0.0.1:8083
         in z = accept x => from 10.0.0.100:*
         in u = socket udp4
         in bind u 0.0.0.0:5300
         peer v = socket udp4
         peer bind v 10.0.0.100:5301
         peer sendto v 10.0.0.1:5300 ask
         in recvfrom u => ask from 10.0.0.100:5301
         in sendto u 10.0.0.100:5301 answer
         peer recvfrom v => answer from 10.0.0.1:5300
         peer c6 = socket tcp6
         peer connect c6 [2001:db8::5]:8086
         in d6 = accept s6 => from [2001:db8::100]:*",
    )?;
    // A socket that the kernel had put on the wildcard works after its one error.
    let inside = s.players.of("in")?;
    if inside
        .ask("sendto unbound 10.0.0.100:5301 again")?
        .starts_with('E')
    {
        inside.ask("sendto unbound 10.0.0.100:5301 again")?;
    }
    let heard = s.players.of("peer")?.ask("recvfrom v")?;
    ensure!(heard == "again from 10.0.0.1:*", "{heard}");
    let inside = s.players.of("in")?;
    let port = inside.ask("raw-port unbound")?;
    s.play(&format!(
        "peer sendto v 10.0.0.1:{port} back
         in recvfrom unbound => back from 10.0.0.100:5301"
    ))?;
    // So it stays, also for who comes later; nothing is granted to it any more.
    s.enter("late")?;
    s.play(
        "late a = socket tcp4
         late connect a 10.0.0.100:9090
         peer r = accept m => from 10.0.0.1:*",
    )?;
    ensure!(s.replace(&[], &["10.0.0.6"]).is_err());
    s.replace(&["2001:db8::5"], &[])?;
    s.engine(|e| e.close(&name("in"), true))??;
    ensure!(s.engine(|e| e.hostlets())??.is_empty());
    Ok(())
}
