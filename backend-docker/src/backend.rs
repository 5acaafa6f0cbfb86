//! The backend itself: functions as containers.

use std::collections::HashMap;
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as Summary};
use bollard::query_parameters::{
    CreateContainerOptions, InspectContainerOptions, KillContainerOptions, StartContainerOptions,
    StatsOptions,
};
use futures_util::StreamExt;
use hearth_artifacts::layers;
use hearth_containers::emulator::{self, Emulator};
use hearth_containers::readiness::{self, Ready};
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, ErrorKind, Host, Instance, InstanceStats,
    InstanceStatus, LaunchSpec, LogStream, Meta, Plugin, ReapReport, Result, State, async_trait,
};
use tokio::task::JoinHandle;

use crate::config::{Config, Places};
use crate::container::{EMULATOR, OPT, Plan, Ports, TASK};
use crate::delivery::{Delivery, Folder};
use crate::engine::Engine;
use crate::failure::{failure, is_conflict, is_missing};
use crate::images::{Image, Images, Wanted};
use crate::instances::{self, End, Instances};
use crate::labels;
use crate::logs;
use crate::network::{Network, Route};
use crate::users::Users;
use crate::watch::{self, Watch};

/// How much longer than its init an instance may take from its start until its emulator answers.
const START_LIMIT: Duration = Duration::from_secs(30);

/// Runs functions as containers.
pub struct DockerBackend {
    config: Config,
    places: Places,
    host: Host,
    state: PathBuf,
    engine: Engine,
    images: Images,
    delivery: Delivery,
    network: Network,
    instances: Arc<Instances>,
    users: Users,
    watch: Watch,
    watching: JoinHandle<()>,
    /// Folders with Hearth's emulator, by architecture.
    emulators: Mutex<HashMap<String, PathBuf>>,
}

impl Plugin for DockerBackend {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::PREPARE
        .with(Capabilities::INSPECT)
        .with(Capabilities::LIST)
        .with(Capabilities::REAP)
        .with(Capabilities::LOGS)
        .with(Capabilities::STATS)
        .with(Capabilities::PAUSE)
        .with(Capabilities::EVENTS)
        .with(Capabilities::SHUTDOWN);

    async fn create(config: Config, host: Host) -> Result<Self> {
        let places = Places::of_host();
        let engine = Engine::find(&config, &places).await?;
        let state = PathBuf::from(&host.info().state_dir);
        let state = state.canonicalize().map_err(|error| {
            BackendError::config(format!("the directory {} cannot be used", state.display()))
                .caused_by(&error)
        })?;
        let instances = Arc::new(Instances::default());
        let watch = Watch::new(engine.clone(), host.clone(), instances.clone());
        watch.adopt().await?;
        let backend = Self {
            images: Images::new(engine.clone(), host.clone(), config.pull),
            delivery: Delivery::new(engine.clone(), host.info().clone(), state.clone(), config.code),
            network: Network::new(engine.clone(), &config),
            watching: tokio::spawn(watch.clone().run()),
            users: Users::default(),
            emulators: Mutex::default(),
            config,
            places,
            host,
            state,
            engine,
            instances,
            watch,
        };
        if backend.config.emulator == Emulator::Hearth {
            // What every function will need is missed now rather than then.
            backend.emulator_folder(if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" })?;
        }
        Ok(backend)
    }
}

impl DockerBackend {
    fn emulator_folder(&self, architecture: &str) -> Result<PathBuf> {
        let mut known = self.emulators.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(folder) = known.get(architecture) {
            return Ok(folder.clone());
        }
        let (named, programs) = (self.config.rie.as_deref(), &*self.places.programs);
        let places = emulator::Places { section: "backends.docker", named, programs };
        let folder = places.install(architecture, &self.state)?;
        known.insert(architecture.to_owned(), folder.clone());
        Ok(folder)
    }

