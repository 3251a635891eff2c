//! A DHCPv6 client for one lease: one IA_NA with one address (RFC 8415).
//!
//! What differs from the letter of the standard, and why:
//! * The first SOLICIT goes out at once and the first advertisement is taken, without a second of waiting for a better one: somebody
//!   waits to be logged in.
//! * SOLICITs come at least every two minutes (RFC 3315), not every hour, unless a server wishes otherwise: that there is a server is
//!   known from the configuration.
//! * An address that was had before is asked for with SOLICIT and a hint, not with CONFIRM: CONFIRM tells nothing of lifetimes.

mod act;
mod answer;
mod message;
mod reading;

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use dhcproto::v6::MessageType;

use self::reading::Kind;
use crate::timing::{Random, after_conflict, after_failure};
use crate::{Output, Terms, TermsError, Time};

/// Who asks, and for which address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The machine's DUID ([`crate::duid`]).
    pub duid: Vec<u8>,
    /// The holder's number, as IAID.
    pub iaid: u32,
    /// Whom the lease is for, as a host name. None: unnamed.
    pub hostname: Option<String>,
    /// The pool's user class, by which a server may choose. None: no class.
    pub user_class: Option<String>,
    /// The address that is wished for.
    pub wish: Option<Ipv6Addr>,
    /// Take no other address than the wish: what a caller asked for by name (row B7). Without a wish it has no meaning.
    pub insist: bool,
    /// Where transaction ids and jitter come from: random, another for each client.
    pub seed: u64,
}

/// How often a request for an offer is sent before the client looks for a server again: after 15 s. The standard has ten times, which
/// are minutes that another server could be asked in.
const REQUESTS: u32 = 4;
/// How often RELEASE and DECLINE are sent (REL_MAX_RC, DEC_MAX_RC).
const GOODBYES: u32 = 4;
/// The longest time between two SOLICITs, unless a server says another.
const SOLICIT_MAX: Duration = Duration::from_secs(120);

/// The client. See [`crate::Client`] for what its functions do.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    state: State,
    deadline: Option<Time>,
    /// Of the exchange that is under way; 24 bits.
    xid: u32,
    /// When this exchange began.
    since: Time,
    /// How often the message of this exchange was sent.
    sent: u32,
    /// What was waited for after the last one.
    wait: Duration,
    solicit_max: Duration,
    /// Failures in a row.
    failures: u32,
    /// Asked for in SOLICIT.
    hint: Option<Ipv6Addr>,
    /// A no of this exchange was reported.
    reported: bool,
    random: Random,
    output: VecDeque<Output>,
}

#[derive(Debug, Clone)]
enum State {
    /// SOLICIT is out.
    Soliciting,
    /// The driver writes the address down.
    Claiming(Offer),
    /// REQUEST is out, first sent then.
    Requesting {
        offer: Offer,
        asked: Time,
    },
    /// The driver asks the wire.
    Probing(Lease),
    Bound(Lease),
    /// RENEW is out, first sent then.
    Renewing {
        lease: Lease,
        asked: Time,
    },
    /// REBIND is out.
    Rebinding {
        lease: Lease,
        asked: Time,
    },
    /// REQUEST is out for an address in use, to a server that has forgotten it.
    Reminding {
        lease: Lease,
        server: Vec<u8>,
        asked: Time,
    },
    /// DECLINE is out.
    Declining(Offer),
    /// Waits to start over.
    Waiting,
    /// RELEASE is out.
    Releasing(Offer),
    Released,
}

#[derive(Debug, Clone)]
struct Offer {
    address: Ipv6Addr,
    server: Vec<u8>,
}

#[derive(Debug, Clone)]
struct Lease {
    address: Ipv6Addr,
    server: Vec<u8>,
    /// As a whole; None: for ever.
    lifetime: Option<Duration>,
    terms: Terms,
}

impl Lease {
    fn offer(&self) -> Offer {
        Offer {
            address: self.address,
            server: self.server.clone(),
        }
    }
}

impl Client {
    /// Looks for a server.
    #[must_use]
    pub fn new(settings: Settings, now: Time) -> Self {
        let mut client = Client::idle(settings, now);
        client.solicit(now);
        client
    }

    /// Asks for an address that this holder had before.
    #[must_use]
    pub fn reboot(settings: Settings, address: Ipv6Addr, now: Time) -> Self {
        let mut client = Client::idle(settings, now);
        client.hint = Some(address).filter(|address| reading::usable(*address));
        client.solicit(now);
        client
    }

    /// Goes on with a lease. DUID and IAID are those of the terms.
    ///
    /// # Errors
    /// When the terms name no server, DUID or IAID, or are of the other family.
    pub fn resume(mut settings: Settings, terms: Terms, now: Time) -> Result<Self, TermsError> {
        let IpAddr::V6(address) = terms.address else {
            return Err(TermsError::Family {
                address: terms.address,
            });
        };
        let server = crate::terms::server_duid(&terms)?;
        (settings.duid, settings.iaid) = crate::terms::client_v6(&terms)?;
        let mut client = Client::idle(settings, now);
        client.bound(Lease {
            address,
            server,
            // About half of a lease is left at T1; a server that has it otherwise only makes the retries differ.
            lifetime: terms
                .expires
                .zip(terms.renew)
                .map(|(expires, renew)| expires.saturating_sub(renew) * 2),
            terms,
        });
        client.timeout(now);
        Ok(client)
    }

