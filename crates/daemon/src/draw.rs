//! Drawing one address from one pool, up to the point where it is on its interface and nobody else's.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Instant;

use hostlet_lease::Client;
use hostlet_lease::choose::{self, Taken, Used};
use hostlet_model::config::{DhcpPool, Pool, PoolSource, StaticPool};
use hostlet_platform::netlink;
use hostlet_store::{Claim, Lease, LeaseState, Terms};
use hostlet_wire::Error;

use crate::address;
use crate::keeper::{Answer, Order, Which};
use crate::leasing::{Found, Key, look, set_aside};
use crate::shared::Shared;
use crate::terms;

/// How many addresses that turn out to be in use are tried before it is the administrator's turn.
const TRIES: usize = 16;

/// Of how many addresses it is looked up whose they are, for who is refused.
const OWNERS: usize = 64;

/// What is drawn, for whom.
pub(crate) struct Draw<'a> {
    pub pool: &'a Pool,
    pub v6: bool,
    pub wish: Option<IpAddr>,
    /// The lease, without its address.
    pub template: Lease,
    /// The interface's index.
    pub ifindex: u32,
}

/// An address that is on its interface, and in the record as claimed.
pub(crate) struct Drawn {
    pub lease: Lease,
    /// How the server lent it.
    pub terms: Option<Terms>,
}

impl Draw<'_> {
    /// An address, or a reasoned no; then nothing is left of it.
    pub fn draw(&self, shared: &Shared) -> Result<Drawn, Error> {
        match &self.pool.source {
            PoolSource::Static(pool) => self.of_ranges(shared, pool),
            PoolSource::Dhcp(pool) => self.of_server(shared, pool),
        }
    }

    fn no(&self, message: impl Into<String>) -> Error {
        Error::NoAddress {
            pool: self.pool.name.to_string(),
            message: message.into(),
        }
    }

    fn failed(error: impl std::fmt::Display) -> Error {
        Error::Failed(error.to_string())
    }

    fn of_ranges(&self, shared: &Shared, pool: &StaticPool) -> Result<Drawn, Error> {
        for _ in 0..TRIES {
            let lease = self.claim(shared, pool)?;
            let address = lease.address;
            let found = match self.pool.probe {
                Some(wait) => look(self.ifindex, address, wait),
                None => Found::Free,
            };
            let conflict = match found {
                Found::Taken(why) => Some(why),
                // Neither lent nor set aside: it may be free.
                Found::Unknown(why) => {
                    shared.free(address);
                    return Err(Self::failed(why));
                }
                Found::Free => match address::place(&shared.announcer, self.ifindex, address, None)
                {
                    Ok(true) => None,
                    Ok(false) => Some("this machine has it".to_owned()),
                    Err(error) => {
                        shared.free(address);
                        return Err(Self::failed(error));
                    }
                },
            };
            let Some(why) = conflict else {
                return Ok(Drawn { lease, terms: None });
            };
            // Not through `free`: the address that was met is somebody else's.
            set_aside(shared, address, &lease, self.pool.set_aside, &why);
            let released = shared.ledger().release(address, shared.clock.timestamp());
            released.map_err(Self::failed)?;
            if self.wish == Some(address) {
                return Err(self.no(format!("{address} is in use: {why}")));
            }
        }
        Err(self.no(format!(
            "{TRIES} addresses in a row turned out to be in use by others on {}; see 'hostlet pools'",
            self.pool.interface
        )))
    }

    /// Chooses a free address and claims it in one step.
    fn claim(&self, shared: &Shared, pool: &StaticPool) -> Result<Lease, Error> {
        let _one = shared.choosing();
        let here = netlink::addresses().map_err(Self::failed)?;
        let hops = hops(pool).map_err(Self::failed)?;
        let now = shared.clock.timestamp();
        let mut ledger = shared.ledger();
        let aside = ledger.aside(now).map_err(Self::failed)?;
        let last = ledger
            .last(self.template.holder, &self.pool.name, self.v6)
            .map_err(Self::failed)?;
        let remembered = ledger.remembered(&self.pool.name).map_err(Self::failed)?;
        let mut taken: BTreeMap<IpAddr, Taken> = BTreeMap::new();
        // Most are on one interface, and hostletd's own work: asking for each would take longer than all else.
        let mut names: BTreeMap<u32, String> = BTreeMap::new();
        for there in here.iter().filter(|a| pool.ranges.contains(a.addr)) {
            let name = names.entry(there.ifindex);
            let interface = name.or_insert_with(|| interface_of(there.ifindex)).clone();
            let hostlet = None;
            taken.insert(there.addr, Taken::OnHost { interface, hostlet });
        }
        taken.extend(hops.into_iter().map(|hop| (hop, Taken::NextHop)));
        for out in &aside {
            let why = format!("{}, until {:.0}", out.why, out.until);
            taken.insert(out.address, Taken::Aside { why });
        }
        for lease in ledger.leases().values() {
            let by = format!("{} (hostlet {})", lease.user, lease.hostlet);
            taken.insert(lease.address, Taken::Held { by });
        }
        let used: Vec<Used> = remembered
            .iter()
            .map(|r| Used {
                address: r.address,
                released: r.released.as_microsecond(),
            })
            .collect();
        let last = last.map(|r| r.address);
        let choose = |taken: &BTreeMap<IpAddr, Taken>| {
            choose::choose(&choose::Request {
                pool: &self.pool.name,
                ranges: &pool.ranges,
                v6: self.v6,
                wish: self.wish,
                last,
                taken,
                used: &used,
            })
            .map_err(|no| no.to_string())
        };
        let address = choose(&taken).or_else(|_| {
            // Only who is refused wants to know whose they are.
            name_owners(shared, self.v6, &mut taken);
            choose(&taken).map_err(|no| self.no(no))
        })?;
        let lease = Lease {
            address,
            prefix_len: subnet(pool, address, &here),
            since: now,
            state: LeaseState::Claimed,
            ..self.template.clone()
        };
        match ledger.claim_for_now(&lease, now).map_err(Self::failed)? {
            Claim::Done => Ok(lease),
            Claim::Taken(other) => Err(self.no(format!(
                "{address} went to hostlet '{}' this moment; try again",
                other.hostlet
            ))),
            Claim::SetAside { why, .. } => Err(self.no(format!("{address} is set aside: {why}"))),
        }
    }

    fn of_server(&self, shared: &Shared, pool: &DhcpPool) -> Result<Drawn, Error> {
        let last = shared
            .ledger()
            .last(self.template.holder, &self.pool.name, self.v6)
            .map_err(Self::failed)?
            .map(|r| r.address);
        let key = Key {
            ifindex: self.ifindex,
            v6: self.v6,
            holder: self.template.holder,
        };
        let settings = terms::settings(shared, pool, &self.template, self.v6, self.wish, last)
            .map_err(Self::failed)?;
        let client = Client::new(settings, shared.clock.now());
        let (sender, answers) = channel();
        shared.orders.give(Order::Lease {
            key,
            client: Box::new(client),
            template: Box::new(self.template.clone()),
            probe: self.pool.probe,
            set_aside: self.pool.set_aside,
            waiting: Some(sender),
            held: None,
        });
        let until = Instant::now() + pool.timeout;
        let mut refused = None;
        let got = loop {
            match answers.recv_timeout(until.saturating_duration_since(Instant::now())) {
                Ok(Answer::Bound(terms)) => break Ok(terms),
                Ok(Answer::Refused(why)) => refused = Some(why),
                Err(RecvTimeoutError::Disconnected) => {
                    let why = || "hostletd is about to end; try again".to_owned();
                    break Err(refused.unwrap_or_else(why));
                }
                Err(RecvTimeoutError::Timeout) => {
                    break Err(refused.unwrap_or_else(|| {
                        format!(
                            "no {} server on {} gave an address for pool '{}' within {:?}: see that one serves that network and has addresses left, or allow more time with timeout under [pool.{}]",
                            if self.v6 { "DHCPv6" } else { "DHCPv4" },
                            self.pool.interface, self.pool.name, pool.timeout, self.pool.name
                        )
                    }));
                }
            }
        };
        match got.and_then(|new| self.take_up(shared, &new)) {
            Ok(drawn) => {
                shared.orders.give(Order::GoOn { key });
                Ok(drawn)
            }
            Err(why) => {
                shared.orders.release(Which::Key(key));
                Err(self.no(why))
            }
        }
    }

    /// What a server acknowledged goes onto the interface.
    fn take_up(&self, shared: &Shared, new: &hostlet_lease::Terms) -> Result<Drawn, String> {
        if let Some(wish) = self.wish.filter(|wish| *wish != new.address) {
            return Err(format!(
                "the DHCP server gives {} instead of {wish}",
                new.address
            ));
        }
        let valid = new.expires.map(|at| shared.clock.until(at));
        match address::place(&shared.announcer, self.ifindex, new.address, valid) {
            Ok(true) => {}
            Ok(false) => {
                return Err(format!(
                    "the DHCP server gives {}, which this machine has already",
                    new.address
                ));
            }
            Err(error) => return Err(error.to_string()),
        }
        let lease = Lease {
            address: new.address,
            prefix_len: new.prefix_len,
            since: shared.clock.timestamp(),
            ..self.template.clone()
        };
        shared.ledger().complete(&lease, shared.clock.timestamp())?;
        let written = terms::written(&shared.clock, new);
        Ok(Drawn {
            lease,
            terms: Some(written),
        })
    }
}

