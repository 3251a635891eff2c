//! The addresses of 127.0.0.0/8 beside 127.0.0.1: what the verbs say of them, how many there are, and that nothing is left.

mod common;

use std::process::Child;

use common::{Machine, table, waiting};
use serde_json::Value;

/// A machine with the hostlets web and shop, and one that keeps the kernel part there.
fn machine(what: &str) -> Machine {
    let m = Machine::new(what);
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    m.ok(&["create", "shop", "-a", "10.1.0.2"]);
    m.ok(&["create", "stays", "-a", "2001:db8:1::1"]);
    m
}

/// A program of a hostlet, which waits until its standard input ends.
fn program(m: &Machine, hostlet: &str, python: &str) -> Child {
    let python = format!(
        "import sys\nfrom socket import *\n{python}\nprint('ready', flush=True)\nsys.stdin.read()"
    );
    let words = ["enter", hostlet, "--", "python3", "-c", &python];
    waiting(m.inside(common::HOSTLET).args(words))
}

fn json(m: &Machine, args: &[&str]) -> Value {
    serde_json::from_str(&m.ok(args)).unwrap()
}

#[test]
fn what_programs_name_shows_and_goes_with_the_hostlet() {
    let m = machine("loopbacks");
    let server = "a = socket(); a.bind(('127.0.0.5', 8080)); a.listen()
u = socket(AF_INET, SOCK_DGRAM); u.bind(('127.0.0.53', 53))
c = socket(); c.connect(('127.0.0.5', 8080))
s = socket(AF_INET6, SOCK_DGRAM); s.bind(('::ffff:127.1.1.1', 5300))";
    let mut web = program(&m, "web", server);
    let mut shop = program(&m, "shop", server);

    let shown = json(&m, &["show", "web", "--json"]);
    let further = shown["further_loopback"].as_object().unwrap();
    let named: Vec<&str> = further.keys().map(String::as_str).collect();
    assert_eq!(named, ["127.0.0.5", "127.0.0.53", "127.1.1.1"]);
    let stands = further["127.0.0.5"].as_str().unwrap();
    assert!(
        m.ok(&["show", "web"])
            .contains(&format!("127.0.0.5 as {stands}"))
    );
    let sockets = json(&m, &["sockets", "web", "--json"]);
    let of = |local: &str, field: &str| {
        let mut all = sockets.as_array().unwrap().iter();
        let found = all.find(|s| s["local"] == local);
        found.unwrap_or_else(|| panic!("{local}: {sockets}"))[field].clone()
    };
    assert_eq!(
        of("127.0.0.5:8080", "kernel_local"),
        format!("{stands}:8080")
    );
    assert_eq!(of("127.0.0.53:53", "protocol"), "udp");
    assert_eq!(of("[::ffff:127.1.1.1]:5300", "protocol"), "udp");
    let peers = sockets.as_array().unwrap().iter();
    assert!(
        peers.clone().any(|s| s["remote"] == "127.0.0.5:8080"),
        "{sockets}"
    );
    assert_eq!(json(&m, &["check", "--json"]), Value::Array(vec![]));
    let limits = json(&m, &["doctor", "--json"])["limits"].clone();
    assert_eq!(limits["further_loopbacks_used"], 6);
    assert!(m.ok(&["doctor"]).contains("beside 127.0.0.1: 6 of 65536"));

    m.ok(&["remove", "--kill", "web"]);
    assert!(!web.wait().unwrap().success());
    assert_eq!(
        (table(&m, "extras").len(), table(&m, "loops").len()),
        (3, 4)
    );
    // Whoever has its number next has none of them.
    m.ok(&["create", "web", "-a", "10.1.0.1"]);
    assert!(
        json(&m, &["show", "web", "--json"])["further_loopback"]
            .as_object()
            .unwrap()
            .is_empty()
    );
    m.ok(&["remove", "--kill", "shop"]);
    assert!(!shop.wait().unwrap().success());
    assert_eq!(
        (table(&m, "extras").len(), table(&m, "loops").len()),
        (0, 0)
    );
}

