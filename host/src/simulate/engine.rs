//! Drives a pool through a trace in virtual time.
//!
//! This is the host's driver with everything around it taken away: instances start and invocations run by waiting
//! for a moment in a heap. The pool is the very same, and cannot tell.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use hearth_pool::{
    Config, ConfigError, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, Pool,
    Purpose, RequestId, Start, Timestamp,
};

use super::arrivals::{Arrivals, start_of};
use super::cold_start::ColdStart;
use super::meter::{Figures, Meter};
use super::random::Random;
use super::trace::{Execution, Trace};

/// What is drawn, as part of its generator's key.
const EXECUTION: u64 = 3;

/// Everything that a simulation depends on.
#[derive(Clone, Debug)]
pub(super) struct Scenario<'a> {
    pub(super) trace: &'a Trace,
    pub(super) pool: Config,
    pub(super) arrivals: Arrivals,
    pub(super) cold_start: ColdStart,
    /// How long an invocation waits for an instance before it is refused.
    pub(super) max_wait: Duration,
    pub(super) seed: u64,
}

impl Scenario<'_> {
    /// Runs the trace from end to end. After each minute, tells how many invocations it had.
    pub(super) fn run(&self, mut progress: impl FnMut(u64)) -> Result<Figures, ConfigError> {
        let minutes = self.trace.minutes();
        let end = start_of(u32::try_from(minutes.len()).unwrap_or(u32::MAX));
        let mut engine = Engine::new(self, end)?;
        let mut arrivals = Vec::new();
        for (minute, cells) in (0..).zip(minutes) {
            for (at, function) in self.arrivals.draw(self.seed, minute, cells, &mut arrivals) {
                engine.arrive(at, function);
            }
            progress(cells.iter().map(|cell| u64::from(cell.count)).sum());
        }
        Ok(engine.finish())
    }
}

/// A pool, and a world for it.
#[derive(Debug)]
struct Engine<'a> {
    scenario: &'a Scenario<'a>,
    now: Timestamp,
    end: Timestamp,
    pool: Pool,
    starts: Vec<Duration>,
    instances: Vec<Instance>,
    due: BinaryHeap<Reverse<(Timestamp, Due)>>,
    requests: u64,
    /// When those who were not answered at once arrived.
    waiting: HashMap<RequestId, Timestamp>,
    meter: Meter,
}

/// What is known of an instance that the pool asked for; at the instance's own place in the table.
#[derive(Clone, Copy, Debug)]
struct Instance {
    function: FunctionId,
    memory: MemoryMib,
    idle_since: Option<Timestamp>,
}

/// What happens when its time has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Launched(InstanceId),
    Released(InstanceId),
}

impl<'a> Engine<'a> {
    fn new(scenario: &'a Scenario<'a>, end: Timestamp) -> Result<Self, ConfigError> {
        let functions = &scenario.trace.functions;
        let mut pool = Pool::new(scenario.pool.clone())?;
        for (number, function) in (0..).zip(functions) {
            let spec = FunctionSpec {
                memory: function.memory,
                slots: 1,
                reserved: None,
                reserve_group: number,
                provisioned: 0,
            };
            let deploy = DeployId([0; 32]);
            pool.handle(Timestamp::START, Event::Deployed { function: FunctionId(number), deploy, spec });
        }
        Ok(Self {
            scenario,
            now: Timestamp::START,
            end,
            pool,
            starts: (0..).zip(functions).map(|(it, _)| scenario.cold_start.of(scenario.seed, it)).collect(),
            instances: Vec::new(),
            due: BinaryHeap::new(),
            requests: 0,
            waiting: HashMap::new(),
            meter: Meter::new(functions.len(), end),
        })
    }

    /// An invocation of the function arrives, not earlier than the one before.
    fn arrive(&mut self, at: Timestamp, function: FunctionId) {
        while self.next_due().is_some_and(|next| next <= at) {
            self.step();
        }
        self.now = at;
        self.meter.arrived(function.0);
        let request = RequestId(self.requests);
        self.requests += 1;
        let deadline = at + self.scenario.max_wait;
        self.pool.handle(at, Event::Requested { request, function, deadline });
        let mut is_answered = false;
        while let Some(effect) = self.pool.next_effect() {
            is_answered |= matches!(effect, Effect::Grant { request: it, .. } | Effect::Refuse { request: it, .. } if it == request);
            self.perform(effect);
        }
        if !is_answered {
            self.waiting.insert(request, at);
        }
    }

