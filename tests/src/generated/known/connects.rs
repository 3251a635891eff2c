//! Known differences of `connect`, and of what comes after it.

use super::{Difference, Done, Sent, bare, for_all, loopback, six, wild};

/// To IPv6 from a socket that was bound to the wildcard of both families.
pub(super) fn dual_connect(d: &Difference) -> Option<bool> {
    let (to, _) = d.step.place()?;
    let connect = d.is("connect", d.step.real, "EAFNOSUPPORT");
    // Nor does it know that it is connected to IPv4.
    let mut connects = d.past.with(d.step.socket(), "connect");
    let send = d.step.op().starts_with("send")
        && d.step.real == "EAFNOSUPPORT"
        && connects.any(|c| c.real == "ok");
    let open = d.past.option(d.step.socket(), "bind-no-port");
    let by_number = matches!(d.past.bound(d.step.socket()), Some((host, port))
        if wild(host) && (open || port != "0"));
    Some((connect || send) && six(to) && by_number)
}

/// An IPv6 socket that was connected to IPv6 is of IPv6 alone from then on.
pub(super) fn six_then_four(d: &Difference) -> Option<bool> {
    let tied = |name: &str| {
        let mut ops = ["connect", "sendto", "sendmsg"].into_iter();
        d.past.kind(name).ends_with('6')
            && ops.any(|op| {
                let mut all = d.past.with(name, op);
                all.any(|c| c.place().is_some_and(|(to, _)| six(to)))
            })
    };
    let op = d.step.op();
    let place = d.step.place();
    let four = place.is_some_and(|(to, _)| to.contains('.'));
    // Of IPv6 alone by its bind, until that is taken back.
    if four && d.is("connect", "EINVAL", d.step.hostlet) {
        let bind = d.past.bind(d.step.socket())?;
        let mut options = d.past.with(d.step.socket(), "opt");
        let back = options.any(|o| o.words[2..] == ["v6only", "0"] && o.at > bind.at);
        return Some(
            back && bind
                .place()
                .is_some_and(|(host, _)| six(host) && !wild(host)),
        );
    }
    if op == "bind" && d.is("bind", "EADDRINUSE", "ok") && !tied(d.step.socket()) {
        // What it leaves of the port is free.
        let (_, port) = place?;
        let mut holders = d.past.sockets();
        return Some(
            four && holders.any(|h| {
                tied(h)
                    && d.past.actor(h) == d.step.actor
                    && d.rivals(h)
                    && d.past.bound(h) == Some(("[::]", port))
            }),
        );
    }
    if four && d.is("connect", "ok", "ECONNREFUSED") {
        let (_, port) = place?;
        let mut all = d.past.sockets();
        return Some(all.any(|h| tied(h) && d.past.stream(h) && d.past.is_port_of(port, h)));
    }
    // Who sent there is told that nobody has the port.
    if d.error_gained() && d.asked(|s, to| tied(s) && to.contains('.')) {
        return Some(true);
    }
    if d.receives() || d.polls() {
        let here = |s: &Sent| s.host.contains('.') && d.past.went_to(s, d.step.socket());
        return Some(d.lost() && tied(d.step.socket()) && d.about(here));
    }
    let refused = match op {
        "bind" => {
            d.is("bind", "EADDRINUSE", "ok")
                || d.step.hostlet == "EINVAL"
                    && matches!(d.step.real, "ok" | "EADDRINUSE" | "EADDRNOTAVAIL")
        }
        "getopt" => d.step.words[2] == "v6only" && d.is("getopt", "0", "1"),
        // By the last connect, from the source of the one before.
        "send" if d.step.hostlet == "EPERM" => {
            let connects = d.past.with(d.step.socket(), "connect");
            let last = connects.filter_map(Done::place).last();
            last.is_some_and(|(to, _)| to.contains('.'))
        }
        "send" => d.step.hostlet == "ENETUNREACH",
        "connect" if d.step.hostlet == "EINVAL" => four,
        _ => four && matches!(d.step.hostlet, "ENETUNREACH" | "EAFNOSUPPORT"),
    };
    Some(refused && tied(d.step.socket()))
}

