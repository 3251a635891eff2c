//! What all threads of hostletd work on.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use hostlet_engine::Engine;
use hostlet_model::config::Config;
use hostlet_model::{Name, Owned};
use hostlet_platform::neighbour::Announcer;
use hostlet_store::Lease;

use crate::clock::Clock;
use crate::jobs::Job;
use crate::keeper::{Order, Orders, Which};
use crate::ledger::Ledger;
use crate::programs::Programs;
use crate::sessions::Sessions;
use crate::{address, log};

/// Everything that lives as long as hostletd.
pub(crate) struct Shared {
    pub engine: Engine,
    pub clock: Arc<Clock>,
    pub orders: Orders,
    pub announcer: Announcer,
    /// The watch of programs that start.
    pub programs: Programs,
    config: RwLock<Arc<Config>>,
    ledger: Mutex<Ledger>,
    sessions: Mutex<Sessions>,
    /// Coming into a hostlet and writing that down are one step; so are finding nobody in and giving it up.
    coming_in: Mutex<()>,
    /// Choosing a free address and claiming it are one step; so are taking one away and freeing it.
    choosing: Mutex<()>,
    /// What could not be done when it was time, the disk being full for instance.
    left: Mutex<Vec<Job>>,
}

impl Shared {
    pub fn new(
        engine: Engine,
        clock: Arc<Clock>,
        orders: Orders,
        config: Config,
        ledger: Ledger,
        sessions: Sessions,
        announcer: Announcer,
    ) -> Self {
        Self {
            engine,
            clock,
            orders,
            announcer,
            programs: Programs::default(),
            config: RwLock::new(Arc::new(config)),
            ledger: Mutex::new(ledger),
            sessions: Mutex::new(sessions),
            coming_in: Mutex::default(),
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

    /// The record of sessions; never asked for while the one of leases is had.
    pub fn sessions(&self) -> MutexGuard<'_, Sessions> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while who is in a session's hostlet must not change.
    pub fn coming_in(&self) -> MutexGuard<'_, ()> {
        self.coming_in
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// To be held while what is free, or is where, must not change.
    pub fn choosing(&self) -> MutexGuard<'_, ()> {
        self.choosing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes an address from its interface and frees it, for whoever has it now. What fails is tried again.
    pub fn free(&self, address: IpAddr) {
        let serial = self.ledger().serial(address);
        if let Some(serial) = serial {
            self.free_lease(address, serial);
        }
    }

    /// The same, unless another lease of the address has begun meanwhile.
    pub fn free_lease(&self, address: IpAddr, serial: u64) {
        // Whoever puts addresses back that went must not see this one half gone.
        let _one = self.choosing();
        if self.ledger().serial(address) != Some(serial) {
            return;
        }
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
            self.later(Job::Free { address, serial });
        }
    }

    /// Something to be tried again in a while.
    pub fn later(&self, job: Job) {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let again = matches!(&job, Job::Ended { hostlet, .. }
            if left.iter().any(|j| matches!(j, Job::Ended { hostlet: h, .. } if h == hostlet)));
        if !again {
            left.push(job);
        }
        drop(left);
        self.orders.give(Order::Later);
    }

    /// What is to be tried again.
    pub fn take_left(&self) -> Vec<Job> {
        let mut left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut *left)
    }

    /// Everything that a hostlet held, after its end: released at the servers, taken away, free.
    pub fn give_back(&self, hostlet: &Name) {
        // While the address is there: the servers are told by it.
        self.orders.release(Which::Hostlet(hostlet.clone()));
        let held = {
            let mut ledger = self.ledger();
            if let Err(error) = ledger.found(hostlet, None) {
                // The next start finds that there is no such hostlet.
                log::warning(format_args!("{error}"));
            }
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
