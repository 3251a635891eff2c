//! What is true stays true: kills, restarts, two at once, full disks. The next command heals.

mod common;

use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Stdio;

use common::{HOSTLET, Machine, WAIT, lives, waiting};

fn addresses(m: &Machine) -> String {
    m.sh("ip -o addr show dev d0; ip -o addr show dev lo; ip route show table local type local proto 104")
}

fn cgroup(m: &Machine, name: &str) -> String {
    let shown: serde_json::Value = serde_json::from_str(&m.ok(&["show", name, "--json"])).unwrap();
    shown["cgroup"].as_str().unwrap().to_owned()
}

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

const CREATE: [&str; 8] = [
    "create",
    "web",
    "-a",
    "10.1.0.7/24",
    "-a",
    "10.9.0.0/24",
    "--assign",
    "d0",
];

/// Runs a command that is killed at its nth such call; false if it ended before.
fn killed_at(m: &Machine, call: &str, nth: usize, args: &[&str]) -> bool {
    let status = m
        .inside("strace")
        .args(["-f", "-o", "/dev/null", "-e"])
        .arg(format!("trace={call}"))
        .arg(format!("--inject={call}:signal=SIGKILL:when={nth}"))
        .arg(HOSTLET)
        .args(args)
        .stderr(Stdio::null())
        .status()
        .expect("this test needs strace");
    !status.success()
}

/// Where a command changes something: files, the network, the kernel part, the store.
fn places() -> impl Iterator<Item = (&'static str, usize)> {
    let calls = [
        ("mkdir", 4, 1),
        ("rmdir", 2, 1),
        ("bpf", 90, 9),
        ("sendto", 14, 2),
        ("pwrite64", 30, 4),
    ];
    calls
        .into_iter()
        .flat_map(|(call, last, step)| (1..=last).step_by(step).map(move |nth| (call, nth)))
}

#[test]
fn a_create_that_is_killed_is_whole_or_not_at_all() {
    let m = Machine::new("create-killed");
    // Somebody stays, so that the kernel part does and commands are quick.
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, nth) in places() {
        killed += usize::from(killed_at(&m, call, nth, &CREATE));
        // Any changing command heals; this one is refused besides.
        m.fails(1, &["remove", "nobody"]);
        if m.names().len() == 2 {
            let live = m.ok(&["list"]).matches(" live ").count();
            assert_eq!(live, 2, "killed at {call} {nth}");
            m.ok(&["remove", "web"]);
        }
        assert_eq!(m.names(), ["stays"], "killed at {call} {nth}");
        assert_eq!(addresses(&m), before, "killed at {call} {nth}");
    }
    assert!(killed > 12, "only {killed} were killed");
    m.ok(&["remove", "stays"]);
}

#[test]
fn a_remove_that_is_killed_is_finished_by_the_next_command() {
    let m = Machine::new("remove-killed");
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, nth) in places() {
        m.ok(&CREATE);
        killed += usize::from(killed_at(&m, call, nth, &["remove", "web"]));
        m.fails(1, &["remove", "nobody"]);
        if m.names().len() == 2 {
            // Killed before it began.
            m.ok(&["enter", "web", "--", "true"]);
            m.ok(&["remove", "web"]);
        }
        assert_eq!(m.names(), ["stays"], "killed at {call} {nth}");
        assert_eq!(addresses(&m), before, "killed at {call} {nth}");
    }
    assert!(killed > 12, "only {killed} were killed");
    m.ok(&["remove", "stays"]);
}

const ADDED: &str = "10.1.0.7";

