//! The backend itself: functions as pods.

use std::collections::HashMap;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use hearth_containers::emulator::{self, Emulator};
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, Host, Instance, InstanceStatus,
    LaunchSpec, LogStream, Meta, Plugin, ReapReport, Result, State, async_trait,
};
use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;
use kube::api::PostParams;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::address;
use crate::cluster::{Cluster, Rights};
use crate::config::{Config, OwnPod, Places};
use crate::delivery::{Delivery, Grant};
use crate::failure::{answer, failure, is_gone, is_taken};
use crate::instances::{Instances, Phase};
use crate::labels;
use crate::launch::{self, Limits, Trouble};
use crate::logs;
use crate::outlook::{self, Stage};
use crate::placement::Placement;
use crate::pod::{self, FETCH, FUNCTION, Plan};
use crate::route::Routes;
use crate::watch::Watch;

/// How long a launch waits for an API server that has gone. It then fails, and the host tries again further and further
/// apart: whoever waited here is served as soon as the server is back.
const PATIENCE: Duration = Duration::from_secs(5);
/// How soon such a server is asked again.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// Runs functions as pods.
pub struct KubernetesBackend {
    config: Config,
    places: Places,
    host: Host,
    state: PathBuf,
    cluster: Cluster,
    rights: Rights,
    placement: Placement,
    /// The host's own pod, if it is in the same namespace.
    owner: Option<OwnPod>,
    delivery: Delivery,
    routes: Routes,
    instances: Arc<Instances>,
    watch: Watch,
    watching: JoinHandle<()>,
    /// Folders with Hearth's emulator, by architecture.
    emulators: Mutex<HashMap<String, PathBuf>>,
}

impl Plugin for KubernetesBackend {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::PREPARE
        .with(Capabilities::INSPECT)
        .with(Capabilities::LIST)
        .with(Capabilities::REAP)
        .with(Capabilities::LOGS)
        .with(Capabilities::EVENTS)
        .with(Capabilities::SHUTDOWN);

    async fn create(config: Config, host: Host) -> Result<Self> {
        let places = Places::of_host();
        let placement = Placement::of(&config)?;
        pod::user(&config)?;
        let state = PathBuf::from(&host.info().state_dir);
        let cluster = Cluster::find(&config, &places).await?;
        let rights = cluster.rights(config.reach).await?;
        let own = address::own(&places, &cluster.url);
        let delivery = Delivery::begin(&config, own, state.clone()).await?;
        let owner = places.own_pod.clone().filter(|own| own.namespace == cluster.namespace);
        let instances = Arc::new(Instances::default());
        let watch = Watch::new(cluster.clone(), host.clone(), instances.clone());
        watch.adopt().await?;
        let backend = Self {
            watching: tokio::spawn(watch.clone().run()),
            emulators: Mutex::default(),
            routes: Routes::new(cluster.clone(), config.reach, &places, rights),
            config,
            places,
            host,
            state,
            cluster,
            rights,
            placement,
            owner,
            delivery,
            instances,
            watch,
        };
        if backend.config.emulator == Emulator::Hearth && backend.config.rie_in_image.is_none() {
            // What every function will need is missed now rather than then.
            backend.emulator_folder(if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" })?;
        }
        Ok(backend)
    }
}

impl KubernetesBackend {
    fn emulator_folder(&self, architecture: &str) -> Result<PathBuf> {
        let mut known = self.emulators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = known.get(architecture) {
            return Ok(folder.clone());
        }
        let (named, programs) = (self.config.rie.as_deref(), &*self.places.programs);
        let places = emulator::Places { section: "backends.k8s", named, programs };
        let folder = places.install(architecture, &self.state)?;
        known.insert(architecture.to_owned(), folder.clone());
        Ok(folder)
    }

    /// The right to fetch what the pod of a function needs from here, if it needs anything.
    async fn grant(
        &self,
        spec: &LaunchSpec,
        emulator: Emulator,
        placement: &Placement,
    ) -> Result<Option<Grant>> {
        let bin = match emulator {
            Emulator::Hearth if placement.rie_in_image.is_some() => None,
            Emulator::Hearth => Some(self.emulator_folder(&spec.architecture)?),
            Emulator::Image => None,
        };
        let parcel = self.delivery.parcel(spec, bin).await?;
        parcel.map(|parcel| self.delivery.grant(parcel)).transpose()
    }

