//! The sockets to DHCP servers, one a family on each interface. They are there while a lease needs them: every message on
//! the wire wakes whoever has one open.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, OwnedFd};

use hostlet_lease::Destination;
use hostlet_platform::dhcp::{BUFFER, SendTo, Socket4, Socket6};

use crate::keeper::{listen, token};
use crate::log;

#[derive(Default)]
struct Link {
    v4: Option<Socket4>,
    v6: Option<Socket6>,
}

/// All of them, by interface.
#[derive(Default)]
pub(crate) struct Links {
    links: BTreeMap<u32, Link>,
    buffer: Vec<u8>,
    /// What cannot be used now, and was complained of.
    failing: BTreeSet<(u32, bool)>,
    /// Addresses whose server could not be asked directly; it was said of each.
    indirect: BTreeSet<Ipv4Addr>,
}

impl Links {
    /// Opens a socket, if there is none.
    pub fn open(&mut self, epoll: &OwnedFd, ifindex: u32, v6: bool) -> Result<(), String> {
        let link = self.links.entry(ifindex).or_default();
        let on = u64::from(ifindex);
        if v6 && link.v6.is_none() {
            let socket = Socket6::open(ifindex).map_err(|e| e.to_string())?;
            listen(epoll, socket.as_fd(), token::SOCKET6 + on).map_err(|e| e.to_string())?;
            link.v6 = Some(socket);
        } else if !v6 && link.v4.is_none() {
            let socket = Socket4::open(ifindex).map_err(|e| e.to_string())?;
            listen(epoll, socket.as_fd(), token::SOCKET4 + on).map_err(|e| e.to_string())?;
            link.v4 = Some(socket);
        }
        Ok(())
    }

    /// Opens a socket that is missing. True if it was; a failure is told once.
    pub fn reopen(&mut self, epoll: &OwnedFd, ifindex: u32, v6: bool) -> bool {
        let link = self.links.get(&ifindex);
        if link.is_some_and(|l| if v6 { l.v6.is_some() } else { l.v4.is_some() }) {
            return false;
        }
        let opened = self.open(epoll, ifindex, v6);
        if let Err(why) = &opened
            && self.failing.insert((ifindex, v6))
        {
            log::warning(format_args!("{why}"));
        }
        opened.is_ok()
    }

    /// Closes all others.
    pub fn close_all_but(&mut self, wanted: &BTreeSet<(u32, bool)>) {
        let open: Vec<u32> = self.links.keys().copied().collect();
        for ifindex in open {
            for v6 in [false, true] {
                if !wanted.contains(&(ifindex, v6)) {
                    self.close(ifindex, v6);
                }
            }
        }
    }

    /// Closes the socket of a family that nobody needs any more.
    pub fn close(&mut self, ifindex: u32, v6: bool) {
        if let Some(link) = self.links.get_mut(&ifindex) {
            if v6 {
                link.v6 = None;
            } else {
                link.v4 = None;
            }
            if link.v4.is_none() && link.v6.is_none() {
                self.links.remove(&ifindex);
            }
        }
        self.failing.remove(&(ifindex, v6));
    }

    /// The next message that waits.
    pub fn receive(&mut self, ifindex: u32, v6: bool) -> Option<Vec<u8>> {
        let link = self.links.get(&ifindex)?;
        self.buffer.resize(BUFFER, 0);
        let got = if v6 {
            let got = link.v6.as_ref()?.recv(&mut self.buffer);
            got.map(|r| r.map(|r| r.payload.to_vec()))
        } else {
            let got = link.v4.as_ref()?.recv(&mut self.buffer);
            got.map(|r| r.map(|r| r.payload.to_vec()))
        };
        match got {
            Ok(None) => None,
            Ok(payload) => {
                self.failing.remove(&(ifindex, v6));
                payload
            }
            Err(error) => {
                // The interface went down, or away. Where it comes back with the same number, a socket from before may stay deaf.
                let told = self.failing.contains(&(ifindex, v6));
                self.close(ifindex, v6);
                self.failing.insert((ifindex, v6));
                if !told {
                    log::warning(format_args!("cannot receive from DHCP servers: {error}"));
                }
                None
            }
        }
    }

    /// Sends a message. What cannot be sent is as if it were lost on the wire: it is sent again.
    pub fn send(&mut self, ifindex: u32, payload: &[u8], to: &Destination) {
        let Some(link) = self.links.get(&ifindex) else {
            return;
        };
        let indirect = &mut self.indirect;
        let sent = match (to, &link.v4, &link.v6) {
            (Destination::Broadcast, Some(s), _) => s.send(payload, SendTo::Broadcast),
            (Destination::Server { server, source }, Some(s), _) => {
                let (server, source) = (*server, *source);
                match s.send(payload, SendTo::Server { server, source }) {
                    Ok(()) => {
                        indirect.remove(&source);
                        Ok(())
                    }
                    Err(error) => {
                        // Without its address, after a crash, a lease can be released all the same, and nobody need know.
                        if error.kind() != ErrorKind::AddrNotAvailable && indirect.insert(source) {
                            log::warning(format_args!("{error}; it is broadcast instead"));
                        }
                        s.send(payload, SendTo::Broadcast)
                    }
                }
            }
            (Destination::Multicast6, _, Some(s)) => s.send(payload),
            _ => return,
        };
        if let Err(error) = sent {
            log::warning(format_args!("{error}"));
        }
    }

    /// The port from which a server was asked directly is not needed until the next time.
    pub fn close_port(&self, ifindex: u32, address: IpAddr) {
        let link = self.links.get(&ifindex);
        if let (Some(socket), IpAddr::V4(address)) = (link.and_then(|l| l.v4.as_ref()), address) {
            socket.done(address);
        }
    }
    /// The address is given back.
    pub fn forget(&mut self, ifindex: u32, address: IpAddr) {
        self.close_port(ifindex, address);
        if let IpAddr::V4(address) = address {
            self.indirect.remove(&address);
        }
    }
}
