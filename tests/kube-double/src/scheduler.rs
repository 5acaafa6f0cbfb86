//! Binds pods to the node, or says why it cannot.

use std::sync::Arc;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission::Quantity;
use crate::clock;
use crate::cluster::{Cluster, NODE, State};
use crate::events::{self, Event};
use crate::resource::{NODES, PODS};
use crate::selector;
use crate::store::Key;

/// Looks at every change, for ever.
pub(crate) async fn run(cluster: Arc<Cluster>) {
    let mut changes = cluster.changes();
    loop {
        changes.mark_unchanged();
        cluster.with(schedule_all);
        if changes.changed().await.is_err() {
            return;
        }
    }
}

fn schedule_all(state: &mut State, now: Timestamp) {
    let waits = |pod: &Value| {
        pod["spec"]["nodeName"].is_null()
            && pod["metadata"]["deletionTimestamp"].is_null()
            && pod["spec"]["schedulerName"] == "default-scheduler"
    };
    let waiting = state.store.list(&PODS, None).filter(|(_, pod)| waits(pod));
    let waiting: Vec<(Key, Arc<Value>)> = waiting.map(|(key, pod)| (key.clone(), Arc::clone(pod))).collect();
    for (key, pod) in waiting {
        match obstacle(state, &pod) {
            None => bind(state, &key, &pod, now),
            Some(why) => refuse(state, &key, &pod, &why, now),
        }
    }
}

fn bind(state: &mut State, key: &Key, pod: &Value, now: Timestamp) {
    let mut bound = pod.clone();
    bound["spec"]["nodeName"] = json!(NODE);
    bound["status"]["conditions"] = json!([condition("True", now)]);
    let bound = state.store.put(key.clone(), bound);
    let message = format!("Successfully assigned {}/{} to {NODE}", key.namespace, key.name);
    note(state, &bound, "Normal", "Scheduled", &message, now);
}

fn refuse(state: &mut State, key: &Key, pod: &Value, why: &str, now: Timestamp) {
    let told = &pod["status"]["conditions"][0];
    let message = format!("0/1 nodes are available: 1 {why}.");
    if told["message"] == message {
        return;
    }
    let mut waiting = pod.clone();
    let mut condition = condition("False", now);
    condition["reason"] = json!("Unschedulable");
    condition["message"] = json!(message);
    waiting["status"]["conditions"] = json!([condition]);
    let waiting = state.store.put(key.clone(), waiting);
    note(state, &waiting, "Warning", "FailedScheduling", &message, now);
}

fn condition(status: &str, now: Timestamp) -> Value {
    json!({
        "type": "PodScheduled", "status": status, "lastProbeTime": null, "lastTransitionTime": clock::seconds(now),
    })
}

fn note(state: &mut State, pod: &Value, kind: &str, reason: &str, message: &str, now: Timestamp) {
    let event = Event { kind, reason, message, field: None, component: "default-scheduler" };
    events::record(&mut state.store, pod, &event, now);
}

/// Why the node does not take this pod, in the scheduler's words.
fn obstacle(state: &State, pod: &Value) -> Option<String> {
    let Some(node) = state.store.get(&Key::new(&NODES, "", NODE)) else {
        return Some("node(s) were gone".to_owned());
    };
    if state.faults.unschedulable || node["spec"]["unschedulable"] == true {
        return Some("node(s) were unschedulable".to_owned());
    }
    if let Some(taint) = untolerated(node, pod) {
        return Some(format!(
            "node(s) had untolerated taint {{{}: {}}}",
            text(&taint["key"]),
            text(&taint["value"])
        ));
    }
    if !is_chosen(node, pod) {
        return Some("node(s) didn't match Pod's node affinity/selector".to_owned());
    }
    let bound = |it: &Value| {
        it["spec"]["nodeName"] == NODE
            && !matches!(it["status"]["phase"].as_str(), Some("Failed" | "Succeeded"))
    };
    let others: Vec<&Value> =
        state.store.list(&PODS, None).map(|(_, it)| &**it).filter(|it| bound(it)).collect();
    let capacity = &node["status"]["allocatable"];
    if Quantity::of(&capacity["pods"]).is_some_and(|most| others.len() as u64 >= most.units()) {
        return Some("Too many pods".to_owned());
    }
    ["cpu", "memory"].iter().find_map(|name| {
        let used: Quantity = others.iter().map(|it| request(it, name)).sum();
        let most = Quantity::of(&capacity[*name])?;
        (used + request(pod, name) > most).then(|| format!("Insufficient {name}"))
    })
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}

fn untolerated<'a>(node: &'a Value, pod: &Value) -> Option<&'a Value> {
    let tolerates = |taint: &Value| {
        pod["spec"]["tolerations"].as_array().into_iter().flatten().any(|it| {
            let effect = it["effect"].is_null() || it["effect"] == taint["effect"];
            let key = it["key"].is_null() || it["key"] == taint["key"];
            let value = it["operator"] == "Exists" || text(&it["value"]) == text(&taint["value"]);
            effect && key && value
        })
    };
    let taints = node["spec"]["taints"].as_array().into_iter().flatten();
    taints.into_iter().find(|taint| taint["effect"] != "PreferNoSchedule" && !tolerates(taint))
}

fn is_chosen(node: &Value, pod: &Value) -> bool {
    let labels = &node["metadata"]["labels"];
    let selector = pod["spec"]["nodeSelector"].as_object().into_iter().flatten();
    let affinity = &pod["spec"]["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"];
    let is_selected = selector.into_iter().all(|(key, value)| labels[key] == *value);
    let terms = affinity["nodeSelectorTerms"].as_array();
    is_selected
        && terms.is_none_or(|terms| terms.iter().any(|term| selector::matches_label_selector(term, labels)))
}

/// What a pod asks for: its containers together, or its greediest init container.
fn request(pod: &Value, name: &str) -> Quantity {
    let amounts = |list: &str| {
        let containers = pod["spec"][list].as_array().cloned().unwrap_or_default();
        containers
            .into_iter()
            .filter_map(|it| Quantity::of(&it["resources"]["requests"][name]))
            .collect::<Vec<_>>()
    };
    let together: Quantity = amounts("containers").into_iter().sum();
    amounts("initContainers").into_iter().fold(together, Ord::max)
}
