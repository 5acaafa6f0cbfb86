//! Keeps each instance for as long as that is cheaper than to start it anew.
//!
//! The pause of a level is the time from when demand falls below it to when it rises to it again. It depends on
//! nothing but arrivals, so that it is observed in full whatever was decided. From the pauses of a function's
//! level, and from what became of other functions that were known as little, follows for how long an instance
//! of that level is worth its memory.

use std::time::Duration;

use super::pauses::Pauses;
use super::{Candidate, Plan, Policy, Worth, at};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Keeps an instance while that costs less than its start, at a price.
#[derive(Debug)]
pub(super) struct LevelCost {
    /// Seconds of cold start that a GiB kept for a second is worth.
    price: f64,
    functions: Vec<Function>,
    cohorts: Vec<Cohort>,
    /// What the last instance was worth that had to go: those that are used now are worth that much more.
    clock: f64,
}

#[derive(Debug, Default)]
struct Function {
    levels: Vec<Level>,
    buckets: Vec<Bucket>,
}

/// One level of one function.
#[derive(Clone, Copy, Debug, Default)]
struct Level {
    /// The pause that goes on.
    pause: Option<Pause>,
    uses: u32,
}

#[derive(Clone, Copy, Debug)]
struct Pause {
    since: Timestamp,
    /// What the function was like when it began.
    cohort: usize,
}

/// What is known of some levels of a function together.
#[derive(Debug, Default)]
struct Bucket {
    pauses: Pauses,
    time: Duration,
    /// How many pauses there must be before the time is worked out anew.
    stale_at: f32,
}

/// The pauses of all functions of which as much was known, on levels like that.
#[derive(Clone, Debug, Default)]
struct Cohort {
    begun: f32,
    ended: Pauses,
}

/// When so many pauses of a function's own are known, the older ones fade.
const MEMORY: f32 = 1024.0;

/// What became of others counts as much as so many pauses of a function's own.
const WEIGHT_OF_OTHERS: f32 = 4.0;

/// A cohort tells something once so many of its pauses have ended, or so many have begun: until then those that
/// have not ended may only be young. Each is few against what a busy host sees in its first minutes.
const ENOUGH_ENDED: f32 = 8.0;
const ENOUGH_BEGUN: f32 = 256.0;

/// While too little is known of anyone: the fixed time that is usual.
const FIRST_TIME: Duration = Duration::from_secs(600);

impl LevelCost {
    pub(super) const fn new(price: f64) -> Self {
        Self { price, functions: Vec::new(), cohorts: Vec::new(), clock: 0.0 }
    }

    /// A function, and one of its levels and the bucket of that.
    fn look_up(&mut self, function: FunctionId, level: u32) -> (&mut Level, &mut Bucket) {
        let function = at(&mut self.functions, function.0 as usize);
        (at(&mut function.levels, level as usize), at(&mut function.buckets, bucket(level)))
    }

    /// For how long an instance of a level is kept.
    fn time(&mut self, candidate: Candidate) -> Duration {
        let rent = self.price * candidate.gib();
        let start = candidate.start_cost.as_secs_f64();
        let (_, bucket) = self.look_up(candidate.function, candidate.level);
        let known = bucket.pauses.total();
        if known < bucket.stale_at {
            return bucket.time;
        }
        let mut expected = bucket.pauses.smoothed();
        let cohort = at(&mut self.cohorts, cohort(candidate.level, known));
        if known < ENOUGH_ENDED && !cohort.is_telling() {
            return FIRST_TIME;
        }
        cohort.foretell(&mut expected);
        let time = expected.cheapest_time(rent, start);
        let (_, bucket) = self.look_up(candidate.function, candidate.level);
        bucket.time = time;
        bucket.stale_at = known + (known / 8.0).max(1.0);
        time
    }
}

impl Policy for LevelCost {
    fn rose(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        let (level, bucket) = self.look_up(function, level);
        level.uses += 1;
        if let Some(Pause { since, cohort }) = level.pause.take() {
            bucket.pauses.add(now - since);
            if MEMORY <= bucket.pauses.total() {
                bucket.pauses.fade();
                bucket.stale_at = 0.0;
            }
            self.cohorts[cohort].ended.add(now - since);
        }
    }

    fn fell(&mut self, now: Timestamp, function: FunctionId, level: u32) {
        let (known, bucket) = self.look_up(function, level);
        let cohort = cohort(level, bucket.pauses.total());
        known.pause = Some(Pause { since: now, cohort });
        at(&mut self.cohorts, cohort).begin();
    }

    fn plan(&mut self, now: Timestamp, candidate: Candidate) -> Plan {
        let uses = self.look_up(candidate.function, candidate.level).0.uses;
        let worth = self.clock + f64::from(uses) * candidate.start_cost.as_secs_f64() / candidate.gib();
        let keep_until = now + self.time(candidate);
        Plan { idle: Idle { keep_until, worth: Worth::new(worth) }, prewarm_at: None }
    }

    fn evicted(&mut self, Worth(worth): Worth) {
        self.clock = self.clock.max(worth);
    }

    fn emptied(&mut self, _: FunctionId) {}

    fn forget(&mut self, function: FunctionId) {
        if let Some(function) = self.functions.get_mut(function.0 as usize) {
            *function = Function::default();
        }
    }
}

impl Cohort {
    fn begin(&mut self) {
        self.begun += 1.0;
        if MEMORY * 64.0 <= self.begun {
            self.begun /= 2.0;
            self.ended.fade();
        }
    }

    /// Whether it has seen enough to be a guide.
    fn is_telling(&self) -> bool {
        ENOUGH_ENDED <= self.ended.total() || ENOUGH_BEGUN <= self.begun
    }

    /// Adds what is to be expected of another one. What has not ended yet counts as endless.
    fn foretell(&self, expected: &mut Pauses) {
        if self.begun > 0.0 {
            let each = WEIGHT_OF_OTHERS / self.begun;
            expected.add_all(&self.ended, each);
            expected.add_endless((self.begun - self.ended.total()).max(0.0) * each);
        }
    }
}

/// Levels that are looked at together: the higher, the more of them.
fn bucket(level: u32) -> usize {
    match level.ilog2() {
        0 => 0,
        doublings => (doublings * 2 + (level >> (doublings - 1) & 1)) as usize - 1,
    }
}

/// Functions of which as much is known, on levels like that.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a small whole number, and positive"
)]
fn cohort(level: u32, known: f32) -> usize {
    const CLASSES: usize = 8;
    let class =
        if known < 3.0 { known as usize } else { ((known / 2.0).log2() as usize + 2).min(CLASSES - 1) };
    bucket(level) * CLASSES + class
}
