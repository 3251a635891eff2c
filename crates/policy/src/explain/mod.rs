//! What would happen to a call, and by which rule (row C6). The rules are those of the kernel programs, in the order in which they
//! ask; what this module says and what they do is compared by the tests of the whole.

mod bind;
mod outward;

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use hostlet_model::IpNet;

use crate::observed::Interface;
use crate::source::Route;
use crate::view::KernelView;

pub use bind::held_by_host;
use bind::{bind, unless_taken};
use outward::outward;

/// What kind of socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proto {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite.
    UdpLite,
    /// ICMP echo, `SOCK_DGRAM` of ICMP.
    Ping,
    /// Raw IP.
    Raw,
    /// `AF_PACKET`.
    Packet,
    /// Multipath TCP.
    Mptcp,
    /// SCTP.
    Sctp,
    /// DCCP.
    Dccp,
}

/// A call of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `socket`.
    Socket {
        /// Of which kind.
        proto: Proto,
    },
    /// `bind`.
    Bind {
        /// On which kind of socket.
        proto: Proto,
        /// To which address.
        addr: IpAddr,
        /// To which port.
        port: u16,
        /// Whether the socket has IPV6_V6ONLY.
        v6only: bool,
    },
    /// `connect`.
    Connect {
        /// On which kind of socket.
        proto: Proto,
        /// To which address.
        addr: IpAddr,
        /// To which port.
        port: u16,
        /// What the socket is bound to, if to an address.
        from: Option<IpAddr>,
        /// The port with which a socket of both families was bound to `::`; none for every other socket.
        dual: Option<u16>,
    },
    /// `sendto`, `sendmsg`, `sendmmsg`.
    Send {
        /// On which kind of socket.
        proto: Proto,
        /// To which address.
        addr: IpAddr,
        /// To which port.
        port: u16,
        /// What the socket is bound to, or what IP_PKTINFO names, if an address.
        from: Option<IpAddr>,
    },
}

/// What becomes of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is done as asked.
    Allowed,
    /// It is done with another address than the one asked for; the program sees its own.
    Translated,
    /// It is done as outside, with the machine's address, and so are the socket's later calls.
    PassedThrough,
    /// It is done, but its packets are dropped by the guard.
    Dropped,
    /// It fails with this error.
    Refused(&'static str),
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Allowed => f.pad("allowed"),
            Verdict::Translated => f.pad("translated"),
            Verdict::PassedThrough => f.pad("passed through"),
            Verdict::Dropped => f.pad("dropped"),
            Verdict::Refused(errno) => write!(f, "refused ({errno})"),
        }
    }
}

/// What would happen, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Explanation {
    /// What becomes of the call.
    pub verdict: Verdict,
    /// The address that would be used: bound to, or, of connect and send, the source.
    pub address: Option<IpAddr>,
    /// The rule's name.
    pub rule: &'static str,
    /// It in a sentence.
    pub text: String,
    /// The row of the requirements.
    pub row: &'static str,
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (verb, addr, port, from) = match *self {
            Call::Socket { proto } => return write!(f, "socket {proto}"),
            Call::Bind { addr, port, .. } => ("bind", addr, port, None),
            Call::Connect {
                addr, port, from, ..
            } => ("connect", addr, port, from),
            Call::Send {
                addr, port, from, ..
            } => ("send", addr, port, from),
        };
        let proto = self.proto();
        write!(f, "{verb} {proto} {}", SocketAddr::new(addr, port))?;
        match from {
            Some(a) => write!(f, " from {a}"),
            None => Ok(()),
        }
    }
}

impl Call {
    fn proto(&self) -> Proto {
        match *self {
            Call::Socket { proto }
            | Call::Bind { proto, .. }
            | Call::Connect { proto, .. }
            | Call::Send { proto, .. } => proto,
        }
    }
}

impl fmt::Display for Proto {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Proto::Tcp => "tcp",
            Proto::Udp => "udp",
            Proto::UdpLite => "udplite",
            Proto::Ping => "ping",
            Proto::Raw => "raw",
            Proto::Packet => "packet",
            Proto::Mptcp => "mptcp",
            Proto::Sctp => "sctp",
            Proto::Dccp => "dccp",
        })
    }
}

