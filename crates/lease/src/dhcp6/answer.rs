//! What a DHCPv6 client makes of answers.

use std::time::Duration;

use super::reading::{self, Answer, Given, Status};
use super::{Client, Lease, Offer, State};
use crate::terms::hex;
use crate::timing::seconds;
use crate::{LostReason, Output, Terms, Time};

impl Client {
    /// To a SOLICIT.
    pub(super) fn advertised(&mut self, answer: Answer) {
        if let Some(wish) = answer.solicit_max.filter(|s| (60..=86_400).contains(s)) {
            self.solicit_max = Duration::from_secs(wish.into());
        }
        if let Some(no) = &answer.status {
            self.report(no.text());
            return;
        }
        let wanted = self.insisted().or(self.hint);
        let usable = |given: &&Given| given.valid > 0;
        let Some(given) = answer
            .addresses
            .iter()
            .filter(usable)
            .find(|given| Some(given.address) == wanted)
            .or_else(|| answer.addresses.iter().find(usable))
        else {
            return;
        };
        match self.insisted() {
            Some(wish) if wish != given.address => self.report(format!(
                "the DHCPv6 server offers {} instead of {wish}",
                given.address
            )),
            _ => {
                let address = given.address;
                self.state = State::Claiming(Offer {
                    address,
                    server: answer.server,
                });
                self.deadline = None;
                self.output.push_back(Output::Claim {
                    address: address.into(),
                });
            }
        }
    }

    /// To a REQUEST for an address that is not in use yet.
    pub(super) fn answered(&mut self, answer: Answer, offer: &Offer, asked: Time, now: Time) {
        if let Some(no) = &answer.status {
            self.report(no.text());
            // A server that failed is asked again when it is time; another no is final.
            if is_final(no) {
                self.fail(now);
            }
            return;
        }
        let ours = |given: &&Given| given.address == offer.address;
        match answer.addresses.iter().find(ours) {
            Some(given) => {
                let given = *given;
                let Some(lease) = self.lease(&answer, given, asked, now) else {
                    return;
                };
                self.deadline = lease.terms.expires;
                self.state = State::Probing(lease);
                self.output.push_back(Output::Probe {
                    address: offer.address.into(),
                });
            }
            // It gave another than it had offered: that one has to be claimed first.
            None => {
                if let Some(other) = answer.addresses.iter().find(|given| given.valid > 0) {
                    self.hint = Some(other.address);
                    self.fail(now);
                }
            }
        }
    }

    /// To a RENEW, a REBIND, or a REQUEST for the address in use.
    pub(super) fn prolonged(&mut self, answer: Answer, lease: &Lease, asked: Time, now: Time) {
        if let Some(no) = &answer.status {
            self.report(no.text());
            let reminding = matches!(self.state, State::Reminding { .. });
            if no.code == reading::NO_BINDING && !reminding {
                // It has forgotten the lease: it is asked for the same address before that is given up (18.2.10.1).
                self.begin(now);
                self.remind(lease.clone(), answer.server, now);
            } else if is_final(no) {
                self.lost(lease.address, LostReason::Refused);
                self.fail(now);
            }
            return;
        }
        let ours = |given: &&Given| given.address == lease.address;
        match answer.addresses.iter().find(ours) {
            Some(given) if given.valid == 0 => {
                self.lost(lease.address, LostReason::Refused);
                self.fail(now);
            }
            Some(given) => {
                let given = *given;
                if let Some(longer) = self.lease(&answer, given, asked, now) {
                    self.output.push_back(Output::Renewed(longer.terms.clone()));
                    self.bound(longer);
                }
            }
            // Another address in place of this one; an answer without any is none.
            None => {
                if let Some(other) = answer.addresses.iter().find(|given| given.valid > 0) {
                    let other = other.address;
                    self.lost(lease.address, LostReason::Refused);
                    self.hint = self.insisted().or(Some(other));
                    self.fail(now);
                }
            }
        }
    }

    /// The lease that a reply gives, counted from when it was asked for, which is before the server began to count.
    fn lease(&mut self, answer: &Answer, given: Given, asked: Time, now: Time) -> Option<Lease> {
        let lifetime = seconds(given.valid);
        if lifetime.is_some_and(|lifetime| asked + lifetime <= now) {
            return None;
        }
        let (renew, rebind) = match lifetime {
            None => (None, None),
            Some(lifetime) => {
                let (t1, t2) = times(answer, given, lifetime);
                // Leases that were taken together are not renewed together.
                let early = self.random.up_to(t1 / 64);
                (Some(asked + t1 - early), Some(asked + t2))
            }
        };
        Some(Lease {
            address: given.address,
            server: answer.server.clone(),
            lifetime,
            terms: Terms {
                address: given.address.into(),
                prefix_len: 128,
                server: hex(&answer.server),
                hardware: format!("{}/{}", hex(&self.settings.duid), self.settings.iaid),
                renew,
                rebind,
                expires: lifetime.map(|lifetime| asked + lifetime),
            },
        })
    }
}

/// T1 and T2 of a lease: the server's if they make sense, else a half and four fifths of the time in which the address is preferred
/// (RFC 8415, 21.4).
fn times(answer: &Answer, given: Given, valid: Duration) -> (Duration, Duration) {
    let preferred = seconds(given.preferred)
        .filter(|preferred| !preferred.is_zero())
        .unwrap_or(valid);
    let own = (preferred / 2, preferred * 4 / 5);
    let of_server = |value: u32| Some(value).filter(|v| *v > 0).and_then(seconds);
    let t2 = of_server(answer.rebind).unwrap_or(own.1);
    let t1 = of_server(answer.renew).unwrap_or(own.0);
    if t1 < t2 && t2 < valid { (t1, t2) } else { own }
}

/// A no after which the same server need not be asked the same again.
fn is_final(no: &Status) -> bool {
    [
        reading::NO_ADDRS_AVAIL,
        reading::NO_BINDING,
        reading::NOT_ON_LINK,
    ]
    .contains(&no.code)
}
