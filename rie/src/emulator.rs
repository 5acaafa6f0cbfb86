//! What the two HTTP faces and the supervisor share: the sandbox under its lock, the logs, the measurements.

mod extensions;
mod standstill;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::HeaderValue;
use hyper::body::Incoming;
use tokio::sync::{Notify, oneshot, watch};

use crate::clock::{self, Instant};
use crate::config::{Admission, Defaults, StreamRules};
use crate::identity::Identity;
use crate::init::{Init, InitEnd, InitOutcome};
use crate::invocation::{Answer, Caller, Event, Health, Invocation, ProcessEnd, ResponseMode};
use crate::log::Logs;
use crate::outcome::{Fault, FaultKind, Outcome};
use crate::output::Output;
use crate::platform::{
    InitMetrics, InitPhase, Milliseconds, Moment, Record, ReportMetrics, RuntimeMetrics, Span,
};
use crate::process::Group;
use crate::process::usage::Meter;
use crate::sandbox::{Ended, Next, OutOfOrder, Refusal, Sandbox, Step};
use crate::stream::{Ending, Fate, ResponseStream, StreamError};
use standstill::FreezerSignals;
pub(crate) use standstill::Standstill;

/// One instance, from the inside.
pub(crate) struct Emulator {
    pub(crate) identity: Identity,
    pub(crate) admission: Admission,
    pub(crate) defaults: Option<Defaults>,
    pub(crate) runtime_api: SocketAddr,
    pub(crate) stream_rules: StreamRules,
    pub(crate) logs: Arc<Logs>,
    sandbox: Mutex<Sandbox>,
    /// The process that runs, or the last one that did.
    probe: Mutex<Option<Probe>>,
    /// Those of the external extensions that run.
    companions: Mutex<Vec<Group>>,
    init: watch::Sender<Option<Init>>,
    /// Something happened that the supervisor must know of.
    changed: Notify,
    freezer: FreezerSignals,
}

/// Where the process can be listened to and measured.
#[derive(Clone)]
pub(crate) struct Probe {
    pub(crate) group: Group,
    pub(crate) output: Arc<Output>,
    pub(crate) meter: Arc<Meter>,
}

/// An invocation, as its caller describes it.
pub(crate) struct Order {
    pub(crate) event: Arc<Event>,
    pub(crate) timeout: Duration,
    pub(crate) wants_tail: bool,
    pub(crate) response_mode: ResponseMode,
}

impl Emulator {
    pub(crate) fn new(
        identity: Identity,
        admission: Admission,
        defaults: Option<Defaults>,
        runtime_api: SocketAddr,
        stream_rules: StreamRules,
        logs: Arc<Logs>,
        sandbox: Sandbox,
    ) -> Self {
        Self {
            identity,
            admission,
            defaults,
            runtime_api,
            stream_rules,
            logs,
            sandbox: Mutex::new(sandbox),
            probe: Mutex::new(None),
            companions: Mutex::default(),
            init: watch::Sender::new(None),
            changed: Notify::new(),
            freezer: FreezerSignals::default(),
        }
    }

    /// Takes an invocation on. Its answer comes whether anybody waits for it or not.
    pub(crate) fn accept(&self, order: Order) -> Result<oneshot::Receiver<Answer>, Refusal> {
        let (answer, receiver) = oneshot::channel();
        let Order { event, timeout, wants_tail, response_mode } = order;
        let mut sandbox = self.sandbox();
        sandbox.admits()?;
        self.logs.begin(event.id.clone(), wants_tail);
        self.thaw(&mut sandbox);
        let caller = Caller::Waiting(answer, response_mode);
        if sandbox.accept(Invocation::new(event, clock::now(), timeout, caller)) {
            self.changed.notify_one();
        }
        Ok(receiver)
    }

    /// Runtime API: the runtime is about to be given an invocation. Its START stands behind what the init had
    /// to say and before what the function says.
    pub(crate) fn announce(&self, id: &str) {
        let event = self.sandbox().announce(id);
        if let Some(event) = event {
            self.say_start(&event);
        }
    }

