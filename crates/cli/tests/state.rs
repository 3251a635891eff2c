//! What is true stays true: upgrades, restarts, two at once, killed runs. The next command heals.

mod common;

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use serde_json::Value;

use common::{HOSTLET, Machine, WAIT, addresses, cgroup, lives, waiting};

#[test]
fn everything_that_was_added_is_taken_away_and_nothing_else() {
    let m = Machine::new("added");
    m.sh("echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind");
    let before = addresses(&m);
    let wanted = [
        "-a",
        "10.1.0.1",
        "-a",
        "10.1.0.7/24",
        "-a",
        "10.9.0.0/24",
        "-a",
        "2001:db8:1::7",
        "-a",
        "2001:db8:7::/64",
    ];
    let create = [&["create", "web", "--assign", "d0"][..], &wanted].concat();
    m.ok(&create);
    let during = addresses(&m);
    for address in ["10.1.0.7/24", "2001:db8:1::7/64", "10.9.0.0/24"] {
        assert!(during.contains(address), "{address}: {during}");
    }
    let dir = cgroup(&m, "web");
    m.ok(&["revoke", "web", "10.1.0.7"]);
    assert!(!addresses(&m).contains("10.1.0.7/24"));
    m.ok(&["grant", "web", "10.1.0.7/24", "--assign", "d0"]);
    m.ok(&["remove", "web"]);
    assert_eq!(addresses(&m), before);
    assert!(!std::path::Path::new(&dir).exists());
    assert!(
        !m.path("bpf").exists(),
        "the kernel part goes with the last hostlet"
    );
}

