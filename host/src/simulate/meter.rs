//! Counts what happens in a simulation, and what it comes to.

use std::time::Duration;

use hearth_pool::{MemoryMib, Timestamp};
use serde::Serialize;

use super::quantity::{per_mille, percent, real, real_sum};

/// Nanoseconds of a MiB in an hour of a GB (1,024 MiB).
const MIB_NANOS_IN_GB_HOUR: f64 = 1024.0 * 3600.0 * 1e9;

/// Counts while a simulation runs.
#[derive(Debug)]
pub(super) struct Meter {
    /// Instances that are idle after this moment are not counted: the trace has ended.
    end: Timestamp,
    functions: Vec<Counts>,
    cold: Duration,
    /// MiB times nanoseconds.
    idle: u128,
    busy: u128,
    waits: Vec<Duration>,
    granted: u64,
    refused: u64,
    pub(super) launches: u64,
    pub(super) prewarms: u64,
    pub(super) launching: Duration,
    memory: MemoryMib,
    peak_memory: MemoryMib,
}

/// Of one function.
#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    invocations: u64,
    cold_starts: u64,
}

/// What a simulation came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Figures {
    /// Invocations that waited for an instance that was launched on demand, in a hundred.
    pub(super) cold_percent: f64,
    /// How long the instances took to start that such invocations were given, in sum.
    pub(super) cold_seconds: f64,
    /// Memory of idle instances times how long they were idle, in GB (1,024 MiB) and hours.
    pub(super) idle_gb_hours: f64,
    /// The same of instances that served.
    pub(super) busy_gb_hours: f64,
    /// Cold starts in a hundred invocations of the function, over functions: the median.
    pub(super) function_cold_percent_p50: f64,
    /// The same, for the function at three quarters.
    pub(super) function_cold_percent_p75: f64,
    /// How long invocations waited for an instance, however they were given one: the median.
    pub(super) queue_ms_p50: f64,
    /// The same, for 99 of 100.
    pub(super) queue_ms_p99: f64,
    /// The same, for 999 of 1,000.
    pub(super) queue_ms_p99_9: f64,
    /// How long all of them waited.
    pub(super) queue_seconds: f64,
    /// Invocations that were given no instance, in a hundred.
    pub(super) refused_percent: f64,
    /// Launches, for whatever purpose.
    pub(super) launches: f64,
    /// Launches because the policy expected somebody.
    pub(super) prewarms: f64,
    /// How long all launches took.
    pub(super) launch_seconds: f64,
    /// The most memory that instances had at once, in GB.
    pub(super) peak_gb: f64,
}

impl Meter {
    pub(super) fn new(functions: usize, end: Timestamp) -> Self {
        Self {
            end,
            functions: vec![Counts::default(); functions],
            cold: Duration::ZERO,
            idle: 0,
            busy: 0,
            waits: Vec::new(),
            granted: 0,
            refused: 0,
            launches: 0,
            prewarms: 0,
            launching: Duration::ZERO,
            memory: MemoryMib(0),
            peak_memory: MemoryMib(0),
        }
    }

    /// An invocation of the function has arrived.
    pub(super) fn arrived(&mut self, function: u32) {
        self.functions[function as usize].invocations += 1;
    }

    /// An invocation was given an instance after it waited so long, and keeps it busy for so long.
    pub(super) fn granted(&mut self, waited: Duration, memory: MemoryMib, execution: Duration) {
        self.granted += 1;
        if !waited.is_zero() {
            self.waits.push(waited);
        }
        self.busy += u128::from(memory.0) * execution.as_nanos();
    }

    /// It was the first on its instance, which took so long to start.
    pub(super) fn cold_start(&mut self, function: u32, took: Duration) {
        self.functions[function as usize].cold_starts += 1;
        self.cold += took;
    }

    /// An invocation was given no instance.
    pub(super) fn refused(&mut self) {
        self.refused += 1;
    }

    /// An instance was idle between these moments.
    pub(super) fn idle(&mut self, since: Timestamp, until: Timestamp, memory: MemoryMib) {
        self.idle += u128::from(memory.0)
            * u128::from(until.min(self.end).as_nanos().saturating_sub(since.as_nanos()));
    }

    /// An instance is about to take memory.
    pub(super) fn takes(&mut self, memory: MemoryMib) {
        self.memory.0 += memory.0;
        self.peak_memory = self.peak_memory.max(self.memory);
    }

    /// An instance is gone.
    pub(super) fn leaves(&mut self, memory: MemoryMib) {
        self.memory.0 -= memory.0;
    }

