//! Needs a function that nobody has.

use hearth_core::{
    Backend, BackendInfo, CallContext, Capabilities, Host, Instance, LaunchSpec, Plugin, Result, async_trait,
};

unsafe extern "C" {
    safe fn hearth_test_nobody_has_this();
}

struct Undefined;

impl Plugin for Undefined {
    type Config = ();

    async fn create(_config: (), _host: Host) -> Result<Self> {
        hearth_test_nobody_has_this();
        Ok(Self)
    }
}

#[async_trait]
impl Backend for Undefined {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("undefined", "0.0.0", Capabilities::NONE)
    }

    async fn launch(&self, _cx: &CallContext, _spec: &LaunchSpec) -> Result<Instance> {
        Ok(Instance::default())
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> Result<()> {
        Ok(())
    }
}

hearth_core::export_backend!(Undefined, "undefined");
