//! A wire in simulated time, with clients and servers on it. It loses, doubles, delays and so reorders messages, and checks what must
//! hold whatever it does to them:
//! * an address is in use only after it was claimed and probed, and by one client at a time;
//! * the server that gave it still holds it for that client (unless it was made to forget);
//! * no client is busy without time passing.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::IpAddr;
use std::time::Duration;

use hostlet_lease::{Client, Destination, LostReason, Output, Terms, Time};

/// A simulated server.
pub trait Server {
    /// Answers a message; every answer reaches every client.
    fn handle(&mut self, message: &[u8], now: Time) -> Vec<Vec<u8>>;
    /// Until when it holds this address for whom (hardware address, or IAID in decimal).
    fn holds(&self, address: IpAddr) -> Option<(String, Time)>;
    /// Loses every lease.
    fn forget(&mut self);
}

/// What the wire does to messages.
#[derive(Debug, Clone, Copy)]
pub struct Wire {
    /// Of a hundred messages, how many are lost, and doubled.
    pub lost: u64,
    pub doubled: u64,
    /// Longest delay.
    pub delay: Duration,
    pub seed: u64,
}

impl Wire {
    pub const GOOD: Wire = Wire {
        lost: 0,
        doubled: 0,
        delay: Duration::ZERO,
        seed: 1,
    };
}

/// One client and what happened to it.
pub struct Host {
    pub client: Client,
    pub claimed: Option<IpAddr>,
    pub terms: Option<Terms>,
    pub bound: u32,
    pub renewed: u32,
    pub lost: Vec<LostReason>,
    pub refused: Vec<String>,
    /// When and where to it sent.
    pub sent: Vec<(Time, Vec<u8>, Destination)>,
}

pub struct Net<S> {
    pub now: Time,
    pub hosts: Vec<Host>,
    pub servers: Vec<S>,
    /// Addresses that somebody uses who asks no server.
    pub strangers: BTreeSet<IpAddr>,
    /// Addresses whose claim is answered with a no.
    pub reserved: BTreeSet<IpAddr>,
    pub wire: Wire,
    /// No server hears anything.
    pub silent: bool,
    /// The servers did not forget anything, so they must know of every lease.
    pub trusted: bool,
    random: u64,
    order: u64,
    under_way: BinaryHeap<Reverse<Message>>,
}

/// When it arrives, in which order, where, and what it is.
type Message = (Time, u64, Way, Vec<u8>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToServers,
    ToClients,
}

impl<S: Server> Net<S> {
    pub fn new(wire: Wire, servers: Vec<S>) -> Self {
        Net {
            now: Duration::from_secs(100),
            hosts: Vec::new(),
            servers,
            strangers: BTreeSet::new(),
            reserved: BTreeSet::new(),
            wire,
            silent: false,
            trusted: true,
            random: wire.seed | 1,
            order: 0,
            under_way: BinaryHeap::new(),
        }
    }

    pub fn add(&mut self, client: Client) -> usize {
        self.hosts.push(Host {
            terms: client.terms().cloned(),
            claimed: client.terms().map(|terms| terms.address),
            client,
            bound: 0,
            renewed: 0,
            lost: Vec::new(),
            refused: Vec::new(),
            sent: Vec::new(),
        });
        let i = self.hosts.len() - 1;
        self.serve(i);
        i
    }

    /// Lets time pass until everything before `end` has happened.
    pub fn run_until(&mut self, end: Time) {
        self.run_while(end, |_| true);
    }

    /// The same, as long as the condition holds. True: it ended because of the condition.
    pub fn run_while(&mut self, end: Time, go_on: impl Fn(&Self) -> bool) -> bool {
        while go_on(self) {
            let message = self.under_way.peek().map(|Reverse((at, ..))| *at);
            let timer = self
                .hosts
                .iter()
                .filter_map(|host| host.client.next_timeout())
                .min();
            let Some(next) = message.into_iter().chain(timer).min().filter(|n| *n < end) else {
                self.now = end;
                return false;
            };
            self.now = self.now.max(next);
            if message == Some(next) {
                self.deliver();
            } else {
                self.tick();
            }
            self.check();
        }
        true
    }

    /// Lets a client give its address back, if it has one, which is returned.
    pub fn release(&mut self, i: usize) -> Option<IpAddr> {
        self.hosts[i].client.release(self.now);
        self.hosts[i].terms = None;
        self.serve(i);
        self.hosts[i].claimed.take()
    }

