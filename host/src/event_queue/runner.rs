//! Tries events, and sees to what follows.

use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::policy::{Attempt, Next};
use super::{Entry, EventQueue, QueuedEvent, now_ms};
use crate::aws::Arn;
use crate::catalog::function::{Function, FunctionKey};
use crate::catalog::qualified::EventInvokeConfig;
use crate::catalog::{Catalog, FunctionRef, ResolveError};
use crate::clock::Clock;
use crate::destinations::{Condition, Destinations, Outcome, Response};
use crate::invoke::{Invocation, InvokeError, Invoker, Throttle};
use crate::trace;

/// What it takes to try an event. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Runner {
    pub(super) queue: EventQueue,
    pub(super) catalog: Catalog,
    pub(super) invoker: Invoker,
    pub(super) destinations: Destinations,
}

impl Runner {
    /// One try of an event, and what follows from it.
    pub(super) async fn attempt(self, mut entry: Entry) {
        let (attempt, response) = self.invoke(&entry).await;
        let function = self.function(&entry.event);
        let config = function.as_deref().and_then(|function| config_of(function, &entry.event));
        let limits = config.map(|config| (config.max_retries, config.max_age_seconds)).unwrap_or_default();
        let store = &self.queue.shared.store;
        let stored =
            match self.queue.shared.policy.limited(limits.0, limits.1).next(&entry, attempt, now_ms()) {
                Next::Done => {
                    self.conclude(&entry, function.as_deref(), Condition::Success, response).await;
                    store.remove(entry.id).await
                }
                Next::GiveUp(condition) => {
                    tracing::warn!(
                        function = entry.event.function,
                        request_id = entry.event.request_id,
                        ?condition,
                        "an asynchronous invocation is given up"
                    );
                    self.conclude(&entry, function.as_deref(), condition, response).await;
                    store.remove(entry.id).await
                }
                Next::Again { failures, refusals, due_ms } => {
                    (entry.failures, entry.refusals, entry.due_ms) = (failures, refusals, due_ms);
                    let stored = store.update(entry.id, failures, refusals, due_ms).await;
                    self.queue.enqueue(entry);
                    stored
                }
                // The file has it as it was; the next host runs it.
                Next::LeaveToNextHost => Ok(()),
            };
        if let Err(error) = stored {
            tracing::error!(%error, "cannot write down what became of an event; it may be run once more");
        }
    }

    async fn invoke(&self, entry: &Entry) -> (Attempt, Option<Response>) {
        let event = &entry.event;
        // The low bits of a time in milliseconds are spread evenly enough for weighted aliases.
        let draw = u32::try_from(now_ms() & 0xffff_ffff).unwrap_or_default().wrapping_mul(0x9e37_79b9);
        let target = match self.catalog.resolve(&reference(event), draw) {
            Ok(target) => target,
            Err(ResolveError::NotFound) => return (Attempt::FunctionGone, None),
            Err(ResolveError::NotActive(_)) => return (Attempt::NotRun, None),
        };
        let step = trace::step(event.trace_id.as_deref().unwrap_or_default(), &target.lineage_name);
        if step.is_loop && !self.catalog.lets_loop(&target.function) {
            return (Attempt::InALoop, None);
        }
        let version = target.version.to_string();
        let invocation = Invocation {
            target,
            arn: event.arn.as_str().into(),
            request_id: event.request_id.clone(),
            payload: event.payload.clone(),
            client_context: event.client_context.clone(),
            trace_id: Some(step.header),
            log_tail: false,
            tenant_id: event.tenant_id.clone(),
        };
        let attempt = match self.invoker.invoke(invocation).await {
            Ok(answered) => {
                let is_error = answered.function_error.is_some();
                let attempt = if is_error { Attempt::FunctionFailed } else { Attempt::Succeeded };
                return (attempt, Some(Response { version, payload: answered.payload, is_error }));
            }
            Err(InvokeError::FunctionGone) => Attempt::FunctionGone,
            Err(InvokeError::ShuttingDown) => Attempt::HostStops,
            Err(InvokeError::Throttled(Throttle::Reserved)) if self.may_have_none(event) => {
                Attempt::Forbidden
            }
            Err(
                InvokeError::Throttled(_)
                | InvokeError::NoInstanceInTime(_)
                | InvokeError::LaunchFailed(_)
                | InvokeError::Unreachable(_),
            ) => Attempt::NotRun,
        };
        (attempt, None)
    }

