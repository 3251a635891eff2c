//! The command line's words for a call, as the policy knows calls.

use std::net::Ipv6Addr;

use hostlet_policy::{Call, Proto};

use crate::args::{ExplainCall, SocketKind};

/// The call that is asked about, if it is one that is known.
pub fn call(asked: &ExplainCall) -> Option<Call> {
    Some(match *asked {
        ExplainCall::Bind {
            address,
            udp,
            v6only,
        } => Call::Bind {
            proto: transport(udp),
            addr: address.ip(),
            port: address.port(),
            v6only,
        },
        ExplainCall::Connect {
            address,
            udp,
            from,
            v6only,
        } => Call::Connect {
            proto: transport(udp),
            addr: address.ip(),
            port: address.port(),
            from: from.map(|bound| bound.addr),
            dual: from
                .filter(|bound| bound.addr == Ipv6Addr::UNSPECIFIED && !v6only)
                .and_then(|bound| bound.port),
        },
        ExplainCall::Send { address, from } => Call::Send {
            proto: Proto::Udp,
            addr: address.ip(),
            port: address.port(),
            from,
        },
        ExplainCall::Socket { kind } => Call::Socket {
            proto: kind_of(kind),
        },
        // Refused with the other words that do not fit together.
        ExplainCall::Other(_) => return None,
    })
}

fn transport(udp: bool) -> Proto {
    if udp { Proto::Udp } else { Proto::Tcp }
}

fn kind_of(kind: SocketKind) -> Proto {
    match kind {
        SocketKind::Tcp => Proto::Tcp,
        SocketKind::Udp => Proto::Udp,
        SocketKind::Udplite => Proto::UdpLite,
        SocketKind::Ping => Proto::Ping,
        SocketKind::Raw => Proto::Raw,
        SocketKind::Packet => Proto::Packet,
        SocketKind::Mptcp => Proto::Mptcp,
        SocketKind::Sctp => Proto::Sctp,
        SocketKind::Dccp => Proto::Dccp,
    }
}
