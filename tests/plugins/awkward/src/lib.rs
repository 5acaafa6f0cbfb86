//! Built as it should be, and misbehaves as it is told.

#![forbid(unsafe_code)]

use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, EventKind, Host, Instance, InstanceStatus,
    LaunchSpec, Meta, Plugin, Protocol, Result, async_trait,
};
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    name: String,
    create: Create,
}

#[derive(Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
enum Create {
    #[default]
    Succeeds,
    Fails,
    Panics,
}

struct Awkward {
    name: String,
    host: Host,
}

impl Plugin for Awkward {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::INSPECT.with(Capabilities::EVENTS);

    async fn create(config: Config, host: Host) -> Result<Self> {
        match config.create {
            Create::Succeeds => Ok(Self { name: config.name, host }),
            Create::Fails => {
                Err(BackendError::config("no engine at /run/engine.sock; start it, or set `socket`"))
            }
            Create::Panics => panic!("told to panic in create"),
        }
    }
}

#[async_trait]
impl Backend for Awkward {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("awkward", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES)
    }

    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let span = tracing::info_span!("launch", request = cx.request_id);
        span.in_scope(|| tracing::info!(instance = spec.instance_id, "starting"));
        tracing::debug!("not asked for");
        let (handle, endpoint) = (spec.instance_id.clone(), self.name.clone());
        Ok(Instance { handle, endpoint, protocol: Protocol::HEARTH_1, meta: Meta::new() })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, _grace_ms: u64) -> Result<()> {
        self.host.emit(EventKind::EXITED, handle, Meta::new());
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        panic!("told to panic about {handle}")
    }
}

hearth_core::export_backend!(Awkward, "awkward");
