//! A DHCPv4 client for one lease (RFC 2131).
//!
//! The first offer is taken. What differs from the letter of the standard, and why:
//! * The first retransmissions come after 1 s and 2 s, then as the standard has it, and a conflict costs 1 s and not 10 s the first
//!   times: somebody waits to be logged in.
//! * An address that was acknowledged but is not in use yet is released by broadcast: no packet can leave from it.

mod act;
mod answer;
mod message;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::MessageType;

use self::message::Ask;
use crate::timing::{Random, after_conflict, after_failure};
use crate::{Destination, Output, Terms, TermsError, Time};

/// Who asks, and for which address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The hardware address that is offered, in the message only ([`crate::hardware_address`]); the client identifier is made of it.
    pub hardware: [u8; 6],
    /// Whom the lease is for, as a host name. None: unnamed.
    pub hostname: Option<String>,
    /// The pool's user class, by which a server may choose. None: no class.
    pub user_class: Option<String>,
    /// The address that is wished for.
    pub wish: Option<Ipv4Addr>,
    /// Take no other address than the wish: what a caller asked for by name (row B7). Without a wish it has no meaning.
    pub insist: bool,
    /// Where transaction ids and jitter come from: random, another for each client.
    pub seed: u64,
}

/// How often a request for an offer is sent before the client looks for a server again: after 15 s.
const REQUESTS: u32 = 4;
/// How often a client asks for its old address before it looks for any: for 3 s.
const REBOOTS: u32 = 2;

/// The client. See [`crate::Client`] for what its functions do.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    state: State,
    deadline: Option<Time>,
    /// Of the exchange that is under way.
    xid: u32,
    /// When this attempt to get or to keep an address began.
    since: Time,
    /// The `secs` field of the exchange: a request repeats that of its DISCOVER.
    secs: u16,
    /// How often the message of this state was sent.
    sent: u32,
    /// Failures in a row.
    failures: u32,
    /// Asked for in DISCOVER.
    hint: Option<Ipv4Addr>,
    /// A no of this exchange was reported.
    reported: bool,
    random: Random,
    output: VecDeque<Output>,
}

#[derive(Debug, Clone)]
enum State {
    /// DISCOVER is out.
    Selecting,
    /// The driver writes the address down. Without a server: to ask for an old address.
    Claiming {
        address: Ipv4Addr,
        server: Option<Ipv4Addr>,
    },
    /// REQUEST for an offer is out, first sent then.
    Requesting {
        address: Ipv4Addr,
        server: Ipv4Addr,
        asked: Time,
    },
    /// REQUEST for an old address is out.
    Rebooting {
        address: Ipv4Addr,
        asked: Time,
    },
    /// The driver asks the wire.
    Probing(Lease),
    Bound(Lease),
    /// REQUEST to the server is out, last sent then.
    Renewing {
        lease: Lease,
        asked: Time,
    },
    /// REQUEST to every server is out.
    Rebinding {
        lease: Lease,
        asked: Time,
    },
    /// Waits to start over.
    Waiting,
    Released,
}

#[derive(Debug, Clone)]
struct Lease {
    address: Ipv4Addr,
    server: Ipv4Addr,
    /// As a whole; None: for ever.
    lifetime: Option<Duration>,
    terms: Terms,
}

impl Client {
    /// Looks for a server.
    #[must_use]
    pub fn new(settings: Settings, now: Time) -> Self {
        let mut client = Client::idle(settings, now);
        client.discover(now);
        client
    }

    /// Asks for an address that this holder had before.
    #[must_use]
    pub fn reboot(settings: Settings, address: Ipv4Addr, now: Time) -> Self {
        let mut client = Client::idle(settings, now);
        let other = client.insisted().is_some_and(|wish| wish != address);
        if other || !message::usable(address) {
            client.discover(now);
        } else {
            client.hint = Some(address);
            client.claim(address, None);
        }
        client
    }

    /// Goes on with a lease. The hardware address is that of the terms.
    ///
    /// # Errors
    /// When the terms name no server or hardware address, or are of the other family.
    pub fn resume(mut settings: Settings, terms: Terms, now: Time) -> Result<Self, TermsError> {
        let IpAddr::V4(address) = terms.address else {
            return Err(TermsError::Family {
                address: terms.address,
            });
        };
        let server = crate::terms::server_v4(&terms)?;
        settings.hardware = crate::terms::client_v4(&terms)?;
        let mut client = Client::idle(settings, now);
        let lease = Lease {
            address,
            server,
            // Half of a lease is left at T1; a server that has it otherwise only makes the retries differ.
            lifetime: terms
                .expires
                .zip(terms.renew)
                .map(|(expires, renew)| expires.saturating_sub(renew) * 2),
            terms,
        };
        client.bound(lease);
        client.timeout(now);
        Ok(client)
    }

