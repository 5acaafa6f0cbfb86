//! How far provisioned concurrency is: what was launched for it, and what came of it.

use std::sync::Arc;

use hearth_core::{BackendError, Meta};
use hearth_pool::{FunctionId, PhaseSnapshot};

use super::{Driver, Instance, State};
use crate::catalog::Target;

/// The state of a version's provisioned concurrency.
#[derive(Clone, Debug)]
pub struct Provisioning {
    /// Instances that are ready, or serve: those beyond what is provisioned, too.
    pub ready: u32,
    /// Why the last launch for it failed, if it did; the next one follows by itself.
    pub failure: Option<ProvisioningFailure>,
}

/// Why an instance could not be made ready.
#[derive(Clone, Debug)]
pub enum ProvisioningFailure {
    /// The function's own init failed, or took too long.
    Init,
    /// The backend could not launch it.
    Launch(Arc<BackendError>),
}

impl Driver {
    /// How far the provisioned concurrency of a version is.
    pub fn provisioning(&self, target: &Target) -> Provisioning {
        let state = self.state();
        let snapshot = state.pool.snapshot(self.shared.clock.now());
        let instances = snapshot.function(FunctionId(target.function_id)).map(|function| &function.instances);
        let is_ready = |instance: &&hearth_pool::InstanceSnapshot| {
            matches!(instance.phase, PhaseSnapshot::Idle | PhaseSnapshot::Busy(_))
                && state.instance(instance.id).is_some_and(|it| init(&it.meta).is_ok())
        };
        let ready = instances.into_iter().flatten().filter(is_ready).count();
        let function = state.functions.get(&target.function_id);
        let failure = function.and_then(|function| function.provisioning_failure.clone());
        Provisioning { ready: u32::try_from(ready).unwrap_or(u32::MAX), failure }
    }
}

impl State {
    /// An instance was launched for provisioned concurrency: it counts as ready if its init succeeded. One of which
    /// it failed is fit only for somebody who waits: the init is repeated in front of the invocation, whose answer
    /// tells the error.
    pub(super) fn note_init(&mut self, instance: &Instance) -> Result<(), InitFailed> {
        let init = init(&instance.meta);
        if let Some(function) = self.functions.get_mut(&instance.target.function_id) {
            function.provisioning_failure = init.err().map(|InitFailed| ProvisioningFailure::Init);
        }
        init
    }
}

/// The function's init has failed, or took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct InitFailed;

/// How the init of an instance ended, as its backend tells it. Nothing is known of the init of one that says
/// nothing, such as an image with AWS's own emulator.
fn init(meta: &Meta) -> Result<(), InitFailed> {
    match meta.get("init.outcome").map(String::as_str) {
        Some("ready") | None => Ok(()),
        Some(_) => Err(InitFailed),
    }
}
