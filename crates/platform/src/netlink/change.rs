//! Changing addresses and interfaces. Every change is exact: it says whether it was needed, and
//! nothing but what is named is touched.

use std::fs;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use netlink_packet_core::{Emitable, NLM_F_REPLACE};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressProtocol, AddressScope, CacheInfo,
};
use netlink_packet_route::link::{LinkFlags, LinkMessage};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::many::{Placed, add_addresses, add_for};
use super::transport::{Connection, Message};
use super::{ADDRESS_PROTOCOL, HostAddress, NetError, addresses, interfaces, mirror};

/// What an address is put on an interface for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressKind {
    /// A hostlet's own address: valid for ever, no duplicate address detection, no route to its
    /// prefix (the interface has that already, or the prefix is not on the link). If IPv6, never
    /// chosen as a source by the kernel while the host has another.
    Plain,
    /// The same, with the route to its prefix: the first address of its subnet there.
    OnLink,
    /// A hostlet's dedicated IPv6 loopback address; neither is it chosen as a source.
    Loopback6,
}

pub(super) fn family(addr: IpAddr) -> AddressFamily {
    match addr {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    }
}

pub(super) fn change(kind: u16, flags: u16, request: &dyn Emitable) -> io::Result<()> {
    let mut body = vec![0; request.buffer_len()];
    request.emit(&mut body);
    Connection::with(NETLINK_ROUTE, |connection| {
        connection.change(Message { kind, body }, flags)
    })
}

pub(super) fn address_message(ifindex: u32, addr: IpAddr, prefix_len: u8) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = family(addr);
    message.header.prefix_len = prefix_len;
    message.header.index = ifindex;
    message.attributes.push(AddressAttribute::Local(addr));
    message.attributes.push(AddressAttribute::Address(addr));
    message
}

/// The message that makes an address of hostlet's, or gives one that is there another lifetime.
pub(super) fn own_address(
    ifindex: u32,
    addr: IpAddr,
    prefix_len: u8,
    kind: AddressKind,
    valid: u32,
) -> AddressMessage {
    let mut message = address_message(ifindex, addr, prefix_len);
    let mut flags = AddressFlags::empty();
    if kind != AddressKind::OnLink {
        flags |= AddressFlags::Noprefixroute;
    }
    if addr.is_ipv6() {
        flags |= AddressFlags::Nodad;
    }
    if kind != AddressKind::Loopback6 && addr.is_loopback() {
        message.header.scope = AddressScope::Host;
    }
    let mut lifetime = CacheInfo::default();
    lifetime.ifa_valid = valid;
    // IPv6: deprecated from the start, so that nobody outside the hostlet gets it as a source by
    // chance. To IPv4 the preference means nothing.
    lifetime.ifa_preferred = if addr.is_ipv6() { 0 } else { valid };
    message.attributes.extend([
        AddressAttribute::Flags(flags),
        AddressAttribute::CacheInfo(lifetime),
        AddressAttribute::Protocol(AddressProtocol::from(ADDRESS_PROTOCOL)),
    ]);
    message
}

/// A lifetime as the kernel counts it, in whole seconds, never shorter than what was asked for. It
/// refuses zero, and takes the largest number for "for ever".
fn seconds(valid: Option<Duration>) -> u32 {
    let Some(valid) = valid else {
        return u32::MAX;
    };
    let whole = valid.as_secs() + u64::from(valid.subsec_nanos() > 0);
    u32::try_from(whole.max(1)).map_or(u32::MAX - 1, |s| s.min(u32::MAX - 1))
}

/// Puts an address on an interface for ever, with hostlet's mark. False if it was there already
/// (with that prefix length): it is then not hostlet's, and not to be removed.
pub fn add_address(
    ifindex: u32,
    addr: IpAddr,
    prefix_len: u8,
    kind: AddressKind,
) -> Result<bool, NetError> {
    let placed = Placed {
        ifindex,
        addr,
        prefix_len,
    };
    add_addresses(&[placed], kind).1
}

/// Puts an address that is lent to a hostlet on an interface: as [`AddressKind::Plain`], with hostlet's
/// mark. The kernel itself takes it away when `valid` is over (rounded up to seconds), unless
/// [`set_lifetime`] comes before; none: for ever. False if it was there already (with that prefix
/// length; if IPv6, or on another interface).
pub fn lend_address(
    ifindex: u32,
    addr: IpAddr,
    prefix_len: u8,
    valid: Option<Duration>,
) -> Result<bool, NetError> {
    // What others put there a moment ago is not in a table that is kept in memory.
    if addr.is_ipv6() && is_assigned(addr)? {
        return Ok(false);
    }
    let placed = Placed {
        ifindex,
        addr,
        prefix_len,
    };
    add_for(&[placed], AddressKind::Plain, seconds(valid)).1
}

/// Whether an IPv6 address is on an interface, whichever; the kernel is asked for just this one.
fn is_assigned(addr: IpAddr) -> Result<bool, NetError> {
    match change(libc::RTM_GETADDR, 0, &address_message(0, addr, 128)) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) => Ok(false),
        Err(source) => Err(NetError::Change {
            what: format!("find out whether {addr} is on this machine"),
            source,
        }),
    }
}

/// An address of hostlet's as the kernel has it right after it was put there.
pub(super) fn new_address(ifindex: u32, addr: IpAddr, prefix_len: u8) -> HostAddress {
    let v6 = libc::IFA_F_NODAD | libc::IFA_F_DEPRECATED;
    HostAddress {
        addr,
        prefix_len,
        ifindex,
        flags: if addr.is_ipv6() { v6 } else { 0 },
        ours: true,
    }
}

