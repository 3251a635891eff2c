//! Nothing to be had, new rules, and a hostletd that goes.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::stage::{Stage, USER, rule};

#[test]
fn without_an_address_the_rule_says_what_becomes_of_it() -> Result<()> {
    let listed = |bin: &str| format!("{bin}/show");
    let stage = Stage::new(|bin| rule(&listed(bin), ""))?;
    let bin = stage.bin.display().to_string();
    let mut holders = Vec::new();
    for _ in 0..2 {
        let mut command = stage.user(&stage.path("show"));
        command.args(["/proc/self/cgroup", "-"]);
        let mut holder = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let mut said = BufReader::new(holder.stdout.take().context("its output")?);
        let mut line = String::new();
        // Once it says something it has started.
        said.read_line(&mut line)?;
        holders.push((holder, said));
    }
    let error = stage.place("show").expect_err("there is nothing left");
    ensure!(error.to_string().contains("not permitted"), "{error}");
    stage.configure(&rule(&listed(&bin), "unavailable = \"fall-back\""))?;
    stage.reload()?;
    ensure!(stage.place("show")?.is_none());
    stage.configure(&rule(&listed(&bin), "unavailable = \"cut-off\""))?;
    stage.reload()?;
    ensure!(stage.place("show")?.is_some());
    stage.configure("")?;
    stage.reload()?;
    ensure!(stage.place("show")?.is_none());
    for (mut holder, _said) in holders {
        drop(holder.stdin.take());
        ensure!(holder.wait()?.success());
    }
    Ok(())
}

#[test]
fn nobody_waits_for_a_hostletd_that_is_gone() -> Result<()> {
    let mut stage = Stage::new(|bin| rule(&format!("{bin}/show"), ""))?;
    let daemon = stage.daemon.as_mut().context("hostletd")?;
    // It is asked, and does not answer.
    daemon.signal(19)?;
    let mut command = stage.user(&stage.path("show"));
    let child = command.arg("/dev/null").stdin(Stdio::null());
    std::thread::scope(|scope| -> Result<()> {
        // spawn waits for the execve of setpriv alone.
        let child = scope.spawn(|| child.spawn()?.wait());
        stage.daemon.take().context("hostletd")?.kill()?;
        let status = child.join().ok().context("a panic")??;
        ensure!(status.success(), "{status}");
        Ok(())
    })?;
    ensure!(stage.place("show")?.is_none());
    Ok(())
}

#[test]
fn who_has_the_lock_of_the_installation_waits_no_longer_than_the_deadline() -> Result<()> {
    let deadline = "[sessions]\ndeadline = \"3s\"\n";
    let stage = Stage::new(|bin| format!("{deadline}{}", rule(&format!("{bin}/show"), "")))?;
    let lock = stage.install.root().join("run/lock");
    let place = stage.path("show");
    let locked = |program: &str| -> Result<bool> {
        let mut command = stage.host.command("flock");
        let id = USER.to_string();
        command
            .arg(&lock)
            .args(["setpriv", "--reuid", &id, "--clear-groups"]);
        Ok(command.args([program, "/dev/null"]).status()?.success())
    };
    // What no rule is about takes no notice; what one is about is refused, and not for good.
    ensure!(locked(&stage.path("other"))?);
    ensure!(!locked(&place)?);
    ensure!(stage.place("show")?.is_some());
    Ok(())
}