/// Says of addresses that this machine has, the first few of a family, which hostlets were given them by hand.
fn name_owners(shared: &Shared, v6: bool, taken: &mut BTreeMap<IpAddr, Taken>) {
    let all = taken.iter_mut().filter(|(a, _)| a.is_ipv6() == v6);
    let here = all.filter_map(|(address, taken)| match taken {
        Taken::OnHost { hostlet, .. } => Some((*address, hostlet)),
        _ => None,
    });
    for (address, hostlet) in here.take(OWNERS) {
        *hostlet = shared.engine.holder_of(address).ok().flatten();
    }
}

/// The addresses of a pool through which this machine reaches others.
pub(crate) fn hops(pool: &StaticPool) -> Result<BTreeSet<IpAddr>, netlink::NetError> {
    let hops = netlink::routes()?.into_iter().filter_map(|r| r.gateway);
    Ok(hops.filter(|hop| pool.ranges.contains(*hop)).collect())
}

fn interface_of(ifindex: u32) -> String {
    let all = netlink::interfaces().unwrap_or_default();
    let found = all.into_iter().find(|i| i.index == ifindex);
    found.map_or_else(|| format!("if{ifindex}"), |i| i.name)
}

/// How much of the address is the subnet on the link: as the pool says, or as the interface's own addresses have it.
fn subnet(pool: &StaticPool, address: IpAddr, here: &[netlink::HostAddress]) -> u8 {
    let own = here.iter().filter_map(|a| {
        let net = ipnet::IpNet::new(a.addr, a.prefix_len).ok()?;
        net.contains(&address).then_some(net.prefix_len())
    });
    pool.subnet_of(address)
        .map(|net| net.prefix_len())
        .or_else(|| own.max())
        .unwrap_or(if address.is_ipv4() { 32 } else { 128 })
}
