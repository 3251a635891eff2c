//! Between a lease as the state machines have it and as it is written down.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::IpAddr;

use hostlet_lease::{Settings, dhcp4, dhcp6, duid, hardware_address, hardware_prefix};
use hostlet_model::config::DhcpPool;
use hostlet_store::{Lease, Terms};
use jiff::Timestamp;

use crate::clock::Clock;
use crate::shared::Shared;

const MACHINE_ID: &str = "/etc/machine-id";

/// As it is written down.
pub(crate) fn written(clock: &Clock, terms: &hostlet_lease::Terms) -> Terms {
    // What never ends is never renewed either.
    let at = |time: Option<_>| time.map_or(Timestamp::MAX, |at| clock.to_timestamp(at));
    Terms {
        server: terms.server.clone(),
        renew: at(terms.renew),
        rebind: at(terms.rebind),
        expires: terms.expires.map(|at| clock.to_timestamp(at)),
        hardware: terms.hardware.clone(),
    }
}

/// As it was written down; none of a lease that no server gave.
pub(crate) fn remembered(clock: &Clock, lease: &Lease) -> Option<hostlet_lease::Terms> {
    let terms = lease.terms.as_ref()?;
    let ends = terms.expires.is_some();
    Some(hostlet_lease::Terms {
        address: lease.address,
        prefix_len: lease.prefix_len,
        server: terms.server.clone(),
        hardware: terms.hardware.clone(),
        renew: ends.then(|| clock.from_timestamp(terms.renew)),
        rebind: ends.then(|| clock.from_timestamp(terms.rebind)),
        expires: terms.expires.map(|at| clock.from_timestamp(at)),
    })
}

/// Who asks a server. `wish` is what the caller insists on; `last` what the holder had before.
pub(crate) fn settings(
    shared: &Shared,
    pool: &DhcpPool,
    lease: &Lease,
    v6: bool,
    wish: Option<IpAddr>,
    last: Option<IpAddr>,
) -> io::Result<Settings> {
    let machine = fs::read_to_string(MACHINE_ID).map_err(|error| {
        let what = format!(
            "cannot read {MACHINE_ID}, from which hardware addresses are made: {error}; make one with 'systemd-machine-id-setup', or set hardware-prefix under [dhcp]"
        );
        io::Error::new(error.kind(), what)
    });
    let configured = shared.config().dhcp.hardware_prefix;
    let (machine, prefix) = match (machine, configured) {
        (Ok(machine), given) => {
            let prefix = given.unwrap_or_else(|| hardware_prefix(&machine));
            (machine, prefix)
        }
        (Err(_), Some(given)) => (String::new(), given),
        (Err(error), None) => return Err(error),
    };
    let hostname = Some(lease.hostlet.to_string());
    let user_class = pool.user_class.clone();
    let insist = wish.is_some();
    // Unpredictable, which is all that is asked of it.
    let seed = RandomState::new().build_hasher().finish();
    Ok(if v6 {
        Settings::V6(dhcp6::Settings {
            duid: duid(&machine, prefix),
            iaid: lease.holder,
            hostname,
            user_class,
            wish: wish.or(last).and_then(|a| match a {
                IpAddr::V6(a) => Some(a),
                IpAddr::V4(_) => None,
            }),
            insist,
            seed,
        })
    } else {
        Settings::V4(dhcp4::Settings {
            hardware: hardware_address(prefix, lease.holder),
            hostname,
            user_class,
            wish: wish.or(last).and_then(|a| match a {
                IpAddr::V4(a) => Some(a),
                IpAddr::V6(_) => None,
            }),
            insist,
            seed,
        })
    })
}
