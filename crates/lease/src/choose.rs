//! Which address of a pool's ranges a holder gets (rows B4, B7).
//!
//! In this order: the one that was wished for, and no other; the one that this holder had last; one that nobody had yet, lowest
//! first; the one whose last holder gave it back longest ago. So every holder keeps finding its own address while there is room.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::net::IpAddr;

use hostlet_model::{Name, Ranges};

/// How many holders [`NoAddress::Exhausted`] names.
const NAMED: usize = 10;

/// Who asks for an address, and what is known about the pool's addresses.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The pool, for messages.
    pub pool: &'a Name,
    /// Its addresses.
    pub ranges: &'a Ranges,
    /// An IPv6 address is wanted, else an IPv4 address.
    pub v6: bool,
    /// This one and no other is wanted.
    pub wish: Option<IpAddr>,
    /// What this holder had last.
    pub last: Option<IpAddr>,
    /// Addresses that cannot be given now; they may lie outside the ranges.
    pub taken: &'a BTreeMap<IpAddr, Taken>,
    /// Addresses that were somebody's last, in any order, held again or not.
    pub used: &'a [Used],
}

/// Why an address cannot be given now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Taken {
    /// It is leased.
    Held {
        /// Holder, for people: `alice (hostlet web)`.
        by: String,
    },
    /// It is on an interface of this host, and not through a lease.
    OnHost {
        /// The interface.
        interface: String,
        /// The hostlet that was given it by hand, where that is known.
        hostlet: Option<Name>,
    },
    /// This machine reaches others through it: lent, it would be the machine's own, and they be reached no more.
    NextHop,
    /// It is not used for a while.
    Aside {
        /// Why and until when, for people: `02:… answered for it, until 12:30:05`.
        why: String,
    },
}

/// An address that was somebody's last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Used {
    /// The address.
    pub address: IpAddr,
    /// When it was given back: any number that grows with time.
    pub released: i64,
}

/// Why no address can be given.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoAddress {
    /// The wish is not one of the pool's addresses.
    #[error(
        "{address} cannot be had from pool '{pool}': the pool lends {}; ask for one of these, or for none in particular",
        lends(ranges)
    )]
    Outside {
        /// The wish.
        address: IpAddr,
        /// The pool.
        pool: Name,
        /// Its addresses, as text.
        ranges: String,
    },
    /// The wish is of the other family.
    #[error(
        "{address} cannot be had from pool '{pool}' as its {} address",
        family(*v6)
    )]
    Family {
        /// The wish.
        address: IpAddr,
        /// The pool.
        pool: Name,
        /// An IPv6 address was to be chosen.
        v6: bool,
    },
    /// The wish is taken.
    #[error("{address} of pool '{pool}' cannot be had now: {taken}")]
    Taken {
        /// The wish.
        address: IpAddr,
        /// The pool.
        pool: Name,
        /// By what.
        taken: Taken,
    },
    /// The pool has no addresses of this family.
    #[error("pool '{pool}' lends no {} addresses", family(*v6))]
    NoneOfFamily {
        /// The pool.
        pool: Name,
        /// IPv6, else IPv4.
        v6: bool,
    },
    /// Every address of the pool is taken.
    #[error("pool '{pool}' has no free {} address: {full}; {}", family(*v6), full.more())]
    Exhausted {
        /// The pool.
        pool: Name,
        /// IPv6, else IPv4.
        v6: bool,
        /// How it is taken up.
        full: Full,
    },
}

/// How a pool is taken up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Full {
    /// How many addresses the pool has of this family.
    pub size: u128,
    /// How many are leased.
    pub held: usize,
    /// The first ten of them, with their holders, in ascending order.
    pub holders: Vec<(IpAddr, String)>,
    /// How many are set aside.
    pub aside: usize,
    /// How many are on an interface of the host.
    pub elsewhere: usize,
    /// How many are next hops of its routes.
    pub hops: usize,
    /// The first ten of them that a hostlet was given by hand, with that, in ascending order.
    pub owners: Vec<(IpAddr, Name)>,
}

impl Full {
    /// Where one sees more of it.
    fn more(&self) -> &'static str {
        match (self.held > 0, self.aside > 0) {
            (true, true) => {
                "'hostlet leases' lists who has which until when, 'hostlet pools' what is set aside until when and the other pools"
            }
            (true, false) => {
                "'hostlet leases' lists who has which until when, 'hostlet pools' the other pools"
            }
            (false, true) => {
                "'hostlet pools' lists what is set aside until when and the other pools"
            }
            (false, false) => "'hostlet pools' lists the other pools",
        }
    }
}