#[test]
fn an_ipv6_loopback_is_an_address_only_where_it_has_to_be() {
    let m = Machine::new("loopbacks");
    let ours = |switch: &str| {
        m.sh(&format!(
            "echo {switch} > /proc/sys/net/ipv6/ip_nonlocal_bind"
        ));
        m.ok(&["create", "web", "-a", "10.1.0.1"]);
        let routes = m.sh("ip -6 route show table local proto 104");
        let found = (
            addresses(&m).contains("fd68:6f73:746c:7400:"),
            routes.contains("fd68:"),
        );
        let serve = "exec 3<>/dev/tcp/::1/9; true";
        let output = m.hostlet(&["enter", "web", "--", "bash", "-c", serve]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        // Nobody listens there, on an address that there is.
        assert!(said.contains("refused"), "{said}");
        m.ok(&["remove", "web"]);
        assert!(m.sh("ip -6 route show table local proto 104").is_empty());
        assert!(!addresses(&m).contains("fd68:"));
        found
    };
    assert_eq!(ours("0"), (true, false));
    assert_eq!(ours("1"), (false, true));
}

#[test]
fn the_route_to_ipv6_loopbacks_is_there_as_long_as_a_hostlet() {
    let m = Machine::new("route");
    m.sh("echo 1 > /proc/sys/net/ipv6/ip_nonlocal_bind");
    let route = || m.sh("ip -6 route show table local proto 104");
    // The kernel part cannot be put anywhere.
    std::fs::write(m.path("bpf"), "").unwrap();
    m.fails(1, &["create", "web", "-a", "10.1.0.1"]);
    assert_eq!(route(), "");
    std::fs::remove_file(m.path("bpf")).unwrap();

    let run = [&["run", "--name", "web", "-a", "10.1.0.1", "--"][..], &WAIT].concat();
    let mut loader = waiting(m.inside(HOSTLET).args(run));
    let members = m.ok(&["members", "web", "--json"]);
    let members: serde_json::Value = serde_json::from_str(&members).unwrap();
    let member = members[0]["pid"].as_u64().unwrap();
    assert!(route().contains("fd68:"));
    loader.kill().unwrap();
    loader.wait().unwrap();
    m.sh(&format!("while [ -e /proc/{member} ]; do :; done"));
    // Nobody needs what the killed one left; and this makes nothing.
    let other = m.hostlet(&["create", "other", "-a", "10.1.0.99"]);
    assert!(!other.status.success() && m.names().is_empty());
    assert_eq!(route(), "");

    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let there = route();
    m.sh(&format!("ip -6 route del {there}"));
    m.ok(&["grant", "web", "10.1.0.2"]);
    assert_eq!(route(), there);
    m.ok(&["remove", "web"]);
    assert_eq!(route(), "");
}

/// What an older version wrote, in the state that version 5 of the tables had.
fn outdate(db: &Path) {
    let old = "
        DROP TABLE session;
        ALTER TABLE history DROP COLUMN id;
        CREATE INDEX history_gained ON history (gained);
        DROP INDEX hostlet_standing; DROP INDEX hostlet_changing; DROP INDEX hostlet_run; DROP INDEX hostlet_follows;
        DROP INDEX entry_first; ALTER TABLE entry DROP COLUMN first; ALTER TABLE entry DROP COLUMN last;
        ALTER TABLE hostlet DROP COLUMN follows;
        PRAGMA user_version = 5;";
    let script = "import sqlite3, sys; sqlite3.connect(sys.argv[1]).executescript(sys.argv[2])";
    let mut python = std::process::Command::new("/usr/bin/python3");
    let done = python.args(["-c", script]).arg(db).arg(old).status();
    assert!(done.unwrap().success());
}

#[test]
fn after_an_upgrade_root_reads_what_there_was() {
    let m = Machine::new("upgraded");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let db = m.path("hostlet.db");
    for verb in ["list", "history", "doctor", "check"] {
        outdate(&db);
        m.ok(&[verb]);
    }
    assert_eq!(m.names(), ["web"]);
    // The older hostletd would not know the tables any more.
    outdate(&db);
    std::fs::create_dir_all(m.path("run")).unwrap();
    let listener = UnixListener::bind(m.path("run/hostletd.sock")).unwrap();
    std::thread::scope(|s| {
        // It closes without an answer.
        s.spawn(|| drop(listener.accept()));
        let said = m.fails(1, &["list"]);
        assert!(said.contains("systemctl restart hostletd"), "{said}");
    });
    std::fs::remove_file(m.path("run/hostletd.sock")).unwrap();
    assert_eq!(m.names(), ["web"]);
    m.ok(&["remove", "web"]);
}

#[test]
fn run_is_as_if_hostlet_were_not_there() {
    let m = Machine::new("as-if");
    let sh = |script: &str| m.hostlet(&["run", "-a", "10.1.0.1", "--", "sh", "-c", script]);
    let output = sh("echo out; echo err >&2; exit 7");
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(
        (&output.stdout[..], &output.stderr[..]),
        (&b"out\n"[..], &b"err\n"[..])
    );
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(sh("kill -TERM $$").status.signal(), Some(15));
    let piped = m
        .inside("sh")
        .arg("-c")
        .arg(format!(
            "echo in | '{HOSTLET}' run -a 10.1.0.1 -- cat | tr i o"
        ))
        .output()
        .unwrap();
    assert_eq!(piped.stdout, b"on\n");
    let timed = m
        .inside("timeout")
        .args([
            "-s", "INT", "1", HOSTLET, "run", "-a", "10.1.0.1", "--", "sleep", "100",
        ])
        .output()
        .unwrap();
    assert_eq!(timed.status.code(), Some(124), "{timed:?}");
    assert!(m.names().is_empty());
}

#[test]
fn kill_9_of_the_loader_and_the_next_command_heals() {
    let m = Machine::new("kill");
    let before = addresses(&m);
    let mut run = vec![
        "run",
        "--name",
        "web",
        "-a",
        "10.1.0.7/24",
        "--assign",
        "d0",
        "--",
    ];
    run.extend(WAIT);
    let mut command = m.inside(HOSTLET);
    let mut loader = waiting(command.args(&run));
    let members = m.ok(&["members", "web", "--json"]);
    let members: serde_json::Value = serde_json::from_str(&members).unwrap();
    let member = members[0]["pid"].as_u64().unwrap() as u32;
    // nsenter became hostlet, so the child is the loader itself.
    loader.kill().unwrap();
    let input = loader.stdin.take();
    loader.wait().unwrap();
    // The member lives on, in its hostlet, and keeps it.
    assert!(lives(member));
    m.ok(&["create", "other", "-a", "10.1.0.1"]);
    assert_eq!(m.names(), ["other", "web"]);
    // Its end is the end of the hostlet, with the next command.
    drop(input);
    m.sh(&format!("while [ -e /proc/{member} ]; do :; done"));
    m.ok(&["remove", "other"]);
    assert!(m.names().is_empty());
    assert_eq!(addresses(&m), before);
}

/// Nobody is told that there is none of what a listing just showed.
#[test]
fn a_run_that_was_killed_can_be_removed() {
    let m = Machine::new("remove-killed-run");
    let mut run = vec!["run", "--name", "web", "-a", "10.1.0.1", "--"];
    run.extend(WAIT);
    let mut command = m.inside(HOSTLET);
    let mut loader = waiting(command.args(&run));
    let members = m.ok(&["members", "web", "--json"]);
    let members: serde_json::Value = serde_json::from_str(&members).unwrap();
    let member = members[0]["pid"].as_u64().unwrap();
    loader.kill().unwrap();
    drop(loader.stdin.take());
    loader.wait().unwrap();
    m.sh(&format!("while [ -e /proc/{member} ]; do :; done"));
    assert_eq!(m.names(), ["web"]);
    let said = m.fails(0, &["remove", "web"]);
    assert!(said.contains("'web' is gone"), "{said}");
    assert!(m.names().is_empty());
    let said = m.fails(1, &["remove", "web"]);
    assert!(said.contains("there is no hostlet 'web'"), "{said}");
}

#[test]
fn two_commands_at_once() {
    let m = Machine::new("two");
    m.ok(&["create", "first", "-a", "10.1.0.1"]);
    let children: Vec<_> = (0..12)
        .map(|n| {
            let address = format!("10.1.0.{}/24", 20 + n % 6);
            m.inside(HOSTLET)
                .args(["create", &format!("h{n}"), "-a", &address, "--assign", "d0"])
                .stderr(Stdio::piped())
                .spawn()
                .unwrap()
        })
        .collect();
    let ended: Vec<_> = children
        .into_iter()
        .map(|c| c.wait_with_output().unwrap())
        .collect();
    // Each address once, and every loser was told who has it.
    assert_eq!(ended.iter().filter(|o| o.status.success()).count(), 6);
    for (n, output) in ended.iter().enumerate() {
        let other = (n + 6) % 12;
        assert_ne!(output.status.success(), ended[other].status.success());
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            let address = format!("10.1.0.{}", 20 + n % 6);
            assert!(
                said.contains(&address) && said.contains(&format!("h{other}")),
                "h{n}: {said}"
            );
        }
    }
    assert_eq!(m.names().len(), 7);
    for name in m.names() {
        m.ok(&["remove", &name]);
    }
}

