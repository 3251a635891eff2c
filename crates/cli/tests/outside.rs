//! What `check` finds and what it does not, where the kernel has a socket on another address than its packets have
//! (C5): sockets on the host's real wildcard that connect.

mod common;

use std::io::{BufRead, BufReader, Lines, Write};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use common::{HOSTLET, Machine};
use serde_json::Value;

/// A program in a hostlet that does what it is told, a line of Python at a time.
struct Program {
    child: Child,
    input: Option<ChildStdin>,
    lines: Lines<BufReader<ChildStdout>>,
}

/// `tell` prints a socket's inode and both ends; `there` fills what `s` may send, so that it stays when it is closed.
const PRELUDE: &str = "import os,sys\nfrom socket import *\n\
def at(a): return '-' if a is None else '[%s]:%d' % a[:2] if ':' in a[0] else '%s:%d' % a[:2]\n\
def tell(*all): print(' '.join(f'{os.fstat(s.fileno()).st_ino},{at(s.getsockname())},{at(s.getpeername())}' for s in all), flush=True)\n\
def fill(s):\n\
\x20s.setblocking(False)\n\
\x20try:\n\
\x20\x20while True: s.send(b'x' * 65536)\n\
\x20except BlockingIOError: pass\n\
def sent(family, *to):\n\
\x20s = socket(family, SOCK_DGRAM); s.sendto(b'x', to); s.connect(to); return s\n\
for line in sys.stdin:\n\
\x20exec(line)\n\
\x20print('done', flush=True)\n";

impl Program {
    fn start(m: &Machine, hostlet: Option<&str>) -> Program {
        let python = ["python3", "-c", PRELUDE];
        let mut command = match hostlet {
            Some(name) => {
                let mut command = m.inside(HOSTLET);
                command.args(["enter", name, "--"]).args(python);
                command
            }
            None => {
                let mut command = m.inside(python[0]);
                command.args(&python[1..]);
                command
            }
        };
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = piped.spawn().unwrap();
        Program {
            input: child.stdin.take(),
            lines: BufReader::new(child.stdout.take().unwrap()).lines(),
            child,
        }
    }

    /// Does it, and gives what that printed.
    fn does(&mut self, line: &str) -> String {
        let input = self.input.as_mut().unwrap();
        writeln!(input, "{line}").unwrap();
        let printed = self.lines.by_ref().map(Result::unwrap);
        let printed: Vec<_> = printed.take_while(|line| line != "done").collect();
        printed.join("\n")
    }

    fn ends(mut self) {
        drop(self.input.take());
        assert!(self.child.wait().unwrap().success());
    }
}

fn json(m: &Machine, verb: &str) -> Vec<Value> {
    let output = m.hostlet(&[verb, "--json"]);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|e| panic!("{verb}: {e}: {output:?}"))
}

/// That `sockets` shows them as their program sees them; gives where the kernel has each.
fn as_told(m: &Machine, told: &str) -> Vec<String> {
    let listed = json(m, "sockets");
    let one = |told: &str| {
        let [inode, local, remote] = told.split(',').collect::<Vec<_>>()[..] else {
            panic!("{told}");
        };
        let socket = listed
            .iter()
            .find(|s| s["inode"].as_u64() == inode.parse().ok());
        let socket = socket.unwrap_or_else(|| panic!("{told} is not in {listed:?}"));
        assert_eq!(socket["local"], local, "{told}: {socket}");
        assert_eq!(socket["remote"], remote, "{told}: {socket}");
        socket["kernel_local"].as_str().unwrap().to_owned()
    };
    told.split(' ').map(one).collect()
}

/// A machine whose listener at 10.1.0.1:7000 reads nothing.
fn machine(what: &str) -> (Machine, Program) {
    let m = Machine::new(what);
    m.sh("ip -6 addr add 2001:db8:1::2/64 dev d0 nodad preferred_lft 0");
    let mut host = Program::start(&m, None);
    host.does("l = socket(); l.setsockopt(SOL_SOCKET, SO_RCVBUF, 4096); l.bind(('10.1.0.1', 7000)); l.listen()");
    (m, host)
}

/// C5, A7: their packets have an address of the hostlet's, whatever the kernel has beneath.
#[test]
fn who_leaves_from_its_own_address_is_not_outside() {
    let (m, host) = machine("abroad");
    m.ok(&["create", "web", "-a", "10.1.0.2", "-a", "2001:db8:1::2"]);
    let mut program = Program::start(&m, Some("web"));
    program.does("a = sent(AF_INET, '10.1.0.9', 9); b = sent(AF_INET6, '::ffff:10.1.0.9', 9); c = sent(AF_INET, '10.1.0.1', 9)");
    program.does("d = sent(AF_INET6, '2001:db8:1::9', 9)");
    program.does(
        "t = socket(AF_INET6); t.bind(('::', 0)); t.connect(('::ffff:10.1.0.1', 7000)); fill(t)",
    );
    // One that has sent nothing since the route was asked.
    program.does(
        "e = socket(AF_INET6, SOCK_DGRAM); e.bind(('::', 0)); e.connect(('::ffff:10.1.0.9', 9))",
    );
    let told = program.does("tell(a, b, c, d, e, t)");
    assert_eq!(told.matches("10.1.0.2]:").count(), 3, "{told}");
    assert_eq!(told.matches(",10.1.0.2:").count(), 2, "{told}");
    assert_eq!(told.matches(",[2001:db8:1::2]:").count(), 1, "{told}");
    for place in as_told(&m, &told) {
        assert!(
            place.contains("10.1.0.1") || place.contains("2001:db8:1::1"),
            "{place}: the kernel has it on its own address, this shows nothing"
        );
    }
    assert_eq!(json(&m, "check"), Vec::<Value>::new());
    // What is left of it when the program has ended.
    program.ends();
    let listed = json(&m, "sockets");
    assert_eq!(listed.len(), 1, "{listed:?}");
    assert_eq!(listed[0]["state"], "fin-wait1");
    assert_eq!(listed[0]["processes"], Value::Array(vec![]));
    assert_eq!(json(&m, "check"), Vec::<Value>::new());
    // Nobody would replace its source any more.
    m.ok(&["remove", "web"]);
    assert_eq!(m.sh("ss --tcp --all --no-header dport = 7000"), "");
    host.ends();
}

