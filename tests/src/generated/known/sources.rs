//! Known differences of where a socket leaves from, and hears, once it has connected.

use super::{Difference, Done, Sent, all_of_four, for_all, loopback, primary, six, wild};

/// The kernel lets an address go only where the port was left open: then it hears there instead.
pub(super) fn bound_to_all(d: &Difference) -> Option<bool> {
    let gives_way = |name: &str| {
        let mut connects = d.past.with(name, "connect").filter(|c| c.real == "ok");
        !d.past.stream(name)
            && d.past.bound(name).is_some_and(|(host, _)| for_all(host))
            && d.past.port_open(name)
            && connects.next().is_some()
    };
    let socket = d.step.socket();
    // An address of IPv4 on a socket of IPv6 is its source as well.
    if d.is("connect", "EINVAL", "ok") {
        let (host, _) = d.past.bound(socket)?;
        let mapped = for_all(host) && host.starts_with("[::ffff:");
        return Some(mapped && d.past.port_open(socket));
    }
    if d.step.op() == "name" {
        let [(was, _), (now, _)] = d.names()?;
        return Some(for_all(was) && !for_all(now) && gives_way(socket));
    }
    let error = d.error_lost() || d.error_gained();
    let told = error && (gives_way(socket) || d.asked(|s, _| gives_way(s)));
    let here = |s: &Sent| gives_way(socket) && d.past.went_to(s, socket);
    Some(told || d.about(here))
}

/// The source is the primary address; and the port stays taken on it and on the wildcard.
pub(super) fn wildcard_connect(d: &Difference) -> Option<bool> {
    let connected = |name: &str, before: usize| {
        let done = ["ok", "ECONNREFUSED", "EINPROGRESS"];
        let mut all = d.past.with(name, "connect").filter(|c| c.at < before);
        let left = d.past.left(name);
        let since = match d.past.on_wildcard(name) {
            true => Some(0),
            false => left,
        };
        let moves = |c: &Done| {
            done.contains(&c.hostlet) && c.place().is_some() && since.is_some_and(|at| c.at > at)
        };
        all.any(moves)
    };
    let mover = |name: &str| connected(name, d.step.at);
    let socket = d.step.socket();
    // To its own port: a machine connects it to itself.
    let itself = |name: &str| {
        let own = d.past.bound(name).map(|(_, port)| port);
        let mut to = d.past.with(name, "connect").filter_map(Done::place);
        mover(name) && to.any(|(_, port)| Some(port) == own)
    };
    // Who asks it elsewhere than where it is bound by its connection is told that nobody has the port.
    if (d.error_lost() || d.error_gained()) && d.asked(|s, _| mover(s)) {
        return Some(true);
    }
    // Nor does an answer come from another network, as it does to an address of that.
    if d.error_lost() && mover(socket) {
        return Some(true);
    }
    // Connected on to 0.0.0.0 it is connected to where it leaves from.
    if d.step.op() == "peer"
        && !d.stream()
        && d.past.on_wildcard(socket)
        && d.connected_to_all_of_four()
        && let Some([(was, port), (now, same)]) = d.names()
        && (was != now && primary(now) && port == same)
    {
        return Some(true);
    }
    let op = d.step.op();
    let shows = ["peer", "poll", "recv", "send"];
    if itself(socket) && shows.iter().any(|start| op.starts_with(start)) {
        return Some(true);
    }
    // It was connected, to nothing then, and has sent from where it stood.
    let open = match d.past.bound(socket) {
        Some((host, port)) => wild(host) && port == "0",
        None => true,
    };
    let calls = ["connect", "send", "sendto", "sendmsg"].contains(&op);
    if calls && d.step.real == "ok" && open && !d.stream() {
        let all = |op| d.past.with(socket, op);
        let mut to = all("connect").filter_map(Done::place);
        let six_now = || d.step.place().is_some_and(|(to, _)| six(to));
        let stood = match d.step.hostlet {
            "EINVAL" => to.any(|(to, _)| loopback(to)),
            "EAFNOSUPPORT" => six_now() && to.any(|(to, _)| to.contains('.')),
            _ => false,
        };
        if stood && all("connect").any(|c| c.words[2] == "unspec") {
            return Some(true);
        }
    }
    Some(match op {
        "name" => {
            let [(_, port), (now, same)] = d.names()?;
            mover(socket) && (primary(now) || d.past.left(socket).is_some()) && port == same
        }
        "accept" if d.step.real == "EAGAIN" || d.names().is_some_and(|[a, b]| a.1 != b.1) => {
            let (_, port) = d.past.bound(d.listener(socket))?;
            let holds = |s: &str| d.past.bound(s).is_some_and(|(_, p)| p == port);
            let mut all = d.past.sockets();
            all.any(|s| d.past.stream(s) && holds(s) && itself(s))
        }
        "accept" | "peer" => {
            let [(was, port), (now, same)] = d.names()?;
            let fits = |s: &str| {
                let (_, own) = d.past.bound(s).unwrap_or_default();
                d.past.stream(s) && mover(s) && (own == port || port == "*")
            };
            was != now && primary(now) && port == same && d.past.sockets().any(fits)
        }
        op if op.starts_with("send") => {
            mover(socket) && d.step.real == "EINVAL" && d.step.hostlet == "ok"
        }
        "connect" => {
            let again = d.is("connect", "EINVAL", "ok") && mover(socket);
            // Or to who listens there.
            let itself = matches!(d.step.real, "ok" | "ECONNABORTED")
                && matches!(d.step.hostlet, "ECONNREFUSED" | "ok")
                && d.past.on_wildcard(socket);
            let own = d.past.bound(socket).map(|(_, port)| port);
            let (to, port) = d.step.place()?;
            let vain = matches!(d.step.hostlet, "EINPROGRESS" | "EHOSTUNREACH")
                && d.stream()
                && to.starts_with("[2001:db8:1:")
                && d.past.on_wildcard(socket);
            again || vain || itself && own == Some(port)
        }
        "bind" if d.step.hostlet == "EADDRINUSE" => {
            let port = d.step.place()?.1;
            let holds = |s: &str| d.past.bound(s).is_some_and(|(_, p)| p == port);
            d.past
                .sockets()
                .any(|s| holds(s) && mover(s) && d.rivals(s) && d.past.actor(s) == d.step.actor)
        }
        // It still stands for all addresses, and for its peer's alone on a machine; what it
        // sends comes from the primary address, or if it is read after a connect to the machine itself
        // from where that one leaves.
        _ => d.about(|sent| {
            let home = sent.owner == Some(sent.by.actor);
            let before = if home { d.step.at } else { sent.by.at };
            // Or another of that port: who asks is told of the one that has it by then.
            let by = sent.by.socket();
            let same = |s: &str| s == d.past.origin(by) || home && d.past.share_port(s, by);
            let by = d.past.sockets().any(|s| same(s) && connected(s, before));
            let others = |s: &str| d.past.share_port(s, socket) || s == d.past.origin(socket);
            let to = |s: &str| mover(s) && others(s) && d.past.went_to(sent, s);
            by || d.past.sockets().any(to)
        }),
    })
}

