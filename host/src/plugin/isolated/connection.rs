//! Many calls at a time over one socket.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_core::{BackendError, CallContext, Instance};
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot};

use super::instances::Instances;
use super::wire::{Answer, Call, Operation, Order};

/// The way to one process.
#[derive(Debug)]
pub(super) struct Connection {
    state: Mutex<State>,
    instances: Arc<Instances>,
    next: AtomicU64,
}

#[derive(Debug)]
enum State {
    Open { orders: mpsc::UnboundedSender<Order>, calls: HashMap<u64, Waiting> },
    Lost(BackendError),
}

/// Whoever waits for an answer.
#[derive(Debug)]
struct Waiting {
    answer: oneshot::Sender<Answer>,
    is_launch: bool,
}

impl Connection {
    pub(super) fn new(orders: mpsc::UnboundedSender<Order>, instances: Arc<Instances>) -> Self {
        let state = Mutex::new(State::Open { orders, calls: HashMap::new() });
        Self { state, instances, next: AtomicU64::new(0) }
    }

    /// Whether calls have any prospect.
    pub(super) fn is_open(&self) -> bool {
        matches!(*self.state(), State::Open { .. })
    }

    /// A name for a call or for a log.
    pub(super) fn name(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Calls the backend. Dropping the future cancels the call over there.
    pub(super) async fn call<T: DeserializeOwned>(
        &self,
        cx: &CallContext,
        operation: Operation,
    ) -> Result<T, BackendError> {
        let is_launch = matches!(operation, Operation::Launch(_));
        let (answer, answered) = oneshot::channel();
        let id = self.name();
        self.ask(id, Call { cx: cx.clone(), operation }, Waiting { answer, is_launch })?;
        let mut pending = Pending { connection: self, id: Some(id) };
        let answer = answered.await.unwrap_or_else(|_| Err(self.reason()))?;
        let value = serde_json::from_str(answer.get()).map_err(|error| {
            BackendError::internal("the answer of the backend's process is not one").caused_by(&error)
        })?;
        pending.id = None;
        if is_launch {
            self.order(Order::Taken { id });
        }
        Ok(value)
    }

    /// Hands an answer to whoever waits for it. A launched instance is known before anybody hears of it: if the
    /// process ends now, it is one of those that are asked for afterwards.
    pub(super) fn answer(&self, id: u64, answer: Answer) {
        let State::Open { calls, .. } = &mut *self.state() else { return };
        let Some(waiting) = calls.remove(&id) else { return };
        if waiting.is_launch
            && let Ok(value) = &answer
            && let Ok(Instance { handle, .. }) = serde_json::from_str(value.get())
        {
            self.instances.launched(handle);
        }
        // Whoever has gone has cancelled the call.
        let _unheard = waiting.answer.send(answer);
    }

    /// From here on all calls fail with this, those that are under way as well. The other end is told by the end of
    /// the stream.
    pub(super) fn lose(&self, reason: &BackendError) {
        let former = std::mem::replace(&mut *self.state(), State::Lost(reason.clone()));
        let State::Open { calls, .. } = former else { return };
        for waiting in calls.into_values() {
            let _unheard = waiting.answer.send(Err(reason.clone()));
        }
    }

    /// Tells the other end something that has no answer. If it is gone, there is nothing to tell.
    pub(super) fn order(&self, order: Order) {
        if let State::Open { orders, .. } = &*self.state() {
            let _gone = orders.send(order);
        }
    }

    fn ask(&self, id: u64, call: Call, waiting: Waiting) -> Result<(), BackendError> {
        match &mut *self.state() {
            State::Open { orders, calls } => {
                calls.insert(id, waiting);
                // If nobody takes it any more, the connection is about to be lost, and the call with it.
                let _gone = orders.send(Order::Call { id, call });
                Ok(())
            }
            State::Lost(reason) => Err(reason.clone()),
        }
    }

    fn reason(&self) -> BackendError {
        match &*self.state() {
            State::Lost(reason) => reason.clone(),
            State::Open { .. } => BackendError::internal("an answer of the backend's process was lost"),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that was not answered. Dropping it cancels the call.
struct Pending<'a> {
    connection: &'a Connection,
    id: Option<u64>,
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let Some(id) = self.id else { return };
        if let State::Open { calls, .. } = &mut *self.connection.state() {
            calls.remove(&id);
        }
        self.connection.order(Order::Cancel { id });
    }
}
