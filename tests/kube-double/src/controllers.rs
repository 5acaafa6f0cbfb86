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
use crate::store::{Key, Store};

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
    let held = held_for_dependents(&state.store);
    let doomed = doomed(&state.store, &held);
    for key in &doomed {
        // It may have gone in the meantime.
        drop(deletion::delete(&mut state.store, key, &Options::default(), now));
    }
    for (key, owner) in held {
        let is_owned = |it: &Value| deletion::is_owned_by(it, &owner["metadata"]["uid"]);
        if !state.store.everything().any(|(_, it)| is_owned(it)) {
            release(state, &key, &owner);
        }
    }
    !doomed.is_empty()
}

fn is_ending(object: &Value) -> bool {
    !object["metadata"]["deletionTimestamp"].is_null()
}

/// Owners that end, and go after what they own.
fn held_for_dependents(store: &Store) -> Vec<(Key, Arc<Value>)> {
    let is_held = |it: &Value| {
        let finalizers = it["metadata"]["finalizers"].as_array();
        is_ending(it) && finalizers.is_some_and(|all| all.iter().any(|it| it == FOREGROUND))
    };
    let held = store.everything().filter(|(_, it)| is_held(it));
    held.map(|(key, it)| (key.clone(), Arc::clone(it))).collect()
}

/// What has lost all its owners, or has one that waits for it to go.
fn doomed(store: &Store, held: &[(Key, Arc<Value>)]) -> Vec<Key> {
    let owned = |it: &Value| it["metadata"]["ownerReferences"].as_array().is_some_and(|it| !it.is_empty());
    let dependents = store.everything().filter(|(_, it)| owned(it) && !is_ending(it));
    let dependents: Vec<(&Key, &Value)> = dependents.map(|(key, it)| (key, &**it)).collect();
    if dependents.is_empty() {
        return Vec::new();
    }
    let living: BTreeSet<&str> =
        store.everything().filter_map(|(_, it)| it["metadata"]["uid"].as_str()).collect();
    let has_gone = |owner: &Value| {
        let text = |field: &str| owner[field].as_str().unwrap_or("");
        // Of kinds that the double does not know, it does not know either whether they are there.
        Resource::of_kind(text("apiVersion"), text("kind")).is_some() && !living.contains(text("uid"))
    };
    let is_orphan =
        |it: &Value| it["metadata"]["ownerReferences"].as_array().is_some_and(|all| all.iter().all(has_gone));
    let is_awaited =
        |it: &Value| held.iter().any(|(_, owner)| deletion::is_owned_by(it, &owner["metadata"]["uid"]));
    let doomed = dependents.into_iter().filter(|(_, it)| is_orphan(it) || is_awaited(it));
    doomed.map(|(key, _)| key.clone()).collect()
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