    /// What it all came to.
    pub(super) fn figures(mut self) -> Figures {
        self.waits.sort_unstable();
        let invoked = self.functions.iter().filter(|counts| counts.invocations > 0);
        let mut cold_percents: Vec<_> =
            invoked.clone().map(|counts| percent(counts.cold_starts, counts.invocations)).collect();
        cold_percents.sort_unstable_by(f64::total_cmp);
        let invocations = invoked.clone().map(|counts| counts.invocations).sum();
        let cold_starts = invoked.map(|counts| counts.cold_starts).sum();
        let of_functions = |mille| per_mille(&cold_percents, mille).unwrap_or(0.0);
        Figures {
            cold_percent: percent(cold_starts, invocations),
            cold_seconds: self.cold.as_secs_f64(),
            idle_gb_hours: real_sum(self.idle) / MIB_NANOS_IN_GB_HOUR,
            busy_gb_hours: real_sum(self.busy) / MIB_NANOS_IN_GB_HOUR,
            function_cold_percent_p50: of_functions(500),
            function_cold_percent_p75: of_functions(750),
            queue_ms_p50: self.queue_ms(500),
            queue_ms_p99: self.queue_ms(990),
            queue_ms_p99_9: self.queue_ms(999),
            queue_seconds: self.waits.iter().sum::<Duration>().as_secs_f64(),
            refused_percent: percent(self.refused, invocations),
            launches: real(self.launches),
            prewarms: real(self.prewarms),
            launch_seconds: self.launching.as_secs_f64(),
            peak_gb: real(self.peak_memory.0) / 1024.0,
        }
    }

    /// The percentile of all waits: those of zero length are not in the sorted list, but come first.
    fn queue_ms(&self, mille: u64) -> f64 {
        let rank = (self.granted * mille).div_ceil(1000).max(1);
        let zeros = self.granted - self.waits.len() as u64;
        let place = rank.checked_sub(zeros + 1).and_then(|place| usize::try_from(place).ok());
        place.and_then(|place| self.waits.get(place)).map_or(0.0, |wait| wait.as_secs_f64() * 1000.0)
    }
}

impl Figures {
    /// The mean of several simulations, figure by figure; `None` of none.
    pub(super) fn mean(all: &[Self]) -> Option<Self> {
        let (first, rest) = all.split_first()?;
        let mut mean = *first;
        for (index, figure) in mean.each_mut().into_iter().enumerate() {
            let sum: f64 = rest.iter().map(|other| *{ *other }.each_mut()[index]).sum();
            *figure = (*figure + sum) / real(all.len() as u64);
        }
        Some(mean)
    }

    fn each_mut(&mut self) -> [&mut f64; 15] {
        [
            &mut self.cold_percent,
            &mut self.cold_seconds,
            &mut self.idle_gb_hours,
            &mut self.busy_gb_hours,
            &mut self.function_cold_percent_p50,
            &mut self.function_cold_percent_p75,
            &mut self.queue_ms_p50,
            &mut self.queue_ms_p99,
            &mut self.queue_ms_p99_9,
            &mut self.queue_seconds,
            &mut self.refused_percent,
            &mut self.launches,
            &mut self.prewarms,
            &mut self.launch_seconds,
            &mut self.peak_gb,
        ]
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers, divided once")]
mod tests {
    use super::*;

    fn meter() -> Meter {
        Meter::new(2, Timestamp::from_millis(10_000))
    }

    #[test]
    fn idle_time_is_counted_up_to_the_end_of_the_trace_and_not_beyond() {
        let mut meter = meter();
        let at = Timestamp::from_millis;
        meter.idle(at(1_000), at(3_000), MemoryMib(512));
        meter.idle(at(9_000), at(20_000), MemoryMib(1024));
        meter.idle(at(11_000), at(20_000), MemoryMib(1024));
        assert_eq!(meter.figures().idle_gb_hours, 2.0 / 3600.0);
    }

    #[test]
    fn those_who_did_not_wait_count_among_the_waits() {
        let mut meter = meter();
        for millis in (0..90).map(|_| 0).chain(1..=10) {
            meter.granted(Duration::from_millis(millis), MemoryMib(1), Duration::ZERO);
        }
        let figures = meter.figures();
        let queue = [figures.queue_ms_p50, figures.queue_ms_p99, figures.queue_ms_p99_9];
        assert_eq!((queue, figures.queue_seconds), ([0.0, 9.0, 10.0], 0.055));
    }

    #[test]
    fn functions_that_were_not_invoked_do_not_count() {
        let mut meter = meter();
        (0..4).for_each(|_| meter.arrived(1));
        meter.cold_start(1, Duration::from_secs(2));
        let figures = meter.figures();
        assert_eq!((figures.function_cold_percent_p50, figures.function_cold_percent_p75), (25.0, 25.0));
        assert_eq!((figures.cold_percent, figures.cold_seconds), (25.0, 2.0));
    }

    #[test]
    fn the_mean_is_that_of_each_figure() {
        let mut first = meter().figures();
        (first.cold_seconds, first.peak_gb) = (1.0, 4.0);
        let mut second = first;
        (second.cold_seconds, second.peak_gb) = (2.0, 8.0);
        let mean = Figures::mean(&[first, second]).unwrap();
        assert_eq!((mean.cold_seconds, mean.peak_gb, mean.idle_gb_hours), (1.5, 6.0, 0.0));
        assert_eq!(Figures::mean(&[]), None);
    }
}
