//! What somebody stumbles over who begins: a directory that is not there, a name in the wrong place, an address that is gone.

mod common;

use std::fs;
use std::path::Path;
use std::process::Command;

use common::{Dir, HOSTLET, Machine, WAIT};
use libbpf_rs::{MapCore, MapFlags, MapHandle};

/// One that was mistyped would be an installation of its own, which is empty, or be made.
#[test]
fn a_root_that_is_not_there_is_no_empty_installation() {
    let dir = Dir::new("no-root-there");
    let file = dir.0.join("file");
    fs::write(&file, "").unwrap();
    for (root, why) in [
        (dir.0.join("none"), "No such file"),
        (file, "no directory"),
        ("".into(), "No such file"),
    ] {
        for (code, words) in [
            (1, "list"),
            (1, "check"),
            (1, "history"),
            (1, "doctor"),
            (1, "pools"),
            (1, "create x -a 192.0.2.1"),
            (125, "run -a 192.0.2.1 -- true"),
        ] {
            let output = Command::new(HOSTLET)
                .args(words.split(' '))
                .env("HOSTLET_ROOT", &root)
                .output()
                .unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(code), "{words}: {said}");
            for part in [
                &*format!("'{}'", root.display()),
                why,
                "HOSTLET_ROOT",
                "make it",
            ] {
                assert!(said.contains(part), "{words}: {said}");
            }
        }
    }
    assert!(!dir.0.join("none").exists(), "it was made");
}

/// The usage shows what is to be given, and that is given already.
#[test]
fn the_environment_is_not_in_the_usage() {
    let dir = Dir::new("usage");
    let output = Command::new(HOSTLET)
        .arg("create")
        .env("HOSTLET_ROOT", &dir.0)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("Usage: hostlet create <") && !said.contains("--root"),
        "{said}"
    );
    let help = Command::new(HOSTLET).arg("--help").output().unwrap();
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    assert!(help.contains("HOSTLET_ROOT"), "{help}");
}

#[test]
fn list_and_history_of_one_hostlet() {
    let m = Machine::new("of-one");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    m.ok(&["create", "db", "-a", "10.1.0.2"]);
    let listed = m.ok(&["list", "web"]);
    assert!(listed.contains("10.1.0.1"), "{listed}");
    assert!(!listed.contains("10.1.0.2"), "{listed}");
    let said = m.fails(1, &["list", "nobody"]);
    assert!(said.contains("no hostlet 'nobody'"), "{said}");
    m.ok(&["remove", "db"]);
    // The past has names that nothing has now.
    let past = m.ok(&["history", "db"]);
    assert!(past.contains("10.1.0.2"), "{past}");
    assert!(!past.contains("10.1.0.1"), "{past}");
    assert_eq!(past, m.ok(&["history", "--hostlet", "db"]));
    m.fails(2, &["history", "db", "--hostlet", "web"]);
    m.ok(&["remove", "web"]);
}

#[test]
fn an_address_that_somebody_removed_is_marked() {
    let m = Machine::new("gone");
    m.ok(&["create", "web", "-a", "10.1.0.1", "-a", "10.1.0.2"]);
    assert!(!m.ok(&["list"]).contains("gone"));
    m.sh("ip addr del 10.1.0.2/24 dev d0");
    let listed = m.ok(&["list"]);
    assert!(listed.contains("10.1.0.1 10.1.0.2(gone)"), "{listed}");
    m.ok(&["remove", "web"]);
}

/// Members do not see the kernel's tables: what they would read of them is not so.
#[test]
fn nothing_is_read_from_inside() {
    let m = Machine::new("from-inside");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    for words in [
        "list",
        "show web",
        "members",
        "sockets",
        "check",
        "events",
        "history",
        "explain web bind 0.0.0.0:80",
    ] {
        let inner = [HOSTLET].into_iter().chain(words.split(' '));
        let args: Vec<&str> = ["enter", "web", "--"].into_iter().chain(inner).collect();
        let said = m.fails(1, &args);
        assert!(said.contains("inside a hostlet"), "{words}: {said}");
    }
    // Who was brought in sees what the machine sees.
    let attached = m.sh(&format!(
        "sh -c '{HOSTLET} attach web --pid $$ > {0}/said && {HOSTLET} list'",
        m.root.0.display()
    ));
    assert!(attached.contains("web"), "{attached}");
    m.ok(&["remove", "web"]);
}

