//! Two local networks with the same machines on them, once as machines and once
//! as hostlets of one machine.
//!
//! ```text
//!   peer 10.0.0.100 ─┬─ in     the set under test       ┐ real: a namespace each
//!   (bridges)        ├─ other  10.0.0.9  2001:db8::9    │ hostlets: one namespace, where `in`
//!                    └─ host   10.0.0.1  2001:db8::1    ┘ and `other` are hostlets of `host`
//! ```
//!
//! Every machine has `eth0` in 10.0.0.0/24 and 2001:db8::/64 and `eth1` in
//! 10.1.0.0/24 and 2001:db8:1::/64, and its default route (but with the set `alone`) through
//! `peer`, which also has 192.0.2.1 and 2001:db8:ff::1.

use std::ffi::OsStr;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::agent::Agent;
use crate::binaries;
use crate::install::Installation;
use crate::netns::NetNs;

/// The address sets that `in` can have, by the name that scripts use.
const SETS: &[(&str, &[&str])] = &[
    (
        "two",
        &["10.0.0.5", "10.0.0.6", "2001:db8::5", "2001:db8::6"],
    ),
    ("one", &["10.0.0.5", "2001:db8::5"]),
    // Without default routes.
    (ALONE, &["10.0.0.5", "2001:db8::5"]),
    ("four", &["10.0.0.5", "10.0.0.6"]),
    ("six", &["2001:db8::5", "2001:db8::6"]),
    (
        "nets",
        &[
            "10.0.0.5",
            "10.0.0.6",
            "10.1.0.5",
            "2001:db8::5",
            "2001:db8:1::5",
        ],
    ),
    (
        "prefix",
        &["10.0.0.5", "10.9.0.0/24", "2001:db8::5", "2001:db8:7::/64"],
    ),
];

const ALONE: &str = "alone";
const OTHER: &[&str] = &["10.0.0.9", "2001:db8::9"];
const HOST: &[&str] = &["10.0.0.1", "2001:db8::1", "10.1.0.1", "2001:db8:1::1"];
const PEER: &[&str] = &[
    "10.0.0.100",
    "2001:db8::100",
    "10.1.0.100",
    "2001:db8:1::100",
];

/// The set of that name.
pub fn set(name: &str) -> Result<&'static [&'static str]> {
    match SETS.iter().find(|(known, _)| *known == name) {
        Some((_, set)) => Ok(set),
        None => bail!("no set of addresses is called {name}"),
    }
}

/// The machines of one side of a comparison.
pub struct Lan {
    peer: NetNs,
    side: Side,
}

enum Side {
    Real {
        inside: NetNs,
        other: NetNs,
        host: NetNs,
    },
    Hostlets {
        host: NetNs,
        set: &'static [&'static str],
        options: Vec<String>,
        install: Installation,
    },
}

impl Lan {
    /// A machine for everyone.
    pub fn real(set_name: &str) -> Result<Lan> {
        let peer = make_peer()?;
        let machine = |name: &str, addresses: &[&str]| -> Result<NetNs> {
            let ns = NetNs::new(name)?;
            plug(&peer, &ns)?;
            place(&ns, addresses, set_name != ALONE)?;
            Ok(ns)
        };
        let inside = machine("in", set(set_name)?)?;
        let other = machine("other", OTHER)?;
        let host = machine("host", HOST)?;
        Ok(Lan {
            peer,
            side: Side::Real {
                inside,
                other,
                host,
            },
        })
    }

    /// One machine for all but the peer. `options` are for the `hostlet run` of `in`.
    pub fn hostlets(set_name: &str, options: &[String]) -> Result<Lan> {
        let peer = make_peer()?;
        let set = set(set_name)?;
        let host = NetNs::new("host")?;
        plug(&peer, &host)?;
        place(&host, &[HOST, set, OTHER].concat(), set_name != ALONE)?;
        let install = Installation::new()?;
        Ok(Lan {
            peer,
            side: Side::Hostlets {
                host,
                set,
                options: options.to_vec(),
                install,
            },
        })
    }

    /// Has every machine answer every datagram to a closed port, however many there are.
    ///
    /// # Errors
    /// When a setting cannot be changed.
    pub fn be_generous(&self) -> Result<()> {
        for machine in self.machines() {
            machine.set("ipv4/icmp_ratemask", "0")?;
            machine.set("ipv6/icmp/ratemask", "")?;
            machine.set("ipv6/icmp/ratelimit", "0")?;
        }
        Ok(())
    }

    /// Has every machine ask anew for the neighbours that it has not found: a question that came from an address to
    /// which one of them has no way back is asked in vain for seconds, whoever sends meanwhile. With `found`, also for
    /// those that it has found: whoever was found need not be asked from such an address.
    ///
    /// # Errors
    /// When `ip` fails.
    pub fn forget_neighbours(&self, found: bool) -> Result<()> {
        let missed = "neighbour flush nud incomplete nud failed";
        for machine in self.machines() {
            machine.ip([if found { "neighbour flush all" } else { missed }])?;
        }
        Ok(())
    }

    fn machines(&self) -> Vec<&NetNs> {
        let mut machines = vec![&self.peer, self.host()];
        if let Side::Real { inside, other, .. } = &self.side {
            machines.extend([inside, other]);
        }
        machines
    }

    /// The machine where everything runs that is not `peer`, of a hostlet side.
    pub fn host(&self) -> &NetNs {
        match &self.side {
            Side::Real { host, .. } | Side::Hostlets { host, .. } => host,
        }
    }