    /// Makes the pod and what belongs to it, and waits until its emulator answers.
    async fn start(&self, spec: &LaunchSpec, handle: &str) -> Result<Instance> {
        let emulator = Emulator::of(spec, self.config.emulator)?;
        let placement = self.placement.with_tags(&spec.meta)?;
        let grant = self.grant(spec, emulator, &placement).await?;
        let plan = self.plan(handle, spec, emulator, &placement, grant.as_ref());
        let pod = plan.pod()?;
        let instance = self.instances.begin(handle);
        let made = self.make(spec, &pod).await?;
        let secret = plan.secret(&made);
        let parameters = PostParams::default();
        let kept =
            self.patiently(|| async { self.cluster.secrets().create(&parameters, &secret).await }).await;
        match kept {
            Err(error) if !is_taken(&error) => {
                return Err(failure(&format!("the Secret of {} cannot be made", spec.function), &error));
            }
            _ => {}
        }
        let limits = Limits::of(&self.config, spec);
        let (endpoint, ready) = match launch::ready(&instance, &self.routes, spec, limits).await {
            Ok(ready) => ready,
            Err(trouble) => return Err(self.did_not_come_up(handle, &trouble).await),
        };
        if let Err(end) = instance.launched() {
            return Err(self.did_not_come_up(handle, &Trouble::Ended(end)).await);
        }
        let image = pod::image(spec, &self.config)?;
        let facts = [("pod.name", handle), ("pod.namespace", &self.cluster.namespace), ("image", &image)];
        let facts = facts.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let meta: Meta = facts.into_iter().chain(ready.meta).collect();
        Ok(Instance { handle: handle.to_owned(), endpoint, protocol: ready.protocol, meta })
    }

    fn plan<'a>(
        &'a self,
        name: &'a str,
        spec: &'a LaunchSpec,
        emulator: Emulator,
        placement: &'a Placement,
        grant: Option<&'a Grant>,
    ) -> Plan<'a> {
        let (config, host, owner) = (&self.config, self.host.info(), self.owner.as_ref());
        Plan { name, spec, config, host, owner, placement, emulator, fetch: grant.map(|grant| &grant.fetch) }
    }

    /// An answer that was lost may have been a success: then the name is taken, by this very pod.
    async fn make(&self, spec: &LaunchSpec, pod: &Pod) -> Result<Pod> {
        let parameters = PostParams::default();
        let cannot = |error| failure(&format!("the pod of {} cannot be made", spec.function), &error);
        match self.patiently(|| async { self.cluster.pods().create(&parameters, pod).await }).await {
            Ok(made) => Ok(made),
            Err(error) if is_taken(&error) => {
                let found = self.watch.find(&pod.name_any()).await?;
                found.ok_or_else(|| cannot(error))
            }
            Err(error) => Err(cannot(error)),
        }
    }

    /// Makes a call again and again, for a while, as long as the server is not there.
    async fn patiently<T, F: Future<Output = kube::Result<T>>>(
        &self,
        call: impl Fn() -> F,
    ) -> kube::Result<T> {
        let mut patience = pin!(sleep(PATIENCE));
        loop {
            let answered = answer(call()).await;
            if !answered.as_ref().is_err_and(is_gone) {
                return answered;
            }
            tokio::select! {
                () = &mut patience => return answered,
                () = sleep(ASK_AGAIN) => {}
            }
        }
    }

    async fn did_not_come_up(&self, handle: &str, trouble: &Trouble) -> BackendError {
        if !self.rights.logs || matches!(trouble, Trouble::NoRoom(_)) {
            return trouble.error("");
        }
        let wrote = logs::last_words(&self.cluster, handle, FUNCTION).await;
        if !wrote.is_empty() {
            return trouble.error(&wrote);
        }
        trouble.error(&logs::last_words(&self.cluster, handle, FETCH).await)
    }

    fn status(&self, pod: &Pod) -> InstanceStatus {
        let handle = pod.name_any();
        let phase = self.instances.get(&handle).map(|instance| instance.phase());
        let state = match (outlook::read(pod).stage, phase) {
            _ if pod.metadata.deletion_timestamp.is_some() => State::ENDING,
            (Stage::Ended(_), _) => State::ENDED,
            // Its emulator has answered, whatever its node has told so far.
            (Stage::Running, _) | (_, Some(Phase::Running)) => State::RUNNING,
            _ => State::STARTING,
        };
        let label = |name| labels::read(pod, name).to_owned();
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        InstanceStatus {
            handle,
            state,
            function: label(labels::FUNCTION),
            deploy_id: label(labels::DEPLOY),
            owner: label(labels::OWNER),
            epoch: label(labels::EPOCH),
            meta: node.map(|node| ("node".to_owned(), node)).into_iter().collect(),
        }
    }
}

