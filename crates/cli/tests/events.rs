//! Refusals are told: as they come, and by whom a port is held (C6).

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{HOSTLET, Machine};
use serde_json::Value;

/// C6.
#[test]
fn events_are_followed() {
    let m = Machine::new("follow");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mut follow = m
        .inside(HOSTLET)
        .args(["events", "-f", "web"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let bind = |port: u16| {
        format!(
            "import socket\ntry: socket.socket().bind(('10.1.0.2', {port}))\nexcept OSError: pass"
        )
    };
    for port in [81, 82] {
        m.ok(&["enter", "web", "--", "python3", "-c", &bind(port)]);
        let line = lines.next().unwrap().unwrap();
        assert!(
            line.contains(&format!("10.1.0.2:{port}: EADDRNOTAVAIL (foreign-address)")),
            "{line}"
        );
    }
    follow.kill().unwrap();
    follow.wait().unwrap();
    assert_eq!(m.ok(&["events", "--since", "1h"]).lines().count(), 2);
    let none = m.ok(&["events", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(none, "Nothing was refused.\n");
    m.ok(&["remove", "web"]);
}

/// Has itself refused so often, at that port.
fn refused(m: &Machine, name: &str, count: u32, port: u16) {
    let bind = format!(
        "import socket\nfor n in range({count}):\n\
         \x20with socket.socket() as s:\n\
         \x20\x20try: s.bind(('10.1.0.3', {port}))\n\
         \x20\x20except OSError: pass"
    );
    m.ok(&["enter", name, "--", "python3", "-c", &bind]);
}

fn json(line: &str) -> Value {
    serde_json::from_str(line).unwrap_or_else(|e| panic!("{line}: {e}"))
}

/// C6: what a hostlet did is told by its name when it is gone, also after its number has become another's.
#[test]
fn events_of_a_hostlet_that_ended_have_its_name() {
    let m = Machine::new("ended");
    m.ok(&["create", "stays", "-a", "10.1.0.2"]);
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    refused(&m, "web", 1, 81);
    m.ok(&["remove", "web"]);
    let told = |args: &[&str]| -> Vec<(String, u64)> {
        let lines = m.ok(&[&["events", "--json"], args].concat());
        let events = lines.lines().map(json);
        events
            .map(|e| {
                let name = e["hostlet"].as_str().unwrap().to_owned();
                (name, e["port"].as_u64().unwrap())
            })
            .collect()
    };
    let web = ("web".to_owned(), 81);
    assert_eq!(told(&[])[..], std::slice::from_ref(&web)[..]);
    // Numbers go round: the next hostlet is made to get that one.
    let script = "import sqlite3, sys; d = sqlite3.connect(sys.argv[1]); d.execute(\"UPDATE counter SET value = value - 1 WHERE name = 'last id'\"); d.commit()";
    let mut python = std::process::Command::new("/usr/bin/python3");
    let done = python
        .args(["-c", script])
        .arg(m.path("hostlet.db"))
        .status();
    assert!(done.unwrap().success());
    m.ok(&["create", "next", "-a", "10.1.0.1"]);
    refused(&m, "next", 1, 82);
    let next = ("next".to_owned(), 82);
    assert_eq!(told(&[]), [web.clone(), next.clone()]);
    assert_eq!((told(&["web"]), told(&["next"])), (vec![web], vec![next]));
    m.ok(&["remove", "next"]);
    m.ok(&["remove", "stays"]);
    // Nothing stays in the kernel behind the last one.
    for verb in [&["events"][..], &["events", "web"]] {
        let none = m.ok(verb);
        assert!(
            none.starts_with("No events: the kernel keeps them while"),
            "{none}"
        );
    }
}

/// C6: one hostlet cannot hide what it or another did without its being told that something is missing.
#[test]
fn events_that_were_crowded_out_are_told() {
    let m = Machine::new("crowded");
    m.ok(&["create", "quiet", "-a", "10.1.0.1"]);
    m.ok(&["create", "loud", "-a", "10.1.0.2"]);
    refused(&m, "quiet", 1, 81);
    refused(&m, "loud", 4095, 82);
    let all = m.ok(&["events", "--json"]);
    assert_eq!(all.lines().count(), 4096, "the ring is full, and has all");
    assert_eq!(json(all.lines().next().unwrap())["hostlet"], "quiet");
    assert!(!all.contains("lost"), "nothing is lost yet");

    refused(&m, "loud", 1905, 83);
    let all = m.ok(&["events", "--json"]);
    let lines: Vec<Value> = all.lines().map(json).collect();
    assert_eq!(lines.len(), 1 + 4096);
    assert_eq!(lines[0]["lost"], 1905);
    assert_eq!(lines[0]["until"], lines[1]["time"]);
    assert_eq!(lines[1]["seq"], 1906);
    let help = m.ok(&["help", "events"]);
    for field in ["lost", "until"] {
        assert!(help.contains(&format!("\"{field}\"")), "{field}: {help}");
    }
    let all = m.ok(&["events"]);
    let first = all.lines().next().unwrap();
    let said = "-- 1905 earlier events, of whichever hostlets, are lost";
    assert!(first.starts_with(said), "{first}");
    // Whose own are among the lost is not known.
    let quiet = m.ok(&["events", "quiet"]);
    assert!(quiet.starts_with(said), "{quiet}");
    assert!(
        quiet.ends_with("No event of quiet is left.\n") && quiet.lines().count() == 2,
        "{quiet}"
    );
    // What is asked for begins later.
    let since = lines[1000]["time"].as_str().unwrap();
    let later = m.ok(&["events", "--since", since, "--json"]);
    // The moments of events are as exact as the machine's clock goes.
    let first = json(later.lines().next().unwrap())["seq"].as_u64();
    assert!(first.is_some_and(|seq| seq > 2000), "{first:?}");
    let none = m.ok(&["events", "--since", "2100-01-01T00:00:00Z"]);
    assert_eq!(none, "Nothing was refused.\n");
    m.ok(&["remove", "quiet"]);
    m.ok(&["remove", "loud"]);
}

/// C6: who follows and is too slow hears of that as well.
#[test]
fn a_follower_that_is_overtaken_is_told() {
    let m = Machine::new("overtaken");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let mut follow = m
        .inside(HOSTLET)
        .args(["events", "-f", "web", "--json"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(follow.stdout.take().unwrap()).lines();
    let mut lines = lines.map(|line| json(&line.unwrap()));
    refused(&m, "web", 1, 81);
    assert_eq!(lines.next().unwrap()["seq"], 1);
    let pid = follow.id().to_string();
    m.sh(&format!("kill -STOP {pid}"));
    refused(&m, "web", 5000, 82);
    m.sh(&format!("kill -CONT {pid}"));
    // It may have been about to read when it stopped.
    let mut next = 2;
    let mut lost = 0;
    while next <= 5001 {
        let line = lines.next().unwrap();
        if let Some(some) = line["lost"].as_u64() {
            lost += some;
            next += some;
        } else {
            assert_eq!(line["seq"], next, "{line}");
            next += 1;
        }
    }
    assert!(lost > 0, "nothing was lost");
    follow.kill().unwrap();
    follow.wait().unwrap();
    m.ok(&["remove", "web"]);
}

/// C4, C6: a UDP port of the host's cannot be shared, and the event says who has it.
#[test]
fn a_held_port_names_its_holder() {
    let m = Machine::new("held");
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    let hold = "import socket, sys; u = socket.socket(2, 2); u.bind(('0.0.0.0', 5353)); print('up', flush=True); sys.stdin.read()";
    let mut host = m
        .inside("python3")
        .args(["-c", hold])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(host.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "up");
    let bind =
        "import socket\ntry: socket.socket(2, 2).bind(('0.0.0.0', 5353))\nexcept OSError: pass";
    m.ok(&["enter", "web", "--", "python3", "-c", bind]);
    let told = m.ok(&["events"]);
    let wanted = format!(
        "bind udp 0.0.0.0:5353: EADDRINUSE (port-held by python3[{}])",
        host.id()
    );
    assert!(told.contains(&wanted), "{told}");
    let verdict = |address: &str| m.ok(&["explain", "web", "bind", "--udp", address]);
    for address in ["0.0.0.0:5353", "10.1.0.1:5353", "[::]:5353"] {
        let told = verdict(address);
        assert!(told.contains("refused (EADDRINUSE): python3["), "{told}");
        assert!(told.contains("port-held (promise C4)"), "{told}");
    }
    for address in ["0.0.0.0:5354", "[::1]:5353"] {
        let told = verdict(address);
        assert!(
            told.contains("translated") && told.contains("if no other socket"),
            "{told}"
        );
    }
    drop(host.stdin.take());
    host.wait().unwrap();
    m.ok(&["remove", "web"]);
}
