//! Whether somebody on the wire uses an address already. What cannot be found out is not taken for a yes or a no.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use hostlet_platform::neighbour;
use hostlet_store::{Aside, Lease};

use super::Key;
use crate::keeper::{AGAIN, Answer, Keeper, Order, Which};
use crate::log;
use crate::shared::Shared;

/// How often in a row a question may fail before whoever waits is told.
const TRIES: u32 = 3;
/// A shortage of descriptors, threads or buffers may be over by then.
const SOON: Duration = Duration::from_millis(300);

/// What the wire says of an address.
#[derive(Debug)]
pub(crate) enum Found {
    /// Nobody answers for it, or nobody on such an interface could.
    Free,
    /// Somebody does: who, in words.
    Taken(String),
    /// It could not be asked, and why.
    Unknown(String),
}

/// Asks, and waits for an answer.
pub(crate) fn look(ifindex: u32, address: IpAddr, wait: Duration) -> Found {
    match neighbour::probe(ifindex, address, wait) {
        Ok(None) => Found::Free,
        Ok(Some(mac)) => {
            let mac: Vec<String> = mac.iter().map(|b| format!("{b:02x}")).collect();
            Found::Taken(format!("{} answers for it", mac.join(":")))
        }
        Err(error) => Found::Unknown(error.to_string()),
    }
}

impl Keeper {
    pub(super) fn probe(&mut self, key: Key, address: IpAddr) {
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        let Some(wait) = entry.probe else {
            return entry.client.probed(true, self.shared.clock.now());
        };
        let orders = self.shared.orders.clone();
        let spawned = std::thread::Builder::new()
            .name("probe".to_owned())
            .spawn(move || {
                let found = look(key.ifindex, address, wait);
                orders.give(Order::Probed {
                    key,
                    address,
                    found,
                });
            });
        if let Err(error) = spawned {
            self.unknown(key, address, format!("cannot probe {address}: {error}"));
        }
    }

    pub(super) fn probed(&mut self, key: Key, address: IpAddr, found: Found) {
        let shared = Arc::clone(&self.shared);
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        // The lease ran out meanwhile, and there is another by now.
        if entry.claimed != Some(address) {
            return;
        }
        let free = match found {
            Found::Free => true,
            Found::Taken(why) => {
                set_aside(&shared, address, &entry.template, entry.set_aside, &why);
                entry.claimed = None;
                shared.free(address);
                false
            }
            Found::Unknown(why) => return self.unknown(key, address, why),
        };
        entry.unknown = 0;
        entry.client.probed(free, shared.clock.now());
        self.settle(key);
    }

    /// The address is neither used nor declined: a server would keep it from everybody for hours, and it may well be free.
    fn unknown(&mut self, key: Key, address: IpAddr, why: String) {
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        let now = self.shared.clock.now();
        entry.unknown = entry.unknown.saturating_add(1);
        if entry.unknown < TRIES {
            entry.look_again = Some((now + SOON, address));
            return;
        }
        if entry.unknown == TRIES {
            log::warning(format_args!(
                "{why}; {address} is not used by hostlet '{}' before it is known to be free",
                entry.template.hostlet
            ));
        }
        match entry.waiting.take() {
            Some(waiting) => {
                // Who waits may have given up.
                let _ = waiting.send(Answer::Refused(why));
                self.release(&Which::Key(key));
            }
            None => entry.look_again = Some((now + AGAIN, address)),
        }
    }
}

/// Keeps an address from being used for a while, and says so.
pub(crate) fn set_aside(
    shared: &Shared,
    address: IpAddr,
    lease: &Lease,
    time: Duration,
    why: &str,
) {
    let until = shared.clock.to_timestamp(shared.clock.now() + time);
    log::warning(format_args!(
        "{address} of pool '{}' is set aside until {until:.0}: {why}",
        lease.pool
    ));
    let aside = Aside {
        address,
        pool: lease.pool.clone(),
        until,
        why: why.to_owned(),
    };
    if let Err(error) = shared.ledger().set_aside(&aside) {
        log::warning(format_args!("{error}"));
    }
}
