//! In whose name a lent hostlet is, and how long it lives.

use std::os::unix::net::UnixListener;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hostlet_model::Lifetime;
use hostlet_platform::peer::Peer;
use hostlet_testkit::dir::TestDir;

use crate::stage::{Stage, by, name, spec, waiting, while_lives};

const CONNECT: &str = "import socket, sys
with socket.socket(socket.AF_UNIX) as s:
    s.connect(sys.argv[1])
    sys.stdin.read()";

/// B3, B13: it is made in the caller's name, lives as long as he or a member does, and goes then.
#[test]
fn a_lent_hostlet_is_its_callers() -> Result<()> {
    let mut s = Stage::new()?;
    let mut caller = waiting()?;
    s.lend(&while_lives(caller.id())?, &["10.0.0.5"])?;
    let shown = s.shown()?;
    ensure!(shown["user"] == "alice" && shown["uid"] == 4711 && shown["state"] == "live");
    ensure!(shown["fallen_back"] == false && shown["addresses"][0]["assigned"] == false);
    let install = s.lan.install().context("hostlets")?;
    let history = install.json(s.lan.host(), &["history"])?;
    ensure!(history.to_string().contains("\"sleep\""), "{history}");
    let rows = s.engine(|e| e.hostlets())??;
    ensure!(rows.len() == 1 && rows[0].user == "alice");

    // Another process that connects comes in, only into what is there, and once.
    let dir = TestDir::new("join")?;
    let socket = dir.path().join("socket");
    let listener = UnixListener::bind(&socket)?;
    let mut other = s.lan.host().command("python3");
    other.args(["-c", CONNECT]).arg(&socket);
    let mut other = other.stdin(Stdio::piped()).spawn()?;
    let peer = Peer::of(&listener.accept()?.0)?;
    let pid = peer.pid;
    ensure!(pid == other.id());
    ensure!(s.engine(|e| e.join(&name("out"), &peer, None))?.is_err());
    let cgroup = s.engine(|e| e.join(&name("in"), &peer, None))??;
    ensure!(cgroup.ends_with("/in"), "{cgroup}");
    let again = s.engine(|e| e.join(&name("in"), &peer, None))?;
    let said = again.err().context("it joined twice")?.to_string();
    ensure!(said.contains("in hostlet 'in' already"), "{said}");
    let at = s.engine(|e| e.cgroup_of(&name("in")))?;
    let members = std::fs::read_to_string(at.join("cgroup.procs"))?;
    ensure!(members.lines().any(|l| l == pid.to_string()), "{members}");

    ensure!(!s.engine(|e| e.end(&name("in")))??);
    caller.kill()?;
    caller.wait()?;
    ensure!(!s.engine(|e| e.end(&name("in")))??, "members live");
    s.players.take("in")?.finish()?;
    ensure!(!s.engine(|e| e.end(&name("in")))??, "one member lives");
    other.kill()?;
    other.wait()?;
    ensure!(s.engine(|e| e.end(&name("in")))??);
    ensure!(s.engine(|e| e.hostlets())??.is_empty() && !at.exists());
    ensure!(s.engine(|e| e.end(&name("in")))??, "again");
    // What others put on the interface is theirs.
    let addresses = s.lan.host().run("ip", &["address"])?;
    ensure!(addresses.contains("10.0.0.5/24"));
    Ok(())
}

/// Whoever was told no keeps nothing, and users reach the socket beside a lock that they cannot take.
#[test]
fn what_cannot_be_lent_leaves_nothing() -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let s = Stage::new()?;
    for wrong in [["10.0.0.77"], ["10.0.0.9"]] {
        if wrong == ["10.0.0.9"] {
            let theirs = spec("other", &wrong)?;
            s.engine(|e| e.lend(&theirs, &Lifetime::Kept, &by()))??;
        }
        let spec = spec("in", &wrong)?;
        ensure!(
            s.engine(|e| e.lend(&spec, &Lifetime::Kept, &by()))?
                .is_err()
        );
    }
    ensure!(s.engine(|e| e.hostlets())??.len() == 1);
    ensure!(
        !s.engine(|e| e.end(&name("other")))??,
        "it is kept until it is removed"
    );
    let paths = s.engine(|e| e.paths().clone())?;
    let mode = |path: &std::path::Path| -> Result<u32> {
        Ok(std::fs::metadata(path)?.permissions().mode() & 0o777)
    };
    ensure!(mode(&paths.run)? == 0o755 && mode(&paths.lock())? == 0o600);
    ensure!(paths.socket().parent() == Some(paths.run.as_path()));
    s.engine(|e| e.close(&name("other"), false))??;
    Ok(())
}
