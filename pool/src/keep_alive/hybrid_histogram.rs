//! Unloads an instance when its function is known to pause for long, and has it back just before it is due.
//!
//! After Shahrad et al., "Serverless in the Wild" (USENIX ATC 2020), section 4. The pauses of each function are
//! counted in bins of a minute, up to four hours. From their 5th percentile, less a tenth, to their 99th, and a tenth
//! more, an instance is kept; before that there is none, unless the pauses may be shorter than a minute. A function
//! whose pauses say nothing is kept for the whole range. One whose pauses are mostly longer than that is foreseen by
//! the median of its latest ones, within 15 %: the paper fits an ARIMA model there, which is no matter for a pool.
//!
//! The paper knows functions and not how many instances they have. Here the pause is that of the whole function;
//! instances beyond the first are kept to the end of the window, and are not brought back.

use std::time::Duration;

use super::{Candidate, Plan, Policy, Worth, at};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Four hours, in minutes.
const BINS: usize = 240;
const BIN: Duration = Duration::from_secs(60);
const RANGE: Duration = Duration::from_secs(240 * 60);
/// Percentiles of the pauses between which an instance is ready, and by how much that is widened at either end.
const HEAD: (u64, u64) = (5, 100);
const TAIL: (u64, u64) = (99, 100);
const MARGIN: f64 = 0.10;
/// The same where only the latest pauses are known.
const MARGIN_OF_LATEST: f64 = 0.15;
/// Below this coefficient of variation of the bins, the pauses are too evenly spread to say anything.
const LEAST_VARIATION: f64 = 2.0;
/// Of so many of the latest pauses the median is taken.
const LATEST: usize = 8;

/// Keeps an instance ready when its function is likely to be asked for.
#[derive(Debug, Default)]
pub(super) struct HybridHistogram {
    functions: Vec<Function>,
}

/// What is known of a function.
#[derive(Debug, Default)]
struct Function {
    /// Since when nobody has asked for it, if nobody does.
    pausing_since: Option<Timestamp>,
    pauses: Option<Box<Pauses>>,
}

/// The pauses of a function.
#[derive(Debug)]
struct Pauses {
    bins: [u32; BINS],
    /// Those that are in a bin, and the sum of the squares of the bins.
    counted: u64,
    squares: u64,
    /// Those that were too long for any.
    beyond: u64,
    /// The latest ones of any length, as a ring.
    latest: [Duration; LATEST],
}

/// When an instance is ready, counted from the beginning of a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Window {
    from: Duration,
    to: Duration,
}

/// From the beginning, for the whole range: what is done where nothing better is known.
const ALWAYS: Window = Window { from: Duration::ZERO, to: RANGE };

impl Policy for HybridHistogram {
    fn rose(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        let function = at(&mut self.functions, function.0 as usize);
        if level == 1
            && let Some(since) = function.pausing_since.take()
        {
            function.pauses.get_or_insert_with(Pauses::none).add(now - since);
        }
    }

    fn fell(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        if level == 1 {
            at(&mut self.functions, function.0 as usize).pausing_since = Some(now);
        }
    }

    fn plan(&mut self, now: Timestamp, candidate: Candidate) -> Plan {
        let function = at(&mut self.functions, candidate.function.0 as usize);
        let window = function.pauses.as_ref().map_or(ALWAYS, |pauses| pauses.window());
        let since = function.pausing_since.unwrap_or(now);
        let (from, to) = (since + window.from, since + window.to);
        let is_early = candidate.level == 1 && now < from;
        let keep_until = if is_early { now } else { to.max(now) };
        let idle = Idle { keep_until, worth: Worth::of_last_use(now) };
        Plan { idle, prewarm_at: is_early.then_some(from) }
    }

    fn evicted(&mut self, _: Worth) {}

    fn forget(&mut self, function: FunctionId) {
        *at(&mut self.functions, function.0 as usize) = Function::default();
    }
}

impl Pauses {
    fn none() -> Box<Self> {
        Box::new(Self {
            bins: [0; BINS],
            counted: 0,
            squares: 0,
            beyond: 0,
            latest: [Duration::ZERO; LATEST],
        })
    }

    fn add(&mut self, pause: Duration) {
        let nth = usize::try_from(self.total()).unwrap_or_default();
        self.latest[nth % LATEST] = pause;
        let minute = usize::try_from(pause.as_secs() / BIN.as_secs()).unwrap_or(BINS);
        match self.bins.get_mut(minute) {
            Some(bin) => {
                self.squares += 2 * u64::from(*bin) + 1;
                *bin += 1;
                self.counted += 1;
            }
            None => self.beyond += 1,
        }
    }

    fn total(&self) -> u64 {
        self.counted + self.beyond
    }

    fn window(&self) -> Window {
        if self.counted < self.beyond {
            return self.around_latest();
        }
        if !self.is_telling() {
            return ALWAYS;
        }
        let head = BIN * self.bin_of(HEAD);
        let tail = BIN * (self.bin_of(TAIL) + 1);
        Window { from: head.mul_f64(1.0 - MARGIN), to: tail.mul_f64(1.0 + MARGIN) }
    }

