//! What a DHCPv4 client makes of answers.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::time::Duration;

use super::message::{Answer, Kind};
use super::{Client, Lease, State};
use crate::timing::{after_failure, seconds};
use crate::{LostReason, Output, Terms, Time};

impl Client {
    pub(super) fn offered(&mut self, answer: &Answer) {
        let (Kind::Offer, Some(address), Some(server)) =
            (answer.kind, answer.address, answer.server)
        else {
            return;
        };
        match self.insisted() {
            Some(wish) if wish != address => self.report(format!(
                "the DHCP server {server} offers {address} instead of {wish}"
            )),
            _ => self.claim(address, Some(server)),
        }
    }

    /// To a REQUEST for an address that is not in use yet.
    pub(super) fn answered(
        &mut self,
        answer: &Answer,
        address: Ipv4Addr,
        server: Ipv4Addr,
        asked: Time,
        now: Time,
    ) {
        match answer.kind {
            Kind::Ack if answer.address == Some(address) => {
                let Some(lease) = self.lease(answer, address, server, asked, now) else {
                    return;
                };
                self.deadline = lease.terms.expires;
                self.state = State::Probing(lease);
                self.output.push_back(Output::Probe {
                    address: address.into(),
                });
            }
            Kind::Nak => {
                let rebooting = matches!(self.state, State::Rebooting { .. });
                self.report(refusal(server, address, &answer.words));
                if rebooting {
                    self.lost(address, LostReason::Refused);
                    self.forget(address);
                }
                self.wait(after_failure(self.failures + 1), now);
            }
            _ => {}
        }
    }

    /// To a REQUEST for more time.
    pub(super) fn prolonged(
        &mut self,
        answer: &Answer,
        lease: &Lease,
        server: Ipv4Addr,
        asked: Time,
        now: Time,
    ) {
        match answer.kind {
            Kind::Ack if answer.address.is_none_or(|a| a == lease.address) => {
                let Some(mut longer) = self.lease(answer, lease.address, server, asked, now) else {
                    return;
                };
                if answer.prefix_len.is_none() {
                    longer.terms.prefix_len = lease.terms.prefix_len;
                }
                self.output.push_back(Output::Renewed(longer.terms.clone()));
                self.bound(longer);
            }
            Kind::Nak => {
                self.reported = false;
                self.report(refusal(server, lease.address, &answer.words));
                self.lost(lease.address, LostReason::Refused);
                self.wait(after_failure(self.failures + 1), now);
            }
            _ => {}
        }
    }

    /// The lease that an ACK gives, counted from when it was asked for, which is before the server began to count.
    pub(super) fn lease(
        &mut self,
        answer: &Answer,
        address: Ipv4Addr,
        server: Ipv4Addr,
        asked: Time,
        now: Time,
    ) -> Option<Lease> {
        let value = answer.lease.filter(|value| *value > 0)?;
        let lifetime = seconds(value);
        if lifetime.is_some_and(|lifetime| asked + lifetime <= now) {
            return None;
        }
        let (renew, rebind) = match lifetime {
            None => (None, None),
            Some(lifetime) => {
                let (t1, t2) = times(answer, lifetime);
                // Leases that were taken together are not renewed together.
                let early = self.random.up_to(t1 / 64);
                (Some(asked + t1 - early), Some(asked + t2))
            }
        };
        Some(Lease {
            address,
            server,
            lifetime,
            terms: Terms {
                address: address.into(),
                prefix_len: answer.prefix_len.unwrap_or(32),
                server: server.to_string(),
                hardware: mac(self.settings.hardware),
                renew,
                rebind,
                expires: lifetime.map(|lifetime| asked + lifetime),
            },
        })
    }
}

/// T1 and T2 of a lease: the server's if they make sense, else a half and seven eighths (RFC 2131, 4.4.5).
fn times(answer: &Answer, lifetime: Duration) -> (Duration, Duration) {
    let given = |value: Option<u32>| value.filter(|v| *v > 0).and_then(seconds);
    let t2 = given(answer.rebind)
        .filter(|t2| *t2 < lifetime)
        .unwrap_or(lifetime * 7 / 8);
    let t1 = given(answer.renew).unwrap_or(lifetime / 2);
    if t1 < t2 {
        (t1, t2)
    } else {
        (lifetime / 2, lifetime * 7 / 8)
    }
}

fn refusal(server: Ipv4Addr, address: Ipv4Addr, words: &str) -> String {
    let mut text = format!("the DHCP server {server} does not give {address}");
    if !words.is_empty() {
        // Writing to a String cannot fail.
        let _ = write!(text, ": {words}");
    }
    text
}

/// A hardware address as text.
pub(crate) fn mac(bytes: [u8; 6]) -> String {
    let parts = bytes.map(|byte| format!("{byte:02x}"));
    parts.join(":")
}
