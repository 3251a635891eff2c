//! What `connect` and `send` do (rows A2, A7, A8).

use std::net::IpAddr;

use hostlet_model::{HostLoopback, HostletId, Unreachable};

use super::{
    Explanation, Network, Verdict, is_further_loopback, is_group, is_localhost, loopback_like,
    owns, say,
};
use crate::source::{Source, SourceRule, Unfit, choose_source, unfit};
use crate::view::KernelView;

pub(super) fn outward(
    view: &KernelView,
    asked: IpAddr,
    port: u16,
    from: Option<IpAddr>,
    network: &Network<'_>,
    datagram: bool,
) -> Explanation {
    let dst = asked.to_canonical();
    let from = from
        .map(|a| a.to_canonical())
        .filter(|a| !a.is_unspecified())
        // What the program calls 127.0.0.1 is the hostlet's own loopback.
        .map(|a| match loopback_like(view, a) {
            Some(l) if is_localhost(a) => l,
            _ => a,
        });
    if let Some(e) = foreign_source(view, from, datagram) {
        return e;
    }
    if dst.is_loopback() || dst.is_unspecified() {
        return to_loopback(view, dst, port, from);
    }
    if view.guard && is_hostlet_loopback6(dst) && !owns(view, dst) {
        return say(
            Verdict::Dropped,
            None,
            "guard",
            "A2",
            format!(
                "{dst} is the loopback of another hostlet; the guard drops every packet for it"
            ),
        );
    }
    if let Some(a) = from {
        if a.is_loopback() && a.is_ipv4() && !owns(view, dst) {
            return say(
                Verdict::Refused("EINVAL"),
                None,
                "loopback-source",
                "A8",
                format!(
                    "a socket on {a} cannot leave the machine: {dst} is not a loopback address"
                ),
            );
        }
        return say(
            Verdict::Allowed,
            Some(a),
            "bound-source",
            "A8",
            format!(
                "the source {a} is the hostlet's{}",
                no_route(view, dst, network)
            ),
        );
    }
    if let Some(why) = unfit(view, dst, network.routes, network.local) {
        return unreachable(view, dst, &why, network);
    }
    let Some(s) = choose_source(view, dst, network.routes) else {
        let family = if dst.is_ipv4() { "IPv4" } else { "IPv6" };
        return say(
            Verdict::Refused("ENETUNREACH"),
            None,
            "no-address",
            "A7",
            format!("the hostlet has no {family} address, so {dst} cannot be reached"),
        );
    };
    let text = source_text(view, dst, &s) + &no_route(view, dst, network);
    let text = if datagram {
        format!(
            "{text}; an answer to a client of a wildcard socket leaves from the address that the client asked"
        )
    } else {
        text
    };
    say(Verdict::Allowed, Some(s.addr), source_rule(&s), "A7", text)
}

/// What hostlet allows, and the kernel refuses for want of a way. Groups and link-local addresses go by an interface that the program
/// names.
fn no_route(view: &KernelView, dst: IpAddr, network: &Network<'_>) -> String {
    let named = match dst {
        IpAddr::V4(a) => a.is_link_local(),
        IpAddr::V6(a) => a.is_unicast_link_local(),
    };
    let here = owns(view, dst) || network.local.iter().any(|n| n.contains(&dst));
    let routed = network.routes.iter().any(|r| r.dst.contains(&dst));
    if named || here || routed || is_group(view, dst) {
        return String::new();
    }
    format!(
        "; but the main routing table of this machine has no route to {dst}: unless another one has, the call fails (ENETUNREACH)"
    )
}

fn unreachable(view: &KernelView, dst: IpAddr, why: &Unfit, network: &Network<'_>) -> Explanation {
    let family = if dst.is_ipv4() { "IPv4" } else { "IPv6" };
    let why = match why {
        Unfit::NoFamily => format!("the hostlet has no {family} address for {dst}"),
        Unfit::Route(r) => {
            let by = r
                .gateway
                .map_or_else(String::new, |g| format!(" through {g}"));
            let named = network.interfaces.iter().find(|i| i.index == r.ifindex);
            let interface = named.map_or_else(|| r.ifindex.to_string(), |i| i.name.clone());
            format!(
                "the best route to {dst}, {}{by}, leaves by interface {interface}, on which the hostlet has no {family} address",
                r.dst
            )
        }
    };
    if view.unreachable == Some(Unreachable::PassThrough) {
        say(
            Verdict::PassedThrough,
            None,
            "no-route",
            "B10",
            format!(
                "{why}; so the socket has the machine's address, for this call and all later ones"
            ),
        )
    } else {
        say(
            Verdict::Refused("ENETUNREACH"),
            None,
            "no-route",
            "B10",
            format!("{why}, and its pool does not let such calls pass through"),
        )
    }
}

