//! The sockets of the calling thread's network namespace: listing them, and destroying them.

use std::fs;
use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_packet_core::{Emitable, NlasIterator, Parseable};
use netlink_packet_sock_diag::inet::{
    ExtensionFlags, InetRequest, InetResponseHeader, SocketId, StateFlags,
};
use netlink_sys::protocols::NETLINK_SOCK_DIAG;

use crate::netlink::transport::{Connection, Message};

mod tables;

pub use tables::{PacketSocket, packet_sockets};
#[cfg(feature = "fuzzing")]
pub(crate) use tables::{packets_in, sockets_in};

const TCPDIAG_GETSOCK: u16 = 18;
const SOCK_DIAG_BY_FAMILY: u16 = 20;
const SOCK_DESTROY: u16 = 21;
const INET_DIAG_SKV6ONLY: u16 = 11;
const INET_DIAG_CGROUP_ID: u16 = 21;
const RESPONSE_HEADER: usize = 72;

/// What can go wrong with socket listings.
#[derive(Debug, thiserror::Error)]
pub enum SockDiagError {
    /// Sockets cannot be listed.
    #[error(
        "cannot list the {protocol:?} sockets of this network namespace: {source}{}",
        lacking(.source)
    )]
    List {
        /// Of which protocol.
        protocol: Protocol,
        /// Why.
        source: io::Error,
    },
    /// A socket cannot be destroyed.
    #[error("cannot destroy the {protocol:?} socket {local} → {remote}: {source}{}", hint(.source))]
    Destroy {
        /// Its protocol.
        protocol: Protocol,
        /// Its own address.
        local: SocketAddr,
        /// The other end's.
        remote: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// A table of `/proc/net` cannot be read.
    #[error("cannot read {path}: {source}")]
    Table {
        /// Which.
        path: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// A kernel without the listing has no such netlink protocol, or nobody who answers for that of the sockets.
fn lacking(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EPROTONOSUPPORT | libc::ENOENT) => "; the kernel needs CONFIG_INET_DIAG",
        _ => "",
    }
}

fn hint(error: &io::Error) -> &'static str {
    match error.raw_os_error() {
        Some(libc::EOPNOTSUPP) => "; the kernel needs CONFIG_INET_DIAG_DESTROY",
        Some(libc::EPERM) => "; run as root",
        _ => "",
    }
}

/// The protocols whose sockets are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// UDP-Lite.
    UdpLite,
    /// ICMP echo ("ping") sockets.
    Icmp,
    /// Raw sockets; their port is the IP protocol.
    Raw,
}

impl Protocol {
    /// All of them.
    pub const ALL: [Protocol; 5] = [
        Protocol::Tcp,
        Protocol::Udp,
        Protocol::UdpLite,
        Protocol::Icmp,
        Protocol::Raw,
    ];

    fn number(self) -> Option<u8> {
        match self {
            Protocol::Tcp => Some(libc::IPPROTO_TCP as u8),
            Protocol::Udp => Some(libc::IPPROTO_UDP as u8),
            Protocol::UdpLite => Some(libc::IPPROTO_UDPLITE as u8),
            Protocol::Icmp | Protocol::Raw => None,
        }
    }
}

/// A socket's state, with TCP's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Connected.
    Established,
    /// Connecting.
    SynSent,
    /// Being connected to.
    SynRecv,
    /// Closing.
    FinWait1,
    /// Closing.
    FinWait2,
    /// Closed; the kernel keeps the pair of addresses for a while. No process has it.
    TimeWait,
    /// Not connected: unused, bound, or a datagram socket.
    Close,
    /// The other end closed.
    CloseWait,
    /// Closing.
    LastAck,
    /// Listening.
    Listen,
    /// Closing.
    Closing,
    /// Some later kernel's.
    Other(u8),
}

impl From<u8> for State {
    fn from(value: u8) -> State {
        match value {
            1 => State::Established,
            2 => State::SynSent,
            3 | 12 => State::SynRecv,
            4 => State::FinWait1,
            5 => State::FinWait2,
            6 => State::TimeWait,
            7 | 13 => State::Close,
            8 => State::CloseWait,
            9 => State::LastAck,
            10 => State::Listen,
            11 => State::Closing,
            other => State::Other(other),
        }
    }
}

