//! One invocation: acquire an instance, send it the event, give the instance back.
//!
//! Waiting in line belongs to the request and ends with it; from the moment the event may have reached a
//! function, the invocation belongs to the host and runs to its end whoever listens. See
//! docs/adr/0004-invocations-outlive-their-clients.md.

mod aws_emulator;
pub mod connection;
mod forward;
mod stream;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use hearth_core::BackendError;
use hearth_pool::{Refusal, Timestamp, WaitedFor};
use tokio::sync::oneshot;
use tokio_util::task::TaskTracker;

use crate::catalog::Target;
use crate::clock::Clock;
use crate::detach::Detach;
use crate::driver::{Driver, Refused, Reserved};
use crate::metrics::Metrics;

use self::forward::{Forwarded, NotRun};
pub use self::stream::{Ending, StreamError, Streamed};

/// How many instances may turn out not to be there before an invocation gives up.
const ATTEMPTS: u32 = 10;

/// What a client wants run.
#[derive(Clone, Debug)]
pub struct Invocation {
    /// The version that serves it.
    pub target: Arc<Target>,
    /// ARN as the caller gave it: qualified only if they qualified it.
    pub arn: Arc<str>,
    /// The id that the function sees.
    pub request_id: String,
    /// The event: JSON.
    pub payload: Bytes,
    /// Client context, base64 as in the header.
    pub client_context: Option<String>,
    /// X-Ray trace header.
    pub trace_id: Option<String>,
    /// Whether the last 4 KiB of the log are wanted.
    pub log_tail: bool,
    /// Tenant of a function with tenant isolation.
    pub tenant_id: Option<String>,
}

/// What came of an invocation that was run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// The function's response, or the description of its error.
    pub payload: Bytes,
    /// Set if the function failed.
    pub function_error: Option<FunctionError>,
    /// The last 4 KiB of the log in base64, if they were wanted and the instance can tell.
    pub log_result: Option<String>,
}

/// How a function failed. AWS documents a second value, `Handled`, and has not sent it for years.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FunctionError {
    /// The function raised an error, or its process or its time ended.
    Unhandled,
}

/// Why an invocation was not run.
#[derive(Clone, Debug)]
pub enum InvokeError {
    /// A concurrency limit stands in the way.
    Throttled(Throttle),
    /// The invocation waited as long as it may, and no instance was ready; the last launch error, if any.
    NoInstanceInTime(Option<Arc<BackendError>>),
    /// The instance could not be launched.
    LaunchFailed(Option<Arc<BackendError>>),
    /// The function was deleted meanwhile.
    FunctionGone,
    /// The host is going down.
    ShuttingDown,
    /// Instances were there and could not be talked to; why, of the last one.
    Unreachable(String),
}

/// Which limit stands in the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Throttle {
    /// The function's reserved concurrency.
    Reserved,
    /// The account's concurrency, or what the backend has room for.
    Account,
    /// The memory that the host may use for instances.
    Memory,
    /// The length of the line.
    Queue,
}

/// Runs invocations. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Invoker {
    driver: Driver,
    clock: Clock,
    metrics: Arc<Metrics>,
    queue_timeout: Duration,
    under_way: TaskTracker,
}

impl Invoker {
    /// An invoker over a driver. Invocations wait for an instance up to `queue_timeout`.
    pub fn new(driver: Driver, clock: Clock, metrics: Arc<Metrics>, queue_timeout: Duration) -> Self {
        Self { driver, clock, metrics, queue_timeout, under_way: TaskTracker::new() }
    }

    /// Runs an invocation and waits for its answer. If this future is dropped, an invocation that still waits
    /// in line is withdrawn, and one that has reached an instance runs on.
    pub async fn invoke(&self, invocation: Invocation) -> Result<Answered, InvokeError> {
        let name = Arc::clone(&invocation.target.function.name);
        let answer = self.attempt(invocation).await;
        self.metrics.invoked(&name, &answer);
        answer
    }

    async fn attempt(&self, invocation: Invocation) -> Result<Answered, InvokeError> {
        let invocation = Arc::new(invocation);
        let arrived = self.clock.now();
        let mut last_problem = String::new();
        for _ in 0..ATTEMPTS {
            let reserved = self.acquire(&invocation.target, arrived).await?;
            match Detach::new(run(reserved, Arc::clone(&invocation)), &self.under_way).await {
                Forwarded::Answered(answered) => return Ok(answered),
                Forwarded::NotRun(NotRun::Unfit(problem)) => last_problem = problem,
                Forwarded::NotRun(NotRun::Throttled) => {
                    return Err(InvokeError::Throttled(Throttle::Account));
                }
            }
        }
        Err(InvokeError::Unreachable(last_problem))
    }

    /// Runs an invocation and waits until its response begins. If this future or what it answers is dropped, an
    /// invocation that still waits in line is withdrawn, and one that has reached an instance runs on.
    pub async fn stream(&self, invocation: Invocation) -> Result<Streamed, InvokeError> {
        let name = Arc::clone(&invocation.target.function.name);
        let begun = self.attempt_stream(invocation).await;
        if let Err(error) = &begun {
            self.metrics.refused(&name, error);
        }
        begun
    }

    async fn attempt_stream(&self, invocation: Invocation) -> Result<Streamed, InvokeError> {
        let invocation = Arc::new(invocation);
        let arrived = self.clock.now();
        let mut last_problem = String::new();
        for _ in 0..ATTEMPTS {
            let reserved = self.acquire(&invocation.target, arrived).await?;
            let (opening, begun) = oneshot::channel();
            let metrics = Arc::clone(&self.metrics);
            self.under_way.spawn(stream::run(reserved, Arc::clone(&invocation), opening, metrics));
            match begun.await {
                Ok(Ok(streamed)) => return Ok(streamed),
                Ok(Err(NotRun::Unfit(problem))) => last_problem = problem,
                Ok(Err(NotRun::Throttled)) => return Err(InvokeError::Throttled(Throttle::Account)),
                // The task has ended without a word, which it does only with the runtime.
                Err(_) => return Err(InvokeError::ShuttingDown),
            }
        }
        Err(InvokeError::Unreachable(last_problem))
    }

    async fn acquire(&self, target: &Arc<Target>, arrived: Timestamp) -> Result<Reserved, InvokeError> {
        let reserved = self.driver.acquire(target, arrived + self.queue_timeout).await?;
        self.metrics.acquired(&target.function.name, reserved.start(), self.clock.now() - arrived);
        Ok(reserved)
    }
}

async fn run(reserved: Reserved, invocation: Arc<Invocation>) -> Forwarded {
    forward::forward(reserved, &invocation).await
}

impl From<Refused> for InvokeError {
    fn from(refused: Refused) -> Self {
        match refused.reason {
            Refusal::ReservedConcurrency | Refusal::Deadline(WaitedFor::ReservedConcurrency) => {
                Self::Throttled(Throttle::Reserved)
            }
            Refusal::AccountConcurrency | Refusal::Deadline(WaitedFor::AccountConcurrency) => {
                Self::Throttled(Throttle::Account)
            }
            Refusal::Memory | Refusal::Deadline(WaitedFor::Memory) => Self::Throttled(Throttle::Memory),
            Refusal::QueueFull => Self::Throttled(Throttle::Queue),
            Refusal::Deadline(WaitedFor::Launch) => Self::NoInstanceInTime(refused.launch_error),
            Refusal::LaunchFailed(_) => Self::LaunchFailed(refused.launch_error),
            Refusal::NoSuchFunction => Self::FunctionGone,
            Refusal::ShuttingDown => Self::ShuttingDown,
        }
    }
}
