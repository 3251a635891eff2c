//! People of a test's own, and a real sshd that they log in to. They need root.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{HOST_NAME, PEOPLE, People};
use hostlet_testkit::segment::Segment;
use hostlet_testkit::sshd::{Session, Sshd};

#[test]
fn people_are_seen_by_their_machine_alone() -> Result<()> {
    let (people, ns) = (People::new()?, NetNs::new("host")?);
    let host = people.on(&ns)?;
    let said = host.run("id", &["alice"])?;
    ensure!(
        said.starts_with("uid=1001(alice)") && said.contains("(staff)"),
        "{said}"
    );
    ensure!(
        !host.run("id", &["carol"])?.contains("staff"),
        "carol is staff"
    );
    ensure!(host.run("uname", &["-n"])?.trim() == HOST_NAME, "its name");
    // Who may have an alice of its own.
    let accounts = std::fs::read_to_string("/etc/passwd")?;
    ensure!(
        ns.run("cat", &["/etc/passwd"])? == accounts,
        "alice is everywhere"
    );
    host.run("logger", &["--priority", "auth.err", "a word"])?;
    people.log().wait("a word")?;
    // What a terminal needs, and a home of one's own.
    let said = host.run(
        "script",
        &["-qec", "su - bob -c 'tty; touch x; pwd'", "/dev/null"],
    )?;
    ensure!(
        said.contains("/dev/pts/") && said.contains("/home/bob"),
        "{said}"
    );
    ensure!(
        people.home("bob").join("x").exists(),
        "no file in bob's home"
    );
    // A password is asked for, and checked.
    for (word, good) in [("word-of-alice", true), ("another", false)] {
        let mut asked = host.command("pamtester");
        asked
            .args(["login", "alice", "authenticate"])
            .stdin(Stdio::piped());
        let mut child = asked.stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let input = child.stdin.take().context("no input")?;
        std::io::Write::write_all(&mut &input, format!("{word}\n").as_bytes())?;
        drop(input);
        ensure!(child.wait()?.success() == good, "{word}");
    }
    Ok(())
}

#[test]
fn two_people_log_in_at_the_same_time() -> Result<()> {
    let (people, segment) = (People::new()?, Segment::new()?);
    let (host, client) = (NetNs::new("host")?, NetNs::new("client")?);
    segment.plug(&host, "eth0", &["10.0.0.1/24"])?;
    segment.plug(&client, "eth0", &["10.0.0.4/24"])?;
    let (host, client) = (people.on(&host)?, people.on(&client)?);
    let sshd = Sshd::start(&host, "")?;
    let mut alice = Session::open("alice", sshd.client(&client, "alice", "10.0.0.1"))?;
    let bob = PEOPLE.iter().find(|p| p.name == "bob").context("bob")?;
    let by_password = sshd.client_by_password(&client, bob, "10.0.0.1");
    let mut bob = Session::open("bob", by_password)?;
    ensure!(alice.run("id -un; pwd")? == "alice\n/home/alice", "alice");
    ensure!(bob.run("printf x; id -un")? == "xbob", "bob");
    ensure!(
        alice.status("echo no; (exit 3)")? == (3, "no".into()),
        "an exit status"
    );
    ensure!(bob.run("echo; echo; true")? == "\n", "empty lines are kept");
    ensure!(
        alice.run("echo $SSH_CONNECTION | cut -d' ' -f1")? == "10.0.0.4",
        "from"
    );
    ensure!(
        alice.end()?.success() && bob.end()?.success(),
        "logging out"
    );
    Ok(())
}
