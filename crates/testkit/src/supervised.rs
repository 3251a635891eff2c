//! Programs that leave the machine as it was, however they end.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::process::ExitCode;

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, WaitOptions, WaitStatus};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::{sweep, wait};

/// How the work came to its end.
enum End {
    Done(WaitStatus),
    Interrupted(i32),
}

/// Does the work in a child, in a session of its own. When that ends, or this program is
/// told to end (SIGINT, SIGTERM, SIGHUP), all processes below it are ended, and what dead ones
/// left is removed; it is so at the start as well, for those that nobody has cleaned up after.
///
/// To be called before there are threads.
pub fn supervised(name: &str, work: impl FnOnce() -> ExitCode) -> ExitCode {
    match sweep::sweep() {
        Ok(0) => {}
        Ok(count) => {
            eprintln!(
                "{name}: removed {count} directories of earlier runs, and what belonged to them"
            );
        }
        Err(why) => eprintln!("{name}: earlier runs left what cannot be removed: {why:#}"),
    }
    // Told to end is already caught when there is something to end.
    let told: Vec<i32> = [SIGINT, SIGTERM, SIGHUP]
        .into_iter()
        .filter(|signal| !ignored(*signal))
        .collect();
    let signals = Signals::new([told.as_slice(), &[SIGCHLD]].concat());
    // SAFETY: there are no other threads, so that the child may go on as this process would.
    let (mut signals, child) = match (signals, unsafe { libc::fork() }) {
        (Ok(signals), 0) => {
            drop(signals);
            return match become_worker(&told) {
                Ok(()) => work(),
                Err(why) => {
                    eprintln!("{name}: {why}");
                    ExitCode::from(2)
                }
            };
        }
        (Ok(signals), pid) if pid > 0 => (signals, pid),
        (Err(why), 0) => {
            eprintln!("{name}: catching signals: {why}");
            return ExitCode::from(2);
        }
        (_, pid) => {
            let why = io::Error::last_os_error();
            eprintln!("{name}: cannot start: {pid} {why}");
            return ExitCode::from(2);
        }
    };
    let end = Pid::from_raw(child)
        .context("no child")
        .and_then(|child| Ok((watch(&mut signals, child)?, child)));
    let (end, clean) = match end {
        Ok((end, child)) => (end, clean_up(child)),
        Err(why) => {
            eprintln!("{name}: {why:#}");
            return ExitCode::from(2);
        }
    };
    if let Err(why) = &clean {
        eprintln!("{name}: cannot clean up: {why:#}");
    }
    let cleaned = if clean.is_ok() { "; cleaned up" } else { "" };
    let code = match end {
        End::Interrupted(signal) => {
            eprintln!("Interrupted{cleaned}");
            128 + signal
        }
        End::Done(status) => match (status.exit_status(), status.terminating_signal()) {
            (Some(0), _) if clean.is_err() => 2,
            (Some(code), _) => code,
            (None, signal) => {
                let signal = signal.unwrap_or_default();
                eprintln!("{name}: ended by signal {signal}{cleaned}");
                128 + signal
            }
        },
    };
    ExitCode::from(u8::try_from(code).unwrap_or(u8::MAX))
}

/// As `nohup` does, and shells with what they start in the background.
fn ignored(signal: i32) -> bool {
    // SAFETY: all zeros are such a structure.
    let mut now: libc::sigaction = unsafe { std::mem::zeroed() };
    // SAFETY: changes nothing, and writes to the structure alone.
    let asked = unsafe { libc::sigaction(signal, std::ptr::null(), &raw mut now) };
    asked == 0 && now.sa_sigaction == libc::SIG_IGN
}

/// In the child: signals are as in any program, the terminal's do not come here, and if the
/// parent is killed, so is this.
fn become_worker(told: &[i32]) -> io::Result<()> {
    for signal in told.iter().chain(&[SIGCHLD]) {
        // SAFETY: sets a default, no handler.
        unsafe { libc::signal(*signal, libc::SIG_DFL) };
    }
    rustix::process::setsid()?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    Ok(())
}

/// Waits for the end of the child, or for being told.
fn watch(signals: &mut Signals, child: Pid) -> Result<End> {
    // What its processes leave behind comes here, and can be ended.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))
        .context("becoming the parent of orphans")?;
    loop {
        while let Some((pid, status)) = reap()? {
            if pid == child {
                return Ok(End::Done(status));
            }
        }
        // Signals that come before this wait are kept for it.
        for signal in signals.wait() {
            if signal != SIGCHLD {
                return Ok(End::Interrupted(signal));
            }
        }
    }
}

/// One child that has ended, if any.
fn reap() -> Result<Option<(Pid, WaitStatus)>> {
    match rustix::process::wait(WaitOptions::NOHANG) {
        Ok(ended) => Ok(ended),
        Err(rustix::io::Errno::CHILD) => Ok(None),
        Err(why) => Err(why).context("waiting for a child"),
    }
}

fn clean_up(child: Pid) -> Result<()> {
    // First who starts others. It is a child that has not been waited for, or is gone.
    if has_children() && children_of(&all_processes(), std::process::id()).contains(&number(child))
    {
        let _ = rustix::process::kill_process(child, Signal::KILL);
        let _ = rustix::process::waitpid(Some(child), WaitOptions::empty());
    }
    wait::until("all processes to end", || {
        sweep::kill_members();
        for pid in below(std::process::id()) {
            if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
                let _ = rustix::process::kill_process(pid, Signal::KILL);
            }
        }
        while matches!(reap(), Ok(Some(_))) {}
        !has_children()
    })?;
    sweep::sweep().map(drop)
}

fn number(pid: Pid) -> u32 {
    pid.as_raw_pid().cast_unsigned()
}

fn has_children() -> bool {
    !children_of(&all_processes(), std::process::id()).is_empty()
}

/// All processes, each with its parent.
fn all_processes() -> Vec<(u32, u32)> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let parents = entries.filter_map(|entry| {
        let pid: u32 = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        // The name, in parentheses, may contain anything.
        let (_, rest) = stat.rsplit_once(')')?;
        Some((pid, rest.split_whitespace().nth(1)?.parse().ok()?))
    });
    parents.collect()
}

fn children_of(all: &[(u32, u32)], parent: u32) -> Vec<u32> {
    let children = all.iter().filter(|(_, of)| *of == parent);
    children.map(|(pid, _)| *pid).collect()
}

/// The process's children, theirs, and so on.
pub fn below(top: u32) -> BTreeSet<u32> {
    let all = all_processes();
    let mut found = BTreeSet::new();
    let mut ahead = vec![top];
    while let Some(parent) = ahead.pop() {
        for child in children_of(&all, parent) {
            if found.insert(child) {
                ahead.push(child);
            }
        }
    }
    found
}
