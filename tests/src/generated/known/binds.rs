//! Known differences of `bind` and `listen`.

use super::{Difference, Sent, wild};

pub(super) fn freebind(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let set = |name: &str| {
        let mut options = d.past.with(name, "opt");
        options.any(|o| o.words[2..] == ["freebind", "1"])
    };
    let set = set(socket) || d.past.listener(socket).is_some_and(set);
    let bind = d.step.op() == "bind" && d.step.hostlet == "EADDRNOTAVAIL";
    let source = d.step.words.iter().any(|w| w.starts_with("src="));
    Some(set && (bind || source && d.step.hostlet == "EINVAL"))
}

pub(super) fn udp_host_port(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let refused = d.is("bind", "ok", "EADDRINUSE") && !d.stream();
    Some(refused && d.step.actor != "host" && d.host_holds(port))
}

/// The host holds the port, and does not listen: a lookup does not find it.
pub(super) fn tcp_host_port(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let refused = d.is("bind", "ok", "EADDRINUSE") && d.stream();
    Some(refused && d.step.actor != "host" && d.host_holds(port))
}

pub(super) fn host_wildcard_later(d: &Difference) -> Option<bool> {
    let again = d.step.actor == "host" && d.is("listen", "ok", "EADDRINUSE");
    if d.is("listen", "ok", "EADDRINUSE") && !again {
        // Both may have the port by SO_REUSEADDR, but one of them alone can listen.
        let socket = d.step.socket();
        let (_, port) = d.past.bound(socket)?;
        return Some(d.past.option(socket, "reuseaddr") && d.host_holds(port));
    }
    // Or it listens again, where connections of a member are by now.
    let (host, port) = match again {
        true => d.past.bound(d.step.socket())?,
        false => d.step.place()?,
    };
    let bind = d.is("bind", "ok", "EADDRINUSE") && d.step.actor == "host";
    let refused = (bind || again) && wild(host);
    let held = d.past.all("bind").any(|b| {
        matches!(b.actor, "in" | "other")
            && b.hostlet == "ok"
            && b.place().is_some_and(|(_, p)| p == port)
            && d.rivals(b.socket())
    });
    Some(refused && held)
}

/// A connection of the port, that somebody made to it or that it made.
pub(super) fn wildcard_restart(d: &Difference) -> Option<bool> {
    let (host, port) = match d.step.op() {
        "listen" => d.past.bound(d.step.socket())?,
        _ => d.step.place()?,
    };
    let again = d.is("bind", "EADDRINUSE", "ok") || d.is("listen", "EADDRINUSE", "ok");
    let accepted = d.past.all("accept").map(|a| (a, a.words[3]));
    let connected = d.past.all("connect").map(|c| (c, c.socket()));
    let mut open = accepted.chain(connected);
    Some(
        again
            && d.stream()
            && open.any(|(step, socket)| {
                // Who connected from the wildcard stands on a machine on the address of that connection.
                let there = wild(host) || step.op() == "connect" && d.past.on_wildcard(socket);
                there
                    && step.actor == d.step.actor
                    && !step.real.starts_with('E')
                    && d.past.stream(socket)
                    && d.past.bound(socket).is_some_and(|(_, p)| p == port)
            }),
    )
}

/// A machine asks the last of the port that has the option, and no other.
pub(super) fn reuse_earlier(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let holders = |with: bool| {
        d.past.sockets().any(|s| {
            s != d.step.socket()
                && d.rivals(s)
                && d.past.actor(s) == d.step.actor
                && d.past.bound(s).is_some_and(|(_, p)| p == port)
                && d.past.option(s, "reuseport") == with
        })
    };
    Some(
        d.is("bind", "ok", "EADDRINUSE")
            && d.past.option(d.step.socket(), "reuseport")
            && holders(true)
            && holders(false),
    )
}