/// C5: nothing replaces the source of a hostlet without a guard. What an earlier socket with the same two ends has left says
/// nothing for the next.
#[test]
fn who_leaves_from_the_machines_address_is_outside() {
    let (m, host) = machine("at-home");
    let declare = |guard: bool| {
        let text = format!("[hostlet.web]\naddresses = [\"10.1.0.2\"]\nguard = {guard}\n");
        std::fs::write(m.path("hostlet.toml"), text).unwrap();
        m.ok(&["apply"]);
    };
    let found = |texts: &[(&str, &str)]| {
        let output = m.hostlet(&["check", "--json"]);
        assert_eq!(output.status.code(), Some(3), "{output:?}");
        let found: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
        for (local, text) in texts {
            let one = found.iter().find(|f| f["local"] == *local);
            let one = one.unwrap_or_else(|| panic!("{local} is not in {found:?}"));
            assert_eq!(one["reason"], "foreign-address", "{one}");
            assert!(one["text"].as_str().unwrap().contains(text), "{one}");
        }
        assert_eq!(found.len(), texts.len(), "{found:?}");
    };
    // So that all have the same port.
    m.sh("sysctl -qw net.ipv4.ip_local_port_range='40000 40000'");
    let (udp, tcp) = ("10.1.0.1:40000", "[::ffff:10.1.0.1]:40000");
    let connect = "a = sent(AF_INET, '10.1.0.9', 9)";
    declare(true);
    let mut program = Program::start(&m, Some("web"));
    program.does(connect);
    program.does(
        "t = socket(AF_INET6); t.bind(('::', 0)); t.connect(('::ffff:10.1.0.1', 7000)); fill(t)",
    );
    assert_eq!(json(&m, "check"), Vec::<Value>::new());
    declare(false);
    found(&[(udp, "end the program"), (tcp, "end the program")]);
    program.does("a.close(); t.close()");
    found(&[(tcp, "no program has it")]);
    program.does(connect);
    found(&[(udp, "end the program"), (tcp, "no program has it")]);
    // With a guard again: it noted nothing of this one.
    declare(true);
    found(&[(udp, "end the program")]);
    program.ends();
    host.ends();
    m.ok(&["remove", "web"]);
}

/// B3, C5: a revoked address takes along what is known by it.
#[test]
fn who_leaves_from_a_revoked_address_ends() {
    let (m, host) = machine("revoked");
    m.sh("ip addr add 10.1.0.3/24 dev d0");
    m.ok(&["create", "web", "-a", "10.1.0.2", "-a", "10.1.0.3"]);
    let mut program = Program::start(&m, Some("web"));
    program.does("a = sent(AF_INET, '10.1.0.9', 9); t = socket(AF_INET6); t.bind(('::', 0)); t.connect(('::ffff:10.1.0.1', 7000))");
    let told = program.does("tell(a, t)");
    assert_eq!(told.matches("10.1.0.2").count(), 2, "{told}");
    m.ok(&["revoke", "web", "10.1.0.2"]);
    let error = "print(*(errorcode[s.getsockopt(SOL_SOCKET, SO_ERROR)] for s in (a, t)))";
    program.does("from errno import errorcode");
    assert_eq!(program.does(error), "ECONNABORTED ECONNABORTED");
    assert_eq!(json(&m, "check"), Vec::<Value>::new());
    program.ends();
    host.ends();
    m.ok(&["remove", "web"]);
}

/// C5: the wildcard that connects to its own, and who accepts that.
#[test]
fn names_of_the_loopback_are_shown_as_programs_see_them() {
    let (m, host) = machine("as-seen");
    m.ok(&["create", "web", "-a", "10.1.0.2"]);
    let mut program = Program::start(&m, Some("web"));
    program.does("l = socket(); l.bind(('127.0.0.1', 8081)); l.listen()");
    program.does(
        "c = socket(); c.bind(('0.0.0.0', 0)); c.connect(('127.0.0.1', 8081)); b = l.accept()[0]",
    );
    program.does("u = socket(AF_INET, SOCK_DGRAM); u.bind(('0.0.0.0', 8082)); u.connect(('127.0.0.1', 8083))");
    let told = program.does("tell(c, b, u)");
    assert_eq!(told.matches("127.0.0.1:").count(), 6, "{told}");
    as_told(&m, &told);
    program.ends();
    host.ends();
    m.ok(&["remove", "web"]);
}
