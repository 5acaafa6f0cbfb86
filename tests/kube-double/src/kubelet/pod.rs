//! The life of one pod on the node.
//!
//! ```text
//! volumes ─► sandbox ─► init containers ─► main containers ─► all have ended ─► Failed, Succeeded
//!    └───────────┴──────────────┴─────────────────┴──────┬─► deadline, eviction ─► Failed
//!                                                        └─► deletionTimestamp ─► ended ─► gone
//! ```

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::task::AbortHandle;

use super::container::Container;
use super::following::{deadline, deletion, fill, follow};
use super::happening::Happening;
use super::network::Sandbox;
use super::status::{ContainerStatus, Phase, PodStatus};
use super::{Kubelet, volumes};
use crate::clock;
use crate::events;
use crate::resource::PODS;
use crate::store::Key;

/// A pause before a mount is tried again.
const MOUNT_RETRY: Duration = Duration::from_millis(500);

pub(super) struct Worker {
    pub(super) kubelet: Arc<Kubelet>,
    pub(super) key: Key,
    pub(super) uid: String,
    /// As it was when it came: what containers are made from does not change.
    pub(super) pod: Arc<Value>,
    pub(super) status: PodStatus,
    pub(super) sandbox: Option<Sandbox>,
    pub(super) running: BTreeMap<String, Running>,
    pub(super) runs: u64,
    pub(super) due: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) outbox: UnboundedSender<Happening>,
    inbox: UnboundedReceiver<Happening>,
    /// Its containers shall not start again.
    pub(super) is_ending: bool,
    /// Why the node wants to be rid of it.
    pub(super) evicted: Option<String>,
}

/// A container that runs.
pub(super) struct Running {
    pub(super) container: Container,
    pub(super) run: u64,
    pub(super) is_out_of_memory: bool,
    pub(super) tasks: Vec<AbortHandle>,
}

impl Drop for Running {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

/// How the life of a pod ends.
enum End {
    Finished,
    Killed(&'static str, String),
    Deleted,
}

impl Worker {
    pub(super) fn spawn(kubelet: &Arc<Kubelet>, pod: Arc<Value>) {
        let text = |value: &Value| value.as_str().unwrap_or("").to_owned();
        let uid = text(&pod["metadata"]["uid"]);
        let key = Key::new(&PODS, &text(&pod["metadata"]["namespace"]), &text(&pod["metadata"]["name"]));
        let (outbox, inbox) = mpsc::unbounded_channel();
        kubelet.pods.lock().unwrap_or_else(PoisonError::into_inner).insert(uid.clone(), outbox.clone());
        let worker = Self {
            status: first_status(kubelet, &pod),
            kubelet: Arc::clone(kubelet),
            key,
            folder: kubelet.folder.join("pods").join(&uid),
            uid,
            pod,
            sandbox: None,
            running: BTreeMap::new(),
            runs: 0,
            due: Vec::new(),
            outbox,
            inbox,
            is_ending: false,
            evicted: None,
        };
        tokio::spawn(worker.run());
    }

    async fn run(mut self) {
        // Those that wait beside the life of the pod look at the store alone.
        let deletion = deletion(Arc::clone(&self.kubelet), self.key.clone(), self.uid.clone());
        let deadline = deadline(self.pod["spec"]["activeDeadlineSeconds"].as_u64());
        let follower = tokio::spawn(follow(Arc::clone(&self.kubelet), self.key.clone(), self.uid.clone()));
        let end = tokio::select! {
            () = deletion => End::Deleted,
            () = deadline => {
                let message = "Pod was active on the node longer than the specified deadline";
                End::Killed("DeadlineExceeded", message.to_owned())
            }
            end = self.live() => end,
        };
        match end {
            End::Finished => self.finish().await,
            End::Killed(reason, message) => self.kill(reason, message).await,
            End::Deleted => {}
        }
        self.terminate().await;
        follower.abort();
        self.clean_up();
    }

    fn clean_up(mut self) {
        self.running.clear();
        self.sandbox = None;
        volumes::release(&self.folder.join("volumes"));
        // What cannot be removed is in a folder that goes with the double.
        drop(std::fs::remove_dir_all(&self.folder));
        self.kubelet.pods.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.uid);
        let mut journals = self.kubelet.journals.lock().unwrap_or_else(PoisonError::into_inner);
        journals.retain(|(uid, _), _| *uid != self.uid);
    }

    /// From the first status to the end of the last container.
    async fn live(&mut self) -> End {
        self.publish().await;
        self.mount().await;
        self.open_sandbox().await;
        for at in 0..self.status.init.len() {
            let name = self.status.init[at].name.clone();
            self.start(&name).await;
            while self.status.init[at].termination().is_none_or(|it| it.code != 0) {
                if self.status.outcome.is_some() {
                    return End::Finished;
                }
                if let Some(end) = self.go_on().await {
                    return end;
                }
            }
        }
        for at in 0..self.status.main.len() {
            let name = self.status.main[at].name.clone();
            self.start(&name).await;
        }
        loop {
            if self.status.outcome.is_some() {
                return End::Finished;
            }
            if let Some(end) = self.go_on().await {
                return end;
            }
        }
    }

