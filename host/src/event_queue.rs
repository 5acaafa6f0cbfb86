//! Asynchronous invocations: an accepted event survives the host and is run at least once.
//!
//! An event is written to its own SQLite file before the client is told `202`, and deleted once it has
//! succeeded or is given up. Between the two it is in one of two places: waiting for its time in the queue, or
//! in a task of the host that runs it. A host that is killed finds it in the file at its next start.

mod policy;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::catalog::{Catalog, FunctionRef};
use crate::clock::Clock;
use crate::invoke::{Invocation, InvokeError, Invoker};

pub use self::policy::Policy;
pub use self::store::StoreError;

use self::policy::{Attempt, Next};
use self::store::Store;

/// An event that was accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedEvent {
    /// Twelve digits.
    pub account: String,
    /// As in `us-east-1`.
    pub region: String,
    /// Bare name of the function.
    pub function: String,
    /// Version or alias, as the caller gave it.
    pub qualifier: Option<String>,
    /// ARN as the caller gave it.
    pub arn: String,
    /// The same on each try.
    pub request_id: String,
    /// The event: JSON.
    pub payload: Bytes,
    /// Client context, base64 as in the header.
    pub client_context: Option<String>,
    /// X-Ray trace header.
    pub trace_id: Option<String>,
    /// Tenant of a function with tenant isolation.
    pub tenant_id: Option<String>,
}

/// An event in the file, and how far it has come.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    id: i64,
    event: QueuedEvent,
    /// Tries in which the function ran and failed.
    failures: u32,
    /// Tries in a row in which it could not be run at all.
    refusals: u32,
    /// Milliseconds since 1970.
    accepted_ms: i64,
    /// Milliseconds since 1970: not before then.
    due_ms: i64,
}

/// The queue. Cheap to clone.
#[derive(Clone, Debug)]
pub struct EventQueue {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    policy: Policy,
    /// Soonest last, so that the next one is popped.
    waiting: Mutex<Vec<Entry>>,
    arrived: Notify,
    under_way: TaskTracker,
}

impl EventQueue {
    /// Opens or creates `<data_dir>/events.db` and reads what an earlier run has left in it.
    pub async fn open(data_dir: &Path, policy: Policy) -> Result<Self, StoreError> {
        let (store, entries) = Store::open(data_dir.join("events.db")).await?;
        if !entries.is_empty() {
            tracing::info!(events = entries.len(), "events of an earlier run wait to be run");
        }
        let shared = Shared {
            store,
            policy,
            waiting: Mutex::default(),
            arrived: Notify::new(),
            under_way: TaskTracker::new(),
        };
        let queue = Self { shared: Arc::new(shared) };
        for entry in entries {
            queue.enqueue(entry);
        }
        Ok(queue)
    }

    /// Takes an event. Once this returns it is on disk, and will be run.
    pub async fn accept(&self, event: QueuedEvent) -> Result<(), StoreError> {
        let now = now_ms();
        let entry = self.shared.store.insert(event, now).await?;
        self.enqueue(entry);
        Ok(())
    }

    /// Runs events as they fall due; until it is dropped.
    pub async fn run(self, catalog: Catalog, invoker: Invoker) {
        loop {
            let arrived = self.shared.arrived.notified();
            let now = now_ms();
            while let Some(entry) = self.pop_due(now) {
                self.shared.under_way.spawn(self.clone().attempt(entry, catalog.clone(), invoker.clone()));
            }
            let pause = self.until_next(now);
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    async fn attempt(self, mut entry: Entry, catalog: Catalog, invoker: Invoker) {
        let outcome = self.invoke(&entry, &catalog, &invoker).await;
        let next = self.shared.policy.next(&entry, outcome, now_ms());
        let stored = match next {
            Next::Done => self.shared.store.remove(entry.id).await,
            Next::GiveUp(condition) => {
                tracing::warn!(
                    function = entry.event.function,
                    request_id = entry.event.request_id,
                    condition,
                    "an asynchronous invocation is given up"
                );
                self.shared.store.remove(entry.id).await
            }
            Next::Again { failures, refusals, due_ms } => {
                (entry.failures, entry.refusals, entry.due_ms) = (failures, refusals, due_ms);
                let stored = self.shared.store.update(entry.id, failures, refusals, due_ms).await;
                self.enqueue(entry);
                stored
            }
            // The file has it as it was; the next host runs it.
            Next::LeaveToNextHost => Ok(()),
        };
        if let Err(error) = stored {
            tracing::error!(%error, "cannot write down what became of an event; it may be run once more");
        }
    }

    async fn invoke(&self, entry: &Entry, catalog: &Catalog, invoker: &Invoker) -> Attempt {
        let event = &entry.event;
        let reference = FunctionRef {
            account: &event.account,
            region: &event.region,
            name: &event.function,
            qualifier: event.qualifier.as_deref(),
        };
        // The low bits of a time in milliseconds are spread evenly enough for weighted aliases.
        let draw = u32::try_from(now_ms() & 0xffff_ffff).unwrap_or_default().wrapping_mul(0x9e37_79b9);
        let target = match catalog.resolve(&reference, draw) {
            Ok(target) => target,
            Err(crate::catalog::ResolveError::NotFound) => return Attempt::FunctionGone,
            Err(crate::catalog::ResolveError::NotActive(_)) => return Attempt::NotRun,
        };
        let invocation = Invocation {
            target,
            arn: event.arn.as_str().into(),
            request_id: event.request_id.clone(),
            payload: event.payload.clone(),
            client_context: event.client_context.clone(),
            trace_id: event.trace_id.clone(),
            log_tail: false,
            tenant_id: event.tenant_id.clone(),
        };
        match invoker.invoke(invocation).await {
            Ok(answered) if answered.function_error.is_none() => Attempt::Succeeded,
            Ok(_) => Attempt::FunctionFailed,
            Err(InvokeError::FunctionGone) => Attempt::FunctionGone,
            Err(InvokeError::ShuttingDown) => Attempt::HostStops,
            Err(
                InvokeError::Throttled(_)
                | InvokeError::NoInstanceInTime(_)
                | InvokeError::LaunchFailed(_)
                | InvokeError::Unreachable(_),
            ) => Attempt::NotRun,
        }
    }

    fn enqueue(&self, entry: Entry) {
        let mut waiting = self.waiting();
        let place = waiting.partition_point(|other| other.due_ms > entry.due_ms);
        waiting.insert(place, entry);
        drop(waiting);
        self.shared.arrived.notify_one();
    }

    fn pop_due(&self, now: i64) -> Option<Entry> {
        self.waiting().pop_if(|entry| entry.due_ms <= now)
    }

    fn until_next(&self, now: i64) -> Duration {
        let due = self.waiting().last().map_or(i64::MAX, |entry| entry.due_ms);
        Duration::from_millis(u64::try_from(due.saturating_sub(now)).unwrap_or_default())
    }

    fn waiting(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.shared.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Due times outlive the host, so they are those of the world's clock.
fn now_ms() -> i64 {
    Clock::wall().as_millisecond()
}
