//! An invocation trace: which functions there are, and how often each is invoked in each minute.

mod azure;
mod compressed;
mod csv;
mod synthetic;

use std::time::Duration;

use hearth_pool::MemoryMib;

use super::quantity::nearest;

pub(super) use self::azure::{Defaults, DurationModel, Files};
pub(super) use self::synthetic::Synthetic;

/// A function cannot be invoked more often in a minute.
const MOST_A_MINUTE: u32 = 100_000_000;

/// What is invoked, how often, and when to the minute. When inside the minute is for the arrival model to say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Trace {
    pub(super) functions: Vec<Function>,
    /// For each minute, the functions that are invoked in it.
    minutes: Vec<Vec<Cell>>,
    /// Sum of all counts.
    pub(super) invocations: u64,
}

/// What is known of a function beside its invocations.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Function {
    pub(super) memory: MemoryMib,
    pub(super) execution: Execution,
}

/// How long invocations take.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Execution {
    /// All the same.
    Constant(Duration),
    /// Milliseconds at the percentiles of [`Execution::PERCENTILES`]; between them on a straight line.
    Percentiles([f64; 7]),
}

/// So many invocations of one function in one minute; at least one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) function: u32,
    pub(super) count: u32,
}

impl Trace {
    pub(super) fn new(functions: Vec<Function>, minutes: Vec<Vec<Cell>>) -> Self {
        let invocations = minutes.iter().flatten().map(|cell| u64::from(cell.count)).sum();
        Self { functions, minutes, invocations }
    }

    /// The functions that are invoked in each minute, in the order of their numbers.
    pub(super) fn minutes(&self) -> impl ExactSizeIterator<Item = &[Cell]> {
        self.minutes.iter().map(Vec::as_slice)
    }
}

impl Execution {
    pub(super) const PERCENTILES: [f64; 7] = [0.0, 1.0, 25.0, 50.0, 75.0, 99.0, 100.0];

    /// How long the invocation takes at this point, from 0 to 1, of the distribution.
    pub(super) fn at(&self, point: f64) -> Duration {
        match self {
            Self::Constant(duration) => *duration,
            Self::Percentiles(millis) => {
                let point = point * 100.0;
                let knots: Vec<_> = Self::PERCENTILES.into_iter().zip(*millis).collect();
                let between = knots.windows(2).find(|pair| point <= pair[1].0);
                let millis = between.map_or(millis[6], |pair| {
                    let share = (point - pair[0].0) / (pair[1].0 - pair[0].0);
                    pair[0].1 + share * (pair[1].1 - pair[0].1)
                });
                Duration::from_nanos(nearest(millis * 1e6))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn between_two_percentiles_an_execution_takes_what_lies_between() {
        let execution = Execution::Percentiles([10.0, 20.0, 68.0, 100.0, 200.0, 440.0, 1000.0]);
        let millis = [0.0, 0.005, 0.01, 0.25, 0.375, 0.995, 1.0].map(|point| execution.at(point).as_millis());
        assert_eq!(millis, [10, 15, 20, 68, 84, 720, 1000]);
    }
}
