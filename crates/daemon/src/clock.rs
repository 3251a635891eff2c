//! What time it is. Injected, so that a lease of a day can be seen through in a second.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hostlet_lease::Time;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

/// The time since the machine was started, sleep included, and the time of day; both can be set
/// ahead. Never back.
#[derive(Debug, Default)]
pub struct Clock {
    /// Milliseconds.
    ahead: AtomicU64,
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
        later(self.timestamp(), self.until(at))
    }

    /// The moment of a time of day; one that is past is now.
    #[must_use]
    pub fn from_timestamp(&self, at: Timestamp) -> Time {
        let left = at.duration_since(self.timestamp());
        self.now() + Duration::try_from(left).unwrap_or_default()
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
        let back = clock.from_timestamp(clock.to_timestamp(at));
        assert!(at.abs_diff(back) < Duration::from_secs(1));
        assert_eq!(clock.until(Duration::ZERO), Duration::ZERO);
        assert_eq!(clock.to_timestamp(Duration::MAX), Timestamp::MAX);
    }
}
