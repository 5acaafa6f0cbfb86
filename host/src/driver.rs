//! The shell around the pool: it tells the pool what happened, and does what the pool asks for.
//!
//! One mutex holds the pool and the tables that belong to it, for as long as one decision takes (well under a
//! microsecond) and never across an await. What was decided is done outside of it: launches and terminations
//! are tasks of the host, so that no request's end can take them along. See docs/adr/0003-one-lock-no-inbox.md.

mod effects;
mod events;
mod instance;
mod lease;
mod pausing;
mod preparations;
mod provisioning;
mod shutdown;
mod tape;
#[cfg(test)]
pub(crate) mod tests;

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hearth_core::{Backend, BackendError, BackendInfo, CallContext, Capabilities, LaunchSpec, Meta};
use hearth_pool::{
    DeployId, Event, FunctionId, FunctionSnapshot, FunctionSpec, InstanceId, MemoryMib, PhaseSnapshot, Pool,
    Refusal, RequestId, Snapshot, Timestamp,
};
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

use crate::catalog::{Deployer, Limits, Target};
use crate::clock::Clock;
use crate::function_logs::FunctionLogs;
use crate::metrics::Metrics;
use crate::sigv4::FunctionKeys;

pub use self::events::EventSink;
pub use self::instance::Instance;
pub use self::lease::{InFlight, Reserved};
pub use self::preparations::{Preparation, Preparations};
pub use self::provisioning::{Provisioning, ProvisioningFailure};
pub use self::shutdown::ShutDown;

use self::effects::Action;
use self::tape::{Tape, TapeEnded};

/// What the driver needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// How the pool decides.
    pub pool: hearth_pool::Config,
    /// How long an instance has between being asked to end and being killed.
    pub terminate_grace: Duration,
    /// How long an instance is unused until it is paused; nothing if none is. For backends that can pause.
    pub pause_idle_after: Option<Duration>,
    /// Where everything that the pool is told is written down, if anywhere.
    pub record: Option<PathBuf>,
    /// Who keeps what instances write, if anybody does.
    pub logs: Option<FunctionLogs>,
    /// What functions sign with.
    pub function_keys: FunctionKeys,
}

/// Why there is no driver.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The pool cannot hold what is asked of it.
    #[error(transparent)]
    Pool(#[from] hearth_pool::ConfigError),
    /// Instances are to be paused, by a backend that cannot.
    #[error(
        "pool.pause_idle_after_seconds: the backend {backend} cannot pause instances; take the setting out, or choose \
         another backend"
    )]
    CannotPause {
        /// Its name.
        backend: String,
    },
    /// The recording cannot be begun.
    #[error("cannot record to {}: {error}; choose another file with --record FILE", file.display())]
    Record {
        /// As configured.
        file: PathBuf,
        /// What went wrong.
        error: std::io::Error,
    },
}

/// Owns the pool and drives the backend. Cheap to clone.
#[derive(Clone)]
pub struct Driver {
    shared: Arc<Shared>,
}

struct Shared {
    backend: Arc<dyn Backend>,
    info: BackendInfo,
    settings: Settings,
    clock: Clock,
    metrics: Arc<Metrics>,
    state: Mutex<State>,
    /// The pool's next deadline has moved to before the one that the timer sleeps for.
    earlier_deadline: Notify,
    /// Something happened to the pool.
    changed: Notify,
    preparations: Preparations,
    tasks: TaskTracker,
}

/// The pool, and what its names stand for.
struct State {
    pool: Pool,
    /// What the pool is told is written down here.
    tape: Option<Tape>,
    /// When the timer wakes.
    armed: Timestamp,
    next_request: u64,
    waiting: HashMap<RequestId, Waiter>,
    /// By [`Target::function_id`].
    functions: HashMap<u32, Function>,
    /// By [`InstanceId::index`].
    instances: Vec<Option<Arc<Instance>>>,
    by_handle: HashMap<String, InstanceId>,
    launches_under_way: usize,
    /// Instances that ended before their launch had answered, by handle.
    early_exits: HashMap<String, Meta>,
}

