//! Built with another major version of hearth-core that claims to speak the same interface.

#![forbid(unsafe_code)]

use hearth_core_two::{
    Backend, BackendInfo, CallContext, Capabilities, Host, Instance, LaunchSpec, Plugin, Result, async_trait,
};

struct OtherCore;

impl Plugin for OtherCore {
    type Config = ();

    async fn create(_config: (), _host: Host) -> Result<Self> {
        Ok(Self)
    }
}

#[async_trait]
impl Backend for OtherCore {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("other-core", "0.0.0", Capabilities::NONE)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        Ok(Instance { handle: spec.instance_id.clone(), ..Instance::default() })
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> Result<()> {
        Ok(())
    }
}

hearth_core_two::export_backend!(OtherCore, "other-core");