    /// Everything that a container of this function gets from this machine.
    async fn folders(&self, spec: &LaunchSpec) -> Result<Vec<Folder>> {
        let mut folders = Vec::new();
        if Emulator::of(spec, self.config.emulator)? == Emulator::Hearth {
            folders.push(folder(self.emulator_folder(&spec.architecture)?, EMULATOR));
        }
        if let Some(code) = &spec.code {
            let (path, name) = (PathBuf::from(&code.dir_path), code.sha256.clone());
            folders.push(Folder { path, name, target: TASK });
        }
        if !spec.layers.is_empty() {
            let (state, artifacts) = (self.state.clone(), spec.layers.clone());
            let merged = tokio::task::spawn_blocking(move || layers::merged(&state, &artifacts)).await;
            let merged = merged.unwrap_or_else(|panic| Err(std::io::Error::other(panic)));
            let merged = merged
                .map_err(|error| BackendError::internal("the layers cannot be merged").caused_by(&error))?;
            folders.push(folder(merged, OPT));
        }
        Ok(folders)
    }

    /// Makes and starts the container, and waits until its emulator answers.
    async fn start(
        &self,
        spec: &LaunchSpec,
        wanted: &Wanted,
        image: &Image,
        handle: &str,
    ) -> Result<Instance> {
        let mounts = self.delivery.mounts(&image.id, self.folders(spec).await?).await?;
        let route = self.network.route().await?;
        let ports = ports(&route)?;
        let emulator = Emulator::of(spec, self.config.emulator)?;
        let (config, host) = (&self.config, self.host.info());
        let user = config.user.is_none().then(|| self.users.take());
        let body = Plan { spec, config, host, image, emulator, user: user.as_ref(), route: &route, ports }
            .body(mounts);

        let platform = if self.engine.knows_platforms() { wanted.platform() } else { String::new() };
        let options = CreateContainerOptions { name: Some(handle.to_owned()), platform };
        let docker = &self.engine.docker;
        let cannot = |doing: &str, error| {
            failure(&format!("the container of {} cannot be {doing}", spec.function), &error)
        };
        let instance = self.instances.begin(handle, user);
        docker.create_container(Some(options), body).await.map_err(|error| cannot("made", error))?;
        docker
            .start_container(handle, None::<StartContainerOptions>)
            .await
            .map_err(|error| cannot("started", error))?;
        let container = docker.inspect_container(handle, None::<InspectContainerOptions>).await;
        let container = container.map_err(|error| cannot("looked at", error))?;
        if let Some(state) = container.state.as_ref().filter(|state| state.running == Some(false)) {
            let status = state.exit_code.unwrap_or_default().to_string();
            let end = watch::exited(&status, state.oom_killed == Some(true));
            return Err(self.did_not_come_up(handle, &end).await);
        }
        let endpoint = route.endpoint(&container, ports.invocations)?;

        let limit = START_LIMIT + Duration::from_millis(spec.init_timeout_ms);
        let Ready { protocol, meta } = tokio::select! {
            ready = readiness::wait(&endpoint, &spec.token) => ready.map_err(BackendError::internal)?,
            end = instance.end() => return Err(self.did_not_come_up(handle, &end).await),
            () = tokio::time::sleep(limit) => {
                let reason = format!("its emulator does not answer at {endpoint}");
                return Err(self.did_not_come_up(handle, &End::because(&reason)).await.retryable());
            }
        };
        if let Err(end) = instance.launched() {
            return Err(self.did_not_come_up(handle, &end).await);
        }
        let facts = [("container.id", container.id.unwrap_or_default()), ("image", wanted.uri.clone())];
        let meta: Meta =
            facts.map(|(name, value)| (name.to_owned(), value)).into_iter().chain(meta).collect();
        Ok(Instance { handle: handle.to_owned(), endpoint, protocol, meta })
    }

    async fn did_not_come_up(&self, handle: &str, end: &End) -> BackendError {
        let reason = end.meta.get("reason").map_or("it ended", String::as_str);
        let words = logs::last_words(&self.engine, handle).await;
        let wrote = if words.is_empty() { String::new() } else { format!("; it wrote: {words}") };
        BackendError::internal(format!("the container did not come up: {reason}{wrote}"))
    }

