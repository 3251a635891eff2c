//! The tables of a network namespace kept in memory, for a process that stays and asks often: with thousands of addresses,
//! reading them takes longer than all else that a hostlet needs.
//!
//! The kernel puts the message of a change into our socket before the call that made the change returns, so whoever takes in
//! what waits there knows what was true when he began. What a message does not tell exactly makes the table be read anew.

use std::collections::VecDeque;
use std::io;
use std::net::IpAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::observe::{self, address, link};
use super::transport::netns;
use super::watch::GROUPS;
use super::{HostAddress, Interface, NetError, Route};

/// One for each network namespace that is followed.
static MIRRORS: Mutex<Vec<Mirror>> = Mutex::new(Vec::new());

/// How long tables are believed without being read: kernels tell of every change, and this is for the one that does not.
const BELIEVED: Duration = Duration::from_secs(30);
const RTNLGRP_NEXTHOP: u32 = 32;
/// The length of a message's own header, and of what precedes the attributes of a route.
pub(super) const HEADER: usize = 16;
const ROUTE_HEADER: usize = 12;

/// The calling thread's network namespace is followed until this is dropped: in this process its tables are read from memory.
#[derive(Debug)]
pub struct Following {
    netns: u64,
}

impl Following {
    /// Begins.
    ///
    /// # Errors
    /// Changes cannot be watched.
    pub fn begin() -> Result<Self, NetError> {
        let failed = |source| NetError::Watch { source };
        let netns = netns().map_err(failed)?;
        let mut mirrors = mirrors();
        match mirrors.iter_mut().find(|m| m.netns == netns) {
            Some(mirror) => mirror.users += 1,
            None => mirrors.push(Mirror {
                netns,
                users: 1,
                socket: open().map_err(failed)?,
                tables: Tables::default(),
                read: Instant::now(),
            }),
        }
        Ok(Self { netns })
    }
}

impl Drop for Following {
    fn drop(&mut self) {
        mirrors().retain_mut(|mirror| {
            if mirror.netns == self.netns {
                mirror.users -= 1;
            }
            mirror.users > 0
        });
    }
}

fn open() -> io::Result<Socket> {
    let mut socket = Socket::new(NETLINK_ROUTE)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in GROUPS {
        socket.add_membership(group)?;
    }
    // Kernels before 5.3 have no such objects.
    let _ = socket.add_membership(RTNLGRP_NEXTHOP);
    socket.set_non_blocking(true)?;
    Ok(socket)
}

fn mirrors() -> MutexGuard<'static, Vec<Mirror>> {
    MIRRORS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// That of the calling thread's namespace, if it is followed.
fn own(mirrors: &mut [Mirror]) -> Option<&mut Mirror> {
    if mirrors.is_empty() {
        return None;
    }
    let netns = netns().ok()?;
    mirrors.iter_mut().find(|m| m.netns == netns)
}

/// A table from memory, or as it is read.
pub(super) fn table<T: Clone>(
    of: fn(&mut Tables) -> &mut Option<Vec<T>>,
    read: fn() -> Result<Vec<T>, NetError>,
) -> Result<Vec<T>, NetError> {
    let mut mirrors = mirrors();
    let Some(mirror) = own(&mut mirrors) else {
        drop(mirrors);
        return read();
    };
    mirror.take_in();
    if let Some(known) = of(&mut mirror.tables) {
        return Ok(known.clone());
    }
    // What changes meanwhile is told by messages, which may repeat what was read.
    let found = read()?;
    *of(&mut mirror.tables) = Some(found.clone());
    Ok(found)
}

/// Makes a change, and notes at once what it did: of IPv6 addresses the kernel tells a little later.
pub(super) fn change<T>(
    change: impl FnOnce() -> Result<T, NetError>,
    note: impl FnOnce(&T, &mut Vec<HostAddress>),
) -> Result<T, NetError> {
    let mut mirrors = mirrors();
    let Some(mirror) = own(&mut mirrors) else {
        drop(mirrors);
        return change();
    };
    // So that what is noted is not undone by messages from before.
    mirror.take_in();
    let done = change()?;
    if let Some(addresses) = &mut mirror.tables.addresses {
        note(&done, addresses);
    }
    Ok(done)
}

/// An address is there, as it is now.
pub(super) fn enter(all: &mut Vec<HostAddress>, new: HostAddress) {
    if let Some(there) = all.iter_mut().find(|a| same(a, &new)) {
        *there = new;
        return;
    }
    // In the kernel's order, as far as that is known: behind the others of its family on its interface.
    let beside =
        |a: &HostAddress| a.ifindex == new.ifindex && a.addr.is_ipv4() == new.addr.is_ipv4();
    let at = all.iter().rposition(beside).map_or(all.len(), |at| at + 1);
    all.insert(at, new);
}

/// An address went.
pub(super) fn strike(all: &mut Vec<HostAddress>, ifindex: u32, addr: IpAddr, prefix_len: u8) {
    all.retain(|a| (a.ifindex, a.addr, a.prefix_len) != (ifindex, addr, prefix_len));
}

fn same(a: &HostAddress, b: &HostAddress) -> bool {
    (a.ifindex, a.addr, a.prefix_len) == (b.ifindex, b.addr, b.prefix_len)
}

