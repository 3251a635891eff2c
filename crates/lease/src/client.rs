//! One interface for both families.

use crate::{Output, Terms, TermsError, Time, dhcp4, dhcp6};

/// Who asks for an address, and for which.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settings {
    /// For an IPv4 address.
    V4(dhcp4::Settings),
    /// For an IPv6 address.
    V6(dhcp6::Settings),
}

/// A DHCP client for one lease (row B5). After every call, take what [`Client::poll`] has, and wait no longer than
/// [`Client::next_timeout`].
#[derive(Debug, Clone)]
pub enum Client {
    /// DHCPv4, RFC 2131.
    V4(dhcp4::Client),
    /// DHCPv6, RFC 8415, one IA_NA with one address.
    V6(dhcp6::Client),
}

macro_rules! both {
    ($client:expr, $inner:ident => $call:expr) => {
        match $client {
            Client::V4($inner) => $call,
            Client::V6($inner) => $call,
        }
    };
}

impl Client {
    /// Looks for a server (DISCOVER, SOLICIT). The settings' wish goes along.
    #[must_use]
    pub fn new(settings: Settings, now: Time) -> Self {
        match settings {
            Settings::V4(settings) => Client::V4(dhcp4::Client::new(settings, now)),
            Settings::V6(settings) => Client::V6(dhcp6::Client::new(settings, now)),
        }
    }

    /// Asks for an address that this holder had before (DHCPv4: INIT-REBOOT, one round trip; DHCPv6: SOLICIT with the address as a
    /// hint, by which the server finds the binding). When no server knows it, the client looks for another address. An address of
    /// the other family is left out.
    #[must_use]
    pub fn reboot(settings: Settings, address: std::net::IpAddr, now: Time) -> Self {
        match (settings, address) {
            (Settings::V4(settings), std::net::IpAddr::V4(address)) => {
                Client::V4(dhcp4::Client::reboot(settings, address, now))
            }
            (Settings::V6(settings), std::net::IpAddr::V6(address)) => {
                Client::V6(dhcp6::Client::reboot(settings, address, now))
            }
            (settings, _) => Client::new(settings, now),
        }
    }

    /// Goes on with a lease that is in use, after a restart of the driver. Gives no [`Output::Bound`]; gives [`Output::Lost`] at once
    /// if the lease has run out meanwhile.
    ///
    /// # Errors
    /// When the terms name no server, or are of the other family.
    pub fn resume(settings: Settings, terms: Terms, now: Time) -> Result<Self, TermsError> {
        Ok(match settings {
            Settings::V4(settings) => Client::V4(dhcp4::Client::resume(settings, terms, now)?),
            Settings::V6(settings) => Client::V6(dhcp6::Client::resume(settings, terms, now)?),
        })
    }

    /// A message arrived: the payload of a UDP datagram to port 68 or 546. What is not for this client changes nothing and costs one
    /// comparison, so a message may be given to every client of its interface.
    pub fn receive(&mut self, payload: &[u8], now: Time) {
        both!(self, client => client.receive(payload, now));
    }

    /// Time has passed. Does nothing before [`Client::next_timeout`].
    pub fn timeout(&mut self, now: Time) {
        both!(self, client => client.timeout(now));
    }

    /// When [`Client::timeout`] has to be called at the latest. None: nothing is waited for but an answer of the driver.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        both!(self, client => client.next_timeout())
    }

    /// The interface is there again, or is another: what was sent meanwhile, and what is waited for, may be lost. A client that looks
    /// for a server, or asks for more time, does so at once and not after waits that grew while nobody could hear it.
    pub fn reconnected(&mut self, now: Time) {
        both!(self, client => client.reconnected(now));
    }

    /// Answers [`Output::Claim`]: is the address written down as this holder's? After a no the client goes on looking. Without a
    /// claim that waits, nothing happens.
    pub fn claimed(&mut self, ok: bool, now: Time) {
        both!(self, client => client.claimed(ok, now));
    }

    /// Answers [`Output::Probe`]: is the address free? After a no the client declines it, waits, and starts over. Without a probe
    /// that waits, nothing happens.
    pub fn probed(&mut self, free: bool, now: Time) {
        both!(self, client => client.probed(free, now));
    }

    /// Gives the address back, whatever state this is in. [`Client::is_done`] says when the client may be dropped; to drop it earlier
    /// only risks that the server does not hear of it.
    pub fn release(&mut self, now: Time) {
        both!(self, client => client.release(now));
    }

    /// The next thing to do, if there is one.
    pub fn poll(&mut self) -> Option<Output> {
        both!(self, client => client.poll())
    }

    /// The lease that may be used now. None: no address may be used.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        both!(self, client => client.terms())
    }

    /// Released, and nothing more to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        both!(self, client => client.is_done())
    }

    /// The name of the state, as RFC 2131 has it: for logs and `hostlet leases`.
    #[must_use]
    pub fn state(&self) -> &'static str {
        both!(self, client => client.state())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thousand_clients_are_small_and_go_between_threads() {
        fn sent<T: Send>() {}
        sent::<Client>();
        assert!(size_of::<Client>() <= 1024, "{}", size_of::<Client>());
    }
}
