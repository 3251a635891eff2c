//! Chance that can be had again: numbers from a seed (SplitMix64).

use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};

const SECONDS_OF_A_DAY: u64 = 24 * 60 * 60;

/// Days since 1970, UTC, or what `HOSTLET_SEED` says: a failure is the same for everybody all day.
///
/// # Errors
/// When the variable is no number, or the clock is before 1970.
pub fn seed_of_the_day() -> Result<u64> {
    match std::env::var("HOSTLET_SEED") {
        Ok(seed) => seed.parse().context("HOSTLET_SEED"),
        Err(_) => Ok(SystemTime::UNIX_EPOCH.elapsed()?.as_secs() / SECONDS_OF_A_DAY),
    }
}

/// A source of numbers; the same seed gives the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub fn new(seed: u64) -> Chance {
        Chance(seed)
    }

    /// The numbers of one case of a seed.
    pub fn of_case(seed: u64, case: u64) -> Chance {
        let mut chance = Chance(seed);
        let mixed = chance.next() ^ case.wrapping_mul(0xd134_2543_de82_ef95);
        Chance(mixed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// One of 0 to `end`, which is not among them; 0 if nothing is.
    pub fn below(&mut self, end: usize) -> usize {
        (self.next() % end.max(1) as u64) as usize
    }

    /// Yes, so many times of a hundred.
    pub fn percent(&mut self, often: usize) -> bool {
        self.below(100) < often
    }

    /// One of the things, each as often as the number beside it.
    pub fn pick<T: Copy>(&mut self, things: &[(usize, T)]) -> T {
        let mut left = self.below(things.iter().map(|(often, _)| often).sum());
        for (often, thing) in things {
            if left < *often {
                return *thing;
            }
            left -= often;
        }
        things[0].1
    }

    /// One of the things, if there are any.
    pub fn one<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }

    /// One of the things, of which there is one at least.
    pub fn one_of<'a, T>(&mut self, things: &'a [T]) -> &'a T {
        &things[self.below(things.len())]
    }

    /// Between nothing and `most`.
    pub fn moment(&mut self, most: Duration) -> Duration {
        most.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }
}