/// Chooses an address. The cost grows with the number of addresses that are taken or were used, not with the size of the ranges.
///
/// # Errors
/// Why there is none, and who has what.
pub fn choose(request: &Request<'_>) -> Result<IpAddr, NoAddress> {
    if let Some(address) = request.wish {
        return wished(request, address);
    }
    if !request.ranges.has(request.v6) {
        return Err(NoAddress::NoneOfFamily {
            pool: request.pool.clone(),
            v6: request.v6,
        });
    }
    request
        .last
        .filter(|last| free(request, *last))
        .or_else(|| never_used(request))
        .or_else(|| longest_released(request))
        .ok_or_else(|| NoAddress::Exhausted {
            pool: request.pool.clone(),
            v6: request.v6,
            full: full(request),
        })
}

fn wished(request: &Request<'_>, address: IpAddr) -> Result<IpAddr, NoAddress> {
    let pool = request.pool.clone();
    if address.is_ipv6() != request.v6 {
        return Err(NoAddress::Family {
            address,
            pool,
            v6: request.v6,
        });
    }
    if !request.ranges.contains(address) {
        return Err(NoAddress::Outside {
            address,
            pool,
            ranges: request.ranges.to_string(),
        });
    }
    match request.taken.get(&address) {
        None => Ok(address),
        Some(taken) => Err(NoAddress::Taken {
            address,
            pool,
            taken: taken.clone(),
        }),
    }
}

/// Of the wanted family, of the pool, and not taken.
fn free(request: &Request<'_>, address: IpAddr) -> bool {
    address.is_ipv6() == request.v6
        && request.ranges.contains(address)
        && !request.taken.contains_key(&address)
}

/// The lowest address that nobody had. Every step but the last meets an address that is taken or was used, so a /64 is no slower
/// than a /24.
fn never_used(request: &Request<'_>) -> Option<IpAddr> {
    let used: HashSet<IpAddr> = request.used.iter().map(|used| used.address).collect();
    (0..request.ranges.count(request.v6))
        .map_while(|n| request.ranges.nth(request.v6, n))
        .find(|address| !request.taken.contains_key(address) && !used.contains(address))
}

fn longest_released(request: &Request<'_>) -> Option<IpAddr> {
    request
        .used
        .iter()
        .filter(|used| free(request, used.address))
        // Of two holders who had the same address, the later release counts: the earlier one is history.
        .fold(BTreeMap::new(), |mut last: BTreeMap<IpAddr, i64>, used| {
            let released = last.entry(used.address).or_insert(used.released);
            *released = used.released.max(*released);
            last
        })
        .into_iter()
        .min_by_key(|(address, released)| (*released, *address))
        .map(|(address, _)| address)
}

fn full(request: &Request<'_>) -> Full {
    let mut full = Full {
        size: request.ranges.count(request.v6),
        ..Full::default()
    };
    let of_pool = request.taken.iter().filter(|(address, _)| {
        address.is_ipv6() == request.v6 && request.ranges.contains(**address)
    });
    for (address, taken) in of_pool {
        match taken {
            Taken::Held { by } => {
                full.held += 1;
                if full.holders.len() < NAMED {
                    full.holders.push((*address, by.clone()));
                }
            }
            Taken::NextHop => full.hops += 1,
            Taken::Aside { .. } => full.aside += 1,
            Taken::OnHost { hostlet, .. } => {
                full.elsewhere += 1;
                if let Some(name) = hostlet
                    && full.owners.len() < NAMED
                {
                    full.owners.push((*address, name.clone()));
                }
            }
        }
    }
    full
}

fn family(v6: bool) -> &'static str {
    if v6 { "IPv6" } else { "IPv4" }
}

fn lends(ranges: &str) -> &str {
    if ranges.is_empty() { "nothing" } else { ranges }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Taken::Held { by } => write!(f, "held by {by}"),
            Taken::OnHost {
                hostlet: Some(name),
                ..
            } => write!(f, "it belongs to hostlet '{name}'"),
            Taken::OnHost { interface, .. } => {
                write!(
                    f,
                    "it is on this host's interface {interface}, not through a lease"
                )
            }
            Taken::NextHop => f.write_str("it is a next hop of this host's routes"),
            Taken::Aside { why } => write!(f, "set aside ({why})"),
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "of {}, {} held", self.size, self.held)?;
        if self.aside > 0 {
            write!(f, ", {} set aside", self.aside)?;
        }
        if self.elsewhere > 0 {
            write!(f, ", {} on this host", self.elsewhere)?;
        }
        match self.hops {
            0 => {}
            1 => f.write_str(", 1 a next hop of its routes")?,
            hops => write!(f, ", {hops} next hops of its routes")?,
        }
        let mut separator = "; ";
        for (address, by) in &self.holders {
            write!(f, "{separator}{address} by {by}")?;
            separator = ", ";
        }
        match self.held - self.holders.len() {
            0 => {}
            more => write!(f, ", and {more} more")?,
        }
        let mut separator = "; ";
        for (address, name) in &self.owners {
            write!(f, "{separator}{address} belongs to hostlet '{name}'")?;
            separator = ", ";
        }
        Ok(())
    }
}
