//! Numbers that look random and are the same for the same seed.

use std::time::Duration;

/// The `SplitMix64` generator.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from the upper half of a duration.
    pub(crate) fn upper_half(&mut self, of: Duration) -> Duration {
        let half = u64::try_from(of.as_nanos()).unwrap_or(u64::MAX) / 2;
        Duration::from_nanos(half.saturating_add(self.next() % half.saturating_add(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_upper_half_is_reached_from_end_to_end_and_never_left() {
        let mut random = Random::new(1);
        let drawn: Vec<_> = (0..200).map(|_| random.upper_half(Duration::from_nanos(8)).as_nanos()).collect();
        assert_eq!((drawn.iter().min(), drawn.iter().max()), (Some(&4), Some(&8)));
    }

    #[test]
    fn the_same_seed_draws_the_same() {
        let draw = |seed| Random::new(seed).upper_half(Duration::from_secs(1));
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }
}
