//! A13, B2: processes that a rule brings into a hostlet, and out again.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_model::Lifetime;
use hostlet_platform::peer::Peer;
use hostlet_platform::proc;

use crate::stage::{Stage, by, name, spec};

/// A process of a user who may gain privileges, in the machine's network.
fn users(s: &Stage) -> Result<Child> {
    let mut user = s.lan.host().command("setpriv");
    user.args(["--reuid=4711", "--regid=4711", "--clear-groups", "cat"]);
    let mut user = user.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
    // When it answers, it is who it is to be.
    writeln!(user.stdin.as_mut().context("stdin")?, "there")?;
    let mut line = String::new();
    BufReader::new(user.stdout.as_mut().context("stdout")?).read_line(&mut line)?;
    ensure!(line == "there\n");
    Ok(user)
}

/// What a rule brings in needs no permission, comes from where the rule says, and can go back.
#[test]
fn a_rule_brings_a_process_in_and_out() -> Result<()> {
    let s = Stage::new()?;
    for (hostlet, address) in [("in", "10.0.0.5"), ("out", "10.0.0.6")] {
        let spec = spec(hostlet, &[address])?;
        s.engine(|e| e.lend(&spec, &Lifetime::Kept, &by()))??;
    }
    let mut user = users(&s)?;
    let pid = user.id();
    let peer = Peer::of_pid(pid)?;
    ensure!((peer.pid, peer.uid) == (pid, 4711) && peer.lives());
    let home = proc::cgroup(pid).context("its cgroup")?;

    let refused = s.engine(|e| e.join(&name("in"), &peer, None))?;
    let said = refused.err().context("a user joined")?.to_string();
    ensure!(said.contains("no_new_privs"), "{said}");
    let cgroup = s.engine(|e| e.place(&name("in"), &peer, None))??;
    ensure!(cgroup.ends_with("/in") && proc::cgroup(pid).as_ref() == Some(&cgroup));
    ensure!(
        s.engine(|e| e.place(&name("in"), &peer, None))?? == cgroup,
        "again"
    );

    // From one hostlet to another only where the rule takes him from there.
    for leaving in [None, Some(name("other"))] {
        let refused = s.engine(|e| e.place(&name("out"), &peer, leaving.as_ref()))?;
        let said = refused.err().context("it was taken away")?.to_string();
        ensure!(said.contains("in hostlet 'in'"), "{said}");
    }
    let there = s.engine(|e| e.place(&name("out"), &peer, Some(&name("in"))))??;
    ensure!(there.ends_with("/out"), "{there}");

    // A login in a login that is given up goes back to the first one's.
    s.engine(|e| e.place_back(&peer, &cgroup))??;
    ensure!(proc::cgroup(pid).as_ref() == Some(&cgroup));
    for wrong in ["", "hostlet", "/../etc", "/no/such/cgroup"] {
        let refused = s.engine(|e| e.place_back(&peer, wrong))?;
        ensure!(refused.is_err(), "{wrong}");
    }
    s.engine(|e| e.place_back(&peer, &home))??;
    ensure!(proc::cgroup(pid).as_ref() == Some(&home));
    ensure!(s.engine(|e| e.hostlet_of(pid))?.is_none());
    s.engine(|e| e.place_back(&peer, &cgroup))??;
    ensure!(proc::cgroup(pid) == Some(home), "it was in no hostlet");

    user.kill()?;
    user.wait()?;
    let gone = s.engine(|e| e.place(&name("in"), &peer, None))?;
    ensure!(
        gone.err()
            .context("it ended")?
            .to_string()
            .contains("ended")
    );
    ensure!(s.engine(|e| e.place_back(&peer, &cgroup))?.is_err());
    ensure!(Peer::of_pid(pid).is_err());
    for hostlet in ["in", "out"] {
        s.engine(|e| e.close(&name(hostlet), false))??;
    }
    Ok(())
}

/// All threads come along, and what the process then makes is the hostlet's.
#[test]
fn a_process_of_many_threads_comes_whole() -> Result<()> {
    const THREADS: &str = "import os, socket, sys, threading
go = threading.Event()
def work():
    go.wait()
    with socket.create_connection(('10.0.0.100', 9090)) as s:
        os.write(1, (s.getsockname()[0] + '\\n').encode())
all = [threading.Thread(target=work) for _ in range(8)]
[t.start() for t in all]
print('ready', flush=True)
sys.stdin.readline()
go.set()
[t.join() for t in all]";
    let mut s = Stage::new()?;
    let spec = spec("in", &["10.0.0.5"])?;
    s.engine(|e| e.lend(&spec, &Lifetime::Kept, &by()))??;
    s.play(
        "peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m",
    )?;
    let mut python = s.lan.host().command("python3");
    python.args(["-c", THREADS]);
    let mut python = python
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut lines = BufReader::new(python.stdout.take().context("stdout")?).lines();
    ensure!(lines.next().context("it ended")?? == "ready");
    let peer = Peer::of_pid(python.id())?;
    s.engine(|e| e.place(&name("in"), &peer, None))??;
    writeln!(python.stdin.take().context("stdin")?)?;
    let from: Vec<String> = lines.collect::<Result<_, _>>()?;
    ensure!(from == ["10.0.0.5"; 8], "{from:?}");
    ensure!(python.wait()?.success());
    s.engine(|e| e.close(&name("in"), false))??;
    Ok(())
}

/// A rule whose pool has nothing may begin with the loopback alone, and get its address later.
#[test]
fn a_hostlet_may_begin_cut_off() -> Result<()> {
    let mut s = Stage::new()?;
    s.lend(&Lifetime::Kept, &[])?;
    ensure!(s.shown()?["state"] == "cut-off");
    s.play(
        "peer m = socket tcp4
         peer bind m 10.0.0.100:9090
         peer listen m
         in a = socket tcp4
         in connect a 10.0.0.100:9090 => ENETUNREACH
         in l = socket tcp4
         in bind l 127.0.0.1:8082
         in listen l
         in k = socket tcp4
         in connect k 127.0.0.1:8082",
    )?;
    s.engine(|e| e.heal())??;
    s.replace(&[], &["10.0.0.5"])?;
    ensure!(s.shown()?["state"] == "live");
    s.play(
        "in b = socket tcp4
         in connect b 10.0.0.100:9090
         peer p = accept m => from 10.0.0.5:*",
    )?;
    // Who asks the command for a hostlet has to say with which addresses.
    let empty = spec("none", &[])?;
    ensure!(s.engine(|e| e.create(&empty))?.is_err());
    s.engine(|e| e.close(&name("in"), true))??;
    Ok(())
}