    /// Serves those who are left, and counts what is idle up to the end of the trace.
    fn finish(mut self) -> Figures {
        while self.next_due().is_some_and(|next| next <= self.end || !self.pool.is_idle()) {
            self.step();
        }
        for instance in &self.instances {
            if let Some(since) = instance.idle_since {
                self.meter.idle(since, self.end, instance.memory);
            }
        }
        self.meter.figures()
    }

    /// When something happens, if nobody arrives before.
    fn next_due(&self) -> Option<Timestamp> {
        let due = self.due.peek().map(|Reverse((at, _))| *at);
        due.into_iter().chain(self.pool.next_deadline()).min()
    }

    /// The next thing that happens by itself happens.
    fn step(&mut self) {
        let deadline = self.pool.next_deadline();
        match self.due.peek() {
            Some(&Reverse((at, due))) if deadline.is_none_or(|deadline| at <= deadline) => {
                self.due.pop();
                self.now = at;
                let (Due::Launched(instance) | Due::Released(instance)) = due;
                self.instances[instance.index()].idle_since = Some(at);
                self.tell(match due {
                    Due::Launched(instance) => Event::Launched { instance },
                    Due::Released(instance) => Event::Released { instance, outcome: Outcome::Reusable },
                });
            }
            _ => {
                self.now = deadline.unwrap_or(self.now);
                self.tell(Event::DeadlineReached);
            }
        }
    }

    fn tell(&mut self, event: Event) {
        self.pool.handle(self.now, event);
        while let Some(effect) = self.pool.next_effect() {
            self.perform(effect);
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Launch { instance, function, purpose, .. } => self.launch(instance, function, purpose),
            Effect::Grant { request, instance, start } => self.grant(request, instance, start),
            Effect::Refuse { request, .. } => {
                self.waiting.remove(&request);
                self.meter.refused();
            }
            Effect::Terminate { instance, .. } => self.terminate(instance),
        }
    }

    fn launch(&mut self, id: InstanceId, function: FunctionId, purpose: Purpose) {
        let memory = self.scenario.trace.functions[function.0 as usize].memory;
        let instance = Instance { function, memory, idle_since: None };
        if self.instances.len() <= id.index() {
            self.instances.resize(id.index() + 1, instance);
        }
        self.instances[id.index()] = instance;
        let takes = self.starts[function.0 as usize];
        self.due.push(Reverse((self.now + takes, Due::Launched(id))));
        self.meter.launches += 1;
        self.meter.prewarms += u64::from(purpose == Purpose::Prediction);
        self.meter.launching += takes;
        self.meter.takes(memory);
    }

    fn grant(&mut self, request: RequestId, id: InstanceId, start: Start) {
        let instance = &mut self.instances[id.index()];
        let (function, memory) = (instance.function.0, instance.memory);
        if let Some(since) = instance.idle_since.take() {
            self.meter.idle(since, self.now, memory);
        }
        if start == Start::Cold {
            self.meter.cold_start(function, self.starts[function as usize]);
        }
        let waited = self.waiting.remove(&request).map_or(Duration::ZERO, |since| self.now - since);
        let takes = match &self.scenario.trace.functions[function as usize].execution {
            Execution::Constant(duration) => *duration,
            drawn => drawn.at(Random::of([self.scenario.seed, EXECUTION, request.0]).unit()),
        };
        self.meter.granted(waited, memory, takes);
        self.due.push(Reverse((self.now + takes, Due::Released(id))));
    }

    fn terminate(&mut self, id: InstanceId) {
        let instance = &mut self.instances[id.index()];
        let memory = instance.memory;
        if let Some(since) = instance.idle_since.take() {
            self.meter.idle(since, self.now, memory);
        }
        self.meter.leaves(memory);
        self.pool.handle(self.now, Event::Terminated { instance: id });
    }
}