pub(super) fn loopback6_to_own(d: &Difference) -> Option<bool> {
    let (host, _) = d.past.bound(d.step.socket())?;
    let (to, _) = d.step.place()?;
    Some(
        d.is("connect", "EINPROGRESS", d.step.hostlet)
            && host == "[::1]"
            && to.starts_with("[2001:db8:")
            && d.stream(),
    )
}

pub(super) fn group_connect(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let (host, _) = d.past.bound(socket).unwrap_or_default();
    let group = for_all(host);
    let mut connects = d.past.with(socket, "connect");
    // What a connection before that bind has left is its source.
    let kept = |name: &str| {
        let bind = d
            .past
            .bind(name)
            .filter(|b| b.place().is_some_and(|(host, _)| for_all(host)));
        let mut ends = d
            .past
            .with(name, "connect")
            .filter(|c| c.words[2] == "unspec");
        bind.is_some_and(|b| ends.any(|c| c.at < b.at))
    };
    let its_own = ["connect", "send", "sendto", "sendmsg", "name"].contains(&d.step.op());
    if its_own && kept(socket) || d.about(|sent| kept(sent.by.socket())) {
        return Some(true);
    }
    Some(match d.step.op() {
        // It is not tied to the loopback.
        "connect" => {
            let mut to = connects.filter(|c| c.real == "ok").filter_map(Done::place);
            let answers = [d.step.real, d.step.hostlet];
            let either = answers == ["EINVAL", "ok"] || answers == ["ok", "EINVAL"];
            group && either && to.any(|(to, _)| loopback(to))
        }
        // Connected on in vain, it has lost what was noted of its connection.
        op if op.starts_with("send") && d.is(op, "ok", "EPERM") => {
            group && connects.any(|c| c.refused())
        }
        op if op.starts_with("send") && d.is(op, "ok", "EINVAL") => {
            let mut to = connects.filter(|c| c.real == "ok").filter_map(Done::place);
            group && to.any(|(to, _)| loopback(to))
        }
        op if op.starts_with("send") && d.is(op, "ENETUNREACH", "ok") => {
            group && host.starts_with("[::ffff:") && connects.any(|c| c.refused())
        }
        op if op.starts_with("send") && d.is(op, "EINVAL", "ok") => {
            let mapped = host.starts_with("[::ffff:");
            group
                && connects
                    .any(|c| mapped && c.refused() || c.place().is_some_and(|(to, _)| loopback(to)))
        }
        "name" | "peer" => {
            let mut to = connects.filter(|c| c.real == "ok").filter_map(Done::place);
            group && to.any(|(to, _)| loopback(to))
        }
        _ => d.about(|sent| {
            let by = sent.by.socket();
            let bound = d.past.bound(by).is_some_and(|(host, _)| for_all(host));
            let mut to = d.past.with(by, "connect").filter_map(Done::place);
            // The source stays that of the first connection.
            let further = d
                .past
                .with(by, "connect")
                .filter(|c| c.real == "ok")
                .count()
                > 1;
            bound && (further || to.any(|(to, _)| loopback(to)))
        }),
    })
}