#[test]
fn members_keep_a_hostlet_unless_killed() {
    let m = Machine::new("members");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mut enter = vec!["enter", "web", "--"];
    enter.extend(WAIT);
    let mut command = m.inside(HOSTLET);
    let mut child = waiting(command.args(&enter));
    let said = m.fails(1, &["remove", "web"]);
    assert!(
        said.contains("has members") && said.contains("--kill"),
        "{said}"
    );
    assert!(m.ok(&["list"]).contains(" live "));
    m.ok(&["remove", "web", "--kill"]);
    use std::os::unix::process::ExitStatusExt;
    assert_eq!(child.wait().unwrap().signal(), Some(9));
    assert!(m.names().is_empty());
}

/// Of a hostlet that nobody remembers the members are named, and what to do about its name.
#[test]
fn what_a_lost_database_leaves_is_named() {
    let m = Machine::new("forgotten");
    m.ok(&["create", "lost", "-a", "10.1.0.1"]);
    let mut enter = vec!["enter", "lost", "--"];
    enter.extend(WAIT);
    let mut command = m.inside(HOSTLET);
    let mut child = waiting(command.args(&enter));
    let members: Value = serde_json::from_str(&m.ok(&["members", "--json"])).unwrap();
    let (pid, comm) = (&members[0]["pid"], &members[0]["comm"]);
    let named = format!("{}[{pid}]", comm.as_str().unwrap());
    for file in ["hostlet.db", "hostlet.db-wal", "hostlet.db-shm"] {
        let _ = fs::remove_file(m.path(file));
    }
    let said = m.fails(1, &["create", "lost", "-a", "10.1.0.1"]);
    for words in [
        &named[..],
        "no hostlet of that name is remembered",
        "choose another name",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    m.sh(&format!("kill -9 {pid}"));
    child.wait().unwrap();
    m.ok(&["create", "lost", "-a", "10.1.0.1"]);
    m.ok(&["remove", "lost"]);
}
