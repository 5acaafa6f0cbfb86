//! The backend: its instances, and what becomes of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, EventKind, Host, Instance as Launched,
    InstanceStats, InstanceStatus, LaunchSpec, LogStream, Meta, Plugin, Protocol, Result, async_trait,
};
use tokio::net::TcpListener;
use tokio::time::sleep;

use crate::acts::{CallAct, End, LaunchAct};
use crate::config::Config;
use crate::control::Control;
use crate::endpoint;
use crate::instance::{Instance, Phase};
use crate::log;
use crate::script::{Cue, Script};

/// The scripted backend.
#[derive(Debug)]
pub struct Mock {
    shared: Arc<Shared>,
    control: Control,
}

/// What the endpoints need as well.
#[derive(Debug)]
pub(crate) struct Shared {
    host: Host,
    instances: Mutex<BTreeMap<String, Arc<Instance>>>,
    script: Mutex<Arc<Script>>,
}

impl Plugin for Mock {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::PREPARE
        .with(Capabilities::INSPECT)
        .with(Capabilities::LIST)
        .with(Capabilities::LOGS)
        .with(Capabilities::STATS)
        .with(Capabilities::PAUSE)
        .with(Capabilities::EVENTS)
        .with(Capabilities::SHUTDOWN);

    async fn create(config: Config, host: Host) -> Result<Self> {
        let config = config.load()?;
        let shared = Shared {
            host,
            instances: Mutex::default(),
            script: Mutex::new(Arc::new(Script::new(config.clone()))),
        };
        let shared = Arc::new(shared);
        let control = Control::start(config, Arc::clone(&shared)).await?;
        Ok(Self { shared, control })
    }
}

#[async_trait]
impl Backend for Mock {
    fn info(&self) -> BackendInfo {
        let info = BackendInfo::new("mock", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES);
        BackendInfo { meta: self.control.meta(), ..info }
    }

    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        let script = self.shared.script();
        let mut cue = script.preparations.next(&spec.function);
        sleep_unless_zero(script.config.prepare_delay_ms.choose(&mut cue.chance)).await;
        perform(cue).await
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Launched> {
        let script = self.shared.script();
        let Cue { act, mut chance } = script.launches.next(&spec.function);
        sleep_unless_zero(script.config.launch_delay_ms.choose(&mut chance)).await;
        let end = match act {
            None => None,
            Some(LaunchAct::Delay { ms }) => {
                sleep(ms.choose(&mut chance)).await;
                None
            }
            Some(LaunchAct::Fail(failure)) => return Err(failure.into()),
            Some(LaunchAct::Hang) => std::future::pending().await,
            Some(LaunchAct::Exit(end)) => Some(end.clone()),
        };
        let launched = self.start(spec, script.config.check_token).await?;
        if let Some(end) = end {
            let (shared, handle) = (Arc::clone(&self.shared), launched.handle.clone());
            tokio::spawn(async move {
                sleep(end.after_ms.choose(&mut chance)).await;
                shared.end(&handle, &end);
            });
        }
        Ok(launched)
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        let Some(instance) = self.shared.instances().get(handle).cloned() else { return Ok(()) };
        perform(self.shared.script().terminations.next(&instance.function)).await?;
        instance.enter(Phase::Ending);
        instance.finish(Duration::from_millis(grace_ms)).await;
        self.shared.remove(handle);
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        Ok(self.status(&*self.shared.find(handle)?))
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        Ok(self.shared.instances().values().map(|instance| self.status(instance)).collect())
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        Ok(log::follow(Arc::clone(&self.shared.find(handle)?.log), since_ms))
    }

    /// An instance has no process: what can be told of it are its invocations.
    async fn stats(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        let instance = self.shared.find(handle)?;
        let (in_flight, served) = instance.invocations();
        let meta = [("invocations", served.to_string()), ("invocations.in_flight", in_flight.to_string())];
        let meta = meta.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        Ok(InstanceStats { memory_bytes: instance.memory_bytes, meta, ..InstanceStats::default() })
    }