#[async_trait]
impl Backend for KubernetesBackend {
    fn info(&self) -> BackendInfo {
        let capabilities = if self.rights.logs {
            Self::CAPABILITIES
        } else {
            Self::CAPABILITIES.without(Capabilities::LOGS)
        };
        let mut info = BackendInfo::new("k8s", env!("CARGO_PKG_VERSION"), capabilities);
        let Cluster { url, version, namespace, .. } = &self.cluster;
        let facts = [("cluster", url), ("cluster.version", version), ("namespace", namespace)];
        for (fact, value) in facts.into_iter().chain([("code", &self.delivery.url().to_owned())]) {
            info.meta.insert(fact.to_owned(), value.clone());
        }
        info
    }

    /// Packs the code, and has the API server look at a pod that it then does not make: what would be refused is told
    /// when the function is deployed.
    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        let emulator = Emulator::of(spec, self.config.emulator)?;
        let placement = self.placement.with_tags(&spec.meta)?;
        let grant = self.grant(spec, emulator, &placement).await?;
        let name = labels::pod_name(&LaunchSpec { instance_id: spec.deploy_id.clone(), ..spec.clone() });
        let pod = self.plan(&name, spec, emulator, &placement, grant.as_ref()).pod()?;
        let parameters = PostParams { dry_run: true, ..PostParams::default() };
        let looked_at = answer(self.cluster.pods().create(&parameters, &pod)).await;
        let Err(error) = looked_at else { return Ok(()) };
        let error = failure(&format!("the pods of {} would be refused", spec.function), &error);
        // What is full or gone now need not be so when the function is invoked.
        if error.retryable { Ok(()) } else { Err(error) }
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let handle = labels::pod_name(spec);
        let launched = self.start(spec, &handle).await;
        if launched.is_err()
            && let Err(error) = self.watch.remove(&handle, Duration::ZERO).await
        {
            // From now on it is nobody's, and goes with the next sweep.
            self.instances.forget(&handle);
            tracing::warn!(%error, "what is left of a launch cannot be removed");
        }
        launched
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        self.watch.remove(handle, Duration::from_millis(grace_ms)).await
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        let found = self.watch.find(handle).await?;
        found.map(|pod| self.status(&pod)).ok_or_else(|| BackendError::not_found(handle))
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        Ok(self.watch.list().await?.iter().map(|pod| self.status(pod)).collect())
    }

    async fn reap(&self, _cx: &CallContext) -> Result<ReapReport> {
        self.watch.reap().await
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        if !self.rights.logs {
            return Err(BackendError::unsupported("logs"));
        }
        if self.instances.get(handle).is_none() {
            return Err(BackendError::not_found(handle));
        }
        logs::follow(&self.cluster, handle, since_ms).await
    }

    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        let own = self.watch.list().await?;
        let own = own.iter().filter(|pod| labels::read(pod, labels::EPOCH) == self.host.info().epoch);
        let removals = own.map(async |pod| self.watch.remove(&pod.name_any(), Duration::ZERO).await);
        let removed = join_all(removals).await.into_iter().collect();
        self.watching.abort();
        self.delivery.end();
        removed
    }
}

impl std::fmt::Debug for KubernetesBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KubernetesBackend").field("cluster", &self.cluster).finish_non_exhaustive()
    }
}
