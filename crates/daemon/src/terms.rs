//! Between a lease as the state machines have it and as it is written down.

use std::fs;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use hostlet_lease::{Settings, Time, dhcp4, dhcp6, duid, hardware_address, hardware_prefix};
use hostlet_model::config::DhcpPool;
use hostlet_store::{Lease, SinceBoot, Terms};
use jiff::Timestamp;

use crate::clock::{Clock, Moment};
use crate::shared::Shared;

const MACHINE_ID: &str = "/etc/machine-id";

/// As it is written down.
pub(crate) fn written(clock: &Clock, terms: &hostlet_lease::Terms) -> Terms {
    write(&clock.moment(), terms)
}

/// As it was written down; none of a lease that no server gave.
pub(crate) fn remembered(clock: &Clock, lease: &Lease) -> Option<hostlet_lease::Terms> {
    read(&clock.moment(), lease)
}

/// How long its address is to stay on the interface, as it was written down; none: for ever.
pub(crate) fn left(clock: &Clock, lease: &Lease) -> Option<Duration> {
    let expires = remembered(clock, lease)?.expires?;
    Some(clock.until(expires))
}

fn write(now: &Moment, terms: &hostlet_lease::Terms) -> Terms {
    // What never ends is never renewed either.
    let at = |time: Option<_>| time.map_or(Timestamp::MAX, |at| now.to_timestamp(at));
    Terms {
        server: terms.server.clone(),
        renew: at(terms.renew),
        rebind: at(terms.rebind),
        expires: terms.expires.map(|at| now.to_timestamp(at)),
        hardware: terms.hardware.clone(),
        since_boot: now.boot_id.clone().map(|boot_id| SinceBoot {
            boot_id,
            written: now.boottime,
            renew: terms.renew.unwrap_or(Time::MAX),
            rebind: terms.rebind.unwrap_or(Time::MAX),
            expires: terms.expires,
        }),
    }
}

fn read(now: &Moment, lease: &Lease) -> Option<hostlet_lease::Terms> {
    let terms = lease.terms.as_ref()?;
    let since = terms.since_boot.as_ref();
    let ends = terms.expires.is_some();
    let at = |wall, boottime: fn(&SinceBoot) -> Option<Time>| {
        moment(now, wall, since.and_then(|s| Some((s, boottime(s)?))))
    };
    Some(hostlet_lease::Terms {
        address: lease.address,
        prefix_len: lease.prefix_len,
        server: terms.server.clone(),
        hardware: terms.hardware.clone(),
        renew: ends.then(|| at(terms.renew, |s| Some(s.renew))),
        rebind: ends.then(|| at(terms.rebind, |s| Some(s.rebind))),
        expires: terms.expires.map(|wall| at(wall, |s| s.expires)),
    })
}

