//! Drives a pool through a trace in virtual time.
//!
//! This is the host's driver with everything around it taken away: instances start and invocations run by waiting
//! for a moment in a heap. The pool is the very same, and cannot tell.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use hearth_pool::{
    Config, ConfigError, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome,
    Pool, Purpose, RequestId, Start, Timestamp,
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
            is_answered |= match effect {
                Effect::Grant { request: answered, .. } | Effect::Refuse { request: answered, .. } => {
                    answered == request
                }
                Effect::Launch { .. } | Effect::Terminate { .. } => false,
            };
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
            drawn @ Execution::Percentiles(_) => {
                drawn.at(Random::of([self.scenario.seed, EXECUTION, request.0]).unit())
            }
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

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "sums of whole numbers, divided once")]
mod tests {
    use hearth_pool::{KeepAlive, QueuePolicy};

    use super::*;
    use crate::simulate::trace::{Cell, Function};

    /// Two functions of 1 GiB that run for 2 s and start within 1 s, on a pool that keeps them for 10 s.
    fn trace() -> Trace {
        let execution = Execution::Constant(Duration::from_secs(2));
        let function = Function { memory: MemoryMib(1024), execution };
        Trace::new(vec![function.clone(), function], vec![vec![Cell { function: 0, count: 60 }]; 2])
    }

    fn scenario(trace: &Trace) -> Scenario<'_> {
        Scenario {
            trace,
            pool: Config {
                keep_alive: KeepAlive::Ttl(Duration::from_secs(10)),
                queue: QueuePolicy::Wait { max_waiters: 100 },
                ..Config::default()
            },
            arrivals: Arrivals::Equidistant,
            cold_start: ColdStart::Constant(Duration::from_secs(1)),
            max_wait: Duration::from_secs(60),
            seed: 1,
        }
    }

    /// What comes of these arrivals, in milliseconds, in a trace that ends after a minute.
    fn drive(scenario: &Scenario<'_>, arrivals: &[(u64, u32)]) -> Figures {
        let mut engine = Engine::new(scenario, Timestamp::from_millis(60_000)).unwrap();
        for &(millis, function) in arrivals {
            engine.arrive(Timestamp::from_millis(millis), FunctionId(function));
        }
        engine.finish()
    }

    /// Seconds in which 1 GiB was idle.
    fn idle_seconds(figures: Figures) -> f64 {
        (figures.idle_gb_hours * 3600.0 * 1e6).round() / 1e6
    }

    #[test]
    fn one_function_comes_to_what_was_worked_out_by_hand() {
        // 0 s: cold, granted at 1 s, idle from 3 s. 5 s: warm, idle from 7 s to 17 s. 20 s: cold, granted at 21 s, idle
        // from 23 s to 33 s.
        let figures = drive(&scenario(&trace()), &[(0, 0), (5_000, 0), (20_000, 0)]);
        assert_eq!(idle_seconds(figures), 2.0 + 10.0 + 10.0);
        assert_eq!((figures.cold_seconds, figures.launches, figures.queue_seconds), (2.0, 2.0, 2.0));
        assert_eq!(figures.busy_gb_hours, 6.0 / 3600.0);
        assert_eq!((figures.queue_ms_p50, figures.peak_gb), (1000.0, 1.0));
        assert_eq!(figures.cold_percent, 200.0 / 3.0);
    }

    #[test]
    fn a_launch_that_is_overtaken_by_a_freed_instance_is_no_cold_start() {
        // Granted at 1 s, freed at 3 s. The second one arrives at 2.5 s and launches until 3.5 s, but is served at 3 s.
        let figures = drive(&scenario(&trace()), &[(0, 0), (2_500, 0)]);
        assert_eq!((figures.launches, figures.cold_percent, figures.cold_seconds), (2.0, 50.0, 1.0));
        assert_eq!((figures.queue_seconds, figures.launch_seconds), (1.5, 2.0));
    }

    #[test]
    fn what_is_idle_at_the_end_counts_up_to_the_end() {
        let figures = drive(&scenario(&trace()), &[(55_000, 0)]);
        assert_eq!(idle_seconds(figures), 2.0);
    }

    #[test]
    fn those_who_wait_at_the_end_are_served_and_nothing_is_idle_by_then() {
        let figures = drive(&scenario(&trace()), &[(59_000, 0)]);
        assert_eq!((figures.cold_seconds, figures.busy_gb_hours), (1.0, 2.0 / 3600.0));
        assert_eq!(idle_seconds(figures), 0.0);
    }

    #[test]
    fn under_a_budget_of_one_instance_the_idle_one_makes_way() {
        let trace = trace();
        let mut scenario = scenario(&trace);
        scenario.pool.memory_budget = Some(MemoryMib(1024));
        // The second function's instance takes the place of the first's, which was idle from 3 s to 5 s.
        let figures = drive(&scenario, &[(0, 0), (5_000, 1)]);
        assert_eq!((idle_seconds(figures), figures.launches, figures.peak_gb), (2.0 + 10.0, 2.0, 1.0));
        assert_eq!((figures.function_cold_percent_p50, figures.refused_percent), (100.0, 0.0));
    }

    #[test]
    fn whoever_waits_for_too_long_is_refused() {
        let trace = trace();
        let mut scenario = scenario(&trace);
        scenario.pool.memory_budget = Some(MemoryMib(1024));
        scenario.max_wait = Duration::from_millis(1_500);
        let figures = drive(&scenario, &[(0, 0), (1_000, 1)]);
        assert_eq!((figures.refused_percent, figures.launches), (50.0, 1.0));
    }

    #[test]
    fn a_trace_is_run_to_its_end_and_told_minute_by_minute() {
        let trace = trace();
        let mut told = Vec::new();
        let figures = scenario(&trace).run(|invocations| told.push(invocations)).unwrap();
        assert_eq!(told, [60, 60]);
        assert_eq!(figures.busy_gb_hours, 240.0 / 3600.0);
        assert_eq!(figures, scenario(&trace).run(|_| {}).unwrap());
    }

    #[test]
    fn a_configuration_that_cannot_hold_is_refused_by_name() {
        let trace = trace();
        let mut scenario = scenario(&trace);
        scenario.pool.launches_at_once = 0;
        assert_eq!(scenario.run(|_| {}).map_err(|error| error.setting), Err("launches_at_once"));
    }
}