    async fn pause(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.shared.find(handle)?.enter(Phase::Paused);
        Ok(())
    }

    async fn resume(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.shared.find(handle)?.enter(Phase::Running);
        Ok(())
    }

    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        let handles: Vec<String> = self.shared.instances().keys().cloned().collect();
        for handle in handles {
            self.shared.remove(&handle);
        }
        self.control.stop();
        Ok(())
    }
}

impl Mock {
    async fn start(&self, spec: &LaunchSpec, check_token: bool) -> Result<Launched> {
        let no_port = |error| BackendError::internal("no port for an instance").caused_by(&error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let instance = Arc::new(Instance::new(spec, check_token));
        self.shared.instances().insert(instance.handle.clone(), Arc::clone(&instance));
        tokio::spawn(endpoint::serve(listener, Arc::clone(&instance), Arc::clone(&self.shared)));
        tracing::debug!(handle = instance.handle, %address, "instance launched");
        Ok(Launched {
            handle: instance.handle.clone(),
            endpoint: address.to_string(),
            protocol: Protocol::HEARTH_1,
            meta: Meta::from([("mock.address".to_owned(), address.to_string())]),
        })
    }

    fn status(&self, instance: &Instance) -> InstanceStatus {
        let host = self.shared.host.info();
        InstanceStatus {
            handle: instance.handle.clone(),
            state: instance.state(),
            function: instance.function.clone(),
            deploy_id: instance.deploy_id.clone(),
            owner: host.owner.clone(),
            epoch: host.epoch.clone(),
            meta: Meta::new(),
        }
    }
}

impl Shared {
    /// The script that is being followed. An operation asks once, and keeps to it.
    pub(crate) fn script(&self) -> Arc<Script> {
        Arc::clone(&self.script.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows another script, from its beginning.
    pub(crate) fn follow(&self, config: Config) {
        *self.script.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(Script::new(config));
    }

    /// An instance crashed: whoever talks to it loses the connection, and the host is told.
    pub(crate) fn exited(&self, handle: &str, reason: &str) {
        if self.remove(handle) {
            tracing::debug!(handle, reason, "instance exited");
            self.host.emit(EventKind::EXITED, handle, Meta::from([("reason".to_owned(), reason.to_owned())]));
        }
    }

    /// An instance ends in the way that the script says. Answers whether there was one.
    pub(crate) fn end(&self, handle: &str, end: &End) -> bool {
        let ended = self.remove(handle);
        if ended {
            self.tell(handle, end);
        }
        ended
    }

    /// Tells the host how an instance ended.
    pub(crate) fn tell(&self, handle: &str, end: &End) {
        let (kind, meta) = end.event();
        tracing::debug!(handle, ?kind, "instance ended");
        self.host.emit(kind, handle, meta);
    }

    /// Closes an instance's endpoint and forgets it. Answers whether there was one.
    pub(crate) fn remove(&self, handle: &str) -> bool {
        let removed = self.instances().remove(handle);
        if let Some(instance) = &removed {
            instance.enter(Phase::Gone);
            instance.log.end();
        }
        removed.is_some()
    }

    fn find(&self, handle: &str) -> Result<Arc<Instance>> {
        self.instances().get(handle).cloned().ok_or_else(|| BackendError::not_found(handle))
    }

    fn instances(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Instance>>> {
        self.instances.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn perform(Cue { act, mut chance }: Cue<'_, CallAct>) -> Result<()> {
    match act {
        None => Ok(()),
        Some(CallAct::Delay { ms }) => {
            sleep(ms.choose(&mut chance)).await;
            Ok(())
        }
        Some(CallAct::Fail(failure)) => Err(failure.into()),
        Some(CallAct::Hang) => std::future::pending().await,
    }
}

/// A sleep of no length at all still waits for the next tick of the timer.
pub(crate) async fn sleep_unless_zero(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}