/// Gives an address another lifetime, counted from now. False if it is not there with that prefix
/// length and hostlet's mark.
pub fn set_lifetime(
    ifindex: u32,
    addr: IpAddr,
    prefix_len: u8,
    valid: Option<Duration>,
) -> Result<bool, NetError> {
    // The kernel would make an address that is not there, and change one that is another's.
    let there = addresses()?
        .iter()
        .any(|a| a.ours && a.ifindex == ifindex && a.addr == addr && a.prefix_len == prefix_len);
    if !there {
        return Ok(false);
    }
    let message = own_address(
        ifindex,
        addr,
        prefix_len,
        AddressKind::Plain,
        seconds(valid),
    );
    change(libc::RTM_NEWADDR, NLM_F_REPLACE, &message)
        .map(|()| true)
        .map_err(refused(
            ifindex,
            addr,
            prefix_len,
            "set the lifetime of",
            "on",
        ))
}

/// An interface as people know it; by its number if it is gone. Asks the kernel: the mirror may be held.
fn named(ifindex: u32) -> String {
    use rustix::net::{AddressFamily, SocketType, netdevice, socket};
    let name = socket(AddressFamily::INET, SocketType::DGRAM, None)
        .and_then(|any| netdevice::index_to_name(any, ifindex));
    match name {
        Ok(name) => format!("interface '{name}'"),
        Err(_) => format!("interface {ifindex}"),
    }
}

pub(super) fn refused(
    ifindex: u32,
    addr: IpAddr,
    prefix_len: u8,
    verb: &'static str,
    place: &'static str,
) -> impl FnOnce(io::Error) -> NetError {
    move |source| NetError::Change {
        what: format!("{verb} {addr}/{prefix_len} {place} {}", named(ifindex)),
        source,
    }
}

/// Takes an address off an interface. False if it was not there.
///
/// Removing the first IPv4 address of a subnet makes the kernel remove the others of that subnet
/// as well, unless the interface promotes secondaries. Those others are not ours: promotion is
/// switched on for the moment of the removal.
pub fn del_address(ifindex: u32, addr: IpAddr, prefix_len: u8) -> Result<bool, NetError> {
    let promotion = match addr {
        // One that is alone in its subnet takes nobody along; all addresses need not be read for it.
        IpAddr::V4(_) if prefix_len < 32 => Promotion::needed(ifindex, addr, prefix_len)?,
        _ => None,
    };
    let message = address_message(ifindex, addr, prefix_len);
    let gone = mirror::change(
        || Ok(change(libc::RTM_DELADDR, 0, &message)),
        |outcome, all| {
            if outcome.is_ok() {
                mirror::strike(all, ifindex, addr, prefix_len);
            }
        },
    )?;
    drop(promotion);
    match gone {
        Ok(()) => Ok(true),
        Err(error) if is_gone(&error) => Ok(false),
        Err(source) => Err(NetError::Change {
            what: format!("remove {addr}/{prefix_len} from {}", named(ifindex)),
            source,
        }),
    }
}

/// The address, or its interface, is not there.
pub(super) fn is_gone(error: &io::Error) -> bool {
    let gone = [libc::EADDRNOTAVAIL, libc::ENODEV, libc::ENOENT];
    error
        .raw_os_error()
        .is_some_and(|code| gone.contains(&code))
}

/// `promote_secondaries` of one interface, switched on; switched back when dropped.
struct Promotion {
    path: String,
}

impl Promotion {
    fn needed(ifindex: u32, addr: IpAddr, len: u8) -> Result<Option<Promotion>, NetError> {
        let Ok(net) = IpNet::new(addr, len) else {
            return Ok(None);
        };
        let net = net.trunc();
        let secondary = |a: &HostAddress| a.flags & libc::IFA_F_SECONDARY != 0;
        let peers: Vec<_> = addresses()?
            .into_iter()
            .filter(|a| a.ifindex == ifindex && a.prefix_len == len && net.contains(&a.addr))
            .collect();
        let first = peers.iter().any(|a| a.addr == addr && !secondary(a));
        if !first || !peers.iter().any(secondary) {
            return Ok(None);
        }
        let Some(interface) = interfaces()?.into_iter().find(|i| i.index == ifindex) else {
            return Ok(None);
        };
        let path = format!(
            "/proc/sys/net/ipv4/conf/{}/promote_secondaries",
            interface.name
        );
        let failed = |source| NetError::Change {
            what: format!(
                "keep the other addresses of {net} on {} while {addr} is removed (write {path})",
                interface.name
            ),
            source,
        };
        if fs::read_to_string(&path).map_err(failed)?.trim() != "0" {
            return Ok(None);
        }
        fs::write(&path, "1").map_err(failed)?;
        Ok(Some(Promotion { path }))
    }
}

impl Drop for Promotion {
    fn drop(&mut self) {
        // The interface may have gone meanwhile; there is nobody to tell.
        let _ = fs::write(&self.path, "0");
    }
}

/// Switches an interface on.
pub fn set_up(ifindex: u32) -> Result<(), NetError> {
    let mut message = LinkMessage::default();
    message.header.index = ifindex;
    message.header.flags = LinkFlags::Up;
    message.header.change_mask = LinkFlags::Up;
    change(libc::RTM_NEWLINK, 0, &message).map_err(|source| NetError::Change {
        what: format!("switch {} on", named(ifindex)),
        source,
    })
}