/// What decides about ways out.
#[derive(Clone, Copy, Debug, Default)]
pub struct Network<'a> {
    /// The main table, what is tried first first.
    pub routes: &'a [Route],
    /// What is local to the machine: its addresses, and prefixes that are its own as a whole.
    pub local: &'a [IpNet],
    /// The interfaces that routes are about.
    pub interfaces: &'a [Interface],
}

/// Says what would happen to a call in the hostlet of this view, on a machine with this network. The caller's program is not looked at: an
/// excluded one is as outside.
pub fn explain(view: &KernelView, call: &Call, network: &Network<'_>) -> Explanation {
    if view.pass {
        return say(
            Verdict::Allowed,
            None,
            "fallen-back",
            "B5",
            "the hostlet lost its address and has fallen back: until it ends, every call of a member is done as outside, with this machine's addresses",
        );
    }
    let made = socket(view, call.proto());
    match *call {
        Call::Socket { .. } => made,
        // Without a socket there is no second call.
        _ if matches!(made.verdict, Verdict::Refused(_)) => made,
        Call::Bind {
            proto,
            addr,
            port,
            v6only,
        } => unless_taken(bind(view, proto, addr, port, v6only), proto, port),
        Call::Connect { proto, addr, .. } | Call::Send { proto, addr, .. }
            if addr.to_canonical() == LOOPBACK_BROADCAST =>
        {
            say(
                Verdict::Refused(if proto == Proto::Tcp {
                    "ENETUNREACH"
                } else {
                    "EACCES"
                }),
                None,
                "foreign-loopback",
                "A2",
                "the broadcast address of the loopback is for nobody in a hostlet",
            )
        }
        Call::Connect { addr, dual, .. } if dual_stack(view, addr, dual) => say(
            Verdict::Refused("EAFNOSUPPORT"),
            None,
            "dual-stack",
            "A7",
            DUAL_STACK,
        ),
        Call::Connect {
            proto,
            addr,
            port,
            from,
            ..
        } => {
            let said = outward(view, addr, port, from, network, false);
            let refused = matches!(said.verdict, Verdict::Refused(_));
            if proto == Proto::Tcp && !refused && is_group(view, addr.to_canonical()) {
                return say(
                    Verdict::Refused("ENETUNREACH"),
                    None,
                    "group-address",
                    "A7",
                    "nobody connects by TCP to a multicast or broadcast address, on any machine",
                );
            }
            said
        }
        Call::Send {
            addr, port, from, ..
        } => outward(view, addr, port, from, network, true),
    }
}

/// Echo sockets are for groups of a range that the machine has (`net.ipv4.ping_group_range`), and for nobody if that is empty.
pub fn within_groups(first: u32, last: u32) -> Explanation {
    if first > last {
        return say(
            Verdict::Refused("EACCES"),
            None,
            "ping-group-range",
            "A15",
            "this machine gives echo sockets to nobody: net.ipv4.ping_group_range is empty; its programs then use raw sockets",
        );
    }
    say(
        Verdict::Allowed,
        None,
        "confined-protocol",
        "A15",
        format!(
            "echo sockets can be confined, so they are allowed; this machine gives them to users of a group from {first} to {last} (net.ipv4.ping_group_range; EACCES to others)"
        ),
    )
}

/// What becomes of a call that would use an address of the hostlet which the machine does not have at present.
pub fn without_address(call: &Call, address: IpAddr) -> Explanation {
    let (verdict, then) = match call {
        Call::Send { .. } if address.is_ipv6() => (Verdict::Allowed, ", so no answer comes back"),
        Call::Send { .. } => (Verdict::Refused("ENETUNREACH"), ""),
        _ => (Verdict::Refused("EADDRNOTAVAIL"), ""),
    };
    say(
        verdict,
        Some(address),
        "address-gone",
        "C6",
        format!(
            "{address} is the hostlet's, but this machine does not have it now{then}: somebody took it off, or the network was restarted; `hostlet check` says how to put it back"
        ),
    )
}