struct Mirror {
    netns: u64,
    users: usize,
    socket: Socket,
    tables: Tables,
    /// When the tables were believed last without a doubt.
    read: Instant,
}

/// Those that were read; none: to be read anew.
#[derive(Default)]
pub(super) struct Tables {
    pub interfaces: Option<Vec<Interface>>,
    pub addresses: Option<Vec<HostAddress>>,
    pub prefixes: Option<Vec<IpNet>>,
    pub routes: Option<Vec<Route>>,
}

impl Mirror {
    /// Everything that the kernel has told.
    fn take_in(&mut self) {
        if self.read.elapsed() > BELIEVED {
            self.forget();
        }
        let mut buffer = Vec::with_capacity(32 * 1024);
        let mut waiting: VecDeque<Vec<u8>> = VecDeque::new();
        loop {
            buffer.clear();
            match self.socket.recv(&mut buffer, libc::MSG_TRUNC) {
                Ok(length) if length > buffer.len() => self.forget(),
                Ok(_) => waiting.push_back(buffer.clone()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // Messages were lost, which is told once.
                Err(error) if error.raw_os_error() == Some(libc::ENOBUFS) => {
                    waiting.clear();
                    self.forget();
                }
                Err(_) => {
                    self.forget();
                    break;
                }
            }
        }
        for messages in waiting {
            self.tables.heard_all(&messages);
        }
    }

    fn forget(&mut self) {
        self.tables = Tables::default();
        self.read = Instant::now();
    }
}

impl Tables {
    pub(super) fn heard_all(&mut self, mut rest: &[u8]) {
        while let Some((length, kind)) = header(rest) {
            let Some(body) = rest.get(HEADER..length) else {
                // Not what a kernel sends.
                *self = Self::default();
                return;
            };
            self.heard(kind, body);
            rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
        }
    }

    fn heard(&mut self, kind: u16, body: &[u8]) {
        match kind {
            libc::RTM_NEWADDR => match address(body) {
                Some(new) => {
                    if let Some(all) = &mut self.addresses {
                        enter(all, new);
                    }
                }
                None => self.addresses = None,
            },
            libc::RTM_DELADDR => match address(body) {
                Some(old) => self.lost(&old),
                None => *self = Self::default(),
            },
            libc::RTM_NEWLINK => {
                let known = self.interfaces.as_deref().unwrap_or_default();
                // Counters and the like change all the time.
                if !link(body).is_some_and(|new| known.contains(&new)) {
                    *self = Self::default();
                }
            }
            libc::RTM_DELLINK => *self = Self::default(),
            libc::RTM_NEWROUTE | libc::RTM_DELROUTE => {
                if is_listed(body) {
                    self.prefixes = None;
                    self.routes = None;
                }
            }
            // An object that routes go by.
            _ => {
                self.prefixes = None;
                self.routes = None;
            }
        }
    }

    /// The kernel does not tell of IPv4 routes that go with an address.
    fn lost(&mut self, old: &HostAddress) {
        let Some(all) = &mut self.addresses else {
            self.prefixes = None;
            self.routes = None;
            return;
        };
        strike(all, old.ifindex, old.addr, old.prefix_len);
        let last = !all
            .iter()
            .any(|a| a.ifindex == old.ifindex && a.addr.is_ipv4() == old.addr.is_ipv4());
        let routes = self.routes.as_deref().unwrap_or_default();
        if last || routes.iter().any(|r| r.prefsrc == Some(old.addr)) {
            self.prefixes = None;
            self.routes = None;
        }
    }
}

/// Length and kind of the next message.
pub(super) fn header(rest: &[u8]) -> Option<(usize, u16)> {
    let [l0, l1, l2, l3, k0, k1, ..] = rest.first_chunk::<HEADER>()?;
    let length = u32::from_ne_bytes([*l0, *l1, *l2, *l3]) as usize;
    (length >= HEADER).then_some((length, u16::from_ne_bytes([*k0, *k1])))
}

/// Whether a route may be in a listing: each address has one that is not, and there may be thousands.
pub(super) fn is_listed(body: &[u8]) -> bool {
    let Some([_, _, _, _, _, protocol, _, kind, ..]) = body.first_chunk::<ROUTE_HEADER>() else {
        return true;
    };
    match *kind {
        libc::RTN_LOCAL => *protocol != libc::RTPROT_KERNEL,
        libc::RTN_BROADCAST | libc::RTN_ANYCAST | libc::RTN_MULTICAST => false,
        _ => true,
    }
}

/// Every interface.
pub fn interfaces() -> Result<Vec<Interface>, NetError> {
    table(|t| &mut t.interfaces, observe::interfaces)
}

/// Every address on every interface.
pub fn addresses() -> Result<Vec<HostAddress>, NetError> {
    table(|t| &mut t.addresses, observe::addresses)
}

/// The unicast routes of the main table, both families. Routes of kinds this program cannot read
/// are left out: the listing only serves to choose a source address.
pub fn routes() -> Result<Vec<Route>, NetError> {
    table(|t| &mut t.routes, observe::routes)
}

/// The prefixes that are local as a whole (AnyIP): every address in them is this machine's.
pub fn local_prefixes() -> Result<Vec<IpNet>, NetError> {
    table(|t| &mut t.prefixes, observe::local_prefixes)
}
