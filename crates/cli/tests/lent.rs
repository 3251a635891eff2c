//! The verbs that go through hostletd, where hostletd is not there, and as whom they go; the history of what was held.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::process::{Command, Output};

use common::{Dir, HOSTLET, Machine};

/// Neither root nor anybody who is in a list.
const NOBODY: [&str; 3] = ["--reuid=65534", "--regid=65534", "--clear-groups"];

/// Where the command was built, nobody may not look. Another process copies it: what another thread starts meanwhile would
/// inherit a descriptor that writes to it, and it could not be executed.
fn copied(dir: &Dir) -> PathBuf {
    let copy = dir.0.join("hostlet-copy");
    let status = Command::new("cp").arg(HOSTLET).arg(&copy).status().unwrap();
    assert!(status.success());
    copy
}

fn by_nobody(dir: &Dir, args: &[&str]) -> Output {
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = copied(dir);
    Command::new("setpriv")
        .args(NOBODY)
        .arg(&copy)
        .args(args)
        .env("HOSTLET_ROOT", &dir.0)
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn without_hostletd_each_says_so_and_what_to_do() {
    let dir = Dir::new("no-hostletd");
    for (code, args) in [
        (1, &["pools"][..]),
        (1, &["pools", "--json"]),
        (1, &["leases"]),
        (1, &["sessions", "--json"]),
        (1, &["reload", "--dry-run"]),
        (1, &["create", "web", "--pool", "office"]),
        (125, &["run", "--pool", "office", "--", "true"]),
    ] {
        let as_root = Command::new(HOSTLET)
            .args(args)
            .env("HOSTLET_ROOT", &dir.0)
            .output()
            .unwrap();
        for output in [as_root, by_nobody(&dir, args)] {
            let said = said(&output);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
            assert!(output.stdout.is_empty(), "{args:?}");
            for words in [
                "hostlet: hostletd is not running (",
                "run/hostletd.sock is not there)",
                "hostletd --root",
            ] {
                assert!(said.contains(words), "{args:?}: {said}");
            }
        }
    }
    assert!(!dir.0.join("run").exists(), "nothing was made");
    let output = by_nobody(&dir, &["enter", "web", "--", "true"]);
    assert_eq!(output.status.code(), Some(125));
    assert!(
        said(&output).contains("hostletd is not running"),
        "{output:?}"
    );
}

#[test]
fn a_hostletd_that_died_is_told_from_one_that_never_ran() {
    let dir = Dir::new("dead-hostletd");
    fs::create_dir(dir.0.join("run")).unwrap();
    let path = dir.0.join("run/hostletd.sock");
    drop(UnixListener::bind(&path).unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
    let output = by_nobody(&dir, &["pools"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("has no listener"), "{output:?}");
}

#[test]
fn who_reads_does_not_wait_long_for_a_hostletd_that_hangs() {
    let dir = Dir::new("hanging-hostletd");
    fs::create_dir(dir.0.join("run")).unwrap();
    let _hangs = UnixListener::bind(dir.0.join("run/hostletd.sock")).unwrap();
    let asking = ["pools", "leases", "sessions"].map(|verb| {
        let mut command = Command::new(HOSTLET);
        command.arg(verb).env("HOSTLET_ROOT", &dir.0);
        std::thread::spawn(move || command.output().unwrap())
    });
    for asked in asking {
        let output = asked.join().unwrap();
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let said = said(&output);
        assert!(said.contains("hostletd did not answer "), "{said}");
        assert!(said.contains("within 5 s"), "{said}");
    }
}

/// What is listed of a user who has nothing is not the same as what is listed of nobody, or of somebody else.
#[test]
fn of_whom_nothing_is_seen_and_why() {
    let dir = Dir::new("nobody-is-in");
    fs::create_dir(dir.0.join("run")).unwrap();
    let socket = dir.0.join("run/hostletd.sock");
    let listener = UnixListener::bind(&socket).unwrap();
    fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            let mut caller = caller.unwrap();
            let mut asked = Vec::new();
            BufReader::new(&caller).read_until(0, &mut asked).unwrap();
            let nothing = b"{\"parameters\":{\"sessions\":[],\"leases\":[]}}\0";
            caller.write_all(nothing).unwrap();
        }
    });
    let by_root = |args: &[&str]| {
        let mut command = Command::new(HOSTLET);
        let output = command.args(args).env("HOSTLET_ROOT", &dir.0).output();
        output.unwrap()
    };
    for verb in ["sessions", "leases"] {
        let nobody = by_root(&[verb, "--user", "no-such-user-here"]);
        assert_eq!(nobody.status.code(), Some(1), "{nobody:?}");
        assert!(
            said(&nobody).contains("there is no user 'no-such-user-here'"),
            "{nobody:?}"
        );
        // Whose account is gone has but a number.
        for known in ["root", "4242"] {
            let output = by_root(&[verb, "--user", known]);
            assert!(output.status.success(), "{output:?}");
        }
        let other = by_nobody(&dir, &[verb, "--user", "root"]);
        assert_eq!(other.status.code(), Some(1), "{other:?}");
        assert!(
            said(&other).contains("you see only what is yours"),
            "{other:?}"
        );
        for own in [&[verb][..], &[verb, "--user", "65534"]] {
            let output = by_nobody(&dir, own);
            assert!(output.status.success(), "{output:?}");
        }
    }
    let empty = by_root(&["sessions"]);
    let text = String::from_utf8(empty.stdout).unwrap();
    assert!(text.contains("session required pam_hostlet.so"), "{text}");
}

