//! When, inside its minute, an invocation arrives: the trace knows only how many there were.

use std::time::Duration;

use clap::ValueEnum;
use hearth_pool::{FunctionId, Timestamp};

use super::quantity::{nearest, real};
use super::random::Random;
use super::trace::Cell;

/// What is drawn, as part of its generator's key: the minute's number is added.
const ARRIVALS: u64 = 1 << 32;

/// Nanoseconds in a minute.
const MINUTE: u64 = 60_000_000_000;
/// Bits that hold them, and the number of a function above them.
const MINUTE_BITS: u32 = 36;
/// Invocations in a burst, on average, and how far apart they are.
const BURST: f64 = 5.0;
const GAP_MILLIS: f64 = 50.0;

/// How invocations are spread over their minute
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Arrivals {
    /// At equal distances; when the first one comes is drawn for each function and minute
    Equidistant,
    /// Each at any time
    Poisson,
    /// In bursts of 5 on average, 50 ms apart on average; a burst begins at any time
    Bursty,
}

/// When a minute begins.
pub(super) fn start_of(minute: u32) -> Timestamp {
    Timestamp::START + Duration::from_secs(60) * minute
}

impl Arrivals {
    /// The arrivals of one minute, in the order of time.
    pub(super) fn draw(
        self,
        seed: u64,
        minute: u32,
        cells: &[Cell],
        arrivals: &mut Vec<u64>,
    ) -> impl Iterator<Item = (Timestamp, FunctionId)> {
        arrivals.clear();
        for cell in cells {
            let mut random = Random::of([seed, ARRIVALS + u64::from(minute), u64::from(cell.function)]);
            // Sorting whole numbers is faster than sorting pairs.
            let mut push =
                |offset: u64| arrivals.push((offset % MINUTE) | u64::from(cell.function) << MINUTE_BITS);
            match self {
                Self::Equidistant => equidistant(&mut random, cell.count, &mut push),
                Self::Poisson => (0..cell.count).for_each(|_| push(random.below(MINUTE))),
                Self::Bursty => bursty(&mut random, cell.count, &mut push),
            }
        }
        let offset = |packed: u64| packed & ((1 << MINUTE_BITS) - 1);
        arrivals.sort_unstable_by_key(|packed| packed.rotate_left(64 - MINUTE_BITS));
        let start = start_of(minute);
        arrivals.iter().map(move |&packed| {
            let function = u32::try_from(packed >> MINUTE_BITS).unwrap_or(u32::MAX);
            (start + Duration::from_nanos(offset(packed)), FunctionId(function))
        })
    }
}

fn equidistant(random: &mut Random, count: u32, push: &mut impl FnMut(u64)) {
    let (count, phase) = (u64::from(count), random.below(MINUTE));
    (0..count).for_each(|index| push((MINUTE * index + phase) / count));
}

fn bursty(random: &mut Random, count: u32, push: &mut impl FnMut(u64)) {
    let mut at = random.below(MINUTE);
    for _ in 0..count {
        push(at);
        at = if random.unit() < 1.0 / BURST {
            random.below(MINUTE)
        } else {
            at + nearest(random.exponential() * GAP_MILLIS * real(1_000_000))
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn draw(arrivals: Arrivals, seed: u64, minute: u32, counts: &[u32]) -> Vec<(Timestamp, FunctionId)> {
        let cells: Vec<_> = (0..).zip(counts).map(|(function, &count)| Cell { function, count }).collect();
        arrivals.draw(seed, minute, &cells, &mut Vec::new()).collect()
    }

    #[test]
    fn every_invocation_arrives_once_in_its_minute_and_in_order() {
        for arrivals in [Arrivals::Equidistant, Arrivals::Poisson, Arrivals::Bursty] {
            let drawn = draw(arrivals, 1, 3, &[1000, 7, 1]);
            let count = |function| drawn.iter().filter(|(_, it)| *it == FunctionId(function)).count();
            assert_eq!([0, 1, 2].map(count), [1000, 7, 1]);
            assert!(drawn.is_sorted_by_key(|(at, _)| *at));
            assert!(drawn.iter().all(|(at, _)| (start_of(3)..start_of(4)).contains(at)));
        }
    }

    #[test]
    fn the_same_seed_draws_the_same_and_another_seed_or_minute_draws_anew() {
        for arrivals in [Arrivals::Equidistant, Arrivals::Poisson, Arrivals::Bursty] {
            let first = draw(arrivals, 1, 0, &[5, 5]);
            assert_eq!(first, draw(arrivals, 1, 0, &[5, 5]));
            assert_ne!(first, draw(arrivals, 2, 0, &[5, 5]));
            let shifted = draw(arrivals, 1, 1, &[5, 5]).into_iter();
            assert_ne!(
                first,
                shifted.map(|(at, it)| (Timestamp::START + (at - start_of(1)), it)).collect::<Vec<_>>()
            );
        }
    }

    #[test]
    fn equidistant_arrivals_are_as_far_apart_as_their_number_says() {
        let drawn = draw(Arrivals::Equidistant, 5, 0, &[60]);
        assert!(drawn.windows(2).all(|pair| pair[1].0 - pair[0].0 == Duration::from_secs(1)));
    }

    #[test]
    fn bursts_are_closer_than_chance() {
        let close = |arrivals| {
            let drawn = draw(arrivals, 1, 0, &[100]);
            drawn.windows(2).filter(|pair| pair[1].0 - pair[0].0 < Duration::from_millis(100)).count()
        };
        assert!(close(Arrivals::Poisson) < 30 && 50 < close(Arrivals::Bursty));
    }
}
