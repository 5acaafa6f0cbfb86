//! Inside the process that holds a backend: loads it and answers the host's calls, until the host is gone.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, stdin};
use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream as BlockingStream;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::StreamExt as _;
use futures_util::stream::ReadyChunks;
use hearth_core::{
    Backend, BackendError, CallContext, Event, HostSink, Instance, LogLine, LogStream, Progress,
};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::net::UnixStream;
use tokio::signal::unix::{Signal as Heard, SignalKind, signal};
use tokio::sync::{Mutex as AsyncMutex, mpsc};
use tokio::task::AbortHandle;

use super::wire::{self, Call, Incoming, Operation, Order, Refusal, Report};
use crate::plugin::{self, LoadError, LoadOptions, Problem};

/// Most lines of a log that are sent at once.
const MOST_LINES: usize = 256;

/// Holds the backend in the library at `path` for the host at the other end of standard input. Returns when the host
/// has gone, or wants no backend any more.
pub async fn hold(path: &Path) -> io::Result<()> {
    let socket = UnixStream::from_std(take_socket()?)?;
    // What is told to the whole process group is told to the host: it ends the instances first, and then this.
    let _heard = ignore_requests_to_end()?;
    let (reading, writing) = socket.into_split();
    let mut orders = Incoming::<Order>::new(reading);
    let (reports, outgoing) = mpsc::unbounded_channel();
    let sender = tokio::spawn(wire::send(outgoing, writing));
    if let Some(Order::Load(options)) = orders.next().await {
        match load(path, options, reports.clone()).await {
            Ok(held) => serve(Arc::new(held), orders).await,
            Err(refusal) => {
                let _gone = reports.send(Report::Loaded(Err(refusal)));
            }
        }
    }
    drop(reports);
    // One that has panicked has told so itself.
    let _told = sender.await;
    Ok(())
}