    fn function(&self, event: &QueuedEvent) -> Option<Arc<Function>> {
        self.catalog.function(&FunctionKey::new(&event.account, &event.region, &event.function))
    }

    fn may_have_none(&self, event: &QueuedEvent) -> bool {
        self.function(event).is_some_and(|function| function.reserved_concurrency == Some(0))
    }

    /// Tells those who are to be told of the end of an event.
    async fn conclude(
        &self,
        entry: &Entry,
        function: Option<&Function>,
        condition: Condition,
        response: Option<Response>,
    ) {
        let Some(function) = function else { return };
        let event = &entry.event;
        let outcome = Outcome {
            account: &event.account,
            region: &event.region,
            function: &event.function,
            arn: format!("{}:{}", function.key.arn(), qualifier(event)),
            request_id: &event.request_id,
            payload: &event.payload,
            condition,
            invoke_count: entry.failures + u32::from(response.is_some()),
            response,
        };
        let config = config_of(function, event);
        let succeeded = condition == Condition::Success;
        let destination = config.and_then(|config| {
            if succeeded { config.on_success.as_deref() } else { config.on_failure.as_deref() }
        });
        if let Some(destination) = destination {
            let given = event.trace_id.as_deref().unwrap_or_default();
            let step = trace::step(given, &trace::lineage_name(&function.key.arn()));
            self.tell(destination, &outcome, step.header).await;
        }
        let version = function.qualified(qualifier(event));
        if let Some(dead_letters) = version.and_then(|version| version.config.dead_letter_arn.as_deref())
            && !succeeded
        {
            self.destinations.bury(dead_letters, &outcome).await;
        }
    }

    /// A function that is told is one step further on the way of the request.
    async fn tell(&self, destination: &str, outcome: &Outcome<'_>, trace_id: String) {
        let now = Clock::wall();
        match function_event(destination, outcome.record(now).into(), trace_id) {
            Some(event) => {
                if let Err(error) = self.queue.accept(event).await {
                    tracing::error!(destination, %error, "a destination cannot be told of an event");
                }
            }
            None => self.destinations.tell(destination, outcome, now).await,
        }
    }
}

/// The event for a destination that is a function.
fn function_event(destination: &str, payload: Bytes, trace_id: String) -> Option<QueuedEvent> {
    let arn = Arn::parse(destination).filter(|arn| arn.service == "lambda")?;
    let name = arn.resource.strip_prefix("function:")?;
    let (function, qualifier) = match name.split_once(':') {
        Some((function, qualifier)) => (function, Some(qualifier.to_owned())),
        None => (name, None),
    };
    Some(QueuedEvent {
        account: arn.account.to_owned(),
        region: arn.region.to_owned(),
        function: function.to_owned(),
        qualifier,
        arn: destination.to_owned(),
        request_id: Uuid::new_v4().to_string(),
        payload,
        client_context: None,
        trace_id: Some(trace_id),
        tenant_id: None,
    })
}

fn reference(event: &QueuedEvent) -> FunctionRef<'_> {
    FunctionRef {
        account: &event.account,
        region: &event.region,
        name: &event.function,
        qualifier: event.qualifier.as_deref(),
    }
}

fn qualifier(event: &QueuedEvent) -> &str {
    event.qualifier.as_deref().unwrap_or("$LATEST")
}

fn config_of<'a>(function: &'a Function, event: &QueuedEvent) -> Option<&'a EventInvokeConfig> {
    function.qualified.get(qualifier(event))?.event_invoke.as_ref()
}
