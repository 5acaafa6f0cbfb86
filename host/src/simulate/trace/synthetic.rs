//! A trace out of nothing but a seed: Zipf popularity, and functions that are invoked steadily, in bursts, or by
//! timers.

use std::str::FromStr;
use std::time::Duration;

use hearth_pool::MemoryMib;

use super::{Cell, Execution, Function, MOST_A_MINUTE, Trace};
use crate::simulate::quantity::nearest;
use crate::simulate::random::Random;

/// What is drawn, as part of its generator's key.
const FUNCTION: u64 = 1;
const COUNTS: u64 = 2;

/// Memory sizes that people choose, in MiB.
const MEMORIES: [u64; 5] = [128, 128, 256, 512, 1024];
/// Periods of timers, in minutes.
const PERIODS: [u32; 9] = [1, 2, 5, 10, 15, 30, 60, 720, 1440];
/// How long a bursty function is invoked, and how long it is not, in minutes on average.
const ON_MINUTES: f64 = 10.0;
const OFF_MINUTES: f64 = 50.0;
/// How long invocations take: the median of functions' durations, how they spread, and the longest.
const MEDIAN_MILLIS: f64 = 200.0;
const SPREAD: f64 = 1.5;
const MOST_MILLIS: f64 = 60_000.0;

/// What a synthetic trace is like.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::simulate) struct Synthetic {
    functions: u32,
    minutes: u32,
    /// Invocations a minute, of all functions.
    rate: f64,
    /// Exponent of popularity: the n-th function is invoked in proportion to n^-zipf.
    zipf: f64,
    /// Share of the functions that are invoked in bursts.
    bursts: f64,
    /// Share of the functions that are invoked by timers.
    timers: f64,
    seed: u64,
}

impl Default for Synthetic {
    fn default() -> Self {
        Self { functions: 500, minutes: 1440, rate: 600.0, zipf: 1.1, bursts: 0.3, timers: 0.3, seed: 1 }
    }
}

/// When a function is invoked.
#[derive(Debug)]
enum Habit {
    /// At any time: so many a minute.
    Steady { rate: f64 },
    /// For some minutes so many a minute, then not at all for some more.
    Bursty { rate: f64, is_on: bool },
    /// So many each time.
    Timer { period: u32, phase: u32, count: u32 },
}

impl Synthetic {
    /// The trace: the same for the same seed.
    pub(in crate::simulate) fn generate(&self) -> Trace {
        let popularity: Vec<f64> =
            (1..=self.functions).map(|rank| f64::from(rank).powf(-self.zipf)).collect();
        let whole: f64 = popularity.iter().sum();
        let mut minutes = vec![Vec::new(); self.minutes as usize];
        let mut functions = Vec::new();
        for (function, share) in (0..).zip(popularity) {
            let mut random = Random::of([self.seed, FUNCTION, u64::from(function)]);
            functions.push(draw_function(&mut random));
            let mut habit = self.habit(&mut random, self.rate * share / whole);
            let mut random = Random::of([self.seed, COUNTS, u64::from(function)]);
            for (minute, cells) in (0..).zip(&mut minutes) {
                let count = habit.count(&mut random, minute);
                if count > 0 {
                    cells.push(Cell { function, count });
                }
            }
        }
        Trace::new(functions, minutes)
    }

    fn habit(&self, random: &mut Random, rate: f64) -> Habit {
        let kind = random.unit();
        if kind < self.bursts {
            let cycle = ON_MINUTES + OFF_MINUTES;
            Habit::Bursty { rate: rate * cycle / ON_MINUTES, is_on: random.unit() < ON_MINUTES / cycle }
        } else if kind < self.bursts + self.timers {
            let distance = |period: &u32| (f64::from(*period) * rate).ln().abs();
            let nearest_one = PERIODS.into_iter().min_by(|a, b| distance(a).total_cmp(&distance(b)));
            let period = nearest_one.unwrap_or(1);
            let phase = u32::try_from(random.below(u64::from(period))).unwrap_or(0);
            Habit::Timer { period, phase, count: at_most(nearest(f64::from(period) * rate)).max(1) }
        } else {
            Habit::Steady { rate }
        }
    }
}

impl Habit {
    fn count(&mut self, random: &mut Random, minute: u32) -> u32 {
        match self {
            Self::Steady { rate } => poisson(random, *rate),
            Self::Bursty { rate, is_on } => {
                let mean = if *is_on { ON_MINUTES } else { OFF_MINUTES };
                *is_on ^= random.unit() < 1.0 / mean;
                if *is_on { poisson(random, *rate) } else { 0 }
            }
            Self::Timer { period, phase, count } => {
                if minute % *period == *phase {
                    *count
                } else {
                    0
                }
            }
        }
    }
}

impl FromStr for Synthetic {
    type Err = String;