/// Called from an address to which a machine on the first network alone has no way back.
pub(super) fn near_neighbour(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let is_far = |from: &str| {
        ["10.1.", "2001:db8:1:"]
            .iter()
            .any(|net| bare(from).starts_with(net))
    };
    let near = |to: &str| {
        let all = ["10.0.0.9", "2001:db8::9", "10.0.0.1", "2001:db8::1"];
        all.contains(&bare(to))
    };
    // That neighbour has not got it.
    let arrives = |s: &Sent| {
        let from = d.past.bound(s.by.socket());
        near(s.host) && from.is_some_and(|(from, _)| is_far(from))
    };
    // Nor has it what others send while it is asked for in vain.
    let in_vain = |by: &Done, to: &str| {
        let calls = ["connect", "sendto", "sendmsg"].iter();
        calls.flat_map(|op| d.past.all(op)).any(|c| {
            let from = d.past.bound(c.socket());
            c.actor == by.actor
                && c.at < by.at
                && c.place().is_some_and(|(host, _)| host == to)
                && from.is_some_and(|(from, _)| from == "[::1]" || is_far(from) && near(to))
        })
    };
    let lost = |s: &Sent| arrives(s) || in_vain(s.by, s.host);
    if d.gained() && d.about(lost) {
        return Some(true);
    }
    // The answer can be that nobody has the port.
    let answered = matches!(d.step.hostlet, "ok" | "ECONNREFUSED");
    if answered
        && d.is("connect", "EINPROGRESS", d.step.hostlet)
        && in_vain(&d.step, d.step.place()?.0)
    {
        return Some(true);
    }
    // When it has got through is a matter of time, where both wait.
    if d.step.op() == "accept" && [d.step.real, d.step.hostlet].contains(&"EAGAIN") {
        let listener = d.listener(socket);
        return Some(d.past.all("connect").any(|c| {
            let waits = c.real == "EINPROGRESS" && c.hostlet == "EINPROGRESS";
            let to = c
                .place()
                .filter(|(_, port)| d.past.is_port_of(port, listener));
            waits && to.is_some_and(|(host, _)| in_vain(c, host))
        }));
    }
    // Or it has that address from an earlier connection.
    let mut earlier = d.past.with(socket, "connect").filter(|c| c.real == "ok");
    let far = match d.past.bound(socket) {
        Some((host, _)) => is_far(host),
        None => !d.stream() && earlier.any(|c| c.place().is_some_and(|(to, _)| is_far(to))),
    };
    if d.stream() {
        let (to, _) = d.step.place()?;
        return Some(d.is("connect", "EINPROGRESS", d.step.hostlet) && far && near(to));
    }
    // That nobody has the port, or an answer.
    let mut connects = d.past.with(socket, "connect").filter_map(Done::place);
    let nothing = matches!(d.step.real, "EAGAIN" | "ok" | "out");
    let op = d.step.op();
    let tells = ["recv", "send", "poll"]
        .iter()
        .any(|start| op.starts_with(start));
    Some(nothing && tells && far && connects.any(|(to, _)| near(to)))
}

/// A machine gives a port before it finds that there is no route.
pub(super) fn failed_call_port(d: &Difference) -> Option<bool> {
    let given_back = |name: &str| d.past.ended(name);
    let refused = |name: &str, ops: &[&str]| {
        let none = d.past.bound(name).is_none() || d.past.port_open(name);
        let mut all = ops.iter().flat_map(|op| d.past.with(name, op));
        none && !d.past.stream(name) && (all.any(Done::refused) || given_back(name))
    };
    let calls = ["connect", "sendmsg", "sendto", "send"];
    let socket = d.step.socket();
    let op = d.step.op();
    if d.is("connect", "EINPROGRESS", d.step.hostlet) && d.stream() {
        // What was refused by the kernel cannot change its family.
        let mapped = |c: &&Done| c.place().is_some_and(|(to, _)| to.starts_with("[::ffff:"));
        let mut to = d.past.with(socket, "connect").filter(mapped);
        let four = to.any(|c| c.real == "ECONNREFUSED") && to.any(|c| c.real == "ENETUNREACH");
        return Some(six(d.step.place()?.0) && four);
    }
    // To where a port was given back, which is 0 now.
    if d.error_lost() && d.asked(|s, _| given_back(s)) {
        return Some(true);
    }
    if d.is("send", "ok", "EINVAL") && d.asked(|s, _| refused(s, &calls)) {
        return Some(true);
    }
    if d.step.hostlet == "EINVAL"
        && let Some((_, port)) = d.step.place()
    {
        let lost = |s: &str| refused(s, &calls) && d.past.is_port_of(port, s);
        return Some(d.past.sockets().any(lost));
    }
    // Who sent there is told that nobody has the port.
    if d.error_gained() && d.asked(|s, _| refused(s, &calls)) {
        return Some(true);
    }
    // After a further connect that failed a machine tells a socket of one error alone.
    let mut connects = d
        .past
        .with(socket, "connect")
        .skip_while(|c| c.real != "ok");
    if d.error_gained() && connects.any(|c| c.refused()) {
        return Some(true);
    }
    let lost = match op {
        "name" if d.step.hostlet.ends_with(":0") => refused(socket, &calls),
        "opt" | "bind" => d.step.real == "EINVAL" && refused(socket, &["connect"]),
        // The port is there, and no hook knows it: a later connect leaves the source to the route.
        "name" | "send" => refused(socket, &calls),
        // Nor does the error come of what it sent.
        _ if d.error_lost() => refused(socket, &calls),
        _ => {
            // Nothing, or what came when it was there.
            let text = d.step.real.split(' ').next().unwrap_or_default();
            let first = d.past.sent(text).is_some_and(|s| {
                let mut connects = d.past.with(socket, "connect").filter(|c| !c.refused());
                d.past.went_to(&s, socket) && connects.any(|c| c.at > s.by.at)
            });
            let lost = d.lost() && d.about(|s| d.past.went_to(s, socket));
            refused(socket, &calls) && (lost || d.receives() && first)
        }
    };
    Some(lost)
}

