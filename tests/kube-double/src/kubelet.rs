//! The node's agent: it looks for pods that are bound to the node and lives the life of each.

mod container;
mod ending;
mod environment;
mod following;
mod groups;
mod happening;
mod images;
mod journal;
mod network;
mod pod;
mod probe;
mod probing;
mod resizing;
mod start;
mod status;
mod volumes;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::UnboundedSender;

use crate::cluster::{Cluster, NODE};
use crate::resource::PODS;
use crate::store::Key;

use self::happening::Happening;
pub(crate) use self::happening::Happening as PodHappening;
pub(crate) use self::images::Images;
pub(crate) use self::journal::{Journal, Line};
pub(crate) use self::network::{
    Network, add_machine_address, gateway, open_firewall, remove_machine_address,
};
use self::pod::Worker;

/// How the node behaves.
#[derive(Clone, Debug)]
pub(crate) struct Habits {
    /// A step of a pod's life is told up to so much later, as a kubelet does that looks once a second.
    pub(crate) delay: Duration,
    /// The first pause before a container is started again, or an image pulled again; it doubles.
    pub(crate) back_off: Duration,
    /// How often the sizes of volumes are looked at.
    pub(crate) eviction: Duration,
    /// How often volumes follow secrets that change.
    pub(crate) secrets: Duration,
    pub(crate) api_port: u16,
}

#[derive(Debug)]
pub(crate) struct Kubelet {
    cluster: Arc<Cluster>,
    habits: Habits,
    images: Images,
    network: Arc<Network>,
    folder: PathBuf,
    journals: Mutex<BTreeMap<(String, String), Vec<Run>>>,
    pods: Mutex<BTreeMap<String, UnboundedSender<Happening>>>,
}

/// One run of a container, for those who ask for its output.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) id: String,
    pub(crate) journal: Journal,
}

impl Kubelet {
    pub(crate) fn new(
        cluster: Arc<Cluster>,
        habits: Habits,
        images: Images,
        network: Arc<Network>,
        folder: PathBuf,
    ) -> Arc<Self> {
        groups::sweep();
        let (journals, pods) = (Mutex::default(), Mutex::default());
        Arc::new(Self { cluster, habits, images, network, folder, journals, pods })
    }

    /// Takes up pods as they are bound to the node, for ever.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut changes = self.cluster.changes();
        loop {
            changes.mark_unchanged();
            for pod in self.new_pods() {
                Worker::spawn(&self, pod);
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    fn new_pods(&self) -> Vec<Arc<Value>> {
        let known = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        self.cluster.with(|state, _| {
            if state.faults.lost_node.is_some() {
                return Vec::new();
            }
            let pods = state.store.list(&PODS, None).map(|(_, pod)| pod);
            let is_new = |pod: &&Arc<Value>| {
                let uid = pod["metadata"]["uid"].as_str().unwrap_or("");
                pod["spec"]["nodeName"] == NODE && !known.contains_key(uid)
            };
            pods.filter(is_new).cloned().collect()
        })
    }

    /// Lets something happen to a pod that is here.
    pub(crate) fn tell(&self, pod: &Value, happening: Happening) -> bool {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or("");
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        pods.get(uid).is_some_and(|inbox| inbox.send(happening).is_ok())
    }

    /// The node dies: what runs on it as well, and nobody is told.
    pub(crate) fn die(&self) {
        let pods = self.pods.lock().unwrap_or_else(PoisonError::into_inner);
        for inbox in pods.values() {
            // One that has just ended does not mind.
            drop(inbox.send(Happening::Kill { is_out_of_memory: false }));
        }
    }

    /// The runs of a container of which the output is kept: the last one is the latest.
    pub(crate) fn runs(&self, pod: &Value, container: &str) -> Vec<Run> {
        let uid = pod["metadata"]["uid"].as_str().unwrap_or("").to_owned();
        let journals = self.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.get(&(uid, container.to_owned())).cloned().unwrap_or_default()
    }

    /// Waits while the node is lost.
    async fn is_there(&self) {
        let mut changes = self.cluster.changes();
        while self.cluster.with(|state, _| state.faults.lost_node.is_some()) {
            if changes.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Waits until no pod is left on the node.
    pub(crate) async fn is_idle(&self) {
        while !self.pods.lock().unwrap_or_else(PoisonError::into_inner).is_empty() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// The pod as the store has it, if it is still this one.
    fn current(&self, key: &Key, uid: &str) -> Option<Arc<Value>> {
        let pod = self.cluster.with(|state, _| state.store.get(key).cloned());
        pod.filter(|pod| pod["metadata"]["uid"] == *uid)
    }
}
