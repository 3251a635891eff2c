//! Leases from DHCP servers: between the state machines, which do no I/O, and the sockets, the record and the probe.

mod farewell;
mod moving;
mod probing;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::Sender;
use std::time::Duration;

use hostlet_lease::{Client, LostReason, Output, Terms, Time};
use hostlet_store::{Claim, Lease, LeaseState};

use crate::jobs::Job;
use crate::keeper::{Answer, Keeper, Order, Which, token};
use crate::links::Links;
use crate::log;
use crate::{address, terms};

pub(crate) use self::probing::{Found, look, set_aside};

/// The state of a client whose server has not answered: any server may.
const REBINDING: &str = "REBINDING";

/// One lease of one holder on one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The interface; 0 in an order: it is gone, and may come back.
    pub ifindex: u32,
    /// Whether it is of IPv6.
    pub v6: bool,
    /// The holder's number.
    pub holder: u32,
}

/// A lease that is being got, or is held.
struct Entry {
    client: Box<Client>,
    template: Box<Lease>,
    probe: Option<Duration>,
    set_aside: Duration,
    waiting: Option<Sender<Answer>>,
    /// What is written down in the record for it.
    claimed: Option<IpAddr>,
    /// Another thread was told that there is a lease, or that it is lost, and is not done with it: nothing new is begun before. A
    /// renewal of what is not on its interface yet would prolong nothing there.
    told: bool,
    /// How often in a row it could not be found out whether the address is free, and when that is tried again.
    unknown: u32,
    look_again: Option<(Time, IpAddr)>,
    /// Its keys on earlier interfaces of that name: orders by these are still under way.
    before: Vec<Key>,
}

impl Entry {
    fn next_timeout(&self) -> Option<Time> {
        let again = self.look_again.map(|(at, _)| at);
        self.client.next_timeout().into_iter().chain(again).min()
    }
}

/// All leases that come from servers.
#[derive(Default)]
pub(crate) struct Leasing {
    entries: BTreeMap<Key, Entry>,
    /// What was given back, while its server has not said that it heard so.
    farewells: BTreeMap<Key, Box<Client>>,
    links: Links,
    /// Interfaces of entries that are not there; it was said of each.
    gone: BTreeSet<String>,
}

impl Leasing {
    /// When the next of them has something to do.
    pub fn next_timeout(&self) -> Option<Time> {
        let all = self.entries.values();
        let next = all.filter_map(Entry::next_timeout).min();
        next.into_iter().chain(self.next_farewell()).min()
    }

    /// Where the entry is now that had this key once.
    fn present(&self, key: Key) -> Key {
        if self.entries.contains_key(&key) {
            return key;
        }
        let moved = self.entries.iter().find(|(_, e)| e.before.contains(&key));
        moved.map_or(key, |(now, _)| *now)
    }
}

impl Keeper {
    /// Orders that are about leases.
    pub(crate) fn obey_leasing(&mut self, order: Order) {
        match order {
            Order::Lease {
                key,
                client,
                template,
                probe,
                set_aside,
                waiting,
                held,
            } => {
                let entry = Entry {
                    client,
                    template,
                    probe,
                    set_aside,
                    waiting,
                    claimed: held,
                    told: false,
                    unknown: 0,
                    look_again: None,
                    before: Vec::new(),
                };
                self.enter(key, entry);
            }
            Order::Probed {
                key,
                address,
                found,
            } => self.probed(self.leasing.present(key), address, found),
            Order::GoOn { key } => {
                let key = self.leasing.present(key);
                if let Some(entry) = self.leasing.entries.get_mut(&key) {
                    entry.told = false;
                }
                self.settle(key);
            }
            Order::Release { which, done } => {
                self.release(&which);
                let _ = done.send(());
            }
            _ => {}
        }
    }

    fn enter(&mut self, mut key: Key, mut entry: Entry) {
        if key.ifindex == 0 {
            entry.before.push(key);
            key.ifindex = self.leasing.stand_in();
            self.leasing.miss(&entry.template.interface);
        } else if let Err(why) = self.leasing.links.open(&self.epoll, key.ifindex, key.v6) {
            log::warning(format_args!("{why}"));
            if let Some(waiting) = &entry.waiting {
                // Who waits may have given up.
                let _ = waiting.send(Answer::Refused(why));
            }
            // A lease that is held is tried on: the interface may come back.
            if entry.claimed.is_none() {
                return;
            }
        }
        self.leasing.welcome(key);
        self.leasing.entries.insert(key, entry);
        self.settle(key);
    }

