//! Reads SQS queues for functions: event source mappings, acted upon.
//!
//! Each mapping of a queue has a task that receives messages and gives them to the function in batches, several
//! at a time. What the function has done is deleted from the queue. All else is left to it: the queue gives it
//! again when its visibility timeout is over, and to its dead-letter queue in the end.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::Instant;
use uuid::Uuid;

use crate::aws::sqs::{LONGEST_WAIT, MOST, Message};
use crate::aws::{Arn, Aws, CallError};
use crate::catalog::function::FunctionKey;
use crate::catalog::resource::{EventSourceMapping, Place};
use crate::catalog::{Catalog, FunctionRef};
use crate::clock::Clock;
use crate::invoke::{Invocation, Invoker};
use crate::trace::{self, Step};

use self::batch::{Done, event};

pub use self::filter::Filters;

mod batch;
mod filter;

/// The attribute in which a queue keeps the header of whoever sent the message.
const TRACE_HEADER: &str = "AWSTraceHeader";
/// Batches of one mapping that are run side by side, unless its `ScalingConfig` says otherwise.
const SIDE_BY_SIDE: usize = 5;
/// A batch that measures so much is not added to, in bytes of its bodies: an event may have 6 MB.
const FULL: usize = 4 * 1024 * 1024;
/// The first pause after a queue could not be read; it doubles.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Reads queues. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reader {
    catalog: Catalog,
    invoker: Invoker,
    aws: Aws,
}

impl Reader {
    /// A reader for the mappings of this catalog.
    pub fn new(catalog: Catalog, invoker: Invoker, aws: Aws) -> Self {
        Self { catalog, invoker, aws }
    }

    /// Reads the queue of every mapping, those to come included; until it is dropped.
    pub async fn run(self) {
        let mut changes = self.catalog.resource_changes();
        let mut known = HashSet::new();
        let mut readers = JoinSet::new();
        loop {
            changes.mark_unchanged();
            let mappings = self.catalog.all_resources::<EventSourceMapping>();
            for (place, mapping) in mappings {
                let is_queue = source(&mapping).is_some_and(|arn| arn.service == "sqs");
                if is_queue && known.insert(mapping.id.clone()) {
                    readers.spawn(self.clone().read(place, mapping.id.clone()));
                }
            }
            if changes.changed().await.is_err() {
                return;
            }
        }
    }

    /// Reads the queue of one mapping until that is deleted.
    async fn read(self, place: Place, id: String) {
        let mut changes = self.catalog.resource_changes();
        let mut batches = JoinSet::new();
        let mut pause = FIRST_PAUSE;
        loop {
            changes.mark_unchanged();
            let Some(mapping) = self.catalog.resource::<EventSourceMapping>(&place, &id) else { return };
            if !mapping.enabled {
                if changes.changed().await.is_err() {
                    return;
                }
                continue;
            }
            while batches.try_join_next().is_some() {}
            if batches.len() >= side_by_side(&mapping) {
                batches.join_next().await;
                continue;
            }
            match self.receive(&mapping).await {
                Ok(messages) if messages.is_empty() => {}
                Ok(messages) => {
                    pause = FIRST_PAUSE;
                    batches.spawn(self.clone().process(place.clone(), mapping, messages));
                }
                Err(error @ CallError::NoEndpoint(_)) => {
                    tracing::warn!(source = mapping.source_arn, %error, "a queue is not read");
                    return;
                }
                Err(error) => {
                    tracing::warn!(source = mapping.source_arn, %error, ?pause, "a queue cannot be read");
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(LONGEST_PAUSE);
                }
            }
        }
    }

    /// As many messages as a batch may have, or as come within the window after the first.
    async fn receive(&self, mapping: &EventSourceMapping) -> Result<Vec<Message>, CallError> {
        let Some(queue) = source(mapping) else { return Ok(Vec::new()) };
        let size = mapping.batch_size;
        let mut messages = self.aws.receive_messages(queue, size.min(MOST), LONGEST_WAIT).await?;
        let end = Clock::after(Duration::from_secs(mapping.window_seconds.into()));
        let mut bytes: usize = messages.iter().map(|message| message.body.len()).sum();
        while !messages.is_empty() && bytes < FULL {
            let missing = size.saturating_sub(u32::try_from(messages.len()).unwrap_or(u32::MAX));
            let left = end.saturating_duration_since(now());
            if missing == 0 || left.is_zero() {
                break;
            }
            let wait = left.as_secs().min(LONGEST_WAIT);
            let more = self.aws.receive_messages(queue, missing.min(MOST), wait).await?;
            bytes += more.iter().map(|message| message.body.len()).sum::<usize>();
            messages.extend(more);
        }
        Ok(messages)
    }

