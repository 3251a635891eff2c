//! `hostlet explain --user`: which rule decides, and why. The same decision is tested by itself; here it is what the command says.

mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::process::{Command, Output};

use common::{Dir, HOSTLET};

const CONFIG: &str = r#"
[sessions]
exclude = ["/usr/bin/Xorg"]

[pool.office]
interface = "eth0"
ranges = ["192.0.2.7"]

[[rule]]
name = "by-cron"
services = ["cron"]
per = "none"

[[rule]]
name = "backup"
who = ["unit:backup.service"]
programs = ["*"]
per = "program"
hostlet = "backup"

[[rule]]
name = "curl"
who = ["user:4242"]
programs = ["/usr/bin/curl"]
per = "program"
pools = ["office"]
unavailable = "cut-off"

[[rule]]
name = "everyone"
per = "session"
pools = ["office"]
linger = "10m"
"#;

fn installation(config: &str) -> Dir {
    let dir = Dir::new("explain-rules");
    fs::write(dir.0.join("hostlet.toml"), config).unwrap();
    dir
}

fn explain(dir: &Dir, args: &[&str]) -> Output {
    Command::new(HOSTLET)
        .arg("explain")
        .args(args)
        .env("HOSTLET_ROOT", &dir.0)
        .output()
        .unwrap()
}

