//! What the hostlets' sockets are bound to, as their programs know it.

use std::net::SocketAddr;

use crate::abi::{self, hl_port, hl_port_key};

/// The book of bound ports at one moment.
#[derive(Clone, Debug, Default)]
pub struct PortBook {
    pub(crate) entries: Vec<(hl_port_key, hl_port)>,
}

/// What a bound socket is to its program.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BoundPort {
    /// The port as the program knows it; the kernel's is another where a host socket holds this one (row C4).
    pub port: u16,
    /// It stands for the wildcard.
    pub wildcard: bool,
}

impl PortBook {
    /// What a socket of hostlet `id` that the kernel has at `local` is to its program; none if it was
    /// never bound by the program. `protocol` is the IP protocol's number.
    #[must_use]
    pub fn find(&self, id: u32, protocol: u8, local: SocketAddr) -> Option<BoundPort> {
        let of_socket = |(key, port): &&(hl_port_key, hl_port)| {
            let in_kernel = if port.hidden == 0 {
                key.port
            } else {
                port.hidden
            };
            key.id == id && key.proto == protocol && in_kernel == local.port()
        };
        let wild = |p: &hl_port| {
            p.wild.iter().any(|n| *n > 0) && abi::ip(&p.wild_addr) == local.ip().to_canonical()
        };
        let mut found: Option<BoundPort> = None;
        for (key, port) in self.entries.iter().filter(of_socket) {
            let wildcard = wild(port) || found.is_some_and(|f| f.wildcard);
            found = Some(BoundPort {
                port: key.port,
                wildcard,
            });
        }
        found
    }
}