    fn instance(&self, handle: &str) -> Result<Arc<instances::Instance>> {
        self.instances.get(handle).ok_or_else(|| BackendError::not_found(handle))
    }

    /// Asks it to end, and waits for that as long as `grace` lasts.
    async fn ask_to_end(&self, instance: &instances::Instance, grace: Duration) {
        let docker = &self.engine.docker;
        if instance.is_paused() {
            // What is paused cannot hear.
            drop(docker.unpause_container(&instance.handle).await);
        }
        let signal = KillContainerOptions { signal: "SIGTERM".to_owned() };
        if docker.kill_container(&instance.handle, Some(signal)).await.is_ok() {
            drop(tokio::time::timeout(grace, instance.end()).await);
        }
    }
}

#[async_trait]
impl Backend for DockerBackend {
    fn info(&self) -> BackendInfo {
        let mut info = BackendInfo::new("docker", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES);
        let Engine { name, address, api, .. } = &self.engine;
        for (fact, value) in [("engine", name), ("engine.address", &address.url), ("engine.api", api)] {
            info.meta.insert(fact.to_owned(), value.clone());
        }
        info
    }

    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        let wanted = Wanted::by(spec, &self.config)?;
        let folders = self.folders(spec).await?;
        let image = self.images.prepare(&wanted, &spec.deploy_id).await?;
        self.delivery.mounts(&image.id, folders).await.map(drop)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let wanted = Wanted::by(spec, &self.config)?;
        let handle = format!("hearth-{}-{}", spec.function, spec.instance_id);
        self.watch.engine().await;
        let image = self.images.get(&wanted, &spec.deploy_id).await?;
        let mut launched = self.start(spec, &wanted, &image, &handle).await;
        if launched.as_ref().is_err_and(|error| error.kind == ErrorKind::NOT_FOUND) {
            // Somebody has removed the image since it was looked at.
            self.images.forget(&wanted);
            let image = self.images.get(&wanted, &spec.deploy_id).await?;
            launched = self.start(spec, &wanted, &image, &handle).await;
        }
        if launched.as_ref().is_err_and(|error| error.kind == ErrorKind::UNAVAILABLE) {
            self.watch.doubt();
        }
        if launched.is_err()
            && let Err(error) = self.watch.remove(&handle).await
        {
            // From now on it is nobody's, and goes with the next sweep.
            self.instances.forget(&handle);
            tracing::warn!(%error, "what is left of a launch cannot be removed");
        }
        launched
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        if let Some(instance) = self.instances.get(handle) {
            instance.ending();
            if grace_ms > 0 {
                self.ask_to_end(&instance, Duration::from_millis(grace_ms)).await;
            }
        }
        self.watch.remove(handle).await
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        let filters = HashMap::from([("name".to_owned(), vec![format!("^/?{handle}$")])]);
        let listed = self.watch.list(filters).await?;
        let found = listed.iter().find(|container| watch::name(container) == handle);
        found.map(status).ok_or_else(|| BackendError::not_found(handle))
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        let listed = self.watch.list(labels::filter(labels::OWNER, &self.host.info().owner)).await?;
        Ok(listed.iter().map(status).filter(|status| !status.function.is_empty()).collect())
    }

    async fn reap(&self, _cx: &CallContext) -> Result<ReapReport> {
        let report = self.watch.reap().await?;
        self.delivery.reap().await?;
        Ok(report)
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        self.instance(handle)?;
        Ok(logs::follow(&self.engine, handle, since_ms))
    }

