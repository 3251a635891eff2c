//! The programs that check the product leave the machine as it was when they are interrupted,
//! or killed and started anew. They need root.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use hostlet_testkit::ends::Ends;
use hostlet_testkit::supervised::below;
use hostlet_testkit::{sweep, wait};

/// What such a program has on the machine.
#[derive(Debug, Default)]
struct Traces {
    directories: Vec<PathBuf>,
    cgroups: Vec<PathBuf>,
    mounts: Vec<PathBuf>,
    processes: BTreeSet<(u32, String)>,
}

impl Traces {
    fn of(program: u32) -> Traces {
        let processes = below(program);
        let made = processes.iter().map(|pid| sweep::directories_of(*pid));
        let directories: Vec<_> = made.flatten().collect();
        Traces {
            cgroups: directories.iter().flat_map(|d| sweep::cgroups(d)).collect(),
            mounts: directories
                .iter()
                .flat_map(|d| sweep::mounts_below(d))
                .collect(),
            processes: processes
                .into_iter()
                .filter_map(|pid| Some((pid, begin(pid)?)))
                .collect(),
            directories,
        }
    }

    /// There is something of everything, so that its absence tells something.
    fn complete(&self) -> bool {
        !self.cgroups.is_empty() && !self.mounts.is_empty() && self.processes.len() > 5
    }

    /// Waits until nothing of it is left: another such program that starts at this moment may have it in hand.
    fn go(&self) -> Result<()> {
        let mut left = Ok(());
        let _ = wait::until("all of it to be gone", || {
            left = self.gone();
            left.is_ok()
        });
        left
    }

    fn gone(&self) -> Result<()> {
        for path in self.directories.iter().chain(&self.cgroups) {
            ensure!(!path.exists(), "left: {}", path.display());
        }
        for directory in &self.directories {
            let mounts = sweep::mounts_below(directory);
            ensure!(mounts.is_empty(), "left: {mounts:?}");
        }
        let alive = |(pid, since): &&(u32, String)| begin(*pid).as_ref() == Some(since);
        let left: Vec<_> = self.processes.iter().filter(alive).collect();
        ensure!(left.is_empty(), "left: processes {left:?}");
        Ok(())
    }
}

/// When a process began; none if it has ended.
fn begin(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = stat.rsplit_once(')')?;
    let words: Vec<_> = rest.split_whitespace().collect();
    let alive = !matches!(*words.first()?, "Z" | "X");
    alive.then(|| words.get(19).map(|w| (*w).to_owned()))?
}

/// Starts the program and waits until it is in the middle of its work.
fn start(program: &str, args: &[&str]) -> Result<(Child, Traces)> {
    let mut child = Command::new(program)
        .args(args)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    let mut traces = Traces::default();
    wait::until_within(wait::LIMIT * 6, "the program to be at work", || {
        traces = Traces::of(child.id());
        traces.complete() || !matches!(child.try_wait(), Ok(None))
    })?;
    ensure!(traces.complete(), "{program} ended too early: {traces:?}");
    Ok((child, traces))
}

fn send(child: &Child, signal: i32) -> Result<()> {
    // SAFETY: takes no pointers; the child has not been waited for.
    let sent = unsafe { libc::kill(child.id().cast_signed(), signal) };
    ensure!(sent == 0, "kill: {}", std::io::Error::last_os_error());
    Ok(())
}

fn interrupted(program: &str, args: &[&str], signal: i32) -> Result<()> {
    let (child, traces) = start(program, args)?;
    send(&child, signal)?;
    let done = child.wait_with_output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(
        done.status.code() == Some(128 + signal),
        "{}: {said}",
        done.status
    );
    ensure!(said.ends_with("Interrupted; cleaned up\n"), "{said}");
    traces.go()
}

#[test]
fn bypass_told_to_end_leaves_nothing() -> Result<()> {
    let bypass = env!("CARGO_BIN_EXE_bypass");
    interrupted(bypass, &["processes", "life"], libc::SIGTERM)
}

#[test]
fn conformance_interrupted_leaves_nothing() -> Result<()> {
    let conformance = env!("CARGO_BIN_EXE_conformance");
    interrupted(
        conformance,
        &["named", "matrix/", "--jobs", "2"],
        libc::SIGINT,
    )
}

#[test]
fn endurance_hung_up_leaves_nothing() -> Result<()> {
    let endurance = env!("CARGO_BIN_EXE_endurance");
    interrupted(endurance, &["churn", "10", "20", "5"], libc::SIGHUP)
}

/// Nobody cleans up after the first; the second does. A filter that fits nothing is an error.
#[test]
fn what_a_killed_run_left_goes_with_the_next() -> Result<()> {
    let conformance = env!("CARGO_BIN_EXE_conformance");
    let (mut child, traces) = start(conformance, &["named", "matrix/", "--jobs", "1"])?;
    let makers = below(child.id())
        .into_iter()
        .filter(|pid| !sweep::directories_of(*pid).is_empty());
    let makers = Ends::of(&makers.map(u32::cast_signed).collect::<Vec<_>>());
    send(&child, libc::SIGKILL)?;
    child.wait()?;
    // What it worked with is killed with it, whoever waits for that now.
    makers.wait()?;
    let done = Command::new(conformance)
        .args(["named", "nosuchfilter"])
        .stdin(Stdio::null())
        .output()?;
    let said = String::from_utf8_lossy(&done.stderr);
    ensure!(done.status.code() == Some(2), "{}: {said}", done.status);
    ensure!(
        said.contains("no named case is called nosuchfilter") && said.contains("matrix/sharing"),
        "{said}"
    );
    traces.go()
}
