//! Known differences of who gets a datagram, and of where it comes from.

use super::{Difference, Done, Sent, bare, for_all, loopback, primary};

/// From a socket on the wildcard, which stands there, the source being named.
pub(super) fn source_primary(d: &Difference) -> Option<bool> {
    if d.is("sendmsg", "ok", "EINVAL") {
        let named = d.step.words.get(4).is_some_and(|w| w.starts_with("src="));
        let socket = d.step.socket();
        // Or where a connection to IPv4 has left it.
        let all = || d.past.with(socket, "connect");
        let left = d.past.bound(socket).is_none()
            && all().any(|c| c.words[2] == "unspec")
            && all()
                .filter_map(Done::place)
                .any(|(to, _)| to.contains('.'));
        let stands = left || d.past.on_wildcard(socket);
        return Some(named && stands && d.step.words[2].starts_with("[::]:"));
    }
    let named = |s: &Done| {
        let source = s.words.get(4).and_then(|w| w.strip_prefix("src="));
        let by = s.socket();
        if d.past.on_wildcard(by) {
            return source.is_some_and(primary);
        }
        // Where a connection that is over has left it, it is as on the wildcard.
        let mut connects = d.past.with(by, "connect");
        let over = d.past.bound(by).is_none() && connects.any(|c| c.words[2] == "unspec");
        let left = |source: &str| {
            let mut to = d.past.with(by, "connect").filter_map(Done::place);
            to.any(|(to, _)| {
                bare(to) == source || loopback(to) && matches!(source, "127.0.0.1" | "::1")
            })
        };
        over && source.is_some_and(|s| primary(s) || left(s))
    };
    // That nobody has the port is for the address that was named, which is not that of its connection.
    let told = d.error_gained() && d.past.with(d.step.socket(), "sendmsg").any(named);
    Some(told || d.about(|sent| named(sent.by)))
}

/// From where the route puts the socket, as far as the hook can tell; or dropped, and then what
/// follows is not where it was first.
pub(super) fn source_foreign(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let foreign = |s: &Done| {
        let source = s.words.get(4).and_then(|w| w.strip_prefix("src="));
        source.is_some_and(|s| matches!(s, "10.0.0.1" | "2001:db8::1"))
    };
    let mut connects = d.past.with(socket, "connect").filter(|c| c.real == "ok");
    let by_route = connects.any(|c| match d.past.bound(socket) {
        Some((host, port)) => host == "[::]" && port == "0" || for_all(host),
        None => {
            let mut sent = ["sendto", "sendmsg"].iter();
            sent.any(|op| d.past.with(socket, op).any(|s| s.at < c.at))
        }
    });
    let refused = matches!(d.step.real, "ENETUNREACH" | "EINVAL");
    let named = refused && foreign(&d.step);
    let after = || d.past.with(socket, "sendmsg").any(foreign);
    Some(
        d.step.op().starts_with("send")
            && by_route
            && (named || d.step.hostlet == "EPERM" && after()),
    )
}

/// The same datagram, from the address that was asked; a client that connected to that one takes no other.
pub(super) fn udp_answer(d: &Difference) -> Option<bool> {
    let (real, hostlet) = (d.step.real, d.step.hostlet);
    let same = real.split(' ').next() == hostlet.split(' ').next();
    let client = d.step.socket();
    // From where it did not ask for, for one that is connected to elsewhere.
    let elsewhere = d.lost() && d.past.with(client, "connect").any(|c| c.real == "ok");
    let gets = same || real == "EAGAIN" || elsewhere || d.polls();
    // The client, or who had its port before: to the server both are that address and port.
    let asked = |server: &str| {
        let others = d.past.sockets().filter(|s| d.past.share_port(client, s));
        others.chain([client]).any(|client| {
            ["connect", "sendto", "sendmsg"].iter().any(|op| {
                let mut places = d.past.with(client, op).filter_map(Done::place);
                places.any(|(_, port)| d.past.is_port_of(port, server))
            })
        })
    };
    let answer = |s: &Sent| {
        let server = s.by.socket();
        (d.past.on_wildcard(server) || d.past.left(server).is_some())
            && d.past.went_to(s, client)
            && asked(s.by.socket())
    };
    Some(gets && d.about(answer))
}

