//! What `bind` does (rows A2, A5, A6).

use std::net::{IpAddr, SocketAddr};

use super::{
    Explanation, Proto, Verdict, is_further_loopback, is_group, is_localhost, loopback_like, owns,
    say,
};
use crate::view::KernelView;

pub(super) fn bind(
    view: &KernelView,
    proto: Proto,
    asked: IpAddr,
    port: u16,
    v6only: bool,
) -> Explanation {
    let addr = asked.to_canonical();
    if let Some(e) = bind_wildcard(view, asked, v6only) {
        return e;
    }
    if is_localhost(addr) {
        return match loopback_like(view, addr) {
            Some(l) => say(
                Verdict::Translated,
                Some(l),
                "own-loopback",
                "A2",
                format!(
                    "{addr} means the hostlet's own loopback address {l}; the program goes on seeing {addr}"
                ),
            ),
            None => say(
                Verdict::Refused("EADDRNOTAVAIL"),
                None,
                "no-ipv6",
                "A2",
                "this machine has no IPv6, so the hostlet has no IPv6 loopback",
            ),
        };
    }
    if owns(view, addr) {
        return say(
            Verdict::Allowed,
            Some(addr),
            "own-address",
            "A5",
            format!("{addr} is an address of the hostlet"),
        );
    }
    if is_further_loopback(addr) {
        return say(
            Verdict::Allowed,
            Some(addr),
            "further-loopback",
            "A2",
            format!(
                "{addr} is the hostlet's own, as all of 127.0.0.0/8: for the machine an address of 127.192.0.0/10 stands for it, and the program goes on seeing {addr}"
            ),
        );
    }
    if is_group(view, addr) {
        return say(
            Verdict::Allowed,
            Some(addr),
            "group-address",
            "A5",
            format!(
                "{addr} is a multicast or broadcast address, which may be bound to receive what is sent there"
            ),
        );
    }
    if proto == Proto::Ping && view.guard {
        return say(
            Verdict::Dropped,
            None,
            "guard",
            "A16",
            format!(
                "the kernel binds ping sockets without asking; the guard drops every packet from {addr}, which the hostlet does not have"
            ),
        );
    }
    let what = if addr.is_loopback() {
        "the broadcast address of the loopback is for nobody in a hostlet"
    } else {
        "a machine with the hostlet's addresses does not have it"
    };
    say(
        Verdict::Refused("EADDRNOTAVAIL"),
        None,
        "foreign-address",
        "A5",
        format!("{}: {what}", SocketAddr::new(addr, port)),
    )
}

/// What becomes of a bind of UDP while `holder` of the host has the port on the wildcard, if anybody.
pub fn held_by_host(holder: Option<String>, port: u16) -> Option<Explanation> {
    let holder = holder?;
    Some(say(
        Verdict::Refused("EADDRINUSE"),
        None,
        "port-held",
        "C4",
        format!(
            "{holder} holds UDP port {port} on the machine's wildcard, which UDP cannot share (unless both sockets set SO_REUSEADDR, or SO_REUSEPORT for one user): bind that service to single addresses"
        ),
    ))
}

/// The hostlet's own sockets are not looked at: how they share a port depends on options of both.
pub(super) fn unless_taken(mut said: Explanation, proto: Proto, port: u16) -> Explanation {
    let done = matches!(said.verdict, Verdict::Allowed | Verdict::Translated);
    if done && port != 0 && proto != Proto::Ping {
        said.text += &format!(
            "; if no other socket of the hostlet holds port {port} there (EADDRINUSE otherwise)"
        );
    }
    said
}

/// The wildcard: `0.0.0.0`, `::ffff:0.0.0.0`, `::`.
fn bind_wildcard(view: &KernelView, asked: IpAddr, v6only: bool) -> Option<Explanation> {
    let addr = asked.to_canonical();
    if !addr.is_unspecified() {
        return None;
    }
    let dual = addr.is_ipv6() && !v6only;
    let four = addr.is_ipv4() || (dual && (view.has_v4 || !view.has_v6));
    let (has, primary, loopback) = if four {
        let primary = view.primary4.map(IpAddr::V4);
        (view.has_v4, primary, Some(IpAddr::V4(view.loop4)))
    } else {
        let primary = view.primary6.map(IpAddr::V6);
        (view.has_v6, primary, view.loop6.map(IpAddr::V6))
    };
    let family = if four { "IPv4" } else { "IPv6" };
    let on = |a: IpAddr| match a {
        IpAddr::V4(a) if asked.is_ipv6() => IpAddr::V6(a.to_ipv6_mapped()),
        a => a,
    };
    Some(match (primary.filter(|_| has), loopback) {
        (Some(p), _) => {
            let serves = if dual && view.has_v4 && view.has_v6 {
                "every address of the hostlet, IPv4 and IPv6".to_owned()
            } else {
                format!("every {family} address of the hostlet")
            };
            say(
                Verdict::Translated,
                Some(on(p)),
                "wildcard",
                "A6",
                format!(
                    "the wildcard stands on the primary address {p} and serves {serves}, and its loopback; the program goes on seeing {asked}"
                ),
            )
        }
        (None, Some(l)) => say(
            Verdict::Translated,
            Some(on(l)),
            "wildcard-loopback",
            "A6",
            format!(
                "the hostlet has no {family} address: of the wildcard, its loopback {l} remains"
            ),
        ),
        (None, None) => say(
            Verdict::Refused("EADDRNOTAVAIL"),
            None,
            "no-ipv6",
            "A6",
            "this machine has no IPv6",
        ),
    })
}
