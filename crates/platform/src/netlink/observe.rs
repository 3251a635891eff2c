//! Reading the kernel's tables.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use netlink_packet_core::{Emitable, NlasIterator, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::AddressMessage;
use netlink_packet_route::link::{LinkFlags, LinkHeader, LinkMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteType, RouteVia,
};
use netlink_sys::protocols::NETLINK_ROUTE;

use super::transport::{Connection, Message};
use super::{ADDRESS_PROTOCOL, HostAddress, Interface, NetError, Route};

const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const LINK_HEADER: usize = 16;

/// The attribute IFLA_EXT_MASK with RTEXT_FILTER_SKIP_STATS: to add the counters up takes the kernel longer than all else.
const NO_COUNTERS: [u8; 8] = [8, 0, 29, 0, 8, 0, 0, 0];

const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const IFA_FLAGS: u16 = 8;
const IFA_PROTO: u16 = 11;
const ADDRESS_HEADER: usize = 8;

fn table(name: &'static str, kind: u16, request: &dyn Emitable) -> Result<Vec<Message>, NetError> {
    let mut body = vec![0; request.buffer_len()];
    request.emit(&mut body);
    if kind == libc::RTM_GETLINK {
        body.extend(NO_COUNTERS);
    }
    Connection::with(NETLINK_ROUTE, |connection| {
        connection.dump(Message { kind, body })
    })
    .map_err(|source| NetError::Read {
        table: name,
        source,
    })
}

/// Every interface.
pub(super) fn interfaces() -> Result<Vec<Interface>, NetError> {
    let answers = table("interfaces", libc::RTM_GETLINK, &LinkMessage::default())?;
    Ok(answers.iter().filter_map(|m| link(&m.body)).collect())
}

/// Only what is needed is looked for among the attributes: drivers add kinds that no library knows.
pub(super) fn link(body: &[u8]) -> Option<Interface> {
    let header = LinkHeader::parse(body).ok()?;
    let attributes = body.get(LINK_HEADER..)?;
    let find = |kind| {
        NlasIterator::new(attributes)
            .filter_map(Result::ok)
            .find(|nla| nla.kind() == kind)
    };
    let name = find(IFLA_IFNAME)?;
    let loopback = header.flags.contains(LinkFlags::Loopback);
    let mac = find(IFLA_ADDRESS)
        .filter(|_| !loopback)
        .and_then(|nla| nla.value().try_into().ok());
    Some(Interface {
        index: header.index,
        name: String::from_utf8_lossy(name.value())
            .trim_end_matches('\0')
            .to_owned(),
        up: header.flags.contains(LinkFlags::Up),
        loopback,
        mac,
    })
}

/// Every address on every interface.
pub(super) fn addresses() -> Result<Vec<HostAddress>, NetError> {
    let answers = table("addresses", libc::RTM_GETADDR, &AddressMessage::default())?;
    Ok(answers.iter().filter_map(|m| address(&m.body)).collect())
}

/// Read by hand: there may be thousands, and a library that makes a list of all attributes of each takes longer than the kernel.
pub(super) fn address(body: &[u8]) -> Option<HostAddress> {
    let [family, prefix_len, flags, _scope, index @ ..] = body.first_chunk::<ADDRESS_HEADER>()?;
    let mut local = None;
    let mut plain = None;
    let mut flags = u32::from(*flags);
    let mut ours = false;
    for attribute in NlasIterator::new(body.get(ADDRESS_HEADER..)?).filter_map(Result::ok) {
        let value = attribute.value();
        match attribute.kind() {
            // On a point-to-point link IFA_ADDRESS is the other end; IFA_LOCAL is always ours.
            IFA_LOCAL => local = address_of(*family, value),
            IFA_ADDRESS => plain = address_of(*family, value),
            IFA_FLAGS => flags = value.try_into().map_or(flags, u32::from_ne_bytes),
            IFA_PROTO => ours = value == [ADDRESS_PROTOCOL],
            _ => {}
        }
    }
    Some(HostAddress {
        addr: local.or(plain)?,
        prefix_len: *prefix_len,
        ifindex: u32::from_ne_bytes(*index),
        flags,
        ours,
    })
}

