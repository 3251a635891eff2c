//! Processes as `/proc` shows them.

use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::process::{Command, Stdio};

use hostlet_platform::proc::{self, Process, Rights};

#[test]
fn a_process_is_described() {
    // The name that the kernel shows may contain anything.
    let dir = std::env::temp_dir().join(format!("hlt-proc-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let program = dir.join("odd) S 1 (x");
    fs::copy(fs::canonicalize("/bin/cat").unwrap(), &program).unwrap();
    let mut child = Command::new(&program)
        .args(["-u", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // Once it answers, it is all there.
    child.stdin.as_mut().unwrap().write_all(b"x").unwrap();
    child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
    let found = Process::read(child.id()).unwrap();
    assert_eq!((found.pid, found.parent), (child.id(), std::process::id()));
    assert_eq!(found.comm, "odd) S 1 (x");
    assert_eq!(found.exe, Some(program));
    assert_eq!(found.cmdline[1..], ["-u", "-"]);
    assert_eq!(found.start_ticks, proc::start_ticks(child.id()).unwrap());
    assert!(
        proc::children(std::process::id())
            .unwrap()
            .contains(&child.id())
    );
    assert!(
        proc::descendants(std::process::id())
            .unwrap()
            .contains(&child.id())
    );
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(Process::read(child.id()).is_none());
    assert!(!proc::alive(child.id(), found.start_ticks));
    assert!(proc::socket_inodes(child.id()).unwrap().is_empty());
    fs::remove_dir_all(dir).unwrap();
}

/// Nobody can make himself look gone, to escape a rule (B8) or a listing (C1), by what he calls himself.
#[test]
fn a_name_that_is_no_utf8_hides_nobody() {
    let dir = std::env::temp_dir().join(format!("hlt-proc-name-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let program = dir.join(OsStr::from_bytes(b"a\xff\nb"));
    fs::copy(fs::canonicalize("/bin/sleep").unwrap(), &program).unwrap();
    let mut child = Command::new(&program).arg("1000").spawn().unwrap();
    let found = Process::read(child.id());
    let rights = Rights::of(child.id());
    let peer = hostlet_platform::peer::Peer::of_pid(child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    fs::remove_dir_all(dir).unwrap();
    assert_eq!(found.unwrap().comm, "a\u{fffd}\nb");
    assert_eq!(
        rights.unwrap().uids,
        Rights::of(std::process::id()).unwrap().uids
    );
    assert_eq!(peer.unwrap().pid, child.id());
}

#[test]
fn a_zombie_is_not_alive() {
    let mut child = Command::new("sleep").arg("1000").spawn().unwrap();
    let ticks = proc::start_ticks(child.id()).unwrap();
    assert!(proc::alive(child.id(), ticks));
    assert!(!proc::alive(child.id(), ticks + 1));
    child.kill().unwrap();
    // WNOWAIT leaves the zombie.
    let pid = rustix::process::Pid::from_raw(child.id() as i32).unwrap();
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
    assert_eq!(proc::start_ticks(child.id()), Some(ticks));
    assert!(!proc::alive(child.id(), ticks));
    child.wait().unwrap();
}

#[test]
fn own_facts_are_consistent() {
    let own = Process::read(std::process::id()).unwrap();
    assert_eq!(own.exe, std::env::current_exe().ok());
    assert_eq!(own.cmdline.len(), std::env::args_os().len());
    assert_eq!(
        proc::netns_ino(std::process::id()).unwrap(),
        proc::own_netns_ino().unwrap()
    );
    assert_eq!(proc::boot_id().unwrap().len(), 36);
    assert!(proc::cgroup(std::process::id()).unwrap().starts_with('/'));
}
