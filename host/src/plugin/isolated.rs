//! A backend in a process of its own: whatever ends that process costs the host only the backend.
//!
//! ```text
//! host: Isolated ─► Connection ── socket ── child::hold ─► plugin::load ─► the library
//!          ▲            ▲
//!          └── Life ── Keeper: starts the process, and another one when it has ended
//! ```
//!
//! The process is this very program (`hearth backend host`), its library the same, and what crosses are calls and
//! answers: invocations go from the host to the instances themselves and do not notice. See
//! docs/adr/0010-isolated-backends-are-this-program-again.md.

mod child;
mod connection;
mod instances;
mod keeper;
mod logs;
mod process;
mod wire;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::{
    Backend, BackendInfo, CallContext, HostSink, Instance, InstanceStats, InstanceStatus, LaunchSpec,
    LogStream, ReapReport, Result,
};
use serde::de::DeserializeOwned;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

pub use self::child::hold;
pub use self::process::Program;

use self::connection::Connection;
use self::instances::Instances;
use self::keeper::{END_LIMIT, Keeper, Life, gone};
use self::logs::Following;
use self::wire::Operation;
use super::{LoadOptions, Problem};

/// How long a call waits for a process that is being started again.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same at the end of the host, when there may be nothing left to shut down.
const LAST_PATIENCE: Duration = Duration::from_secs(1);

/// A backend in another process, behind the trait that its author implemented.
pub(super) struct Isolated {
    info: BackendInfo,
    life: watch::Receiver<Life>,
    instances: Arc<Instances>,
    /// Ends the process.
    stop: CancellationToken,
}

/// Starts a process with the library at `path` in it, and creates its backend there.
pub(super) async fn start(
    program: Program,
    path: &Path,
    options: LoadOptions,
    sink: Arc<dyn HostSink>,
) -> Result<Isolated, Problem> {
    let instances = Arc::new(Instances::default());
    let library = std::path::absolute(path)?;
    let keeper = Keeper { program, library, options, sink, instances: Arc::clone(&instances) };
    let home = keeper.begin().await?;
    let info = home.info.clone();
    let (living, life) = watch::channel(Life::Up(Arc::clone(&home.connection)));
    let stop = CancellationToken::new();
    tokio::spawn(keeper.keep(home, living, stop.clone()));
    Ok(Isolated { info, life, instances, stop })
}

impl Isolated {
    async fn call<T: DeserializeOwned>(&self, cx: &CallContext, operation: Operation) -> Result<T> {
        self.connection(patience(cx)).await?.call(cx, operation).await
    }

    /// The process that there is, or that comes within `patience`.
    async fn connection(&self, patience: Duration) -> Result<Arc<Connection>> {
        let mut life = self.life.clone();
        // If nobody keeps it any more, it stays as it is.
        drop(tokio::time::timeout(patience, life.wait_for(Life::is_settled)).await);
        match &*self.life.borrow() {
            Life::Up(connection) => Ok(Arc::clone(connection)),
            Life::Down(how) => Err(gone(how)),
            Life::Over => Err(gone("it was shut down")),
        }
    }
}

/// Nobody waits longer for a process than for its answer.
fn patience(cx: &CallContext) -> Duration {
    match cx.budget_ms {
        0 => PATIENCE,
        budget_ms => PATIENCE.min(Duration::from_millis(budget_ms)),
    }
}

#[async_trait::async_trait]
impl Backend for Isolated {
    fn info(&self) -> BackendInfo {
        self.info.clone()
    }

    async fn prepare(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<()> {
        self.call(cx, Operation::Prepare(Box::new(spec.clone()))).await
    }

    async fn launch(&self, cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        self.call(cx, Operation::Launch(Box::new(spec.clone()))).await
    }

    async fn terminate(&self, cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        self.call::<()>(cx, Operation::Terminate { handle: handle.to_owned(), grace_ms }).await?;
        self.instances.gone(handle);
        Ok(())
    }

    async fn inspect(&self, cx: &CallContext, handle: &str) -> Result<InstanceStatus> {
        self.call(cx, Operation::Inspect { handle: handle.to_owned() }).await
    }

    async fn list(&self, cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        self.call(cx, Operation::List).await
    }

    async fn reap(&self, cx: &CallContext) -> Result<ReapReport> {
        self.call(cx, Operation::Reap).await
    }

    async fn logs(&self, cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        let connection = self.connection(patience(cx)).await?;
        Following::open(connection, self.life.clone(), cx, handle, since_ms).await
    }

    async fn stats(&self, cx: &CallContext, handle: &str) -> Result<InstanceStats> {
        self.call(cx, Operation::Stats { handle: handle.to_owned() }).await
    }

    async fn pause(&self, cx: &CallContext, handle: &str) -> Result<()> {
        self.call(cx, Operation::Pause { handle: handle.to_owned() }).await
    }

    async fn resume(&self, cx: &CallContext, handle: &str) -> Result<()> {
        self.call(cx, Operation::Resume { handle: handle.to_owned() }).await
    }

    async fn shutdown(&self, cx: &CallContext) -> Result<()> {
        let ended = match self.connection(LAST_PATIENCE).await {
            Ok(connection) => connection.call(cx, Operation::Shutdown).await,
            Err(error) => Err(error),
        };
        self.stop.cancel();
        let mut life = self.life.clone();
        let is_over = life.wait_for(|life| matches!(life, Life::Over));
        // The keeper says so if it does not end.
        let _told = tokio::time::timeout(END_LIMIT * 2, is_over).await;
        ended
    }
}

impl Drop for Isolated {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

impl std::fmt::Debug for Isolated {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Isolated").field("info", &self.info).finish_non_exhaustive()
    }
}