    fn say_start(&self, event: &Event) {
        let start = Record::Start {
            request_id: &event.id,
            function_arn: event.header("lambda-runtime-invoked-function-arn").unwrap_or_default(),
            version: &self.identity.function.version,
            tracing: event.tracing(),
        };
        self.logs.say_of(&event.id, &start);
    }

    /// Runtime API: the next invocation.
    pub(crate) fn next(&self, generation: u64) -> Result<Next, OutOfOrder> {
        let mut sandbox = self.sandbox();
        let (next, init) = sandbox.next(clock::now(), generation)?;
        self.may_rest(&sandbox);
        drop(sandbox);
        self.publish(init);
        Ok(next)
    }

    /// Runtime API: the runtime begins to answer. Dropping the result without finishing lets it try again.
    pub(crate) fn begin_response(
        self: &Arc<Self>,
        generation: u64,
        id: &str,
    ) -> Result<Response<'_>, OutOfOrder> {
        self.sandbox().begin_response(clock::now(), generation, id)?;
        Ok(Response { emulator: self, id: id.into(), unfinished: Unfinished::GiveBack })
    }

    /// An invocation has ended, unless it had already.
    pub(crate) fn finish(&self, id: &str, outcome: Outcome) {
        let mut sandbox = self.sandbox();
        let invocation = sandbox.finish(id);
        let winding_up = sandbox.is_winding_up();
        drop(sandbox);
        if let Some(invocation) = invocation {
            self.complete(invocation, outcome);
        }
        if winding_up {
            self.changed.notify_one();
        }
    }

    /// Runtime API: the init failed.
    pub(crate) fn init_failed(
        &self,
        generation: u64,
        reported: impl Fn() -> Outcome,
        reason: &str,
        error_type: Arc<str>,
    ) -> Result<(), OutOfOrder> {
        let now = clock::now();
        let (ended, init) = self.sandbox().init_failed(now, generation, reported, reason, error_type)?;
        self.settle(ended, Some(init));
        self.changed.notify_one();
        Ok(())
    }

    /// Supervisor: what is to be done.
    pub(crate) fn step(&self) -> Step {
        let (step, ended, init) = self.sandbox().step(clock::now());
        self.settle(ended, init);
        step
    }

    /// Supervisor: a process is about to be started.
    pub(crate) fn started(&self, extensions: &[Arc<str>]) {
        let mut sandbox = self.sandbox();
        sandbox.started(clock::now(), extensions);
        let phase = sandbox.init_phase();
        drop(sandbox);
        self.logs.telemetry.open();
        let Identity { function, initialization_type, log_stream, .. } = &self.identity;
        self.logs.say(&Record::InitStart {
            initialization_type,
            phase,
            function_name: &function.name,
            function_version: &function.version,
            instance_id: log_stream,
            instance_max_memory: u64::from(function.memory_mb) * 1024 * 1024,
        });
    }

    /// Supervisor: the process can be listened to.
    pub(crate) fn attach(&self, probe: Probe) {
        *self.probe_slot() = Some(probe);
    }

    /// Supervisor: the process is gone.
    pub(crate) fn gone(&self, end: &ProcessEnd) {
        if let Some(probe) = self.probe() {
            probe.output.drain();
        }
        let mut sandbox = self.sandbox();
        self.thaw_companions(&mut sandbox);
        let (ended, init) = sandbox.gone(clock::now(), end);
        drop(sandbox);
        if let Some(InitEnd { outcome: InitOutcome::Failed { reason }, .. }) = &init {
            self.logs.say(&Record::Fault(&format!("Init failed: {reason}")));
        }
        self.settle(ended, init);
    }

    /// Supervisor: since when something is under way that may use memory. If nothing is, whatever comes next
    /// is a [change](Self::changed).
    pub(crate) fn busy_since(&self) -> Option<Instant> {
        self.sandbox().busy_since()
    }

    pub(crate) fn close(&self, grace: Duration) {
        let mut sandbox = self.sandbox();
        self.thaw(&mut sandbox);
        sandbox.close(clock::now() + grace);
        drop(sandbox);
        self.changed.notify_one();
    }

    pub(crate) fn generation(&self) -> u64 {
        self.sandbox().generation()
    }

    pub(crate) fn probe(&self) -> Option<Probe> {
        self.probe_slot().clone()
    }

    /// The groups of processes that the instance has: the function's, and those of the external extensions.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Group> {
        self.probe().map(|probe| probe.group).into_iter().chain(self.companions())
    }

    pub(crate) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Waits for the end of the init phase.
    pub(crate) async fn init(&self) -> Init {
        let mut receiver = self.init.subscribe();
        let ended = receiver.wait_for(Option::is_some).await;
        ended.ok().and_then(|init| init.clone()).expect("the sender lives in self and `Some` was waited for")
    }

    fn settle(&self, ended: Ended, init: Option<InitEnd>) {
        self.publish(init);
        for (invocation, outcome) in ended {
            self.complete(invocation, outcome);
        }
    }

    fn publish(&self, init: Option<InitEnd>) {
        let Some(init) = init else { return };
        let initialization_type = &*self.identity.initialization_type;
        let (phase, verdict) = (init.phase, init.verdict());
        let metrics = InitMetrics { duration_ms: Milliseconds(init.duration) };
        self.logs.say(&Record::InitRuntimeDone { initialization_type, phase, verdict });
        self.logs.say(&Record::InitReport { initialization_type, phase, verdict, metrics });
        self.logs.telemetry.close();
        if phase == InitPhase::Init {
            self.init.send_replace(Some(Init { outcome: init.outcome, duration: init.duration }));
        }
    }

    /// Writes the last lines of an invocation and answers it.
    fn complete(&self, invocation: Invocation, outcome: Outcome) {
        let now = clock::now();
        let duration = now.saturating_duration_since(invocation.begun).min(invocation.timeout);
        let max_memory_bytes = self.measure(duration);
        let id = &*invocation.id;
        if !invocation.announced {
            self.say_start(&invocation.event);
        }
        let fault = if let Outcome::Fault(fault) = &outcome { Some(fault) } else { None };
        if let Some(text) = fault.and_then(|fault| fault.text(id)) {
            self.logs.say_of(id, &Record::Fault(&text));
        }
        self.logs.say_of(
            id,
            &Record::RuntimeDone {
                request_id: id,
                verdict: outcome.verdict_of_runtime(),
                tracing: invocation.event.tracing(),
                spans: spans(&invocation, now),
                metrics: RuntimeMetrics {
                    duration_ms: Milliseconds(duration),
                    produced_bytes: outcome.produced_bytes(),
                },
            },
        );
        self.logs.say_of(id, &Record::End { request_id: id });
        let memory_mb = self.identity.function.memory_mb;
        // What was over the limit was not given.
        let limit = u64::from(memory_mb) * 1024 * 1024;
        let ran_out = fault.is_some_and(|fault| fault.kind == FaultKind::OutOfMemory);
        let max_memory_bytes = if ran_out { limit } else { max_memory_bytes };
        self.logs.say_of(
            id,
            &Record::Report {
                request_id: id,
                metrics: ReportMetrics::new(duration, invocation.init, memory_mb, max_memory_bytes),
                tracing: invocation.event.tracing(),
                verdict: outcome.verdict(),
            },
        );
        self.answer(invocation, outcome);
    }

    /// Waits for the last lines of the process, and returns the most memory that it was seen to use, in bytes.
    fn measure(&self, duration: Duration) -> u64 {
        let Some(probe) = self.probe() else { return 0 };
        probe.output.drain();
        probe.meter.glance();
        if duration > Self::BRIEF {
            probe.meter.look_back();
        }
        probe.meter.peak()
    }

    fn answer(&self, invocation: Invocation, outcome: Outcome) {
        let log_tail = self.logs.end(&invocation.id);
        // A caller that has gone does not want to know.
        match invocation.caller {
            Caller::Waiting(answer, _) => {
                let health = match &outcome {
                    Outcome::Fault(Fault { kind: FaultKind::InvalidEntrypoint, .. }) => Health::Broken,
                    _ => Health::Reusable,
                };
                drop(answer.send(Answer::Whole { outcome, log_tail, health }));
            }
            Caller::Streaming(ending) => {
                let error = match outcome {
                    Outcome::Streamed { error, .. } => error,
                    Outcome::Fault(fault) => Some(StreamError::of_fault(&fault)),
                    // Once it streams, the runtime has no other way to end its response.
                    Outcome::Returned { .. } | Outcome::Reported { .. } => None,
                };
                drop(ending.send(Ending { error, log_tail }));
            }
        }
    }

    /// A process hardly grows and shrinks again within this time; a look back costs more than it tells.
    const BRIEF: Duration = Duration::from_millis(10);

    fn sandbox(&self) -> MutexGuard<'_, Sandbox> {
        self.sandbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn probe_slot(&self) -> MutexGuard<'_, Option<Probe>> {
        self.probe.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How long the function took to begin its answer, and how long to write it.