#[test]
fn a_socket_that_may_not_be_used_says_why() {
    let dir = Dir::new("closed-hostletd");
    fs::create_dir(dir.0.join("run")).unwrap();
    let path = dir.0.join("run/hostletd.sock");
    let _listener = UnixListener::bind(&path).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let output = by_nobody(&dir, &["leases"]);
    let said = said(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("cannot reach hostletd") && said.contains("Permission denied"),
        "{said}"
    );
}

#[test]
fn what_only_root_chooses_is_refused_before_anybody_is_asked() {
    let dir = Dir::new("root-chooses");
    let run = |option: &[&str]| {
        by_nobody(
            &dir,
            &[&["run", "--pool", "office"], option, &["--", "true"]].concat(),
        )
    };
    let enter = |option: &[&str]| by_nobody(&dir, &[&["enter", "web"], option, &["true"]].concat());
    for option in [
        &["--user", "root"][..],
        &["--group", "0"],
        &["--keep-capability", "net_admin"],
    ] {
        for output in [run(option), enter(option)] {
            let said = said(&output);
            assert_eq!(output.status.code(), Some(125), "{option:?}: {said}");
            assert!(
                said.contains(&format!("only root may choose {}", option[0])),
                "{option:?}: {said}"
            );
        }
    }
    for option in [
        &["--raw"][..],
        &["--no-guard"],
        &["--host-loopback", "127.0.0.1:80"],
    ] {
        let said = said(&run(option));
        assert!(said.contains("only root may choose"), "{option:?}: {said}");
    }
}

/// A list in the configuration admits him only where the command has root's rights.
#[test]
fn who_is_listed_is_told_how_to_start() {
    let dir = Dir::new("listed");
    let output = by_nobody(&dir, &["start", "web", "--", "true"]);
    assert_eq!(output.status.code(), Some(125), "{output:?}");
    for words in ["may-start in [hostlet.web]", "sudo", "set-uid root"] {
        assert!(said(&output).contains(words), "{output:?}");
    }
}

/// hostletd goes by the effective user of its peer: a set-uid hostlet must not lend that of root.
#[test]
fn the_user_of_a_set_uid_hostlet_comes_as_himself() {
    let dir = Dir::new("set-uid");
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    let copy = copied(&dir);
    chown(&copy, Some(0), Some(0)).unwrap();
    fs::set_permissions(&copy, fs::Permissions::from_mode(0o4755)).unwrap();
    let run = dir.0.join("run");
    fs::create_dir(&run).unwrap();
    let listener = UnixListener::bind(run.join("hostletd.sock")).unwrap();
    fs::set_permissions(run.join("hostletd.sock"), fs::Permissions::from_mode(0o666)).unwrap();
    // Its user cannot name a root: the system's paths, in a mount namespace of their own.
    let script = format!(
        "mount -t tmpfs none /run && mkdir /run/hostlet && mount --bind '{}' /run/hostlet && exec setpriv {} '{}' \"$@\"",
        run.display(),
        NOBODY.join(" "),
        copy.display(),
    );
    for args in [
        &["leases"][..],
        &["sessions"],
        &["pools"],
        &["reload"],
        &["create", "web", "--pool", "office"],
        &["run", "--pool", "office", "--", "true"],
    ] {
        let child = Command::new("unshare")
            .args(["--mount", "sh", "-c", &script, "sh"])
            .args(args)
            .env_remove("HOSTLET_ROOT")
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let (stream, _) = listener.accept().unwrap();
        let peer = rustix::net::sockopt::socket_peercred(&stream).unwrap();
        assert_eq!(peer.uid.as_raw(), 65534, "{args:?}");
        assert_eq!(peer.gid.as_raw(), 65534, "{args:?}");
        let status = fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
        assert!(
            status.contains("\nUid:\t65534\t65534\t65534\t65534\n"),
            "{args:?}: {status}"
        );
        drop(stream);
        let output = child.wait_with_output().unwrap();
        assert!(
            said(&output).contains("closed the connection before it answered"),
            "{args:?}: {output:?}"
        );
    }
}

/// B13: who had which address, when: by user (name or number), by address, by time.
#[test]
fn the_history_is_found_by_user_address_and_time() {
    let m = Machine::new("history");
    m.ok(&["run", "--name", "one", "-a", "10.1.0.1", "--", "true"]);
    let by_nobody = m
        .inside(HOSTLET)
        .args(["run", "--name", "two", "-a", "10.1.0.2", "--", "true"])
        .env("SUDO_UID", "65534")
        .output()
        .unwrap();
    assert!(by_nobody.status.success(), "{by_nobody:?}");
    let found = |filter: &[&str]| -> Vec<String> {
        let text = m.ok(&[&["history", "--json"], filter].concat());
        let rows: serde_json::Value = serde_json::from_str(&text).unwrap();
        rows.as_array()
            .unwrap()
            .iter()
            .map(|row| row["hostlet"].as_str().unwrap().to_owned())
            .collect()
    };
    for (filter, names) in [
        (&[][..], &["one", "two"][..]),
        (&["--user", "root"], &["one"]),
        (&["--user", "0"], &["one"]),
        (&["--user", "nobody"], &["two"]),
        (&["--user", "65534", "--since", "1h"], &["two"]),
        (&["--user", "nobody", "--address", "10.1.0.1"], &[]),
        (&["--address", "10.1.0.2"], &["two"]),
        (&["--user", "1"], &[]),
        (&["--since", "1h"], &["one", "two"]),
        (&["--since", "2999-01-01T00:00:00Z"], &[]),
        (&["--until", "1h"], &[]),
    ] {
        assert_eq!(found(filter), names, "{filter:?}");
    }
    let said = m.fails(1, &["history", "--user", "no-such-user-here"]);
    assert!(
        said.contains("there is no user 'no-such-user-here'"),
        "{said}"
    );
}