fn address_of(family: u8, value: &[u8]) -> Option<IpAddr> {
    match i32::from(family) {
        libc::AF_INET => Some(<[u8; 4]>::try_from(value).ok()?.into()),
        libc::AF_INET6 => Some(<[u8; 16]>::try_from(value).ok()?.into()),
        _ => None,
    }
}

/// The unicast routes of the main table, both families. Routes of kinds this program cannot read
/// are left out: the listing serves to choose a source address, and to warn of taking a router's.
pub(super) fn routes() -> Result<Vec<Route>, NetError> {
    let mut found = Vec::new();
    for message in all_routes()? {
        if message.header.kind == RouteType::Unicast
            && table_of(&message) == u32::from(RouteHeader::RT_TABLE_MAIN)
        {
            unicast(&message, &mut found);
        }
    }
    Ok(found)
}

/// The prefixes that are local as a whole (AnyIP): every address in them is this machine's.
pub(super) fn local_prefixes() -> Result<Vec<IpNet>, NetError> {
    let mut found = Vec::new();
    for message in all_routes()? {
        let full = match message.header.address_family {
            AddressFamily::Inet => 32,
            _ => 128,
        };
        // The kernel's own entry is 127.0.0.0/8.
        if message.header.kind == RouteType::Local
            && message.header.protocol != RouteProtocol::Kernel
            && message.header.destination_prefix_length < full
        {
            found.extend(destination(&message));
        }
    }
    found.sort();
    found.dedup();
    Ok(found)
}

fn all_routes() -> Result<Vec<RouteMessage>, NetError> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut request = RouteMessage::default();
        request.header.address_family = family;
        let answers = table("routes", libc::RTM_GETROUTE, &request)?;
        found.extend(
            answers
                .iter()
                .filter_map(|m| RouteMessage::parse(m.body.as_slice()).ok())
                // A kernel without IPv6 answers the question for IPv6 with the IPv4 table.
                .filter(|m| m.header.address_family == family),
        );
    }
    Ok(found)
}

fn table_of(message: &RouteMessage) -> u32 {
    message
        .attributes
        .iter()
        .find_map(|a| match a {
            RouteAttribute::Table(table) => Some(*table),
            _ => None,
        })
        .unwrap_or(u32::from(message.header.table))
}

fn destination(message: &RouteMessage) -> Option<IpNet> {
    let written = message.attributes.iter().find_map(|a| match a {
        RouteAttribute::Destination(address) => ip(address),
        _ => None,
    });
    // The default route carries no destination at all.
    let addr = match (written, message.header.address_family) {
        (Some(addr), _) => addr,
        (None, AddressFamily::Inet) => Ipv4Addr::UNSPECIFIED.into(),
        (None, _) => Ipv6Addr::UNSPECIFIED.into(),
    };
    IpNet::new(addr, message.header.destination_prefix_length).ok()
}

pub(super) fn unicast(message: &RouteMessage, found: &mut Vec<Route>) {
    let Some(dst) = destination(message) else {
        return;
    };
    let mut prefsrc = None;
    let mut metric = 0;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::PrefSource(address) => prefsrc = ip(address),
            RouteAttribute::Priority(value) => metric = *value,
            _ => {}
        }
    }
    let mut add = |ifindex, gateway| {
        found.push(Route {
            dst,
            ifindex,
            gateway,
            prefsrc,
            metric,
        });
    };
    let mut ifindex = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Oif(index) => ifindex = Some(*index),
            RouteAttribute::MultiPath(hops) => {
                for hop in hops {
                    add(hop.interface_index, gateway(&hop.attributes));
                }
            }
            _ => {}
        }
    }
    if let Some(index) = ifindex {
        add(index, gateway(&message.attributes));
    }
}

fn gateway(attributes: &[RouteAttribute]) -> Option<IpAddr> {
    attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(address) => ip(address),
        RouteAttribute::Via(RouteVia::Inet(address)) => Some((*address).into()),
        RouteAttribute::Via(RouteVia::Inet6(address)) => Some((*address).into()),
        _ => None,
    })
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(a) => Some((*a).into()),
        RouteAddress::Inet6(a) => Some((*a).into()),
        _ => None,
    }
}
