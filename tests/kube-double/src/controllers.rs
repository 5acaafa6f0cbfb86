//! What else acts on the store: the garbage collector, the end of namespaces, and lost nodes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::admission::count_quotas;
use crate::api::{disruption, with_condition};
use crate::clock;
use crate::cluster::{Cluster, NODE, State};
use crate::deletion::{self, FOREGROUND, Options};
use crate::faults::LostNode;
use crate::resource::{NAMESPACES, NODES, PODS, Resource};
use crate::store::Key;

/// The garbage collector is not the fastest.
const COLLECTION_DELAY: Duration = Duration::from_millis(30);

/// Collects what has lost its owners, empties namespaces that end, and counts for quotas; for ever.
pub(crate) async fn collect_garbage(cluster: Arc<Cluster>) {
    let mut changes = cluster.changes();
    loop {
        changes.mark_unchanged();
        let found_any = cluster.with(|state, now| {
            count_quotas(&mut state.store);
            collect(state, now) | end_namespaces(state, now)
        });
        if !found_any && changes.changed().await.is_err() {
            return;
        }
        tokio::time::sleep(COLLECTION_DELAY).await;
    }
}

fn collect(state: &mut State, now: Timestamp) -> bool {
    let living: BTreeSet<String> = state
        .store
        .everything()
        .filter_map(|(_, it)| it["metadata"]["uid"].as_str().map(str::to_owned))
        .collect();
    let is_orphan = |object: &Value| {
        object["metadata"]["ownerReferences"].as_array().is_some_and(|owners| {
            let lives = |it: &Value| it["uid"].as_str().is_some_and(|uid| living.contains(uid));
            let is_known = |it: &Value| {
                let text = |field: &str| it[field].as_str().unwrap_or("");
                Resource::of_kind(text("apiVersion"), text("kind")).is_some()
            };
            !owners.is_empty() && owners.iter().all(|it| is_known(it) && !lives(it))
        })
    };
    let ending = |it: &Value| !it["metadata"]["deletionTimestamp"].is_null();
    let held: Vec<(Key, Arc<Value>)> = state
        .store
        .everything()
        .filter(|(_, it)| {
            ending(it)
                && it["metadata"]["finalizers"]
                    .as_array()
                    .is_some_and(|it| it.iter().any(|it| it == FOREGROUND))
        })
        .map(|(key, it)| (key.clone(), Arc::clone(it)))
        .collect();
    let is_held_by = |object: &Value| {
        held.iter().any(|(_, owner)| deletion::is_owned_by(object, &owner["metadata"]["uid"]))
    };
    let doomed: Vec<Key> = state
        .store
        .everything()
        .filter(|(_, it)| !ending(it) && (is_orphan(it) || is_held_by(it)))
        .map(|(key, _)| key.clone())
        .collect();
    for key in &doomed {
        // It may have gone in the meantime.
        drop(deletion::delete(&mut state.store, key, &Options::default(), now));
    }
    for (key, owner) in held {
        let has_dependents =
            state.store.everything().any(|(_, it)| deletion::is_owned_by(it, &owner["metadata"]["uid"]));
        if !has_dependents {
            release(state, &key, &owner);
        }
    }
    !doomed.is_empty()
}

/// The finalizer of an owner goes when its dependents have gone.
fn release(state: &mut State, key: &Key, owner: &Value) {
    let mut free = owner.clone();
    if let Some(finalizers) = free["metadata"]["finalizers"].as_array_mut() {
        finalizers.retain(|it| it != FOREGROUND);
    }
    if deletion::release(&mut state.store, key, &free).is_none() {
        state.store.put(key.clone(), free);
    }
}

fn end_namespaces(state: &mut State, now: Timestamp) -> bool {
    let ending =
        state.store.list(&NAMESPACES, None).filter(|(_, it)| !it["metadata"]["deletionTimestamp"].is_null());
    let ending: Vec<Key> = ending.map(|(key, _)| key.clone()).collect();
    let mut did_any = false;
    for key in ending {
        let inside: Vec<(Key, bool)> = state
            .store
            .everything()
            .filter(|(it, _)| it.namespace == key.name)
            .map(|(it, object)| (it.clone(), !object["metadata"]["deletionTimestamp"].is_null()))
            .collect();
        if inside.is_empty() {
            state.store.remove(&key);
            did_any = true;
        }
        for (it, _) in inside.iter().filter(|(_, is_ending)| !is_ending) {
            drop(deletion::delete(&mut state.store, it, &Options::default(), now));
            did_any = true;
        }
    }
    did_any
}