    async fn stats(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        self.instance(handle)?;
        let options = StatsOptions { stream: false, one_shot: true };
        let mut stats = self.engine.docker.stats(handle, Some(options)).boxed();
        let stats = match stats.next().await {
            Some(Ok(stats)) => stats,
            Some(Err(error)) => {
                return Err(failure(&format!("the container {handle} cannot be measured"), &error));
            }
            None => return Err(BackendError::not_found(handle)),
        };
        let memory = stats.memory_stats.unwrap_or_default();
        let cpu = stats.cpu_stats.and_then(|cpu| cpu.cpu_usage).and_then(|usage| usage.total_usage);
        // The name differs between the two versions of control groups.
        let kinds = memory.stats.unwrap_or_default();
        let resident = ["rss", "anon"].iter().find_map(|kind| kinds.get(*kind)).copied();
        Ok(InstanceStats {
            memory_bytes: resident.or(memory.usage).unwrap_or(0),
            memory_peak_bytes: memory.max_usage.unwrap_or(0),
            cpu_ns: cpu.unwrap_or(0),
            meta: Meta::new(),
        })
    }

    async fn pause(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        let instance = self.instance(handle)?;
        // The event of it may come before the answer.
        instance.set_paused(true);
        match self.engine.docker.pause_container(handle).await {
            Err(error) if !is_conflict(&error) => {
                instance.set_paused(false);
                Err(failure(&format!("the container {handle} cannot be paused"), &error))
            }
            _ => Ok(()),
        }
    }

    async fn resume(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        let instance = self.instance(handle)?;
        match self.engine.docker.unpause_container(handle).await {
            Err(error) if is_missing(&error) => Err(BackendError::not_found(handle)),
            // An engine answers that what is not paused cannot be resumed.
            Err(error) if instance.is_paused() && !is_conflict(&error) => {
                Err(failure(&format!("the container {handle} cannot be resumed"), &error))
            }
            _ => {
                instance.set_paused(false);
                Ok(())
            }
        }
    }

    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        self.watching.abort();
        self.delivery.rest().await;
        let own = self.watch.list(labels::filter(labels::EPOCH, &self.host.info().epoch)).await?;
        let removals = own.iter().map(|container| self.watch.remove(watch::name(container)));
        let removed = futures_util::future::join_all(removals).await.into_iter().collect();
        self.delivery.remove_volumes().await?;
        removed
    }
}

impl std::fmt::Debug for DockerBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DockerBackend").field("engine", &self.engine.name).finish_non_exhaustive()
    }
}

/// A folder whose own name says what is in it.
fn folder(path: PathBuf, target: &'static str) -> Folder {
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    Folder { path, name, target }
}

/// In the engine's own network, containers must not come into one another's way.
fn ports(route: &Route) -> Result<Ports> {
    if !matches!(route, Route::Host { .. }) {
        return Ok(Ports::USUAL);
    }
    let free = || -> std::io::Result<(u16, u16)> {
        // Both are held until both are known, so that they differ.
        let (one, other) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.1:0")?);
        Ok((one.local_addr()?.port(), other.local_addr()?.port()))
    };
    let (invocations, runtime_api) = free()
        .map_err(|error| BackendError::internal("there is no free port").caused_by(&error).retryable())?;
    Ok(Ports { invocations, runtime_api })
}

fn status(container: &ContainerSummary) -> InstanceStatus {
    let label =
        |name| container.labels.as_ref().and_then(|labels| labels.get(name)).cloned().unwrap_or_default();
    let state = match container.state {
        Some(Summary::CREATED) => State::STARTING,
        Some(Summary::RUNNING) => State::RUNNING,
        Some(Summary::PAUSED) => State::PAUSED,
        Some(Summary::REMOVING) => State::ENDING,
        Some(Summary::EXITED | Summary::DEAD) => State::ENDED,
        _ => State::default(),
    };
    InstanceStatus {
        handle: watch::name(container).to_owned(),
        state,
        function: label(labels::FUNCTION),
        deploy_id: label(labels::DEPLOY),
        owner: label(labels::OWNER),
        epoch: label(labels::EPOCH),
        meta: Meta::from([("container.id".to_owned(), container.id.clone().unwrap_or_default())]),
    }
}
