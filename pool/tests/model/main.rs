//! Generated sequences of events against a small reference: whatever happens, in whatever order, the promises
//! of the pool hold after every event, and in the end nothing is left.

mod reference;
mod step;

use std::cell::Cell;

use hearth_pool::{Config, DeployId, Effect, Event, FunctionId, InstanceId, Outcome, Pool, RequestId};
use proptest::test_runner::{RngAlgorithm, TestCaseError, TestRunner};

use self::reference::{FOREVER, Reference, State};
use self::step::{Action, FUNCTIONS, Step};

#[test]
fn whatever_happens_the_promises_hold_and_nothing_is_left() {
    let events = Cell::new(0u64);
    let config = proptest::test_runner::Config {
        cases: 6500,
        rng_algorithm: RngAlgorithm::XorShift,
        ..proptest::test_runner::Config::default()
    };
    let outcome = TestRunner::new(config).run(&step::runs(400), |(config, steps)| {
        events.set(events.get() + run(config, &steps));
        Ok::<(), TestCaseError>(())
    });
    if let Err(failure) = outcome {
        panic!("{failure}");
    }
    assert!(1_000_000 <= events.get(), "only {} events", events.get());
}

/// Plays the steps and then winds everything down; answers how many events that took.
fn run(config: Config, steps: &[Step]) -> u64 {
    let mut world = World::new(config);
    for function in 0..FUNCTIONS {
        world.act(Action::Deployed { function, deploy: 0, spec: step::first_spec(function) });
    }
    for step in steps {
        world.advance(step.after);
        world.act(step.action);
    }
    world.wind_down();
    world.events
}

/// The pool, its twin, and a driver that does what they ask for when the steps say so.
struct World {
    pool: Pool,
    /// Told the same, in every fourth run: must ask for the same.
    twin: Option<Pool>,
    reference: Reference,
    requests: u64,
    /// Every instance there ever was.
    known: Vec<InstanceId>,
    effects: Vec<Effect>,
    events: u64,
}

impl World {
    fn new(config: Config) -> Self {
        Self {
            pool: Pool::new(config.clone()).expect("the configuration holds"),
            twin: config
                .seed
                .is_multiple_of(4)
                .then(|| Pool::new(config.clone()).expect("the configuration holds")),
            reference: Reference::new(config),
            requests: 0,
            known: Vec::new(),
            effects: Vec::new(),
            events: 0,
        }
    }

    /// Time goes by; the pool is woken at its deadlines.
    fn advance(&mut self, by: std::time::Duration) {
        let end = self.reference.now + by;
        while let Some(deadline) = self.pool.next_deadline().filter(|&deadline| deadline <= end) {
            self.reference.now = deadline;
            self.tell(Event::DeadlineReached);
        }
        self.reference.now = end;
    }

    fn act(&mut self, action: Action) {
        if let Some(event) = self.event(action) {
            self.tell(event);
        }
    }

    fn tell(&mut self, event: Event) {
        self.events += 1;
        self.reference.happens(event);
        self.pool.handle(self.reference.now, event);
        self.reference.notice_what_drains(event, &self.pool);
        let first_effect = self.effects.len();
        while let Some(effect) = self.pool.next_effect() {
            if let Effect::Launch { instance, .. } = effect {
                self.known.push(instance);
            }
            self.reference.asked(effect);
            self.effects.push(effect);
        }
        if let Some(twin) = &mut self.twin {
            twin.handle(self.reference.now, event);
            let same: Vec<Effect> = std::iter::from_fn(|| twin.next_effect()).collect();
            assert_eq!(self.effects[first_effect..], same, "same events, same effects");
        }
        self.reference.check(&self.pool);
        if self.events.is_multiple_of(8) {
            self.reference.check_snapshot(&self.pool);
            if let Err(problem) = self.pool.audit() {
                panic!("after {event:?}: {problem}");
            }
        }
    }

    fn event(&mut self, action: Action) -> Option<Event> {
        Some(match action {
            Action::Request { function, patience } => {
                self.requests += 1;
                let deadline = self.reference.now + patience;
                let function = FunctionId(function.into());
                Event::Requested { request: RequestId(self.requests), function, deadline }
            }
            Action::Cancel { choice } => {
                Event::Cancelled { request: choose(choice, self.reference.waiting())? }
            }
            Action::Release { choice, outcome } => {
                Event::Released { instance: self.choose(choice, |_, serving| serving > 0)?, outcome }
            }
            Action::Launched { choice } => {
                Event::Launched { instance: self.choose(choice, |state, _| state.is_launching())? }
            }
            Action::LaunchFailed { choice } => {
                Event::LaunchFailed { instance: self.choose(choice, |state, _| state.is_launching())? }
            }
            Action::Exited { choice } => Event::Exited { instance: self.choose(choice, |_, _| true)? },
            Action::Terminated { choice } => {
                Event::Terminated { instance: self.choose(choice, |state, _| state == State::Terminating)? }
            }
            Action::Deployed { function, deploy, spec } => Event::Deployed {
                function: FunctionId(function.into()),
                deploy: DeployId([deploy; 32]),
                spec,
            },
            Action::Removed { function } => Event::Removed { function: FunctionId(function.into()) },
            Action::Evicted { function } => Event::Evicted { function: FunctionId(function.into()) },
            Action::Nonsense { choice, kind } => self.nonsense(choice, kind)?,
            Action::ShutDown => Event::ShutDown,
            Action::Nothing => return None,
        })
    }

    /// An event that may be out of place: late, twice, or about something that never was so.
    fn nonsense(&self, choice: u8, kind: u8) -> Option<Event> {
        let instance = choose(choice, self.known.iter().copied())?;
        let outcome = if kind.is_multiple_of(2) { Outcome::Reusable } else { Outcome::Broken };
        Some(match kind % 8 {
            0 | 1 => Event::Released { instance, outcome },
            2 => Event::Launched { instance },
            3 => Event::LaunchFailed { instance },
            4 => Event::Exited { instance },
            5 => Event::Terminated { instance },
            6 => Event::Cancelled { request: RequestId(choice.into()) },
            _ => Event::Removed { function: FunctionId(u32::from(choice) + u32::from(FUNCTIONS)) },
        })
    }

    fn choose(&self, choice: u8, is_fit: impl Fn(State, u32) -> bool) -> Option<InstanceId> {
        let fit = self.reference.instances.iter().filter(|(_, it)| is_fit(it.state, it.serving));
        choose(choice, fit.map(|(&id, _)| id))
    }

    /// The host goes down in good order.
    fn wind_down(&mut self) {
        self.tell(Event::ShutDown);
        let ends = [
            Action::Launched { choice: 0 },
            Action::Release { choice: 0, outcome: Outcome::Reusable },
            Action::Terminated { choice: 0 },
        ];
        for end in ends {
            while let Some(event) = self.event(end) {
                self.tell(event);
            }
        }
        self.advance(FOREVER);
        self.reference.check_drained();
        self.reference.check_snapshot(&self.pool);
        assert!(self.pool.is_drained());
        assert_eq!(self.pool.next_deadline(), None);
        assert_eq!(self.pool.audit(), Ok(()));
    }
}

/// One of several, if there is any.
fn choose<T>(choice: u8, several: impl Iterator<Item = T>) -> Option<T> {
    let mut several: Vec<T> = several.collect();
    if several.is_empty() { None } else { Some(several.swap_remove(usize::from(choice) % several.len())) }
}
