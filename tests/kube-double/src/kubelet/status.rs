//! The status of a pod as the kubelet tells it. Pure.

use std::net::Ipv4Addr;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::clock;

/// Conditions that the kubelet writes, in this order.
const CONDITIONS: [&str; 5] =
    ["PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady", "PodScheduled"];

#[derive(Clone, Debug)]
pub(super) struct PodStatus {
    pub(super) phase: Phase,
    /// Known before the phase tells it.
    pub(super) outcome: Option<Phase>,
    /// Why the kubelet ended it: reason and message.
    pub(super) reason: Option<(&'static str, String)>,
    pub(super) host: Ipv4Addr,
    pub(super) address: Option<Ipv4Addr>,
    pub(super) has_sandbox: bool,
    pub(super) start: Timestamp,
    pub(super) init: Vec<ContainerStatus>,
    pub(super) main: Vec<ContainerStatus>,
    /// What is told of a change of resources that is not done: type, reason, message.
    pub(super) resize: Option<(&'static str, Option<&'static str>, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Pending,
    Running,
    Succeeded,
    Failed,
}

#[derive(Clone, Debug)]
pub(super) struct ContainerStatus {
    pub(super) name: String,
    pub(super) image: String,
    pub(super) image_id: String,
    pub(super) id: Option<String>,
    pub(super) state: State,
    pub(super) last: Option<Termination>,
    pub(super) is_ready: bool,
    pub(super) has_started: bool,
    pub(super) restarts: u32,
    /// What is in force, once it runs.
    pub(super) resources: Value,
    pub(super) mounts: Vec<Value>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    Waiting { reason: &'static str, message: Option<String> },
    Running { since: Timestamp },
    Terminated(Termination),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Termination {
    pub(super) code: i32,
    pub(super) reason: &'static str,
    pub(super) message: Option<String>,
    pub(super) started: Option<Timestamp>,
    pub(super) finished: Option<Timestamp>,
    pub(super) id: Option<String>,
}

impl ContainerStatus {
    /// Of a container that has not been started.
    pub(super) fn new(container: &Value, reason: &'static str) -> Self {
        let text = |field: &str| container[field].as_str().unwrap_or("").to_owned();
        let mounts = container["volumeMounts"].as_array().into_iter().flatten().map(|mount| {
            let mut told = json!({"name": mount["name"], "mountPath": mount["mountPath"]});
            if mount["readOnly"] == true {
                told["readOnly"] = json!(true);
                told["recursiveReadOnly"] = json!("Disabled");
            }
            told
        });
        Self {
            name: text("name"),
            image: text("image"),
            image_id: String::new(),
            id: None,
            state: State::Waiting { reason, message: None },
            last: None,
            is_ready: false,
            has_started: false,
            restarts: 0,
            resources: container["resources"].clone(),
            mounts: mounts.collect(),
        }
    }

    pub(super) fn termination(&self) -> Option<&Termination> {
        if let State::Terminated(termination) = &self.state { Some(termination) } else { None }
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.state, State::Running { .. })
    }

    fn json(&self) -> Value {
        let mut told = json!({
            "name": self.name, "state": self.state.json(), "lastState": {}, "ready": self.is_ready,
            "restartCount": self.restarts, "image": self.image, "imageID": self.image_id,
            "started": self.has_started,
        });
        if let Some(last) = &self.last {
            told["lastState"] = json!({"terminated": last.json()});
        }
        if let Some(id) = &self.id {
            told["containerID"] = json!(id);
            told["resources"] = self.resources.clone();
            if self.resources["requests"].is_object() {
                told["allocatedResources"] = self.resources["requests"].clone();
            }
        }
        if !self.mounts.is_empty() {
            told["volumeMounts"] = json!(self.mounts);
        }
        told
    }
}

impl State {
    fn json(&self) -> Value {
        match self {
            Self::Waiting { reason, message: None } => json!({"waiting": {"reason": reason}}),
            Self::Waiting { reason, message: Some(message) } => {
                json!({"waiting": {"reason": reason, "message": message}})
            }
            Self::Running { since } => json!({"running": {"startedAt": clock::seconds(*since)}}),
            Self::Terminated(termination) => json!({"terminated": termination.json()}),
        }
    }
}

impl Termination {
    fn json(&self) -> Value {
        let time = |it: Option<Timestamp>| it.map_or(Value::Null, clock::seconds);
        let mut told = json!({
            "exitCode": self.code, "reason": self.reason,
            "startedAt": time(self.started), "finishedAt": time(self.finished),
        });
        if let Some(message) = &self.message {
            told["message"] = json!(message);
        }
        if let Some(id) = &self.id {
            told["containerID"] = json!(id);
        }
        told
    }
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
        }
    }
}

impl PodStatus {
    pub(super) fn containers(&mut self) -> impl Iterator<Item = &mut ContainerStatus> {
        self.init.iter_mut().chain(&mut self.main)
    }

