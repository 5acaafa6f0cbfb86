//! The end of a pod: of its own accord, because the node ends it, or because somebody wants it gone.

use std::time::Duration;

use serde_json::Value;

use super::pod::{Running, Worker};
use super::probe;
use super::status::{Phase, State, Termination};
use crate::clock;
use crate::deletion;
use crate::runtime::Order;

/// A process gets so long after SIGTERM, even if the grace is shorter.
const LEAST_GRACE: Duration = Duration::from_secs(2);

impl Worker {
    /// Its containers have ended, which was told; the phase follows one step later.
    pub(super) async fn finish(&mut self) {
        tokio::time::sleep(self.kubelet.habits.delay).await;
        self.close();
        self.publish().await;
    }

    /// The node ends it.
    pub(super) async fn kill(&mut self, reason: &'static str, message: String) {
        self.note("Warning", reason, &message, None);
        self.is_ending = true;
        self.status.outcome = Some(Phase::Failed);
        if reason == "DeadlineExceeded" {
            self.publish().await;
        }
        self.stop().await;
        self.status.outcome = Some(Phase::Failed);
        self.status.reason = Some((reason, message));
        self.close();
        self.publish().await;
    }

    /// Nothing runs any more.
    fn close(&mut self) {
        self.sandbox = None;
        self.status.has_sandbox = false;
        if let Some(outcome) = self.status.outcome {
            self.status.phase = outcome;
        }
    }

    /// Waits until it is wanted gone, and sees to it.
    pub(super) async fn terminate(&mut self) {
        let mut changes = self.kubelet.cluster.changes();
        let is_wanted = |pod: &Value| pod["metadata"]["deletionTimestamp"].is_null();
        while self.kubelet.current(&self.key, &self.uid).is_some_and(|pod| is_wanted(&pod)) {
            if changes.changed().await.is_err() {
                return;
            }
        }
        self.is_ending = true;
        self.stop().await;
        if self.status.phase != Phase::Failed && self.status.phase != Phase::Succeeded {
            self.account_for_the_unstarted();
            self.status.outcome = self.outcome().or(Some(Phase::Failed));
            self.close();
            self.publish().await;
        }
        self.kubelet.is_there().await;
        tokio::time::sleep(self.kubelet.habits.delay).await;
        self.kubelet.cluster.with(|state, now| {
            let is_this = state.store.get(&self.key).is_some_and(|pod| pod["metadata"]["uid"] == *self.uid);
            if is_this {
                deletion::confirm(&mut state.store, &self.key, now);
            }
        });
    }

    fn account_for_the_unstarted(&mut self) {
        let message = "The container could not be located when the pod was terminated";
        for status in self.status.containers().filter(|it| matches!(it.state, State::Waiting { .. })) {
            status.state = State::Terminated(Termination {
                code: 137,
                reason: "ContainerStatusUnknown",
                message: Some(message.to_owned()),
                started: None,
                finished: None,
                id: None,
            });
        }
    }

    /// Ends what runs: hooks, SIGTERM, and SIGKILL once the grace is over. A deletion may shorten it on the way.
    async fn stop(&mut self) {
        let begun = clock::instant();
        let mut changes = self.kubelet.cluster.changes();
        let mut limit = self.grace();
        let names: Vec<String> = self.running.keys().cloned().collect();
        for name in &names {
            self.note("Normal", "Killing", &format!("Stopping container {name}"), Some(name));
        }
        let hooks = self.hooks();
        let mut grace = limit;
        let hooks = async {
            for (pid, hook) in hooks {
                run_hook(pid, &hook).await;
            }
        };
        // A hook that takes too long loses the rest of the grace.
        let _ = tokio::time::timeout(limit, hooks).await;
        self.order_all(Order::Terminate);
        while !self.running.is_empty() {
            let current = self.grace();
            if current < grace {
                grace = current;
                limit = limit.min(begun.elapsed() + current.max(LEAST_GRACE));
            }
            let rest = limit.max(LEAST_GRACE).saturating_sub(begun.elapsed());
            tokio::select! {
                () = self.take_next() => {}
                _ = changes.changed() => {}
                () = tokio::time::sleep(rest) => {
                    self.order_all(Order::Kill);
                    self.take_next().await;
                }
            }
        }
    }

    /// The grace that the pod has by now; none once its object is gone.
    fn grace(&self) -> Duration {
        let Some(pod) = self.kubelet.current(&self.key, &self.uid) else { return Duration::ZERO };
        let seconds = pod["metadata"]["deletionGracePeriodSeconds"]
            .as_u64()
            .or_else(|| pod["spec"]["terminationGracePeriodSeconds"].as_u64());
        Duration::from_secs(seconds.unwrap_or(30))
    }

    fn order_all(&self, order: Order) {
        for running in self.running.values() {
            running.container.order(order);
        }
    }

    fn hooks(&self) -> Vec<(u32, Value)> {
        let hook = |(name, running): (&String, &Running)| {
            let hook = self.spec_of(name)["lifecycle"]["preStop"].clone();
            hook.is_object().then_some((running.container.pid, hook))
        };
        self.running.iter().filter_map(hook).collect()
    }
}

async fn run_hook(pid: u32, hook: &Value) {
    if let Some(seconds) = hook["sleep"]["seconds"].as_u64() {
        tokio::time::sleep(Duration::from_secs(seconds)).await;
    } else if hook["exec"].is_object() {
        // The container ends whether its hook succeeds or not.
        drop(probe::exec(pid, &hook["exec"]["command"]).await);
    }
}
