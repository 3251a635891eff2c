//! Random numbers and retransmission times.

use std::time::Duration;

/// Random numbers for transaction ids and jitter (SplitMix64). A guess of them lets somebody on the same wire forge answers, which
/// he can as well by listening; the seed need not be more than unpredictable from elsewhere.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// From `0` to `most`, both included, in steps of a millisecond.
    pub(crate) fn up_to(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX - 1);
        Duration::from_millis(self.next() % (most.saturating_add(1)))
    }

    /// `around` give or take `by`.
    pub(crate) fn about(&mut self, around: Duration, by: Duration) -> Duration {
        (around + self.up_to(2 * by)).saturating_sub(by)
    }
}

/// How long the server's time values are: seconds, or for ever.
pub(crate) fn seconds(value: u32) -> Option<Duration> {
    // 0xffffffff means infinity in both protocols.
    (value != u32::MAX).then(|| Duration::from_secs(value.into()))
}

/// When to try again for a lease: half of the time that remains until `end`, but not sooner than a minute (RFC 2131, 4.4.5); for
/// leases shorter than ten minutes not sooner than a tenth of them, else one lost message would cost such a lease.
pub(crate) fn half_remaining(now: Duration, end: Duration, lifetime: Duration) -> Duration {
    let least = (lifetime / 10).clamp(Duration::from_secs(1), Duration::from_secs(60));
    let remaining = end.saturating_sub(now);
    now + (remaining / 2).max(least).min(remaining)
}

/// What a client waits before it starts over after its `failures`th failure in a row: nothing at first, then 1, 2, 4 … 64 s, so that
/// a server that always says no is not flooded.
pub(crate) fn after_failure(failures: u32) -> Duration {
    match failures {
        0 | 1 => Duration::ZERO,
        n => Duration::from_secs(1 << (n - 2).min(6)),
    }
}

/// The same after a conflict: somebody else uses the address. RFC 2131, 3.1.5 asks for ten seconds, against loops; a login waits, so
/// the first three conflicts in a row cost less.
pub(crate) fn after_conflict(failures: u32) -> Duration {
    let least = if failures <= 3 { 1 } else { 10 };
    after_failure(failures).max(Duration::from_secs(least))
}

/// What a server said, for people: one line, printable, not long.
pub(crate) fn printable(text: &[u8]) -> String {
    String::from_utf8_lossy(text)
        .chars()
        .filter(|c| !c.is_control())
        .take(200)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: fn(u64) -> Duration = Duration::from_secs;

    #[test]
    fn jitter_stays_within_its_bounds() {
        let mut random = Random::new(1);
        for _ in 0..10_000 {
            let t = random.about(S(4), S(1));
            assert!((S(3)..=S(5)).contains(&t), "{t:?}");
        }
    }

    #[test]
    fn a_renewal_is_tried_again_after_half_of_the_rest_but_a_minute_at_least() {
        let lease = S(3600);
        assert_eq!(half_remaining(S(1800), S(3150), lease), S(2475));
        assert_eq!(half_remaining(S(3100), S(3150), lease), S(3150));
        assert_eq!(half_remaining(S(3000), S(3150), lease), S(3075));
        assert_eq!(half_remaining(S(3050), S(3150), lease), S(3110));
        // A lease of two minutes gets more than one chance.
        assert_eq!(half_remaining(S(60), S(105), S(120)), S(60) + S(45) / 2);
    }

    #[test]
    fn one_failure_costs_nothing_and_many_cost_a_minute() {
        let waits: Vec<u64> = (1..10).map(|n| after_failure(n).as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 64]);
        let waits: Vec<u64> = (1..6).map(|n| after_conflict(n).as_secs()).collect();
        assert_eq!(waits, [1, 1, 2, 10, 10]);
    }

    #[test]
    fn a_servers_words_are_one_printable_line() {
        assert_eq!(printable(b"no\x1b[2J \xffway\n\0"), "no[2J \u{fffd}way");
        assert_eq!(printable(&[b'x'; 1000]).len(), 200);
    }
}