/// Ends the pods of nodes that have no object, once they had none for so long.
pub(crate) async fn collect_orphans(cluster: Arc<Cluster>, limit: Duration) {
    let mut changes = cluster.changes();
    loop {
        changes.mark_unchanged();
        let orphans = cluster.with(|state, _| orphans(state));
        if orphans.is_empty() {
            if changes.changed().await.is_err() {
                return;
            }
            continue;
        }
        tokio::time::sleep(limit).await;
        cluster.with(|state, now| {
            for key in orphans_among(state, &orphans) {
                let Some(pod) = state.store.get(&key).cloned() else { continue };
                let condition = disruption("DeletionByPodGC", "PodGC: node no longer exists", now);
                let mut failed = with_condition(&pod, condition);
                failed["status"]["phase"] = json!("Failed");
                state.store.put(key.clone(), failed);
                drop(deletion::delete(&mut state.store, &key, &Options::at_once(), now));
            }
        });
    }
}

fn orphans(state: &State) -> Vec<Key> {
    let is_orphan = |pod: &Value| {
        let node = pod["spec"]["nodeName"].as_str();
        node.is_some_and(|node| state.store.get(&Key::new(&NODES, "", node)).is_none())
    };
    state.store.list(&PODS, None).filter(|(_, pod)| is_orphan(pod)).map(|(key, _)| key.clone()).collect()
}

fn orphans_among(state: &State, before: &[Key]) -> Vec<Key> {
    orphans(state).into_iter().filter(|key| before.contains(key)).collect()
}

/// What the cluster does about a node that does not answer, until it does again.
pub(crate) async fn give_up_on_node(cluster: Arc<Cluster>, lost: LostNode) {
    let is_lost = || cluster.with(|state, _| state.faults.lost_node.is_some());
    tokio::time::sleep(lost.after).await;
    if !is_lost() {
        return;
    }
    cluster.with(|state, now| set_ready(state, false, now));
    let patience = |pod: &Value| {
        lost.toleration.unwrap_or_else(|| {
            let tolerations = pod["spec"]["tolerations"].as_array().into_iter().flatten();
            let seconds = tolerations
                .filter(|it| it["key"] == "node.kubernetes.io/unreachable")
                .find_map(|it| it["tolerationSeconds"].as_u64());
            Duration::from_secs(seconds.unwrap_or(u64::from(u32::MAX)))
        })
    };
    let begun = clock::instant();
    while is_lost() {
        cluster.with(|state, now| {
            for (key, pod) in of_node(state) {
                if pod["metadata"]["deletionTimestamp"].is_null() && begun.elapsed() >= patience(&pod) {
                    let message = "Taint manager: deleting due to NoExecute taint";
                    let condition = disruption("DeletionByTaintManager", message, now);
                    state.store.put(key.clone(), with_condition(&pod, condition));
                    drop(deletion::delete(&mut state.store, &key, &Options::default(), now));
                }
            }
        });
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    cluster.with(|state, now| set_ready(state, true, now));
}

fn of_node(state: &State) -> Vec<(Key, Arc<Value>)> {
    let pods = state.store.list(&PODS, None).filter(|(_, pod)| pod["spec"]["nodeName"] == NODE);
    pods.map(|(key, pod)| (key.clone(), Arc::clone(pod))).collect()
}

/// Told of the node itself, and of each pod that was ready: the phase stays.
fn set_ready(state: &mut State, is_ready: bool, now: Timestamp) {
    let status = if is_ready { "True" } else { "Unknown" };
    let key = Key::new(&NODES, "", NODE);
    if let Some(mut node) = state.store.get(&key).map(|node| (**node).clone()) {
        node["status"]["conditions"][0]["status"] = json!(status);
        state.store.put(key, node);
    }
    if is_ready {
        return;
    }
    for (key, pod) in of_node(state) {
        let mut pod = (*pod).clone();
        for condition in pod["status"]["conditions"].as_array_mut().into_iter().flatten() {
            if condition["type"] == "Ready" && condition["status"] == "True" {
                condition["status"] = json!("False");
                condition["lastTransitionTime"] = clock::seconds(now);
            }
        }
        state.store.put(key, pod);
    }
}
