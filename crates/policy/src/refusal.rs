//! Why something that was asked for is not done. Every message says what to do instead.

use std::net::IpAddr;

use hostlet_model::{IpNet, Name, Owned, SetError};

/// A reasoned no.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the messages say it")]
pub enum Refusal {
    #[error(transparent)]
    Set(#[from] SetError),
    #[error(
        "there is a hostlet '{name}' already: choose another name, or 'hostlet remove {name}' first"
    )]
    DuplicateName { name: Name },
    #[error(
        "hostlet '{name}' is declared in hostlet.toml, but one of that name was made by hand: 'hostlet remove {name}' first, or rename one"
    )]
    MadeByHand { name: Name },
    #[error("there is no hostlet '{name}'{}", near(name, known))]
    UnknownName { name: Name, known: Vec<Name> },
    #[error(
        "the limit of {limit} hostlets is reached: remove one, or raise 'hostlets' under [limits] in hostlet.toml"
    )]
    LimitReached { limit: u32 },
    #[error("no id between {first} and {last} is free: remove a hostlet")]
    NoFreeId { first: u32, last: u32 },
    #[error(
        "this machine does not have {address}: {how}, or let hostlet do it with --assign INTERFACE (in hostlet.toml: assign = \"INTERFACE\")"
    )]
    NotOnHost { address: Owned, how: String },
    #[error(
        "this machine does not have the prefix {prefix}: route it here and run 'ip route add local {prefix} dev lo', or let hostlet do that with --assign INTERFACE (in hostlet.toml: assign = \"INTERFACE\")"
    )]
    PrefixNotLocal { prefix: IpNet },
    #[error(
        "{address} belongs to hostlet '{holder}'{}: an address has one owner, give another or revoke it there",
        because_of(address, theirs)
    )]
    Taken {
        address: Owned,
        holder: Name,
        theirs: Owned,
    },
    #[error("hostlet '{name}' has {address} already")]
    AlreadyHas { name: Name, address: Owned },
    #[error("hostlet '{name}' does not have {address}; it has {}", list(has))]
    DoesNotHave {
        name: Name,
        address: Owned,
        has: Vec<Owned>,
    },
    #[error(
        "{address} is the last address of hostlet '{name}': grant another first, or 'hostlet remove {name}'"
    )]
    LastAddress { name: Name, address: Owned },
    #[error(
        "hostlet '{name}' has fallen back to this machine's addresses, until it ends: 'hostlet remove {name}' and make it anew"
    )]
    FallenBack { name: Name },
    #[error(
        "{address} was put on its interface by hostlet itself for '{name}': 'hostlet revoke {name} {address}' takes it away"
    )]
    NotLent { name: Name, address: Owned },
    #[error(
        "{address} is IPv6, which is switched off on this machine: give IPv4 addresses, or set net.ipv6.conf.all.disable_ipv6=0 (and no ipv6.disable on the kernel's command line)"
    )]
    NoIpv6 { address: Owned },
    #[error("there is no interface '{interface}'; {}", there_are(known))]
    UnknownInterface {
        interface: String,
        known: Vec<String>,
    },
    #[error(
        "interface '{interface}' is down, so {address} would not work there: run 'ip link set {interface} up' first"
    )]
    InterfaceDown { interface: String, address: Owned },
    #[error(
        "{address}%{zone} is link-local on '{zone}' and cannot be put on '{assign}': leave --assign out for it, or name that interface"
    )]
    OtherZone {
        address: Owned,
        zone: String,
        assign: String,
    },
    #[error(
        "{address} is the {role} of {subnet}, the subnet of '{interface}': give an address of a host"
    )]
    NoHostAddress {
        address: IpAddr,
        role: &'static str,
        subnet: IpNet,
        interface: String,
    },
    #[error(
        "{} {}: nothing would be reached by that route if it were this machine's own. Give {}",
        next_hop(address, hop),
        route_to(route),
        if matches!(address, Owned::Single(_)) { "another address" } else { "a prefix without it" }
    )]
    NextHop {
        address: Owned,
        hop: IpAddr,
        route: IpNet,
    },
    #[error(
        "addresses of the IPv6 prefix {address} cannot be bound while net.ipv6.ip_nonlocal_bind is 0: run 'sysctl -w net.ipv6.ip_nonlocal_bind=1'"
    )]
    NeedsNonlocalBind { address: Owned },
    #[error(
        "{} ('hostlet apply --kill' for all that are declared no longer)",
        inhabited(name, members)
    )]
    Inhabited { name: Name, members: Vec<u32> },
}

/// The same as [`Refusal::Inhabited`] for who cannot apply a configuration.
#[must_use]
pub fn inhabited(name: &Name, members: &[u32]) -> String {
    format!(
        "hostlet '{name}' has members ({}): end them, or let hostlet do it with 'hostlet remove {name} --kill'",
        pids(members)
    )
}

fn near(name: &Name, known: &[Name]) -> String {
    let start = |n: &Name| {
        n.as_str()
            .chars()
            .zip(name.as_str().chars())
            .take_while(|(a, b)| a == b)
            .count()
    };
    let alike: Vec<&str> = known
        .iter()
        .filter(|n| {
            n.as_str().contains(name.as_str())
                || name.as_str().contains(n.as_str())
                || start(n) >= 3
        })
        .map(Name::as_str)
        .take(5)
        .collect();
    if alike.is_empty() {
        ": 'hostlet list' shows those that there are".to_owned()
    } else {
        format!(": did you mean {}?", alike.join(" or "))
    }
}

fn next_hop(address: &Owned, hop: &IpAddr) -> String {
    match address {
        Owned::Single(_) => format!("{hop} is the next hop of"),
        Owned::Prefix(prefix) => format!("{prefix} includes {hop}, the next hop of"),
    }
}

fn route_to(destination: &IpNet) -> String {
    if destination.prefix_len() == 0 {
        "this machine's default route".to_owned()
    } else {
        format!("this machine's route to {destination}")
    }
}

fn there_are(known: &[String]) -> String {
    match known {
        [] => "there is none".to_owned(),
        [one] => format!("there is {one}"),
        _ => format!("there are {}", known.join(", ")),
    }
}

fn because_of(address: &Owned, theirs: &Owned) -> String {
    if address == theirs {
        String::new()
    } else {
        format!(" (it has {theirs})")
    }
}

fn list(all: &[Owned]) -> String {
    match all {
        [] => "none".to_owned(),
        _ => all
            .iter()
            .map(Owned::to_string)
            .collect::<Vec<_>>()
            .join(", "),
    }
}

fn pids(all: &[u32]) -> String {
    let shown: Vec<String> = all.iter().take(8).map(u32::to_string).collect();
    let more = if all.len() > 8 { ", …" } else { "" };
    let word = if all.len() == 1 {
        "process"
    } else {
        "processes"
    };
    format!("{word} {}{more}", shown.join(", "))
}
