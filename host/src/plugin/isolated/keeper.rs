//! Keeps a backend alive: when its process ends, another one takes its place.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hearth_core::{
    BackendError, BackendInfo, CallContext, Capabilities, Event, EventKind, HostSink, InstanceStatus, Meta,
    State,
};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::connection::Connection;
use super::instances::Instances;
use super::process::{self, Process, Program};
use super::wire::{self, Incoming, Operation, Order, Refusal, Report};
use crate::clock::Clock;
use crate::plugin::{LoadOptions, Problem};

/// The pause before a second process is started that follows upon one that did not live long; it doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A process that lived as long as that is no part of a series.
const LONG_LIFE: Duration = Duration::from_secs(60);
/// How long a process may take to end whose socket is closed.
pub(super) const END_LIMIT: Duration = Duration::from_secs(2);

/// Whether there is a process, as those see it who want to call the backend.
#[derive(Clone, Debug)]
pub(super) enum Life {
    Up(Arc<Connection>),
    /// Its process has ended, in these words, and another one is on its way.
    Down(String),
    /// It was shut down.
    Over,
}

impl Life {
    /// Whether it is of no use to wait.
    pub(super) fn is_settled(&self) -> bool {
        match self {
            Self::Up(connection) => connection.is_open(),
            Self::Down(_) => false,
            Self::Over => true,
        }
    }

    pub(super) fn connection(&self) -> Option<Arc<Connection>> {
        match self {
            Self::Up(connection) => Some(Arc::clone(connection)),
            Self::Down(_) | Self::Over => None,
        }
    }
}

/// Everything that is needed to start a process with the same backend in it.
pub(super) struct Keeper {
    pub(super) program: Program,
    pub(super) library: PathBuf,
    /// Owner and epoch stay as they are: instances that live on belong to the same host.
    pub(super) options: LoadOptions,
    pub(super) sink: Arc<dyn HostSink>,
    pub(super) instances: Arc<Instances>,
}

/// A process with a backend that is ready. Dropping it ends the process.
pub(super) struct Home {
    pub(super) connection: Arc<Connection>,
    pub(super) info: BackendInfo,
    /// Completes when the process has ended; how, in words.
    over: JoinHandle<String>,
}

impl Drop for Home {
    fn drop(&mut self) {
        self.connection.lose(&gone("it was shut down"));
    }
}

impl Keeper {
    /// Starts a process and has it create the backend.
    pub(super) async fn begin(&self) -> Result<Home, Problem> {
        let Process { socket, mut ended } =
            process::start(&self.program, &self.library).await.map_err(|error| {
                Problem::Isolated(format!("a process for the backend cannot be started: {error}"))
            })?;
        let (reading, writing) = socket.into_split();
        let (orders, outgoing) = mpsc::unbounded_channel();
        tokio::spawn(wire::send(outgoing, writing));
        let _gone = orders.send(Order::Load(self.options.clone()));
        let mut reports = Incoming::<Report>::new(reading);
        let info = loop {
            match reports.next().await {
                Some(Report::Loaded(Ok(info))) => break info,
                Some(Report::Loaded(Err(Refusal::Create(error)))) => return Err(Problem::Create(error)),
                Some(Report::Loaded(Err(Refusal::Library(problem)))) => {
                    return Err(Problem::Isolated(problem));
                }
                Some(report) => self.hear(report),
                None => {
                    let how = how_it_ended(&mut ended).await;
                    return Err(Problem::Isolated(format!("its process ended while it was loaded ({how})")));
                }
            }
        };
        let connection = Arc::new(Connection::new(orders, Arc::clone(&self.instances)));
        let (sink, instances) = (Arc::clone(&self.sink), Arc::clone(&self.instances));
        let over = tokio::spawn(attend(reports, Arc::clone(&connection), sink, instances, ended));
        Ok(Home { connection, info, over })
    }

    /// Starts another process whenever one has ended, until it is told to stop.
    pub(super) async fn keep(self, mut home: Home, life: watch::Sender<Life>, stop: CancellationToken) {
        let clock = Clock::start();
        let mut pauses = Pauses::default();
        loop {
            let began = clock.now();
            let how = tokio::select! {
                how = &mut home.over => how.unwrap_or_else(|panic| panic.to_string()),
                () = stop.cancelled() => break,
            };
            let pause = pauses.after_a_life_of(clock.now() - began);
            tracing::warn!(how, ?pause, "the backend's process has ended; starting it again");
            life.send_replace(Life::Down(how.clone()));
            home = tokio::select! {
                home = self.revive(&how, pause, &mut pauses) => home,
                () = stop.cancelled() => break,
            };
            life.send_replace(Life::Up(Arc::clone(&home.connection)));
        }
        home.connection.lose(&gone("it was shut down"));
        if !home.over.is_finished() && tokio::time::timeout(END_LIMIT, &mut home.over).await.is_err() {
            tracing::warn!("the backend's process does not end");
        }
        life.send_replace(Life::Over);
    }

