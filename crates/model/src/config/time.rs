//! Lengths of time as the configuration has them: `200ms`, `10s`, `10m`, `2h`.

use std::time::Duration;

/// The units, longest first, in milliseconds.
const UNITS: [(&str, u64); 4] = [("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads a whole number with a unit.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at(digits);
    UNITS
        .iter()
        .find(|(name, _)| *name == unit)
        .and_then(|(_, millis)| number.parse::<u64>().ok()?.checked_mul(*millis))
        .map(Duration::from_millis)
        .ok_or_else(|| {
            format!("'{text}' is no length of time: write a whole number and ms, s, m or h, like 200ms or 10m")
        })
}

/// The same in the longest unit that fits.
pub(super) fn show(d: Duration) -> String {
    let all = d.as_millis();
    let fits = UNITS
        .iter()
        .find(|(_, millis)| all > 0 && all.is_multiple_of(u128::from(*millis)));
    let (unit, millis) = fits.copied().unwrap_or(("s", 1000));
    format!("{}{unit}", all / u128::from(millis))
}
