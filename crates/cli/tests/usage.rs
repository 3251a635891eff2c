//! The command line itself: help, wrong usage, exit codes, man pages, completions. Needs no root.

mod common;

use std::process::{Command, Output};

use common::{Dir, HOSTLET};

const VERBS: [&str; 24] = [
    "run",
    "create",
    "remove",
    "enter",
    "attach",
    "grant",
    "revoke",
    "start",
    "apply",
    "reload",
    "list",
    "show",
    "members",
    "sockets",
    "check",
    "explain",
    "events",
    "history",
    "pools",
    "leases",
    "sessions",
    "doctor",
    "completions",
    "man",
];

fn hostlet(args: &[&str]) -> Output {
    Command::new(HOSTLET)
        .args(args)
        .env_remove("HOSTLET_ROOT")
        .output()
        .unwrap()
}

/// Fails with that code and says all of `words`.
fn refused(code: i32, args: &[&str], words: &[&str]) {
    let output = hostlet(args);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "hostlet {args:?}: {said}");
    for word in words {
        assert!(
            said.contains(word),
            "hostlet {args:?} does not say '{word}':\n{said}"
        );
    }
    assert!(
        output.stdout.is_empty(),
        "hostlet {args:?} printed something"
    );
}

#[test]
fn help_names_every_verb_and_each_has_an_example() {
    let help = String::from_utf8(hostlet(&["--help"]).stdout).unwrap();
    for verb in VERBS {
        assert!(
            help.contains(&format!("\n  {verb} ")),
            "{verb} is not in the help"
        );
        for args in [vec!["help", verb], vec![verb, "--help"]] {
            let output = hostlet(&args);
            assert!(output.status.success(), "{args:?}");
            assert!(
                String::from_utf8_lossy(&output.stdout).contains("Example:"),
                "{args:?}"
            );
        }
    }
}

#[test]
fn version() {
    let output = hostlet(&["--version"]);
    assert!(output.status.success());
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        format!("hostlet {}\n", env!("CARGO_PKG_VERSION"))
    );
}

#[test]
fn wrong_usage_is_2_and_125_where_a_program_would_run() {
    refused(2, &[], &["Usage"]);
    refused(2, &["nonsense"], &["nonsense"]);
    refused(2, &["creat", "x"], &["create"]);
    refused(2, &["create", "web"], &["--address"]);
    refused(2, &["create", "--address", "192.0.2.1"], &["NAME"]);
    refused(2, &["attach", "web"], &["--pid"]);
    refused(2, &["attach", "web", "--pid", "0"], &["0"]);
    refused(
        2,
        &["attach", "web", "--pid", "1", "--cgroup", "/x"],
        &["cannot be used with"],
    );
    refused(2, &["events", "--since", "yesterday"], &["10m"]);
    refused(
        2,
        &["explain", "web", "dance"],
        &["dance", "bind, connect, send and socket"],
    );
    for (address, says) in [
        ("192.0.2.11:80000", "80000 is no port: the highest is 65535"),
        ("[2001:db8::1]:65536", "65536 is no port"),
        ("192.0.2.11", "write an address with its port"),
        ("192.0.2.11:http", "write an address with its port"),
        ("2001:db8::1:80000", "write an address with its port"),
    ] {
        refused(2, &["explain", "web", "bind", address], &[says]);
    }
    refused(
        2,
        &["history", "--since", "1h", "--until", "2h"],
        &["--since", "--until", "later"],
    );
    refused(125, &["run", "--address", "192.0.2.1"], &["PROGRAM"]);
    refused(125, &["run", "--", "true"], &["--address", "--pool"]);
    refused(
        125,
        &["run", "--adress", "192.0.2.1", "--", "true"],
        &["--address"],
    );
    refused(
        125,
        &[
            "run",
            "--address",
            "192.0.2.1",
            "--env",
            "novalue",
            "--",
            "true",
        ],
        &["KEY=VALUE"],
    );
    for (both, words) in [
        (
            ["--pool", "office", "--address", "192.0.2.1"],
            ["--pool", "cannot be used with"],
        ),
        (
            ["--pool", "office", "--assign", "eth0"],
            ["--assign", "cannot be used with"],
        ),
        (
            ["--request-address", "192.0.2.1", "--address", "192.0.2.1"],
            ["--request-address", "cannot be used with"],
        ),
        (
            ["--pool", "office", "--request-address", "192.0.2.0/24"],
            ["--request-address", "192.0.2.0/24"],
        ),
        (["--pool", "Office", "--pool", "lab"], ["--pool", "'O'"]),
    ] {
        refused(
            125,
            &[&["run"], &both[..], &["--", "true"]].concat(),
            &words,
        );
        refused(2, &[&["create", "web"], &both[..]].concat(), &words);
    }
    refused(
        2,
        &["create", "web", "--request-address", "192.0.2.1"],
        &["--pool"],
    );
    refused(2, &["reload", "--kill"], &["--kill"]);
    refused(2, &["leases", "--pool", "a.b"], &["'.'"]);
    refused(125, &["enter", "web"], &["PROGRAM"]);
    refused(125, &["--root", "/nowhere", "start", "web"], &["PROGRAM"]);
}

