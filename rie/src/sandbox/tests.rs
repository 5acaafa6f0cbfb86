//! The sandbox, told what happens at times that are made up.

use http::HeaderMap;

use super::*;
use crate::exit::Exit;
use crate::payload::Payload;

/// A sandbox with one slot and an init limit of 10 s, in a time that only moves when it is told to.
struct World {
    sandbox: Sandbox,
    zero: Instant,
    answers: Vec<oneshot::Receiver<Answer>>,
}

impl World {
    fn new() -> Self {
        let sandbox = Sandbox::new(1, Duration::from_secs(10));
        Self { sandbox, zero: crate::clock::now(), answers: Vec::new() }
    }

    fn at(&self, seconds: u64) -> Instant {
        self.zero + Duration::from_secs(seconds)
    }

    /// An invocation with a timeout of 3 s.
    fn accept(&mut self, seconds: u64) -> Result<bool, Refusal> {
        self.sandbox.admits()?;
        let (answer, receiver) = oneshot::channel();
        self.answers.push(receiver);
        let event = Event { id: "id".into(), headers: HeaderMap::new(), payload: Payload::default() };
        let caller = Caller::Waiting(answer, ResponseMode::Buffered);
        let timeout = Duration::from_secs(3);
        Ok(self.sandbox.accept(Invocation::new(Arc::new(event), self.at(seconds), timeout, caller)))
    }

    fn step(&mut self, seconds: u64) -> (Step, usize, Option<InitOutcome>) {
        let (step, ended, init) = self.sandbox.step(self.at(seconds));
        (step, ended.len(), init.map(|init| init.outcome))
    }

    fn exit(&mut self, seconds: u64) -> usize {
        self.sandbox.gone(self.at(seconds), &ProcessEnd::Exited(Exit::Status(1))).0.len()
    }

    fn start(&mut self, seconds: u64) {
        self.sandbox.started(self.at(seconds), &[]);
    }

    fn next(&mut self, seconds: u64) -> oneshot::Receiver<Arc<Event>> {
        match self.sandbox.next(self.at(seconds), self.sandbox.generation()).unwrap() {
            (Next::Later(receiver), _) => receiver,
            (Next::Now(_), _) => panic!("an invocation was delivered twice"),
        }
    }
}

#[test]
fn the_init_phase_has_a_limit_and_a_process_that_failed_it_is_only_started_again_on_demand() {
    let mut world = World::new();
    assert_eq!(world.step(0), (Step::Start, 0, None));
    world.start(0);
    assert_eq!(world.step(0), (Step::Wait(Some(world.at(10))), 0, None));
    assert_eq!(world.step(10), (Step::Kill, 0, Some(InitOutcome::TimedOut)));
    assert_eq!(world.exit(11), 0);
    assert_eq!(world.step(11), (Step::Wait(None), 0, None));
    assert_eq!(world.accept(20), Ok(true), "the supervisor must be woken");
    assert_eq!(world.step(20), (Step::Start, 0, None));
    world.start(20);
    assert_eq!(world.step(20), (Step::Wait(Some(world.at(23))), 0, None), "the timeout rules now");
    assert_eq!(world.step(23), (Step::Kill, 1, Some(InitOutcome::TimedOut)));
}

#[test]
fn what_was_not_delivered_survives_the_process_before_it() {
    let mut world = World::new();
    world.start(0);
    let poll = world.next(0);
    world.accept(1).unwrap();
    drop(poll);
    assert!(world.sandbox.finish("id").is_some());
    world.accept(1).unwrap();
    assert_eq!(world.exit(1), 0, "it waits for the next process");
    assert_eq!(world.step(1), (Step::Start, 0, None));
    world.start(1);
    let mut poll = world.next(2);
    assert!(poll.try_recv().is_ok());
    assert_eq!(world.exit(2), 1);
    assert_eq!(world.step(2), (Step::Wait(None), 0, None), "this process has not served any");
}

#[test]
fn one_slot_takes_one_invocation_and_a_poller_that_hung_up_takes_none() {
    let mut world = World::new();
    world.start(0);
    drop(world.next(0));
    let mut poll = world.next(0);
    assert_eq!(world.accept(0), Ok(true));
    assert!(poll.try_recv().is_ok(), "the poller that is left gets it");
    assert_eq!(world.accept(0), Err(Refusal::Busy));
    world.sandbox.close(world.at(9));
    assert_eq!(world.accept(0), Err(Refusal::ShuttingDown));
    assert_eq!(world.step(1), (Step::Wait(Some(world.at(3))), 0, None));
    assert!(world.sandbox.finish("id").is_some());
    let limit = world.at(1) + Duration::from_millis(500);
    assert_eq!(world.step(1), (Step::Terminate(limit), 0, None), "no longer than it needs");
    assert_eq!(world.step(2), (Step::Kill, 0, None));
    world.exit(2);
    assert_eq!(world.step(2), (Step::End, 0, None));
}

#[test]
fn the_runtime_leaves_the_extensions_seventy_percent_of_the_time_that_aws_gives_them() {
    let mut world = World::new();
    world.sandbox.started(world.at(0), &["agent".into()]);
    let id = world.sandbox.extensions.register("agent", Vec::new()).unwrap();
    let _waiting = (world.next(0), world.sandbox.extensions.next(&id).unwrap());
    world.sandbox.advance(world.at(0));
    world.sandbox.close(world.at(2));
    let limit = world.at(2) - Duration::from_millis(1400);
    assert_eq!(world.step(0), (Step::Terminate(limit), 0, None));
    assert_eq!(world.step(1), (Step::Kill, 0, None));
}
