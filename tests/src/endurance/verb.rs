//! How long commands of a kind take, and when in that time they were killed.

use std::fmt;
use std::time::Duration;

/// Commands of a kind.
#[derive(Debug, Clone, Copy, Default)]
pub struct Verb {
    lasts: Duration,
    /// Killed, by the quarter of the time that such a command takes.
    killed: [u64; 4],
    /// Ended before they were.
    late: u64,
}

impl Verb {
    /// How long one takes: kills are within that time.
    pub fn lasts(&self) -> Duration {
        self.lasts
    }

    /// One has run to its end.
    pub fn took(&mut self, time: Duration) {
        self.lasts = match self.lasts {
            Duration::ZERO => time,
            // The first of all loads what the others find.
            before => before.min(time),
        };
    }

    /// One was killed, after so long.
    pub fn killed(&mut self, after: Duration) {
        let part = after.as_secs_f64() / self.lasts.as_secs_f64().max(1e-9);
        let quarter = ((part * 4.0) as usize).min(3);
        self.killed[quarter] += 1;
        // It may well take longer, and is to be killed then too.
        if quarter == 3 {
            self.lasts = self.lasts.mul_f64(1.1);
        }
    }

    /// One had ended by then. One that has failed says nothing of how long they take.
    pub fn ended(&mut self, by: Duration, well: bool) {
        self.late += 1;
        if well {
            self.lasts = by.max(self.lasts.mul_f64(0.9));
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d] = self.killed;
        let (all, late) = (a + b + c + d, self.late);
        let lasts = self.lasts.as_millis();
        write!(
            f,
            "{all} killed, by quarters of its {lasts} ms: {a} {b} {c} {d}; {late} had ended"
        )
    }
}
