//! Leased addresses on their interfaces. Only what carries hostlet's mark is ever taken away (B16).

use std::net::IpAddr;
use std::time::Duration;

use hostlet_platform::neighbour::Announcer;
use hostlet_platform::netlink::{self, NetError};

use crate::log;

/// Puts an address on an interface and tells the neighbours. False: the machine has it already, there or
/// on another interface.
pub(crate) fn place(
    announcer: &Announcer,
    ifindex: u32,
    address: IpAddr,
    valid: Option<Duration>,
) -> Result<bool, NetError> {
    if netlink::addresses()?.iter().any(|a| a.addr == address) {
        return Ok(false);
    }
    if !netlink::lend_address(ifindex, address, alone(address), valid)? {
        return Ok(false);
    }
    if let Err(error) = announcer.announce(ifindex, address) {
        // Neighbours that remember another holder find out by themselves, later.
        log::warning(format_args!("{address} could not be announced: {error}"));
    }
    Ok(true)
}

/// The length under which a lent address is on its interface. As one of a subnet it could become that subnet's first, and when
/// the kernel takes that away at the end of a lease, all others of the subnet go with it, the machine's own included.
pub(crate) fn alone(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

/// Takes an address away, from wherever it carries our mark; one that is gone is no error.
pub(crate) fn remove(address: IpAddr) -> Result<(), NetError> {
    for there in netlink::addresses()? {
        if there.addr == address && there.ours {
            netlink::del_address(there.ifindex, address, there.prefix_len)?;
        }
    }
    Ok(())
}

/// Where the machine has an address by our hand, if anywhere.
pub(crate) fn placed(address: IpAddr) -> Result<bool, NetError> {
    let all = netlink::addresses()?;
    Ok(all.iter().any(|a| a.addr == address && a.ours))
}
