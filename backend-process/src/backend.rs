//! The backend itself: functions as child processes of the host.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_artifacts::layers;
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, ErrorKind, EventKind, Host, HostInfo,
    Instance, InstanceStats, InstanceStatus, LaunchSpec, LogStream, Meta, Plugin, Protocol, ReapReport,
    Result, State, async_trait,
};
use hearth_rie::{Admission, Function, Init, InitOutcome, InstanceConfig, LogFormat};

use crate::bootstrap::Bootstraps;
use crate::config::{Config, Places};
use crate::guard::Guard;
use crate::hosts;
use crate::instance::{Chronicle, Running};
use crate::interpreter::{Interpreter, Interpreters};
use crate::logs::Log;
use crate::program::{self, Engine, Place, Tmp};
use crate::record::{Record, Records};
use crate::runtime::Runtime;

/// Runs functions as processes of this machine.
pub struct ProcessBackend {
    config: Config,
    host: Host,
    state: PathBuf,
    interpreters: Interpreters,
    bootstraps: Bootstraps,
    records: Records,
    guard: Arc<Guard>,
    mounts_tmp: MountsTmp,
    instances: Arc<Mutex<HashMap<String, Arc<Running>>>>,
}

/// Whether processes can have a `/tmp` of their own here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum MountsTmp {
    Yes,
    No,
}

/// What a launch needs beside its specification.
struct Ingredients {
    runtime: Runtime,
    interpreter: Option<Arc<Interpreter>>,
    opt: PathBuf,
    task: PathBuf,
}

impl Plugin for ProcessBackend {
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
        Self::in_places(config, host, Places::of_host()).await
    }
}

impl ProcessBackend {
    async fn in_places(config: Config, host: Host, places: Places) -> Result<Self> {
        let state = PathBuf::from(&host.info().state_dir);
        let unusable = |error: io::Error| {
            let message = format!("the directory {} cannot be used", state.display());
            BackendError::config(message).caused_by(&error)
        };
        std::fs::create_dir_all(&state).map_err(unusable)?;
        let state = state.canonicalize().map_err(unusable)?;
        let records = Records::new(&state);
        clear_away(&records, host.info()).await;
        let bootstraps = Bootstraps::install(&state).map_err(unusable)?;
        let hosts = hosts::write(&state).map_err(unusable)?;
        let may_mount = config.private_tmp && hearth_rie::private_mounts_work(&state, &hosts).await;
        Ok(Self {
            interpreters: Interpreters::new(&config, places),
            bootstraps,
            records,
            guard: Arc::new(Guard::start()),
            mounts_tmp: if may_mount { MountsTmp::Yes } else { MountsTmp::No },
            instances: Arc::default(),
            config,
            host,
            state,
        })
    }

    /// All that makes the launch of this function fast, or impossible.
    async fn gather(&self, spec: &LaunchSpec) -> Result<Ingredients> {
        let code = spec.code.as_ref().ok_or_else(|| {
            rejected("the process backend runs no container images: use the docker or the k8s backend")
        })?;
        let runtime = Runtime::parse(&spec.runtime).ok_or_else(|| {
            let name = &spec.runtime;
            rejected(format!(
                "the process backend provides python3.*, nodejs* and provided*, not {name}: use another backend for it"
            ))
        })?;
        let interpreter = match runtime {
            Runtime::Provided => None,
            _ => Some(self.interpreters.find(&spec.runtime, &runtime).await?),
        };
        let (state, artifacts) = (self.state.clone(), spec.layers.clone());
        let merged = tokio::task::spawn_blocking(move || layers::merged(&state, &artifacts)).await;
        let opt = merged.unwrap_or_else(|panic| Err(io::Error::other(panic)));
        let opt = opt.map_err(|error| internal("the layers cannot be merged", &error))?;
        Ok(Ingredients { runtime, interpreter, opt, task: PathBuf::from(&code.dir_path) })
    }

    /// A folder that is mounted over `/tmp` would hide whatever of the function lies in there.
    fn tmp(&self, folder: PathBuf, needed: &[&Path]) -> Tmp {
        let hidden = needed.iter().any(|path| path.starts_with("/tmp"));
        if self.mounts_tmp == MountsTmp::Yes && !hidden {
            Tmp::Mounted { folder, hosts: hosts::path(&self.state) }
        } else {
            Tmp::Named(folder)
        }
    }