struct Function {
    target: Arc<Target>,
    /// How many instances it is to have ready.
    provisioned: u32,
    /// Set by a launch that failed, cleared by one that did not.
    launch_error: Option<Arc<BackendError>>,
    /// The same of launches for provisioned concurrency: an init that fails is a failure, too.
    provisioning_failure: Option<ProvisioningFailure>,
}

/// Somebody in the line for an instance.
struct Waiter {
    function: u32,
    answer: oneshot::Sender<Result<Reserved, Refused>>,
}

/// Why an invocation gets no instance.
#[derive(Clone, Debug)]
pub struct Refused {
    /// The pool's reason.
    pub reason: Refusal,
    /// The last launch of the function that failed, if one did.
    pub launch_error: Option<Arc<BackendError>>,
}

/// One instance, as people see it.
#[derive(Debug)]
pub struct Seen {
    /// The pool's picture of it.
    pub pooled: hearth_pool::InstanceSnapshot,
    /// What it runs.
    pub target: Arc<Target>,
    /// The host's hold on it; none while it is launching.
    pub instance: Option<Arc<Instance>>,
}

impl Driver {
    /// A driver without functions. `info` is what the backend said of itself.
    pub fn new(
        backend: Arc<dyn Backend>,
        info: BackendInfo,
        settings: Settings,
        clock: Clock,
        metrics: Arc<Metrics>,
    ) -> Result<Self, StartError> {
        if settings.pause_idle_after.is_some() && !info.capabilities.contains(Capabilities::PAUSE) {
            return Err(StartError::CannotPause { backend: info.name });
        }
        let pool = Pool::new(settings.pool.clone())?;
        let tape = settings.record.as_deref().map(|file| {
            Tape::start(file, &settings.pool)
                .map_err(|error| StartError::Record { file: file.to_owned(), error })
        });
        let state = State {
            pool,
            tape: tape.transpose()?,
            armed: Timestamp::NEVER,
            next_request: 0,
            waiting: HashMap::new(),
            functions: HashMap::new(),
            instances: Vec::new(),
            by_handle: HashMap::new(),
            launches_under_way: 0,
            early_exits: HashMap::new(),
        };
        let shared = Shared {
            backend,
            info,
            settings,
            clock,
            metrics,
            state: Mutex::new(state),
            earlier_deadline: Notify::new(),
            changed: Notify::new(),
            preparations: Preparations::default(),
            tasks: TaskTracker::new(),
        };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Wakes the pool at its deadlines; runs until it is dropped.
    pub async fn run_timer(self) {
        loop {
            let deadline = self.arm();
            tokio::select! {
                () = self.shared.clock.sleep_until(deadline) => self.apply(Event::DeadlineReached),
                () = self.shared.earlier_deadline.notified() => {}
            }
        }
    }

    /// Waits for an instance of the function until `deadline`; one that is paused is resumed. Dropping the future
    /// gives the place in the line back, and an instance that was granted meanwhile as well.
    pub async fn acquire(&self, target: &Target, deadline: Timestamp) -> Result<Reserved, Refused> {
        loop {
            let reserved = self.granted(target, deadline).await?;
            if self.woken(reserved.instance(), deadline).await {
                return Ok(reserved);
            }
            // Past the deadline, the pool says so.
            reserved.discard();
        }
    }

    async fn granted(&self, target: &Target, deadline: Timestamp) -> Result<Reserved, Refused> {
        let (request, answer) = match self.request(target, deadline) {
            Asked::Answered(answer) => return answer,
            Asked::Waiting(request, answer) => (request, answer),
        };
        let mut withdrawal = Withdrawal { driver: self, request: Some(request) };
        let answer = answer.await;
        withdrawal.request = None;
        answer.unwrap_or(Err(Refused { reason: Refusal::ShuttingDown, launch_error: None }))
    }

    /// Ends a function's instances: idle ones at once, busy ones when they are done. Answers how many it had.
    pub fn evict(&self, target: &Target) -> usize {
        let function = FunctionId(target.function_id);
        let live = self
            .state()
            .pool
            .snapshot(self.shared.clock.now())
            .function(function)
            .map_or(0, FunctionSnapshot::live);
        self.apply(Event::Evicted { function });
        live
    }

    /// What the pool holds at this moment.
    pub fn snapshot(&self) -> Snapshot {
        let state = self.state();
        state.pool.snapshot(self.shared.clock.now())
    }

    /// Every instance, oldest first.
    pub fn instances(&self) -> Vec<Seen> {
        let state = self.state();
        let snapshot = state.pool.snapshot(self.shared.clock.now());
        let mut seen: Vec<Seen> = snapshot
            .functions
            .into_iter()
            .filter_map(|function| {
                Some((state.functions.get(&function.id.0)?.target.clone(), function.instances))
            })
            .flat_map(|(target, instances)| instances.into_iter().map(move |pooled| (target.clone(), pooled)))
            .map(|(target, pooled)| {
                let instance = state.instance(pooled.id).cloned();
                Seen { target: instance.as_ref().map_or(target, |it| it.target.clone()), pooled, instance }
            })
            .collect();
        seen.sort_by_key(|seen| seen.pooled.id);
        seen
    }

    /// What the backend says of itself.
    pub fn backend_info(&self) -> &BackendInfo {
        &self.shared.info
    }

    /// The backend itself, for what is not the pool's business.
    pub fn backend(&self) -> &Arc<dyn Backend> {
        &self.shared.backend
    }

    /// The deploys that are being prepared.
    pub fn preparations(&self) -> &Preparations {
        &self.shared.preparations
    }

    /// Writes out what was recorded, if anything was. What happens later is not written down.
    pub async fn end_recording(&self) {
        let tape = self.state().tape.take();
        if let Some(tape) = tape {
            // A writer that panicked has told so itself.
            let _told = tokio::task::spawn_blocking(move || tape.finish()).await;
        }
    }

    /// Tells the pool what happened, and does what it asks for.
    fn apply(&self, event: Event) {
        let mut state = self.state();
        state.tell(self.shared.clock.now(), event);
        let actions = state.drain();
        self.perform(state, actions);
    }

    fn request(&self, target: &Target, deadline: Timestamp) -> Asked {
        let mut state = self.state();
        let request = RequestId(state.next_request);
        state.next_request += 1;
        let function = FunctionId(target.function_id);
        state.tell(self.shared.clock.now(), Event::Requested { request, function, deadline });
        let (mine, actions) = state.drain_for(request, target.function_id);
        let asked = match mine {
            Some(Action::Grant { instance, start, .. }) => Asked::Answered(Ok((instance, start))),
            Some(Action::Refuse { refused, .. }) => Asked::Answered(Err(refused)),
            _ => {
                let (answer, receiver) = oneshot::channel();
                state.waiting.insert(request, Waiter { function: target.function_id, answer });
                Asked::Waiting(request, receiver)
            }
        };
        self.perform(state, actions);
        asked.map(|(instance, start)| Reserved::new(self.clone(), instance, start))
    }

    /// Lets go of the state and does what was decided in it.
    fn perform(&self, state: MutexGuard<'_, State>, actions: Vec<Action>) {
        let is_earlier = state.pool.next_deadline().is_some_and(|deadline| deadline < state.armed);
        drop(state);
        if is_earlier {
            self.shared.earlier_deadline.notify_one();
        }
        self.shared.changed.notify_waiters();
        for action in actions {
            self.act(action);
        }
    }

    fn arm(&self) -> Timestamp {
        let mut state = self.state();
        state.armed = state.pool.next_deadline().unwrap_or(Timestamp::NEVER);
        state.armed
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held is a bug; the tables are still the best knowledge there is.
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Outcome of asking the pool for an instance.
enum Asked<T = Reserved> {
    Answered(Result<T, Refused>),
    Waiting(RequestId, oneshot::Receiver<Result<Reserved, Refused>>),
}

impl<T> Asked<T> {
    fn map<U>(self, made: impl FnOnce(T) -> U) -> Asked<U> {
        match self {
            Self::Answered(answer) => Asked::Answered(answer.map(made)),
            Self::Waiting(request, answer) => Asked::Waiting(request, answer),
        }
    }
}

/// Takes a request out of the line when whoever waited for it goes away.
struct Withdrawal<'a> {
    driver: &'a Driver,
    request: Option<RequestId>,
}

impl Drop for Withdrawal<'_> {
    fn drop(&mut self) {
        if let Some(request) = self.request {
            let waiter = self.driver.state().waiting.remove(&request);
            drop(waiter);
            self.driver.apply(Event::Cancelled { request });
        }
    }
}

#[async_trait::async_trait]
impl Deployer for Driver {
    async fn prepare(&self, spec: &LaunchSpec) -> Result<(), String> {
        let _under_way = self.shared.preparations.begin(spec);
        self.shared.backend.prepare(&context(Duration::ZERO), spec).await.map_err(|error| error.to_string())
    }