    /// Messages arrived on a socket.
    pub(crate) fn received(&mut self, socket: u64) {
        let ifindex = u32::try_from(socket & 0xffff_ffff).unwrap_or(0);
        let v6 = socket >= token::SOCKET6;
        while let Some(payload) = self.leasing.links.receive(ifindex, v6) {
            let now = self.shared.clock.now();
            // Each client knows its own exchange, and lets the rest go at the cost of a comparison.
            let of_link = Key {
                ifindex,
                v6,
                holder: 0,
            }..=Key {
                ifindex,
                v6,
                holder: u32::MAX,
            };
            let mut moved = Vec::new();
            for (key, entry) in self.leasing.entries.range_mut(of_link) {
                entry.client.receive(&payload, now);
                moved.push(*key);
            }
            for key in moved {
                self.settle(key);
            }
            self.farewells(
                |key| (key.ifindex, key.v6) == (ifindex, v6),
                |client| client.receive(&payload, now),
            );
        }
    }

    /// Lets those go on whose time has come.
    pub(crate) fn timers(&mut self, now: Time) {
        let due: Vec<Key> = self
            .leasing
            .entries
            .iter()
            .filter(|(_, e)| e.next_timeout().is_some_and(|at| at <= now))
            .map(|(key, _)| *key)
            .collect();
        for key in due {
            let mut again = None;
            if let Some(entry) = self.leasing.entries.get_mut(&key) {
                let before = entry.client.state();
                entry.client.timeout(now);
                if entry.client.state() == REBINDING && before != REBINDING {
                    silent(&self.shared, entry);
                }
                again = entry.look_again.take_if(|(at, _)| *at <= now);
            }
            if let Some((_, address)) = again {
                self.probe(key, address);
            }
            self.settle(key);
        }
        self.farewells(|_| true, |client| client.timeout(now));
    }

    /// Does what a client asks for until it asks for nothing more.
    fn settle(&mut self, key: Key) {
        while let Some(entry) = self.leasing.entries.get_mut(&key) {
            if entry.told {
                return;
            }
            let Some(output) = entry.client.poll() else {
                return;
            };
            match output {
                Output::Send { payload, to } => {
                    self.leasing.links.send(key.ifindex, &payload, &to);
                }
                Output::Claim { address } => self.claim(key, address),
                Output::Probe { address } => self.probe(key, address),
                Output::Bound(terms) => self.bound(key, terms),
                Output::Renewed(terms) => self.renewed(key, &terms),
                Output::Lost { address, why } => {
                    let lease = Box::new(Lease {
                        address,
                        ..(*entry.template).clone()
                    });
                    entry.claimed = None;
                    entry.told = true;
                    let why = match why {
                        LostReason::Refused => {
                            "the server says that it is not its holder's any more"
                        }
                        LostReason::Expired => "no server prolonged the lease in time",
                    };
                    let why = why.to_owned();
                    let serial = self.shared.ledger().serial(address);
                    self.jobs.give(Job::Lost {
                        key,
                        lease,
                        serial,
                        why,
                    });
                }
                Output::Refused { why } => {
                    if let Some(waiting) = &entry.waiting {
                        let _ = waiting.send(Answer::Refused(why));
                    }
                }
            }
        }
    }

    /// Before a server is told that the address is taken, it is in the record: whoever comes after a crash releases it.
    fn claim(&mut self, key: Key, address: IpAddr) {
        let shared = Arc::clone(&self.shared);
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        (entry.unknown, entry.look_again) = (0, None);
        if let Some(other) = entry.claimed.take_if(|held| *held != address) {
            shared.free(other);
        }
        let now = shared.clock.now();
        if entry.claimed == Some(address) {
            return entry.client.claimed(true, now);
        }
        let lease = Lease {
            address,
            state: LeaseState::Claimed,
            terms: None,
            ..(*entry.template).clone()
        };
        let claim = shared.ledger().claim(&lease, shared.clock.timestamp());
        let why = match claim {
            Ok(Claim::Done) => {
                entry.claimed = Some(address);
                return entry.client.claimed(true, now);
            }
            Ok(Claim::Taken(other)) => format!(
                "the server offers {address}, which hostlet '{}' has",
                other.hostlet
            ),
            Ok(Claim::SetAside { until, why }) => {
                format!("the server offers {address}, which is set aside until {until}: {why}")
            }
            Err(error) => error.to_string(),
        };
        log::warning(format_args!("{why}"));
        if let Some(waiting) = &entry.waiting {
            let _ = waiting.send(Answer::Refused(why));
        }
        entry.client.claimed(false, now);
    }