    /// Whether the pauses gather in few of the bins: their coefficient of variation says so.
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    fn is_telling(&self) -> bool {
        let (bins, sum, squares) = (BINS as f64, self.counted as f64, self.squares as f64);
        let variance = squares / bins - (sum / bins).powi(2);
        LEAST_VARIATION * sum / bins <= variance.sqrt()
    }

    /// The bin of a percentile of those that are in one.
    fn bin_of(&self, (part, whole): (u64, u64)) -> u32 {
        let rank = (self.counted * part).div_ceil(whole).max(1);
        let mut seen = 0;
        let reaches = |&bin: &u32| {
            seen += u64::from(bin);
            rank <= seen
        };
        let bin = self.bins.iter().position(reaches).unwrap_or(BINS - 1);
        u32::try_from(bin).unwrap_or_default()
    }

    fn around_latest(&self) -> Window {
        let known = usize::try_from(self.total()).map_or(LATEST, |total| total.min(LATEST));
        let mut latest = self.latest;
        let latest = &mut latest[..known];
        latest.sort_unstable();
        let median = latest[known / 2];
        Window { from: median.mul_f64(1.0 - MARGIN_OF_LATEST), to: median.mul_f64(1.0 + MARGIN_OF_LATEST) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryMib;

    const FUNCTION: FunctionId = FunctionId(0);

    fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    /// Has a function pause for so many minutes each time, and answers what is planned for it after that, with the
    /// time at which its last pause began.
    fn plan_after(pauses: &[u64], level: u32) -> (Timestamp, Plan) {
        let (mut policy, mut now) = (HybridHistogram::default(), Timestamp::START);
        for &pause in pauses {
            policy.rose(now, FUNCTION, 1);
            policy.fell(now, FUNCTION, 1);
            now = now + minutes(pause);
        }
        policy.rose(now, FUNCTION, 1);
        policy.fell(now, FUNCTION, 1);
        (now, policy.plan(now, candidate(level)))
    }

    fn candidate(level: u32) -> Candidate {
        let start_cost = Duration::from_secs(1);
        Candidate { function: FUNCTION, level, memory: MemoryMib(128), start_cost }
    }

    #[test]
    fn a_function_that_comes_every_half_hour_is_unloaded_and_back_in_time() {
        let (now, plan) = plan_after(&[30; 10], 1);
        assert_eq!(plan.idle.keep_until, now);
        assert_eq!(plan.prewarm_at, Some(now + minutes(27)));
    }

    #[test]
    fn one_that_was_brought_back_stays_to_the_end_of_the_window() {
        let (mut policy, start) = (HybridHistogram::default(), Timestamp::START);
        for nth in 0..10 {
            policy.rose(start + minutes(30 * nth), FUNCTION, 1);
            policy.fell(start + minutes(30 * nth), FUNCTION, 1);
        }
        let pause = start + minutes(30 * 9);
        let plan = policy.plan(pause + minutes(27), candidate(1));
        assert_eq!(plan.prewarm_at, None);
        assert_eq!(plan.idle.keep_until, pause + minutes(31).mul_f64(1.1));
    }

    #[test]
    fn a_function_that_may_come_within_the_minute_is_kept_for_the_whole_window() {
        let (now, plan) = plan_after(&[0, 0, 0, 5, 0, 0, 0, 0, 0, 0], 1);
        assert_eq!((plan.idle.keep_until, plan.prewarm_at), (now + minutes(6).mul_f64(1.1), None));
    }

    #[test]
    fn a_function_of_which_nothing_is_known_or_that_comes_at_any_time_is_kept_for_the_range() {
        let evenly: Vec<u64> = (0..240).collect();
        for pauses in [&[][..], &evenly] {
            let (now, plan) = plan_after(pauses, 1);
            assert_eq!((plan.idle.keep_until, plan.prewarm_at), (now + RANGE, None));
        }
    }

    #[test]
    fn pauses_beyond_the_range_are_foreseen_from_the_latest_ones() {
        let (now, plan) = plan_after(&[600, 600, 600], 1);
        assert_eq!(plan.prewarm_at, Some(now + minutes(510)));
        assert_eq!(plan.idle.keep_until, now);
    }

    #[test]
    fn instances_beyond_the_first_are_not_unloaded_early() {
        let (now, plan) = plan_after(&[30; 10], 2);
        assert_eq!((plan.idle.keep_until, plan.prewarm_at), (now + minutes(31).mul_f64(1.1), None));
    }

    #[test]
    fn percentiles_are_those_of_a_sorted_list() {
        let mut pauses = Pauses::none();
        (1..=100).for_each(|minute| pauses.add(minutes(minute)));
        assert_eq!((pauses.bin_of(HEAD), pauses.bin_of(TAIL)), (5, 99));
    }
}