pub(super) fn reuse_listen(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    // Of two on `::`, one of both families stands on an address of IPv4.
    let stands = |name: &str| (d.past.on_wildcard(name), d.past.option(name, "v6only"));
    let mut others = d.past.all("listen").filter(|l| l.real == "ok");
    Some(
        d.is("listen", "EADDRINUSE", "ok")
            && d.past.option(socket, "reuseaddr")
            && others.any(|l| {
                d.past.share_port(l.socket(), socket) && stands(l.socket()) != stands(socket)
            }),
    )
}

/// Who holds the port, or listens there, set the option when it had it already.
pub(super) fn reuse_after_bind(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let listens = d.step.op() == "listen";
    let (_, port) = match listens {
        true => d.past.bound(socket)?,
        false => d.step.place()?,
    };
    let answers = [d.step.real, d.step.hostlet];
    let later = |o: &&super::Done| {
        let holder = o.socket();
        let bound = d.past.bind(holder).filter(|b| b.at < o.at);
        o.words[2].starts_with("reuse")
            && (listens || holder != socket)
            && d.rivals(holder)
            && d.past.actor(holder) == d.step.actor
            && bound
                .and_then(|b| b.place())
                .is_some_and(|(_, p)| p == port)
    };
    Some(
        (listens || d.step.op() == "bind")
            && (answers == ["ok", "EADDRINUSE"] || answers == ["EADDRINUSE", "ok"])
            && d.past.all("opt").any(|o| later(&o)),
    )
}

/// Who listened, and was shut down or connected to nothing, does not listen: the port can be shared.
pub(super) fn shut_listener(d: &Difference) -> Option<bool> {
    let (_, port) = d.step.place()?;
    let unspec = d.past.all("connect").filter(|c| c.words[2] == "unspec");
    let ends = d.past.all("shutdown").chain(unspec);
    let mut shut = ends.filter(|s| s.real == "ok");
    Some(
        d.is("bind", "ok", "EADDRINUSE")
            && d.stream()
            && d.past.option(d.step.socket(), "reuseaddr")
            && shut.any(|s| {
                let mut listens = d.past.with(s.socket(), "listen");
                s.actor == d.step.actor
                    && d.past.option(s.socket(), "reuseaddr")
                    && d.past.bound(s.socket()).is_some_and(|(_, p)| p == port)
                    && listens.any(|l| l.real == "ok" && l.at < s.at)
            }),
    )
}

/// A machine takes the address from who has no port, when a further bind finds that somebody has it.
pub(super) fn bind_failed(d: &Difference) -> Option<bool> {
    let lost = |name: &str| {
        // One that the kernel chose goes with the connection, or with the end of listening.
        let mut ends = ["shutdown", "connect"].iter();
        let ended = ends.any(|op| d.past.with(name, op).next().is_some());
        let bound = d.past.bind(name);
        let open = match bound.and_then(|b| b.place()) {
            _ if d.past.listener(name).is_some() => true,
            Some((_, port)) => port == "0" && (ended || d.past.option(name, "bind-no-port")),
            None => ended,
        };
        let first = bound.map_or(0, |b| b.at);
        let mut binds = d.past.with(name, "bind").filter(|b| b.at > first);
        open && binds.any(|b| b.real == "EADDRINUSE" && b.hostlet == "EADDRINUSE")
    };
    let its_own = matches!(
        d.step.op(),
        "name" | "connect" | "send" | "sendto" | "sendmsg"
    );
    let sends = |s: &Sent| lost(s.by.socket());
    Some(its_own && lost(d.step.socket()) || d.shows_caller(lost) || d.about(sends))
}

/// Who has listened is in the table of listeners.
pub(super) fn listener_reads(d: &Difference) -> Option<bool> {
    let mut listens = d.past.with(d.step.socket(), "listen");
    let reads = d.step.op().starts_with("recv") && d.stream();
    let told = d.step.real == "ENOTCONN" && d.step.hostlet == "EAGAIN";
    Some(reads && told && listens.any(|l| l.hostlet == "ok"))
}