    fn bound(&mut self, key: Key, terms: Terms) {
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        entry.told = true;
        match entry.waiting.take() {
            Some(waiting) => {
                if waiting.send(Answer::Bound(Box::new(terms))).is_err() {
                    // Nobody waits any more.
                    self.release(&Which::Key(key));
                }
            }
            None => {
                let lease = Box::new(Lease {
                    address: terms.address,
                    prefix_len: terms.prefix_len,
                    terms: Some(terms::written(&self.shared.clock, &terms)),
                    ..(*entry.template).clone()
                });
                self.jobs.give(Job::Regained {
                    key,
                    lease,
                    written: false,
                });
            }
        }
    }

    fn renewed(&mut self, key: Key, new: &Terms) {
        let shared = Arc::clone(&self.shared);
        self.leasing.links.close_port(key.ifindex, new.address);
        let Some(entry) = self.leasing.entries.get_mut(&key) else {
            return;
        };
        let written = terms::written(&shared.clock, new);
        let hostlet = &entry.template.hostlet;
        if let Err(error) = shared.ledger().hold(new.address, hostlet, Some(&written)) {
            log::warning(format_args!(
                "the renewal of {} is not written down: {error}",
                new.address
            ));
        }
        let valid = new.expires.map(|at| shared.clock.until(at));
        let set = hostlet_platform::netlink::set_lifetime(
            key.ifindex,
            new.address,
            address::alone(new.address),
            valid,
        );
        if let Err(error) = set {
            log::warning(format_args!(
                "the lifetime of {} is not prolonged: {error}",
                new.address
            ));
        }
    }

    fn release(&mut self, which: &Which) {
        let keys: Vec<Key> = match which {
            Which::Key(key) => vec![self.leasing.present(*key)],
            Which::Hostlet(name) => self
                .leasing
                .entries
                .iter()
                .filter(|(_, e)| e.template.hostlet == *name)
                .map(|(key, _)| *key)
                .collect(),
        };
        for key in keys {
            let now = self.shared.clock.now();
            if let Some(entry) = self.leasing.entries.get_mut(&key) {
                entry.waiting = None;
                entry.client.release(now);
            }
            // Only what is to be sent matters now.
            while let Some(output) = self
                .leasing
                .entries
                .get_mut(&key)
                .and_then(|e| e.client.poll())
            {
                if let Output::Send { payload, to } = output {
                    self.leasing.links.send(key.ifindex, &payload, &to);
                }
            }
            if let Some(entry) = self.leasing.entries.remove(&key) {
                if let Some(address) = entry.claimed {
                    self.leasing.links.forget(key.ifindex, address);
                    self.shared.free(address);
                }
                self.leasing.part(key, entry.client);
            }
            self.close_unused(key);
        }
    }

    fn close_unused(&mut self, key: Key) {
        let (held, parting) = (&self.leasing.entries, &self.leasing.farewells);
        let mut all = held.keys().chain(parting.keys());
        if !all.any(|k| (k.ifindex, k.v6) == (key.ifindex, key.v6)) {
            self.leasing.links.close(key.ifindex, key.v6);
        }
    }
}

/// While there is time to look after the server.
fn silent(shared: &crate::shared::Shared, entry: &Entry) {
    let Some(terms) = entry.client.terms() else {
        return;
    };
    let ends = terms.expires.map_or_else(String::new, |at| {
        format!("; it ends at {:.0}", shared.clock.to_timestamp(at))
    });
    log::warning(format_args!(
        "DHCP server {} does not prolong {} of hostlet '{}', and any other is asked now{ends}",
        terms.server, terms.address, entry.template.hostlet
    ));
}
