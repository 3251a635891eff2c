//! A18: known differences at limits, and of what goes on around a program. They need root.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use hostlet_testkit::agent::Agent;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::oracle;
use hostlet_testkit::players::Players;
use hostlet_testkit::wait;

fn players(lan: &Lan, actors: &[&str]) -> Result<Players> {
    let mut players = Players::default();
    for actor in actors {
        players.add(actor, lan.start(actor)?);
    }
    Ok(players)
}

/// Known difference `told-in-fragments`.
#[test]
fn fragments_do_not_reach_who_asks_where_they_were_sent_to() -> Result<()> {
    let large = "x".repeat(3000);
    let script = format!(
        "peer s = socket udp6
         peer bind s [::]:5300
         in a = socket udp6
         in bind a [::]:0
         in opt a pktinfo 1
         in connect a [2001:db8::100]:5300
         in send a x
         peer recvfrom s => x from [2001:db8::5]:*
         peer sendto s [2001:db8::5]:{{in.a}} whole
         in recvmsg a => whole from [2001:db8::100]:5300 to 2001:db8::5 via eth0
         peer sendto s [2001:db8::5]:{{in.a}} {large}
         in poll a in => "
    );
    let answers = "in / not-ready [told-in-fragments]";
    oracle::compare("A18", &format!("{script}{answers}"))
}

/// How often the table is filled.
const ROUNDS: usize = 12;

/// Known difference `many-connections`.
#[test]
fn a_connection_that_only_receives_is_forgotten_for_many_others() -> Result<()> {
    let lan = Lan::hostlets("two", &[])?;
    let mut players = players(&lan, &["in", "peer"])?;
    players.play(
        "peer l = socket tcp6
         peer bind l [::]:8080
         peer listen l",
    )?;
    for n in 0..=ROUNDS {
        players.play(&format!(
            "in c{n} = socket tcp6
             in bind c{n} [::]:0
             in connect c{n} [2001:db8::100]:8080
             peer a{n} = accept l => from [2001:db8::5]:*
             peer send a{n} before
             in recv c{n} => before"
        ))?;
    }
    let install = lan.install().context("hostlets")?;
    let many = "import resource, socket
resource.setrlimit(resource.RLIMIT_NOFILE, (20000, 20000)); all = []
for n in range(17000):
    u = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM); all.append(u)
    u.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    u.bind(('::', 0)); u.connect(('2001:db8::100', 5300)); u.send(b'x')
print(len(all))";
    // Which entries the table lets go, the oldest or others, is the kernel's affair.
    let forgotten = |players: &mut Players, n: usize| -> Result<bool> {
        let said = install.run(lan.host(), &["enter", "in", "--", "python3", "-c", many])?;
        ensure!(said == "17000\n", "said {said:?}");
        players.of("peer")?.ask(&format!("send a{n} after"))?;
        match &players.of("in")?.ask(&format!("recv c{n}"))?[..] {
            "after" => Ok(false),
            "EAGAIN" => Ok(true),
            other => bail!("recv: {other}"),
        }
    };
    let mut gone = None;
    for n in 0..ROUNDS {
        if forgotten(&mut players, n)? {
            gone = Some(n);
            break;
        }
    }
    let gone = gone.context("none was forgotten")?;
    players.play(&format!(
        "peer recv a{gone} => ECONNRESET
         in send c{ROUNDS} up
         peer recv a{ROUNDS} => up
         peer send a{ROUNDS} after
         in recv c{ROUNDS} => after"
    ))
}

/// Known difference `multicast-copies`.
#[test]
fn sixteen_hostlets_get_a_multicast_and_no_more() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let mut players = players(&lan, &["peer"])?;
    for n in 20..37 {
        let (name, address) = (format!("m{n}"), format!("10.0.0.{n}"));
        lan.host()
            .ip([format!("address add {address}/24 dev eth0")])?;
        let args = ["run", "--name", &name, "--address", &address];
        players.add(
            &name,
            Agent::start(&name, install.probe(lan.host(), &args)?)?,
        );
        players.play(&format!(
            "{name} a = socket udp4
             {name} bind a 0.0.0.0:5353
             {name} join a 239.1.2.3 eth0"
        ))?;
    }
    players.play(
        "peer c = socket udp4
         peer opt c mcast-if br0
         peer sendto c 239.1.2.3:5353 hello",
    )?;
    let mut got = Vec::new();
    for n in 20..37 {
        let answer = players.of(&format!("m{n}"))?.ask("recvfrom a")?;
        got.push(answer.starts_with("hello from 10.0.0.100:"));
    }
    let (last, first) = got.split_last().context("hostlets")?;
    ensure!(first.iter().all(|got| *got), "not all of sixteen: {got:?}");
    ensure!(!last, "the seventeenth has got it");
    Ok(())
}

/// Known difference `routes-unfollowed`.
#[test]
fn a_route_that_nobody_follows_counts_with_the_next_command() -> Result<()> {
    let lan = Lan::hostlets("nets", &[])?;
    let install = lan.install().context("hostlets")?;
    let mut players = players(&lan, &["in"])?;
    let route = |by: &str| {
        lan.host()
            .ip([format!("route replace 198.51.100.0/24 {by}")])
    };
    let waits = players.of("in")?.pid();
    let mut source = || -> Result<String> {
        let inside = players.of("in")?;
        inside.ask("a = socket udp4")?;
        inside.ask("connect a 198.51.100.1:9")?;
        let name = inside.ask("name a")?;
        inside.ask("close a")?;
        Ok(name)
    };
    let (first, second) = ("10.0.0.5:*", "10.1.0.5:*");
    route("dev eth1")?;
    wait::until("the route counts", || {
        source().is_ok_and(|name| name == second)
    })?;
    // Who waits for the program follows the routes; without, nobody does.
    let waits = waits.to_string();
    lan.host().run("kill", &["-KILL", &waits])?;
    route("dev eth0")?;
    ensure!(source()? == second, "somebody follows the routes");
    install.run(lan.host(), &["create", "other", "--address", "10.0.0.9"])?;
    ensure!(source()? == first, "the command did not look at the routes");
    Ok(())
}

/// Known difference `end-of-run`.
#[test]
fn what_is_not_acknowledged_is_sent_for_two_seconds_after_the_end() -> Result<()> {
    let program = "import socket, sys
c = socket.create_connection(('10.0.0.100', 8080)); print('ready', flush=True)
sys.stdin.readline(); c.send(b'late')";
    for (lan, stays) in [
        (Lan::real("one")?, true),
        (Lan::hostlets("one", &[])?, false),
    ] {
        let mut players = players(&lan, &["peer"])?;
        players.play("peer l = socket tcp4\npeer bind l 0.0.0.0:8080\npeer listen l")?;
        let mut command = lan.program("in", &[], "python3")?;
        let mut inside = command
            .args(["-c", program])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = String::new();
        let out = inside.stdout.take().context("piped")?;
        BufReader::new(out).read_line(&mut said)?;
        ensure!(said == "ready\n", "said {said:?}");
        lan.peer().ip(["link set br0 down"])?;
        inside.stdin.take().context("piped")?.write_all(b"\n")?;
        ensure!(inside.wait()?.success());
        let left = || {
            lan.machine("in")
                .and_then(|m| m.run("ss", &["-tnH", "dst", "10.0.0.100"]))
        };
        if stays {
            wait::pass(Duration::from_secs(4));
            ensure!(!left()?.is_empty(), "the machine does not send any more");
        } else {
            wait::until("the connection is cut off", || {
                left().is_ok_and(|l| l.is_empty())
            })?;
        }
    }
    Ok(())
}
