//! Keeps each instance for as long as that is cheaper than to start it anew.
//!
//! The pause of a level is the time from when demand falls below it to when it rises to it again. It depends on
//! nothing but arrivals, so that it is observed in full whatever was decided. From the pauses of a function's
//! level follows for how long an instance of that level is worth its memory.

use std::time::Duration;

use super::gaps::Gaps;
use super::{Candidate, Plan, Policy, Worth};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Keeps an instance while that costs less than its start, at a price.
#[derive(Debug)]
pub(super) struct LevelCost {
    /// Seconds of cold start that a GiB kept for a second is worth.
    price: f64,
    functions: Vec<Function>,
    /// Pauses of all functions, by bucket: what is assumed of those that are not known yet.
    everyone: Vec<Gaps>,
    /// What the last instance was worth that had to go: those that are used now are worth that much more.
    clock: f64,
}

#[derive(Debug, Default)]
struct Function {
    levels: Vec<Level>,
    buckets: Vec<Bucket>,
}

/// One level of one function.
#[derive(Clone, Copy, Debug)]
struct Level {
    fell_at: Option<Timestamp>,
    uses: f64,
}

/// What is known of some levels of a function together.
#[derive(Debug, Default)]
struct Bucket {
    gaps: Gaps,
    time: Duration,
    /// How many pauses there must be before the time is worked out anew.
    stale_at: f32,
}

/// What is known of everyone counts as much as so many pauses of a function's own.
const PRIOR_WEIGHT: f64 = 2.0;

/// While nothing is known of anyone.
const FIRST_TIME: Duration = Duration::from_secs(600);

impl LevelCost {
    pub(super) fn new(price: f64) -> Self {
        Self { price, functions: Vec::new(), everyone: Vec::new(), clock: 0.0 }
    }

    fn level(&mut self, function: FunctionId, level: u32) -> &mut Level {
        let (function, level) = (function.0 as usize, level as usize - 1);
        if self.functions.len() <= function {
            self.functions.resize_with(function + 1, Function::default);
        }
        let levels = &mut self.functions[function].levels;
        if levels.len() <= level {
            levels.resize(level + 1, Level { fell_at: None, uses: 0.0 });
        }
        &mut levels[level]
    }

    fn observe(&mut self, function: FunctionId, level: u32, gap: Duration) {
        let bucket = bucket(level);
        if self.everyone.len() <= bucket {
            self.everyone.resize_with(bucket + 1, Gaps::default);
        }
        self.everyone[bucket].add(gap);
        let buckets = &mut self.functions[function.0 as usize].buckets;
        if buckets.len() <= bucket {
            buckets.resize_with(bucket + 1, Bucket::default);
        }
        buckets[bucket].gaps.add(gap);
    }

    /// For how long an instance of a level is kept.
    fn time(&mut self, candidate: Candidate) -> Duration {
        let index = bucket(candidate.level);
        let Some(prior) = self.everyone.get(index) else { return FIRST_TIME };
        let buckets = &mut self.functions[candidate.function.0 as usize].buckets;
        if buckets.len() <= index {
            buckets.resize_with(index + 1, Bucket::default);
        }
        let bucket = &mut buckets[index];
        if bucket.stale_at <= bucket.gaps.total() {
            let rent = self.price * candidate.gib();
            let start = candidate.start_cost.as_secs_f64();
            bucket.time = bucket.gaps.with_prior(prior, PRIOR_WEIGHT).cheapest_time(rent, start);
            bucket.stale_at = (bucket.gaps.total() * 1.25).max(bucket.gaps.total() + 1.0);
        }
        bucket.time
    }
}

impl Policy for LevelCost {
    fn rose(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        let known = self.level(function, level);
        known.uses += 1.0;
        if let Some(fell_at) = known.fell_at.take() {
            self.observe(function, level, now - fell_at);
        }
    }

    fn fell(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        self.level(function, level).fell_at = Some(now);
    }

    fn plan(&mut self, now: Timestamp, candidate: Candidate) -> Plan {
        let uses = self.level(candidate.function, candidate.level).uses;
        let worth = self.clock + uses * candidate.start_cost.as_secs_f64() / candidate.gib();
        let keep_until = now + self.time(candidate);
        Plan { idle: Idle { keep_until, worth: Worth::new(worth) }, prewarm_at: None }
    }

    fn evicted(&mut self, Worth(worth): Worth) {
        self.clock = self.clock.max(worth);
    }

    fn forget(&mut self, function: FunctionId) {
        if let Some(function) = self.functions.get_mut(function.0 as usize) {
            *function = Function::default();
        }
    }
}

/// Levels that are looked at together: the higher, the more of them.
fn bucket(level: u32) -> usize {
    let doublings = level.ilog2();
    let half = if doublings == 0 { 0 } else { (level >> (doublings - 1)) & 1 };
    (doublings * 2 + half) as usize
}
