//! What time it is. Injected, so that a lease of a day can be seen through in a second.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hostlet_lease::Time;
use hostlet_platform::proc;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The time since the machine was started, sleep included, and the time of day; both can be set
/// ahead. Never back.
#[derive(Debug, Default)]
pub struct Clock {
    /// Milliseconds.
    ahead: AtomicU64,
    /// None: it cannot be read.
    boot_id: OnceLock<Option<String>>,
}

/// One moment, by both clocks: by the one that nobody sets, and by the one that people read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Moment {
    /// In which boot; none if the machine does not say.
    pub boot_id: Option<String>,
    /// How long that has lasted.
    pub boottime: Time,
    /// The time of day.
    pub wall: Timestamp,
}

impl Moment {
    /// The time of day of a moment to come; of one that is past it is now.
    pub fn to_timestamp(&self, at: Time) -> Timestamp {
        later(self.wall, at.saturating_sub(self.boottime))
    }

    /// The moment of a time of day; one that is past is now.
    pub fn when(&self, at: Timestamp) -> Time {
        let left = at.duration_since(self.wall);
        self.boottime + Duration::try_from(left).unwrap_or_default()
    }
}

impl Clock {
    /// The machine's own time.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets it ahead. Whoever waits for a moment has to be woken afterwards:
    /// [`crate::Daemon::advance`] does both.
    pub(crate) fn advance(&self, by: Duration) {
        let millis = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        self.ahead.fetch_add(millis, Ordering::SeqCst);
    }

    fn ahead(&self) -> Duration {
        Duration::from_millis(self.ahead.load(Ordering::SeqCst))
    }

    /// Now, as the state machines of leases count it.
    #[must_use]
    pub fn now(&self) -> Time {
        let now = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
        let nanos = u32::try_from(now.tv_nsec).unwrap_or(0);
        Duration::new(seconds, nanos) + self.ahead()
    }

    /// Now, by both clocks.
    pub(crate) fn moment(&self) -> Moment {
        let boot_id = self.boot_id.get_or_init(|| proc::boot_id().ok());
        Moment {
            boot_id: boot_id.clone(),
            boottime: self.now(),
            wall: self.timestamp(),
        }
    }

    /// How long it is from now to that moment; zero if it is past.
    #[must_use]
    pub fn until(&self, at: Time) -> Duration {
        at.saturating_sub(self.now())
    }

    /// Now, as people write it.
    #[must_use]
    pub fn timestamp(&self) -> Timestamp {
        later(Timestamp::now(), self.ahead())
    }

    /// The time of day of a moment to come.
    #[must_use]
    pub fn to_timestamp(&self, at: Time) -> Timestamp {
        self.moment().to_timestamp(at)
    }
}

/// Stays at the end of time rather than going round.
fn later(from: Timestamp, by: Duration) -> Timestamp {
    SignedDuration::try_from(by)
        .ok()
        .and_then(|by| from.checked_add(by).ok())
        .unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_times_of_day_convert_both_ways() {
        let clock = Clock::new();
        clock.advance(Duration::from_secs(3600));
        let at = clock.now() + Duration::from_secs(600);
        let now = clock.moment();
        assert_eq!(now.when(now.to_timestamp(at)), at);
        assert_eq!(now.to_timestamp(Duration::ZERO), now.wall);
        assert_eq!(now.when(Timestamp::MIN), now.boottime);
        assert_eq!(clock.until(Duration::ZERO), Duration::ZERO);
        assert_eq!(clock.to_timestamp(Duration::MAX), Timestamp::MAX);
    }
}
