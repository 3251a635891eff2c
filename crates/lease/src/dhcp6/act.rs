//! What a DHCPv6 client does by itself.

use std::collections::VecDeque;
use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::MessageType;

use super::message::{self, Ask};
use super::{Client, Lease, Offer, REQUESTS, SOLICIT_MAX, Settings, State};
use crate::timing::Random;
use crate::{Destination, LostReason, Output, Time};

/// The first wait and the longest for an answer to SOLICIT, REQUEST, RELEASE and DECLINE.
const FIRST: Duration = Duration::from_secs(1);
const REQUEST_MAX: Duration = Duration::from_secs(30);
/// The same for RENEW and REBIND.
const PROLONG_FIRST: Duration = Duration::from_secs(10);
const PROLONG_MAX: Duration = Duration::from_secs(600);

impl Client {
    pub(super) fn idle(settings: Settings, now: Time) -> Self {
        let mut random = Random::new(settings.seed);
        Client {
            xid: id(&mut random),
            hint: settings.wish,
            settings,
            state: State::Waiting,
            deadline: None,
            since: now,
            sent: 0,
            wait: Duration::ZERO,
            solicit_max: SOLICIT_MAX,
            failures: 0,
            reported: false,
            random,
            output: VecDeque::new(),
        }
    }

    pub(super) fn insisted(&self) -> Option<Ipv6Addr> {
        self.settings.wish.filter(|_| self.settings.insist)
    }

    /// Begins an exchange.
    pub(super) fn begin(&mut self, now: Time) {
        self.xid = id(&mut self.random);
        self.since = now;
        self.sent = 0;
        self.reported = false;
    }

    /// Looks for a server.
    pub(super) fn solicit(&mut self, now: Time) {
        self.state = State::Soliciting;
        self.begin(now);
        self.solicit_again(now);
    }

    pub(super) fn solicit_again(&mut self, now: Time) {
        // A no is told again with every message.
        self.reported = false;
        let address = self.insisted().or(self.hint);
        self.say(MessageType::Solicit, address, None, now);
        self.retry(FIRST, self.solicit_max, now);
    }

    /// Takes an offer.
    pub(super) fn request(&mut self, offer: Offer, now: Time) {
        let asked = match self.state {
            State::Requesting { asked, .. } => asked,
            _ => now,
        };
        self.say(
            MessageType::Request,
            Some(offer.address),
            Some(&offer.server),
            now,
        );
        self.retry(FIRST, REQUEST_MAX, now);
        self.state = State::Requesting { offer, asked };
    }

    /// Asks a server that has forgotten the lease for the same address; when it is silent, everyone.
    pub(super) fn remind(&mut self, lease: Lease, server: Vec<u8>, now: Time) {
        let asked = match self.state {
            State::Reminding { asked, .. } => asked,
            _ => now,
        };
        if self.sent >= REQUESTS {
            self.rebind(lease, now);
            return;
        }
        self.say(
            MessageType::Request,
            Some(lease.address),
            Some(&server),
            now,
        );
        self.retry(FIRST, REQUEST_MAX, now);
        self.not_after(lease.terms.expires);
        self.state = State::Reminding {
            lease,
            server,
            asked,
        };
    }

    pub(super) fn bound(&mut self, lease: Lease) {
        self.deadline = lease.terms.renew.or(lease.terms.expires);
        self.state = State::Bound(lease);
    }

    /// Asks for more time: its server from T1 on, everyone from T2 on.
    pub(super) fn prolong(&mut self, lease: Lease, now: Time) {
        if lease.terms.expires.is_none() {
            // A lease without an end.
            self.deadline = None;
            return;
        }
        if lease.terms.rebind.is_none_or(|rebind| now >= rebind) {
            self.rebind(lease, now);
            return;
        }
        let asked = match self.state {
            State::Renewing { asked, .. } => asked,
            _ => {
                self.begin(now);
                now
            }
        };
        let server = lease.server.clone();
        self.say(MessageType::Renew, Some(lease.address), Some(&server), now);
        self.retry(patience(&lease), PROLONG_MAX, now);
        self.not_after(lease.terms.rebind);
        self.state = State::Renewing { lease, asked };
    }

