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
    ("six-then-four", six_then_four),
    ("dual-connect", dual_connect),
    ("source-primary", source_primary),
    ("loopback6-to-own", loopback6_to_own),
    ("wildcard-connect", wildcard_connect),
    ("wildcard-restart", wildcard_restart),
    ("failed-call-port", failed_call_port),
    ("hidden-port", hidden_port),
    ("tcp-host-port", tcp_host_port),
    ("group-connect", group_connect),
    ("reuse-listen", reuse_listen),
    ("reuse-datagrams", reuse_datagrams),
    ("reuse-after-bind", reuse_after_bind),
    ("udp-answer", udp_answer),
    ("multicast-shared-port", multicast_shared_port),
    ("pktinfo-loopback", pktinfo_loopback),
];

impl Difference<'_> {
    fn is(&self, op: &str, real: &str, hostlet: &str) -> bool {
        self.step.words[0] == op && self.step.real == real && self.step.hostlet == hostlet
    }

    /// Whether the step names the port of that socket.
    fn port_of(&self, socket: &str) -> bool {
        let (_, name) = self.step.place().unwrap_or_default();
        name.ends_with(&format!(".{socket}}}"))
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
    let connect = d.is("connect", d.step.real, "EAFNOSUPPORT");
    // Nor does it know that it is connected to IPv4.
    let connected = d
        .past
        .with(d.step.socket(), "connect")
        .any(|c| c.real == "ok");
    let send = d.step.words[0].starts_with("send") && d.step.real == "EAFNOSUPPORT" && connected;
    Some((connect || send) && six && d.past.on_wildcard(d.step.socket()))
}

/// An IPv6 socket that was connected to IPv6 is of IPv6 alone from then on.
fn six_then_four(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let six =
        |c: &Done| c.place().is_some_and(|(to, _)| !to.contains('.')) && c.words[1] != "unspec";
    let ops = ["connect", "sendto", "sendmsg"];
    let connected = ops.iter().any(|op| d.past.with(socket, op).any(six));
    let sends = d.is("send", d.step.real, "ENETUNREACH");
    let to_four =
        d.step.place().is_some_and(|(to, _)| to.contains('.')) && d.step.hostlet == "ENETUNREACH";
    let bind = d.is("bind", "EADDRINUSE", "ok") || d.is("bind", "ok", "EINVAL");
    let option = d.step.words[0] == "getopt" && d.step.words[2] == "v6only";
    Some(d.past.kind(socket).ends_with('6') && connected && (to_four || sends || bind || option))
}

/// To the loopback from a socket on the wildcard, the source being named.
fn source_primary(d: &Difference) -> Option<bool> {
    if d.is("sendmsg", "ok", "EINVAL") {
        let named = d.step.words.get(4).is_some_and(|w| w.starts_with("src="));
        return Some(
            named && d.step.words[2].starts_with("[::]:") && d.past.on_wildcard(d.step.socket()),
        );
    }
    let text = d.step.hostlet.split(' ').next()?;
    let mut named = d
        .past
        .all("sendmsg")
        .filter(|s| s.words.get(3) == Some(&text));
    let sent = named.find(|s| s.words.get(4).is_some_and(|w| w.starts_with("src=")))?;
    let real = d.step.real.starts_with(text) || d.step.real == "EAGAIN";
    Some(d.step.words[0].starts_with("recv") && real && d.past.on_wildcard(sent.socket()))
}

fn loopback6_to_own(d: &Difference) -> Option<bool> {
    let (host, _) = d.past.bound(d.step.socket())?;
    let (to, _) = d.step.place()?;
    Some(
        d.is("connect", "EINPROGRESS", d.step.hostlet)
            && host == "[::1]"
            && to.starts_with("[2001:db8:")
            && d.stream(),
    )
}

fn group_connect(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let (host, _) = d.past.bound(socket)?;
    let group = host.starts_with("239.") || host.starts_with("[ff") || host.ends_with("255");
    let connected = d.past.with(socket, "connect").any(|c| c.real == "ok");
    Some(group && connected && matches!(d.step.words[0], "name" | "send" | "connect"))
}

