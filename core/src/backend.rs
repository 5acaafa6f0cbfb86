//! The one trait that authors implement, and the host as they see it.

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;

use futures_core::Stream;

use crate::{
    BackendError, BackendInfo, CallContext, Capabilities, Event, EventKind, HostInfo, Instance,
    InstanceStats, InstanceStatus, LaunchSpec, LogLine, Meta, Progress, ReapReport,
};

/// Answer of every call.
pub type Result<T, E = BackendError> = std::result::Result<T, E>;

/// Lines of an instance, in order. Dropping it cancels; a slow reader slows the producer.
pub type LogStream = Pin<Box<dyn Stream<Item = LogLine> + Send>>;

/// Runs Lambda functions somewhere. Implement it, hand it to [`export_backend!`](crate::export_backend), and
/// any Hearth host can load it.
///
/// Required are [`info`](Self::info), [`launch`](Self::launch) and [`terminate`](Self::terminate). The
/// others answer *unsupported* until they are overridden; announce what you override in
/// [`Capabilities`](crate::Capabilities).
///
/// The methods run on the backend's own tokio runtime, many at a time. A panic in one becomes an error of
/// kind [`PANICKED`](crate::ErrorKind::PANICKED) for that call.
#[async_trait::async_trait]
pub trait Backend: Send + Sync + 'static {
    /// Who this is and what it can do. Asked once, after [`Plugin::create`].
    fn info(&self) -> BackendInfo;

    /// Makes later launches of this deploy fast: pull an image, copy code. Called once when a function is
    /// deployed and again after a restart of the host, so it must be idempotent. `spec.instance_id` and
    /// `spec.token` are empty.
    async fn prepare(&self, _cx: &CallContext, _spec: &LaunchSpec) -> Result<()> {
        Ok(())
    }

    /// Starts an instance and returns once its init phase has ended, well or badly: the endpoint then takes
    /// invocations. If the host has gone away meanwhile, this still runs to its end and
    /// [`terminate`](Self::terminate) is called with the handle, so that an abandoned launch leaves nothing
    /// behind. If it fails, nothing of it may be left.
    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance>;

    /// Ends an instance: `grace_ms` after asking politely, it is killed. Idempotent; a handle that is unknown
    /// is one that is gone, and that is success. Returns once the instance uses no memory any more.
    async fn terminate(&self, cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()>;

    /// Looks at one instance.
    async fn inspect(&self, _cx: &CallContext, _handle: &str) -> Result<InstanceStatus> {
        Err(BackendError::unsupported("inspect"))
    }

    /// Every instance of this installation, of this epoch or an earlier one.
    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        Err(BackendError::unsupported("list"))
    }

    /// Removes what an earlier host process of this installation left behind (its owner, another epoch), and
    /// nothing else. Called at start and then about every minute.
    async fn reap(&self, _cx: &CallContext) -> Result<ReapReport> {
        Ok(ReapReport { removed: Vec::new(), failed: Vec::new() })
    }

    /// What the instance writes, from `since_ms` (milliseconds since 1970) on; ends when the instance ends.
    async fn logs(&self, _cx: &CallContext, _handle: &str, _since_ms: u64) -> Result<LogStream> {
        Err(BackendError::unsupported("logs"))
    }

    /// What the instance uses at this moment.
    async fn stats(&self, _cx: &CallContext, _handle: &str) -> Result<InstanceStats> {
        Err(BackendError::unsupported("stats"))
    }

    /// Stops the instance's processes where they stand, between two invocations.
    async fn pause(&self, _cx: &CallContext, _handle: &str) -> Result<()> {
        Err(BackendError::unsupported("pause"))
    }

    /// Lets a paused instance go on. Idempotent.
    async fn resume(&self, _cx: &CallContext, _handle: &str) -> Result<()> {
        Err(BackendError::unsupported("resume"))
    }

    /// Called once, last, after every instance was terminated. Whatever the backend still owns must be gone
    /// afterwards.
    async fn shutdown(&self, _cx: &CallContext) -> Result<()> {
        Ok(())
    }
}

/// What [`export_backend!`](crate::export_backend) needs on top of [`Backend`]: a configuration and a
/// constructor.
pub trait Plugin: Backend + Sized {
    /// Parsed from the host's configuration file, section `[backends.<name>]`. Derive it with
    /// `#[serde(default, deny_unknown_fields)]`, so that a mistyped option is refused with the list of those
    /// that exist.
    type Config: serde::Serialize + serde::de::DeserializeOwned + Default + Send + 'static;

    /// Everything that [`Backend::info`] may announce. It is written into the plugin's file, so that
    /// `hearth backends` can show it without running any code; `info` announces what holds here and now.
    const CAPABILITIES: Capabilities = Capabilities::NONE;

    /// Called once, on the backend's own runtime, before anything else. Fail with
    /// [`ErrorKind::CONFIG`](crate::ErrorKind::CONFIG) and a message that says what to do when something that
    /// is needed is missing: the user reads it as one line.
    fn create(config: Self::Config, host: Host) -> impl Future<Output = Result<Self>> + Send;
}

/// The host, as a backend sees it. Cheap to clone.
#[derive(Clone)]
pub struct Host {
    info: Arc<HostInfo>,
    sink: Arc<dyn HostSink>,
}

/// Where a backend's messages to the host go. Implemented by the plugin glue, and by tests.
pub trait HostSink: Send + Sync + 'static {
    /// Must not block.
    fn event(&self, event: Event);
    /// Must not block.
    fn progress(&self, progress: Progress);
}

impl Host {
    /// A host around any sink; the glue makes one for a plugin, a unit test of a backend makes its own.
    pub fn new(info: HostInfo, sink: impl HostSink) -> Self {
        Self { info: Arc::new(info), sink: Arc::new(sink) }
    }

    /// Who the host is: owner and epoch for labels, the state directory, ….
    pub fn info(&self) -> &HostInfo {
        &self.info
    }

    /// Tells the host what happened to an instance, so that a dead one leaves the pool at once. Never blocks.
    pub fn emit(&self, kind: EventKind, handle: &str, meta: Meta) {
        self.sink.event(Event { kind, handle: handle.to_owned(), meta });
    }

    /// Tells the host how far [`Backend::prepare`] has come. Never blocks.
    pub fn progress(&self, progress: Progress) {
        self.sink.progress(progress);
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Host").field("info", &self.info).finish_non_exhaustive()
    }
}
