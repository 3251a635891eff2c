//! What a DHCPv4 client does by itself.

use std::collections::VecDeque;
use std::net::Ipv4Addr;
use std::time::Duration;

use dhcproto::v4::MessageType;

use super::message::{self, Ask};
use super::{Client, Lease, Settings, State};
use crate::timing::{Random, half_remaining};
use crate::{Destination, LostReason, Output, Time};

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
            secs: 0,
            sent: 0,
            failures: 0,
            reported: false,
            random,
            output: VecDeque::new(),
        }
    }

    pub(super) fn insisted(&self) -> Option<Ipv4Addr> {
        self.settings.wish.filter(|_| self.settings.insist)
    }

    /// Looks for a server in a new exchange.
    pub(super) fn discover(&mut self, now: Time) {
        self.state = State::Selecting;
        self.xid = self.new_xid();
        self.sent = 0;
        self.reported = false;
        self.discover_again(now);
    }

    pub(super) fn discover_again(&mut self, now: Time) {
        // The transaction stays: a late offer is as good as any.
        self.stamp(now);
        self.say(
            Ask {
                requested: self.insisted().or(self.hint),
                ..self.ask(MessageType::Discover)
            },
            Destination::Broadcast,
        );
        self.retry(now);
    }

    pub(super) fn claim(&mut self, address: Ipv4Addr, server: Option<Ipv4Addr>) {
        self.state = State::Claiming { address, server };
        self.deadline = None;
        self.output.push_back(Output::Claim {
            address: address.into(),
        });
    }

    /// Takes an offer.
    pub(super) fn request(&mut self, address: Ipv4Addr, server: Ipv4Addr, now: Time) {
        let asked = match self.state {
            State::Requesting { asked, .. } => asked,
            _ => now,
        };
        self.state = State::Requesting {
            address,
            server,
            asked,
        };
        self.say(
            Ask {
                requested: Some(address),
                server: Some(server),
                ..self.ask(MessageType::Request)
            },
            Destination::Broadcast,
        );
        self.retry(now);
    }

    /// Asks for an old address.
    pub(super) fn request_old(&mut self, address: Ipv4Addr, now: Time) {
        let asked = match self.state {
            State::Rebooting { asked, .. } => asked,
            _ => now,
        };
        self.state = State::Rebooting { address, asked };
        self.stamp(now);
        self.say(
            Ask {
                requested: Some(address),
                ..self.ask(MessageType::Request)
            },
            Destination::Broadcast,
        );
        self.retry(now);
    }

    pub(super) fn bound(&mut self, lease: Lease) {
        self.deadline = lease.terms.renew.or(lease.terms.expires);
        self.state = State::Bound(lease);
    }

    /// Asks for more time: its server from T1 on, everyone from T2 on.
    pub(super) fn prolong(&mut self, lease: Lease, now: Time) {
        let (Some(expires), Some(lifetime)) = (lease.terms.expires, lease.lifetime) else {
            // A lease without an end.
            self.deadline = None;
            return;
        };
        if matches!(self.state, State::Bound(_)) {
            self.since = now;
        }
        self.stamp(now);
        // A new transaction for each message: so an answer tells which of them the lease counts from.
        self.xid = self.new_xid();
        let ask = Ask {
            ciaddr: Some(lease.address),
            ..self.ask(MessageType::Request)
        };
        match lease.terms.rebind.filter(|rebind| now < *rebind) {
            Some(rebind) => {
                let to = Destination::Server {
                    server: lease.server,
                    source: lease.address,
                };
                self.say(ask, to);
                self.deadline = Some(half_remaining(now, rebind, lifetime));
                self.state = State::Renewing { lease, asked: now };
            }
            None => {
                self.say(ask, Destination::Broadcast);
                self.deadline = Some(half_remaining(now, expires, lifetime));
                self.state = State::Rebinding { lease, asked: now };
            }
        }
    }

    /// Ends a lease whose time is over, if there is one.
    pub(super) fn expire(&mut self, now: Time) -> bool {
        let (lease, used) = match &self.state {
            State::Probing(lease) => (lease, false),
            State::Bound(lease)
            | State::Renewing { lease, .. }
            | State::Rebinding { lease, .. } => (lease, true),
            _ => return false,
        };
        if lease.terms.expires.is_none_or(|expires| now < expires) {
            return false;
        }
        let address = lease.address;
        if used {
            self.lost(address, LostReason::Expired);
        }
        self.since = now;
        self.discover(now);
        true
    }

    pub(super) fn lost(&mut self, address: Ipv4Addr, why: LostReason) {
        self.output.push_back(Output::Lost {
            address: address.into(),
            why,
        });
        self.hint = self.insisted().or(Some(address));
    }

    /// Does not ask for this address again by itself.
    pub(super) fn forget(&mut self, address: Ipv4Addr) {
        self.hint = self.hint.filter(|hint| *hint != address);
    }

    /// Starts over after a while, after a failure.
    pub(super) fn wait(&mut self, how_long: Duration, now: Time) {
        self.failures = self.failures.saturating_add(1);
        self.since = now;
        if how_long.is_zero() {
            self.discover(now);
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

    /// Tells a refusal, once in an exchange.
    pub(super) fn report(&mut self, why: String) {
        if !self.reported {
            self.reported = true;
            self.output.push_back(Output::Refused { why });
        }
    }

    pub(super) fn stamp(&mut self, now: Time) {
        let secs = now.saturating_sub(self.since).as_secs();
        self.secs = u16::try_from(secs).unwrap_or(u16::MAX);
    }

    /// When the message that was just sent is sent again: 1, 2, 4 … 64 s, give or take.
    pub(super) fn retry(&mut self, now: Time) {
        let wait = Duration::from_secs(1 << self.sent.min(6));
        let jitter = (wait / 4).min(Duration::from_secs(1));
        self.deadline = Some(now + self.random.about(wait, jitter));
        self.sent = self.sent.saturating_add(1);
    }

    pub(super) fn new_xid(&mut self) -> u32 {
        id(&mut self.random)
    }

    pub(super) fn ask(&self, kind: MessageType) -> Ask {
        Ask {
            kind,
            xid: self.xid,
            secs: self.secs,
            ciaddr: None,
            requested: None,
            server: None,
        }
    }

    pub(super) fn say(&mut self, ask: Ask, to: Destination) {
        let payload = message::compose(&self.settings, ask);
        self.output.push_back(Output::Send { payload, to });
    }
}

fn id(random: &mut Random) -> u32 {
    // The upper half, which is as random as the lower one.
    u32::try_from(random.next() >> 32).unwrap_or(1)
}
