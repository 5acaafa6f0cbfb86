//! Pauses instances that nobody has used for a while, if the user asks for that, and resumes them before they are used.
//!
//! The pool knows nothing of it: a paused instance is idle, and the time that it takes to resume is spent by whoever
//! was given it. One task for each instance does both, so that the two never meet, and no lock is held meanwhile.

use std::sync::Arc;
use std::time::Duration;

use hearth_pool::Timestamp;
use tokio::sync::watch;

use super::{Driver, Instance, context};

/// Whether an instance takes invocations at this moment, and who wants it to.
#[derive(Debug)]
pub(super) struct Activity(watch::Sender<Now>);

#[derive(Clone, Copy, Debug)]
struct Now {
    /// Slots that are held.
    held: usize,
    /// Slots that were ever held: whether there was anybody meanwhile.
    uses: u64,
    phase: Phase,
}

/// `Awake` → `Pausing` → `Paused` → `Awake` or `Stuck`; `Pausing` → `Awake`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// It takes invocations.
    Awake,
    /// The backend is asked to pause it.
    Pausing,
    /// It does nothing, until somebody holds it.
    Paused,
    /// It cannot be resumed.
    Stuck,
}

impl Default for Activity {
    fn default() -> Self {
        Self(watch::Sender::new(Now { held: 0, uses: 0, phase: Phase::Awake }))
    }
}

impl Activity {
    pub(super) fn hold(&self) {
        self.0.send_modify(|now| {
            now.held += 1;
            now.uses += 1;
        });
    }

    pub(super) fn let_go(&self) {
        self.0.send_modify(|now| now.held -= 1);
    }

    /// Whether it is paused, for people.
    pub(super) fn is_paused(&self) -> bool {
        self.0.borrow().phase == Phase::Paused
    }

    fn become_phase(&self, phase: Phase) {
        self.0.send_modify(|now| now.phase = phase);
    }

    /// If nobody has come since the last look.
    fn begin_to_pause(&self, uses: u64) -> bool {
        self.0.send_if_modified(|now| {
            let may = now.held == 0 && now.uses == uses;
            if may {
                now.phase = Phase::Pausing;
            }
            may
        })
    }

    /// Waits for what is so already, or will be.
    async fn until(&self, is_so: impl FnMut(&Now) -> bool) -> Now {
        let mut told = self.0.subscribe();
        // The sender is part of this, so that waiting cannot fail.
        told.wait_for(is_so).await.map_or_else(|_| *self.0.borrow(), |now| *now)
    }
}

impl Driver {
    /// Pauses and resumes an instance until it ends. Runs as a task of the host.
    pub(super) async fn pause_when_unused(self, instance: Arc<Instance>, after: Duration) {
        tokio::select! {
            _ = instance.death() => {}
            () = self.alternate(&instance, after) => {}
        }
    }

    async fn alternate(&self, instance: &Instance, after: Duration) {
        let Instance { activity: Some(activity), handle, name, .. } = instance else { return };
        let backend = &self.shared.backend;
        loop {
            let unused = activity.until(|now| now.held == 0).await;
            let used = activity.until(|now| now.uses != unused.uses);
            if tokio::time::timeout(after, used).await.is_ok() || !activity.begin_to_pause(unused.uses) {
                continue;
            }
            if let Err(error) = backend.pause(&context(Duration::ZERO), handle).await {
                tracing::warn!(instance = name, %error, "an instance cannot be paused; it is not tried again");
                activity.become_phase(Phase::Awake);
                return;
            }
            activity.become_phase(Phase::Paused);
            activity.until(|now| now.held > 0).await;
            if let Err(error) = backend.resume(&context(Duration::ZERO), handle).await {
                tracing::warn!(instance = name, %error, "an instance cannot be resumed; it is ended");
                activity.become_phase(Phase::Stuck);
                return;
            }
            activity.become_phase(Phase::Awake);
        }
    }

    /// Waits until an instance that somebody holds takes invocations. Answers whether it does.
    pub(super) async fn woken(&self, instance: &Instance, deadline: Timestamp) -> bool {
        let Some(activity) = &instance.activity else { return true };
        let settled = activity.until(|now| matches!(now.phase, Phase::Awake | Phase::Stuck));
        tokio::select! {
            now = settled => now.phase == Phase::Awake,
            _ = instance.death() => false,
            () = self.shared.clock.sleep_until(deadline) => false,
        }
    }
}