/// A socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// Whether it is an AF_INET6 socket. One that serves IPv4 as well shows mapped addresses.
    pub ipv6: bool,
    /// Whether it is for IPv6 alone. The kernel tells of those that are not connected.
    pub v6only: bool,
    /// Its protocol.
    pub protocol: Protocol,
    /// Its state.
    pub state: State,
    /// Its own address.
    pub local: SocketAddr,
    /// The other end's.
    pub remote: SocketAddr,
    /// Its inode, by which the processes that have it are found. Zero if none has it.
    pub inode: u64,
    /// Its owner.
    pub uid: u32,
    /// The kernel's own name for it; zero where the kernel does not tell.
    pub cookie: u64,
    /// The cgroup in which it was created, if the kernel tells.
    pub cgroup_id: Option<u64>,
    /// The interface it is bound to; zero for none.
    pub ifindex: u32,
}

/// Which sockets to list. The default is all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Only of these protocols; all if empty.
    pub protocols: Vec<Protocol>,
    /// Only those that processes can have: leaves out TIME_WAIT.
    pub living: bool,
}

/// Lists sockets.
pub fn sockets(filter: &Filter) -> Result<Vec<Socket>, SockDiagError> {
    let mut found = Vec::new();
    for protocol in Protocol::ALL {
        if !filter.protocols.is_empty() && !filter.protocols.contains(&protocol) {
            continue;
        }
        match protocol.number() {
            Some(_) if protocol == Protocol::Tcp && tcp_at_once(&mut found).is_ok() => {}
            Some(number) => {
                for ipv6 in [false, true] {
                    list(protocol, number, ipv6, &mut found)
                        .map_err(|source| SockDiagError::List { protocol, source })?;
                }
            }
            None => tables::read(protocol, &mut found)?,
        }
    }
    if filter.living {
        found.retain(|s| s.state != State::TimeWait);
    }
    Ok(found)
}

/// Lists the TCP sockets of both families by the older request, which the kernel answers in one walk through its table of
/// connections: that is large however few there are.
fn tcp_at_once(found: &mut Vec<Socket>) -> io::Result<()> {
    const STATES: usize = 52;
    let mut body = vec![0; 60];
    body[STATES..STATES + 4].fill(0xff);
    let message = Message {
        kind: TCPDIAG_GETSOCK,
        body,
    };
    let answers = Connection::with(NETLINK_SOCK_DIAG, |connection| connection.dump(message))?;
    let of_tcp = answers.iter().map(|m| parse(Protocol::Tcp, &m.body));
    found.extend(of_tcp.flatten());
    Ok(())
}

fn list(protocol: Protocol, number: u8, ipv6: bool, found: &mut Vec<Socket>) -> io::Result<()> {
    let request = InetRequest {
        family: family(ipv6),
        protocol: number,
        extensions: ExtensionFlags::empty(),
        // Also the states that the library has no name for: bound TCP sockets that do not listen.
        states: StateFlags::from_bits_retain(u32::MAX),
        socket_id: if ipv6 {
            SocketId::new_v6()
        } else {
            SocketId::new_v4()
        },
    };
    let dump = Connection::with(NETLINK_SOCK_DIAG, |connection| {
        connection.dump(message(SOCK_DIAG_BY_FAMILY, &request))
    });
    let answers = match dump {
        Ok(answers) => answers,
        // The kernel is built without that protocol (UDP-Lite), so there are no such sockets.
        Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(()),
        Err(error) => return Err(error),
    };
    found.extend(answers.iter().filter_map(|m| parse(protocol, &m.body)));
    Ok(())
}

fn family(ipv6: bool) -> u8 {
    let family = if ipv6 { libc::AF_INET6 } else { libc::AF_INET };
    family as u8
}

fn message(kind: u16, request: &InetRequest) -> Message {
    let mut body = vec![0; request.buffer_len()];
    request.emit(&mut body);
    Message { kind, body }
}

