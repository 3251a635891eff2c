//! Refusals are told: as they come, and by whom a port is held (C6).

mod common;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use common::{HOSTLET, Machine};

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

/// A14.
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
