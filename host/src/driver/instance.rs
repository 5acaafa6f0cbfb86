//! A launched instance, as the host holds it.

use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use hearth_core::{Meta, Protocol};
use hearth_pool::{InstanceId, Timestamp};
use tokio_util::sync::CancellationToken;

use super::pausing::Activity;
use crate::catalog::Target;
use crate::invoke::connection::{Address, Connection};

/// One instance from the end of its launch until it is gone.
pub struct Instance {
    /// The pool's name for it.
    pub id: InstanceId,
    /// The name that the backend was given: unique for ever, good for logs.
    pub name: String,
    /// The backend's name for it.
    pub handle: String,
    /// What it runs.
    pub target: Arc<Target>,
    /// Name of its log stream.
    pub log_stream: Arc<str>,
    /// Where invocations go.
    pub address: Address,
    /// What the endpoint speaks.
    pub protocol: Protocol,
    /// The value of the `Authorization` header that it asks for.
    pub authorization: http::HeaderValue,
    /// When its launch was asked for.
    pub requested_at: Timestamp,
    /// When it was ready.
    pub ready_at: Timestamp,
    /// What the backend says of it, for people.
    pub meta: Meta,
    /// Connections that are open and free: the last one used is the first one used again.
    connections: Mutex<Vec<Connection>>,
    /// Whether it is paused, and who holds it; nothing where nobody asks for pauses.
    pub(super) activity: Option<Activity>,
    death: CancellationToken,
    cause_of_death: OnceLock<Meta>,
}

/// What becomes an [`Instance`] once its address has been understood.
#[derive(Debug)]
pub(super) struct Launched {
    pub(super) id: InstanceId,
    pub(super) name: String,
    pub(super) target: Arc<Target>,
    pub(super) log_stream: Arc<str>,
    pub(super) token: String,
    pub(super) requested_at: Timestamp,
    pub(super) ready_at: Timestamp,
    pub(super) answer: hearth_core::Instance,
    /// Whether it is paused when nobody uses it.
    pub(super) may_pause: bool,
}

impl Launched {
    /// Fails, with a reason for people, if the backend answered something that is no address.
    pub(super) fn into_instance(self) -> Result<Instance, String> {
        let address = Address::parse(&self.answer.endpoint)?;
        let mut authorization = http::HeaderValue::try_from(format!("Bearer {}", self.token))
            .map_err(|_| "the instance's token cannot be sent in a header".to_owned())?;
        authorization.set_sensitive(true);
        Ok(Instance {
            id: self.id,
            name: self.name,
            handle: self.answer.handle,
            target: self.target,
            log_stream: self.log_stream,
            address,
            protocol: self.answer.protocol,
            authorization,
            requested_at: self.requested_at,
            ready_at: self.ready_at,
            meta: self.answer.meta,
            connections: Mutex::default(),
            activity: self.may_pause.then(Activity::default),
            death: CancellationToken::new(),
            cause_of_death: OnceLock::new(),
        })
    }
}

impl Instance {
    /// A connection that is open and free, if there is one.
    pub fn take_connection(&self) -> Option<Connection> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection for the next invocation. Dropped at once if the instance is dead.
    pub fn keep_connection(&self, connection: Connection) {
        if !self.death.is_cancelled() {
            self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
    }

    /// Whether the host has paused it.
    pub(super) fn is_paused(&self) -> bool {
        self.activity.as_ref().is_some_and(Activity::is_paused)
    }

    /// The backend says that it ended by itself: whoever waits for its answer is told at once.
    pub(super) fn died(&self, cause: Meta) {
        let _already_known = self.cause_of_death.set(cause);
        self.close();
    }

    /// Nothing is sent to it any more. Connections are closed before the instance is killed, so that the
    /// engine's proxy is not left with one whose far end is gone.
    pub(super) fn close(&self) {
        self.death.cancel();
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Completes when the instance has died or is about to be ended.
    pub async fn death(&self) -> Option<&Meta> {
        self.death.cancelled().await;
        self.cause_of_death.get()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}
