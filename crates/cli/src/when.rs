//! Moments as a person writes them.

use jiff::{SignedDuration, Timestamp};

/// A moment in RFC 3339, or how long ago: `90s`, `10m`, `2h`, `3d`.
///
/// # Errors
/// A sentence that says what would have been understood.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    ago(text)
        .and_then(|ago| Timestamp::now().checked_sub(ago).ok())
        .or_else(|| text.parse().ok())
        .ok_or_else(|| {
            "write a moment like 2026-01-31T12:00:00Z, or how long ago like 90s, 10m, 2h, 3d"
                .to_owned()
        })
}

fn ago(text: &str) -> Option<SignedDuration> {
    let unit = text.chars().next_back()?;
    let number: i64 = text[..text.len() - unit.len_utf8()].parse().ok()?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    (number >= 0).then_some(())?;
    Some(SignedDuration::from_secs(number.checked_mul(seconds)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_long_ago() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200), ("3d", 259_200)] {
            assert_eq!(
                ago(text),
                Some(SignedDuration::from_secs(seconds)),
                "{text}"
            );
        }
    }

    #[test]
    fn nonsense_says_what_is_understood() {
        for text in ["", "m", "-3m", "yesterday", "10é", "99999999999999999999d"] {
            assert!(parse(text).unwrap_err().contains("10m"), "{text}");
        }
    }

    #[test]
    fn a_moment() {
        assert_eq!(
            parse("2026-01-31T12:00:00Z"),
            Ok("2026-01-31T12:00:00Z".parse().unwrap())
        );
    }
}