fn say(
    verdict: Verdict,
    address: Option<IpAddr>,
    rule: &'static str,
    row: &'static str,
    text: impl Into<String>,
) -> Explanation {
    Explanation {
        verdict,
        address,
        rule,
        text: text.into(),
        row,
    }
}

fn socket(view: &KernelView, proto: Proto) -> Explanation {
    match proto {
        Proto::Tcp | Proto::Udp | Proto::UdpLite | Proto::Ping => say(
            Verdict::Allowed,
            None,
            "confined-protocol",
            "A15",
            format!("{proto} sockets can be confined, so they are allowed"),
        ),
        Proto::Raw if view.raw => say(
            Verdict::Allowed,
            None,
            "raw-granted",
            "A15",
            "raw sockets were granted to this hostlet; only the guard confines them",
        ),
        Proto::Raw => say(
            Verdict::Refused("EPERM"),
            None,
            "raw",
            "A15",
            "a raw socket sends and receives what it likes, so it is refused unless it was granted by name",
        ),
        Proto::Packet => say(
            Verdict::Refused("EAFNOSUPPORT"),
            None,
            "socket-family",
            "A15",
            "a packet socket sees every frame of an interface, so programs that hostlet starts cannot make one",
        ),
        Proto::Mptcp => say(
            Verdict::Refused("EPROTONOSUPPORT"),
            None,
            "protocol",
            "A15",
            "MPTCP cannot be confined; programs fall back to TCP on this error",
        ),
        Proto::Sctp | Proto::Dccp => say(
            Verdict::Refused("EPROTONOSUPPORT"),
            None,
            "protocol",
            "A15",
            format!("{proto} cannot be confined, so the machine seems not to have it"),
        ),
    }
}

const DUAL_STACK: &str = "a socket of both families that was bound to :: and a port by number stands on an IPv4 address of the hostlet (its loopback's, where it has no other), and so cannot connect to IPv6; bind the IPv6 address itself, set IPV6_V6ONLY, or bind port 0";

/// Does the socket stand on an address of IPv4, and is it to connect to IPv6?
fn dual_stack(view: &KernelView, to: IpAddr, bound: Option<u16>) -> bool {
    let Some(port) = bound else { return false };
    // On a port that the kernel chose it is on the real wildcard, where there is a guard.
    let real = port == 0 && view.guard && view.loop6.is_some();
    to.to_canonical().is_ipv6() && !real
}

/// The only address of 127.0.0.0/8 that is not one to be bound and spoken to.
const LOOPBACK_BROADCAST: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 255, 255, 255));

/// One of the addresses beside 127.0.0.1 that every machine has as well.
fn is_further_loopback(a: IpAddr) -> bool {
    a.is_ipv4() && a.is_loopback() && !is_localhost(a) && a != LOOPBACK_BROADCAST
}

fn is_localhost(a: IpAddr) -> bool {
    a == IpAddr::V4(Ipv4Addr::LOCALHOST) || a == IpAddr::V6(Ipv6Addr::LOCALHOST)
}

fn loopback_like(view: &KernelView, a: IpAddr) -> Option<IpAddr> {
    if a.is_ipv4() {
        Some(IpAddr::V4(view.loop4))
    } else {
        view.loop6.map(IpAddr::V6)
    }
}

fn owns(view: &KernelView, a: IpAddr) -> bool {
    view.owned.iter().any(|o| o.contains(a))
        || a == IpAddr::V4(view.loop4)
        || view.loop6.is_some_and(|l| a == IpAddr::V6(l))
}

/// Multicast, 255.255.255.255, and the broadcast addresses of the hostlet's subnets.
fn is_group(view: &KernelView, a: IpAddr) -> bool {
    match a {
        IpAddr::V4(b) => b.is_multicast() || b.is_broadcast() || view.broadcasts.contains(&b),
        IpAddr::V6(b) => b.is_multicast(),
    }
}