/// The socket is nobody's standard input any more, least of all that of processes which the backend starts. Were the
/// host to die before it reads a word of this, the socket would tell.
fn take_socket() -> io::Result<BlockingStream> {
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    prctl::set_name(c"hearth-backend")?;
    let socket = BlockingStream::from(stdin().as_fd().try_clone_to_owned()?);
    nix::unistd::dup2_stdin(File::open("/dev/null")?)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

fn ignore_requests_to_end() -> io::Result<[Heard; 2]> {
    Ok([signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?])
}

async fn load(
    path: &Path,
    options: LoadOptions,
    reports: mpsc::UnboundedSender<Report>,
) -> Result<Held, Refusal> {
    let sink = Arc::new(Sink(reports.clone()));
    match plugin::load(path, options, sink).await {
        Ok(loaded) => {
            let _gone = reports.send(Report::Loaded(Ok(loaded.info)));
            Ok(Held { backend: loaded.backend, reports, state: Mutex::default() })
        }
        Err(LoadError { problem: Problem::Create(error), .. }) => Err(Refusal::Create(error)),
        Err(LoadError { problem, .. }) => Err(Refusal::Library(problem.to_string())),
    }
}

async fn serve(held: Arc<Held>, mut orders: Incoming<Order>) {
    while let Some(order) = orders.next().await {
        held.obey(order);
    }
}

/// What the backend tells without being asked.
struct Sink(mpsc::UnboundedSender<Report>);

impl HostSink for Sink {
    fn event(&self, event: Event) {
        let _gone = self.0.send(Report::Event(event));
    }

    fn progress(&self, progress: Progress) {
        let _gone = self.0.send(Report::Progress(progress));
    }
}

/// The backend, and what is under way in it.
struct Held {
    backend: Arc<dyn Backend>,
    reports: mpsc::UnboundedSender<Report>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    calls: HashMap<u64, Phase>,
    logs: HashMap<u64, Arc<AsyncMutex<ReadyChunks<LogStream>>>>,
}

/// How far a call is that the host has neither cancelled nor been done with.
enum Phase {
    UnderWay(AbortHandle),
    /// The instance that it has launched is on its way to the host.
    Unclaimed {
        handle: String,
    },
}

/// What a call came to.
enum Outcome {
    Value(Box<RawValue>),
    Launched(Instance),
    Log(u64, LogStream),
}

impl Held {
    fn obey(self: &Arc<Self>, order: Order) {
        match order {
            Order::Load(_) => tracing::error!("a second backend was asked of the process of one"),
            Order::Call { id, call } => {
                let mut state = self.state();
                let task = tokio::spawn(Arc::clone(self).answer(id, call));
                state.calls.insert(id, Phase::UnderWay(task.abort_handle()));
            }
            Order::Cancel { id } => match self.state().calls.remove(&id) {
                Some(Phase::UnderWay(task)) => task.abort(),
                Some(Phase::Unclaimed { handle }) => self.abandon(handle),
                None => {}
            },
            Order::Taken { id } => drop(self.state().calls.remove(&id)),
            Order::Close { log } => drop(self.state().logs.remove(&log)),
        }
    }

    async fn answer(self: Arc<Self>, id: u64, call: Call) {
        let outcome = self.perform(call).await;
        let mut state = self.state();
        if state.calls.remove(&id).is_none() {
            // It was cancelled too late to be stopped.
            if let Ok(Outcome::Launched(instance)) = outcome {
                self.abandon(instance.handle);
            }
            return;
        }
        let answer = outcome.and_then(|outcome| match outcome {
            Outcome::Value(value) => Ok(value),
            Outcome::Launched(instance) => {
                let value = raw(&instance)?;
                state.calls.insert(id, Phase::Unclaimed { handle: instance.handle });
                Ok(value)
            }
            Outcome::Log(log, lines) => {
                state.logs.insert(log, Arc::new(AsyncMutex::new(lines.ready_chunks(MOST_LINES))));
                raw(&())
            }
        });
        let _gone = self.reports.send(Report::Answer { id, answer });
    }

    async fn perform(&self, Call { cx, operation }: Call) -> Result<Outcome, BackendError> {
        let backend = &self.backend;
        Ok(match operation {
            Operation::Prepare(spec) => value(&backend.prepare(&cx, &spec).await?)?,
            Operation::Launch(spec) => Outcome::Launched(backend.launch(&cx, &spec).await?),
            Operation::Terminate { handle, grace_ms } => {
                value(&backend.terminate(&cx, &handle, grace_ms).await?)?
            }
            Operation::Inspect { handle } => value(&backend.inspect(&cx, &handle).await?)?,
            Operation::List => value(&backend.list(&cx).await?)?,
            Operation::Reap => value(&backend.reap(&cx).await?)?,
            Operation::Logs { log, handle, since_ms } => {
                Outcome::Log(log, backend.logs(&cx, &handle, since_ms).await?)
            }
            Operation::NextLines { log } => value(&self.next_lines(log).await)?,
            Operation::Stats { handle } => value(&backend.stats(&cx, &handle).await?)?,
            Operation::Pause { handle } => value(&backend.pause(&cx, &handle).await?)?,
            Operation::Resume { handle } => value(&backend.resume(&cx, &handle).await?)?,
            Operation::Shutdown => value(&backend.shutdown(&cx).await?)?,
        })
    }

    async fn next_lines(&self, log: u64) -> Vec<LogLine> {
        let open = self.state().logs.get(&log).cloned();
        let Some(open) = open else { return Vec::new() };
        open.lock().await.next().await.unwrap_or_default()
    }

    /// Ends an instance that the host does not want any more.
    fn abandon(&self, handle: String) {
        let backend = Arc::clone(&self.backend);
        tokio::spawn(async move {
            if let Err(error) = backend.terminate(&CallContext::default(), &handle, 0).await {
                tracing::error!(handle, %error, "an abandoned instance could not be terminated");
            }
        });
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn value(value: &impl Serialize) -> Result<Outcome, BackendError> {
    raw(value).map(Outcome::Value)
}

fn raw(value: &impl Serialize) -> Result<Box<RawValue>, BackendError> {
    to_raw_value(value).map_err(|error| BackendError::internal("an answer cannot be sent").caused_by(&error))
}