    /// Reads `functions=500,minutes=1440,…`; what is not said is as in the default.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut synthetic = Self::default();
        for setting in text.split(',').filter(|setting| !setting.is_empty()) {
            let (name, value) = setting.split_once('=').unwrap_or((setting, ""));
            let problem = |what: &str| format!("synthetic trace: {name} must be {what}, not `{value}`");
            let count = || {
                value.parse().ok().filter(|count| 0 < *count).ok_or_else(|| problem("a whole number from 1"))
            };
            let number = |most: f64, what| {
                let number = value.parse::<f64>().ok().filter(|number| (0.0..=most).contains(number));
                number.ok_or_else(|| problem(what))
            };
            match name {
                "functions" => synthetic.functions = count()?,
                "minutes" => synthetic.minutes = count()?,
                "rate" => synthetic.rate = number(1e9, "the number of invocations a minute")?,
                "zipf" => synthetic.zipf = number(10.0, "from 0 to 10")?,
                "bursts" => synthetic.bursts = number(1.0, "a share from 0 to 1")?,
                "timers" => synthetic.timers = number(1.0, "a share from 0 to 1")?,
                "seed" => synthetic.seed = value.parse().map_err(|_| problem("a whole number"))?,
                _ => return Err(format!("synthetic trace: `{name}` is unknown; there are {KNOWN}")),
            }
        }
        if 1.0 < synthetic.bursts + synthetic.timers {
            return Err("synthetic trace: bursts and timers together must not be more than 1".to_owned());
        }
        Ok(synthetic)
    }
}

const KNOWN: &str = "functions, minutes, rate, zipf, bursts, timers and seed";

fn draw_function(random: &mut Random) -> Function {
    let memory = MEMORIES[usize::try_from(random.below(MEMORIES.len() as u64)).unwrap_or(0)];
    let millis = (MEDIAN_MILLIS * (SPREAD * random.normal()).exp()).min(MOST_MILLIS);
    let execution = Execution::Constant(Duration::from_micros(nearest(millis * 1000.0)));
    Function { memory: MemoryMib(memory), execution }
}

fn poisson(random: &mut Random, mean: f64) -> u32 {
    at_most(random.poisson(mean))
}

fn at_most(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX).min(MOST_A_MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::quantity::real;

    #[test]
    fn the_same_seed_gives_the_same_trace_and_another_gives_another() {
        let generate = |text: &str| text.parse::<Synthetic>().unwrap().generate();
        let first = generate("functions=50,minutes=60,seed=7");
        assert_eq!(first, generate("functions=50,minutes=60,seed=7"));
        assert_ne!(first, generate("functions=50,minutes=60,seed=8"));
        assert_eq!((first.functions.len(), first.minutes.len()), (50, 60));
    }

    #[test]
    fn timers_go_off_at_their_period_and_never_otherwise() {
        let trace =
            "functions=1,minutes=120,rate=0.1,bursts=0,timers=1".parse::<Synthetic>().unwrap().generate();
        let minutes: Vec<usize> = (0..120).filter(|minute| !trace.minutes[*minute].is_empty()).collect();
        assert_eq!(minutes.len(), 12);
        assert!(minutes.windows(2).all(|pair| pair[1] - pair[0] == 10), "{minutes:?}");
    }

    #[test]
    fn bursts_leave_pauses_that_steady_functions_do_not_have() {
        let quiet = |text: &str| {
            let trace = text.parse::<Synthetic>().unwrap().generate();
            trace.minutes.iter().filter(|minute| minute.is_empty()).count()
        };
        assert_eq!(quiet("functions=1,minutes=600,rate=60,bursts=0,timers=0"), 0);
        assert!(300 < quiet("functions=1,minutes=600,rate=60,bursts=1,timers=0"));
    }

    #[test]
    fn the_rate_is_what_was_asked_for_and_the_first_function_has_its_share() {
        let trace =
            "functions=10,minutes=1000,rate=100,zipf=1,bursts=0,timers=0".parse::<Synthetic>().unwrap();
        let trace = trace.generate();
        assert_eq!(nearest(real(trace.invocations) / 1e4), 10);
        let first = trace.minutes.iter().flatten().filter(|cell| cell.function == 0);
        // The first of ten has 1 / (1 + 1/2 + … + 1/10) = 34 % of all.
        let first: u64 = first.map(|cell| u64::from(cell.count)).sum();
        assert_eq!(nearest(100.0 * real(first) / real(trace.invocations)), 34);
    }

    #[test]
    fn what_cannot_be_is_refused_by_name() {
        let refused = |text: &str| text.parse::<Synthetic>().unwrap_err();
        assert_eq!(
            refused("functions=0"),
            "synthetic trace: functions must be a whole number from 1, not `0`"
        );
        assert_eq!(refused("zipf=-1"), "synthetic trace: zipf must be from 0 to 10, not `-1`");
        assert_eq!(
            refused("function=3"),
            "synthetic trace: `function` is unknown; there are functions, minutes, rate, zipf, bursts, timers and seed"
        );
        assert_eq!(
            refused("bursts=0.6,timers=0.6"),
            "synthetic trace: bursts and timers together must not be more than 1"
        );
    }
}