/// Each with its place in the file, as mistakes of the file have it.
#[test]
fn what_cannot_be_applied_has_its_place() {
    let m = Machine::new("apply-place");
    m.ok(&["create", "shop", "-a", "10.1.0.1"]);
    let file = m.path("hostlet.toml");
    fs::write(
        &file,
        "[hostlet.one]\naddresses = [\"10.1.0.77\"]\n\n[hostlet.two]\naddresses = [\"10.1.0.1\"]\n\
         [hostlet.shop]\naddresses = [\"10.1.0.2\"]\n",
    )
    .unwrap();
    for args in [&["apply", "--dry-run"][..], &["apply"]] {
        let said = m.fails(1, args);
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!(lines.len(), 3, "{said}");
        for (line, at, parts) in [
            (
                lines[0],
                ":1:10: [hostlet.one]: ",
                ["10.1.0.77", "--assign"],
            ),
            (lines[1], ":4:10: [hostlet.two]: ", ["10.1.0.1", "'shop'"]),
            (
                lines[2],
                ":6:10: [hostlet.shop]: ",
                ["by hand", "remove shop"],
            ),
        ] {
            assert!(line.contains(&format!("{}{at}", file.display())), "{said}");
            assert!(parts.iter().all(|part| line.contains(part)), "{said}");
        }
    }
    assert_eq!(m.names(), ["shop"]);
    m.ok(&["remove", "shop"]);
}

/// A plan says what happens to the machine, not how hostlet keeps its books.
#[test]
fn a_plan_says_what_others_feel() {
    let m = Machine::new("plan");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\", \"10.1.0.7/24\"]\nassign = \"d0\"\n",
    )
    .unwrap();
    let plan = "create web with 10.1.0.1, 10.1.0.7\n  add 10.1.0.7/24 to d0\n";
    assert_eq!(m.ok(&["apply", "--dry-run"]), plan);
    let json = m.ok(&["apply", "--json"]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let actions = &json["changes"][0]["actions"];
    assert_eq!(*actions, serde_json::json!(["add 10.1.0.7/24 to d0"]));
    fs::write(m.path("hostlet.toml"), "").unwrap();
    let plan = m.ok(&["apply"]);
    assert!(
        plan.starts_with("remove web: it is no longer declared\n"),
        "{plan}"
    );
    assert!(plan.contains("  remove 10.1.0.7/24 from d0\n"), "{plan}");
    assert!(!plan.contains("sockets on 127."), "{plan}");
}

/// Not a hostlet is made for what cannot be run, and no address is anybody's for a moment.
#[test]
fn what_cannot_run_is_refused_before_anything_is_made() {
    let m = Machine::new("cannot-run");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.2\"]\n",
    )
    .unwrap();
    for (words, says) in [
        ("--user no-such-user", "getent passwd"),
        ("--group no-such-group", "getent group"),
        ("--workdir /nowhere", "cannot start in /nowhere"),
        ("--workdir /etc/passwd", "name a directory"),
        ("--keep-capability nothing", "no capability nothing"),
        ("--keep-fd 77", "descriptor 77"),
    ] {
        for verb in ["run -a 10.1.0.1", "start web"] {
            let line = format!("{verb} {words} -- true");
            let args: Vec<&str> = line.split(' ').collect();
            let said = m.fails(125, &args);
            assert!(said.contains(says), "{line}: {said}");
        }
    }
    // Nor what is declared so.
    for (declared, says) in [
        ("user = \"no-such-user\"", "getent passwd"),
        ("group = \"no-such-group\"", "getent group"),
        ("workdir = \"/nowhere\"", "cannot start in /nowhere"),
    ] {
        let text = format!("[hostlet.web]\naddresses = [\"10.1.0.2\"]\n{declared}\n");
        fs::write(m.path("hostlet.toml"), text).unwrap();
        let said = m.fails(125, &["start", "web", "--", "true"]);
        assert!(said.contains(says), "{declared}: {said}");
    }
    assert!(m.names().is_empty());
    assert!(m.ok(&["history"]).contains("Nobody had an address"));
    let of_one = m.ok(&["history", "--address", "10.1.0.9"]);
    assert!(of_one.contains("had 10.1.0.9"), "{of_one}");
}

/// Without its tables, all would seem well.
#[test]
fn a_kernel_part_that_is_gone_is_no_good_news() {
    let m = Machine::new("tables-gone");
    for args in [&["check"][..], &["events"]] {
        m.ok(args);
    }
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    m.sh("umount \"$HOSTLET_ROOT/bpf\"");
    for args in [&["check"][..], &["check", "web"], &["events"]] {
        let said = m.fails(1, args);
        let pins = m.path("bpf/hostlet");
        assert!(
            said.contains(pins.to_str().unwrap()) && said.contains("hostlet enter web -- true"),
            "{said}"
        );
    }
    assert!(m.ok(&["doctor"]).contains("The kernel part is gone"));
    m.ok(&["enter", "web", "--", "true"]);
    for args in [&["check"][..], &["events"]] {
        m.ok(args);
    }
    m.ok(&["remove", "web"]);
}

