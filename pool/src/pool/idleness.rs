//! Instances go idle, are used again, and leave when nobody used them for long enough.

use crate::instance::{Idle, Phase};
use crate::keep_alive::Candidate;
use crate::list::List;
use crate::{EvictReason, FunctionId, Pool, Purpose, ScaleOut, Timestamp};

impl Pool {
    /// An instance that may be in a list comes in hand: busy, and in none.
    pub(super) fn take_out(&mut self, index: u32) {
        let instance = &mut self.instances[index];
        let function = instance.function.0;
        match instance.phase {
            Phase::Idle(_) => {
                instance.phase = Phase::Busy { serving: 0 };
                self.memory.ceased_idle(instance.memory);
                let idle = &mut self.fleets[function].idle;
                let was_front = idle.front() == Some(index);
                idle.remove(&mut self.ready, index);
                if was_front && !idle.is_empty() {
                    self.list_victim(function);
                }
            }
            Phase::Busy { serving } if serving < instance.slots => {
                self.fleets[function].partial.remove(&mut self.ready, index);
            }
            Phase::Busy { .. } | Phase::Launching(_) | Phase::Draining { .. } | Phase::Terminating { .. } => {
            }
        }
    }

    /// An instance in hand goes where its free slots are found.
    pub(super) fn put_away(&mut self, index: u32) {
        let instance = &self.instances[index];
        match instance.phase.serving() {
            0 => self.go_idle(index),
            serving if serving < instance.slots => {
                self.fleets[instance.function.0].partial.push_back(&mut self.ready, index);
            }
            _ => {}
        }
    }

    /// The instance's keep-alive may have ended.
    pub(super) fn keep_alive_ended(&mut self, index: u32) {
        let instance = &mut self.instances[index];
        instance.armed = Timestamp::NEVER;
        let Phase::Idle(Idle { keep_until, .. }) = instance.phase else { return };
        let function = instance.function.0;
        if self.now < keep_until {
            return self.arm_instance(index, keep_until);
        }
        // Those that have been idle for longer would be used after it: if it is not worth its keep, nor are they.
        while self.fleets[function].spare() > 0
            && let Some(longest_idle) = self.fleets[function].idle.front()
        {
            self.dismiss(longest_idle, EvictReason::Idle);
            if longest_idle == index {
                break;
            }
        }
    }

    /// Idle instances that the floor kept beyond their time are looked at again: there may be more than the
    /// floor asks for.
    pub(super) fn rearm(&mut self, fleet: u32) {
        let mut next = self.fleets[fleet].idle.front();
        while let Some(index) = next {
            if let Phase::Idle(Idle { keep_until, .. }) = self.instances[index].phase {
                self.arm_instance(index, keep_until);
            }
            next = List::after(&self.ready, index);
        }
    }

    /// A request of the function has come, and is counted.
    #[inline]
    pub(super) fn demand_rose(&mut self, index: u32) {
        let fleet = &mut self.fleets[index];
        fleet.prewarm_at = None;
        let (requests, level) = (fleet.requests(), fleet.level(fleet.requests()));
        if fleet.level(requests - 1) < level {
            self.policy.rose(self.now, FunctionId(index), level);
        }
    }

    /// A request of the function has gone, and is not counted any more.
    #[inline]
    pub(super) fn demand_fell(&mut self, index: u32) {
        let fleet = &self.fleets[index];
        let (requests, former_level) = (fleet.requests(), fleet.level(fleet.requests() + 1));
        if fleet.level(requests) < former_level {
            self.policy.fell(self.now, FunctionId(index), former_level);
        }
    }

    /// An invocation on the instance has ended.
    #[inline]
    pub(super) fn invocation_ended(&mut self, index: u32) {
        let function = self.instances[index].function.0;
        let fleet = &mut self.fleets[function];
        fleet.load.completed(self.now, fleet.serving);
        fleet.serving -= 1;
        self.serving -= 1;
        self.demand_fell(function);
        if self.config.scale_out == ScaleOut::CostAware && !self.fleets[function].waiting.is_empty() {
            // What was learned of how long invocations take may change what those who wait are worth.
            self.reconsider(function);
        }
    }

    /// An idle instance is the next one to be used, and the last one to leave. Where a floor is kept, those that
    /// were launched for it go before the others: the others come and go with a burst.
    fn line_up(&mut self, index: u32) {
        let instance = &self.instances[index];
        let fleet = &mut self.fleets[instance.function.0];
        let is_for_floor = |index: u32| self.instances[index].purpose == Purpose::Provisioned;
        let first_for_floor = match fleet.floor {
            0 => None,
            _ if is_for_floor(index) => None,
            _ => fleet.idle.iter(&self.ready).find(|&other| is_for_floor(other)),
        };
        match first_for_floor {
            Some(first) => fleet.idle.insert_before(&mut self.ready, first, index),
            None => fleet.idle.push_back(&mut self.ready, index),
        }
    }

    fn arm_instance(&mut self, index: u32, at: Timestamp) {
        self.instances[index].armed = at;
        self.timers.instances.set(index, at);
    }

    fn go_idle(&mut self, index: u32) {
        let instance = &mut self.instances[index];
        let function = instance.function;
        let fleet = &mut self.fleets[function.0];
        // One that nobody has used yet is one more than were needed so far.
        let level = if instance.served == 0 { fleet.ready } else { fleet.level(fleet.requests()) + 1 };
        let candidate =
            Candidate { function, level, memory: instance.memory, start_cost: fleet.start_cost() };
        let plan = self.policy.plan(self.now, candidate);
        instance.phase = Phase::Idle(plan.idle);
        instance.since = self.now;
        if fleet.requests() == 0 {
            fleet.prewarm_at = plan.prewarm_at;
        }
        self.memory.went_idle(instance.memory);
        self.line_up(index);
        let is_first = self.fleets[function.0].idle.front() == Some(index);
        if plan.idle.keep_until < self.instances[index].armed {
            self.arm_instance(index, plan.idle.keep_until);
        }
        if is_first {
            self.list_victim(function.0);
        }
        if plan.prewarm_at.is_some() {
            self.reconsider(function.0);
        }
        self.room_may_have_come(function.0);
    }
}
