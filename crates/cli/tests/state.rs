//! What is true stays true: kills, restarts, two at once, full disks. The next command heals.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

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
    for address in [
        "10.1.0.7/24",
        "2001:db8:1::7/64",
        "10.9.0.0/24",
        "fd68:6f73:746c:7400:",
    ] {
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
    let won = children
        .into_iter()
        .filter(|_| true)
        .map(|c| c.wait_with_output().unwrap())
        .filter(|o| o.status.success())
        .count();
    // Each address once, and every loser was told who has it.
    assert_eq!(won, 6);
    assert_eq!(m.names().len(), 7);
    for name in m.names() {
        m.ok(&["remove", &name]);
    }
}

#[test]
fn a_full_disk() {
    let m = Machine::new("full");
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    // A root of its own on a file system that fills up.
    let full = m.path("full");
    fs::create_dir(&full).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=256k none '{0}' && mkdir '{0}/run' && head -c 10M /dev/zero > '{0}/fill' 2>/dev/null; \
         HOSTLET_ROOT='{0}' '{HOSTLET}' create web -a 10.1.0.7/24 --assign d0; echo $?; \
         rm '{0}/fill'; HOSTLET_ROOT='{0}' '{HOSTLET}' list",
        full.display()
    );
    let output = m
        .inside("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output()
        .unwrap();
    let (said, out) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert!(out.starts_with("1\n"), "{out} {said}");
    assert!(said.contains("space"), "{said}");
    assert!(out.contains("There is no hostlet"), "{out}");
    assert_eq!(addresses(&m), before);
    m.ok(&["remove", "stays"]);
}

#[test]
fn a_read_only_run_directory() {
    let m = Machine::new("read-only");
    let root = m.root.0.display().to_string();
    let script = format!(
        "mkdir -p '{root}/run' && mount -t tmpfs -o ro none '{root}/run' && '{HOSTLET}' create web -a 10.1.0.1; echo $?; '{HOSTLET}' list"
    );
    let output = m
        .inside("unshare")
        .args(["--mount", "sh", "-c", &script])
        .output()
        .unwrap();
    let (said, out) = (
        String::from_utf8_lossy(&output.stderr),
        String::from_utf8_lossy(&output.stdout),
    );
    assert!(
        said.contains("run/lock") && said.contains("remount it read-write"),
        "{said}"
    );
    assert!(
        out.starts_with("1\n") && out.contains("There is no hostlet"),
        "{out}"
    );
}

#[test]
fn a_bpffs_that_cannot_be_mounted() {
    let m = Machine::new("no-bpffs");
    let root = m.root.0.display().to_string();
    // A file stands where the mount point should be made.
    fs::write(m.path("bpf"), "").unwrap();
    let said = m.fails(1, &["create", "web", "-a", "10.1.0.7/24", "--assign", "d0"]);
    assert!(said.contains(&format!("{root}/bpf")), "{said}");
    assert!(m.names().is_empty());
    assert!(!addresses(&m).contains("10.1.0.7"));
    fs::remove_file(m.path("bpf")).unwrap();
    m.ok(&["run", "-a", "10.1.0.1", "--", "true"]);
}

