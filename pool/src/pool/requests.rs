//! Requests and instances meet: one comes free or ready, one is asked for.

use crate::capacity::Obstacle;
use crate::instance::Phase;
use crate::wait_queue::Waiter;
use crate::{
    Effect, EvictReason, FunctionId, InstanceId, Outcome, Pool, Purpose, QueuePolicy, Refusal, RequestId,
    Start, Timestamp, WaitedFor,
};

use super::Stage;

/// Whether the request that is granted an instance waited for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waited {
    Yes,
    No,
}

impl Pool {
    pub(super) fn requested(&mut self, request: RequestId, function: FunctionId, deadline: Timestamp) {
        if self.stage == Stage::ShuttingDown {
            return self.refuse(request, Refusal::ShuttingDown);
        }
        let Some(fleet) = self.fleets.get(function.0).filter(|fleet| fleet.deployment.is_some()) else {
            return self.refuse(request, Refusal::NoSuchFunction);
        };
        if self.waiters.is_waiting(request) {
            return;
        }
        let Some(available) = fleet.available() else {
            return self.wait(Waiter { request, function, since: self.now }, deadline);
        };
        self.take_out(available);
        self.grant(available, request, Waited::No);
        self.demand_rose(function.0);
        self.put_away(available);
    }

    pub(super) fn cancelled(&mut self, request: RequestId) {
        if let Some(waiter) = self.waiters.find(request) {
            let function = self.withdraw(waiter).function;
            self.demand_fell(function.0);
            self.reconsider(function.0);
        }
    }

    pub(super) fn released(&mut self, id: InstanceId, outcome: Outcome) {
        let Some(index) = self.find(id) else { return };
        match self.instances[index].phase {
            Phase::Busy { serving } => {
                self.take_out(index);
                self.instances[index].phase = Phase::Busy { serving: serving - 1 };
                self.invocation_ended(index);
                self.note_first_service(index);
                match outcome {
                    Outcome::Reusable => self.offer(index),
                    Outcome::Broken => self.let_go(index, EvictReason::Broken),
                }
            }
            Phase::Draining { serving, reason } => {
                let reason = if outcome == Outcome::Broken { EvictReason::Broken } else { reason };
                self.instances[index].phase = Phase::Draining { serving: serving - 1, reason };
                self.invocation_ended(index);
                if serving == 1 {
                    self.terminate(index, reason);
                }
            }
            // It died, or was never granted.
            Phase::Launching(_) | Phase::Idle(_) | Phase::Terminating { .. } => {}
        }
    }

    /// An instance that has ended its first invocation shows that launches are worth while.
    #[inline]
    fn note_first_service(&mut self, index: u32) {
        let instance = &self.instances[index];
        // It may have begun as many as it has slots before it ended the first one.
        if instance.served <= u64::from(instance.slots) {
            let fleet = &mut self.fleets[instance.function.0];
            fleet.backoff = fleet.backoff.served();
        }
    }

    /// An instance in hand, with free slots, serves those who wait longest, else nobody for the time being.
    pub(super) fn offer(&mut self, index: u32) {
        if let Some(reason) = self.must_make_way(index) {
            return self.let_go(index, reason);
        }
        let instance = &self.instances[index];
        let (fleet, free) = (instance.function.0, instance.slots - instance.phase.serving());
        for _ in 0..free {
            let Some(head) = self.fleets[fleet].waiting.front() else { break };
            let waiter = self.withdraw(head);
            self.grant(index, waiter.request, Waited::Yes);
            self.reconsider(fleet);
        }
        self.put_away(index);
    }

    /// A waiter's deadline has come.
    pub(super) fn deadline_passed(&mut self, waiter: u32) {
        let reason = Refusal::Deadline(self.waited_for(waiter));
        self.turn_away(waiter, reason);
    }

    /// Everyone who waits for a function is refused.
    pub(super) fn turn_all_away(&mut self, fleet: u32, reason: Refusal) {
        while let Some(head) = self.fleets[fleet].waiting.front() {
            self.turn_away(head, reason);
        }
    }

    fn turn_away(&mut self, waiter: u32, reason: Refusal) {
        let Waiter { request, function, .. } = self.withdraw(waiter);
        self.refuse(request, reason);
        self.demand_fell(function.0);
        self.reconsider(function.0);
    }

    /// The request joins the line, if there is anything to wait for.
    fn wait(&mut self, waiter: Waiter, deadline: Timestamp) {
        let fleet = waiter.function.0;
        if let Some(reason) = self.refusal(fleet) {
            return self.refuse(waiter.request, reason);
        }
        let index = self.waiters.push(&mut self.fleets[fleet].waiting, waiter);
        self.timers.waiters.grow_to(index);
        self.timers.waiters.set(index, deadline);
        self.demand_rose(fleet);
        self.reconsider(fleet);
    }

    /// Why a request that finds nothing idle cannot wait.
    fn refusal(&mut self, index: u32) -> Option<Refusal> {
        if let Some(obstacle) = self.lasting_obstacle(index) {
            return Some(obstacle.into());
        }
        match self.config.queue {
            QueuePolicy::Wait { max_waiters } => {
                (max_waiters <= self.fleets[index].waiting.len()).then_some(Refusal::QueueFull)
            }
            QueuePolicy::Refuse => self.obstacle_to_one_more(index).map(Refusal::from),
        }
    }

    /// What stood in a waiter's way: nothing but time for those for whom a launch is on its way.
    fn waited_for(&self, waiter: u32) -> WaitedFor {
        let index = self.waiters.get(waiter).function.0;
        let fleet = &self.fleets[index];
        let on_their_way = (fleet.launching * fleet.slots()) as usize;
        let mut soon_served = self.waiters.line(fleet.waiting).take(on_their_way);
        if soon_served.any(|soon| soon == waiter) {
            return WaitedFor::Launch;
        }
        self.obstacle(index, Purpose::Demand).map_or(WaitedFor::Launch, Obstacle::into)
    }

    /// Takes a waiter out of the line, and says nothing to it.
    fn withdraw(&mut self, waiter: u32) -> Waiter {
        self.timers.waiters.clear(waiter);
        let fleet = self.waiters.get(waiter).function.0;
        self.waiters.remove(&mut self.fleets[fleet].waiting, waiter)
    }

    fn refuse(&mut self, request: RequestId, reason: Refusal) {
        self.effects.push_back(Effect::Refuse { request, reason });
    }

    /// A slot of an instance in hand is the request's.
    fn grant(&mut self, index: u32, request: RequestId, waited: Waited) {
        let id = self.id(index);
        let instance = &mut self.instances[index];
        let serving = instance.phase.serving() + 1;
        instance.phase = Phase::Busy { serving };
        instance.since = self.now;
        let start = match (instance.served, instance.purpose, waited) {
            (0, Purpose::Demand, _) | (0, _, Waited::Yes) => Start::Cold,
            (0, Purpose::Provisioned | Purpose::Prediction, Waited::No) => Start::Provisioned,
            _ => Start::Warm,
        };
        instance.served += 1;
        let fleet = &mut self.fleets[instance.function.0];
        fleet.load.changed(self.now, fleet.serving);
        fleet.serving += 1;
        self.serving += 1;
        self.effects.push_back(Effect::Grant { request, instance: id, start });
    }
}