fn spans(invocation: &Invocation, now: Instant) -> Vec<Span> {
    let Some(responding) = invocation.responding else { return Vec::new() };
    let span = |name, from: Instant, to: Instant| Span {
        name,
        start: Moment(clock::unix_ms_at(from)),
        duration_ms: Milliseconds(to.saturating_duration_since(from)),
    };
    vec![span("responseLatency", invocation.begun, responding), span("responseDuration", responding, now)]
}

/// The right to answer one invocation.
pub(crate) struct Response<'a> {
    emulator: &'a Arc<Emulator>,
    id: Arc<str>,
    unfinished: Unfinished,
}

/// What it means that nobody finishes a response.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Unfinished {
    /// The runtime may try again.
    GiveBack,
    /// There is nobody left to answer, and nothing left to say.
    End,
}

impl Response<'_> {
    /// How the caller takes the response; `None` if nobody waits for it any more.
    pub(crate) fn mode(&self) -> Option<ResponseMode> {
        self.emulator.sandbox().response_mode(&self.id)
    }

    /// Largest streamed response, in bytes.
    pub(crate) fn stream_limit(&self) -> u64 {
        self.emulator.stream_rules.limit
    }

    /// Gives the answer, unless the invocation has ended otherwise meanwhile.
    pub(crate) fn finish(self, outcome: Outcome) {
        self.emulator.finish(&self.id, outcome);
    }

    /// The caller has left in the middle of the answer.
    pub(crate) fn caller_left(&mut self) {
        self.unfinished = Unfinished::End;
    }

    /// Begins to give the answer. The result tells what becomes of it.
    pub(crate) fn stream(
        &self,
        content_type: Option<HeaderValue>,
        body: Incoming,
    ) -> oneshot::Receiver<Fate> {
        let (ending, receiver) = oneshot::channel();
        let caller = self.emulator.sandbox().stream(&self.id, ending);
        let (body, fate) = ResponseStream::new(self.emulator.clone(), self.id.clone(), body, receiver);
        if let Some(caller) = caller {
            // If the caller has gone, the stream is dropped, and its fate says so.
            drop(caller.send(Answer::Stream { content_type, body }));
        }
        fate
    }
}

impl Drop for Response<'_> {
    fn drop(&mut self) {
        match self.unfinished {
            Unfinished::GiveBack => self.emulator.sandbox().abandon_response(&self.id),
            Unfinished::End => {
                self.emulator.finish(&self.id, Outcome::Streamed { error: None, bytes: 0 });
            }
        }
    }
}