/// The source is the primary address; and the port stays taken on it and on the wildcard.
fn wildcard_connect(d: &Difference) -> Option<bool> {
    let mover = |name: &str| {
        d.past.on_wildcard(name)
            && d.past
                .with(name, "connect")
                .any(|c| matches!(c.hostlet, "ok" | "ECONNREFUSED"))
    };
    let socket = d.step.socket();
    Some(match d.step.words[0] {
        "name" => mover(socket),
        op if op.starts_with("send") => {
            mover(socket) && d.step.real == "EINVAL" && d.step.hostlet == "ok"
        }
        // A machine connects it to itself.
        "connect" => {
            let again = d.is("connect", "EINVAL", "ok") && mover(socket);
            let own = d.past.bound(socket).map(|(_, port)| port);
            let itself = d.is("connect", "ok", "ECONNREFUSED") && d.past.on_wildcard(socket);
            again || itself && own == Some(d.step.place()?.1)
        }
        _ if d.step.real.contains("from ") && d.step.hostlet.contains("from ") => {
            let texts = d.step.real.split("from ").next() == d.step.hostlet.split("from ").next();
            texts && d.past.all("connect").any(|c| mover(c.socket()))
        }
        // It still stands for all addresses, and for its peer's alone on a machine.
        op if op.starts_with("recv") && (d.step.real == "EAGAIN" || d.step.hostlet == "EAGAIN") => {
            d.past
                .all("connect")
                .any(|c| mover(c.socket()) && !d.past.kind(c.socket()).starts_with("tcp"))
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
        .chain(d.past.with(d.step.socket(), "sendto"))
        .chain(d.past.with(d.step.socket(), "send"))
        .any(|s| s.real.starts_with('E'));
    let op = d.step.words[0];
    let again = matches!(op, "opt" | "bind") && d.step.real == "EINVAL";
    let mut connects = d.past.all("connect");
    // The port is there, and no hook knows it: a later connect leaves the source to the route.
    let unknown = matches!(op, "name" | "send") && failed_send(d, d.step.socket());
    let used = d.step.hostlet == "EINVAL" && connects.any(|c| refused(c) && d.port_of(c.socket()));
    Some(
        !d.stream()
            && ((name || again) && before
                || used
                || unknown
                || received && failed && d.past.bound(d.step.socket()).is_none()),
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
    let by_wildcard = d.past.on_wildcard(sent.socket());
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
    let wildcard = d.past.on_wildcard(d.step.socket());
    let others = d.past.all("listen").any(|l| {
        l.real == "ok"
            && d.past
                .bound(l.socket())
                .is_some_and(|(host, p)| p == port && wild(host) != wildcard)
    });
    Some(d.is("listen", "EADDRINUSE", "ok") && others)
}

/// Whether a first datagram failed before a hook saw it.
fn failed_send(d: &Difference, socket: &str) -> bool {
    let ops = ["sendmsg", "sendto", "send"];
    let failed = |op: &&str| d.past.with(socket, op).any(|s| s.real.starts_with('E'));
    ops.iter().any(failed) && d.past.bound(socket).is_none()
}

/// One on the wildcard and one on an address share the port.
fn reuse_datagrams(d: &Difference) -> Option<bool> {
    let recv = d.step.words[0].starts_with("recv") && !d.stream();
    let silent = d.step.real == "EAGAIN" || d.step.hostlet == "EAGAIN";
    let shares = |b: &&Done| {
        b.real == "ok"
            && d.past
                .with(b.socket(), "opt")
                .any(|o| o.words[2].starts_with("reuse"))
    };
    let port = |b: &Done| b.place().map(|(_, port)| port.to_owned());
    let mut wilds = d
        .past
        .all("bind")
        .filter(shares)
        .filter(|b| d.past.on_wildcard(b.socket()));
    let both = wilds.any(|w| {
        let mut others = d.past.all("bind").filter(shares);
        others.any(|o| port(o) == port(w) && o.actor == w.actor && o.socket() != w.socket())
    });
    Some(recv && silent && both)
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
    // 0.0.0.0 from a bound socket arrives by the loopback interface, its own address by another.
    let via = (
        d.step.real.split_once(" via "),
        d.step.hostlet.split_once(" via "),
    );
    if let (Some((real, "lo")), Some((hostlet, "eth0" | "eth1"))) = via {
        return Some(
            real == hostlet
                && d.past
                    .all("sendto")
                    .any(|s| s.words[2].starts_with("0.0.0.0:")),
        );
    }
    let (real, hostlet) = (
        d.step.real.split_once(" to ")?,
        d.step.hostlet.split_once(" to ")?,
    );
    Some(
        d.step.words[0] == "recvmsg"
            && real.0 == hostlet.0
            && real.1.split(" via ").nth(1) == hostlet.1.split(" via ").nth(1)
            && real.1.contains("127.0.0.") | real.1.starts_with("::1 "),
    )
}
