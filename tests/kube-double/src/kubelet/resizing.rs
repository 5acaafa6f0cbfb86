//! Resources of a pod that runs, changed in place.

use serde_json::{Value, json};

use super::pod::Worker;
use crate::admission::Quantity;
use crate::cluster::NODE;
use crate::resource::NODES;
use crate::runtime::Order;
use crate::store::Key;

impl Worker {
    /// Puts changed resources in force, or says that they cannot be.
    pub(super) fn resize(&mut self) {
        let Some(pod) = self.kubelet.current(&self.key, &self.uid) else { return };
        let most = self.kubelet.cluster.with(|state, _| {
            let key = Key::new(&NODES, "", NODE);
            state.store.get(&key).and_then(|node| Quantity::of(&node["status"]["allocatable"]["memory"]))
        });
        for container in pod["spec"]["containers"].as_array().into_iter().flatten() {
            let name = container["name"].as_str().unwrap_or("");
            let wanted = Quantity::of(&container["resources"]["requests"]["memory"]);
            if wanted > most {
                let message = "Node didn't have enough capacity: memory".to_owned();
                self.status.resize = Some(("PodResizePending", Some("Infeasible"), message));
                return;
            }
            self.status.resize = None;
            let limit = Quantity::of(&container["resources"]["limits"]["memory"]);
            if let (Some(running), Some(limit)) = (self.running.get(name), limit)
                && let Some(group) = &running.container.group
            {
                group.set_limit(limit);
            }
            let restarts = restarts_for_memory(container);
            let Some(status) = self.status.container(name) else { continue };
            let before = std::mem::replace(&mut status.resources, container["resources"].clone());
            let is_other = before["limits"]["memory"] != container["resources"]["limits"]["memory"];
            if is_other
                && restarts
                && let Some(running) = self.running.get(name)
            {
                running.container.order(Order::Kill);
            }
        }
    }
}

fn restarts_for_memory(container: &Value) -> bool {
    let policies = container["resizePolicy"].as_array().into_iter().flatten();
    policies
        .into_iter()
        .any(|it| *it == json!({"resourceName": "memory", "restartPolicy": "RestartContainer"}))
}