/// The kernel takes `::` for IPv4 where the socket stands on a mapped address.
pub(super) fn dual_any(d: &Difference) -> Option<bool> {
    let dual = |s: &Sent| {
        s.host == "[::]"
            && d.past
                .bound(s.by.socket())
                .is_some_and(|(h, _)| h == "[::]")
    };
    Some(d.about(dual))
}

/// One on the wildcard and one on an address share the port.
pub(super) fn reuse_datagrams(d: &Difference) -> Option<bool> {
    let socket = d.past.origin(d.step.socket());
    let shares = |other: &str| {
        d.past.share_port(socket, other)
            && d.past.option(socket, "reuse")
            && d.past.option(other, "reuse")
            && (d.past.on_wildcard(socket) || d.past.on_wildcard(other))
    };
    let shared = d.past.sockets().any(shares);
    Some(shared && d.about(|sent| d.past.went_to(sent, socket)))
}

pub(super) fn multicast_shared_port(d: &Difference) -> Option<bool> {
    let socket = d.past.origin(d.step.socket());
    let starts = ["239.", "[ff", "10.0.0.255", "255.255"];
    let many = |s: &Sent| starts.iter().any(|start| s.host.starts_with(start));
    let shared = d.past.sockets().any(|s| d.past.share_port(socket, s));
    Some(d.lost() && shared && d.about(many))
}

/// Of a group that somebody else has joined, a copy is for whoever has the port.
pub(super) fn multicast_others(d: &Difference) -> Option<bool> {
    let socket = d.step.socket();
    let here = |s: &Sent| {
        // A machine gives a socket of IPv6 no group of IPv4 that another socket has joined.
        let apart = d.past.kind(socket).ends_with('6') && s.host.contains('.');
        let others = |j: &Done| {
            let same = d.past.origin(j.socket()) == d.past.origin(socket);
            j.actor != d.step.actor || apart && !same
        };
        let mut joins = d.past.all("join").filter(|j| others(j));
        d.past.went_to(s, socket) && joins.any(|j| j.words[2] == bare(s.host) && j.at < s.by.at)
    };
    Some(d.gained() && d.about(here))
}

/// Which address the kernel would answer from.
pub(super) fn multicast_local(d: &Difference) -> Option<bool> {
    let (real, was) = d.step.real.split_once(" local ")?;
    let (hostlet, now) = d.step.hostlet.split_once(" local ")?;
    let same = real == hostlet && was.split(' ').skip(1).eq(now.split(' ').skip(1));
    Some(same && now.starts_with("10.0.0.1 ") && d.about(|s| for_all(s.host)))
}

/// 0.0.0.0 from a bound socket arrives by the loopback interface, its own address by another.
pub(super) fn any_interface(d: &Difference) -> Option<bool> {
    let real = d.step.real.strip_suffix(" via lo")?;
    let (hostlet, _) = d.step.hostlet.rsplit_once(" via eth")?;
    let named = |s: &Sent| s.by.words.iter().any(|w| w.starts_with("src="));
    let bound = |s: &Sent| d.past.bound(s.by.socket()).is_some();
    let any = |s: &Sent| s.host == "0.0.0.0" && (bound(s) || named(s));
    Some(real == hostlet && d.about(any))
}

/// What came before the option was set, nobody told the address of; nor that of UDP-Lite.
pub(super) fn pktinfo_loopback(d: &Difference) -> Option<bool> {
    let (real, to) = d.step.real.split_once(" to ")?;
    let (hostlet, _) = d.step.hostlet.split_once(" to ")?;
    let loops = ["127.", "::ffff:127.", "::1 "];
    let home = loops.iter().any(|start| to.starts_with(start));
    let later = |s: &Sent| {
        let mut options = d.past.with(d.step.socket(), "opt");
        options.any(|o| o.words[2] == "pktinfo" && o.at > s.by.at)
    };
    let lite = d.past.transport(d.step.socket()) == "udplite";
    Some(real == hostlet && home && (lite || d.about(later)))
}
