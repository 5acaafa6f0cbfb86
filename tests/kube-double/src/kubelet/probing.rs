//! Lets the probes of a container that has just started run beside it.

use std::sync::Arc;

use serde_json::Value;

use super::happening::{Happening, ProbeKind};
use super::pod::{Running, Worker};
use super::probe::Probe;
use crate::events::{self, Event};

impl Worker {
    /// Startup first; the others once it has passed.
    pub(super) fn probe(&self, name: &str, spec: &Value, running: &mut Running) {
        let Some(address) = self.status.address else { return };
        let pid = running.container.pid;
        let of = |kind: &str| Probe::of(spec, kind, address, pid);
        let (startup, readiness, liveness) = (of("startupProbe"), of("readinessProbe"), of("livenessProbe"));
        if startup.is_none() && readiness.is_none() && liveness.is_none() {
            return;
        }
        let (outbox, run, container) = (self.outbox.clone(), running.run, name.to_owned());
        let cluster = Arc::clone(&self.kubelet.cluster);
        let (pod, path) = (Arc::clone(&self.pod), format!("spec.containers{{{name}}}"));
        let complain = move |kind: &str, why: &str| {
            let message = format!("{kind} probe failed: {why}");
            cluster.with(|state, now| {
                let field = Some(path.as_str());
                let (kind, reason, component) = ("Warning", "Unhealthy", "kubelet");
                let event = Event { kind, reason, message: &message, field, component };
                events::record(&mut state.store, &pod, &event, now);
            });
        };
        let tell = move |probe, passed| {
            // Nobody listens once the pod has ended.
            drop(outbox.send(Happening::Probed { container: container.clone(), run, probe, passed }));
        };
        let probing = tokio::spawn(async move {
            if let Some(startup) = startup {
                startup.wait_initially().await;
                let passed = startup.settle(|why| complain("Startup", why)).await;
                tell(ProbeKind::Startup, passed);
                if !passed {
                    return;
                }
                if readiness.is_none() {
                    tell(ProbeKind::Readiness, true);
                }
            }
            let ready = async {
                let Some(readiness) = &readiness else { return };
                readiness.wait_initially().await;
                loop {
                    tell(ProbeKind::Readiness, readiness.settle(|why| complain("Readiness", why)).await);
                    readiness.pause().await;
                }
            };
            let alive = async {
                let Some(liveness) = &liveness else { return };
                liveness.wait_initially().await;
                while liveness.settle(|why| complain("Liveness", why)).await {
                    liveness.pause().await;
                }
                tell(ProbeKind::Liveness, false);
            };
            tokio::join!(ready, alive);
        });
        running.tasks.push(probing.abort_handle());
    }
}