/// Whether web has [`ADDED`]; all who say so must say the same.
fn has_added(m: &Machine, when: &str) -> bool {
    let shown: serde_json::Value = serde_json::from_str(&m.ok(&["show", "web", "--json"])).unwrap();
    let listed = shown["addresses"].as_array().unwrap();
    let listed = listed.iter().any(|a| a["address"] == ADDED);
    let owners = m.path("bpf/hostlet/maps/owners");
    let owners = m.sh(&format!(
        "bpftool -j map dump pinned '{}'",
        owners.display()
    ));
    let owners: serde_json::Value = serde_json::from_str(&owners).unwrap();
    // The last word of the key is the IPv4 address; a single other one makes it `many`.
    let owners: Vec<(String, u64, u64)> = owners
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            let field = |of: &str| entry["formatted"]["value"][of].as_u64().unwrap();
            let words = entry["formatted"]["key"]["w"].as_array().unwrap();
            let last = words[3].as_u64().unwrap() as u32;
            (
                std::net::Ipv4Addr::from(last.to_ne_bytes()).to_string(),
                field("id"),
                field("flags"),
            )
        })
        .collect();
    let web = shown["id"].as_u64().unwrap();
    let owned = owners.iter().any(|(a, id, _)| a == ADDED && *id == web);
    assert_eq!(owned, listed, "{when}: owners: {owners:?}");
    let many = owners.iter().any(|(a, _, f)| a == "10.1.0.1" && f & 2 != 0);
    assert_eq!(many, listed, "{when}: flags: {owners:?}");
    let placed = addresses(m).contains("10.1.0.7/24");
    assert_eq!(placed, listed, "{when}: on the interface: {placed}");
    let bind = format!("import socket; socket.socket().bind(('{ADDED}', 0))");
    let bound = m.hostlet(&["enter", "web", "--", "python3", "-c", &bind]);
    assert_eq!(bound.status.success(), listed, "{when}: {bound:?}");
    let history = m.ok(&["history", "--hostlet", "web", "--address", ADDED, "--json"]);
    let history: serde_json::Value = serde_json::from_str(&history).unwrap();
    let open = history
        .as_array()
        .unwrap()
        .iter()
        .any(|h| h["to"].is_null());
    assert_eq!(open, listed, "{when}: {history}");
    listed
}

/// Kills one verb at every place, and expects the next command to leave it done or not begun.
fn changed_and_killed(m: &Machine, from: bool, change: &[&str], back: &[&str]) {
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    if from {
        m.ok(back);
    }
    let before = addresses(m);
    let (mut killed, mut done) = (0, 0);
    let calls = [("bpf", 26, 1), ("sendto", 14, 1), ("pwrite64", 26, 2)];
    for (call, last, step) in calls {
        for nth in (1..=last).step_by(step) {
            killed += usize::from(killed_at(m, call, nth, change));
            // What is half done is nobody's doing.
            m.ok(&["check"]);
            // Any changing command heals; this one is refused besides.
            let said = m.fails(1, &["remove", "nobody"]);
            let when = format!("killed at {call} {nth}");
            assert!(!said.contains("healed"), "{when}: {said}");
            if has_added(m, &when) != from {
                done += 1;
                m.ok(back);
            }
            assert_eq!(has_added(m, &when), from, "{when}: and taken back");
            assert_eq!(addresses(m), before, "{when}");
        }
    }
    assert!(killed > 20, "only {killed} were killed");
    assert!(done > 2, "only {done} were done");
    m.ok(&["remove", "web"]);
}

const GRANT: [&str; 5] = ["grant", "web", "10.1.0.7/24", "--assign", "d0"];
const REVOKE: [&str; 3] = ["revoke", "web", ADDED];

#[test]
fn a_grant_that_is_killed_is_whole_or_not_at_all() {
    let m = Machine::new("grant-killed");
    changed_and_killed(&m, false, &GRANT, &REVOKE);
}

#[test]
fn a_revoke_that_is_killed_is_whole_or_not_at_all() {
    let m = Machine::new("revoke-killed");
    changed_and_killed(&m, true, &REVOKE, &GRANT);
}

#[test]
fn an_apply_that_is_killed_is_done_by_the_next() {
    let m = Machine::new("apply-killed");
    let declare = |text: &str| std::fs::write(m.path("hostlet.toml"), text).unwrap();
    let one = "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nassign = \"d0\"\n";
    let two = "[hostlet.web]\naddresses = [\"10.1.0.7/24\", \"10.1.0.1\"]\nassign = \"d0\"\nsource = \"random\"\n";
    declare(one);
    m.ok(&["apply"]);
    let before = addresses(&m);
    let mut killed = 0;
    for (call, last, step) in [("bpf", 30, 3), ("pwrite64", 30, 5)] {
        for nth in (1..=last).step_by(step) {
            declare(two);
            killed += usize::from(killed_at(&m, call, nth, &["apply"]));
            m.fails(1, &["remove", "nobody"]);
            let when = format!("killed at {call} {nth}");
            has_added(&m, &when);
            m.ok(&["apply"]);
            assert!(has_added(&m, &when), "{when}");
            let shown = m.ok(&["show", "web", "--json"]);
            assert!(shown.contains("random"), "{when}: {shown}");
            declare(one);
            m.ok(&["apply"]);
            assert!(!has_added(&m, &when), "{when}");
            assert_eq!(addresses(&m), before, "{when}");
        }
    }
    assert!(killed > 8, "only {killed} were killed");
    m.ok(&["remove", "web"]);
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
