//! What the host counts, in Prometheus' text format under `/_hearth/metrics`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use hearth_pool::{FunctionId, Snapshot, Start};
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::catalog::Target;
use crate::driver::state_name;
use crate::invoke::{Answered, InvokeError};

/// Bounds of the buckets for launches, in seconds: from a mock to a large image.
const LAUNCH_BUCKETS: [f64; 12] = [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0];
/// Bounds of the buckets for waiting in line, in seconds.
const QUEUE_BUCKETS: [f64; 12] = [0.0001, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 10.0, 30.0, 60.0];

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Invocations {
    function: Arc<str>,
    outcome: Outcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfFunction {
    function: Arc<str>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Launches {
    outcome: LaunchOutcome,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InState {
    state: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the derived label value is the variant's name")]
enum Outcome {
    success,
    function_error,
    throttled,
    launch_failed,
    not_run,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelValue)]
#[expect(non_camel_case_types, reason = "the derived label value is the variant's name")]
enum LaunchOutcome {
    success,
    failure,
}

/// The host's counters. Recording is cheap and never fails.
pub struct Metrics {
    registry: Registry,
    invocations: Family<Invocations, Counter>,
    cold_starts: Family<OfFunction, Counter>,
    launch_seconds: Family<Launches, Histogram>,
    queue_seconds: Family<OfFunction, Histogram>,
    instances: Family<InState, Gauge>,
    memory_mib: Gauge,
    waiting: Family<OfFunction, Gauge>,
}

impl Metrics {
    /// All at zero.
    pub fn new() -> Self {
        let mut metrics = Self {
            registry: Registry::with_prefix("hearth"),
            invocations: Family::default(),
            cold_starts: Family::default(),
            launch_seconds: Family::new_with_constructor(|| Histogram::new(LAUNCH_BUCKETS)),
            queue_seconds: Family::new_with_constructor(|| Histogram::new(QUEUE_BUCKETS)),
            instances: Family::default(),
            memory_mib: Gauge::default(),
            waiting: Family::default(),
        };
        let registry = &mut metrics.registry;
        registry.register("invocations", "Invocations by function and outcome", metrics.invocations.clone());
        registry.register("cold_starts", "Invocations that waited for a launch", metrics.cold_starts.clone());
        registry.register(
            "launch_seconds",
            "Time from asking for an instance until it is ready",
            metrics.launch_seconds.clone(),
        );
        registry.register(
            "queue_seconds",
            "Time an invocation waited for an instance, by function",
            metrics.queue_seconds.clone(),
        );
        registry.register("instances", "Instances by state", metrics.instances.clone());
        registry.register(
            "memory_mib",
            "Memory that the instances are counted with",
            metrics.memory_mib.clone(),
        );
        registry.register(
            "waiting",
            "Invocations that wait for an instance, by function",
            metrics.waiting.clone(),
        );
        metrics
    }

    /// An invocation was given an instance.
    pub(crate) fn acquired(&self, function: &Arc<str>, start: Start, waited: Duration) {
        let function = OfFunction { function: Arc::clone(function) };
        self.queue_seconds.get_or_create(&function).observe(waited.as_secs_f64());
        if start == Start::Cold {
            self.cold_starts.get_or_create(&function).inc();
        }
    }

    /// An invocation has ended.
    pub(crate) fn invoked(&self, function: &Arc<str>, answer: &Result<Answered, InvokeError>) {
        let outcome = match answer {
            Ok(answered) if answered.function_error.is_none() => Outcome::success,
            Ok(_) => Outcome::function_error,
            Err(error) => return self.refused(function, error),
        };
        self.invocations.get_or_create(&Invocations { function: Arc::clone(function), outcome }).inc();
    }

    /// An invocation was not run.
    pub(crate) fn refused(&self, function: &Arc<str>, error: &InvokeError) {
        let outcome = match error {
            InvokeError::Throttled(_) => Outcome::throttled,
            InvokeError::LaunchFailed(_) | InvokeError::NoInstanceInTime(_) => Outcome::launch_failed,
            InvokeError::FunctionGone | InvokeError::ShuttingDown | InvokeError::Unreachable(_) => {
                Outcome::not_run
            }
        };
        self.invocations.get_or_create(&Invocations { function: Arc::clone(function), outcome }).inc();
    }

    /// An invocation whose response was streamed has ended.
    pub(crate) fn streamed(&self, function: &Arc<str>, failed: bool) {
        let outcome = if failed { Outcome::function_error } else { Outcome::success };
        self.invocations.get_or_create(&Invocations { function: Arc::clone(function), outcome }).inc();
    }

    /// A launch has ended.
    pub(crate) fn launched(&self, took: Duration, succeeded: bool) {
        let outcome = if succeeded { LaunchOutcome::success } else { LaunchOutcome::failure };
        self.launch_seconds.get_or_create(&Launches { outcome }).observe(took.as_secs_f64());
    }

    /// Everything as text, with what the pool holds at this moment. `targets` are those that are deployed.
    pub fn render(&self, snapshot: &Snapshot, targets: &[Arc<Target>]) -> String {
        for state in ["launching", "idle", "busy", "draining", "terminating"] {
            self.instances.get_or_create(&InState { state }).set(0);
        }
        for instance in snapshot.functions.iter().flat_map(|function| &function.instances) {
            self.instances.get_or_create(&InState { state: state_name(instance.phase) }).inc();
        }
        self.memory_mib.set(i64::try_from(snapshot.memory_used.0).unwrap_or(i64::MAX));
        self.waiting.clear();
        for target in targets {
            let waiting = snapshot.function(FunctionId(target.function_id)).map_or(0, |it| it.waiting);
            let function = OfFunction { function: Arc::clone(&target.function.name) };
            self.waiting.get_or_create(&function).inc_by(i64::try_from(waiting).unwrap_or(i64::MAX));
        }
        let mut out = String::new();
        // Writing into a string does not fail.
        let _infallible = text::encode(&mut out, &self.registry);
        out
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}