fn source_rule(s: &Source) -> &'static str {
    match s.rule {
        SourceRule::Only => "only-address",
        SourceRule::Itself => "own-address",
        SourceRule::RouteSource => "route-source",
        SourceRule::NextHopSubnet => "next-hop-subnet",
        SourceRule::RouteInterface => "route-interface",
        SourceRule::Linkless => "linkless-address",
        SourceRule::Policy => "source-policy",
    }
}

fn source_text(view: &KernelView, dst: IpAddr, s: &Source) -> String {
    let a = s.addr;
    let pick = if s.among > 1 {
        format!("one of {} addresses by chance, such as {a}", s.among)
    } else {
        format!("{a} by policy '{}'", view.source)
    };
    match s.rule {
        SourceRule::Only => format!("it leaves from {a}, the only address of its family"),
        SourceRule::Itself if a == dst => {
            format!("{dst} is the hostlet's own, so it is the source as well")
        }
        SourceRule::Itself => {
            format!(
                "{dst} is the hostlet's own, and {a} is the hostlet's first address in that subnet"
            )
        }
        SourceRule::RouteSource => {
            format!("it leaves from {a}, which the route to {dst} names as its source")
        }
        SourceRule::NextHopSubnet => {
            format!(
                "it leaves from {a}, the hostlet's address in the subnet of the next hop to {dst}"
            )
        }
        SourceRule::RouteInterface => {
            format!("it leaves from {pick}, among those on the interface of the route to {dst}")
        }
        SourceRule::Linkless => {
            format!("it leaves from {pick}, which is on no link and so fit for the route to {dst}")
        }
        SourceRule::Policy => format!("it leaves from {pick}, among all of its family"),
    }
}

fn foreign_source(view: &KernelView, from: Option<IpAddr>, datagram: bool) -> Option<Explanation> {
    let a = from?;
    let group = if datagram {
        is_group(view, a)
    } else {
        a.is_multicast()
    };
    if owns(view, a) || is_localhost(a) || is_further_loopback(a) || group {
        return None;
    }
    Some(say(
        Verdict::Refused("EINVAL"),
        None,
        "foreign-source",
        "A8",
        format!("{a} is not an address of the hostlet, so nothing leaves from it"),
    ))
}

fn to_loopback(view: &KernelView, dst: IpAddr, port: u16, from: Option<IpAddr>) -> Explanation {
    let own = loopback_like(view, dst);
    let source = from.or(own);
    let exception = HostLoopback { addr: dst, port };
    if view.reachable.contains(&exception) {
        return say(
            Verdict::Allowed,
            source,
            "host-loopback",
            "A2",
            format!(
                "{exception} is a service of the host that the hostlet may reach, unless a member serves port {port} itself"
            ),
        );
    }
    if is_localhost(dst) || dst.is_unspecified() || Some(dst) == own {
        return match own {
            Some(l) => say(
                Verdict::Translated,
                source,
                "own-loopback",
                "A2",
                format!(
                    "{dst} means the hostlet's own loopback address {l}; the program goes on seeing its own names"
                ),
            ),
            None => say(
                Verdict::Refused("ENETUNREACH"),
                None,
                "no-ipv6",
                "A2",
                "this machine has no IPv6, so the hostlet has no IPv6 loopback",
            ),
        };
    }
    // Every other is of 127.0.0.0/8.
    say(
        Verdict::Translated,
        source,
        "further-loopback",
        "A2",
        format!(
            "{dst} is the hostlet's own, as all of 127.0.0.0/8; of the host's, --host-loopback {exception} would open this service"
        ),
    )
}

/// Of the range from which hostlets have their IPv6 loopbacks. Of IPv4, they are loopback addresses to the kernel as well.
fn is_hostlet_loopback6(a: IpAddr) -> bool {
    matches!(a, IpAddr::V6(a) if a.segments()[..4] == HostletId(1).loopback6().segments()[..4])
}
