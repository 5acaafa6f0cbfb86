//! Resources of a pod that runs, changed in place.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::happening::Happening;
use super::pod::Worker;
use crate::admission::Quantity;
use crate::cluster::NODE;
use crate::resource::NODES;
use crate::store::Key;

/// How long a change takes: a real node was seen to need half a second.
const RESIZE_TIME: Duration = Duration::from_millis(400);

impl Worker {
    /// Begins to put changed resources in force, or says that they cannot be.
    pub(super) fn begin_resize(&mut self) {
        let Some(pod) = self.kubelet.current(&self.key, &self.uid) else { return };
        let capacity = self.kubelet.cluster.with(|state, _| {
            let node = state.store.get(&Key::new(&NODES, "", NODE));
            node.and_then(|node| Quantity::of(&node["status"]["allocatable"]["memory"]))
        });
        let containers = pod["spec"]["containers"].as_array().into_iter().flatten();
        let requested: Quantity =
            containers.filter_map(|it| Quantity::of(&it["resources"]["requests"]["memory"])).sum();
        if let Some(capacity) = capacity.filter(|capacity| requested > *capacity) {
            let (requested, capacity) = (requested.units(), capacity.units());
            let message = format!(
                "Node didn't have enough capacity: memory, requested: {requested}, capacity: {capacity}"
            );
            self.status.resize = Some(("PodResizePending", Some("Infeasible"), message));
            return;
        }
        self.status.resize = Some(("PodResizeInProgress", None, String::new()));
        self.pod = pod;
        let outbox = self.outbox.clone();
        tokio::spawn(async move {
            tokio::time::sleep(RESIZE_TIME).await;
            // The pod may be gone by then.
            drop(outbox.send(Happening::ResizeDue));
        });
    }

    /// Puts them in force, in the containers that run.
    pub(super) fn finish_resize(&mut self) {
        self.status.resize = None;
        let pod = Arc::clone(&self.pod);
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or("");
            let limit = Quantity::of(&container["resources"]["limits"]["memory"]);
            let group = self.running.get(name).and_then(|it| it.container.group.as_ref());
            if let (Some(group), Some(limit)) = (group, limit) {
                group.set_limit(limit);
            }
            let Some(status) = self.status.container(name) else { continue };
            let before = std::mem::replace(&mut status.resources, container["resources"].clone());
            let is_other = before["limits"]["memory"] != container["resources"]["limits"]["memory"];
            if is_other && restarts_for_memory(container) {
                self.end_softly(name);
            }
        }
    }
}

fn restarts_for_memory(container: &Value) -> bool {
    let mut policies = container["resizePolicy"].as_array().into_iter().flatten();
    policies.any(|it| *it == json!({"resourceName": "memory", "restartPolicy": "RestartContainer"}))
}