fn text(dir: &Dir, args: &[&str]) -> String {
    let output = explain(dir, args);
    assert!(output.status.success(), "{args:?}: {output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn json(dir: &Dir, args: &[&str]) -> serde_json::Value {
    serde_json::from_str(&text(dir, &[args, &["--json"]].concat())).unwrap()
}

fn refused(dir: &Dir, code: i32, args: &[&str]) -> String {
    let output = explain(dir, args);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
    assert!(output.stdout.is_empty(), "{args:?}");
    said
}

/// B1, B9: who logs in, and by what.
#[test]
fn a_login_has_its_rule_and_the_reasons() {
    let dir = installation(CONFIG);
    assert_eq!(
        text(&dir, &["--user", "4242"]),
        "\
4242 logs in by sshd
  rule 'everyone': a hostlet for this session, addresses from pool office
  if there is none to be had: the login is refused (strict)
  after the logout: what is left running is cut off 600 s later
  rule 'by-cron' does not fit: it is about logins by cron, not by sshd
  rule 'backup' does not fit: it is about programs, not about logins
  rule 'curl' does not fit: it is about programs, not about logins
  rule 'everyone' fits: 4242 is a person, and the rule is about everyone
  note: hostletd does not run: this login would be refused now
"
    );
    let told = json(&dir, &["--user", "4242", "--service", "sshd"]);
    assert_eq!(told["rule"], "everyone");
    assert_eq!(told["per"], "session");
    assert_eq!(told["pools"], serde_json::json!(["office"]));
    assert_eq!(told["unavailable"], "strict");
    assert_eq!(told["linger"], 600);
    assert_eq!(told["why"].as_array().unwrap().len(), 4);
    let told = json(&dir, &["--user", "4242", "--service", "cron"]);
    assert_eq!(
        (&told["rule"], &told["per"]),
        (&"by-cron".into(), &"none".into())
    );
    assert!(told["unavailable"].is_null());
    for system in ["root", "nobody", "0"] {
        let said = text(&dir, &["--user", system]);
        assert!(
            said.contains("\n  no rule: the machine's address\n"),
            "{said}"
        );
        assert!(said.contains("is an account of the system"), "{said}");
    }
}

/// A13, B2, B8: which program is started, by whom, in which unit.
#[test]
fn a_start_has_its_rule_and_whether_it_is_excluded() {
    let dir = installation(CONFIG);
    let said = text(&dir, &["--user", "4242", "--program", "/usr/bin/curl"]);
    for line in [
        "4242 starts /usr/bin/curl\n",
        "rule 'curl': a hostlet of its own, with what it starts, addresses from pool office\n",
        "if there is none to be had: it has its own loopback and nothing else (cut-off)\n",
        "rule 'backup' does not fit: 4242 is not among unit:backup.service\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    let args = [
        "--user",
        "root",
        "--program",
        "/usr/bin/rsync",
        "--unit",
        "backup.service",
    ];
    let told = json(&dir, &args);
    assert_eq!(told["hostlet"], "backup");
    let notes = told["notes"].to_string();
    assert!(
        notes.contains("hostlet 'backup' is not there now"),
        "{notes}"
    );
    let told = json(&dir, &["--user", "4242", "--program", "/usr/bin/Xorg"]);
    assert!(told["rule"].is_null(), "{told}");
    assert_eq!(told["excluded"], "/usr/bin/Xorg");
    assert!(
        refused(&dir, 1, &["--user", "4242", "--program", "curl"]).contains("no absolute path")
    );
}

/// The kernel names a program without the links on the way to it.
#[test]
fn links_are_followed_and_checksums_taken() {
    let dir = installation("");
    let tool = dir.0.join("tool");
    fs::write(&tool, "test").unwrap();
    symlink(&tool, dir.0.join("link")).unwrap();
    // printf test | sha256sum
    let config = "[sessions]\nexclude = [\"sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08\"]\n";
    fs::write(dir.0.join("hostlet.toml"), config).unwrap();
    let link = dir.0.join("link");
    let told = json(
        &dir,
        &["--user", "4242", "--program", link.to_str().unwrap()],
    );
    let tool = fs::canonicalize(tool).unwrap();
    assert_eq!(told["program"], tool.to_str().unwrap());
    assert!(
        told["excluded"]
            .as_str()
            .unwrap()
            .starts_with("sha256:9f86d081")
    );
    let notes = told["notes"].to_string();
    assert!(notes.contains("is a link to"), "{notes}");
    assert!(notes.contains("the configuration has no rules"), "{notes}");
    let by_link = format!(
        "{}[[rule]]\nname = \"r\"\nper = \"none\"\nprograms = [\"{}\"]\n",
        format_args!("[sessions]\nexclude = [\"{}\"]\n", link.display()),
        link.display()
    );
    fs::write(dir.0.join("hostlet.toml"), by_link).unwrap();
    let told = json(
        &dir,
        &["--user", "4242", "--program", tool.to_str().unwrap()],
    );
    assert_eq!(told["excluded"], link.to_str().unwrap());
    let notes = told["notes"].to_string();
    assert!(notes.contains("rule 'r' lists "), "{notes}");
    fs::write(dir.0.join("hostlet.toml"), config).unwrap();
    fs::write(&tool, "upgraded").unwrap();
    let told = json(
        &dir,
        &["--user", "4242", "--program", tool.to_str().unwrap()],
    );
    assert!(told["excluded"].is_null(), "{told}");
    let nowhere = json(&dir, &["--user", "4242", "--program", "/nowhere/tool"]);
    let notes = nowhere["notes"].to_string();
    assert!(notes.contains("cannot be looked at"), "{notes}");
}

#[test]
fn it_says_what_becomes_of_it_without_hostletd() {
    let dir = installation(CONFIG);
    let note = |args: &[&str]| json(&dir, args)["notes"].to_string();
    let login = ["--user", "4242"];
    let refused = "hostletd does not run: this login would be refused now";
    assert_eq!(note(&login), format!("[\"{refused}\"]"));
    let curl = note(&["--user", "4242", "--program", "/usr/bin/curl"]);
    assert!(curl.contains("start as if there were no rule"), "{curl}");
    // Whom no rule gives anything, nothing is different.
    assert_eq!(note(&["--user", "4242", "--service", "cron"]), "[]");
    assert_eq!(note(&["--user", "root"]), "[]");
    // What hostletd took over last counts until it is started.
    let strict = "linger = \"10m\"";
    let before = CONFIG.replace(strict, "unavailable = \"fall-back\"");
    fs::write(dir.0.join("hostletd.toml"), before).unwrap();
    let said = note(&login);
    for words in [
        "this login would go on with the machine's address now",
        "which is not what the file says now",
    ] {
        assert!(said.contains(words), "{said}");
    }
    fs::write(dir.0.join("hostletd.toml"), CONFIG).unwrap();
    assert_eq!(note(&login), format!("[\"{refused}\"]"));
}

#[test]
fn it_says_when_hostletd_goes_by_something_else() {
    let dir = installation(CONFIG);
    fs::create_dir(dir.0.join("run")).unwrap();
    let listener = UnixListener::bind(dir.0.join("run/hostletd.sock")).unwrap();
    // It says no to whatever it is asked, and so is there.
    std::thread::spawn(move || {
        for caller in listener.incoming() {
            let mut caller = caller.unwrap();
            let mut question = Vec::new();
            BufReader::new(&caller)
                .read_until(0, &mut question)
                .unwrap();
            let no = "{\"error\":\"org.varlink.service.MethodNotFound\",\"parameters\":{\"method\":\"x\"}}\0";
            caller.write_all(no.as_bytes()).unwrap();
        }
    });
    let told = || json(&dir, &["--user", "4242"])["notes"].to_string();
    assert!(told().contains("still goes by no file"), "{}", told());
    fs::write(dir.0.join("hostletd.toml"), CONFIG).unwrap();
    assert_eq!(told(), "[]");
    fs::write(dir.0.join("hostletd.toml"), CONFIG.replace("10m", "1m")).unwrap();
    assert!(told().contains("'hostlet reload' tells it"), "{}", told());
}

#[test]
fn wrong_questions() {
    let dir = installation(CONFIG);
    for (args, says) in [
        (&[][..], "<NAME>"),
        (
            &["web"],
            "'hostlet explain web' needs a call: bind, connect, send or socket",
        ),
        (
            &["--user", "alice", "bind", "0.0.0.0:80"],
            "a call is of a hostlet",
        ),
        (
            &[
                "--user",
                "alice",
                "--service",
                "sshd",
                "--program",
                "/bin/a",
            ],
            "cannot be used with",
        ),
        (&["--user", "alice", "web"], "cannot be used with"),
        (&["--service", "sshd"], "--user"),
        (&["--user", "alice", "--unit", "a.service"], "--program"),
    ] {
        let said = refused(&dir, 2, args);
        assert!(said.contains(says), "{args:?}: {said}");
    }
    let said = refused(&dir, 1, &["--user", "nobody-of-that-name"]);
    assert!(
        said.contains("there is no user 'nobody-of-that-name'"),
        "{said}"
    );
    fs::write(dir.0.join("hostlet.toml"), "[[rule]]\n").unwrap();
    let said = refused(&dir, 1, &["--user", "root"]);
    assert!(
        said.contains("hostlet.toml:1:1: this rule has no name"),
        "{said}"
    );
}

#[test]
fn only_root_asks_about_others() {
    let dir = installation(CONFIG);
    fs::set_permissions(&dir.0, fs::Permissions::from_mode(0o755)).unwrap();
    // Where the command was built, nobody may not look.
    let copy = dir.0.join("hostlet-copy");
    assert!(
        Command::new("cp")
            .arg(HOSTLET)
            .arg(&copy)
            .status()
            .unwrap()
            .success()
    );
    let output = Command::new("setpriv")
        .args(["--reuid=65534", "--regid=65534", "--clear-groups"])
        .arg(&copy)
        .args(["explain", "--user", "root"])
        .env("HOSTLET_ROOT", &dir.0)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("run it as root"), "{said}");
}
