//! The state of the cluster behind one lock, and who waits for it to change.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::access::Tokens;
use crate::clock;
use crate::faults::Faults;
use crate::resource::{CONFIG_MAPS, NAMESPACES, NODES, PRIORITY_CLASSES, SERVICE_ACCOUNTS};
use crate::store::{Key, Store};

/// The one node.
pub(crate) const NODE: &str = "labnode";

/// What the node has to give, as quantities.
#[derive(Clone, Debug)]
pub(crate) struct Capacity {
    pub(crate) cpu: String,
    pub(crate) memory: String,
    pub(crate) pods: u32,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) store: Store,
    pub(crate) faults: Faults,
    pub(crate) tokens: Tokens,
    /// The certificate that clients of the API trust, as PEM.
    pub(crate) authority: String,
    /// Calls of the API by `verb resource`.
    pub(crate) calls: BTreeMap<String, u64>,
}

#[derive(Debug)]
pub(crate) struct Cluster {
    state: Mutex<State>,
    /// Counts what could interest those who wait: changes of objects and of faults.
    changes: watch::Sender<u64>,
}

impl Cluster {
    /// A cluster of one node and two namespaces.
    pub(crate) fn new(admin_token: &str, capacity: &Capacity, node_address: &str, authority: &str) -> Self {
        let mut store = Store::new();
        let now = clock::now();
        let node = new_object(node(capacity, node_address), now);
        store.put(Key::new(&NODES, "", NODE), node);
        for name in ["default", "kube-system"] {
            add_namespace(&mut store, authority, json!({"metadata": {"name": name}}), now);
        }
        for (name, value) in
            [("system-cluster-critical", 2_000_000_000), ("system-node-critical", 2_000_001_000)]
        {
            let class = json!({
                "apiVersion": "scheduling.k8s.io/v1", "kind": "PriorityClass", "metadata": {"name": name},
                "value": value, "preemptionPolicy": "PreemptLowerPriority",
            });
            store.put(Key::new(&PRIORITY_CLASSES, "", name), new_object(class, now));
        }
        let tokens = Tokens::new(admin_token);
        let (faults, calls, authority) = (Faults::default(), BTreeMap::new(), authority.to_owned());
        let state = State { store, faults, tokens, authority, calls };
        Self { state: Mutex::new(state), changes: watch::Sender::new(0) }
    }

    /// Reads or changes the state in one step.
    pub(crate) fn with<R>(&self, act: impl FnOnce(&mut State, Timestamp) -> R) -> R {
        let now = clock::now();
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let before = state.store.revision();
        let answer = act(&mut state, now);
        let has_changed = state.store.revision() != before;
        drop(state);
        if has_changed {
            self.wake();
        }
        answer
    }

    /// Lets everybody look again.
    pub(crate) fn wake(&self) {
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells of changes from here on.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }
}

/// Gives an object what every object has.
pub(crate) fn new_object(mut object: Value, now: Timestamp) -> Value {
    object["metadata"]["uid"] = json!(uuid::Uuid::new_v4().to_string());
    object["metadata"]["creationTimestamp"] = clock::seconds(now);
    object
}

/// A namespace comes with the account and the certificates that pods expect.
pub(crate) fn add_namespace(
    store: &mut Store,
    authority: &str,
    mut namespace: Value,
    now: Timestamp,
) -> Value {
    let name = namespace["metadata"]["name"].as_str().unwrap_or("").to_owned();
    namespace["apiVersion"] = json!("v1");
    namespace["kind"] = json!("Namespace");
    namespace["metadata"]["labels"]["kubernetes.io/metadata.name"] = json!(name);
    namespace["spec"] = json!({"finalizers": ["kubernetes"]});
    namespace["status"] = json!({"phase": "Active"});
    let namespace = store.put(Key::new(&NAMESPACES, "", &name), new_object(namespace, now));
    let metadata = |of: &str| json!({"name": of, "namespace": name});
    let account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata("default")});
    store.put(Key::new(&SERVICE_ACCOUNTS, &name, "default"), new_object(account, now));
    let certificates = json!({
        "apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata("kube-root-ca.crt"), "data": {"ca.crt": authority},
    });
    store.put(Key::new(&CONFIG_MAPS, &name, "kube-root-ca.crt"), new_object(certificates, now));
    (*namespace).clone()
}

fn node(capacity: &Capacity, address: &str) -> Value {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    let resources =
        json!({"cpu": capacity.cpu, "memory": capacity.memory, "pods": capacity.pods.to_string()});
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {"name": NODE, "labels": {
            "kubernetes.io/arch": architecture, "kubernetes.io/os": "linux", "kubernetes.io/hostname": NODE,
        }},
        "spec": {},
        "status": {
            "capacity": resources, "allocatable": resources,
            "addresses": [{"type": "InternalIP", "address": address}, {"type": "Hostname", "address": NODE}],
            "conditions": [{"type": "Ready", "status": "True", "reason": "KubeletReady"}],
            "nodeInfo": {"architecture": architecture, "operatingSystem": "linux", "kubeletVersion": "v1.33.13"},
        },
    })
}
