//! Keeps everything until room is short, and gives up what was dearest for the least use.
//!
//! After Fuerst and Sharma, "Keeping Serverless Computing Alive with Greedy-Dual Caching" (ASPLOS 2021):
//! an instance is worth `clock + frequency · cost / size`, and the clock is set to the worth of whatever had to go.
//! The paper forgets a function's frequency when its last instance goes; here it is kept, because a function that
//! was evicted under pressure is most often one that comes again: with it, cold seconds are about half.

use super::{Candidate, Plan, Policy, Worth, at};
use crate::instance::Idle;
use crate::{FunctionId, Timestamp};

/// Ends an instance only if others need its room.
#[derive(Debug, Default)]
pub(super) struct GreedyDual {
    /// How often each function was asked for.
    frequencies: Vec<u32>,
    /// What the last instance was worth that had to go: those that are used now are worth that much more.
    clock: f64,
}

impl Policy for GreedyDual {
    fn rose(&mut self, _: Timestamp, function: FunctionId, _: u32) {
        let frequency = at(&mut self.frequencies, function.0 as usize);
        *frequency = frequency.saturating_add(1);
    }

    fn fell(&mut self, _: Timestamp, _: FunctionId, _: u32) {}

    fn plan(&mut self, _: Timestamp, candidate: Candidate) -> Plan {
        let frequency = f64::from(*at(&mut self.frequencies, candidate.function.0 as usize));
        let worth = self.clock + frequency * candidate.start_cost.as_secs_f64() / candidate.gib();
        let idle = Idle { keep_until: Timestamp::NEVER, worth: Worth::new(worth) };
        Plan { idle, prewarm_at: None }
    }

    fn evicted(&mut self, Worth(worth): Worth) {
        self.clock = self.clock.max(worth);
    }

    fn forget(&mut self, function: FunctionId) {
        *at(&mut self.frequencies, function.0 as usize) = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::MemoryMib;

    const NOW: Timestamp = Timestamp::START;

    fn worth(policy: &mut GreedyDual, function: u32, mib: u64, start_seconds: u64) -> Worth {
        let candidate = Candidate {
            function: FunctionId(function),
            level: 1,
            memory: MemoryMib(mib),
            start_cost: Duration::from_secs(start_seconds),
        };
        policy.plan(NOW, candidate).idle.worth
    }

    #[test]
    fn what_is_used_more_often_is_dearer_to_start_or_smaller_is_worth_more() {
        let mut policy = GreedyDual::default();
        policy.rose(NOW, FunctionId(0), 1);
        policy.rose(NOW, FunctionId(1), 1);
        policy.rose(NOW, FunctionId(1), 1);
        let once = worth(&mut policy, 0, 128, 1);
        assert!(once < worth(&mut policy, 1, 128, 1));
        assert!(once < worth(&mut policy, 0, 128, 2));
        assert!(once < worth(&mut policy, 0, 64, 1));
    }

    #[test]
    fn what_had_to_go_raises_the_worth_of_what_is_used_after_it() {
        let mut policy = GreedyDual::default();
        policy.rose(NOW, FunctionId(0), 1);
        let before = worth(&mut policy, 0, 128, 1);
        policy.evicted(before);
        assert!(before < worth(&mut policy, 0, 128, 1));
    }

    #[test]
    fn nothing_goes_before_its_room_is_needed() {
        let candidate = Candidate {
            function: FunctionId(0),
            level: 1,
            memory: MemoryMib(128),
            start_cost: Duration::from_secs(1),
        };
        assert_eq!(GreedyDual::default().plan(NOW, candidate).idle.keep_until, Timestamp::NEVER);
    }
}
