//! The Telemetry API, version 2022-07-01, and the Logs API before it: who subscribed to what.
//!
//! ```text
//! log ─ record ─► Telemetry ─► one Channel for each subscriber ─ batches ─► delivery ─► the extension
//! ```

mod buffer;
mod delivery;
mod subscription;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::clock;
use crate::platform::{Category, Record};
pub(crate) use crate::telemetry::subscription::{Api, Subscription};
use delivery::Channel;

/// Who subscribed to what is said of an instance.
#[derive(Debug, Default)]
pub(crate) struct Telemetry {
    /// Whether a record has anywhere to go: most instances have no subscriber, and pay this one look.
    listening: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// What was said in the init that goes on, for those who subscribe in its course. Without it nobody can.
    backlog: Option<Backlog>,
    subscribers: Vec<Subscriber>,
}

#[derive(Debug, Default)]
struct Backlog {
    entries: Vec<(Category, Option<Api>, Arc<str>)>,
    bytes: usize,
}

#[derive(Debug)]
struct Subscriber {
    /// The extension's: it is the same one after a restart.
    name: Arc<str>,
    subscription: Subscription,
    channel: Arc<Channel>,
    delivery: AbortHandle,
}

/// Why a subscription is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotSubscribed {
    /// Extensions can only subscribe in the course of an init.
    Closed,
    /// The extension has subscribed with the other API.
    ByOther(Api),
}

impl Telemetry {
    /// An init begins.
    pub(crate) fn open(&self) {
        self.state().backlog = Some(Backlog::default());
        self.listening.store(true, Ordering::Release);
    }

    /// The init is over.
    pub(crate) fn close(&self) {
        let mut state = self.state();
        state.backlog = None;
        self.listening.store(!state.subscribers.is_empty(), Ordering::Release);
    }

    /// Passes a record on to whoever subscribed to its kind.
    pub(crate) fn publish(&self, record: &Record<'_>, unix_ms: u64) {
        if !self.listening.load(Ordering::Acquire) {
            return;
        }
        let mut state = self.state();
        let State { backlog, subscribers } = &mut *state;
        let takers = subscribers.iter().filter(|subscriber| subscriber.subscription.covers(record));
        let mut takers = takers.peekable();
        if takers.peek().is_none() && backlog.is_none() {
            return;
        }
        let json = Arc::from(record.json(unix_ms));
        let now = clock::now();
        takers.for_each(|subscriber| subscriber.channel.push(now, &json));
        if let Some(backlog) = backlog {
            backlog.push(record, json);
        }
    }

    /// Adds a subscriber, or changes what it subscribed to. Returns the state that it is in, in AWS's words.
    pub(crate) fn subscribe(
        &self,
        name: &Arc<str>,
        subscription: Subscription,
    ) -> Result<&'static str, NotSubscribed> {
        let mut state = self.state();
        let State { backlog, subscribers } = &mut *state;
        let backlog = backlog.as_ref().ok_or(NotSubscribed::Closed)?;
        if let Some(known) = subscribers.iter_mut().find(|known| known.name == *name) {
            if known.subscription.api != subscription.api {
                return Err(NotSubscribed::ByOther(known.subscription.api));
            }
            known.channel.redirect(subscription.destination.clone(), subscription.limits);
            known.subscription = subscription;
            return Ok("Already subscribed");
        }
        let channel = Arc::new(Channel::new(subscription.destination.clone(), subscription.limits));
        let now = clock::now();
        for (category, only_in, json) in &backlog.entries {
            if subscription.covers_kind(*category, *only_in) {
                channel.push(now, json);
            }
        }
        let delivery = tokio::spawn(delivery::run(channel.clone())).abort_handle();
        subscribers.push(Subscriber { name: name.clone(), subscription, channel, delivery });
        Ok("Subscribed")
    }

    /// Sends at once what would be sent later, and waits until it has arrived, or until `limit` has passed:
    /// whoever is to read it is about to be told to end.
    pub(crate) async fn flush(&self, limit: Duration) {
        let channels: Vec<_> = self.state().subscribers.iter().map(|one| one.channel.clone()).collect();
        let all = async {
            for channel in &channels {
                channel.flushed().await;
            }
        };
        for channel in &channels {
            channel.flush();
        }
        // What did not arrive is tried again, should the extension come back.
        drop(timeout(limit, all).await);
    }

    /// Whether there is something that a subscriber has not got yet.
    pub(crate) fn is_delivering(&self) -> bool {
        self.state().subscribers.iter().any(|subscriber| !subscriber.channel.is_empty())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Backlog {
    /// In bytes. The init of a function has no business saying more.
    const LIMIT: usize = 256 * 1024;

    fn push(&mut self, record: &Record<'_>, json: Arc<str>) {
        if self.bytes + json.len() <= Self::LIMIT {
            self.bytes += json.len();
            self.entries.push((record.category(), Api::only_of(record), json));
        }
    }
}

impl Drop for Subscriber {
    fn drop(&mut self) {
        self.delivery.abort();
    }
}