    fn deployed(&self, target: &Arc<Target>, limits: Limits) {
        let spec = FunctionSpec {
            memory: MemoryMib(u64::from(target.memory_mb)),
            slots: target.deploy.spec.slots.max(1),
            reserved: limits.reserved,
            reserve_group: target.reserve_group,
            provisioned: limits.provisioned,
        };
        let deploy = DeployId(target.deploy.id.0);
        let mut state = self.state();
        let function = Function {
            target: Arc::clone(target),
            provisioned: limits.provisioned,
            launch_error: None,
            provisioning_failure: None,
        };
        let former = state.functions.insert(target.function_id, function);
        let (now, function) = (self.shared.clock.now(), FunctionId(target.function_id));
        let was_provisioned = former.as_ref().is_some_and(|former| former.provisioned > 0);
        // What a function was told of its initialization is to be true: instances of one kind do not go on as
        // instances of the other.
        if former.is_some() && !was_provisioned && limits.provisioned > 0 {
            state.tell(now, Event::Evicted { function });
        }
        state.tell(now, Event::Deployed { function, deploy, spec });
        if was_provisioned && limits.provisioned == 0 {
            state.tell(now, Event::Evicted { function });
        }
        let actions = state.drain();
        self.perform(state, actions);
        // Not under the lock: the last hold on a deploy may delete its code.
        drop(former);
    }