    fn deliver(&mut self) {
        let Some(Reverse((_, _, way, message))) = self.under_way.pop() else {
            return;
        };
        match way {
            Way::ToServers if self.silent => {}
            Way::ToServers => {
                let answers: Vec<Vec<u8>> = self
                    .servers
                    .iter_mut()
                    .flat_map(|server| server.handle(&message, self.now))
                    .collect();
                for answer in answers {
                    self.transmit(Way::ToClients, &answer);
                }
            }
            Way::ToClients => {
                for i in 0..self.hosts.len() {
                    self.hosts[i].client.receive(&message, self.now);
                    self.serve(i);
                }
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now;
        let due = |host: &Host| host.client.next_timeout().is_some_and(|at| at <= now);
        for i in 0..self.hosts.len() {
            if due(&self.hosts[i]) {
                self.hosts[i].client.timeout(now);
                self.serve(i);
                assert!(!due(&self.hosts[i]), "client {i} is busy");
            }
        }
    }

    /// Does what a client asks for, as hostletd would.
    fn serve(&mut self, i: usize) {
        while let Some(output) = self.hosts[i].client.poll() {
            let host = &mut self.hosts[i];
            match output {
                Output::Send { payload, to } => {
                    host.sent.push((self.now, payload.clone(), to));
                    self.transmit(Way::ToServers, &payload);
                }
                Output::Claim { address } => {
                    assert_eq!(host.terms, None, "claims while it has an address");
                    let mine = host.claimed == Some(address);
                    let free = mine || self.hosts.iter().all(|h| h.claimed != Some(address));
                    let ok = free && !self.reserved.contains(&address);
                    let host = &mut self.hosts[i];
                    host.claimed = ok.then_some(address);
                    host.client.claimed(ok, self.now);
                }
                Output::Probe { address } => {
                    assert_eq!(host.claimed, Some(address));
                    let free = !self.strangers.contains(&address);
                    if !free {
                        host.claimed = None;
                    }
                    host.client.probed(free, self.now);
                }
                Output::Bound(terms) => {
                    assert_eq!(host.claimed, Some(terms.address));
                    assert_eq!(host.terms, None);
                    host.terms = Some(terms);
                    host.bound += 1;
                }
                Output::Renewed(terms) => {
                    let before = host.terms.replace(terms).expect("renewed what it had");
                    assert_eq!(host.claimed, Some(before.address));
                    host.renewed += 1;
                }
                Output::Lost { address, why } => {
                    assert_eq!(host.claimed, Some(address));
                    host.claimed = None;
                    host.terms = None;
                    host.lost.push(why);
                }
                Output::Refused { why } => host.refused.push(why),
            }
        }
    }

    fn check(&self) {
        let mut users = BTreeMap::new();
        for (i, host) in self.hosts.iter().enumerate() {
            assert_eq!(host.terms.as_ref(), host.client.terms());
            let Some(terms) = &host.terms else { continue };
            assert_eq!(
                users.insert(terms.address, i),
                None,
                "{} twice",
                terms.address
            );
            assert!(!self.strangers.contains(&terms.address));
            assert!(terms.expires.is_none_or(|expires| expires > self.now));
            if self.trusted {
                let held = |server: &S| {
                    server.holds(terms.address).is_some_and(|(who, until)| {
                        (terms.hardware == who || terms.hardware.ends_with(&format!("/{who}")))
                            && terms.expires.is_none_or(|expires| until >= expires)
                    })
                };
                assert!(
                    self.servers.iter().any(held),
                    "no server knows of {terms:?}"
                );
            }
        }
    }

    fn transmit(&mut self, way: Way, message: &[u8]) {
        let copies = match (self.chance(self.wire.lost), self.chance(self.wire.doubled)) {
            (true, _) => 0,
            (false, true) => 2,
            (false, false) => 1,
        };
        for _ in 0..copies {
            let most = u64::try_from(self.wire.delay.as_micros()).unwrap_or(0);
            let at = self.now + Duration::from_micros(self.next() % (most + 1));
            self.order += 1;
            self.under_way
                .push(Reverse((at, self.order, way, message.to_vec())));
        }
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.next() % 100 < percent
    }

    fn next(&mut self) -> u64 {
        // xorshift64*
        self.random ^= self.random >> 12;
        self.random ^= self.random << 25;
        self.random ^= self.random >> 27;
        self.random.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }
}