/// Neither it nor who it calls sees the port that it asked for.
pub(super) fn hidden_port(d: &Difference) -> Option<bool> {
    // Nor is the port taken before it is needed.
    let again = d.is("bind", "EINVAL", "ok") || d.is("bind", "EINVAL", "EADDRINUSE");
    let family = d.is("opt", "EINVAL", "ok") && d.step.words[2] == "v6only";
    if again || family || d.is("bind", "EADDRINUSE", "ok") {
        let socket = d.step.socket();
        let (_, port) = match d.step.real {
            "EINVAL" => d.past.bound(socket)?,
            _ => d.step.place()?,
        };
        // Or what stands in its place went with a connection, or with the end of listening.
        let open = |s: &str| {
            let it = d.past.bound(s).is_some_and(|(_, p)| p == port);
            let mut ends = ["connect", "shutdown"].iter();
            let went = ends.any(|op| d.past.with(s, op).next().is_some());
            // Or shares the port with the host's, which came later.
            let free = went || d.past.option(s, "bind-no-port") || d.past.option(s, "reuseport");
            it && d.past.stream(s) && free
        };
        let any = d.past.sockets().any(|s| {
            let same = d.past.actor(s) == d.step.actor;
            same && open(s) && (d.step.real == "EADDRINUSE" || s == d.past.origin(socket))
        });
        return Some(any && d.host_holds(port));
    }
    // Its own port is not the one that it has.
    if d.is("connect", "ok", "ECONNREFUSED") && d.stream() {
        let own = d.past.bound(d.step.socket()).map(|(_, port)| port);
        let (_, port) = d.step.place()?;
        return Some(own == Some(port) && d.host_holds(port));
    }
    let [(was, port), (now, "*")] = d.names()? else {
        return None;
    };
    let bound = |s: &str| d.past.stream(s) && d.past.bound(s).is_some_and(|(_, p)| p == port);
    let shown = match d.step.op() {
        "name" => bound(d.step.socket()),
        "accept" | "peer" => d.past.all("connect").any(|c| bound(c.socket())),
        _ => false,
    };
    Some(shown && was == now && d.host_holds(port))
}

/// Nobody reaches an accepted socket that listens itself.
pub(super) fn accepted_listens(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let reached =
        d.is("connect", "ok", "ECONNREFUSED") || d.is("connect", "EINPROGRESS", "ECONNREFUSED");
    let listens = |s: &str| {
        let mut listens = d.past.with(s, "listen");
        d.past.listener(s).is_some()
            && listens.any(|l| l.real == "ok")
            && d.past.is_port_of(port, s)
    };
    Some(reached && d.past.callers().any(listens))
}
