//! What all threads of hostletd work on.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hostlet_engine::Engine;
use hostlet_model::config::Config;
use hostlet_model::{Name, Owned};
use hostlet_platform::neighbour::Announcer;
use hostlet_store::Lease;

use crate::clock::Clock;
use crate::keeper::{Order, Orders, Which};
use crate::ledger::Ledger;
use crate::{address, log};

/// Everything that lives as long as hostletd.
pub(crate) struct Shared {
    pub engine: Engine,
    pub clock: Arc<Clock>,
    pub orders: Orders,
    pub announcer: Announcer,
    config: RwLock<Arc<Config>>,
    ledger: Mutex<Ledger>,
    /// Choosing a free address and claiming it are one step; so are taking one away and freeing it.
    choosing: Mutex<()>,
    /// What could not be given back yet.
    left: Mutex<Left>,
}

/// What could not be given back when it was time, the disk being full for instance.
#[derive(Debug, Default)]
struct Left {
    hostlets: BTreeSet<Name>,
    addresses: BTreeSet<IpAddr>,
}

impl Shared {
    pub fn new(
        engine: Engine,
        clock: Arc<Clock>,
        orders: Orders,
        config: Config,
        ledger: Ledger,
        announcer: Announcer,
    ) -> Self {
        Self {
            engine,
            clock,
            orders,
            announcer,
            config: RwLock::new(Arc::new(config)),
            ledger: Mutex::new(ledger),
            choosing: Mutex::new(()),
            left: Mutex::default(),
        }
    }

    /// The configuration as of now.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(&self.config.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// From now on this one counts.
    pub fn set_config(&self, config: Config) {
        self.engine.keep_config(config.clone());
        *self.config.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(config);
    }

    /// The record of leases. A thread that panicked while it had it left it as its last call made it: every call is whole.
    pub fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while what is free, or is where, must not change.
    pub fn choosing(&self) -> MutexGuard<'_, ()> {
        self.choosing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an address from its interface and frees it, for whoever it was. What fails is tried again.
    pub fn free(&self, address: IpAddr) {
        // Whoever puts addresses back that went must not see this one half gone.
        let _one = self.choosing();
        let done = address::remove(address)
            .map_err(|e| e.to_string())
            .and_then(|()| {
                let released = self.ledger().release(address, self.clock.timestamp());
                released.map_err(|e| e.to_string())
            });
        if let Err(why) = done {
            log::warning(format_args!(
                "{address} cannot be given back now, and is tried again: {why}"
            ));
            self.left().addresses.insert(address);
            self.orders.give(Order::Later);
        }
    }

    /// A hostlet that ended, and could not be removed.
    pub fn leave(&self, hostlet: &Name) {
        self.left().hostlets.insert(hostlet.clone());
        self.orders.give(Order::Later);
    }

    /// What is to be tried again: hostlets to end, addresses to free.
    pub fn take_left(&self) -> (BTreeSet<Name>, BTreeSet<IpAddr>) {
        let left = std::mem::take(&mut *self.left());
        (left.hostlets, left.addresses)
    }

    fn left(&self) -> MutexGuard<'_, Left> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Everything that a hostlet held, after its end: released at the servers, taken away, free.
    pub fn give_back(&self, hostlet: &Name) {
        // While the address is there: the servers are told by it.
        self.orders.release(Which::Hostlet(hostlet.clone()));
        let held = {
            let mut ledger = self.ledger();
            ledger.ended(hostlet);
            ledger.of(hostlet)
        };
        for lease in held {
            self.free(lease.address);
        }
    }
}

/// A lease as part of a set.
pub(crate) fn owned(lease: &Lease) -> Owned {
    Owned::Single(lease.address)
}
