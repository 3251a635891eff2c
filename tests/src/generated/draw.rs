//! Chance that can be had again: numbers from a seed (SplitMix64).

/// Where numbers come from.
#[derive(Debug, Clone)]
pub(super) struct Draw(u64);

impl Draw {
    /// The numbers of one case of a seed.
    pub fn of_case(seed: u64, case: u64) -> Draw {
        let mut draw = Draw(seed);
        let mixed = draw.next() ^ case.wrapping_mul(0xd134_2543_de82_ef95);
        Draw(mixed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// One of 0 to `end`, which is not among them.
    pub fn below(&mut self, end: usize) -> usize {
        let end = end.max(1) as u64;
        usize::try_from(self.next() % end).unwrap_or(0)
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

    /// One of the things.
    pub fn one<'a, T>(&mut self, things: &'a [T]) -> Option<&'a T> {
        things.get(self.below(things.len()))
    }
}
