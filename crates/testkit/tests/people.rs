//! People of a test's own, and a real sshd that they log in to. They need root.

use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use hostlet_testkit::netns::NetNs;
use hostlet_testkit::people::{HOST_NAME, People};

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
    ensure!(
        !ns.output("id", &["alice"])?.status.success(),
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