    fn removed(&self, function_id: u32) {
        self.apply(Event::Removed { function: FunctionId(function_id) });
        let former = self.state().functions.remove(&function_id);
        drop(former);
    }
}

impl Seen {
    /// The word for what it is doing, for people.
    pub fn state(&self) -> &'static str {
        let is_idle = self.pooled.phase == PhaseSnapshot::Idle;
        let is_paused = is_idle && self.instance.as_ref().is_some_and(|instance| instance.is_paused());
        if is_paused { "paused" } else { state_name(self.pooled.phase) }
    }
}

/// The word for a phase, in metrics.
pub fn state_name(phase: PhaseSnapshot) -> &'static str {
    match phase {
        PhaseSnapshot::Launching => "launching",
        PhaseSnapshot::Idle => "idle",
        PhaseSnapshot::Busy(_) => "busy",
        PhaseSnapshot::Draining(_) => "draining",
        PhaseSnapshot::Terminating => "terminating",
    }
}

/// A call that the host makes on its own; it waits up to `budget`, or without limit if that is zero.
fn context(budget: Duration) -> CallContext {
    let budget_ms = u64::try_from(budget.as_millis()).unwrap_or(u64::MAX);
    CallContext { request_id: String::new(), budget_ms, meta: Meta::new() }
}

impl State {
    /// Tells the pool what happened; the only way to.
    fn tell(&mut self, now: Timestamp, event: Event) {
        if let Some(Err(TapeEnded)) = self.tape.as_ref().map(|tape| tape.note(now, event)) {
            self.tape = None;
        }
        self.pool.handle(now, event);
    }
}

impl fmt::Debug for Driver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver").field("backend", &self.shared.info.name).finish_non_exhaustive()
    }
}
