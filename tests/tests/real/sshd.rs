//! OpenSSH: Debian's configuration, and ports that it opens for those who log in.

use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::daemon::Daemon;
use hostlet_testkit::dir::TestDir;
use hostlet_testkit::servers::ask::{Ask, Got, client};
use hostlet_testkit::servers::machines::{Machines, on_both};
use hostlet_testkit::servers::recipe::{Ready, Recipe};
use hostlet_testkit::wait;

use crate::side_by_side;

/// Debian's configuration; those who ask and go, faster than they are seen to be gone, are no attack.
const SSHD: Recipe = Recipe {
    name: "sshd",
    user: None,
    files: &[(
        "sshd_config",
        "HostKey @dir@/host
        PidFile @dir@/pid
        AuthorizedKeysFile @keys@/key.pub
        StrictModes no
        KbdInteractiveAuthentication no
        UsePAM no
        X11Forwarding yes
        PrintMotd no
        AcceptEnv LANG LC_*
        Subsystem sftp /usr/lib/openssh/sftp-server
        LogLevel VERBOSE
        MaxStartups 1000
        VersionAddendum @who@",
    )],
    setup: &[
        &["cp", "@keys@/host", "@dir@/host"],
        // Where Debian's sshd wants an empty directory, which its unit makes.
        &["mkdir", "-p", "/run/sshd"],
    ],
    command: &["/usr/sbin/sshd", "-D", "-e", "-f", "@dir@/sshd_config"],
    ready: Ready::Says("Server listening on"),
    pid: None,
    log: None,
};

fn keys() -> Result<TestDir> {
    let dir = TestDir::new("keys")?;
    for key in ["host", "key"] {
        let mut made = Command::new("ssh-keygen");
        made.args(["-q", "-t", "ed25519", "-N", "", "-f"]);
        let done = made.arg(dir.path().join(key)).output();
        let done = done.context("starting ssh-keygen: install openssh-client")?;
        ensure!(done.status.success(), "ssh-keygen failed");
    }
    Ok(dir)
}

#[test]
fn sshd_and_what_it_forwards() -> Result<()> {
    let keys = keys()?;
    let at = keys.path().display().to_string();
    on_both(
        |machines| {
            machines.word("keys", &at);
            forwarded(machines, &at)
        },
        &[
            // What is drawn or said by a process of its own for each connection, in any order.
            "Connection closed by",
            "Connection reset by",
            "Starting session",
            "Close session",
            "isconnect",
            // What OpenSSH 9.8 and newer hold against who leaves early, with the time it took.
            "srclimit_penalise",
            // The host's own connections to addresses that are on it come from those.
            "Connection from 2001:db8::1 ",
        ],
    )
}

/// `ssh root@AT` from a machine; options and a command are to be added.
fn ssh(machines: &Machines, keys: &str, from: &str, at: &str) -> Result<Command> {
    let mut ssh = machines.command(from, "ssh")?;
    ssh.args(["-F", "/dev/null", "-o", "StrictHostKeyChecking=no"]);
    ssh.args(["-o", "UserKnownHostsFile=/dev/null", "-o", "LogLevel=ERROR"]);
    ssh.args(["-o", "BatchMode=yes", "-o", "ExitOnForwardFailure=yes"]);
    ssh.args(["-i", &format!("{keys}/key"), &format!("root@{at}")]);
    ssh.stdin(Stdio::null());
    Ok(ssh)
}

fn said(mut command: Command) -> Result<String> {
    let done = command.output().context("starting ssh")?;
    let (out, err) = (
        String::from_utf8_lossy(&done.stdout),
        String::from_utf8_lossy(&done.stderr),
    );
    ensure!(done.status.success(), "{}: {err}{out}", done.status);
    Ok(out.trim().to_owned())
}