/// When it is, of a moment that was written down by both clocks or, `since` being none, by the time of day alone; one that is past
/// is now.
fn moment(now: &Moment, wall: Timestamp, since: Option<(&SinceBoot, Time)>) -> Time {
    let by_wall = now.when(wall);
    match since {
        None => by_wall,
        // A clock that is behind what it once showed is not the same.
        Some((since, at))
            if now.boot_id.as_ref() == Some(&since.boot_id) && now.boottime >= since.written =>
        {
            at.max(now.boottime)
        }
        // The time of day may have been set, or not yet: there is never more left than there was.
        Some((since, at)) => {
            let most = at.saturating_sub(since.written);
            by_wall.min(now.boottime.saturating_add(most))
        }
    }
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

#[cfg(test)]
mod tests {
    use hostlet_store::LeaseState;

    use super::*;

    /// The time of day that the clock of the machine should show after so many seconds.
    const NOON: i64 = 1_800_000_000;

    /// So long after its start, the clock being wrong by so much.
    fn now(boot: &str, boottime: u64, wrong: i64) -> Moment {
        let wall = NOON + i64::try_from(boottime).unwrap() + wrong;
        Moment {
            boot_id: Some(boot.to_owned()),
            boottime: Duration::from_secs(boottime),
            wall: Timestamp::from_second(wall).unwrap(),
        }
    }

    fn given(at: u64) -> hostlet_lease::Terms {
        let time = |n| Some(Duration::from_secs(at + n));
        hostlet_lease::Terms {
            address: IpAddr::from([192, 0, 2, 7]),
            prefix_len: 24,
            server: "192.0.2.1".to_owned(),
            hardware: "02:ab:cd:00:00:07".to_owned(),
            renew: time(1800),
            rebind: time(3150),
            expires: time(3600),
        }
    }

    fn lease(terms: Terms) -> Lease {
        Lease {
            address: IpAddr::from([192, 0, 2, 7]),
            prefix_len: 24,
            pool: "office".parse().unwrap(),
            interface: "eth0".to_owned(),
            hostlet: "web".parse().unwrap(),
            holder: 7,
            holder_key: "1000/web/1".to_owned(),
            uid: 1000,
            user: "alice".to_owned(),
            program: Vec::new(),
            since: Timestamp::UNIX_EPOCH,
            state: LeaseState::Held,
            terms: Some(terms),
        }
    }

    /// How many seconds are left until T1, T2 and the end.
    fn left(now: &Moment, terms: &Terms) -> [Option<u64>; 3] {
        let read = read(now, &lease(terms.clone())).unwrap();
        [read.renew, read.rebind, read.expires].map(|at| at.map(|at| (at - now.boottime).as_secs()))
    }

    fn all(renew: u64, rebind: u64, expires: u64) -> [Option<u64>; 3] {
        [Some(renew), Some(rebind), Some(expires)]
    }

    const HOUR: i64 = 3600;

    #[test]
    fn in_one_boot_a_clock_that_is_set_changes_nothing() {
        let begin = now("one", 1000, 0);
        let written = write(&begin, &given(1000));
        assert_eq!(read(&begin, &lease(written.clone())), Some(given(1000)));
        for wrong in [0, HOUR, 30 * HOUR, -HOUR, -30 * HOUR, -NOON] {
            let later = now("one", 1600, wrong);
            assert_eq!(left(&later, &written), all(1200, 2550, 3000), "{wrong}");
            let late = now("one", 1000 + 3599, wrong);
            assert_eq!(left(&late, &written), all(0, 0, 1), "{wrong}");
            let over = now("one", 9999, wrong);
            assert_eq!(left(&over, &written), all(0, 0, 0), "{wrong}");
        }
    }

    #[test]
    fn in_another_boot_there_is_never_more_left_than_there_was() {
        // The time of day was 1000 seconds behind when it was written down.
        let written = write(&now("one", 5000, -1000), &given(5000));
        // 6000 seconds after noon by the sun, and by a clock that was set meanwhile.
        let other = |wrong| {
            let mut other = now("two", 30, wrong);
            other.wall = later(other.wall, 5970);
            other
        };
        assert_eq!(left(&other(-1000), &written), all(800, 2150, 2600));
        assert_eq!(left(&other(0), &written), all(0, 1150, 1600));
        assert_eq!(left(&other(HOUR), &written), all(0, 0, 0));
        for wrong in [-2 * HOUR, -30 * HOUR, -NOON] {
            assert_eq!(left(&other(wrong), &written), all(1800, 3150, 3600));
        }
        // A clock that went back without a restart is no better than another boot's.
        let back = now("one", 10, 0);
        assert_eq!(left(&back, &written), all(1800, 3150, 3600));
    }

    fn later(wall: Timestamp, seconds: i64) -> Timestamp {
        wall + jiff::SignedDuration::from_secs(seconds)
    }

    #[test]
    fn without_a_boot_the_time_of_day_counts() {
        let unknown = |boottime| Moment {
            boot_id: None,
            ..now("", boottime, 0)
        };
        let written = write(&unknown(1000), &given(1000));
        assert_eq!(written.since_boot, None);
        for now in [unknown(1600), now("one", 1600, 0)] {
            assert_eq!(left(&now, &written), all(1200, 2550, 3000));
        }
        assert_eq!(left(&now("one", 1600, HOUR), &written), all(0, 0, 0));
        let more = [Some(1200 + 3600), Some(2550 + 3600), Some(3000 + 3600)];
        assert_eq!(left(&now("one", 1600, -HOUR), &written), more);
        // Written with a boot, read without.
        let written = write(&now("one", 1000, 0), &given(1000));
        assert_eq!(left(&unknown(1600), &written), all(1200, 2550, 3000));
    }

    #[test]
    fn what_never_ends_does_not() {
        let endless = hostlet_lease::Terms {
            renew: None,
            rebind: None,
            expires: None,
            ..given(0)
        };
        let written = write(&now("one", 1000, 0), &endless);
        for now in [now("one", 1600, HOUR), now("two", 10, -NOON)] {
            assert_eq!(read(&now, &lease(written.clone())), Some(endless.clone()));
        }
        // A written time since boot that is no time at all must not go beyond the end of time.
        let mut odd = write(&now("one", 1000, 0), &given(1000));
        odd.expires = Some(Timestamp::MAX);
        odd.since_boot.as_mut().unwrap().expires = Some(Duration::MAX);
        let read = read(&now("two", 10, 0), &lease(odd)).unwrap();
        assert!(
            read.expires
                .is_some_and(|at| at > Duration::from_secs(1 << 32))
        );
    }
}