pub(crate) fn parse(protocol: Protocol, body: &[u8]) -> Option<Socket> {
    let header = InetResponseHeader::parse(body).ok()?;
    let id = header.socket_id;
    let (mut cgroup_id, mut v6only) = (None, false);
    for nla in NlasIterator::new(body.get(RESPONSE_HEADER..)?).filter_map(Result::ok) {
        match nla.kind() {
            INET_DIAG_CGROUP_ID => {
                cgroup_id = nla.value().try_into().ok().map(u64::from_ne_bytes);
            }
            INET_DIAG_SKV6ONLY => v6only = nla.value().first() == Some(&1),
            _ => {}
        }
    }
    Some(Socket {
        ipv6: header.family == family(true),
        v6only,
        protocol,
        state: State::from(header.state),
        local: SocketAddr::new(id.source_address, id.source_port),
        remote: SocketAddr::new(id.destination_address, id.destination_port),
        inode: header.inode.into(),
        uid: header.uid,
        cookie: cookie_number(id.cookie),
        cgroup_id,
        ifindex: id.interface_id,
    })
}

/// The wire has two 32-bit words, the low one first.
fn cookie_number(bytes: [u8; 8]) -> u64 {
    let (low, high) = bytes.split_at(4);
    let word = |b: &[u8]| u64::from(u32::from_ne_bytes([b[0], b[1], b[2], b[3]]));
    word(low) | word(high) << 32
}

fn cookie_bytes(cookie: u64) -> [u8; 8] {
    let mut bytes = [0; 8];
    bytes[..4].copy_from_slice(&(cookie as u32).to_ne_bytes());
    bytes[4..].copy_from_slice(&((cookie >> 32) as u32).to_ne_bytes());
    bytes
}

/// Destroys a socket: its owner's calls fail with ECONNABORTED, a peer gets a reset. False if the
/// socket was gone already.
///
/// Raw and ping sockets, which the kernel cannot name, are refused with EOPNOTSUPP.
pub fn destroy(socket: &Socket) -> Result<bool, SockDiagError> {
    let failed = |source| SockDiagError::Destroy {
        protocol: socket.protocol,
        local: socket.local,
        remote: socket.remote,
        source,
    };
    let Some(protocol) = socket.protocol.number() else {
        return Err(failed(io::Error::from_raw_os_error(libc::EOPNOTSUPP)));
    };
    match order(socket, protocol) {
        Ok(()) => Ok(true),
        Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE)) => {
            Ok(false)
        }
        Err(source) => Err(failed(source)),
    }
}

/// Whether this kernel destroys sockets at all; none if it did not say.
pub fn can_destroy() -> Option<bool> {
    let number = Protocol::Tcp.number()?;
    if list(Protocol::Tcp, number, false, &mut Vec::new()).is_err() {
        // What cannot list them does not say that it cannot destroy them, but that there is none.
        return Some(false);
    }
    // No socket has these ends: nobody connects from port 0.
    let nobody = SocketAddr::from(([127, 0, 0, 1], 0));
    let socket = Socket {
        protocol: Protocol::Tcp,
        ipv6: false,
        v6only: false,
        local: nobody,
        remote: nobody,
        ifindex: 0,
        uid: 0,
        inode: 0,
        cookie: 1,
        state: State::Close,
        cgroup_id: None,
    };
    match order(&socket, number) {
        Ok(()) => Some(true),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ESTALE) => Some(true),
            Some(libc::EOPNOTSUPP) => Some(false),
            _ => None,
        },
    }
}

fn order(socket: &Socket, protocol: u8) -> io::Result<()> {
    let request = InetRequest {
        family: family(socket.ipv6),
        protocol,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::from_bits_retain(u32::MAX),
        socket_id: SocketId {
            source_port: socket.local.port(),
            destination_port: socket.remote.port(),
            source_address: socket.local.ip(),
            destination_address: socket.remote.ip(),
            interface_id: socket.ifindex,
            cookie: cookie_bytes(socket.cookie),
        },
    };
    Connection::with(NETLINK_SOCK_DIAG, |connection| {
        connection.change(message(SOCK_DESTROY, &request), 0)
    })
}

fn read_table(path: &'static str) -> Result<String, SockDiagError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        // The kernel is built without that family.
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        Err(source) => Err(SockDiagError::Table { path, source }),
    }
}

/// An address of a socket without its mapping: `::ffff:10.0.0.1` is 10.0.0.1.
pub fn canonical(addr: IpAddr) -> IpAddr {
    addr.to_canonical()
}
