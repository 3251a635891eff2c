//! What the kernel part has to know of the network: routes, and interfaces to listen on.

use std::collections::BTreeSet;

use hostlet_kernel::RouteEntry;
use hostlet_platform::netlink;
use hostlet_store::Follows;

use crate::error::Result;
use crate::machine::Machine;
use crate::observe;

/// Makes the kernel's picture of the network true. Without a hostlet there is nothing to do.
pub(crate) fn refresh(machine: &Machine<'_>) -> Result<()> {
    let Some(kernel) = &machine.kernel else {
        return Ok(());
    };
    if machine.store.is_empty()? {
        return Ok(());
    }
    kernel.wake()?;
    let interfaces: Vec<u32> = netlink::interfaces()?.iter().map(|i| i.index).collect();
    kernel.watch(&interfaces)?;
    let follows = machine.store.follows()?;
    // What has become local is so before a route is looked at.
    let local = match follows {
        Follows::RoutesAndLocals => observe::local()?,
        Follows::Nothing | Follows::Routes => Vec::new(),
    };
    kernel.set_locals(&local)?;
    // A full routing table is only mirrored where it decides something.
    let routes = match follows {
        Follows::Nothing => Vec::new(),
        Follows::Routes | Follows::RoutesAndLocals => observe::routes()?,
    };
    let mut known = BTreeSet::new();
    let best: Vec<RouteEntry> = routes
        .into_iter()
        // The better one of two to the same destination comes first.
        .filter(|route| known.insert(route.dst))
        .map(|r| RouteEntry {
            dst: r.dst,
            ifindex: r.ifindex,
            gateway: r.gateway,
            prefsrc: r.source,
        })
        .collect();
    Ok(kernel.set_routes(&best)?)
}