    pub(super) fn container(&mut self, name: &str) -> Option<&mut ContainerStatus> {
        self.containers().find(|it| it.name == name)
    }

    /// The whole status. Others' conditions and the times of those that stay as they are come from `before`.
    pub(super) fn json(&self, before: &Value, now: Timestamp) -> Value {
        let mut status = json!({
            "phase": self.phase.name(), "qosClass": before["qosClass"],
            "conditions": self.conditions(&before["conditions"], now),
            "hostIP": self.host.to_string(), "hostIPs": [{"ip": self.host.to_string()}],
            "startTime": clock::seconds(self.start),
            "containerStatuses": self.main.iter().map(ContainerStatus::json).collect::<Vec<_>>(),
        });
        if !self.init.is_empty() {
            status["initContainerStatuses"] = self.init.iter().map(ContainerStatus::json).collect();
        }
        if let Some(address) = self.address {
            status["podIP"] = json!(address.to_string());
            status["podIPs"] = json!([{"ip": address.to_string()}]);
        }
        if let Some((reason, message)) = self.reason.as_ref().filter(|_| self.phase == Phase::Failed) {
            status["reason"] = json!(reason);
            status["message"] = json!(message);
        }
        status
    }

    fn conditions(&self, before: &Value, now: Timestamp) -> Vec<Value> {
        let before: Vec<&Value> = before.as_array().into_iter().flatten().collect();
        let is_foreign = |it: &&&Value| {
            let kind = it["type"].as_str().unwrap_or("");
            !CONDITIONS.contains(&kind) && !kind.starts_with("PodResize")
        };
        let mut conditions: Vec<Value> = before.iter().filter(is_foreign).map(|it| (*it).clone()).collect();
        let mut add = |kind: &str, holds: bool, reason: Option<&str>, message: Option<String>| {
            let status = if holds { "True" } else { "False" };
            let known = before.iter().find(|it| it["type"] == *kind && it["status"] == status);
            let since = known.map_or_else(|| clock::seconds(now), |it| it["lastTransitionTime"].clone());
            let mut condition =
                json!({"type": kind, "status": status, "lastProbeTime": null, "lastTransitionTime": since});
            if let Some(reason) = reason {
                condition["reason"] = json!(reason);
            }
            if let Some(message) = message {
                condition["message"] = json!(message);
            }
            conditions.push(condition);
        };
        if let Some((kind, reason, message)) = &self.resize {
            add(kind, true, *reason, Some(message.clone()).filter(|it| !it.is_empty()));
        }
        add(CONDITIONS[0], self.has_sandbox, None, None);
        let incomplete = names(&self.init, |it| it.termination().is_some_and(|it| it.code == 0));
        match self.outcome {
            Some(Phase::Succeeded) => add(CONDITIONS[1], true, Some("PodCompleted"), None),
            _ if incomplete.is_empty() => add(CONDITIONS[1], true, None, None),
            _ => {
                let message = format!("containers with incomplete status: [{}]", incomplete.join(" "));
                add(CONDITIONS[1], false, Some("ContainersNotInitialized"), Some(message));
            }
        }
        let unready = names(&self.main, |it| it.is_ready);
        for kind in &CONDITIONS[2..4] {
            match self.outcome {
                Some(Phase::Succeeded) => add(kind, false, Some("PodCompleted"), None),
                Some(_) => add(kind, false, Some("PodFailed"), None),
                None if unready.is_empty() => add(kind, true, None, None),
                None => {
                    let message = format!("containers with unready status: [{}]", unready.join(" "));
                    add(kind, false, Some("ContainersNotReady"), Some(message));
                }
            }
        }
        add(CONDITIONS[4], true, None, None);
        conditions
    }
}

/// Names of those for which it does not hold.
fn names(all: &[ContainerStatus], holds: impl Fn(&ContainerStatus) -> bool) -> Vec<&str> {
    all.iter().filter(|it| !holds(it)).map(|it| it.name.as_str()).collect()
}
