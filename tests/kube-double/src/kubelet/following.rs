//! What waits beside the life of a pod: for its deletion, for its deadline, for what its volumes show.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use super::environment::Circumstances;
use super::happening::Happening;
use super::{Kubelet, volumes};
use crate::store::Key;

pub(super) fn fill(
    kubelet: &Kubelet,
    key: &Key,
    uid: &str,
    pod: &Arc<Value>,
    address: Option<String>,
) -> Result<(), volumes::NotMounted> {
    let current = kubelet.current(key, uid).unwrap_or_else(|| Arc::clone(pod));
    let about = Circumstances {
        address: address.unwrap_or_else(|| current["status"]["podIP"].as_str().unwrap_or("").to_owned()),
        pod: &current,
        host: kubelet.network.gateway().to_string(),
        api_port: kubelet.habits.api_port,
    };
    let folder = kubelet.folder.join("pods").join(uid).join("volumes");
    let account = current["spec"]["serviceAccountName"].as_str().unwrap_or("default");
    kubelet.cluster.with(|state, now| {
        let token = state.tokens.of_pods(&key.namespace, account, now);
        volumes::fill(&state.store, &about, &token, &folder)
    })
}

/// Waits until somebody wants the pod gone.
pub(super) async fn deletion(kubelet: Arc<Kubelet>, key: Key, uid: String) {
    let mut changes = kubelet.cluster.changes();
    loop {
        changes.mark_unchanged();
        kubelet.is_there().await;
        let pod = kubelet.current(&key, &uid);
        if pod.is_none_or(|pod| !pod["metadata"]["deletionTimestamp"].is_null()) {
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

pub(super) async fn deadline(seconds: Option<u64>) {
    match seconds {
        Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
        None => std::future::pending().await,
    }
}

/// Keeps volumes up to date, looks at their sizes, and notices changed resources, until it is stopped.
pub(super) async fn follow(kubelet: Arc<Kubelet>, key: Key, uid: String) {
    let mut changes = kubelet.cluster.changes();
    let (mut sizes, mut secrets) = (interval(kubelet.habits.eviction), interval(kubelet.habits.secrets));
    let mut last: Option<Arc<Value>> = None;
    loop {
        let Some(pod) = kubelet.current(&key, &uid) else { return };
        let before = last.replace(Arc::clone(&pod)).unwrap_or_else(|| Arc::clone(&pod));
        let is_same = |field: &str| before["metadata"][field] == pod["metadata"][field];
        if !(is_same("labels") && is_same("annotations")) {
            // A volume that could be filled once can be filled again.
            drop(fill(&kubelet, &key, &uid, &pod, None));
        }
        if before["spec"]["containers"] != pod["spec"]["containers"] {
            kubelet.tell(&pod, Happening::Resized);
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = sizes.tick() => {
                kubelet.tell(&pod, Happening::SizesDue);
            }
            _ = secrets.tick() => {
                drop(fill(&kubelet, &key, &uid, &pod, None));
            }
        }
    }
}

fn interval(period: Duration) -> tokio::time::Interval {
    let mut interval = tokio::time::interval(period);
    interval.reset();
    interval
}
