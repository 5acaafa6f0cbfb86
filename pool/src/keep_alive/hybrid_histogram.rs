//! Learns when a function comes again, and has an instance ready just for then.
//!
//! The hybrid histogram (Shahrad et al., "Serverless in the Wild", USENIX ATC 2020). The idle times of a function,
//! from its last invocation's end to its next one's beginning, are counted in bins of a minute. If they are of one
//! kind, the function is unloaded as soon as it is idle, an instance is launched shortly before the earliest of them
//! would end, and it is kept until shortly after the latest. If they are of all kinds, or few, the function is kept
//! for the whole range. If most are longer than the range, the next one is foretold from the last few.
//!
//! Two things are decided here that the paper leaves open. Where it fits an ARIMA model to idle times beyond the
//! range, this takes the median of the last few, with the paper's margin: those functions come a few times a day,
//! which is little to fit a model to. And it speaks of one instance a function: here the instances beyond the first
//! are kept for the latest idle time, and are not launched ahead.

use std::time::Duration;

use super::{Candidate, Plan, Policy, Worth, at};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Unloads and launches by what each function's idle times were.
#[derive(Debug, Default)]
pub(super) struct HybridHistogram {
    functions: Vec<Function>,
}

/// What is known of a function.
#[derive(Debug, Default)]
struct Function {
    /// Since when nobody was served or waited; `None` while somebody is or does, or if nobody ever came.
    idle_since: Option<Timestamp>,
    histogram: Histogram,
    /// What follows from the histogram, and how many idle times it must have for that to be worked out anew.
    window: Window,
    stale_at: u32,
}

/// Idle times, counted.
#[derive(Debug, Default)]
struct Histogram {
    /// One for each minute of the range; empty if nothing was counted yet.
    bins: Vec<u32>,
    within: u32,
    beyond: u32,
    /// Of all bins' counts, for their spread.
    sum_of_squares: f64,
    /// The last idle times beyond the range, the next one to be overwritten at `beyond % LAST`.
    last_beyond: [Duration; LAST],
}

/// When the function is expected, from the moment it went idle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    opens: Duration,
    closes: Duration,
}

/// Bins of a minute, over four hours.
const BIN: Duration = Duration::from_secs(60);
const BINS: usize = 240;

/// The head and the tail of the idle times, in percent, and by how much they are widened.
const HEAD: u32 = 5;
const TAIL: u32 = 99;
const MARGIN: u32 = 10;

/// The margin of what is foretold from the last few idle times, in percent.
const MARGIN_BEYOND: u32 = 15;
const LAST: usize = 5;

/// The bins' counts must differ so much, as their standard deviation over their mean, for the histogram to tell
/// anything.
const LEAST_VARIATION: f64 = 2.0;

impl HybridHistogram {
    fn function(&mut self, function: FunctionId) -> &mut Function {
        at(&mut self.functions, function.0 as usize)
    }
}

impl Policy for HybridHistogram {
    fn rose(&mut self, now: Timestamp, function: FunctionId, _: u32) {
        let function = self.function(function);
        if let Some(since) = function.idle_since.take() {
            function.histogram.add(now - since);
        }
    }

    fn fell(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        if level == 1 {
            self.function(function).idle_since = Some(now);
        }
    }

    fn plan(&mut self, now: Timestamp, candidate: Candidate) -> Plan {
        let function = self.function(candidate.function);
        let window = function.window();
        let (keep_until, prewarm_at) = match function.idle_since {
            Some(since) if now < since + window.opens => (now, Some(since + window.opens)),
            Some(since) => (now.max(since + window.closes), None),
            None => (now + window.closes, None),
        };
        Plan { idle: Idle { keep_until, worth: Worth::of_last_use(now) }, prewarm_at }
    }

    fn evicted(&mut self, _: Worth) {}

    fn emptied(&mut self, _: FunctionId) {}

    fn forget(&mut self, function: FunctionId) {
        *self.function(function) = Function::default();
    }
}

impl Function {
    /// Looking through all bins takes a while: it is done again once there is a sixteenth more in them.
    fn window(&mut self) -> Window {
        let known = self.histogram.known();
        if self.stale_at <= known {
            self.window = self.histogram.window();
            self.stale_at = known.saturating_add((known / 16).max(1));
        }
        self.window
    }
}

