//! A loader nobody notices: signals, stops, terminals, time limits, sudden deaths.

mod common;

use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::Command;

use common::{LIMIT, Running, Sandbox, example, loader, output, sh};
use hostlet_platform::cgroup::Cgroup;
use hostlet_platform::proc;

fn start(cgroup: &Cgroup, program: &[&str]) -> Running {
    // A process group of its own, as a shell with job control makes it.
    Running::start(loader(cgroup, &[], program).process_group(0))
}

#[test]
fn signals_are_forwarded_and_the_status_stays_the_programs() {
    let (_sandbox, cgroup) = Sandbox::with_box("forward");
    let signals = ["15", "2", "1", "10", "28", "3", "34"];
    let reporter = example("reporter");
    let program: Vec<_> = [reporter.to_str().unwrap()]
        .into_iter()
        .chain(signals)
        .collect();
    let mut running = start(&cgroup, &program);
    assert_eq!(running.line(), "ready");
    for signal in signals {
        running.signal(signal.parse().unwrap());
        assert_eq!(running.line(), format!("got {signal}"));
    }
    assert_eq!(running.end().code(), Some(5));
}

#[test]
fn a_forwarded_signal_that_kills_is_the_status() {
    let (_sandbox, cgroup) = Sandbox::with_box("killed");
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGALRM, libc::SIGRTMIN()] {
        let mut running = start(&cgroup, &["sh", "-c", "echo ready; exec sleep 1000"]);
        assert_eq!(running.line(), "ready");
        running.signal(signal);
        assert_eq!(running.end().signal(), Some(signal));
    }
}

#[test]
fn time_limits_work() {
    let (sandbox, cgroup) = Sandbox::with_box("timeout");
    let attempt = |options: &[&str], program: &str| {
        Command::new("timeout")
            .args(options)
            .arg(example("loader"))
            .arg(cgroup.path())
            .args(["--", "bash", "-c", program])
            .output()
            .unwrap()
    };
    assert_eq!(
        attempt(&["0.2"], "exec sleep 1000").status.code(),
        Some(124)
    );
    assert_eq!(
        attempt(&["--foreground", "0.2"], "exec sleep 1000")
            .status
            .code(),
        Some(124)
    );
    let said = attempt(
        &["0.2"],
        "trap 'echo bye; exit 3' TERM; while :; do read -t 1000 < <(sleep 1000); done",
    );
    // Maybe twice: a time limit is announced to the loader and to the group.
    assert!(said.stdout.starts_with(b"bye\n"));
    let killed = attempt(&["-s", "KILL", "0.2"], "exec sleep 1000");
    assert_eq!(killed.status.signal(), Some(libc::SIGKILL));
    assert!(sandbox.tree.wait_empty("box", LIMIT).unwrap());
    assert!(attempt(&["100"], "exit 0").status.success());
}

#[test]
fn a_member_that_signals_its_own_group_gets_it_once() {
    let (_sandbox, cgroup) = Sandbox::with_box("group");
    let reporter = example("reporter");
    let program = [reporter.to_str().unwrap(), "--group", "15", "15", "28"];
    let mut running = start(&cgroup, &program);
    assert_eq!(running.line(), "ready");
    assert_eq!(running.line(), "got 15");
    // Forwarded after whatever came before it.
    running.signal(libc::SIGWINCH);
    assert_eq!(running.line(), "got 28");
    assert_eq!(running.end().code(), Some(5));
}

#[test]
fn ignored_signals_and_the_mask_are_inherited() {
    let (_sandbox, cgroup) = Sandbox::with_box("inherit");
    let field = |status: &str, name: &str| {
        let line = status.lines().find_map(|l| l.strip_prefix(name)).unwrap();
        let bits = u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap();
        // 32 and 33 belong to the C library.
        bits & !(3 << 31)
    };
    let bit = |signal: i32| 1u64 << (signal - 1);
    let plain = output(&cgroup, &[], &["cat", "/proc/self/status"]);
    let bare = sh("exec cat /proc/self/status");
    for name in ["SigBlk", "SigIgn"] {
        assert_eq!(field(&plain, name), field(&bare, name), "{name}");
    }
    let script = format!(
        "trap '' PIPE HUP USR1 CHLD; exec {} {} -- cat /proc/self/status",
        example("loader").display(),
        cgroup.path().display()
    );
    // dash does not pass SIGCHLD on as ignored; bash does.
    let ended = Command::new("bash").args(["-c", &script]).output().unwrap();
    assert!(
        ended.status.success(),
        "the status survives an ignored SIGCHLD"
    );
    let status = String::from_utf8(ended.stdout).unwrap();
    let ignored = field(&status, "SigIgn");
    for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGUSR1, libc::SIGCHLD] {
        assert_ne!(ignored & bit(signal), 0, "{signal}");
    }
}

#[test]
fn without_a_terminal_a_stopped_program_does_not_stop_the_loader() {
    let (sandbox, cgroup) = Sandbox::with_box("stop");
    let reporter = example("reporter");
    let mut command = loader(&cgroup, &[], &[reporter.to_str().unwrap(), "15"]);
    // SAFETY: setsid is async-signal-safe.
    unsafe { command.pre_exec(|| rustix::process::setsid().map(|_| ()).map_err(Into::into)) };
    let mut running = Running::start(&mut command);
    assert_eq!(running.line(), "ready");
    let member = sandbox.tree.members("box", true).unwrap()[0];
    sh(&format!("kill -STOP {member}"));
    running.signal(libc::SIGTERM);
    // The loader is awake: told to continue, it continues the program.
    running.signal(libc::SIGCONT);
    assert_eq!(running.line(), "got 15");
    assert_eq!(running.end().code(), Some(5));
}

#[test]
fn the_program_outlives_a_killed_loader() {
    let (sandbox, cgroup) = Sandbox::with_box("orphan");
    let running = start(&cgroup, &["sh", "-c", "echo ready; exec sleep 1000"]);
    let mut running = running;
    assert_eq!(running.line(), "ready");
    let member = sandbox.tree.members("box", true).unwrap();
    running.signal(libc::SIGKILL);
    assert_eq!(running.end().signal(), Some(libc::SIGKILL));
    assert_eq!(sandbox.tree.members("box", true).unwrap(), member);
    assert!(proc::alive(
        member[0],
        proc::start_ticks(member[0]).unwrap()
    ));
}

#[test]
fn a_killed_program_ends_the_loader_alike() {
    let (sandbox, cgroup) = Sandbox::with_box("kill");
    let mut running = start(&cgroup, &["sh", "-c", "echo ready; exec sleep 1000"]);
    assert_eq!(running.line(), "ready");
    sandbox.tree.kill("box").unwrap();
    assert_eq!(running.end().signal(), Some(libc::SIGKILL));
    assert!(sandbox.tree.wait_empty("box", LIMIT).unwrap());
}