/// A machine ties a socket that was bound to ::ffff:0.0.0.0, or accepted on an address, to
/// the source of its first connection, from which the next one leaves.
pub(super) fn kept_source(d: &Difference) -> Option<bool> {
    let tied = |name: &str| {
        let mut connects = d.past.with(name, "connect");
        // Or was bound to an address before, and without a port by then.
        let mapped = |name: &str| {
            let mut binds = d.past.with(name, "bind").filter(|b| b.real == "ok");
            let mut hosts = binds.by_ref().filter_map(|b| Some(b.place()?.0));
            hosts.any(|host| host == "[::ffff:0.0.0.0]" || !wild(host)) && d.past.on_wildcard(name)
        };
        match d.past.listener(name) {
            Some(listener) => {
                let tied = mapped(listener) || !d.past.on_wildcard(listener);
                tied && connects.any(|c| c.words[2] == "unspec")
            }
            None => {
                let refused = |c: &Done| c.refused() && d.past.stream(name);
                mapped(name) && connects.any(|c| refused(c) || c.words[2] == "unspec")
            }
        }
    };
    let socket = d.step.socket();
    if d.step.op() == "connect" {
        let refused = matches!(d.step.real, "EAFNOSUPPORT" | "EINVAL");
        // It is of IPv4, and :: means so on a machine.
        let vain = d.is("connect", d.step.real, "EINPROGRESS") && d.step.place()?.0 == "[::]";
        // Where it listens.
        let nobody = d.is("connect", "ECONNREFUSED", "ok");
        let (to, port) = d.step.place()?;
        // To where it leaves from, and in a hostlet to the loopback.
        let answered = |answer: &str| matches!(answer, "ok" | "ECONNREFUSED");
        let home = all_of_four(to) && answered(d.step.real) && answered(d.step.hostlet);
        let mut all = d.past.sockets();
        let there = |s: &str| tied(s) && d.past.stream(s) && d.past.is_port_of(port, s);
        return Some((refused || vain || home) && tied(socket) || nobody && all.any(there));
    }
    if d.shows_caller(tied) {
        return Some(true);
    }
    let [(was, port), (now, same)] = d.names()?;
    if d.step.op() == "peer" {
        let there = d.connected_to_all_of_four() && !loopback(was) && loopback(now);
        return Some(tied(socket) && there && port == same);
    }
    // Or the source that it has by the route now, where it was connected again.
    let mut connects = d.past.with(socket, "connect").filter(|c| !c.refused());
    let mut again = connects.by_ref().skip_while(|c| c.words[2] != "unspec");
    let moved = wild(now) || again.any(|c| c.place().is_some());
    Some(d.step.op() == "name" && tied(socket) && moved && !wild(was) && port == same)
}
