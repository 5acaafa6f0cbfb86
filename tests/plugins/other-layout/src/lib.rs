//! Built with a hearth-core that has changed a struct without saying so.

#![forbid(unsafe_code)]

use hearth_core_odd::{
    Backend, BackendInfo, CallContext, Capabilities, Host, Instance, LaunchSpec, Plugin, Result, async_trait,
};

struct OtherLayout;

impl Plugin for OtherLayout {
    type Config = ();

    async fn create(_config: (), _host: Host) -> Result<Self> {
        Ok(Self)
    }
}

#[async_trait]
impl Backend for OtherLayout {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("other-layout", "0.0.0", Capabilities::NONE)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        Ok(Instance { handle: spec.instance_id.clone(), ..Instance::default() })
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> Result<()> {
        Ok(())
    }
}

hearth_core_odd::export_backend!(OtherLayout, "other-layout");
