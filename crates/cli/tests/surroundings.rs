//! What hostlet stands on goes away or is not there: disk, run directory, bpffs, boot, namespace.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use common::{HOSTLET, Machine};

fn addresses(m: &Machine) -> String {
    m.sh("ip -o addr show dev d0; ip -o addr show dev lo; ip route show table local type local proto 104")
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

/// C5: a removal that cannot be written down is not begun.
#[test]
fn a_removal_on_a_full_disk() {
    let m = Machine::new("full-remove");
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    let before = addresses(&m);
    let full = m.path("full");
    fs::create_dir(&full).unwrap();
    let script = format!(
        "mount -t tmpfs -o size=1m none '{0}' && mkdir '{0}/run' && export HOSTLET_ROOT='{0}' && hostlet() {{ '{HOSTLET}' \"$@\"; }}; \
         hostlet create web -a 10.1.0.7/24 --assign d0 && hostlet enter web -- sleep 60 & \
         until hostlet members web 2>/dev/null | grep -q sleep; do :; done; \
         head -c 10M /dev/zero > '{0}/fill' 2>/dev/null; hostlet remove web --kill; echo $?; rm '{0}/fill'; \
         hostlet list; hostlet members web; hostlet check; hostlet remove web --kill; echo $?; wait",
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
    assert!(said.contains("no space is left"), "{said}");
    assert!(out.contains("10.1.0.7") && !out.contains("gone"), "{out}");
    assert!(out.contains("sleep"), "{out} {said}");
    assert!(out.ends_with("\n0\n"), "{out} {said}");
    assert_eq!(addresses(&m), before);
    m.ok(&["remove", "stays"]);
}

/// B2, C5: after a restart of the network `apply` puts back what hostlet had put there.
#[test]
fn the_network_is_restarted() {
    let m = Machine::new("restarted");
    let text =
        "[hostlet.web]\naddresses = [\"10.1.0.7/24\", \"2001:db8:1::7/64\"]\nassign = \"d0\"\n";
    fs::write(m.path("hostlet.toml"), text).unwrap();
    m.ok(&["apply"]);
    let before = addresses(&m);
    m.sh("ip addr del 10.1.0.7/24 dev d0 && ip addr del 2001:db8:1::7/64 dev d0");
    let output = m.hostlet(&["check"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(
        said.matches("'hostlet apply' puts it back").count(),
        2,
        "{said}"
    );
    let plan = m.ok(&["apply", "--dry-run"]);
    assert!(
        plan.contains("put 10.1.0.7, 2001:db8:1::7 of web back"),
        "{plan}"
    );
    assert_ne!(addresses(&m), before, "a dry run does nothing");
    m.ok(&["apply"]);
    m.ok(&["check"]);
    let order = |text: String| {
        let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(order(addresses(&m)), order(before));
    assert!(m.ok(&["apply"]).contains("Every hostlet is as declared"));
    m.ok(&["remove", "web"]);
}

/// C5, C6: an address that somebody takes from its interface is no longer the hostlet's.
#[test]
fn an_address_is_removed_by_hand() {
    let m = Machine::new("by-hand");
    m.ok(&[
        "create",
        "web",
        "-a",
        "10.1.0.1",
        "-a",
        "2001:db8:1::7/64",
        "--assign",
        "d0",
    ]);
    m.ok(&["check"]);
    m.sh("ip addr del 10.1.0.1/24 dev d0 && ip addr del 2001:db8:1::7/64 dev d0");
    let output = m.hostlet(&["check"]);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = String::from_utf8_lossy(&output.stdout);
    for wanted in [
        "web: 10.1.0.1 is gone from d0: ",
        "'ip address add 10.1.0.1/24 dev d0' puts it back",
        "'hostlet grant web 2001:db8:1::7' puts it back",
    ] {
        assert!(said.contains(wanted), "{said}");
    }
    let shown = m.ok(&["show", "web"]);
    assert_eq!(shown.matches("gone from there").count(), 2, "{shown}");
    let bind = |to: &str| {
        let script = "import socket, sys; i = socket.getaddrinfo(sys.argv[1], 5000)[0]; socket.socket(i[0]).bind(i[4])";
        let output = m.hostlet(&["enter", "web", "--", "/usr/bin/python3", "-c", script, to]);
        let explained = m.ok(&[
            "explain",
            "web",
            "bind",
            &std::net::SocketAddr::new(to.parse().unwrap(), 5000).to_string(),
        ]);
        (
            output.status.success(),
            explained.contains("refused (EADDRNOTAVAIL)")
                && explained.contains("does not have it now"),
        )
    };
    for address in ["10.1.0.1", "0.0.0.0", "2001:db8:1::7"] {
        assert_eq!(bind(address), (false, true), "{address}");
    }
    assert_eq!(bind("127.0.0.1"), (true, false));
    m.sh("ip addr add 10.1.0.1/24 dev d0");
    m.ok(&["grant", "web", "2001:db8:1::7"]);
    m.ok(&["check"]);
    assert!(!m.ok(&["show", "web"]).contains("gone"));
    assert_eq!(bind("10.1.0.1"), (true, false));
    m.ok(&["remove", "web"]);
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
        said.contains(&format!("{root}/run")) && said.contains("remount it read-write"),
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
fn a_kernel_part_that_does_not_load() {
    let m = Machine::new("no-load");
    let config = m.path("hostlet.toml");
    // More sockets than a table of the kernel can hold.
    fs::write(&config, "[limits]\nsockets = 268435456\n").unwrap();
    let said = m.fails(1, &["create", "web", "-a", "10.1.0.7/24", "--assign", "d0"]);
    assert!(said.contains("kernel"), "{said}");
    assert!(m.names().is_empty());
    // Nothing is left mounted where somebody may want to remove the directory.
    assert!(!m.path("bpf").exists());
    fs::remove_file(config).unwrap();
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

/// A kernel that lacks what hostlet needs: it refuses the programs as an old one does.
#[test]
fn a_kernel_without_a_needed_feature() {
    let m = Machine::new("feature");
    let before = addresses(&m);
    let lacking = |args: &[&str]| {
        m.inside("strace")
            .args(["-f", "-o", "/dev/null", "-e", "trace=bpf"])
            .arg("--inject=bpf:error=EINVAL")
            .arg(HOSTLET)
            .args(args)
            .output()
            .expect("this test needs strace")
    };
    let create = lacking(&["create", "web", "-a", "10.1.0.7/24", "--assign", "d0"]);
    let told = String::from_utf8_lossy(&create.stderr).into_owned();
    assert_eq!(create.status.code(), Some(1), "{told}");
    assert!(told.contains("hostlet doctor"), "{told}");
    assert_eq!(addresses(&m), before, "nothing is left of it");
    let doctor = lacking(&["doctor"]);
    let report = String::from_utf8_lossy(&doctor.stdout).into_owned();
    assert_eq!(doctor.status.code(), Some(1), "{report}");
    assert!(report.contains("no "), "{report}");
    // On the kernel as it is, the next command works.
    m.ok(&["create", "web", "-a", "10.1.0.7/24", "--assign", "d0"]);
    m.ok(&["remove", "web"]);
    assert_eq!(addresses(&m), before);
}

/// Somebody's hand, or a mount of a container that was given a name which was not there.
#[test]
fn what_lies_in_the_way_is_named_with_what_to_do() {
    let m = Machine::new("in-the-way");
    let create = ["create", "web", "-a", "10.1.0.1"];
    for (name, is_directory, verb, says) in [
        ("hostlet.db", true, &create[..], "hostlet.db.damaged"),
        ("hostlet.db", true, &["list"], "hostlet.db.damaged"),
        ("hostlet.toml", true, &create, "has to be a file"),
        ("run", false, &create, "a file is in the way"),
    ] {
        let path = m.path(name);
        // A command before this one may have made what belongs there.
        m.sh(&format!("rm -rf {}*", path.display()));
        if is_directory {
            fs::create_dir(&path).unwrap();
        } else {
            fs::write(&path, "").unwrap();
        }
        let said = m.fails(1, verb);
        assert!(
            said.contains(path.to_str().unwrap()) && said.contains(says),
            "{said}"
        );
        m.sh(&format!("rm -r {}", path.display()));
    }
    assert!(m.names().is_empty());
}

/// As root in a container: what the kernel refuses to say, it does not lack.
#[test]
fn doctor_without_capabilities_does_not_blame_the_kernel() {
    let m = Machine::new("doctor-rights");
    let output = m
        .inside("setpriv")
        .args(["--bounding-set=-sys_admin,-bpf", "--", HOSTLET, "doctor"])
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("NO   the right to load programs"), "{said}");
    assert!(said.contains("--privileged"), "{said}");
    assert!(
        said.contains("?    programs on a cgroup's sockets"),
        "{said}"
    );
    assert!(
        m.ok(&["doctor"])
            .contains("yes  the right to load programs")
    );
}