    /// The namespace in which whoever is called that lives: that of the host for a hostlet.
    ///
    /// # Errors
    /// When nobody is.
    pub fn machine(&self, actor: &str) -> Result<&NetNs> {
        match (&self.side, actor) {
            (_, "peer") => Ok(&self.peer),
            (Side::Real { inside, .. }, "in") => Ok(inside),
            (Side::Real { other, .. }, "other") => Ok(other),
            (Side::Real { host, .. }, "host") => Ok(host),
            (Side::Hostlets { host, .. }, "in" | "other" | "host") => Ok(host),
            _ => bail!("nobody is called {actor}"),
        }
    }

    /// The client's machine.
    pub fn peer(&self) -> &NetNs {
        &self.peer
    }

    /// The installation; none on a side without hostlets.
    pub fn install(&self) -> Option<&Installation> {
        match &self.side {
            Side::Real { .. } => None,
            Side::Hostlets { install, .. } => Some(install),
        }
    }

    /// Starts a probe as the machine, or hostlet, of that name.
    pub fn start(&self, actor: &str) -> Result<Agent> {
        Agent::start(actor, self.program(actor, &[], binaries::probe()?)?)
    }

    /// Any program as the machine, or hostlet, of that name, not yet started. `options`
    /// are for `hostlet run`, where it is one.
    pub fn program(
        &self,
        actor: &str,
        options: &[&str],
        program: impl AsRef<OsStr>,
    ) -> Result<Command> {
        let (set, own) = match (&self.side, actor) {
            (_, "peer") => return Ok(self.peer.command(program)),
            (Side::Real { inside, .. }, "in") => return Ok(inside.command(program)),
            (Side::Real { other, .. }, "other") => return Ok(other.command(program)),
            (_, "host") => return Ok(self.host().command(program)),
            (Side::Hostlets { set, options, .. }, "in") => (*set, &options[..]),
            (Side::Hostlets { .. }, "other") => (OTHER, &[][..]),
            _ => bail!("nobody is called {actor}"),
        };
        let install = self.install().context("no hostlets here")?;
        let mut args = vec!["run", "--name", actor];
        for address in set {
            args.extend(["--address", address]);
        }
        args.extend(own.iter().map(String::as_str));
        args.extend(options);
        args.push("--");
        let mut command = install.command(self.host(), &args);
        command.arg(program);
        Ok(command)
    }
}

fn make_peer() -> Result<NetNs> {
    let peer = NetNs::new("peer")?;
    peer.set("ipv4/ip_forward", "1")?;
    peer.ip([
        "link add br0 type bridge stp_state 0 mcast_snooping 0",
        "link add br1 type bridge stp_state 0 mcast_snooping 0",
        "link set br0 up",
        "link set br1 up",
        "address add 192.0.2.1/32 dev lo",
        "address add 2001:db8:ff::1/128 dev lo nodad",
        "address add 10.0.0.100/24 dev br0",
        "address add 10.1.0.100/24 dev br1",
        "address add 2001:db8::100/64 dev br0 nodad",
        "address add 2001:db8:1::100/64 dev br1 nodad",
        // To the prefixes of the set `prefix`.
        "route add 10.9.0.0/24 via 10.0.0.5",
        "route add 2001:db8:7::/64 via 2001:db8::5",
    ])?;
    Ok(peer)
}

fn plug(peer: &NetNs, machine: &NetNs) -> Result<()> {
    for n in 0..2 {
        let port = format!("{}{n}", machine.name());
        machine.join(&format!("eth{n}"), peer, &port)?;
        peer.ip([format!("link set {port} master br{n}")])?;
    }
    Ok(())
}

/// Puts the addresses on the machine. The first IPv6 one of each network is preferred
/// as a source, as the first IPv4 one is by nature.
fn place(machine: &NetNs, addresses: &[&str], routed: bool) -> Result<()> {
    // Where an answer is late, as on a slow machine, the other end's last segment comes twice, and what is said to that ends
    // TIME_WAIT (RFC 1337): what a port was used for must be seen all the same.
    machine.set("ipv4/tcp_rfc1337", "1")?;
    let mut lines = Vec::new();
    let mut seen: Vec<&str> = Vec::new();
    let (mut four, mut six) = (false, false);
    for address in addresses {
        let v6 = address.contains(':');
        if v6 {
            six = true
        } else {
            four = true
        }
        if address.contains('/') {
            lines.push(format!("route add local {address} dev lo"));
            if v6 {
                // Asks for neighbours on behalf of addresses that no interface has.
                lines.push("address add fe80::7/64 dev eth0 nodad".into());
            }
            continue;
        }
        let (interface, net) = network(address);
        let length = if v6 { "64 dev" } else { "24 dev" };
        let mut line = format!("address add {address}/{length} {interface}");
        if v6 {
            line.push_str(" nodad");
            if seen.contains(&net) {
                line.push_str(" preferred_lft 0");
            }
        }
        seen.push(net);
        lines.push(line);
    }
    if four && routed {
        lines.push(format!("route add default via {}", PEER[0]));
    }
    if six && routed {
        lines.push(format!("route add default via {}", PEER[1]));
    }
    if six {
        machine.set(
            "ipv6/ip_nonlocal_bind",
            if addresses.iter().any(|a| a.contains('/')) {
                "1"
            } else {
                "0"
            },
        )?;
    }
    machine.ip(lines)
}

fn network(address: &str) -> (&'static str, &'static str) {
    match address {
        a if a.starts_with("10.1.") => ("eth1", "10.1"),
        a if a.starts_with("2001:db8:1:") => ("eth1", "2001:db8:1"),
        a if a.contains(':') => ("eth0", "2001:db8"),
        _ => ("eth0", "10.0"),
    }
}
