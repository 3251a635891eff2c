//! The addresses of a matrix, by what they are to the hostlet under test.

/// How a socket names addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Family {
    /// An IPv4 socket.
    V4,
    /// An IPv6 socket for IPv6 alone.
    V6,
    /// An IPv6 socket for both, with IPv6 addresses.
    Dual,
    /// An IPv6 socket for both, with IPv4 addresses.
    Mapped,
}

impl Family {
    pub const ALL: [Family; 4] = [Family::V4, Family::V6, Family::Dual, Family::Mapped];

    pub fn word(self) -> &'static str {
        match self {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
            Family::Dual => "dual",
            Family::Mapped => "mapped",
        }
    }

    /// Lines that make the socket.
    pub fn socket(self, actor: &str, name: &str, protocol: &str) -> String {
        let digit = if self == Family::V4 { 4 } else { 6 };
        let mut text = format!("{actor} {name} = socket {}\n", kind(protocol, digit));
        if self == Family::V6 && protocol != "ping" {
            text += &format!("{actor} opt {name} v6only 1\n");
        }
        text
    }

    /// The family of a server that clients of this one talk to.
    pub fn of_server(self) -> Family {
        match self {
            Family::Mapped => Family::V4,
            family => family,
        }
    }
}

/// `tcp4`, `udp6`. Of MPTCP, TCP where there is none, as in a hostlet: so do programs that want it.
pub(super) fn kind(protocol: &str, digit: u8) -> String {
    match protocol {
        "mptcp" => format!("mptcp{digit}|tcp{digit}"),
        protocol => format!("{protocol}{digit}"),
    }
}

/// What an address is to the hostlet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Own,
    OwnSecond,
    Host,
    Other,
    Peer,
    Far,
    Unknown,
    Wildcard,
    Loopback,
    LoopbackRest,
    Broadcast,
    BroadcastAll,
    Group,
}

impl Place {
    pub const ALL: [Place; 13] = [
        Place::Own,
        Place::OwnSecond,
        Place::Host,
        Place::Other,
        Place::Peer,
        Place::Far,
        Place::Unknown,
        Place::Wildcard,
        Place::Loopback,
        Place::LoopbackRest,
        Place::Broadcast,
        Place::BroadcastAll,
        Place::Group,
    ];

    pub fn word(self) -> &'static str {
        match self {
            Place::Own => "own",
            Place::OwnSecond => "own-second",
            Place::Host => "foreign-host",
            Place::Other => "foreign-hostlet",
            Place::Peer => "foreign-machine",
            Place::Far => "foreign-far",
            Place::Unknown => "foreign-nowhere",
            Place::Wildcard => "wildcard",
            Place::Loopback => "loopback",
            Place::LoopbackRest => "loopback-rest",
            Place::Broadcast => "broadcast",
            Place::BroadcastAll => "broadcast-all",
            Place::Group => "multicast",
        }
    }

    /// The address with the port; none where the family has no such address.
    pub fn at(self, family: Family, port: u16) -> Option<String> {
        let four = match self {
            Place::Own => "10.0.0.5",
            Place::OwnSecond => "10.0.0.6",
            Place::Host => "10.0.0.1",
            Place::Other => "10.0.0.9",
            Place::Peer => "10.0.0.100",
            Place::Far => "192.0.2.1",
            Place::Unknown => "8.8.8.8",
            Place::Wildcard => "0.0.0.0",
            Place::Loopback => "127.0.0.1",
            Place::LoopbackRest => "127.0.0.5",
            Place::Broadcast => "10.0.0.255",
            Place::BroadcastAll => "255.255.255.255",
            Place::Group => "239.1.2.3",
        };
        let six = match self {
            Place::Own => "2001:db8::5",
            Place::OwnSecond => "2001:db8::6",
            Place::Host => "2001:db8::1",
            Place::Other => "2001:db8::9",
            Place::Peer => "2001:db8::100",
            Place::Far => "2001:db8:ff::1",
            Place::Unknown => "fd00::1",
            Place::Wildcard => "::",
            Place::Loopback => "::1",
            Place::Group => "ff05::1:3",
            Place::LoopbackRest | Place::Broadcast | Place::BroadcastAll => "",
        };
        match family {
            Family::V4 => Some(format!("{four}:{port}")),
            Family::Mapped => Some(format!("[::ffff:{four}]:{port}")),
            Family::V6 | Family::Dual if six.is_empty() => None,
            Family::V6 | Family::Dual => Some(format!("[{six}]:{port}")),
        }
    }

    /// Who serves there.
    pub fn server(self) -> &'static str {
        match self {
            Place::Host => "host",
            Place::Other => "other",
            Place::Peer
            | Place::Far
            | Place::Unknown
            | Place::Broadcast
            | Place::BroadcastAll
            | Place::Group => "peer",
            Place::Own
            | Place::OwnSecond
            | Place::Wildcard
            | Place::Loopback
            | Place::LoopbackRest => "in",
        }
    }
}

/// Where a server of that actor listens. Each has a port of its own: what shares one is
/// another matrix.
pub(super) fn port_of(actor: &str) -> u16 {
    match actor {
        "in" => 5300,
        "other" => 5301,
        "host" => 5302,
        _ => 5303,
    }
}

/// The interface that leads to the others.
pub(super) fn interface_of(actor: &str) -> &'static str {
    if actor == "peer" { "br0" } else { "eth0" }
}
