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

use crate::config::{CallAct, Config, InvocationAct, LaunchAct};
use crate::endpoint;
use crate::instance::{Instance, Phase};
use crate::log;
use crate::script::Script;

/// The scripted backend.
#[derive(Debug)]
pub struct Mock {
    shared: Arc<Shared>,
    prepare_delay: Duration,
    launch_delay: Duration,
    preparations: Script<CallAct>,
    launches: Script<LaunchAct>,
    terminations: Script<CallAct>,
    check_token: bool,
}

/// What the endpoints need as well.
#[derive(Debug)]
pub(crate) struct Shared {
    host: Host,
    instances: Mutex<BTreeMap<String, Arc<Instance>>>,
    pub(crate) answer_delay: Duration,
    pub(crate) invocations: Script<InvocationAct>,
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
        let shared = Shared {
            host,
            instances: Mutex::default(),
            answer_delay: Duration::from_millis(config.answer_delay_ms),
            invocations: Script::new(config.invocations),
        };
        Ok(Self {
            shared: Arc::new(shared),
            prepare_delay: Duration::from_millis(config.prepare_delay_ms),
            launch_delay: Duration::from_millis(config.launch_delay_ms),
            preparations: Script::new(config.preparations),
            launches: Script::new(config.launches),
            terminations: Script::new(config.terminations),
            check_token: config.check_token,
        })
    }
}

#[async_trait]
impl Backend for Mock {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("mock", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES)
    }

    async fn prepare(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        sleep_unless_zero(self.prepare_delay).await;
        perform(self.preparations.next(&spec.function)).await
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Launched> {
        sleep_unless_zero(self.launch_delay).await;
        let exit_after = match self.launches.next(&spec.function) {
            None => None,
            Some(LaunchAct::Delay { ms }) => {
                sleep(Duration::from_millis(*ms)).await;
                None
            }
            Some(LaunchAct::Fail(failure)) => return Err(failure.into()),
            Some(LaunchAct::Hang) => std::future::pending().await,
            Some(LaunchAct::Exit { after_ms }) => Some(Duration::from_millis(*after_ms)),
        };
        let launched = self.start(spec).await?;
        if let Some(after) = exit_after {
            let (shared, handle) = (Arc::clone(&self.shared), launched.handle.clone());
            tokio::spawn(async move {
                sleep(after).await;
                shared.exited(&handle, "the script says so");
            });
        }
        Ok(launched)
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        let Some(instance) = self.shared.instances().get(handle).cloned() else { return Ok(()) };
        perform(self.terminations.next(&instance.function)).await?;
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
        Ok(())
    }
}

impl Mock {
    async fn start(&self, spec: &LaunchSpec) -> Result<Launched> {
        let no_port = |error| BackendError::internal("no port for an instance").caused_by(&error);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_port)?;
        let address = listener.local_addr().map_err(no_port)?;
        let instance = Arc::new(Instance::new(spec, self.check_token));
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
    /// An instance ended by itself: whoever talks to it loses the connection, and the host is told.
    pub(crate) fn exited(&self, handle: &str, reason: &str) {
        if self.remove(handle) {
            tracing::debug!(handle, reason, "instance exited");
            self.host.emit(EventKind::EXITED, handle, Meta::from([("reason".to_owned(), reason.to_owned())]));
        }
    }

    /// Closes an instance's endpoint and forgets it. Answers whether there was one.
    fn remove(&self, handle: &str) -> bool {
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

async fn perform(act: Option<&CallAct>) -> Result<()> {
    match act {
        None => Ok(()),
        Some(CallAct::Delay { ms }) => {
            sleep(Duration::from_millis(*ms)).await;
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
