//! What can happen next, made from a few bytes so that failing sequences shrink well.

use std::time::Duration;

use hearth_pool::{Config, FunctionSpec, KeepAlive, MemoryMib, Outcome, QueuePolicy, ScaleOut};
use proptest::prelude::*;

/// Functions 0 and 1 are versions of one function, and so are 2 and 3.
pub(crate) const FUNCTIONS: u8 = 4;

/// One thing that happens, after a while. Numbers choose among what there is at that moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) after: Duration,
    pub(crate) action: Action,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Request {
        function: u8,
        patience: Duration,
    },
    Cancel {
        choice: u8,
    },
    Release {
        choice: u8,
        outcome: Outcome,
    },
    Launched {
        choice: u8,
    },
    LaunchFailed {
        choice: u8,
    },
    Exited {
        choice: u8,
    },
    Terminated {
        choice: u8,
    },
    Deployed {
        function: u8,
        deploy: u8,
        spec: FunctionSpec,
    },
    Removed {
        function: u8,
    },
    Evicted {
        function: u8,
    },
    /// An event about an instance, whatever that is doing.
    Nonsense {
        choice: u8,
        kind: u8,
    },
    ShutDown,
    Nothing,
}

/// Sequences of steps, and the configuration that they run under.
pub(crate) fn runs(length: usize) -> impl Strategy<Value = (Config, Vec<Step>)> {
    let steps = prop::collection::vec(any::<[u8; 4]>(), 1..length);
    (any::<[u8; 8]>(), steps)
        .prop_map(|(config, steps)| (self::config(config), steps.into_iter().map(step).collect()))
}

fn config([account, budget, queue, scale_out, gate, keep_alive, seed, _]: [u8; 8]) -> Config {
    Config {
        account_concurrency: 1 + u32::from(account % 12),
        memory_budget: (budget % 3 > 0).then(|| MemoryMib(256 + 64 * u64::from(budget % 24))),
        queue: match queue % 4 {
            0 => QueuePolicy::Refuse,
            1 => QueuePolicy::Wait { max_waiters: 3 },
            _ => QueuePolicy::Wait { max_waiters: 1000 },
        },
        scale_out: if scale_out.is_multiple_of(3) { ScaleOut::CostAware } else { ScaleOut::Eager },
        keep_alive: self::keep_alive(keep_alive),
        launches_at_once: 1 + u32::from(gate % 5),
        backoff_min: Duration::from_millis(100),
        backoff_max: Duration::from_secs(2),
        seed: seed.into(),
    }
}

/// Every policy, so that the promises hold whatever it decides.
fn keep_alive(choice: u8) -> KeepAlive {
    let variant = choice / 4;
    match choice % 4 {
        0 => KeepAlive::Ttl(Duration::from_millis(500 * u64::from(variant % 8))),
        1 => KeepAlive::HybridHistogram,
        2 => KeepAlive::GreedyDual,
        _ => KeepAlive::LevelCost { price: [1e-4, 0.003, 0.1, 10.0][usize::from(variant % 4)] },
    }
}

fn step([kind, a, b, after]: [u8; 4]) -> Step {
    let after = match after {
        0..=127 => Duration::ZERO,
        128..=239 => Duration::from_millis(u64::from(after) - 127),
        240..=250 => Duration::from_millis(100 * (u64::from(after) - 239)),
        251..=252 => Duration::from_millis(1000 * (u64::from(after) - 250)),
        // Long enough for a policy to predict when they will be over.
        253 => Duration::from_secs(2 * 60),
        254 => Duration::from_secs(30 * 60),
        255 => Duration::from_secs(300 * 60),
    };
    Step { after, action: action(kind, a, b) }
}

fn action(kind: u8, a: u8, b: u8) -> Action {
    let function = a % FUNCTIONS;
    match kind {
        0..=79 => {
            Action::Request { function, patience: Duration::from_millis(u64::from(b) * u64::from(b) / 8) }
        }
        80..=87 => Action::Cancel { choice: a },
        88..=137 => {
            Action::Release { choice: a, outcome: if b < 224 { Outcome::Reusable } else { Outcome::Broken } }
        }
        138..=177 => Action::Launched { choice: a },
        178..=187 => Action::LaunchFailed { choice: a },
        188..=193 => Action::Exited { choice: a },
        194..=223 => Action::Terminated { choice: a },
        224..=237 => {
            Action::Deployed { function, deploy: (a / FUNCTIONS) % 3, spec: spec(function, a / 16, b) }
        }
        238..=240 => Action::Removed { function },
        241..=243 => Action::Evicted { function },
        244..=251 => Action::Nonsense { choice: a, kind: b },
        252 if a < 32 => Action::ShutDown,
        252..=255 => Action::Nothing,
    }
}

/// A function's first settings.
pub(crate) fn first_spec(function: u8) -> FunctionSpec {
    spec(function, 0, 0)
}

fn spec(function: u8, a: u8, b: u8) -> FunctionSpec {
    FunctionSpec {
        memory: MemoryMib(64 << (b % 4)),
        slots: [1, 1, 2, 3][usize::from(b / 4 % 4)],
        reserved: [None, None, None, Some(0), Some(1), Some(2), Some(3), Some(5)][usize::from(b / 16 % 8)],
        reserve_group: u32::from(function / 2),
        provisioned: [0, 0, 0, 0, 0, 1, 2, 3][usize::from(a % 8)],
    }
}
