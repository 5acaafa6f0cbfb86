//! Asynchronous invocations: an accepted event survives the host and is run at least once.
//!
//! An event is written to its own SQLite file before the client is told `202`, and deleted once it has
//! succeeded or is given up, and whoever is to be told of that has been told. Between the two it is in one of two places: waiting for its time in the queue, or
//! in a task of the host that runs it. A host that is killed finds it in the file at its next start.

mod policy;
mod runner;
mod store;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::catalog::Catalog;
use crate::clock::Clock;
use crate::destinations::Destinations;
use crate::invoke::Invoker;

pub use self::policy::Policy;
pub use self::store::StoreError;

use self::runner::Runner;
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

    /// Runs events as they fall due, and tells destinations what came of them; until it is dropped.
    pub async fn run(self, catalog: Catalog, invoker: Invoker, destinations: Destinations) {
        let runner = Runner { queue: self, catalog, invoker, destinations };
        loop {
            let arrived = runner.queue.shared.arrived.notified();
            let now = now_ms();
            while let Some(entry) = runner.queue.pop_due(now) {
                runner.queue.shared.under_way.spawn(runner.clone().attempt(entry));
            }
            let pause = runner.queue.until_next(now);
            tokio::select! {
                () = arrived => {}
                () = tokio::time::sleep(pause) => {}
            }
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
