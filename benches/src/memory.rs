//! What the kernel itself holds.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};

/// What shows the kernel's memory.
pub const MEMINFO: &str =
    "cat /proc/sys/vm/stat_refresh; grep -E 'SUnreclaim|Percpu' /proc/meminfo";

/// What the kernel holds for itself and cannot give back on demand, as soon as that falls no more: much is given back some time after
/// its last user is gone. Other work on the machine shows in it as well.
pub fn kernel_kib() -> Result<f64> {
    let mut least = held_kib()?;
    // Half a second is several times the kernel's grace period; a busy machine is not waited for longer than two.
    let (mut calm, mut asked) = (0, 0);
    while calm < 5 && asked < 20 {
        pause();
        let now = held_kib()?;
        // Less than this is in no figure of hundreds.
        calm = if now < least - 64.0 { 0 } else { calm + 1 };
        least = least.min(now);
        asked += 1;
    }
    held_kib()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the kernel does not tell when it has given memory back"
)]
fn pause() {
    std::thread::sleep(Duration::from_millis(100));
}

fn held_kib() -> Result<f64> {
    // Each processor counts some pages for itself, which else appear within seconds; where that is not to be had, they do so.
    let _ = fs::read("/proc/sys/vm/stat_refresh");
    let info = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    Ok(info
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(key, _)| ["SUnreclaim", "Percpu"].contains(key))
        .filter_map(|(_, value)| value.trim().trim_end_matches(" kB").parse::<f64>().ok())
        .sum())
}