#[test]
fn a_bpffs_that_was_unmounted() {
    let m = Machine::new("lost-bpffs");
    m.ok(&["create", "web", "-a", "10.1.0.1", "-a", "10.1.0.2"]);
    m.ok(&["create", "empty", "-a", "2001:db8:1::1"]);
    // Binds what it is told, line by line, and says what became of it.
    let script = "import socket,sys\nkeep=[]\nprint('ready',flush=True)\n\
        for line in sys.stdin:\n\
        \x20a,p=line.split()\n\
        \x20s=socket.socket(); keep.append(s)\n\
        \x20try: s.bind((a,int(p))); s.listen(); print(s.getsockname()[0],flush=True)\n\
        \x20except OSError as e: print(e.errno,flush=True)";
    let mut command = m.inside(HOSTLET);
    let mut member = command
        .args(["enter", "web", "--", "python3", "-c", script])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(member.stdout.take().unwrap()).lines();
    let mut input = member.stdin.take().unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    let mut bind = |what: &str| {
        writeln!(input, "{what}").unwrap();
        lines.next().unwrap().unwrap()
    };
    assert_eq!(bind("0.0.0.0 80"), "0.0.0.0");
    m.sh(&format!("umount -l '{}'", m.path("bpf").display()));
    // What lives goes on being confined, with no pin left.
    assert_eq!(bind("10.1.0.3 81"), "99");
    // The next command brings the kernel part back, for the living too.
    assert_eq!(m.ok(&["enter", "empty", "--", "echo", "in"]), "in\n");
    assert_eq!(bind("10.1.0.3 82"), "99");
    assert_eq!(bind("0.0.0.0 83"), "0.0.0.0");
    for address in ["10.1.0.1", "10.1.0.2"] {
        m.sh(&format!(
            "python3 -c \"import socket; socket.create_connection(('{address}', 83), 5)\""
        ));
    }
    assert_eq!(
        m.ok(&["events", "web"]).matches("foreign-address").count(),
        1,
        "each refusal is told once"
    );
    drop(input);
    member.wait().unwrap();
    m.ok(&["remove", "web"]);
    m.ok(&["remove", "empty"]);
}

#[test]
fn a_restart_of_the_machine() {
    let m = Machine::new("restart");
    m.ok(&["create", "kept", "-a", "10.1.0.7/24", "--assign", "d0"]);
    m.ok(&["create", "gone", "-a", "10.1.0.1"]);
    // What a restart leaves: the file, with another boot in it. No cgroup, no pin, no address.
    let saved = m.path("saved.db");
    m.sh(&format!(
        "cp '{0}/hostlet.db' '{1}' && cp '{0}/hostlet.db-wal' '{1}-wal'",
        m.root.0.display(),
        saved.display()
    ));
    m.ok(&["remove", "kept"]);
    m.ok(&["remove", "gone"]);
    m.sh("ip addr del 10.1.0.1/24 dev d0");
    m.sh(&format!(
        "rm -f '{0}'/hostlet.db*; mv '{1}' '{0}/hostlet.db'; mv '{1}-wal' '{0}/hostlet.db-wal'; \
         python3 -c \"import sqlite3; c = sqlite3.connect('{0}/hostlet.db'); c.execute('update hostlet set boot_id=\\\"another\\\"'); c.commit()\"",
        m.root.0.display(), saved.display()
    ));
    assert!(m.ok(&["list"]).contains("stale"));
    let output = m.hostlet(&["remove", "nobody"]);
    // One comes back; the other cannot, is not forgotten, and says why.
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(
        said.contains("'gone'") && said.contains("10.1.0.1"),
        "{said}"
    );
    assert!(addresses(&m).contains("10.1.0.7/24"));
    assert_eq!(m.ok(&["enter", "kept", "--", "echo", "in"]), "in\n");
    assert!(
        m.fails(125, &["enter", "gone", "--", "true"])
            .contains("stale")
    );
    m.ok(&["remove", "gone"]);
    m.ok(&["remove", "kept"]);
    assert!(!addresses(&m).contains("10.1.0.7/24"));
}

#[test]
fn one_installation_one_namespace() {
    let m = Machine::new("namespace");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let elsewhere = Command::new(HOSTLET)
        .args(["create", "other", "-a", "10.1.0.2"])
        .env("HOSTLET_ROOT", &m.root.0)
        .output()
        .unwrap();
    assert_eq!(elsewhere.status.code(), Some(1));
    let said = String::from_utf8_lossy(&elsewhere.stderr);
    assert!(
        said.contains("another network namespace") && said.contains("--root"),
        "{said}"
    );
    m.ok(&["remove", "web"]);
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