#[test]
fn a_socket_that_was_handed_out_dies_with_the_hostlet() {
    let m = machine("loopbacks-out");
    // A process of the machine gets the listener of a member over a UNIX socket, and waits for its end.
    let path = m.path("handed");
    let mut outside = waiting(m.inside("python3").arg("-c").arg(format!(
        "import socket, sys\nu = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.bind('{}')\nprint('ready', flush=True)
_, fds, _, _ = socket.recv_fds(u, 1, 1)
a = socket.socket(fileno=fds[0])
try: a.accept()
except OSError as e: sys.exit(0 if e.errno == 22 else 1)",
        path.display()
    )));
    let send = format!(
        "import socket; a = socket.socket(); a.bind(('127.0.0.5', 8080)); a.listen()
u = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); u.connect('{}'); socket.send_fds(u, [b'x'], [a.fileno()])",
        path.display()
    );
    m.ok(&["enter", "web", "--", "python3", "-c", &send]);
    m.ok(&["remove", "--kill", "web"]);
    assert!(outside.wait().unwrap().success());
    assert_eq!(
        (table(&m, "extras").len(), table(&m, "loops").len()),
        (0, 0)
    );
}

/// Known difference `limit-of-loopbacks`.
#[test]
fn there_is_an_end_to_them() {
    let m = machine("loopbacks-many");
    let many = "import errno
from socket import *
def err(f):
    try: f(); return 'ok'
    except OSError as e: return errno.errorcode[e.errno]
def udp(): return socket(AF_INET, SOCK_DGRAM)
all = [err(lambda: udp().bind((f'127.9.{n >> 8}.{n & 255}', 0))) for n in range(1026)]
print(all.count('ok'), all[1023:])
print(err(lambda: udp().connect(('127.8.0.1', 53))), err(lambda: socket().connect(('127.8.0.1', 53))))
print(err(lambda: udp().sendto(b'x', ('127.8.0.1', 53))), err(lambda: udp().bind(('127.9.0.7', 0))))";
    let said = m.ok(&["enter", "web", "--", "python3", "-c", many]);
    assert_eq!(
        said,
        "1024 ['ok', 'ENOBUFS', 'ENOBUFS']\nENOBUFS ECONNREFUSED\nok ok\n"
    );
    let events = m.ok(&["events", "web", "--json"]);
    let full: Vec<Value> = events
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter(|e| e["reason"] == "table-full")
        .collect();
    assert_eq!(full.len(), 3, "{events}");
    assert_eq!(full[0]["address"], "127.9.4.0");
    let other = "from socket import *; socket().bind(('127.9.0.1', 80))";
    m.ok(&["enter", "shop", "--", "python3", "-c", other]);
    m.ok(&["remove", "web"]);
    assert_eq!(
        (table(&m, "extras").len(), table(&m, "loops").len()),
        (1, 2)
    );
}

/// A service of the machine's loopback that was opened is reached, until the hostlet serves that very address itself.
#[test]
fn an_opened_service_of_the_machine_gives_way_to_the_hostlets_own() {
    let m = Machine::new("loopbacks-open");
    m.ok(&[
        "create",
        "web",
        "-a",
        "10.1.0.1",
        "--host-loopback",
        "127.0.0.53:53",
    ]);
    let answer = "import socket
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.bind(('127.0.0.53', 53))
print('ready', flush=True)
while True:
    text, peer = u.recvfrom(99)
    if text == b'end': break
    u.sendto(b'the machine', peer)";
    let mut outside = waiting(m.inside("python3").args(["-c", answer]));
    let ask = "from socket import *
def udp(at=None):
    u = socket(AF_INET, SOCK_DGRAM); u.settimeout(9)
    if at: u.bind((at, 53))
    return u
def ask(own=None):
    c = udp(); c.connect(('127.0.0.53', 53)); c.send(b'who')
    if own:
        text, peer = own.recvfrom(99); own.sendto(b'the hostlet', peer)
    return c.recv(99).decode()
print(ask())
first = udp('127.0.0.1'); print(ask())
own = udp('127.0.0.53'); print(ask(own))
own.close(); first.close(); c = udp(); c.sendto(b'end', ('127.0.0.53', 53))";
    let said = m.ok(&["enter", "web", "--", "python3", "-c", ask]);
    assert_eq!(said, "the machine\nthe machine\nthe hostlet\n");
    assert!(outside.wait().unwrap().success());
}
