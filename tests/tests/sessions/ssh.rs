//! B1: what ssh does beside a shell: forwarding, terminals, files, the login's own connection.

use std::net::IpAddr;
use std::process::{Child, Stdio};

use anyhow::{Result, ensure};

use crate::stage::{OFFICE, Stage, ip, rule, within};

/// A client, ended when dropped.
struct Client(Child);

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Asks for a page on the client's machine, by curl with these arguments.
fn by_client(stage: &Stage, arguments: &[&str], url: &str) -> Result<()> {
    let mut all = vec!["--silent", "--show-error", "--globoff", "--max-time", "20"];
    all.extend(arguments);
    all.push(url);
    stage.client.run("curl", &all).map(drop)
}

#[test]
fn forwarded_ports_leave_with_the_sessions_address() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut held = stage.login("alice")?;
    let first = stage.seen(&mut held, false)?;
    for (option, forward) in [
        ("-L", "127.0.0.1:8081:10.0.0.3:80"),
        ("-D", "127.0.0.1:8082"),
    ] {
        let mut ssh = stage.ssh("alice");
        // Neither program nor shell.
        ssh.args(["-N", option, forward]).stdin(Stdio::null());
        let mut client = Client(ssh.spawn()?);
        stage
            .client
            .wait_listening(if option == "-L" { 8081 } else { 8082 })?;
        let (url, page) = stage.page(false);
        if option == "-L" {
            let local = url.replace("10.0.0.3", "127.0.0.1:8081");
            by_client(&stage, &["--noproxy", "*"], &local)?;
        } else {
            by_client(&stage, &["--proxy", "socks5h://127.0.0.1:8082"], &url)?;
        }
        let own: IpAddr = stage.asked_from(&page)?;
        ensure!(
            within(own, "10.0.0.50", "10.0.0.99"),
            "{option} leaves with {own}"
        );
        ensure!(
            own != first,
            "{option} leaves with the other session's address"
        );
        ensure!(
            matches!(client.0.try_wait(), Ok(None)),
            "the client has ended"
        );
    }
    drop(held);
    stage.nothing_left()
}

#[test]
fn a_forwarded_port_of_the_server_is_the_sessions() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut ssh = stage.ssh("alice");
    ssh.args(["-N", "-R", "8083:10.0.0.3:80"])
        .stdin(Stdio::null());
    let _client = Client(ssh.spawn()?);
    stage.host.wait_listening(8083)?;
    // By the loopback of the session it would be reached by its programs; from the
    // machine's own loopback it is not.
    let (url, _) = stage.page(false);
    let machine = url.replace("10.0.0.3", "127.0.0.1:8083");
    let args = ["--silent", "--max-time", "5", "--noproxy", "*", &machine];
    ensure!(
        !stage.host.output("curl", &args)?.status.success(),
        "reached from outside"
    );
    Ok(())
}

#[test]
fn the_logins_own_connection_is_the_machines() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let mut alice = stage.login("alice")?;
    let connection = alice.run("echo $SSH_CONNECTION")?;
    ensure!(connection.ends_with(" 10.0.0.1 22"), "{connection}");
    let open = stage
        .host
        .run("ss", &["-Htn", "state", "established", "sport = :22"])?;
    ensure!(
        open.lines().count() == 1 && open.contains("10.0.0.1:22"),
        "{open}"
    );
    // It lies outside the session, which is told and is no finding.
    let found = stage.install.json(&stage.host, &["check"])?;
    ensure!(
        found.as_array().is_some_and(|all| all.len() == 1) && found[0]["reason"] == "login",
        "{found}"
    );
    // Much goes through it, both ways.
    let sum = alice.run("head -c 8000000 /dev/zero | tee /dev/stderr | wc -c; true");
    ensure!(
        sum.is_ok_and(|s| s.ends_with("8000000")),
        "8 MB through the session"
    );
    Ok(())
}

#[test]
fn terminals_and_files_are_sessions_too() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    // With a terminal.
    let mut ssh = stage.ssh("alice");
    ssh.args(["-tt", "tty; echo $HOSTLET_ADDRESS"])
        .stdin(Stdio::null());
    let done = ssh.output()?;
    let said = String::from_utf8_lossy(&done.stdout).into_owned();
    ensure!(
        said.contains("/dev/pts/") && said.contains("10.0.0."),
        "{said}"
    );
    stage.nothing_left()?;
    // sftp, by scp.
    let (from, to) = (stage.people.path().join("sent"), stage.people.home("bob"));
    std::fs::write(&from, "a file\n")?;
    let ssh = stage.ssh("bob");
    let mut scp = stage.client.command("scp");
    let last = ssh.get_args().count() - 1;
    scp.args(ssh.get_args().take(last))
        .arg(&from)
        .arg("bob@10.0.0.1:got");
    let done = scp.output()?;
    ensure!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    ensure!(
        std::fs::read_to_string(to.join("got"))? == "a file\n",
        "another file"
    );
    stage.nothing_left()
}

#[test]
fn a_session_gets_nothing_of_the_modules() -> Result<()> {
    let stage = Stage::new(&format!("{OFFICE}{}", rule("office", "")))?;
    let open = "ls -l /proc/self/fd | grep -c socket; cat /proc/$$/status | grep -E 'Sig(Ign|Blk)|NoNewPrivs'";
    let mut alice = stage.login("alice")?;
    let with = alice.status(open)?;
    ensure!(
        within(stage.seen(&mut alice, false)?, "10.0.0.50", "10.0.0.99"),
        "no lease"
    );
    let mut carol = stage.login("carol")?;
    let without = carol.status(open)?;
    ensure!(
        stage.seen(&mut carol, false)? == ip("10.0.0.1"),
        "carol is confined"
    );
    ensure!(with == without, "{with:?} is not {without:?}");
    Ok(())
}