fn forwarded(machines: &Machines, keys: &str) -> Result<()> {
    let all = ["host", "in", "other"];
    let ask = Ask::tcp(22, "");
    let servers = side_by_side(machines, &SSHD, &ask, &all, |server| {
        // One line for each family.
        wait::until("both families", || {
            server
                .said()
                .is_ok_and(|log| log.count("Server listening on") == 2)
        })
    })?;

    // Who comes, and whom he came to.
    for (at, client, server) in [
        ("10.0.0.9", "10.0.0.5", "10.0.0.9"),
        ("2001:db8::9", "2001:db8::5", "2001:db8::9"),
        ("::1", "::1", "::1"),
        ("127.0.0.1", "127.0.0.1", "127.0.0.1"),
        ("10.0.0.6", "10.0.0.5", "10.0.0.6"),
    ] {
        let mut login = ssh(machines, keys, "in", at)?;
        login.arg("echo $SSH_CONNECTION");
        let got = said(login)?;
        let words: Vec<_> = got.split(' ').collect();
        let right = matches!(words[..], [c, _, s, "22"] if (c, s) == (client, server));
        ensure!(right, "{at}: {got}");
    }
    servers[2].said()?.wait("Connection from 10.0.0.5 port")?;

    // -R: sshd listens on the loopback of its own machine, for two at the same time; with
    // GatewayPorts it would be all of that machine's addresses. -L, -D: the client does.
    let mut tunnels = Vec::new();
    for (from, to) in [
        ("in", "10.0.0.9"),
        ("other", "10.0.0.5"),
        ("peer", "10.0.0.1"),
    ] {
        let mut tunnel = ssh(machines, keys, from, to)?;
        tunnel.args(["-v", "-o", "LogLevel=DEBUG1"]);
        // To what is port 22 of the one who asks, by the name of the loopback.
        let back = if from == "peer" {
            "10.0.0.9"
        } else {
            "localhost"
        };
        tunnel.args(["-R", &format!("7001:{back}:22")]);
        tunnel.args([
            "-L",
            "7002:localhost:22",
            "-L",
            "*:7003:[::1]:22",
            "-D",
            "7004",
        ]);
        tunnel.arg("echo forwarded; exec sleep 1000");
        tunnels.push(Daemon::ready("ssh", tunnel, "forwarded")?);
    }
    let banner = |machine: &str, address: &str, port: u16| -> Result<String> {
        let ask = Ask::tcp(port, "");
        let client = client()?;
        let client = client.to_str().context("a path")?;
        let got = ask.all(machines.command(machine, client)?, &[address])?;
        Ok(match got.into_iter().next() {
            Some(Got::Answer { who, .. }) => who,
            _ => "nobody".into(),
        })
    };
    for (machine, address, port, expected) in [
        ("other", "127.0.0.1", 7001, "in"),
        ("other", "::1", 7001, "in"),
        ("in", "127.0.0.1", 7001, "other"),
        ("in", "::1", 7001, "other"),
        ("host", "127.0.0.1", 7001, "other"),
        ("peer", "10.0.0.9", 7001, "nobody"),
        ("peer", "10.0.0.5", 7001, "nobody"),
        ("in", "127.0.0.1", 7002, "other"),
        ("in", "::1", 7002, "other"),
        ("other", "::1", 7002, "in"),
        ("peer", "127.0.0.1", 7002, "host"),
        ("peer", "10.0.0.6", 7002, "nobody"),
        ("peer", "10.0.0.6", 7003, "other"),
        ("peer", "2001:db8::9", 7003, "in"),
        ("other", "127.0.0.1", 7003, "in"),
        ("host", "127.0.0.1", 7003, "nobody"),
    ] {
        let who = banner(machine, address, port)?;
        ensure!(
            who == expected,
            "{machine} to {address} port {port}: {who}, not {expected}"
        );
    }
    // Through the tunnel the name is the far machine's.
    let socks = [
        "curl",
        "-sS",
        "--max-time",
        "5",
        "--http0.9",
        "--output",
        "-",
    ];
    let through = [
        "--socks5-hostname",
        "127.0.0.1:7004",
        "http://localhost:22/",
    ];
    let done = machines.output("in", &[&socks[..], &through].concat())?;
    let got = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(got.contains("who-other"), "through the proxy: {got}");

    // X11: the first display of each machine, on its own loopback.
    for (from, to) in [
        ("peer", "10.0.0.5"),
        ("peer", "2001:db8::9"),
        ("peer", "10.0.0.1"),
    ] {
        let mut session = ssh(machines, keys, from, to)?;
        session.env("DISPLAY", "localhost:77").args(["-Y"]);
        session.arg(
            "echo displayed $DISPLAY; for a in 127.0.0.1 ::1; do \
             (exec 3<>/dev/tcp/$a/6010) && echo open $a; done; exec sleep 1000",
        );
        let session = Daemon::ready(to, session, "displayed")?;
        let line = session.log().wait("displayed")?;
        ensure!(line == "displayed localhost:10.0", "at {to}: {line}");
        for address in ["127.0.0.1", "::1"] {
            session.log().wait(&format!("open {address}"))?;
        }
        tunnels.push(session);
    }
    Ok(())
}
