//! A picture of the pool at one moment, for people, metrics and tests.

use crate::{DeployId, FunctionId, FunctionSpec, InstanceId, MemoryMib, Purpose, Timestamp};

/// The pool at one moment. Made by [`Pool::snapshot`](crate::Pool::snapshot); takes time in proportion to what is in the pool.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// When.
    pub at: Timestamp,
    /// Functions that are deployed or have instances, by number.
    pub functions: Vec<FunctionSnapshot>,
    /// Memory that all instances are counted with.
    pub memory_used: MemoryMib,
}

/// One function's version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSnapshot {
    /// The pool's key.
    pub id: FunctionId,
    /// What it runs and what limits it; `None` once it was removed.
    pub deployed: Option<(DeployId, FunctionSpec)>,
    /// Every instance that is not gone, of any deploy, oldest first.
    pub instances: Vec<InstanceSnapshot>,
    /// Requests that wait.
    pub waiting: usize,
}

/// One instance.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InstanceSnapshot {
    /// The pool's name for it.
    pub id: InstanceId,
    /// What it runs.
    pub deploy: DeployId,
    /// What it is doing.
    pub phase: PhaseSnapshot,
    /// Since when.
    pub since: Timestamp,
    /// When its launch was asked for.
    pub launched_at: Timestamp,
    /// Invocations that it was given, ever.
    pub served: u64,
    /// What it is counted with.
    pub memory: MemoryMib,
    /// What it was launched for.
    pub purpose: Purpose,
}

/// What an instance is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseSnapshot {
    /// On its way.
    Launching,
    /// Ready, and serves nobody.
    Idle,
    /// Serves so many invocations.
    Busy(u32),
    /// Serves its last invocations, so many.
    Draining(u32),
    /// Its end was asked for, and not confirmed yet.
    Terminating,
}

impl Snapshot {
    /// One function, if it is deployed or has instances.
    pub fn function(&self, id: FunctionId) -> Option<&FunctionSnapshot> {
        let position = self.functions.binary_search_by_key(&id, |function| function.id).ok()?;
        self.functions.get(position)
    }
}

impl FunctionSnapshot {
    /// Instances that count as concurrency: all but those whose end was asked for.
    pub fn live(&self) -> usize {
        self.instances.iter().filter(|instance| instance.phase != PhaseSnapshot::Terminating).count()
    }

    /// Instances in a phase, however many invocations they serve.
    pub fn count(&self, phase: PhaseSnapshot) -> usize {
        let wanted = std::mem::discriminant(&phase);
        self.instances.iter().filter(|instance| std::mem::discriminant(&instance.phase) == wanted).count()
    }
}
