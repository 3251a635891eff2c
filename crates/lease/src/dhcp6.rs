//! A DHCPv6 client for one lease.

use std::collections::VecDeque;
use std::net::Ipv6Addr;

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

/// The client. See [`crate::Client`] for what its functions do.
#[derive(Debug, Clone)]
pub struct Client {
    settings: Settings,
    terms: Option<Terms>,
    output: VecDeque<Output>,
}

impl Client {
    /// Looks for a server.
    #[must_use]
    pub fn new(settings: Settings, _now: Time) -> Self {
        Client {
            settings,
            terms: None,
            output: VecDeque::new(),
        }
    }

    /// Asks for an address that this holder had before.
    #[must_use]
    pub fn reboot(mut settings: Settings, address: Ipv6Addr, now: Time) -> Self {
        settings.wish = Some(address);
        Self::new(settings, now)
    }

    /// Goes on with a lease.
    ///
    /// # Errors
    /// When the terms name no server, or are of the other family.
    pub fn resume(settings: Settings, terms: Terms, now: Time) -> Result<Self, TermsError> {
        let mut client = Self::new(settings, now);
        client.terms = Some(terms);
        Ok(client)
    }

    /// A message arrived.
    pub fn receive(&mut self, _payload: &[u8], _now: Time) {}

    /// Time has passed.
    pub fn timeout(&mut self, _now: Time) {}

    /// When [`Client::timeout`] has to be called at the latest.
    #[must_use]
    pub fn next_timeout(&self) -> Option<Time> {
        None
    }

    /// Answers [`Output::Claim`].
    pub fn claimed(&mut self, _ok: bool, _now: Time) {}

    /// Answers [`Output::Probe`].
    pub fn probed(&mut self, _free: bool, _now: Time) {}

    /// Gives the address back.
    pub fn release(&mut self, _now: Time) {
        self.terms = None;
    }

    /// The next thing to do.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// The lease that may be used now.
    #[must_use]
    pub fn terms(&self) -> Option<&Terms> {
        self.terms.as_ref()
    }

    /// Released, and nothing more to send.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.terms.is_none() && self.settings.wish.is_none()
    }

    /// The name of the state.
    #[must_use]
    pub fn state(&self) -> &'static str {
        "INIT"
    }
}
