//! Uses what the first version of the interface had.

#![forbid(unsafe_code)]

use hearth_core::{
    Backend, BackendInfo, CallContext, Capabilities, EventKind, Host, Instance, InstanceStatus, LaunchSpec, Meta,
    Plugin, Protocol, Result, State, async_trait,
};

struct First(Host);

impl Plugin for First {
    type Config = ();

    const CAPABILITIES: Capabilities = Capabilities::INSPECT.with(Capabilities::EVENTS);

    async fn create(_config: (), host: Host) -> Result<Self> {
        Ok(Self(host))
    }
}

#[async_trait]
impl Backend for First {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("first", "0.0.0", Self::CAPABILITIES)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let (handle, endpoint) = (spec.instance_id.clone(), format!("{}:1", spec.function));
        Ok(Instance { handle, endpoint, protocol: Protocol::HEARTH_1, meta: spec.env.clone() })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, _grace_ms: u64) -> Result<()> {
        self.0.emit(EventKind::EXITED, handle, Meta::new());
        Ok(())
    }

    async fn inspect(&self, _cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        let (handle, owner) = (handle.to_owned(), self.0.info().owner.clone());
        Ok(InstanceStatus { handle, owner, state: State::RUNNING, ..InstanceStatus::default() })
    }
}

hearth_core::export_backend!(First, "first");