    fn rebind(&mut self, lease: Lease, now: Time) {
        let asked = match self.state {
            State::Rebinding { asked, .. } => asked,
            _ => {
                self.begin(now);
                now
            }
        };
        self.say(MessageType::Rebind, Some(lease.address), None, now);
        self.retry(patience(&lease), PROLONG_MAX, now);
        self.not_after(lease.terms.expires);
        self.state = State::Rebinding { lease, asked };
    }

    /// Gives an address back, or says that somebody else has it.
    pub(super) fn goodbye(&mut self, kind: MessageType, offer: &Offer, now: Time) {
        self.say(kind, Some(offer.address), Some(&offer.server), now);
        self.retry(FIRST, REQUEST_MAX, now);
    }

    /// Ends a lease whose time is over, if there is one.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let (lease, used) = match &self.state {
            State::Probing(lease) => (lease, false),
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. }
            | State::Reminding { lease, .. } => (lease, true),
            _ => return false,
        };
        if lease.terms.expires.is_none_or(|expires| now < expires) {
            return false;
        }
        let address = lease.address;
        if used {
            self.lost(address, LostReason::Expired);
        }
        self.solicit(now);
        true
    }

    pub(super) fn lost(&mut self, address: Ipv6Addr, why: LostReason) {
        self.output.push_back(Output::Lost {
            address: address.into(),
            why,
        });
        self.hint = self.insisted().or(Some(address));
    }

    /// Does not ask for this address again by itself.
    pub(super) fn forget(&mut self, address: Ipv6Addr) {
        self.hint = self.hint.filter(|hint| *hint != address);
    }

    /// Starts over after a while.
    pub(super) fn wait(&mut self, how_long: Duration, now: Time) {
        if how_long.is_zero() {
            self.solicit(now);
        } else {
            self.state = State::Waiting;
            self.deadline = Some(now + how_long);
        }
    }

    pub(super) fn done(&mut self) {
        self.state = State::Released;
        self.deadline = None;
        self.output.clear();
    }

    /// Tells a no, once for a message.
    pub(super) fn report(&mut self, why: String) {
        if !self.reported {
            self.reported = true;
            self.output.push_back(Output::Refused { why });
        }
    }

    /// When the message that was just sent is sent again (RFC 8415, 15): twice as late as the last time, give or take a tenth.
    fn retry(&mut self, first: Duration, most: Duration, now: Time) {
        let wait = match self.sent {
            0 => first,
            _ => (self.wait * 2).min(most),
        };
        self.wait = self.random.about(wait, wait / 10);
        self.sent = self.sent.saturating_add(1);
        self.deadline = Some(now + self.wait);
    }

    fn not_after(&mut self, end: Option<Time>) {
        self.deadline = self.deadline.into_iter().chain(end).min();
    }

    fn say(
        &mut self,
        kind: MessageType,
        address: Option<Ipv6Addr>,
        server: Option<&[u8]>,
        now: Time,
    ) {
        let elapsed = now.saturating_sub(self.since).as_millis() / 10;
        let ask = Ask {
            kind,
            xid: self.xid,
            elapsed: u16::try_from(elapsed).unwrap_or(u16::MAX),
            address,
            server,
        };
        let payload = message::compose(&self.settings, ask);
        self.output.push_back(Output::Send {
            payload,
            to: Destination::Multicast6,
        });
    }
}

fn id(random: &mut Random) -> u32 {
    // The upper 24 bits.
    u32::try_from(random.next() >> 40).unwrap_or(1)
}

/// The first wait for an answer to RENEW and REBIND: of a short lease less, else one lost message would cost it.
fn patience(lease: &Lease) -> Duration {
    lease.lifetime.map_or(PROLONG_FIRST, |lifetime| {
        (lifetime / 20).clamp(FIRST, PROLONG_FIRST)
    })
}
