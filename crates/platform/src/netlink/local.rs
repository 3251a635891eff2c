//! Prefixes that are local as a whole (AnyIP): every address in them is this machine's.

use std::io;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteMessage, RouteProtocol, RouteScope, RouteType,
};

use super::change::{change, family};
use super::many::{is_there, left};
use super::{NetError, ROUTE_PROTOCOL, interfaces, observe};

fn local_route(prefix: IpNet) -> Result<RouteMessage, NetError> {
    let lo = interfaces()?
        .into_iter()
        .find(|i| i.loopback)
        .ok_or_else(|| NetError::Change {
            what: format!("make {prefix} local"),
            source: io::Error::from_raw_os_error(libc::ENODEV),
        })?;
    let prefix = prefix.trunc();
    let mut message = RouteMessage::default();
    message.header.address_family = family(prefix.addr());
    message.header.destination_prefix_length = prefix.prefix_len();
    message.header.table = libc::RT_TABLE_LOCAL;
    message.header.protocol = RouteProtocol::Other(ROUTE_PROTOCOL);
    message.header.scope = RouteScope::Host;
    message.header.kind = RouteType::Local;
    message
        .attributes
        .push(RouteAttribute::Destination(RouteAddress::from(
            prefix.addr(),
        )));
    message.attributes.push(RouteAttribute::Oif(lo.index));
    Ok(message)
}

/// Makes every address of a prefix local (AnyIP). False if such a route was there already.
pub fn add_local_prefix(prefix: IpNet) -> Result<bool, NetError> {
    match change(
        libc::RTM_NEWROUTE,
        NLM_F_CREATE | NLM_F_EXCL,
        &local_route(prefix)?,
    ) {
        Ok(()) => Ok(true),
        Err(error) if is_there(&error) => Ok(false),
        Err(source) => {
            let what = format!("make {prefix} local");
            let error = NetError::Change { what, source };
            // The answer may be lost. What the kernel did shows by what is there.
            match observe::local_prefixes() {
                Ok(all) if all.contains(&prefix.trunc()) => Ok(true),
                Ok(_) => Err(error),
                Err(undo) => Err(left(error, undo)),
            }
        }
    }
}

/// Takes back what [`add_local_prefix`] did. False if there is no such route of hostlet's, as where the kernel has no IPv6.
pub fn del_local_prefix(prefix: IpNet) -> Result<bool, NetError> {
    match change(libc::RTM_DELROUTE, 0, &local_route(prefix)?) {
        Ok(()) => Ok(true),
        Err(error) if no_such_route(&error) => Ok(false),
        Err(source) => Err(NetError::Change {
            what: format!("make {prefix} no longer local"),
            source,
        }),
    }
}

/// A kernel that was started with `ipv6.disable=1` knows no routes of that family.
fn no_such_route(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(libc::ESRCH | libc::ENOENT | libc::EOPNOTSUPP | libc::EAFNOSUPPORT)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kernel_without_ipv6_has_no_such_route() {
        for code in [libc::ESRCH, libc::EOPNOTSUPP, libc::EAFNOSUPPORT] {
            assert!(no_such_route(&io::Error::from_raw_os_error(code)), "{code}");
        }
        let denied = io::Error::from_raw_os_error(libc::EPERM);
        assert!(!no_such_route(&denied));
    }
}