impl Histogram {
    fn add(&mut self, idle: Duration) {
        let bin = usize::try_from(idle.as_secs() / BIN.as_secs()).unwrap_or(usize::MAX);
        if BINS <= bin {
            self.last_beyond[self.beyond as usize % LAST] = idle;
            self.beyond = self.beyond.saturating_add(1);
            return;
        }
        self.bins.resize(BINS, 0);
        let count = &mut self.bins[bin];
        self.sum_of_squares += 2.0 * f64::from(*count) + 1.0;
        *count = count.saturating_add(1);
        self.within = self.within.saturating_add(1);
    }

    fn known(&self) -> u32 {
        self.within.saturating_add(self.beyond)
    }

    fn window(&self) -> Window {
        if self.within < self.beyond {
            self.window_beyond()
        } else if self.is_telling() {
            let head = self.bin_at(HEAD);
            let tail = self.bin_at(TAIL) + 1;
            Window { opens: BIN * head * (100 - MARGIN) / 100, closes: BIN * tail * (100 + MARGIN) / 100 }
        } else {
            Window::default()
        }
    }

    /// Around the middle one of the last few.
    fn window_beyond(&self) -> Window {
        let mut last = self.last_beyond;
        let last = &mut last[..LAST.min(self.beyond as usize)];
        last.sort_unstable();
        let median = last[last.len() / 2];
        let part = |percent: u32| median / 100 * percent;
        Window { opens: part(100 - MARGIN_BEYOND), closes: part(100 + MARGIN_BEYOND) }
    }

    /// Whether the idle times are of one kind, rather than of all.
    fn is_telling(&self) -> bool {
        let bins = f64::from(u32::try_from(BINS).unwrap_or(u32::MAX));
        let mean = f64::from(self.within) / bins;
        let variance = self.sum_of_squares / bins - mean * mean;
        0.0 < mean && LEAST_VARIATION * mean <= variance.max(0.0).sqrt()
    }

    /// The bin in which so many percent of the idle times have been counted.
    fn bin_at(&self, percent: u32) -> u32 {
        let rank = (u64::from(self.within) * u64::from(percent)).div_ceil(100).max(1);
        let mut counted = 0;
        let bin = self.bins.iter().position(|&count| {
            counted += u64::from(count);
            rank <= counted
        });
        bin.and_then(|bin| u32::try_from(bin).ok()).unwrap_or(0)
    }
}

impl Default for Window {
    /// As long as nothing is known: at any time within the range.
    fn default() -> Self {
        Self { opens: Duration::ZERO, closes: BIN * 240 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RANGE: Duration = Duration::from_secs(4 * 60 * 60);

    fn window(idle_minutes: impl IntoIterator<Item = u64>) -> Window {
        let mut histogram = Histogram::default();
        for minutes in idle_minutes {
            histogram.add(Duration::from_secs(60 * minutes));
        }
        histogram.window()
    }

    fn seconds(opens: u64, closes: u64) -> Window {
        Window { opens: Duration::from_secs(opens), closes: Duration::from_secs(closes) }
    }

    #[test]
    fn idle_times_of_one_kind_open_the_window_before_and_close_it_after() {
        // Minutes 30 to 31, less and more a tenth: 27 min and 34.1 min.
        assert_eq!(window([30; 20]), seconds(27 * 60, 2046));
    }

    #[test]
    fn the_few_shortest_and_the_longest_do_not_widen_the_window() {
        let idle = [1; 4].into_iter().chain([30; 195]).chain([200]);
        assert_eq!(window(idle), seconds(27 * 60, 2046));
    }

    #[test]
    fn a_function_that_comes_within_a_minute_is_never_unloaded_before_its_tail() {
        assert_eq!(window([0; 10]), seconds(0, 66));
    }

    #[test]
    fn idle_times_of_all_kinds_keep_the_function_for_the_whole_range() {
        assert_eq!(window(0..240), Window { opens: Duration::ZERO, closes: RANGE });
        assert_eq!(window([]), Window { opens: Duration::ZERO, closes: RANGE });
    }

    #[test]
    fn idle_times_beyond_the_range_are_foretold_from_the_last_few() {
        // The median of 300, 400, 500, 500 and 600 minutes, 15 % before and after.
        assert_eq!(window([10, 1000, 600, 300, 400, 500, 500]), seconds(500 * 51, 500 * 69));
    }

    #[test]
    fn a_forgotten_function_is_as_a_new_one() {
        let mut policy = HybridHistogram::default();
        let function = FunctionId(3);
        policy.fell(Timestamp::START, function, 1);
        policy.rose(Timestamp::from_millis(1000), function, 1);
        policy.forget(function);
        assert_eq!(policy.function(function).window(), Window::default());
    }
}
