//! Which known difference explains a difference in a generated case: a function for
//! each id of the table, as narrow as it can be.

use hostlet_testkit::oracle::{Script, Traces};

use super::past::{Done, Past, wild};

/// The first difference between the sides.
struct Difference<'a> {
    past: Past<'a>,
    step: Done<'a>,
}

/// The id of the known difference that the step shows.
pub(super) fn explain(script: &Script, at: usize, traces: &Traces) -> Option<&'static str> {
    let mut past = Past::new(&script.steps[..=at], traces);
    let step = past.pop()?;
    let difference = Difference { past, step };
    KNOWN
        .iter()
        .find(|(_, explains)| explains(&difference) == Some(true))
        .map(|(id, _)| *id)
}

/// Whether the difference is that one; nothing if the step is not of the kind.
type Explains = fn(&Difference) -> Option<bool>;

/// By the ids of the table.
const KNOWN: &[(&str, Explains)] = &[
    ("freebind", freebind),
    ("udp-host-port", udp_host_port),
    ("host-wildcard-later", host_wildcard_later),
    ("dual-connect", dual_connect),
    ("wildcard-connect", wildcard_connect),
    ("wildcard-restart", wildcard_restart),
    ("failed-call-port", failed_call_port),
    ("hidden-port", hidden_port),
    ("tcp-host-port", tcp_host_port),
    ("reuse-listen", reuse_listen),
    ("reuse-after-bind", reuse_after_bind),
    ("udp-answer", udp_answer),
    ("multicast-shared-port", multicast_shared_port),
    ("pktinfo-loopback", pktinfo_loopback),
];

impl Difference<'_> {
    fn is(&self, op: &str, real: &str, hostlet: &str) -> bool {
        self.step.words[0] == op && self.step.real == real && self.step.hostlet == hostlet
    }

    fn stream(&self) -> bool {
        self.past.kind(self.step.socket()).starts_with("tcp")
    }

    /// Whether the host itself had the port on the wildcard before.
    fn host_holds(&self, port: &str, stream: bool) -> bool {
        self.past.all("bind").any(|d| {
            d.actor == "host"
                && d.real == "ok"
                && d.place().is_some_and(|(host, p)| wild(host) && p == port)
                && self.past.kind(d.socket()).starts_with("tcp") == stream
        })
    }
}

fn freebind(d: &Difference) -> Option<bool> {
    let set = d
        .past
        .with(d.step.socket(), "opt")
        .any(|o| o.words[2..] == ["freebind", "1"]);
    Some(d.step.words[0] == "bind" && d.step.hostlet == "EADDRNOTAVAIL" && set)
}

fn udp_host_port(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    Some(
        d.is("bind", "ok", "EADDRINUSE")
            && !d.stream()
            && d.step.actor != "host"
            && d.host_holds(port, false),
    )
}

fn host_wildcard_later(d: &Difference) -> Option<bool> {
    let (host, port) = d.step.place()?;
    let held = d.past.all("bind").any(|b| {
        b.actor != "host"
            && b.actor != "peer"
            && b.hostlet == "ok"
            && b.place().is_some_and(|(_, p)| p == port)
    });
    Some(d.is("bind", "ok", "EADDRINUSE") && d.step.actor == "host" && wild(host) && held)
}

/// To IPv6 from a socket that was bound to the wildcard of both families.
fn dual_connect(d: &Difference) -> Option<bool> {
    let (to, _) = d.step.place()?;
    let six = to.starts_with('[') && !to.contains('.');
    Some(d.is("connect", d.step.real, "EAFNOSUPPORT") && six && d.past.on_wildcard(d.step.socket()))
}

/// The source is the primary address; and the port stays taken on it and on the wildcard.
fn wildcard_connect(d: &Difference) -> Option<bool> {
    let mover = |name: &str| {
        d.past.on_wildcard(name) && d.past.with(name, "connect").any(|c| c.hostlet == "ok")
    };
    let socket = d.step.socket();
    Some(match d.step.words[0] {
        "name" => mover(socket),
        // A machine connects it to itself.
        "connect" => {
            let own = d.past.bound(socket).map(|(_, port)| port);
            d.is("connect", "ok", "ECONNREFUSED")
                && d.past.on_wildcard(socket)
                && own == Some(d.step.place()?.1)
        }
        _ if d.step.real.starts_with("from ") && d.step.hostlet.starts_with("from ") => {
            d.past.all("connect").any(|c| mover(c.socket()))
        }
        "bind" if d.step.hostlet == "EADDRINUSE" => {
            let port = d.step.place()?.1;
            d.past.all("connect").any(|c| {
                mover(c.socket()) && d.past.bound(c.socket()).is_some_and(|(_, p)| p == port)
            })
        }
        _ => false,
    })
}