    async fn start(
        &self,
        spec: &LaunchSpec,
        ingredients: Ingredients,
        record: Record,
    ) -> Result<(Running, Init)> {
        let unrecorded = |error| internal("the folder of the instance cannot be made", &error);
        let folder = self.records.create(&record).map_err(unrecorded)?;
        let Ingredients { runtime, interpreter, opt, task } = ingredients;
        let interpreter_path = interpreter.as_ref().map_or(Path::new("/"), |found| &found.path);
        let needed = [&*task, &*opt, &*self.state, interpreter_path];
        let place = Place {
            tmp: self.tmp(folder.join("tmp"), &needed),
            runtime: self.bootstraps.folder.clone(),
            pycache: self.state.join("pycache"),
            task,
            opt,
        };
        let engine = interpreter.as_deref().map_or(Engine::Itself, Engine::Interpreter);
        let log = Arc::new(Log::default());
        let extensions = place.opt.join("extensions");
        let chronicle = Chronicle {
            record: record.clone(),
            folder,
            log: log.clone(),
            guard: self.guard.clone(),
            groups: Mutex::default(),
        };
        let config = InstanceConfig {
            program: program::program(spec, &runtime, engine, &place, &self.config),
            function: Function {
                name: spec.function.clone(),
                version: spec.version.clone(),
                memory_mb: spec.memory_mb,
                account_id: spec.function_arn.split(':').nth(4).map(str::to_owned),
            },
            slots: spec.slots.max(1) as usize,
            init_limit: Duration::from_millis(spec.init_timeout_ms),
            memory_limit: self.config.enforce_memory.then_some(u64::from(spec.memory_mb) * 1024 * 1024),
            extensions: Some(extensions),
            stream: self.config.stream_rules(),
            freeze: self.config.freeze,
            log_format: LogFormat::of(
                spec.env.get("AWS_LAMBDA_LOG_FORMAT").map(String::as_str),
                spec.meta.get("log.system_level").map(String::as_str),
            ),
            listen: ([127, 0, 0, 1], 0).into(),
            runtime_api: ([127, 0, 0, 1], 0).into(),
            admission: Admission::Bearer(spec.token.clone()),
            defaults: None,
            observer: Arc::new(chronicle),
        };
        let emulator = hearth_rie::Instance::start(config).await;
        let emulator =
            emulator.map_err(|error| internal("the instance cannot listen", &error).retryable())?;
        let init = emulator.ready().await;
        let meta = meta(&init, interpreter.as_deref());
        Ok((Running::new(record, log, emulator, meta), init))
    }

    /// Tells the host if the instance ends without having been asked to.
    fn watch(&self, running: Arc<Running>) {
        let (host, instances) = (self.host.clone(), self.instances.clone());
        tokio::spawn(async move {
            running.ended().await;
            let handle = &running.record.handle;
            if running.state() != State::ENDING {
                instances.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
                let reason = Meta::from([("reason".to_owned(), "its supervisor ended".to_owned())]);
                host.emit(EventKind::EXITED, handle, reason);
            }
        });
    }

    fn instances(&self) -> MutexGuard<'_, HashMap<String, Arc<Running>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn running(&self, handle: &str) -> Result<Arc<Running>> {
        self.instances().get(handle).cloned().ok_or_else(|| BackendError::not_found(handle))
    }

    async fn end(&self, running: &Running, grace: Duration) -> Result<()> {
        running.end(grace).await;
        let handle = &running.record.handle;
        self.instances().remove(handle);
        self.records
            .remove(handle)
            .map_err(|error| internal("the folder of the instance cannot be removed", &error))
    }
}

