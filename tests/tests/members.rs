//! A3, A4: every process of a hostlet is a member, from its first instruction to its
//! last. They need root.

use std::fs;

use anyhow::{Context, Result, ensure};
use hostlet_platform::cgroup::find_mount;
use hostlet_testkit::lan::Lan;
use hostlet_testkit::players::Players;

#[test]
fn no_child_of_a_fork_storm_is_missed() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let mut agent = lan.start("in")?;
    let said = agent.ask("storm 5000 10.0.0.1:5300")?;
    ensure!(said.starts_with("0 bound 5000 refused "), "{said}");
    println!("{said}");
    Ok(())
}

#[test]
fn members_are_listed_while_they_live_and_no_longer() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let mut agent = lan.start("in")?;
    let count = || -> Result<usize> {
        let members = install.json(lan.host(), &["members", "in"])?;
        Ok(members.as_array().context("an array")?.len())
    };
    let alone = count()?;
    for child in ["a", "b", "c"] {
        agent.ask(&format!("fork {child}"))?;
    }
    agent.ask("/a fork d")?;
    ensure!(count()? == alone + 4, "{} with four more", count()?);
    agent.ask("kill b")?;
    agent.ask("exit c")?;
    ensure!(count()? == alone + 2, "{} with two less", count()?);
    let status = agent.finish()?;
    ensure!(status.success(), "{status}");
    hostlet_testkit::wait::until("the hostlet to go with its last member", || {
        install
            .run(lan.host(), &["list"])
            .is_ok_and(|text| !text.contains(" in "))
    })
}

/// As a service manager or a container engine makes them: what the programs do goes by the hostlet, not by where its member is.
#[test]
fn a_cgroup_below_is_the_hostlets() -> Result<()> {
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let mut players = Players::default();
    for name in ["in", "other", "peer"] {
        players.add(name, lan.start(name)?);
    }
    let members = || install.json(lan.host(), &["members", "in"]);
    let pid = members()?[0]["pid"].clone();
    let own = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
    let own = own.lines().find_map(|line| line.strip_prefix("0::/"));
    let below = find_mount()?.join(own.context("a cgroup2")?).join("below");
    fs::create_dir_all(below.join("further"))?;
    fs::write(below.join("further/cgroup.procs"), pid.to_string())?;
    players.play(
        "in a = socket tcp4
         in bind a 10.0.0.1:8080 => EADDRNOTAVAIL
         in bind a 10.0.0.9:8080 => EADDRNOTAVAIL
         in bind a 0.0.0.0:8080
         in listen a
         in name a => 0.0.0.0:8080
         peer c = socket tcp4
         peer connect c 10.0.0.5:8080
         in b = accept a => from 10.0.0.100:*
         peer d = socket tcp4
         peer connect d 10.0.0.9:8080 => ECONNREFUSED
         in l = socket tcp6
         in bind l [::1]:8081
         in listen l
         in e = socket tcp6
         in connect e [::1]:8081
         other e = socket tcp6
         other connect e [::1]:8081 => ECONNREFUSED
         peer s = socket udp4
         peer bind s 10.0.0.100:5300
         in u = socket udp4
         in sendto u 10.0.0.100:5300 hello
         peer recvfrom s => hello from 10.0.0.5:*
         in sendmsg u 10.0.0.100:5300 x src=10.0.0.1 => ENETUNREACH
         in r = socket raw4 => EPERM
         in m = socket mptcp4 => EPROTONOSUPPORT",
    )?;
    ensure!(members()?[0]["pid"] == pid, "no member any more");
    for name in ["in", "other", "peer"] {
        let status = players.take(name)?.finish()?;
        ensure!(status.success(), "{name}: {status}");
    }
    ensure!(!below.exists(), "{} is left", below.display());
    Ok(())
}

/// What a member does in a network namespace of its own making is not hostlet's: no address of it is on the machine (A3).
#[test]
fn a_network_that_a_member_makes_is_its_own() -> Result<()> {
    const SCRIPT: &str = "
from socket import socket
def serve(at):
    s = socket(); s.bind(at); s.listen(); return s
def call(server, to):
    c = socket(); c.connect(to); s, peer = server.accept(); print(*s.getsockname()[:1], peer[0])
loop, own = serve(('127.0.0.1', 8080)), serve(('10.77.0.2', 8080))
call(loop, ('127.0.0.1', 8080))
call(own, ('10.77.0.2', 8080))
call(serve(('0.0.0.0', 8081)), ('10.77.0.2', 8081))
try: serve(('10.0.0.5', 8082))
except OSError as e: print(e.errno)
";
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let inside = format!(
        "ip link set lo up && ip address add 10.77.0.2/32 dev lo && exec python3 -c \"{SCRIPT}\""
    );
    let unshare = ["unshare", "--user", "--map-root-user", "--net"];
    let mut args = vec!["run", "--address", "10.0.0.5", "--"];
    args.extend(unshare);
    args.extend(["sh", "-c", &inside]);
    let said = install.run(lan.host(), &args)?;
    let wanted = format!(
        "127.0.0.1 127.0.0.1\n10.77.0.2 10.77.0.2\n10.77.0.2 10.77.0.2\n{}\n",
        libc::EADDRNOTAVAIL
    );
    ensure!(said == wanted, "{said}");
    Ok(())
}

/// Threads are members as their process is, whether they were made before or after a fork (A3).
#[test]
fn no_thread_binds_a_foreign_address() -> Result<()> {
    const SCRIPT: &str = "
import os, socket, threading
said, go = [], threading.Event()
def bind(wait):
    if wait: go.wait()
    for at in ('10.0.0.1', '10.0.0.9'):
        try: socket.socket().bind((at, 0)); said.append(0)
        except OSError as e: said.append(e.errno)
    socket.socket().bind(('10.0.0.5', 0))
def all(before):
    after = [threading.Thread(target=bind, args=(False,)) for n in range(8)]
    for t in after: t.start()
    go.set()
    for t in before + after: t.join()
    print(len(said), *set(said), flush=True)
before = [threading.Thread(target=bind, args=(True,)) for n in range(8)]
for t in before: t.start()
child = os.fork()
if child == 0:
    all([])
    os._exit(0)
os.waitpid(child, 0)
all(before)
";
    let lan = Lan::hostlets("one", &[])?;
    let install = lan.install().context("hostlets")?;
    let args = [
        "run",
        "--address",
        "10.0.0.5",
        "--",
        "python3",
        "-c",
        SCRIPT,
    ];
    let said = install.run(lan.host(), &args)?;
    let error = libc::EADDRNOTAVAIL;
    ensure!(said == format!("16 {error}\n32 {error}\n"), "{said}");
    Ok(())
}
