//! One instance: what it is, and what it is doing.
//!
//! ```text
//!              ┌─────────► Idle ⇄ Busy ──► Draining
//! Launching ───┤             │      │          │
//!     │        └──────────►──┴──────┴──────────┤
//!     ▼ (failed)                               ▼
//!   gone ◄──────────────────────────────── Terminating
//! ```

use crate::keep_alive::Worth;
use crate::{DeployId, EvictReason, FunctionId, MemoryMib, Timestamp};

/// One row of the pool's table. What is needed to serve comes first, and fits into one line of a cache.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Instance {
    pub(crate) phase: Phase,
    /// When the phase began.
    pub(crate) since: Timestamp,
    /// When its timer goes off, as the timers know it; `NEVER` if it is not set.
    pub(crate) armed: Timestamp,
    pub(crate) function: FunctionId,
    /// Invocations that it can serve at once.
    pub(crate) slots: u32,
    /// Invocations that it was granted to, ever.
    pub(crate) served: u64,
    pub(crate) memory: MemoryMib,
    /// When its launch was asked for.
    pub(crate) launched_at: Timestamp,
    pub(crate) purpose: Purpose,
    pub(crate) deploy: DeployId,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Phase {
    /// On its way. Ends in `Idle`, `Busy` or `Terminating`, or is gone when the launch fails.
    Launching(Fate),
    /// Ready, and serves nobody. Ends in `Busy` or `Terminating`.
    Idle(Idle),
    /// Serves; there may be free slots. Ends in `Idle`, `Draining` or `Terminating`.
    Busy { serving: u32 },
    /// Serves its last invocations. Ends in `Terminating`, or in `Busy` if its deploy is current again.
    Draining { serving: u32, reason: EvictReason },
    /// Nobody is given it any more; only its memory counts. Ends when the backend confirms that it is gone.
    Terminating { reason: EvictReason },
}

/// What becomes of an instance whose launch succeeds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It serves.
    Joins,
    /// It is known to have ended already: its launch will count as failed.
    DeadOnArrival,
    /// Nobody wants it any more.
    Dropped(EvictReason),
}

/// What is planned for an idle instance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Idle {
    /// It leaves at that moment, if it is still idle.
    pub(crate) keep_until: Timestamp,
    /// What it is worth to keep: the least goes first.
    pub(crate) worth: Worth,
}

/// What an instance was launched for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Purpose {
    /// Somebody waits.
    Demand,
    /// Provisioned concurrency.
    Provisioned,
    /// The keep-alive policy expects somebody.
    Prediction,
}

impl Phase {
    /// Invocations under way.
    pub(crate) const fn serving(self) -> u32 {
        match self {
            Self::Busy { serving } | Self::Draining { serving, .. } => serving,
            Self::Launching(_) | Self::Idle(_) | Self::Terminating { .. } => 0,
        }
    }
}

/// Whether an instance that is to go for this reason may stay after all, if its deploy becomes the current one.
pub(crate) const fn is_undone_by_deploy(reason: EvictReason) -> bool {
    matches!(reason, EvictReason::StaleDeploy | EvictReason::Removed)
}
