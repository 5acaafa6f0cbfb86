//! Built against interface 1.1.

#![forbid(unsafe_code)]

use hearth_core_next::{
    Backend, BackendInfo, CallContext, Capabilities, Host, Instance, LaunchSpec, Plugin, Result, async_trait,
};

struct Newer;

impl Plugin for Newer {
    type Config = ();

    async fn create(_config: (), _host: Host) -> Result<Self> {
        Ok(Self)
    }
}

#[async_trait]
impl Backend for Newer {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("newer", "0.0.0", Capabilities::NONE)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        Ok(Instance { handle: spec.instance_id.clone(), ..Instance::default() })
    }

    async fn ping(&self, _cx: &CallContext) -> Result<String> {
        Ok("here".to_owned())
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> Result<()> {
        Ok(())
    }
}

hearth_core_next::export_backend!(Newer, "newer");
