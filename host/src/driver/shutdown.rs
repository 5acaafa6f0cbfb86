//! The end: nothing is admitted, what runs may finish for a while, and everything is ended.

use std::fmt;
use std::time::Duration;

use hearth_core::Meta;
use hearth_pool::{Event, PhaseSnapshot, Snapshot};

use super::Driver;

/// What a shutdown did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShutDown {
    /// Invocations that came to their end.
    pub finished: usize,
    /// Invocations that were answered with an error because the grace period was over.
    pub cut_off: usize,
    /// Instances that were ended.
    pub ended: usize,
    /// Instances that the backend did not end in time.
    pub left: usize,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { finished, cut_off, ended, left, took } = self;
        write!(
            f,
            "{finished} invocations finished, {cut_off} cut off; {ended} instances ended, {left} left behind; "
        )?;
        write!(f, "{:.2} s", took.as_secs_f64())
    }
}

impl Driver {
    /// Admits nothing any more. What is under way may go on for `grace`, or until `hurry` completes; then it
    /// is cut off, and up to `limit` is waited for the instances to be gone.
    pub async fn shut_down(
        &self,
        grace: Duration,
        limit: Duration,
        hurry: impl Future<Output = ()>,
    ) -> ShutDown {
        let began = self.shared.clock.now();
        let before = self.snapshot();
        self.apply(Event::ShutDown);
        let all_gone = tokio::select! {
            () = self.drained() => true,
            () = self.shared.clock.sleep_until(began + grace) => false,
            () = hurry => false,
        };
        let cut_off = if all_gone { 0 } else { self.cut_off() };
        let _ran_over = tokio::time::timeout(limit, self.drained()).await;
        let state = self.state();
        let left = state.instances.iter().flatten().count() + state.launches_under_way;
        let took = self.shared.clock.now() - began;
        let instances: usize = before.functions.iter().map(|function| function.instances.len()).sum();
        ShutDown {
            finished: under_way(&before).saturating_sub(cut_off),
            cut_off,
            ended: instances.saturating_sub(left),
            left,
            took,
        }
    }

    async fn drained(&self) {
        loop {
            let changed = self.shared.changed.notified();
            if self.state().pool.is_drained() {
                return;
            }
            changed.await;
        }
    }

    /// Answers what still runs with an error. How many that were.
    fn cut_off(&self) -> usize {
        let cause = Meta::from([("reason".to_owned(), "the host is shutting down".to_owned())]);
        let under_way = under_way(&self.snapshot());
        let instances: Vec<_> = self.state().instances.iter().flatten().cloned().collect();
        for instance in instances {
            instance.died(cause.clone());
        }
        under_way
    }
}

/// Invocations that instances serve at this moment.
fn under_way(snapshot: &Snapshot) -> usize {
    let instances = snapshot.functions.iter().flat_map(|function| &function.instances);
    let served = instances.map(|instance| match instance.phase {
        PhaseSnapshot::Busy(serving) | PhaseSnapshot::Draining(serving) => serving as usize,
        PhaseSnapshot::Launching | PhaseSnapshot::Idle | PhaseSnapshot::Terminating => 0,
    });
    served.sum()
}
