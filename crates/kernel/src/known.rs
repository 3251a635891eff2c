//! Connections that are known by another address than the one on which the kernel has their socket.

use std::collections::{BTreeSet, HashMap};
use std::net::{IpAddr, SocketAddr};

use crate::abi::{self, Plain, hl_known, hl_known_key};
use crate::error::Result;
use crate::install::Kernel;

/// What was noted of such connections at one moment.
#[derive(Clone, Debug, Default)]
pub struct KnownBook {
    entries: HashMap<Vec<u8>, hl_known>,
    /// By their cookies: an entry outlives its socket, and another may have the same two ends by then.
    sockets: BTreeSet<u64>,
}

/// The two ends of a socket as the kernel has them, and its protocol's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The IP protocol's number.
    pub protocol: u8,
    /// Where the socket is.
    pub local: SocketAddr,
    /// To what it is connected.
    pub remote: SocketAddr,
}

/// By what address a connection is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KnownAs {
    /// The address.
    pub shown: IpAddr,
    /// The route chose where the socket is, and packets have this source in place of that; where the route chose an address
    /// of the hostlet, they keep it. Otherwise the socket is where it was bound.
    pub by_route: bool,
}

impl Kernel {
    /// What is noted now. Whoever asks for sockets that were listed before finds all of them that are still the same.
    ///
    /// # Errors
    /// If it cannot be read.
    pub fn known_book(&self) -> Result<KnownBook> {
        if self.read_globals()?.known_ever == 0 {
            return Ok(KnownBook::default());
        }
        let entries = self.entries("known_as")?.into_iter();
        Ok(KnownBook {
            entries: entries
                .map(|(key, value)| (key, hl_known::from_bytes(&value)))
                .collect(),
            sockets: self.sockets_in("known_at")?,
        })
    }
}

impl KnownBook {
    /// By what the connection of a socket of hostlet `id` is known, if it is another address than the kernel has.
    #[must_use]
    pub fn own(&self, id: u32, cookie: u64, ends: &Ends) -> Option<KnownAs> {
        let entry = self.find(id, ends.protocol, ends.local, ends.remote)?;
        self.sockets.contains(&cookie).then_some(entry)
    }

    /// By what a socket of hostlet `id` knows its peer, which may be gone by now, if that is one of the same hostlet that is known
    /// by another address.
    #[must_use]
    pub fn peer(&self, id: u32, ends: &Ends) -> Option<IpAddr> {
        let entry = self.find(id, ends.protocol, ends.remote, ends.local)?;
        (!entry.by_route).then_some(entry.shown)
    }

    fn find(&self, id: u32, protocol: u8, from: SocketAddr, to: SocketAddr) -> Option<KnownAs> {
        let key = hl_known_key {
            id,
            port: from.port(),
            peer_port: to.port(),
            peer: abi::addr(to.ip()),
            proto: u32::from(protocol),
        };
        let entry = self.entries.get(key.bytes())?;
        let (stands, shown) = (abi::ip(&entry.stands), abi::ip(&entry.shown));
        let at = from.ip().to_canonical();
        // All zero: the route has chosen, and no packet has told yet what.
        let unsaid = entry.stands.bytes().iter().all(|byte| *byte == 0);
        ((unsaid || stands == at) && shown.is_ipv4() == at.is_ipv4()).then_some(KnownAs {
            shown,
            by_route: unsaid || entry.sock != 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Socket 7 of hostlet 3, to 10.0.0.9:53.
    fn book(stands: Option<&str>, shown: &str, sock: u64) -> KnownBook {
        let key = hl_known_key {
            id: 3,
            port: 4000,
            peer_port: 53,
            peer: abi::addr(ip("10.0.0.9")),
            proto: 17,
        };
        let value = hl_known {
            stands: stands.map(|s| abi::addr(ip(s))).unwrap_or_default(),
            shown: abi::addr(ip(shown)),
            sock,
        };
        KnownBook {
            entries: HashMap::from([(key.bytes().to_vec(), value)]),
            sockets: BTreeSet::from([7]),
        }
    }

    fn ends(local: &str, remote: &str) -> Ends {
        Ends {
            protocol: 17,
            local: at(local),
            remote: at(remote),
        }
    }

    #[test]
    fn an_entry_is_for_one_socket_at_one_place() {
        let book = book(Some("10.0.0.1"), "10.0.0.5", 1);
        let known = Some(KnownAs {
            shown: ip("10.0.0.5"),
            by_route: true,
        });
        let right = ends("10.0.0.1:4000", "10.0.0.9:53");
        assert_eq!(book.own(3, 7, &right), known);
        let mapped = ends("[::ffff:10.0.0.1]:4000", "[::ffff:10.0.0.9]:53");
        assert_eq!(book.own(3, 7, &mapped), known);
        // Another socket, another hostlet, and each part of what it is.
        assert_eq!(book.own(3, 8, &right), None);
        assert_eq!(book.own(4, 7, &right), None);
        let tcp = Ends {
            protocol: 6,
            ..right
        };
        assert_eq!(book.own(3, 7, &tcp), None);
        for (local, remote) in [
            ("10.0.0.2:4000", "10.0.0.9:53"),
            ("10.0.0.1:4001", "10.0.0.9:53"),
            ("10.0.0.1:4000", "10.0.0.8:53"),
            ("10.0.0.1:4000", "10.0.0.9:54"),
        ] {
            assert_eq!(book.own(3, 7, &ends(local, remote)), None);
        }
    }

    #[test]
    fn where_no_packet_has_left_any_place_of_the_family_is_it() {
        let book = book(None, "10.0.0.5", 1);
        let known = book.own(3, 7, &ends("10.0.0.1:4000", "10.0.0.9:53"));
        assert_eq!(known.map(|k| k.shown), Some(ip("10.0.0.5")));
        let other = ends("[2001:db8::1]:4000", "10.0.0.9:53");
        assert_eq!(book.own(3, 7, &other), None);
    }

    #[test]
    fn peers_are_those_that_were_bound() {
        let accepted = ends("10.0.0.9:53", "10.0.0.5:4000");
        let bound = book(Some("10.0.0.5"), "127.64.0.3", 0);
        assert_eq!(bound.peer(3, &accepted), Some(ip("127.64.0.3")));
        assert_eq!(bound.peer(4, &accepted), None);
        let by_route = book(Some("10.0.0.5"), "10.0.0.6", 1);
        assert_eq!(by_route.peer(3, &accepted), None);
    }
}
