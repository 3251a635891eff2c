//! Who may start, enter and change what is declared (A14).

mod common;

use std::fs;

use common::{HOSTLET, Machine};

/// A13, A14: a program is started by the name of what is declared, by those who may.
#[test]
fn start_uses_what_is_declared_and_asks_who_may() {
    let m = Machine::new("start");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nmay-start = [\"user:nobody\"]\nuser = \"nobody\"\nworkdir = \"/usr\"\nenv = { X = \"declared\" }\n",
    )
    .unwrap();
    let script = "id -un; pwd; echo $X";
    assert_eq!(
        m.ok(&["start", "web", "--", "sh", "-c", script]),
        "nobody\n/usr\ndeclared\n"
    );
    assert_eq!(m.names(), ["web"]);
    let start = |uid: &str, options: &[&str]| {
        let args = [&["start", "web"][..], options, &["--", "id", "-un"]].concat();
        m.inside(HOSTLET)
            .args(args)
            .env("SUDO_UID", uid)
            .output()
            .unwrap()
    };
    assert_eq!(start("65534", &[]).stdout, b"nobody\n");
    let refused = start("1", &[]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("may-start"),
        "{refused:?}"
    );
    let refused = start("65534", &["--user", "root"]);
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("--user"),
        "{refused:?}"
    );
    m.ok(&["remove", "web"]);
}

#[test]
fn entering_is_allowed_by_list() {
    let m = Machine::new("may-enter");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nmay-enter = [\"group:65534\"]\n",
    )
    .unwrap();
    m.ok(&["apply"]);
    let enter = |uid: &str| {
        let mut command = m.inside(HOSTLET);
        command
            .args(["enter", "web", "--", "id", "-un"])
            .env("SUDO_UID", uid)
            .output()
            .unwrap()
    };
    // Root is root; who is listed enters as himself; who is not, not.
    assert_eq!(m.ok(&["enter", "web", "--", "id", "-un"]), "root\n");
    assert_eq!(enter("65534").stdout, b"nobody\n");
    let refused = enter("1");
    assert_eq!(refused.status.code(), Some(125));
    assert!(
        String::from_utf8_lossy(&refused.stderr).contains("may-enter"),
        "{refused:?}"
    );
    m.ok(&["remove", "web"]);
}

/// A14: what is listed is changed by those listed, under its own name or another.
#[test]
fn changing_is_allowed_by_list() {
    let m = Machine::new("may-change");
    fs::write(
        m.path("hostlet.toml"),
        "[hostlet.web]\naddresses = [\"10.1.0.1\"]\nmay-start = [\"user:nobody\"]\n",
    )
    .unwrap();
    let by = |uid: &str, args: &[&str]| {
        let mut command = m.inside(HOSTLET);
        command.args(args).env("SUDO_UID", uid).output().unwrap()
    };
    let refused = |args: &[&str]| {
        let output = by("1", args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {said}");
        assert!(said.contains("may-start"), "{args:?}: {said}");
    };
    refused(&["apply"]);
    refused(&["create", "web", "-a", "10.1.0.2"]);
    // What is declared for web is no address for another.
    refused(&["create", "other", "-a", "10.1.0.1"]);
    assert!(m.names().is_empty());
    assert!(by("65534", &["apply"]).status.success());
    refused(&["grant", "web", "10.1.0.2"]);
    refused(&["revoke", "web", "10.1.0.1"]);
    refused(&["remove", "web"]);
    assert!(by("65534", &["grant", "web", "10.1.0.2"]).status.success());
    assert!(by("65534", &["revoke", "web", "10.1.0.2"]).status.success());
    // What no list speaks of is root's, and so his who came through sudo.
    assert!(
        by("1", &["create", "other", "-a", "10.1.0.2"])
            .status
            .success()
    );
    refused(&["grant", "other", "10.1.0.1"]);
    assert!(by("1", &["remove", "other"]).status.success());
    assert!(by("65534", &["remove", "web"]).status.success());
}
