//! One instance, as far as it is more than its endpoint.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use hearth_core::{LaunchSpec, State};
use tokio::sync::{Notify, watch};

use crate::log::Log;

/// Running ⇄ Paused, and from either to Ending and Gone, never back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    Running,
    /// Takes invocations, but does nothing about them.
    Paused,
    /// Takes no new ones.
    Ending,
    /// Its endpoint is closed.
    Gone,
}

/// An instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) handle: String,
    pub(crate) function: String,
    pub(crate) deploy_id: String,
    /// Value of the header `Authorization` that opens it; none if anybody may come in.
    pub(crate) authorization: Option<String>,
    pub(crate) log: Arc<Log>,
    slots: u32,
    /// Nothing runs: an instance is said to use all that its function has.
    pub(crate) memory_bytes: u64,
    phase: watch::Sender<Phase>,
    in_flight: AtomicU32,
    served: AtomicU64,
    idle: Notify,
}

/// One invocation's place in an instance.
pub(crate) struct Seat<'a>(&'a Instance);

impl Instance {
    pub(crate) fn new(spec: &LaunchSpec, check_token: bool) -> Self {
        Self {
            handle: spec.instance_id.clone(),
            memory_bytes: u64::from(spec.memory_mb) * 1024 * 1024,
            function: spec.function.clone(),
            deploy_id: spec.deploy_id.clone(),
            authorization: check_token.then(|| format!("Bearer {}", spec.token)),
            log: Arc::new(Log::new()),
            slots: spec.slots.max(1),
            phase: watch::Sender::new(Phase::Running),
            in_flight: AtomicU32::new(0),
            served: AtomicU64::new(0),
            idle: Notify::new(),
        }
    }

    pub(crate) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    pub(crate) fn state(&self) -> State {
        match self.phase() {
            Phase::Running => State::RUNNING,
            Phase::Paused => State::PAUSED,
            Phase::Ending => State::ENDING,
            Phase::Gone => State::ENDED,
        }
    }

    /// The phase, once it is not [`Phase::Paused`].
    pub(crate) async fn unpaused(&self) -> Phase {
        let phase = self.phase();
        if phase != Phase::Paused {
            return phase;
        }
        let mut watched = self.watch_phase();
        // It fails only if the instance was dropped, and it is borrowed here.
        watched.wait_for(|phase| *phase != Phase::Paused).await.map_or(Phase::Gone, |phase| *phase)
    }

    pub(crate) fn watch_phase(&self) -> watch::Receiver<Phase> {
        self.phase.subscribe()
    }

    /// Moves on to `phase`; an instance that is ending does not come back. Answers whether it moved.
    pub(crate) fn enter(&self, phase: Phase) -> bool {
        self.phase.send_if_modified(|current| {
            let may_move = if *current < Phase::Ending { phase != *current } else { phase > *current };
            if may_move {
                *current = phase;
            }
            may_move
        })
    }

    /// A place for one more invocation, unless it serves as many as it can.
    pub(crate) fn seat(&self) -> Option<Seat<'_>> {
        let taken = self.in_flight.fetch_update(Ordering::AcqRel, Ordering::Acquire, |busy| {
            (busy < self.slots).then_some(busy + 1)
        });
        taken.ok().map(|_| Seat(self))
    }

    /// Invocations under way, and those that ended.
    pub(crate) fn invocations(&self) -> (u32, u64) {
        (self.in_flight.load(Ordering::Acquire), self.served.load(Ordering::Relaxed))
    }

    /// Waits up to `grace` for the invocations under way.
    pub(crate) async fn finish(&self, grace: Duration) {
        // Too long a wait is an end as well: the grace is over.
        let _over = tokio::time::timeout(grace, self.idle()).await;
    }

    async fn idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight.load(Ordering::Acquire) == 0 {
                return;
            }
            idle.await;
        }
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.served.fetch_add(1, Ordering::Relaxed);
        if self.0.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.idle.notify_waiters();
        }
    }
}

/// Waits until the instance has come to `phase` or beyond.
pub(crate) async fn reached(watched: &mut watch::Receiver<Phase>, phase: Phase) {
    // It fails only if the instance was dropped, and then it is gone.
    let _dropped = watched.wait_for(|current| *current >= phase).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn instance(slots: u32) -> Instance {
        Instance::new(&LaunchSpec { slots, ..LaunchSpec::default() }, true)
    }

    #[test]
    fn an_instance_never_serves_more_than_it_has_slots() {
        let instance = instance(2);
        let first = instance.seat().expect("free");
        let second = instance.seat().expect("free");
        assert!(instance.seat().is_none());
        drop((first, second));
        assert_eq!(instance.invocations(), (0, 2));
        assert!(instance.seat().is_some());
    }

    #[test]
    fn an_instance_that_is_ending_does_not_come_back() {
        let instance = instance(1);
        assert!(instance.enter(Phase::Paused) && instance.enter(Phase::Running));
        assert!(instance.enter(Phase::Ending));
        assert!(!instance.enter(Phase::Running) && !instance.enter(Phase::Ending));
        assert!(instance.enter(Phase::Gone) && !instance.enter(Phase::Gone));
    }
}