    /// Gives a batch to the function, and deletes what that has done, or does not want.
    async fn process(self, place: Place, mapping: Arc<EventSourceMapping>, messages: Vec<Message>) {
        let Some(queue) = source(&mapping) else { return };
        let filters = match Filters::parse(mapping.more.get("FilterCriteria")) {
            Ok(filters) => filters,
            Err(problem) => {
                tracing::error!(source = mapping.source_arn, problem, "a queue's filter cannot be kept");
                return;
            }
        };
        let (messages, unwanted): (Vec<_>, _) =
            messages.into_iter().partition(|message| filters.wants(message));
        self.delete(&mapping, queue, &unwanted, |_| true).await;
        if messages.is_empty() {
            return;
        }
        let done = match self.invoke(&place, &mapping, queue, &messages).await {
            Ok(done) => done,
            Err(problem) => {
                let function = &mapping.function;
                tracing::warn!(function, problem, "a batch was not run; its queue will give it again");
                return;
            }
        };
        self.delete(&mapping, queue, &messages, |message| done.includes(&message.message_id)).await;
    }

    async fn delete(
        &self,
        mapping: &EventSourceMapping,
        queue: Arn<'_>,
        messages: &[Message],
        is_done: impl Fn(&Message) -> bool,
    ) {
        let done = messages.iter().filter(|message| is_done(message));
        let handles: Vec<_> = done.map(|message| message.receipt_handle.as_str()).collect();
        for handles in handles.chunks(MOST as usize) {
            if let Err(error) = self.aws.delete_messages(queue, handles).await {
                let source = &mapping.source_arn;
                tracing::error!(source, %error, "messages cannot be deleted; they will come again");
            }
        }
    }

    async fn invoke(
        &self,
        place: &Place,
        mapping: &EventSourceMapping,
        queue: Arn<'_>,
        messages: &[Message],
    ) -> Result<Done, String> {
        let Place { account, region } = place;
        let id = Uuid::new_v4();
        let qualifier = mapping.qualifier.as_deref();
        let reference = FunctionRef { account, region, name: &mapping.function, qualifier };
        let [a, b, c, d, ..] = *id.as_bytes();
        let target = self.catalog.resolve(&reference, u32::from_be_bytes([a, b, c, d]));
        let target = target.map_err(|error| error.to_string())?;
        let step = furthest(messages, &target.lineage_name);
        if step.is_loop && !self.catalog.lets_loop(&target.function) {
            return Err("the function sends messages to itself in a loop".to_owned());
        }
        let arn = FunctionKey::new(account, region, &mapping.function).arn();
        let invocation = Invocation {
            target,
            arn: qualifier.map_or_else(|| arn.clone(), |qualifier| format!("{arn}:{qualifier}")).into(),
            request_id: id.to_string(),
            payload: event(mapping.source_arn.as_deref().unwrap_or_default(), queue.region, messages),
            client_context: None,
            trace_id: Some(step.header),
            log_tail: false,
            tenant_id: None,
        };
        match self.invoker.invoke(invocation).await {
            Ok(answered) if answered.function_error.is_some() => Ok(Done::Nothing),
            Ok(answered) if mapping.reports_failures => Ok(Done::reported(&answered.payload, messages)),
            Ok(_) => Ok(Done::Everything),
            Err(error) => Err(format!("{error:?}")),
        }
    }
}

fn source(mapping: &EventSourceMapping) -> Option<Arn<'_>> {
    Arn::parse(mapping.source_arn.as_deref()?)
}

/// The step into the function of the message that has been in it most often: one that is in a loop has company.
fn furthest(messages: &[Message], function: &str) -> Step {
    let headers = messages.iter().filter_map(|message| message.attributes.get(TRACE_HEADER));
    let steps: Vec<_> = headers.map(|header| trace::step(header, function)).collect();
    let found = steps.iter().find(|step| step.is_loop).or_else(|| steps.first());
    found
        .cloned()
        .unwrap_or_else(|| trace::step(&trace::header(Uuid::new_v4(), Clock::wall().as_second()), function))
}

fn now() -> Instant {
    Clock::after(Duration::ZERO)
}

fn side_by_side(mapping: &EventSourceMapping) -> usize {
    let given =
        mapping.more.get("ScalingConfig").and_then(|scaling| scaling.get("MaximumConcurrency")?.as_u64());
    given.map_or(SIDE_BY_SIDE, |given| usize::try_from(given).unwrap_or(SIDE_BY_SIDE)).max(1)
}
