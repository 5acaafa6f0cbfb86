//! Functions in sandboxes of bubblewrap (`apt-get install bubblewrap`): without an engine, and without a daemon.
//!
//! In each sandbox `rie`, Hearth's emulator of the Runtime API, runs the function's `bootstrap`. The function sees
//! the system's programs and libraries, its own code in `/var/task`, a layer in `/opt`, all of it read-only, and a
//! `/tmp` of its own. It does not see other processes, nor the files of whoever runs the host. It shares the network.
//!
//! Whoever writes a backend finds here how logs, pauses, figures and events are done with nothing but the interface:
//! what has to wait waits in threads of its own, and wakes those who ask ([`instance`]).

#![forbid(unsafe_code)]

mod instance;
mod processes;
mod sandbox;

use std::collections::BTreeMap;
use std::net::TcpStream;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_core::serde::{Deserialize, Serialize};
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, ErrorKind, Host, Instance as Launched,
    InstanceStats, InstanceStatus, LaunchSpec, LogStream, Meta, Plugin, Protocol, Result, async_trait,
    export_backend,
};

use crate::instance::Instance;
use crate::sandbox::Sandbox;

#[derive(Clone, Serialize, Deserialize)]
#[serde(crate = "hearth_core::serde", default, deny_unknown_fields)]
pub struct Config {
    /// Bubblewrap: a path, or a name to be found in PATH.
    bwrap: String,
    /// The emulator: a path, or a name to be found in PATH.
    rie: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { bwrap: "bwrap".to_owned(), rie: "rie".to_owned() }
    }
}

pub struct Bubblewrap {
    sandbox: Sandbox,
    host: Host,
    instances: Arc<Mutex<BTreeMap<String, Arc<Instance>>>>,
}

impl Plugin for Bubblewrap {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::INSPECT
        .with(Capabilities::LIST)
        .with(Capabilities::LOGS)
        .with(Capabilities::STATS)
        .with(Capabilities::PAUSE)
        .with(Capabilities::EVENTS)
        .with(Capabilities::SHUTDOWN);

    async fn create(config: Config, host: Host) -> Result<Self> {
        Ok(Self { sandbox: Sandbox::new(&config)?, host, instances: Arc::default() })
    }
}

#[async_trait]
impl Backend for Bubblewrap {
    fn info(&self) -> BackendInfo {
        let info = BackendInfo::new("bubblewrap", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES);
        BackendInfo { meta: Meta::from([("bwrap".to_owned(), self.sandbox.version.clone())]), ..info }
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Launched> {
        let (mut command, address) = self.sandbox.command(spec)?;
        let process = command.spawn().map_err(failed("cannot start bubblewrap"))?;
        let instances = Arc::clone(&self.instances);
        let host = self.host.clone();
        let handle = spec.instance_id.clone();
        // Called by the instance's own thread when it ends, whoever has ended it.
        let on_end = move |instance: &Instance| {
            lock(&instances).remove(&instance.handle);
            if let Some(meta) = instance.unforeseen_end() {
                host.emit(hearth_core::EventKind::EXITED, &instance.handle, meta);
            }
        };
        let instance = Instance::watch(spec, process, on_end).map_err(failed("cannot watch the sandbox"))?;
        lock(&self.instances).insert(handle.clone(), Arc::clone(&instance));
        while TcpStream::connect(address).is_err() {
            if instance.has_ended() {
                // It may have ended before it was entered above.
                lock(&self.instances).remove(&handle);
                let said = instance.last_line().unwrap_or_else(|| "it said nothing".to_owned());
                return Err(BackendError::internal(format!("the sandbox ended before it listened: {said}")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let meta = Meta::from([("process.id".to_owned(), instance.process_id().to_string())]);
        Ok(Launched { handle, endpoint: address.to_string(), protocol: Protocol::HEARTH_1, meta })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        let instance = lock(&self.instances).get(handle).cloned();
        if let Some(instance) = instance {
            instance.terminate(Duration::from_millis(grace_ms)).await;
        }
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        Ok(self.find(handle)?.status(&self.host))
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        Ok(lock(&self.instances).values().map(|instance| instance.status(&self.host)).collect())
    }

    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        Ok(self.find(handle)?.log(since_ms))
    }

    async fn stats(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        Ok(processes::stats(self.find(handle)?.process_id()))
    }

    async fn pause(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.find(handle)?.pause().map_err(failed("cannot stop the sandbox's processes"))
    }

    async fn resume(&self, _cx: &CallContext, handle: &str) -> Result<()> {
        self.find(handle)?.resume().map_err(failed("cannot continue the sandbox's processes"))
    }

    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        let left: Vec<_> = lock(&self.instances).values().cloned().collect();
        for instance in left {
            instance.terminate(Duration::ZERO).await;
        }
        Ok(())
    }
}

impl Bubblewrap {
    fn find(&self, handle: &str) -> Result<Arc<Instance>> {
        lock(&self.instances).get(handle).cloned().ok_or_else(|| BackendError::not_found(handle))
    }
}

export_backend!(Bubblewrap, "bubblewrap");

/// A launch that cannot work, however often it is tried.
fn rejected(why: &str) -> BackendError {
    BackendError::new(ErrorKind::SPEC_REJECTED, why)
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> BackendError {
    move |error| BackendError::internal(what).caused_by(&error)
}

/// What a thread that panicked has left is whole: nothing here is changed in more than one step.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
