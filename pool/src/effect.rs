//! Everything that a pool can ask for.

use crate::{DeployId, FunctionId, InstanceId, Purpose, RequestId};

/// What is to be done now, in the imperative. The driver does it and reports the result as the next
/// [`Event`](crate::Event).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Start an instance. Answer with `Launched` or `LaunchFailed`.
    Launch {
        /// The pool's name for it.
        instance: InstanceId,
        /// Of which function.
        function: FunctionId,
        /// Which deploy it runs.
        deploy: DeployId,
        /// What it is launched for.
        purpose: Purpose,
    },
    /// A slot of the instance is the request's. Answer, once, with `Released`.
    Grant {
        /// The request that is answered.
        request: RequestId,
        /// The instance that serves it.
        instance: InstanceId,
        /// Whether the instance serves for the first time.
        start: Start,
    },
    /// The request gets no instance.
    Refuse {
        /// The request that is answered.
        request: RequestId,
        /// Why.
        reason: Refusal,
    },
    /// End an instance. Answer with `Terminated` once it is gone.
    Terminate {
        /// The one to end. Nothing is granted on it any more.
        instance: InstanceId,
        /// Why.
        reason: EvictReason,
    },
}

/// How an invocation found its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Start {
    /// The instance was launched for it, or for somebody like it, and serves for the first time.
    Cold,
    /// The instance has served before.
    Warm,
    /// The instance was kept ready by provisioned concurrency or a prediction, and serves for the first time.
    Provisioned,
}

/// Why a request gets no instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// The function's reserved concurrency is taken up.
    ReservedConcurrency,
    /// The account's concurrency is taken up.
    AccountConcurrency,
    /// The instance would not fit into the memory budget.
    Memory,
    /// Too many wait already.
    QueueFull,
    /// Nothing came free by the request's deadline; what it waited for.
    Deadline(WaitedFor),
    /// The launch failed and there is nothing else to wait for.
    LaunchFailed(InstanceId),
    /// The function does not exist, or not any more.
    NoSuchFunction,
    /// The host goes down.
    ShuttingDown,
}

/// What stood in the way of a request until its deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum WaitedFor {
    /// Reserved concurrency was taken up.
    ReservedConcurrency,
    /// The account's concurrency was taken up.
    AccountConcurrency,
    /// The memory budget was taken up.
    Memory,
    /// A launch was on its way, or held back after failures.
    Launch,
}

/// Why an instance is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum EvictReason {
    /// Idle for longer than its keep-alive.
    Idle,
    /// Another deploy has taken its place.
    StaleDeploy,
    /// It broke while it served.
    Broken,
    /// It ended by itself.
    Exited,
    /// Its memory is needed by another function.
    MemoryPressure,
    /// Its place under a limit of concurrency is needed by another function.
    ConcurrencyPressure,
    /// Somebody asked for it.
    Evicted,
    /// The function was removed.
    Removed,
    /// More than a limit allows that was lowered.
    Surplus,
    /// The host goes down.
    ShutDown,
}
