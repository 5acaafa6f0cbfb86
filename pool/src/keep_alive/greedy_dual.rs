//! Keeps everything until others need the room, and then lets go what costs least to start again for its size.
//!
//! `FaasCache` (Fuerst and Sharma, ASPLOS 2021): an instance's priority is `clock + frequency · cost / size`. The
//! clock is the priority of the last one that had to go, so that whatever is not used any more falls behind, however
//! often it was used before. The frequency is the function's, and is forgotten with its last instance.
//!
//! Where it differs from `level-cost` under pressure: the frequency counts for all instances of a function alike, so
//! that those that only a burst needed are worth as much as the one that is used all the time.

use super::{Candidate, Plan, Policy, Worth, at};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Evicts by priority, and never for idleness.
#[derive(Debug, Default)]
pub(super) struct GreedyDual {
    clock: f64,
    functions: Vec<Function>,
}

/// How often a function was used since it last had no instance.
#[derive(Clone, Copy, Debug, Default)]
struct Function {
    uses: u32,
}

impl GreedyDual {
    fn function(&mut self, function: FunctionId) -> &mut Function {
        at(&mut self.functions, function.0 as usize)
    }
}

impl Policy for GreedyDual {
    fn rose(&mut self, _: Timestamp, function: FunctionId, _: u32) {
        let function = self.function(function);
        function.uses = function.uses.saturating_add(1);
    }

    fn fell(&mut self, _: Timestamp, _: FunctionId, _: u32) {}

    fn plan(&mut self, _: Timestamp, candidate: Candidate) -> Plan {
        let uses = f64::from(self.function(candidate.function).uses);
        let worth = self.clock + uses * candidate.start_cost.as_secs_f64() / candidate.gib();
        Plan { idle: Idle { keep_until: Timestamp::NEVER, worth: Worth::new(worth) }, prewarm_at: None }
    }

    fn evicted(&mut self, Worth(worth): Worth) {
        self.clock = self.clock.max(worth);
    }

    fn emptied(&mut self, function: FunctionId) {
        self.forget(function);
    }

    fn forget(&mut self, function: FunctionId) {
        *self.function(function) = Function::default();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::MemoryMib;

    /// What an instance is worth that goes idle after so many uses of its function.
    fn worth(policy: &mut GreedyDual, function: u32, uses: u32, memory: u64, start_ms: u64) -> Worth {
        let function = FunctionId(function);
        for _ in 0..uses {
            policy.rose(Timestamp::START, function, 1);
        }
        let (memory, start_cost) = (MemoryMib(memory), Duration::from_millis(start_ms));
        policy.plan(Timestamp::START, Candidate { function, level: 1, memory, start_cost }).idle.worth
    }

    #[test]
    fn an_instance_is_worth_its_uses_times_its_start_over_its_size() {
        let policy = &mut GreedyDual::default();
        assert_eq!(worth(policy, 0, 3, 512, 250), Worth::new(3.0 * 0.25 / 0.5));
        assert_eq!(worth(policy, 0, 1, 1024, 250), Worth::new(4.0 * 0.25));
    }

    #[test]
    fn whoever_is_used_after_an_eviction_is_worth_more_by_what_had_to_go() {
        let policy = &mut GreedyDual::default();
        let before = worth(policy, 0, 5, 1024, 1000);
        policy.evicted(before);
        assert_eq!(worth(policy, 1, 1, 1024, 1000), Worth::new(6.0));
    }

    #[test]
    fn uses_are_forgotten_with_the_last_instance() {
        let policy = &mut GreedyDual::default();
        worth(policy, 0, 9, 1024, 1000);
        policy.emptied(FunctionId(0));
        assert_eq!(worth(policy, 0, 1, 1024, 1000), Worth::new(1.0));
    }
}
