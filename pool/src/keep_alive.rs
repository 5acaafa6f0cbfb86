//! How long an idle instance is kept, and what it is worth while it is.

mod greedy_dual;
mod hybrid_histogram;
mod level_cost;
mod pauses;
mod ttl;

use std::cmp::Ordering;
use std::fmt;
use std::time::Duration;

use crate::instance::Idle;
use crate::{FunctionId, KeepAlive, MemoryMib, Timestamp};

/// Decides about idle instances. The pool tells it how demand moves and asks it whenever an instance goes idle.
///
/// Demand is counted in instances, one *level* each: the level-3 instance is used exactly while at least three
/// are needed. Reuse is last in, first out, so that an instance that goes idle stands for the level from which
/// demand has just fallen.
pub(crate) trait Policy: fmt::Debug + Send + Sync {
    /// Demand for a function has risen to `level`.
    fn rose(&mut self, now: Timestamp, function: FunctionId, level: u32);

    /// Demand for a function has fallen from `level`.
    fn fell(&mut self, now: Timestamp, function: FunctionId, level: u32);

    /// An instance goes idle.
    fn plan(&mut self, now: Timestamp, candidate: Candidate) -> Plan;

    /// An idle instance that was worth so much was evicted, because others needed its room.
    fn evicted(&mut self, worth: Worth);

    /// A function has no instance any more that could serve, nor one on its way.
    fn emptied(&mut self, function: FunctionId);

    /// A function is gone.
    fn forget(&mut self, function: FunctionId);
}

/// An instance that goes idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Candidate {
    pub(crate) function: FunctionId,
    /// How many instances would be needed for it to be used again.
    pub(crate) level: u32,
    /// What it costs to keep.
    pub(crate) memory: MemoryMib,
    /// What it would cost to start again.
    pub(crate) start_cost: Duration,
}

/// What becomes of an instance that goes idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    pub(crate) idle: Idle,
    /// When another one shall be ready, if nobody comes before.
    pub(crate) prewarm_at: Option<Timestamp>,
}

/// What an idle instance is worth, on the policy's own scale.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Worth(f64);

/// Makes the policy that a configuration asks for.
pub(crate) fn policy(config: &KeepAlive) -> Box<dyn Policy> {
    match *config {
        KeepAlive::Ttl(time) => Box::new(ttl::Ttl(time)),
        KeepAlive::HybridHistogram => Box::new(hybrid_histogram::HybridHistogram::default()),
        KeepAlive::GreedyDual => Box::new(greedy_dual::GreedyDual::default()),
        KeepAlive::LevelCost { price } => Box::new(level_cost::LevelCost::new(price)),
    }
}

/// The row with this number, made if there is none.
fn at<T: Default>(rows: &mut Vec<T>, index: usize) -> &mut T {
    if rows.len() <= index {
        rows.resize_with(index + 1, T::default);
    }
    &mut rows[index]
}

impl Candidate {
    /// What it costs to keep, in GiB; never nothing.
    fn gib(&self) -> f64 {
        f64::from(u32::try_from(self.memory.0.max(1)).unwrap_or(u32::MAX)) / 1024.0
    }
}

impl Worth {
    pub(crate) const fn new(worth: f64) -> Self {
        Self(worth)
    }

    /// The later it was used, the more it is worth.
    #[expect(
        clippy::cast_precision_loss,
        reason = "exact for the first hundred days, good to 2 ns thereafter"
    )]
    pub(crate) fn of_last_use(at: Timestamp) -> Self {
        Self(at.as_nanos() as f64)
    }
}

impl PartialEq for Worth {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Worth {}

impl PartialOrd for Worth {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Worth {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.total_cmp(&other.0)
    }
}