    async fn revive(&self, how: &str, mut pause: Duration, pauses: &mut Pauses) -> Home {
        loop {
            tokio::time::sleep(pause).await;
            let failure = match self.begin().await {
                Ok(home) => match self.take_stock(&home, how).await {
                    Ok(()) => return home,
                    Err(error) => error.to_string(),
                },
                Err(problem) => problem.to_string(),
            };
            pause = pauses.next();
            tracing::warn!(%failure, ?pause, "the backend's process cannot be started again; trying once more");
        }
    }

    /// Compares what the host holds with what there is. What is not there any more is told to the host, and what the
    /// host never heard of is ended: the answers to its launches were lost.
    async fn take_stock(&self, home: &Home, how: &str) -> Result<(), BackendError> {
        let held = self.instances.all();
        let cx = CallContext::default();
        // Of a backend that cannot tell, nothing is known, and so nothing is kept.
        let mut living = Vec::new();
        if home.info.capabilities.contains(Capabilities::LIST) {
            living = home.connection.call::<Vec<InstanceStatus>>(&cx, Operation::List).await?;
            living.retain(|status| self.is_ours(status) && status.state != State::ENDED);
        }
        let living: std::collections::BTreeSet<_> = living.into_iter().map(|status| status.handle).collect();
        for handle in held.difference(&living) {
            self.hear(Report::Event(Event {
                kind: EventKind::EXITED,
                handle: handle.clone(),
                meta: Meta::from([("reason".to_owned(), format!("the backend's process has ended ({how})"))]),
            }));
        }
        for handle in living.difference(&held) {
            let operation = Operation::Terminate { handle: handle.clone(), grace_ms: 0 };
            home.connection.call::<()>(&cx, operation).await?;
        }
        let (adopted, lost) = (held.intersection(&living).count(), held.difference(&living).count());
        tracing::info!(adopted, lost, "the backend's process is back");
        Ok(())
    }

    fn is_ours(&self, status: &InstanceStatus) -> bool {
        let host = &self.options.host_info;
        status.owner == host.owner && status.epoch == host.epoch
    }

    fn hear(&self, report: Report) {
        hear(report, &*self.sink, &self.instances);
    }
}

/// Takes what a process reports, until it has ended. Answers how it did.
async fn attend(
    mut reports: Incoming<Report>,
    connection: Arc<Connection>,
    sink: Arc<dyn HostSink>,
    instances: Arc<Instances>,
    mut ended: oneshot::Receiver<std::io::Result<std::process::ExitStatus>>,
) -> String {
    while let Some(report) = reports.next().await {
        match report {
            Report::Answer { id, answer } => connection.answer(id, answer),
            report => hear(report, &*sink, &instances),
        }
    }
    let how = how_it_ended(&mut ended).await;
    connection.lose(&gone(&how));
    how
}

fn hear(report: Report, sink: &dyn HostSink, instances: &Instances) {
    match report {
        Report::Event(event) => {
            instances.gone(&event.handle);
            sink.event(event);
        }
        Report::Progress(progress) => sink.progress(progress),
        Report::Loaded(_) | Report::Answer { .. } => {
            tracing::error!("the backend's process answers what it was not asked");
        }
    }
}

async fn how_it_ended(ended: &mut oneshot::Receiver<std::io::Result<std::process::ExitStatus>>) -> String {
    match tokio::time::timeout(END_LIMIT, ended).await {
        Ok(Ok(Ok(status))) => status.to_string(),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(_)) | Err(_) => "it does not answer".to_owned(),
    }
}

/// Why calls fail that need the process: it may be there again for the next one.
pub(super) fn gone(how: &str) -> BackendError {
    BackendError::unavailable(format!("the backend's process has ended ({how})"))
        .with_meta("process.end", how)
}

/// Pauses between the end of one process and the start of the next.
#[derive(Debug, Default)]
struct Pauses {
    last: Option<Duration>,
}

impl Pauses {
    /// None for the first of a series.
    fn after_a_life_of(&mut self, life: Duration) -> Duration {
        if life >= LONG_LIFE {
            self.last = None;
        }
        match self.last {
            None => {
                self.last = Some(Duration::ZERO);
                Duration::ZERO
            }
            Some(_) => self.next(),
        }
    }

    fn next(&mut self) -> Duration {
        let next = (self.last.unwrap_or_default() * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.last = Some(next);
        next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_while_processes_do_not_live_long() {
        let mut pauses = Pauses::default();
        let short = Duration::from_secs(1);
        let mut milliseconds = |life| pauses.after_a_life_of(life).as_millis();
        assert_eq!([short; 4].map(&mut milliseconds), [0, 100, 200, 400]);
        assert_eq!(
            [short; 8].map(&mut milliseconds),
            [800, 1600, 3200, 6400, 12_800, 25_600, 30_000, 30_000]
        );
        assert_eq!([LONG_LIFE, short].map(&mut milliseconds), [0, 100]);
    }
}
