//! What a client asks its driver to do, and the terms of a lease.

use std::fmt::Write as _;
use std::net::{IpAddr, Ipv4Addr};

use crate::Time;

/// The terms of a lease, with everything that going on with it after a restart needs ([`crate::Client::resume`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The address that was lent.
    pub address: IpAddr,
    /// On-link length: that of the server's subnet mask for IPv4 (32 if it named none), 128 for IPv6.
    pub prefix_len: u8,
    /// Who lent it. DHCPv4: the server identifier, as in `192.0.2.1`. DHCPv6: the server's DUID in lower-case hexadecimal without
    /// separators, as in `00010001deadbeef020000000001`. [`server_v4`] and [`server_duid`] read them back.
    pub server: String,
    /// Who borrowed it. DHCPv4: the hardware address, as in `02:ab:cd:00:00:07`. DHCPv6: DUID in hexadecimal, `/`, IAID in decimal.
    pub hardware: String,
    /// When the client asks its server for more time (T1). None: never, the lease has no end.
    pub renew: Option<Time>,
    /// When it asks every server (T2). None: never.
    pub rebind: Option<Time>,
    /// When the address must not be used any more. None: never.
    pub expires: Option<Time>,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// DHCPv4 from 0.0.0.0:68 to 255.255.255.255:67.
    Broadcast,
    /// DHCPv4 from the lease's own address, port 68, to the server, port 67. The address is on the interface.
    Server {
        /// The server.
        server: Ipv4Addr,
        /// The address that was lent.
        source: Ipv4Addr,
    },
    /// DHCPv6 from the interface's link-local address, port 546, to `ff02::1:2`, port 547.
    Multicast6,
}

/// Why a lease is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// The server said that the address is not this holder's (DHCPNAK; DHCPv6: no binding, not on link, lifetime 0).
    Refused,
    /// Its time ran out and no server answered.
    Expired,
}

/// What the driver has to do. Taken from [`crate::Client::poll`] until that returns None, after every other call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Send this: a BOOTP or DHCPv6 message without UDP and IP headers.
    Send {
        /// The message.
        payload: Vec<u8>,
        /// Where to.
        to: Destination,
    },
    /// This address is about to be asked for: write it down, durably, and answer with [`crate::Client::claimed`]. It replaces what
    /// this client claimed before and was not [`Output::Bound`] to. The request goes out after a yes.
    Claim {
        /// The address.
        address: IpAddr,
    },
    /// The server gave the address: does somebody else on the wire use it? Answer with [`crate::Client::probed`].
    Probe {
        /// The address.
        address: IpAddr,
    },
    /// The address may be used from now on.
    Bound(Terms),
    /// It may be used for longer, on these terms.
    Renewed(Terms),
    /// The address must not be used any more, as of now. The client starts over by itself.
    Lost {
        /// The address.
        address: IpAddr,
        /// Why.
        why: LostReason,
    },
    /// A server answered with a no, in words for people. The client goes on asking.
    Refused {
        /// What the server said.
        why: String,
    },
}

/// A server's name in [`Terms::server`] that is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Neither an IPv4 address nor a DUID in hexadecimal, whichever the family needs.
    #[error(
        "cannot go on with the lease of {address}: {server:?} names no {expected}; let it go and take a new one"
    )]
    NotAServer {
        /// The address of the lease.
        address: IpAddr,
        /// The text.
        server: String,
        /// What was wanted.
        expected: &'static str,
    },
    /// The lease is of the other family than the settings.
    #[error(
        "cannot go on with the lease of {address} as a DHCP client of the other family; this is a fault in hostletd"
    )]
    Family {
        /// The address of the lease.
        address: IpAddr,
    },
}

/// The server identifier of a DHCPv4 lease.
///
/// # Errors
/// When the text is not an IPv4 address.
pub fn server_v4(terms: &Terms) -> Result<Ipv4Addr, ServerError> {
    terms
        .server
        .parse()
        .map_err(|_| not_a_server(terms, "IPv4 address of a server"))
}

/// The server's DUID of a DHCPv6 lease.
///
/// # Errors
/// When the text is not 1 to 130 bytes in hexadecimal.
pub fn server_duid(terms: &Terms) -> Result<Vec<u8>, ServerError> {
    let text = terms.server.as_bytes();
    let bytes: Option<Vec<u8>> = text
        .chunks(2)
        .map(|pair| {
            let pair = std::str::from_utf8(pair).ok().filter(|p| p.len() == 2)?;
            // from_str_radix takes a sign, which is not hexadecimal.
            if pair.starts_with('+') {
                return None;
            }
            u8::from_str_radix(pair, 16).ok()
        })
        .collect();
    bytes
        .filter(|bytes| (1..=MAX_DUID).contains(&bytes.len()))
        .ok_or_else(|| not_a_server(terms, "DUID of a server in hexadecimal"))
}

/// The longest DUID: 2 bytes of type and 128 of content (RFC 8415, 11.1).
pub(crate) const MAX_DUID: usize = 130;

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn not_a_server(terms: &Terms, expected: &'static str) -> ServerError {
    ServerError::NotAServer {
        address: terms.address,
        server: terms.server.clone(),
        expected,
    }
}