fn wildcard_restart(d: &Difference) -> Option<bool> {
    let (host, port) = d.step.place()?;
    let open = d.past.all("accept").chain(d.past.all("connect")).any(|a| {
        let socket = if a.words[0] == "connect" {
            a.words[1]
        } else {
            a.words[3]
        };
        d.past.bound(socket).is_some_and(|(_, p)| p == port) && !a.real.starts_with('E')
    });
    Some(d.is("bind", "EADDRINUSE", "ok") && d.stream() && wild(host) && open)
}

/// A machine gives a port before it finds that there is no route.
fn failed_call_port(d: &Difference) -> Option<bool> {
    let refused = |c: &Done| c.real == "ENETUNREACH" && c.hostlet == "ENETUNREACH";
    let before = d.past.with(d.step.socket(), "connect").any(refused);
    let name = d.step.words[0] == "name" && d.step.hostlet.ends_with(":0");
    let received = d.step.words[0].starts_with("recv") && d.step.hostlet == "EAGAIN";
    let failed = d
        .past
        .with(d.step.socket(), "sendmsg")
        .any(|s| s.real.starts_with('E'));
    Some(
        !d.stream()
            && (name && before || received && failed && d.past.bound(d.step.socket()).is_none()),
    )
}

fn hidden_port(d: &Difference) -> Option<bool> {
    let (_, port) = d.past.bound(d.step.socket())?;
    Some(
        d.step.words[0] == "name"
            && d.step.hostlet.ends_with(":*")
            && d.stream()
            && d.host_holds(port, true),
    )
}

/// The same datagram, from the address that was asked; a client that connected to that one takes no other.
fn udp_answer(d: &Difference) -> Option<bool> {
    let text = d.step.hostlet.split(' ').next()?;
    let real = d.step.real.split(' ').next()?;
    let mut sent = d.past.all("sendto").chain(d.past.all("sendmsg"));
    let sent = sent.find(|s| s.words.get(3) == Some(&text))?;
    let by_wildcard = sent.actor != d.step.actor && d.past.on_wildcard(sent.socket());
    let asked = |op| d.past.with(d.step.socket(), op).any(|s| s.real == "ok");
    Some(
        (real == text || d.step.real == "EAGAIN")
            && d.step.words[0].starts_with("recv")
            && by_wildcard
            && (asked("send") || asked("sendto") || asked("sendmsg")),
    )
}

/// The host holds the port, and does not listen: a lookup does not find it.
fn tcp_host_port(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let refused = d.is("bind", "ok", "EADDRINUSE") && d.stream();
    Some(refused && d.step.actor != "host" && d.host_holds(port, true))
}

fn reuse_listen(d: &Difference) -> Option<bool> {
    let (_, port) = d.past.bound(d.step.socket())?;
    let others = d.past.all("listen").any(|l| {
        l.real == "ok"
            && d.past
                .bound(l.socket())
                .is_some_and(|(host, p)| p == port && !wild(host))
    });
    Some(d.is("listen", "EADDRINUSE", "ok") && d.past.on_wildcard(d.step.socket()) && others)
}

/// Who holds the port set the option when it had it already.
fn reuse_after_bind(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let later = d.past.all("opt").any(|o| {
        o.words[2].starts_with("reuse")
            && d.past.bound(o.socket()).is_some_and(|(_, p)| p == port)
            && o.socket() != d.step.socket()
    });
    Some(d.step.words[0] == "bind" && d.step.real != d.step.hostlet && later)
}

fn multicast_shared_port(d: &Difference) -> Option<bool> {
    let text = d.step.real.split(' ').next()?;
    let sent = d
        .past
        .all("sendto")
        .find(|s| s.words.get(3) == Some(&text))?;
    let (to, _) = sent.place()?;
    let many = ["239.", "[ff", "10.0.0.255", "255.255"]
        .iter()
        .any(|start| to.starts_with(start));
    Some(d.step.words[0].starts_with("recv") && d.step.hostlet == "EAGAIN" && many)
}

fn pktinfo_loopback(d: &Difference) -> Option<bool> {
    let (real, hostlet) = (
        d.step.real.split_once(" to ")?,
        d.step.hostlet.split_once(" to ")?,
    );
    Some(
        d.step.words[0] == "recvmsg"
            && real.0 == hostlet.0
            && real.1.ends_with(" via lo")
            && hostlet.1.ends_with(" via lo"),
    )
}
