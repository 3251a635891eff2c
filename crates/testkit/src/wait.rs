//! Waiting for a condition that sends no event.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

/// How long a condition may take.
pub const LIMIT: Duration = Duration::from_secs(30);

/// How many times as long everything may take here: `HOSTLET_TEST_PATIENCE`, for
/// machines that are slow by nature, as one whose processor is emulated.
static PATIENCE: LazyLock<u32> = LazyLock::new(|| {
    let said = std::env::var("HOSTLET_TEST_PATIENCE").ok();
    said.and_then(|n| n.parse().ok()).unwrap_or(1).max(1)
});

/// The limit as it is on this machine; every limit for others' work goes through it.
pub fn patience(limit: Duration) -> Duration {
    limit.saturating_mul(*PATIENCE)
}

/// Waits until the condition holds; asks again at short and growing intervals.
///
/// # Errors
/// When it does not hold within [`LIMIT`], naming what was waited for.
pub fn until(what: &str, condition: impl FnMut() -> bool) -> anyhow::Result<()> {
    until_within(LIMIT, what, condition)
}

/// As [`until`], for what may take longer: many things one after the other.
///
/// # Errors
/// When it does not hold within that time (or so many times it, see [`patience`]).
#[expect(
    clippy::disallowed_methods,
    reason = "the one place where tests ask again: for what sends no event"
)]
pub fn until_within(
    limit: Duration,
    what: &str,
    mut condition: impl FnMut() -> bool,
) -> anyhow::Result<()> {
    let limit = patience(limit);
    let begin = Instant::now();
    let mut pause = Duration::from_micros(200);
    while !condition() {
        if begin.elapsed() > limit {
            anyhow::bail!("waited {limit:?} in vain for {what}");
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
    Ok(())
}

/// Lets time pass, where time is what a test is about: a server is silent for so long.
#[expect(
    clippy::disallowed_methods,
    reason = "there is no event: that nothing happens meanwhile is the point"
)]
pub fn pass(time: Duration) {
    std::thread::sleep(time);
}