    /// A message arrived.
    pub fn receive(&mut self, payload: &[u8], now: Time) {
        let Some(answer) = message::read(payload, self.xid, self.settings.hardware) else {
            return;
        };
        // An answer that comes too late does not bring an address back.
        if self.expire(now) {
            return;
        }
        match self.state.clone() {
            State::Selecting => self.offered(&answer),
            State::Requesting {
                address,
                server,
                asked,
            } if answer.server == Some(server) => {
                self.answered(&answer, address, server, asked, now);
            }
            State::Rebooting { address, asked } => {
                if let Some(server) = answer.server {
                    self.answered(&answer, address, server, asked, now);
                }
            }
            // Only the server that lent it was asked.
            State::Renewing { lease, asked }
                if answer.server.is_none_or(|server| server == lease.server) =>
            {
                self.prolonged(&answer, &lease, lease.server, asked, now);
            }
            State::Rebinding { lease, asked } => {
                if let Some(server) = answer.server {
                    self.prolonged(&answer, &lease, server, asked, now);
                }
            }
            _ => {}
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        if self.expire(now) {
            return;
        }
        match self.state.clone() {
            State::Selecting => self.discover_again(now),
            State::Requesting {
                address, server, ..
            } if self.sent < REQUESTS => self.request(address, server, now),
            State::Rebooting { address, .. } if self.sent < REBOOTS => {
                self.request_old(address, now);
            }
            State::Requesting { .. } | State::Rebooting { .. } | State::Waiting => {
                self.discover(now);
            }
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. }
                if self.deadline.is_some_and(|deadline| now >= deadline) =>
            {
                self.prolong(lease, now);
            }
            _ => {}
        }
    }

    /// The interface is there again, or is another.
    pub fn reconnected(&mut self, now: Time) {
        if self.expire(now) {
            return;
        }
        match self.state.clone() {
            State::Selecting => self.discover(now),
            State::Renewing { lease, .. } | State::Rebinding { lease, .. } => {
                self.prolong(lease, now);
            }
            _ => {}
        }
    }

    /// When [`Client::timeout`] has to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        self.deadline
    }

    /// Answers [`Output::Claim`].
    pub fn claimed(&mut self, ok: bool, now: Time) {
        let State::Claiming { address, server } = self.state else {
            return;
        };
        self.sent = 0;
        match server {
            _ if !ok => {
                // A server that has forgotten who holds it would offer it again and again: it is asked for one further on.
                let further = u32::from(address).checked_add(self.failures.saturating_add(1));
                self.hint = further.map(Ipv4Addr::from).filter(|a| message::usable(*a));
                self.wait(after_failure(self.failures + 1), now);
            }
            Some(server) => self.request(address, server, now),
            None => self.request_old(address, now),
        }
    }

    /// Answers [`Output::Probe`].
    pub fn probed(&mut self, free: bool, now: Time) {
        // If it has run out meanwhile, there is nothing left to say.
        self.expire(now);
        let State::Probing(lease) = self.state.clone() else {
            return;
        };
        if free {
            self.failures = 0;
            self.output.push_back(Output::Bound(lease.terms.clone()));
            self.bound(lease);
        } else {
            self.say(
                Ask {
                    requested: Some(lease.address),
                    server: Some(lease.server),
                    ..self.ask(MessageType::Decline)
                },
                Destination::Broadcast,
            );
            self.forget(lease.address);
            self.wait(after_conflict(self.failures + 1), now);
        }
    }

    /// Gives the address back. A lease in use is released from its own address, which therefore stays on its interface until the
    /// message is sent.
    pub fn release(&mut self, _now: Time) {
        let (address, server, to) = match &self.state {
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. } => (
                lease.address,
                lease.server,
                Destination::Server {
                    server: lease.server,
                    source: lease.address,
                },
            ),
            State::Probing(lease) => (lease.address, lease.server, Destination::Broadcast),
            // The server may have given it meanwhile.
            State::Requesting {
                address, server, ..
            } => (*address, *server, Destination::Broadcast),
            _ => {
                self.done();
                return;
            }
        };
        self.done();
        self.xid = self.new_xid();
        self.secs = 0;
        self.say(
            Ask {
                ciaddr: Some(address),
                server: Some(server),
                ..self.ask(MessageType::Release)
            },
            to,
        );
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// The lease that may be used now.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        match &self.state {
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. } => Some(&lease.terms),
            _ => None,
        }
    }

    /// Released, and nothing more to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Released)
    }

    /// The name of the state.
    #[must_use]
    pub fn state(&self) -> &'static str {
        match self.state {
            State::Selecting => "SELECTING",
            State::Claiming { .. } => "CLAIMING",
            State::Requesting { .. } => "REQUESTING",
            State::Rebooting { .. } => "REBOOTING",
            State::Probing(_) => "PROBING",
            State::Bound(_) => "BOUND",
            State::Renewing { .. } => "RENEWING",
            State::Rebinding { .. } => "REBINDING",
            State::Waiting => "WAITING",
            State::Released => "RELEASED",
        }
    }
}
