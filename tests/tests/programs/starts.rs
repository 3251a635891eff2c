//! Ways to start a program.

use anyhow::{Result, ensure};

use crate::stage::{Stage, hostlet, rule};

#[test]
fn a_listed_program_starts_in_a_hostlet_and_no_other_does() -> Result<()> {
    let stage = Stage::new(|bin| rule(&format!("{bin}/show"), ""))?;
    ensure!(stage.place("show")?.is_some());
    ensure!(stage.place("other")?.is_none());
    // Root is not the user.
    let output = stage
        .host
        .output(&stage.path("show"), &["/proc/self/cgroup"])?;
    ensure!(hostlet(output)?.is_none());
    for _ in 0..1000 {
        ensure!(stage.place("other")?.is_none());
    }
    Ok(())
}

#[test]
fn replaced_it_is_the_same_program_and_by_another_name_it_is_not() -> Result<()> {
    let stage = Stage::new(|bin| rule(&format!("{bin}/show"), ""))?;
    let (show, other) = (stage.path("show"), stage.path("other"));
    stage.sh(&format!("cp {other} {show}.new; mv {show}.new {show}"))?;
    ensure!(stage.place("show")?.is_some());
    // Started under its old name before it was put there.
    ensure!(stage.place("other")?.is_none());
    stage.sh(&format!("mv {other} {show}"))?;
    ensure!(stage.place("show")?.is_some());
    stage.sh(&format!("ln {show} {other}"))?;
    ensure!(stage.place("other")?.is_none());
    stage.sh(&format!("ln -sf {show} {other}"))?;
    ensure!(stage.place("other")?.is_some());
    Ok(())
}

#[test]
fn scripts_and_every_way_to_start_something() -> Result<()> {
    let stage = Stage::new(|bin| rule(&format!("{bin}/*"), ""))?;
    let script = stage.path("script");
    stage.sh(&format!(
        "printf '#!/bin/cat /proc/self/cgroup\\n' > {script}; chmod 755 {script}"
    ))?;
    let output = stage.user(&script).output()?;
    ensure!(hostlet(output)?.is_some(), "a script");
    for text in [
        "import os,sys; os.waitpid(os.posix_spawn(sys.argv[1], sys.argv[1:], {}), 0)",
        "import os,sys,threading; threading.Thread(target=lambda: os.execv(sys.argv[1], sys.argv[1:])).start(); threading.Event().wait()",
        "import subprocess,sys; subprocess.run(sys.argv[1:])",
    ] {
        let mut command = stage.user("/usr/bin/python3");
        command.args(["-c", text, &stage.path("show"), "/proc/self/cgroup"]);
        ensure!(hostlet(command.output()?)?.is_some(), "{text}");
    }
    Ok(())
}

/// B8: what a process calls itself before it starts a program is its own affair, and takes it out of no rule.
#[test]
fn no_name_of_whoever_starts_it_hides_a_start() -> Result<()> {
    let stage = Stage::new(|bin| rule(&format!("{bin}/show"), ""))?;
    // PR_SET_NAME.
    let text = "import ctypes,os,sys; ctypes.CDLL(None).prctl(15, b'a\\xff'); os.execv(sys.argv[1], sys.argv[1:])";
    let mut command = stage.user("/usr/bin/python3");
    command.args(["-c", text, &stage.path("show"), "/proc/self/cgroup"]);
    ensure!(hostlet(command.output()?)?.is_some());
    Ok(())
}

#[test]
fn of_a_program_that_is_left_alone_so_is_the_linker() -> Result<()> {
    let stage = Stage::new(|bin| {
        let alone = format!(
            "[[rule]]\nname = \"alone\"\nper = \"none\"\nwho = [\"user:4711\"]\nprograms = [\"{bin}/other\"]\n"
        );
        format!("{alone}{}", rule("*", ""))
    })?;
    // setpriv itself is started by root.
    ensure!(stage.place("other")?.is_none());
    ensure!(stage.place("show")?.is_some());
    Ok(())
}
