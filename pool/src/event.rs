//! Everything that can happen to a pool.

use crate::{DeployId, FunctionId, InstanceId, RequestId, Timestamp};

/// What happened, in the past tense. The pool decides what follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A function's version exists, with this deploy and these limits. The first one makes its pool; a later
    /// one with another `deploy` drains the instances of the former; one that changes only limits keeps them.
    Deployed {
        /// The pool's key.
        function: FunctionId,
        /// What its instances run from now on.
        deploy: DeployId,
        /// What shapes and limits them.
        spec: FunctionSpec,
    },
    /// The function's version is gone: its waiters are refused, its instances drain.
    Removed {
        /// The pool's key. It may be deployed again later.
        function: FunctionId,
    },
    /// An invocation wants an instance.
    Requested {
        /// New.
        request: RequestId,
        /// Of which function.
        function: FunctionId,
        /// Refused if nothing was granted by then.
        deadline: Timestamp,
    },
    /// Whoever waited has gone. Nothing happens if the request was answered before.
    Cancelled {
        /// The one that waited.
        request: RequestId,
    },
    /// A granted slot of an instance comes back.
    Released {
        /// The one that was granted.
        instance: InstanceId,
        /// In what state it was left.
        outcome: Outcome,
    },
    /// A launch succeeded: the instance takes invocations.
    Launched {
        /// As in [`Effect::Launch`](crate::Effect::Launch).
        instance: InstanceId,
    },
    /// A launch failed, and left nothing behind.
    LaunchFailed {
        /// As in [`Effect::Launch`](crate::Effect::Launch).
        instance: InstanceId,
    },
    /// An instance ended by itself, whatever it was doing. Its termination is still asked for, since what is
    /// left of it may use memory.
    Exited {
        /// The one that died.
        instance: InstanceId,
    },
    /// The backend confirms that an instance is gone, memory and all.
    Terminated {
        /// As in [`Effect::Terminate`](crate::Effect::Terminate).
        instance: InstanceId,
    },
    /// Somebody wants the function's instances gone: idle ones at once, busy ones when they are done.
    Evicted {
        /// The pool's key.
        function: FunctionId,
    },
    /// The time that [`Pool::next_deadline`](crate::Pool::next_deadline) told has come.
    DeadlineReached,
    /// The host goes down: no request is admitted any more, waiters are refused, instances drain.
    ShutDown,
}

/// What shapes and limits the instances of one function's version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// What an instance is counted with, from before its launch until it is confirmed gone.
    pub memory: MemoryMib,
    /// Invocations that one instance serves at once; at least 1.
    pub slots: u32,
    /// Instances at most, launching and draining ones included, when the function has reserved concurrency.
    /// The limit is that of all versions of the function together: those that share a `reserve_group`.
    pub reserved: Option<u32>,
    /// Versions of one function share its reserved concurrency: the group is any number that they have in
    /// common, and that no other function has.
    pub reserve_group: u32,
    /// Instances that are kept ready whatever happens, exempt from keep-alive and eviction.
    pub provisioned: u32,
}

/// Memory in MiB.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MemoryMib(pub u64);

/// In what state an invocation left its instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// It answered in full and may serve again.
    Reusable,
    /// Nobody knows what it does now, or it is known to be dead.
    Broken,
}
