//! Chance that comes out the same each time.
//!
//! The generator is `SplitMix64` (Steele, Lea and Flood, 2014), written out here because a script's outcome must not
//! change with the version of a library.

/// What is left to chance in one operation.
#[derive(Clone, Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    /// Depends on all of these numbers, and on nothing else.
    pub(crate) fn of(numbers: [u64; 4]) -> Self {
        let mut chance = Self(0);
        for number in numbers {
            chance.0 ^= number;
            chance.0 = chance.next();
        }
        chance
    }

    /// From 0 up to, but not including, 1.
    pub(crate) fn fraction(&mut self) -> f64 {
        // As many bits as a fraction has.
        let bits = u32::try_from(self.next() >> 32).unwrap_or_default();
        f64::from(bits) / (f64::from(u32::MAX) + 1.0)
    }

    /// From `least` to `most`, both included; `least` if there is nothing between them.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        match most.saturating_sub(least).checked_add(1) {
            Some(width) => least + self.next() % width,
            None => self.next(),
        }
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers that the authors' own program prints for the seed 1234567.
    #[test]
    fn the_generator_is_the_one_that_was_published() {
        let mut chance = Chance(1_234_567);
        let numbers = [chance.next(), chance.next(), chance.next()];
        assert_eq!(
            numbers,
            [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]
        );
    }

    #[test]
    fn bounds_are_kept_and_reached() {
        let drawn = |least, most| (0..1000).map(move |number| Chance::of([number; 4]).between(least, most));
        assert_eq!((drawn(3, 5).min(), drawn(3, 5).max()), (Some(3), Some(5)));
        assert_eq!((drawn(7, 2).min(), drawn(7, 2).max()), (Some(7), Some(7)));
        assert!((0..1000).all(|number| (0.0..1.0).contains(&Chance::of([number; 4]).fraction())));
    }
}