#[async_trait]
impl Backend for ProcessBackend {
    fn info(&self) -> BackendInfo {
        let mut info = BackendInfo::new("process", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES);
        let tmp = if self.mounts_tmp == MountsTmp::Yes { "private" } else { "TMPDIR" };
        info.meta.insert("tmp".to_owned(), tmp.to_owned());
        info
    }

    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        self.gather(spec).await.map(drop)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let ingredients = self.gather(spec).await?;
        let info = self.host.info();
        let record = Record {
            handle: spec.instance_id.clone(),
            owner: info.owner.clone(),
            epoch: info.epoch.clone(),
            function: spec.function.clone(),
            deploy_id: spec.deploy_id.clone(),
            groups: Vec::new(),
        };
        let (running, init) = match self.start(spec, ingredients, record).await {
            Ok(started) => started,
            Err(error) => {
                drop(self.records.remove(&spec.instance_id));
                return Err(error);
            }
        };
        let running = Arc::new(running);
        let instance = Instance {
            handle: spec.instance_id.clone(),
            endpoint: running.endpoint(),
            protocol: Protocol::HEARTH_1,
            meta: running.meta(),
        };
        tracing::debug!(
            instance = spec.instance_id, function = spec.function, init = init.outcome.name(), duration = ?init.duration,
            "launched"
        );
        self.instances().insert(spec.instance_id.clone(), running.clone());
        self.watch(running);
        Ok(instance)
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        match self.running(handle) {
            Ok(running) => self.end(&running, Duration::from_millis(grace_ms)).await,
            Err(_) => Ok(()),
        }
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        let running = self.running(handle)?;
        Ok(status(&running.record, running.state(), running.meta()))
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        let info = self.host.info();
        let left_behind =
            self.records.all().into_iter().filter(|record| is_left_behind(record, &info.owner, &info.epoch));
        let left_behind = left_behind.map(|record| status(&record, State::default(), Meta::new()));
        let running: Vec<_> = self.instances().values().cloned().collect();
        let running = running.iter().map(|running| status(&running.record, running.state(), running.meta()));
        Ok(running.chain(left_behind).collect())
    }

    async fn reap(&self, _cx: &CallContext) -> Result<ReapReport> {
        let info = self.host.info();
        let mut report = ReapReport::default();
        for record in self.records.all() {
            if !is_left_behind(&record, &info.owner, &info.epoch) {
                continue;
            }
            match end_record(&self.records, &record).await {
                Ok(()) => report.removed.push(record.handle),
                Err(error) => report.failed.push(format!("{}: {error}", record.handle)),
            }
        }
        Ok(report)
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        Ok(self.running(handle)?.log.follow(since_ms))
    }

    async fn stats(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        Ok(self.running(handle)?.stats())
    }

    async fn pause(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.running(handle)?.pause();
        Ok(())
    }

    async fn resume(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.running(handle)?.resume();
        Ok(())
    }

    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        let left: Vec<_> = self.instances().values().cloned().collect();
        let mut ended = Ok(());
        for running in left {
            ended = ended.and(self.end(&running, Duration::ZERO).await);
        }
        drop(self.guard.dismiss());
        ended
    }
}

impl std::fmt::Debug for ProcessBackend {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ProcessBackend").field("state", &self.state).finish_non_exhaustive()
    }
}

/// Removes what an earlier backend of the same host left, which ended with its process: none of it lives on.
async fn clear_away(records: &Records, info: &HostInfo) {
    let is_ours = |record: &Record| record.owner == info.owner && record.epoch == info.epoch;
    for record in records.all().into_iter().filter(is_ours) {
        if let Err(error) = end_record(records, &record).await {
            tracing::warn!(handle = record.handle, %error, "what is left of an instance cannot be removed");
        }
    }
}

/// Kills what is left of an instance, and removes what it had on disk.
async fn end_record(records: &Records, record: &Record) -> io::Result<()> {
    let mut killed = Ok(());
    for group in &record.groups {
        killed = killed.and(group.kill().await);
    }
    killed.and_then(|()| records.remove(&record.handle))
}

/// Of this installation, and of a host process that is no more.
fn is_left_behind(record: &Record, owner: &str, epoch: &str) -> bool {
    record.owner == owner && record.epoch != epoch
}

fn status(record: &Record, state: State, meta: Meta) -> InstanceStatus {
    InstanceStatus {
        handle: record.handle.clone(),
        state,
        function: record.function.clone(),
        deploy_id: record.deploy_id.clone(),
        owner: record.owner.clone(),
        epoch: record.epoch.clone(),
        meta,
    }
}

fn meta(init: &Init, interpreter: Option<&Interpreter>) -> Meta {
    let mut meta = Meta::from([
        ("init.outcome".to_owned(), init.outcome.name().to_owned()),
        ("init.duration_ms".to_owned(), format!("{:.1}", init.duration.as_secs_f64() * 1000.0)),
    ]);
    if let InitOutcome::Failed { reason } = &init.outcome {
        meta.insert("init.error".to_owned(), reason.clone());
    }
    if let Some(interpreter) = interpreter {
        meta.insert("interpreter".to_owned(), interpreter.path.display().to_string());
        meta.insert("interpreter.version".to_owned(), interpreter.version.clone());
    }
    meta
}

fn rejected(message: impl Into<String>) -> BackendError {
    BackendError::new(ErrorKind::SPEC_REJECTED, message)
}

fn internal(message: &str, error: &io::Error) -> BackendError {
    BackendError::internal(message).caused_by(error)
}