/// What fails only when it is done says what was tried; the rest is done.
#[test]
fn a_change_that_fails_is_named() {
    let m = Machine::new("fails");
    let one = m.ok(&["create", "one", "-a", "10.1.0.1", "--json"]);
    let one: serde_json::Value = serde_json::from_str(&one).unwrap();
    let cgroups = Path::new(one["cgroup"].as_str().unwrap()).parent().unwrap();
    let in_the_way = cgroups.join("web");
    fs::create_dir(&in_the_way).unwrap();
    let mut member = common::waiting(Command::new(WAIT[0]).args(&WAIT[1..]));
    fs::write(in_the_way.join("cgroup.procs"), member.id().to_string()).unwrap();
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.2\"]\n[hostlet.db]\naddresses = [\"2001:db8:1::1\"]\n",
    )
    .unwrap();
    let said = m.fails(1, &["apply"]);
    let wanted = format!(
        "hostlet: create web with 10.1.0.2: the cgroup {}",
        in_the_way.display()
    );
    assert!(said.contains(&wanted), "{said}");
    assert_eq!(m.names(), ["db", "one"]);
    drop(member.stdin.take());
    member.wait().unwrap();
    m.ok(&["apply"]);
    assert_eq!(m.names(), ["db", "one", "web"]);
}

/// The usage is that of the verb, whole.
#[test]
fn the_usage_of_explain() {
    for (words, usage) in [
        ("explain web", "hostlet explain [--json] <NAME> <COMMAND>"),
        (
            "explain web listen",
            "hostlet explain [--json] <NAME> <COMMAND>",
        ),
        ("explain web bind", "hostlet explain <NAME> bind "),
        ("explain web connect", "hostlet explain <NAME> connect "),
    ] {
        let output = Command::new(HOSTLET)
            .args(words.split(' '))
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{words}: {said}");
        assert!(said.contains(&format!("Usage: {usage}")), "{words}: {said}");
    }
}

/// Who looks for what is wrong is not to be kept from looking by what is wrong.
#[test]
fn a_broken_configuration_hides_nothing() {
    let m = Machine::new("broken");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    fs::write(m.path("hostlet.toml"), "[hostlet\n").unwrap();
    for words in [
        "list",
        "show web",
        "members",
        "sockets",
        "check",
        "events",
        "history",
        "explain web bind 0.0.0.0:80",
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        m.ok(&args);
    }
    let said = m.fails(1, &["remove", "web"]);
    assert!(said.contains("hostlet.toml:1:"), "{said}");
    fs::remove_file(m.path("hostlet.toml")).unwrap();
    m.ok(&["remove", "web"]);
}

/// After an upgrade: what is to be ended has to be found.
#[test]
fn hostlets_of_another_version_are_found_and_ended() {
    let m = Machine::new("layout");
    for name in ["one", "two"] {
        let address = if name == "one" {
            "10.1.0.1"
        } else {
            "10.1.0.2"
        };
        m.ok(&["create", name, "-a", address]);
    }
    let mut member = common::waiting(m.inside(HOSTLET).args(["enter", "one", "--"]).args(WAIT));
    // Where the number of the layout is, in all layouts.
    let globals = MapHandle::from_pinned_path(m.path("bpf/hostlet/maps/globals")).unwrap();
    let key = 0u32.to_ne_bytes();
    let mut value = globals.lookup(&key, MapFlags::ANY).unwrap().unwrap();
    value[24..28].copy_from_slice(&u32::MAX.to_ne_bytes());
    globals.update(&key, &value, MapFlags::ANY).unwrap();
    for (words, shows) in [
        ("list", "10.1.0.2"),
        ("show one", "10.1.0.1"),
        ("members", "one"),
        ("history", "10.1.0.1"),
    ] {
        let args: Vec<&str> = words.split(' ').collect();
        let output = m.hostlet(&args);
        assert!(output.status.success(), "{words}: {output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains("warning: the kernel tables at"), "{said}");
        let shown = String::from_utf8_lossy(&output.stdout);
        assert!(shown.contains(shows), "{words}: {shown}");
    }
    for words in ["check", "sockets", "events", "remove one --kill"] {
        let args: Vec<&str> = words.split(' ').collect();
        let said = m.fails(1, &args);
        assert!(said.contains("layout") && said.contains("rm -r"), "{said}");
    }
    m.sh("rm -r \"$HOSTLET_ROOT/bpf/hostlet\"");
    for name in ["one", "two"] {
        m.ok(&["remove", name, "--kill"]);
    }
    assert!(!member.wait().unwrap().success());
    assert!(m.names().is_empty());
    assert!(!m.path("bpf").exists() || !m.path("bpf/hostlet").exists());
}
