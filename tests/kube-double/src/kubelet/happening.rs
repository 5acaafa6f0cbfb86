//! What happens to a pod while it lives, and what it makes of it. Nothing in here waits.

use std::time::Duration;

use super::pod::Worker;
use super::status::{ContainerStatus, Phase, State, Termination};
use super::volumes;
use crate::admission::Quantity;
use crate::clock;
use crate::runtime::Order;

/// What can happen to a pod while it lives.
#[derive(Debug)]
pub(crate) enum Happening {
    Exited {
        container: String,
        run: u64,
        code: i32,
    },
    /// It starts again after this message and another pause.
    BackedOff {
        container: String,
        message: String,
    },
    RestartDue {
        container: String,
    },
    Probed {
        container: String,
        run: u64,
        probe: ProbeKind,
        passed: bool,
    },
    /// A fault kills its main containers.
    Kill {
        is_out_of_memory: bool,
    },
    /// The node wants to be rid of it.
    Evict {
        message: String,
    },
    /// It is time to look at how much it has written.
    SizesDue,
    /// Its resources were changed.
    Resized,
    /// They shall be in force from here on.
    ResizeDue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ProbeKind {
    Startup,
    Readiness,
    Liveness,
}

impl Worker {
    pub(super) fn apply(&mut self, happening: Happening) {
        match happening {
            Happening::Exited { container, run, code } => self.on_exit(&container, run, code),
            Happening::BackedOff { container, message } => {
                if let Some(status) = self.status.container(&container).filter(|_| !self.is_ending) {
                    status.last = status.termination().cloned();
                    status.state = State::Waiting { reason: "CrashLoopBackOff", message: Some(message) };
                }
            }
            Happening::RestartDue { container } if !self.is_ending => self.due.push(container),
            Happening::RestartDue { .. } => {}
            Happening::Probed { container, run, probe, passed } => {
                self.on_probe(&container, run, probe, passed);
            }
            Happening::Kill { is_out_of_memory } => {
                for running in self.running.values_mut() {
                    running.is_out_of_memory |= is_out_of_memory;
                    running.container.order(Order::Kill);
                }
            }
            Happening::Evict { message } => self.evicted = Some(message),
            Happening::SizesDue => self.evicted = self.evicted.take().or_else(|| self.excess()),
            Happening::Resized => self.begin_resize(),
            Happening::ResizeDue => self.finish_resize(),
        }
    }

    /// What it has written too much of.
    fn excess(&self) -> Option<String> {
        if let Some((volume, limit)) = volumes::over_limit(&self.pod, &self.volumes()) {
            return Some(format!("Usage of EmptyDir volume {volume:?} exceeds the limit {limit:?}. "));
        }
        self.running.iter().find_map(|(name, running)| {
            let spec = self.spec_of(name);
            let limit = &spec["resources"]["limits"]["ephemeral-storage"];
            let most = Quantity::of(limit)?.units();
            let told = limit.as_str().unwrap_or("");
            let why = "Pod ephemeral local storage usage exceeds the total limit of containers";
            (running.container.written() > most).then(|| format!("{why} {told}. "))
        })
    }

    fn on_exit(&mut self, name: &str, run: u64, code: i32) {
        let Some(running) = self.running.get(name).filter(|it| it.run == run) else { return };
        let out_of_memory = running.is_out_of_memory || running.container.was_out_of_memory();
        let reason = match code {
            _ if out_of_memory => "OOMKilled",
            0 => "Completed",
            _ => "Error",
        };
        let termination = Termination {
            code,
            reason,
            message: running.container.last_words(),
            started: self.status.container(name).and_then(|it| match it.state {
                State::Running { since } => Some(since),
                _ => None,
            }),
            finished: Some(clock::now()),
            id: self.running.get(name).map(|it| it.container.id.clone()),
        };
        self.running.remove(name);
        self.end_container(name, termination);
    }

    /// A container is at its end, which it may be the pod's, or it is to start again.
    pub(super) fn end_container(&mut self, name: &str, termination: Termination) {
        let code = termination.code;
        if let Some(status) = self.status.container(name) {
            status.state = State::Terminated(termination);
            status.has_started = false;
            status.is_ready = false;
        }
        let is_init = self.status.init.iter().any(|it| it.name == name);
        if is_init && code == 0 {
            if let Some(status) = self.status.container(name) {
                status.is_ready = true;
            }
            return;
        }
        self.status.outcome = self.outcome();
        let policy = self.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
        let starts_again = match policy {
            "Never" => false,
            "OnFailure" => code != 0,
            _ => true,
        };
        if starts_again && !self.is_ending {
            self.restart_later(name);
        }
    }

    /// What the pod has come to, if it has.
    pub(super) fn outcome(&self) -> Option<Phase> {
        let policy = self.pod["spec"]["restartPolicy"].as_str().unwrap_or("Always");
        let failed = |it: &ContainerStatus| it.termination().is_some_and(|it| it.code != 0);
        if policy == "Never" && self.status.init.iter().any(failed) {
            return Some(Phase::Failed);
        }
        let has_ended = |it: &ContainerStatus| it.termination().is_some();
        if !self.status.main.iter().all(has_ended) {
            return None;
        }
        let any_failed = self.status.main.iter().any(failed);
        match policy {
            "OnFailure" if any_failed && !self.is_ending => None,
            "Always" if !self.is_ending => None,
            _ if any_failed => Some(Phase::Failed),
            _ => Some(Phase::Succeeded),
        }
    }

    /// The first time at once; then after pauses that double.
    fn restart_later(&mut self, name: &str) {
        let back_off = self.kubelet.habits.back_off;
        let Some(status) = self.status.container(name) else { return };
        let pause = match status.restarts {
            0 => Duration::ZERO,
            n => back_off * 2_u32.saturating_pow((n - 1).min(5)),
        };
        let (outbox, container) = (self.outbox.clone(), name.to_owned());
        if pause.is_zero() {
            self.due.push(container);
            return;
        }
        let (uid, id) = (self.uid.clone(), format!("{}_{}", self.key.name, self.key.namespace));
        let message =
            format!("back-off {}s restarting failed container={name} pod={id}({uid})", pause.as_secs_f32());
        // For a while it is still told how it ended.
        tokio::spawn(async move {
            tokio::time::sleep(pause / 2).await;
            // The pod may be gone by then.
            drop(outbox.send(Happening::BackedOff { container: container.clone(), message }));
            tokio::time::sleep(pause / 2).await;
            drop(outbox.send(Happening::RestartDue { container }));
        });
    }

    fn on_probe(&mut self, name: &str, run: u64, probe: ProbeKind, passed: bool) {
        if self.running.get(name).is_none_or(|it| it.run != run) {
            return;
        }
        if !passed && probe != ProbeKind::Readiness {
            self.end_softly(name);
            return;
        }
        if let Some(status) = self.status.container(name).filter(|it| it.is_running()) {
            match probe {
                ProbeKind::Startup => status.has_started = true,
                ProbeKind::Readiness => status.is_ready = passed,
                ProbeKind::Liveness => {}
            }
        }
    }

    /// SIGTERM, and SIGKILL once the grace is over.
    pub(super) fn end_softly(&mut self, name: &str) {
        let grace = self.pod["spec"]["terminationGracePeriodSeconds"].as_u64().unwrap_or(30);
        let Some(running) = self.running.get_mut(name) else { return };
        running.container.order(Order::Terminate);
        let orders = running.container.orders();
        let killing = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(grace)).await;
            orders.send(Order::Kill);
        });
        running.tasks.push(killing.abort_handle());
    }
}