#[test]
fn a_name_that_is_none() {
    let long = "a".repeat(64);
    for (name, says) in [
        ("", "empty"),
        ("Web", "'W'"),
        ("we_b", "'_'"),
        ("web.example", "'.'"),
        ("über", "'ü'"),
        ("a b", "' '"),
        ("../x", "'.'"),
        (&long, "63"),
    ] {
        refused(
            2,
            &["create", name, "--address", "192.0.2.1"],
            &["NAME", says],
        );
    }
    refused(
        125,
        &[
            "run",
            "--name",
            &long,
            "--address",
            "192.0.2.1",
            "--",
            "true",
        ],
        &["63"],
    );
}

#[test]
fn an_address_that_no_hostlet_can_own() {
    for (address, says) in [
        ("10.0.0", "no address"),
        ("10.0.0.256", "no address"),
        ("example.org", "no address"),
        ("10.0.0.1/33", "prefix length"),
        ("127.0.0.1", "loopback"),
        ("::1", "loopback"),
        ("224.0.0.1", "multicast"),
        ("ff02::1", "multicast"),
        ("0.0.0.0", "unspecified"),
        ("::", "unspecified"),
        ("255.255.255.255", "broadcast"),
        ("fe80::1", "%INTERFACE"),
        ("::ffff:10.0.0.1", "10.0.0.1"),
    ] {
        refused(
            2,
            &["create", "web", "--address", address],
            &[address, says],
        );
        refused(2, &["grant", "web", address], &[address, says]);
        refused(
            125,
            &["run", "--address", address, "--", "true"],
            &[address, says],
        );
    }
}

#[test]
fn other_values() {
    refused(
        2,
        &["create", "w", "--address", "192.0.2.1", "--source", "best"],
        &["primary"],
    );
    for (value, says) in [
        ("127.0.0.1", "ADDRESS:PORT"),
        ("10.0.0.1:53", "loopback"),
        ("127.0.0.1:0", "port"),
    ] {
        refused(
            2,
            &[
                "create",
                "w",
                "--address",
                "192.0.2.1",
                "--host-loopback",
                value,
            ],
            &[says],
        );
    }
}

#[test]
fn completions_for_each_shell() {
    for shell in ["bash", "zsh", "fish"] {
        let output = hostlet(&["completions", shell]);
        assert!(output.status.success());
        let script = String::from_utf8(output.stdout).unwrap();
        assert!(VERBS.iter().all(|verb| script.contains(verb)), "{shell}");
    }
    refused(2, &["completions", "tcsh-like"], &["bash"]);
}

#[test]
fn a_man_page_for_each_verb() {
    let dir = Dir::new("man");
    let target = dir.0.join("share/man1");
    let output = hostlet(&["man", target.to_str().unwrap()]);
    assert!(output.status.success(), "{output:?}");
    assert!(target.join("hostlet.1").exists());
    for verb in VERBS {
        let page = std::fs::read_to_string(target.join(format!("hostlet-{verb}.1"))).unwrap();
        assert!(
            page.contains("hostlet\\-") || page.contains(&format!("hostlet {verb}")),
            "{verb}"
        );
        assert!(page.contains("Example:"), "{verb}");
    }
    let output = hostlet(&["man", "/proc/nowhere"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("/proc/nowhere"));
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let output = Command::new("sh")
        .args([
            "-c",
            &format!("'{HOSTLET}' completions zsh | head -c 1; exit 0"),
        ])
        .output()
        .unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
}