    /// A message arrived.
    pub fn receive(&mut self, payload: &[u8], now: Time) {
        let Some(answer) = reading::read(payload, self.xid, &self.settings) else {
            return;
        };
        // An answer that comes too late does not bring an address back.
        if self.expire(now) {
            return;
        }
        match (answer.kind, self.state.clone()) {
            (Kind::Advertise, State::Soliciting) => self.advertised(answer),
            (Kind::Reply, State::Requesting { offer, asked }) if answer.server == offer.server => {
                self.answered(answer, &offer, asked, now);
            }
            // Only the server that lent it was asked.
            (Kind::Reply, State::Renewing { lease, asked }) if answer.server == lease.server => {
                self.prolonged(answer, &lease, asked, now);
            }
            (Kind::Reply, State::Rebinding { lease, asked }) => {
                self.prolonged(answer, &lease, asked, now);
            }
            (
                Kind::Reply,
                State::Reminding {
                    lease,
                    server,
                    asked,
                },
            ) if answer.server == server => self.prolonged(answer, &lease, asked, now),
            (Kind::Reply, State::Declining(offer)) if answer.server == offer.server => {
                self.wait(after_conflict(self.failures), now);
            }
            (Kind::Reply, State::Releasing(offer)) if answer.server == offer.server => self.done(),
            _ => {}
        }
    }

    /// Time has passed.
    pub fn timeout(&mut self, now: Time) {
        if self.deadline.is_none_or(|deadline| now < deadline) || self.expire(now) {
            return;
        }
        match self.state.clone() {
            State::Soliciting => self.solicit_again(now),
            State::Requesting { offer, .. } if self.sent < REQUESTS => self.request(offer, now),
            State::Requesting { .. } | State::Waiting => self.solicit(now),
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. } => self.prolong(lease, now),
            State::Reminding { lease, server, .. } => self.remind(lease, server, now),
            State::Declining(offer) if self.sent < GOODBYES => {
                self.goodbye(MessageType::Decline, &offer, now);
            }
            State::Declining(_) => self.wait(after_conflict(self.failures), now),
            State::Releasing(offer) if self.sent < GOODBYES => {
                self.goodbye(MessageType::Release, &offer, now);
            }
            State::Releasing(_) => self.done(),
            State::Claiming(_) | State::Probing(_) | State::Released => {}
        }
    }

    /// The interface is there again, or is another.
    pub fn reconnected(&mut self, now: Time) {
        if self.expire(now) {
            return;
        }
        match self.state.clone() {
            State::Soliciting => self.solicit(now),
            State::Renewing { lease, .. } | State::Rebinding { lease, .. } => {
                self.sent = 0;
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
        let State::Claiming(offer) = self.state.clone() else {
            return;
        };
        if ok {
            self.begin(now);
            self.request(offer, now);
        } else {
            // A server that has forgotten who holds it would offer it again and again: it is asked for one further on.
            let step = u128::from(self.failures) + 1;
            let further = u128::from(offer.address).checked_add(step);
            self.hint = further.map(Ipv6Addr::from).filter(|a| reading::usable(*a));
            self.fail(now);
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
            self.failures = self.failures.saturating_add(1);
            self.forget(lease.address);
            let offer = lease.offer();
            self.begin(now);
            self.goodbye(MessageType::Decline, &offer, now);
            self.state = State::Declining(offer);
        }
    }

    /// Gives the address back. The message is sent again, up to four times, until the server answers: see [`Client::is_done`].
    pub fn release(&mut self, now: Time) {
        let offer = match &self.state {
            State::Probing(lease)
            | State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. }
            | State::Reminding { lease, .. } => lease.offer(),
            // The server may have given it meanwhile.
            State::Requesting { offer, .. } => offer.clone(),
            State::Releasing(_) => return,
            _ => {
                self.done();
                return;
            }
        };
        self.output.clear();
        self.begin(now);
        self.goodbye(MessageType::Release, &offer, now);
        self.state = State::Releasing(offer);
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
            | State::Rebinding { lease, .. }
            | State::Reminding { lease, .. } => Some(&lease.terms),
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
            State::Soliciting => "SOLICITING",
            State::Claiming(_) => "CLAIMING",
            State::Requesting { .. } => "REQUESTING",
            State::Probing(_) => "PROBING",
            State::Bound(_) => "BOUND",
            State::Renewing { .. } => "RENEWING",
            State::Rebinding { .. } => "REBINDING",
            State::Reminding { .. } => "REQUESTING-AGAIN",
            State::Declining(_) => "DECLINING",
            State::Waiting => "WAITING",
            State::Releasing(_) => "RELEASING",
            State::Released => "RELEASED",
        }
    }

    /// Starts over after a failure.
    fn fail(&mut self, now: Time) {
        self.failures = self.failures.saturating_add(1);
        self.wait(after_failure(self.failures), now);
    }
}
