//! Numbers that look random and are the same for the same seed.

use super::quantity::{nearest, real};

/// The `SplitMix64` generator. What belongs to one thing (a function, a minute, an invocation) is drawn from a
/// generator of its own, keyed by its number: so what is drawn for one never depends on what happens to another,
/// and every policy meets the very same trace.
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Random {
    /// The generator of one thing: the seed, what is drawn, and whose it is.
    pub(super) fn of(key: [u64; 3]) -> Self {
        Self(key.into_iter().fold(0, |state, part| mix(state.wrapping_add(GOLDEN) ^ part)))
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(GOLDEN);
        mix(self.0)
    }

    /// Evenly from 0 up to, and not including, 1.
    pub(super) fn unit(&mut self) -> f64 {
        real(self.next() >> 11) / real(1 << 53)
    }

    /// Evenly from 0 up to, and not including, `end`; 0 if there is nothing below it.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        let wide = (u128::from(self.next()) * u128::from(end)) >> 64;
        u64::try_from(wide).unwrap_or(0)
    }

    /// From the exponential distribution with mean 1.
    pub(super) fn exponential(&mut self) -> f64 {
        -(1.0 - self.unit()).ln()
    }

    /// From the normal distribution with mean 0 and deviation 1 (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        let radius = (2.0 * self.exponential()).sqrt();
        radius * (std::f64::consts::TAU * self.unit()).cos()
    }

    /// From the Poisson distribution; beyond a mean of 30 from the normal one that comes near it.
    pub(super) fn poisson(&mut self, mean: f64) -> u64 {
        if 30.0 < mean {
            return nearest(mean + mean.sqrt() * self.normal());
        }
        let mut count = 0;
        let mut passed = self.exponential();
        while passed < mean {
            count += 1;
            passed += self.exponential();
        }
        count
    }
}

fn mix(state: u64) -> u64 {
    let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    const DRAWS: u64 = 100_000;

    fn mean(mut draw: impl FnMut(&mut Random) -> f64) -> f64 {
        let mut random = Random::of([1, 2, 3]);
        (0..DRAWS).map(|_| draw(&mut random)).sum::<f64>() / real(DRAWS)
    }

    #[test]
    fn the_same_key_draws_the_same_and_another_draws_something_else() {
        let draw = |key| Random::of(key).next();
        assert_eq!(draw([1, 2, 3]), draw([1, 2, 3]));
        for other in [[0, 2, 3], [1, 3, 3], [1, 2, 4], [2, 1, 3], [3, 2, 1]] {
            assert_ne!(draw([1, 2, 3]), draw(other));
        }
    }

    #[test]
    fn distributions_have_the_means_that_they_are_known_for() {
        let rounded = [
            mean(Random::unit),
            mean(|random| real(random.below(11))),
            mean(Random::exponential),
            mean(Random::normal),
            mean(|random| random.normal().powi(2)),
            mean(|random| real(random.poisson(4.0))),
            mean(|random| real(random.poisson(400.0))),
        ]
        .map(|mean| nearest(mean * 10.0 + 100.0));
        assert_eq!(rounded, [105, 150, 110, 100, 110, 140, 4100]);
    }
}