    /// Takes the next thing that happens, tells of it, and starts what is due.
    async fn go_on(&mut self) -> Option<End> {
        if self.due.is_empty() {
            self.take_next().await;
            self.publish().await;
        }
        if let Some(message) = self.evicted.take() {
            return Some(End::Killed("Evicted", message));
        }
        for name in std::mem::take(&mut self.due) {
            self.start(&name).await;
        }
        None
    }

    pub(super) fn volumes(&self) -> PathBuf {
        self.folder.join("volumes")
    }

    pub(super) fn spec_of(&self, container: &str) -> Value {
        let lists =
            ["initContainers", "containers"].into_iter().filter_map(|it| self.pod["spec"][it].as_array());
        lists.flatten().find(|it| it["name"] == *container).cloned().unwrap_or_default()
    }

    pub(super) fn note(&self, kind: &str, reason: &str, message: &str, container: Option<&str>) {
        let path = container.map(|name| {
            let is_init = self.status.init.iter().any(|it| it.name == name);
            format!("spec.{}{{{name}}}", if is_init { "initContainers" } else { "containers" })
        });
        self.kubelet.cluster.with(|state, now| {
            let event = events::Event { kind, reason, message, field: path.as_deref(), component: "kubelet" };
            events::record(&mut state.store, &self.pod, &event, now);
        });
    }

    async fn mount(&mut self) {
        loop {
            let filled = self.fill_volumes();
            let Err(missing) = filled else { return };
            let message =
                format!("MountVolume.SetUp failed for volume {:?} : {}", missing.volume, missing.why);
            self.note("Warning", "FailedMount", &message, None);
            let mut changes = self.kubelet.cluster.changes();
            // The event above is a change itself; the next one wakes, or the time.
            let _ = tokio::time::timeout(MOUNT_RETRY, changes.changed()).await;
            tokio::time::sleep(self.kubelet.habits.delay).await;
        }
    }

    fn fill_volumes(&self) -> Result<(), volumes::NotMounted> {
        fill(&self.kubelet, &self.key, &self.uid, &self.pod, self.status.address.map(|it| it.to_string()))
    }

    async fn open_sandbox(&mut self) {
        loop {
            let refuses = self.kubelet.cluster.with(|state, _| state.faults.no_addresses);
            let opened = if refuses {
                Err(std::io::Error::other("no address is left"))
            } else {
                self.kubelet.network.open().await
            };
            match opened {
                Ok(sandbox) => {
                    self.status.address = Some(sandbox.address);
                    self.status.has_sandbox = true;
                    self.sandbox = Some(sandbox);
                    return;
                }
                Err(error) => {
                    let message = format!("Failed to create pod sandbox: {error}");
                    self.note("Warning", "FailedCreatePodSandBox", &message, None);
                    tokio::time::sleep(MOUNT_RETRY).await;
                }
            }
        }
    }

    /// Waits for the moment when a kubelet looks again, takes in what happened until then, and writes the status.
    pub(super) async fn publish(&mut self) {
        self.kubelet.is_there().await;
        let delay = self.kubelet.habits.delay;
        if !delay.is_zero() {
            tokio::time::sleep(delay).await;
        }
        while let Ok(happening) = self.inbox.try_recv() {
            self.apply(happening);
        }
        self.write();
    }

    fn write(&mut self) {
        let is_under_way =
            |it: &ContainerStatus| it.is_running() || it.termination().is_some() || it.restarts > 0;
        if self.status.phase == Phase::Pending
            && self.status.outcome.is_none()
            && self.status.main.iter().any(is_under_way)
        {
            self.status.phase = Phase::Running;
        }
        self.kubelet.cluster.with(|state, now| {
            let Some(before) = state.store.get(&self.key).filter(|it| it["metadata"]["uid"] == *self.uid)
            else {
                return;
            };
            let mut pod = (**before).clone();
            pod["status"] = self.status.json(&before["status"], now);
            state.store.put(self.key.clone(), pod);
        });
    }

    /// Takes in the next thing that happens.
    pub(super) async fn take_next(&mut self) {
        if let Some(happening) = self.inbox.recv().await {
            self.apply(happening);
        }
    }
}

fn first_status(kubelet: &Kubelet, pod: &Value) -> PodStatus {
    let list = |name: &str| pod["spec"][name].as_array().cloned().unwrap_or_default();
    let init = list("initContainers");
    let reason = if init.is_empty() { "ContainerCreating" } else { "PodInitializing" };
    let waiting = |containers: &[Value]| -> Vec<ContainerStatus> {
        containers.iter().map(|it| ContainerStatus::new(it, reason)).collect()
    };
    PodStatus {
        phase: Phase::Pending,
        outcome: None,
        reason: None,
        host: kubelet.network.gateway(),
        address: None,
        has_sandbox: false,
        start: clock::now(),
        init: waiting(&init),
        main: waiting(&list("containers")),
        resize: None,
    }
}
