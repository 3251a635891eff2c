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
    /// The address must not be used any more, as of now, and what was claimed of it is void. The client starts over by itself. Comes
    /// after [`Output::Bound`] or a resumed lease, and for an old address ([`crate::Client::reboot`]) that a DHCPv4 server refused.
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

/// Terms that a client cannot go on with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The server or the hardware is not what the family needs.
    #[error(
        "cannot go on with the lease of {address}: {text:?} is no {expected}; the lease has to be let go"
    )]
    Malformed {
        /// The address of the lease.
        address: IpAddr,
        /// What was read.
        text: String,
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
pub fn server_v4(terms: &Terms) -> Result<Ipv4Addr, TermsError> {
    terms
        .server
        .parse()
        .map_err(|_| malformed(terms, &terms.server, "IPv4 address of a server"))
}

/// The server's DUID of a DHCPv6 lease.
///
/// # Errors
/// When the text is not 1 to 130 bytes in hexadecimal.
pub fn server_duid(terms: &Terms) -> Result<Vec<u8>, TermsError> {
    unhex(&terms.server)
        .ok_or_else(|| malformed(terms, &terms.server, "DUID of a server in hexadecimal"))
}

/// The hardware address that a DHCPv4 lease was taken with.
pub(crate) fn client_v4(terms: &Terms) -> Result<[u8; 6], TermsError> {
    let mut parts = terms.hardware.split(':');
    let mut hardware = [0; 6];
    for byte in &mut hardware {
        *byte = parts
            .next()
            .filter(|part| part.len() == 2 && !part.starts_with('+'))
            .and_then(|part| u8::from_str_radix(part, 16).ok())
            .ok_or_else(|| malformed(terms, &terms.hardware, "hardware address"))?;
    }
    match parts.next() {
        None => Ok(hardware),
        Some(_) => Err(malformed(terms, &terms.hardware, "hardware address")),
    }
}

/// The DUID and the IAID that a DHCPv6 lease was taken with.
pub(crate) fn client_v6(terms: &Terms) -> Result<(Vec<u8>, u32), TermsError> {
    let read = || {
        let (duid, iaid) = terms.hardware.split_once('/')?;
        Some((unhex(duid)?, iaid.parse().ok()?))
    };
    read().ok_or_else(|| malformed(terms, &terms.hardware, "DUID with an IAID"))
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

/// A DUID of hexadecimal digits.
fn unhex(text: &str) -> Option<Vec<u8>> {
    let digits: Option<Vec<u8>> = text
        .chars()
        .map(|c| u8::try_from(c.to_digit(16)?).ok())
        .collect();
    let bytes: Vec<u8> = digits
        .filter(|digits| digits.len() % 2 == 0)?
        .chunks(2)
        .map(|pair| pair[0] << 4 | pair[1])
        .collect();
    (1..=MAX_DUID).contains(&bytes.len()).then_some(bytes)
}

fn malformed(terms: &Terms, text: &str, expected: &'static str) -> TermsError {
    TermsError::Malformed {
        address: terms.address,
        text: text.to_owned(),
        expected,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms(server: &str, hardware: &str) -> Terms {
        Terms {
            address: Ipv4Addr::new(192, 0, 2, 5).into(),
            prefix_len: 24,
            server: server.to_owned(),
            hardware: hardware.to_owned(),
            renew: None,
            rebind: None,
            expires: None,
        }
    }

    #[test]
    fn what_resuming_needs_is_read_from_text() {
        let v4 = terms("192.0.2.1", "02:ab:cd:00:00:07");
        assert_eq!(server_v4(&v4), Ok([192, 0, 2, 1].into()));
        assert_eq!(client_v4(&v4), Ok([2, 0xab, 0xcd, 0, 0, 7]));
        let v6 = terms("0003000102aabb", "0004ff/4294967295");
        assert_eq!(server_duid(&v6), Ok(vec![0, 3, 0, 1, 2, 0xaa, 0xbb]));
        assert_eq!(client_v6(&v6), Ok((vec![0, 4, 0xff], u32::MAX)));
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in ["", "0", "+1", "abc", "zz", "0é", &"00".repeat(131)] {
            assert!(server_duid(&terms(bad, "")).is_err(), "{bad}");
            assert!(client_v6(&terms("", &format!("{bad}/1"))).is_err(), "{bad}");
            assert!(server_v4(&terms(bad, "")).is_err(), "{bad}");
        }
        for bad in [
            "02:ab:cd:00:00",
            "02:ab:cd:00:00:07:",
            "02:ab:cd:00:00:+7",
            "2:ab:cd:00:00:07",
        ] {
            assert!(client_v4(&terms("", bad)).is_err(), "{bad}");
        }
        let text = server_v4(&terms("x", "")).unwrap_err().to_string();
        assert!(
            text.contains("192.0.2.5") && text.contains("\"x\""),
            "{text}"
        );
    }
}
