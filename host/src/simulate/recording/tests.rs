use std::sync::{Arc, Mutex};
use std::time::Duration;

use expect_test::expect;
use hearth_pool::{DeployId, FunctionId, FunctionSpec, MemoryMib, Outcome, QueuePolicy, RequestId};

use super::*;
use crate::simulate::random::Random;

/// An output that the test can look into.
#[derive(Clone, Debug, Default)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Shared {
    fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A pool whose events are recorded, and what it asked for.
#[derive(Debug)]
struct Recorded {
    pool: Pool,
    recorder: Recorder,
    output: Shared,
    effects: Vec<(Timestamp, Effect)>,
}

impl Recorded {
    fn new(config: Config) -> Self {
        let output = Shared::default();
        let recorder = Recorder::new(Box::new(output.clone()), &config).unwrap();
        Self { pool: Pool::new(config).unwrap(), recorder, output, effects: Vec::new() }
    }

    fn tell(&mut self, now: Timestamp, event: Event) -> Vec<Effect> {
        self.recorder.record(now, &event);
        self.pool.handle(now, event);
        let effects: Vec<_> = std::iter::from_fn(|| self.pool.next_effect()).collect();
        self.effects.extend(effects.iter().map(|effect| (now, *effect)));
        effects
    }
}

fn deployed(function: u32, deploy: u8, memory: u64) -> Event {
    let spec = FunctionSpec {
        memory: MemoryMib(memory),
        slots: 1,
        reserved: (function == 0).then_some(3),
        reserve_group: function,
        provisioned: u32::from(function == 1),
    };
    Event::Deployed { function: FunctionId(function), deploy: DeployId([deploy; 32]), spec }
}

/// Whatever can happen to the instances that there are, at random.
fn live(recorded: &mut Recorded, random: &mut Random, steps: u64) {
    let mut now = Timestamp::START;
    let (mut launching, mut busy, mut ending) = (Vec::new(), Vec::new(), Vec::new());
    for step in 0..steps {
        now = now + Duration::from_millis(random.below(400));
        let pick = |from: &mut Vec<InstanceId>, random: &mut Random| {
            let place = usize::try_from(random.below(from.len() as u64)).unwrap();
            (place < from.len()).then(|| from.swap_remove(place))
        };
        let function = FunctionId(u32::try_from(random.below(4)).unwrap());
        let event = match random.below(20) {
            0 => deployed(function.0, u8::try_from(random.below(3)).unwrap(), 100),
            1 => Event::Evicted { function },
            2 => Event::Cancelled { request: RequestId(random.below(step + 1)) },
            3 => Event::DeadlineReached,
            4 if step > steps / 2 => Event::Removed { function },
            5..=8 => pick(&mut launching, random).map_or(Event::DeadlineReached, |instance| {
                match random.below(5) {
                    0 => Event::LaunchFailed { instance },
                    _ => Event::Launched { instance },
                }
            }),
            9..=12 => {
                pick(&mut busy, random).map_or(Event::DeadlineReached, |instance| match random.below(5) {
                    0 => Event::Exited { instance },
                    1 => Event::Released { instance, outcome: Outcome::Broken },
                    _ => Event::Released { instance, outcome: Outcome::Reusable },
                })
            }
            13..=14 => pick(&mut ending, random)
                .map_or(Event::DeadlineReached, |instance| Event::Terminated { instance }),
            _ => Event::Requested {
                request: RequestId(step),
                function,
                deadline: now + Duration::from_secs(5),
            },
        };
        for effect in recorded.tell(now, event) {
            match effect {
                Effect::Launch { instance, .. } => launching.push(instance),
                Effect::Grant { instance, .. } => busy.push(instance),
                Effect::Terminate { instance, .. } => ending.push(instance),
                Effect::Refuse { .. } => {}
            }
        }
    }
    recorded.tell(now, Event::ShutDown);
}

fn check_unreadable(text: &str, expected: &str) {
    let outcome =
        Recording::parse("bug.jsonl".to_owned(), text).and_then(|recording| recording.replay(|_, _| {}));
    assert_eq!(outcome.unwrap_err().to_string(), expected);
}

#[test]
fn a_replay_asks_for_the_same_effects_at_the_same_times() {
    for seed in 0..8 {
        let config = Config {
            memory_budget: Some(MemoryMib(600)),
            queue: if seed % 2 == 0 { QueuePolicy::Refuse } else { QueuePolicy::Wait { max_waiters: 9 } },
            seed,
            ..Config::default()
        };
        let mut recorded = Recorded::new(config);
        (0..4).for_each(|function| drop(recorded.tell(Timestamp::START, deployed(function, 0, 100))));
        live(&mut recorded, &mut Random::of([seed, 0, 0]), 5_000);
        recorded.recorder.finish().unwrap();
        let recording = Recording::parse("it.jsonl".to_owned(), &recorded.output.text()).unwrap();
        assert_eq!((recording.len(), recording.is_cut_off), (5_005, false));
        let mut replayed = Vec::new();
        recording.replay(|now, effect| replayed.push((now, *effect))).unwrap();
        assert!(1_000 < replayed.len());
        assert_eq!(replayed, recorded.effects);
    }
}

#[test]
fn a_recording_is_one_line_of_json_for_the_configuration_and_one_for_each_event() {
    let mut recorded = Recorded::new(Config { memory_budget: Some(MemoryMib(1024)), ..Config::default() });
    let at = Timestamp::from_millis;
    recorded.tell(at(0), deployed(0, 0xab, 128));
    let requested =
        Event::Requested { request: RequestId(7), function: FunctionId(0), deadline: Timestamp::NEVER };
    let Effect::Launch { instance, .. } = recorded.tell(at(1), requested)[0] else { panic!() };
    recorded.tell(at(2), Event::Launched { instance });
    recorded.tell(at(3), Event::Released { instance, outcome: Outcome::Broken });
    recorded.recorder.finish().unwrap();
    expect![[r#"
        {"hearth_recording":1,"config":{"account_concurrency":1000,"memory_budget_mib":1024,"queue":{"wait":{"max_waiters":10000}},"scale_out":"eager","keep_alive":"ttl:10m","launches_at_once":10,"backoff_min_nanos":100000000,"backoff_max_nanos":30000000000,"seed":0}}
        {"at":0,"event":"deployed","function":0,"deploy":"abababababababababababababababababababababababababababababababab","memory_mib":128,"slots":1,"reserved":3,"reserve_group":0,"provisioned":0}
        {"at":1000000,"event":"requested","request":7,"function":0,"deadline":18446744073709551615}
        {"at":2000000,"event":"launched","instance":"i0.0"}
        {"at":3000000,"event":"released","instance":"i0.0","outcome":"broken"}
    "#]].assert_eq(&recorded.output.text());
}

#[test]
fn a_last_line_that_was_cut_off_is_left_out() {
    let mut recorded = Recorded::new(Config::default());
    recorded.tell(Timestamp::START, deployed(0, 0, 128));
    recorded.tell(Timestamp::START, Event::ShutDown);
    recorded.recorder.finish().unwrap();
    let text = recorded.output.text();
    let recording = Recording::parse(String::new(), &text[..text.len() - 3]).unwrap();
    assert_eq!((recording.len(), recording.is_cut_off), (1, true));
}

#[test]
fn what_is_no_recording_is_refused_with_file_and_line() {
    let recorded = Recorded::new(Config::default());
    recorded.recorder.finish().unwrap();
    let header = recorded.output.text();
    check_unreadable("", "bug.jsonl, line 1, column 0: no line of a recording: EOF while parsing a value");
    check_unreadable(
        &header.replace("recording\":1", "recording\":2"),
        "bug.jsonl, line 1: a recording of format 2; this hearth reads format 1",
    );
    check_unreadable(
        &header.replace("ttl:10m", "ttl:nap"),
        "bug.jsonl, line 1: `nap` is no length of time; write one as 10m, 90s, 500ms or 1.5h",
    );
    check_unreadable(
        &format!("{header}{{\"at\":1,\"event\":\"removed\"}}\n"),
        "bug.jsonl, line 2, column 26: no line of a recording: missing field `function`",
    );
    check_unreadable(
        &format!("{header}{{\"at\":1,\"event\":\"exited\",\"instance\":\"i3.1\"}}\n"),
        "bug.jsonl, line 2: the pool has launched no i3.1: another version wrote this recording",
    );
    check_unreadable(
        &header.replace("\"launches_at_once\":10", "\"launches_at_once\":0"),
        "bug.jsonl, line 1: launches_at_once: must be at least 1",
    );
}

#[test]
fn an_output_that_fails_is_told_at_the_end() {
    #[derive(Debug)]
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut recorder = Recorder::new(Box::new(Full), &Config::default()).unwrap();
    (0..2_000).for_each(|_| recorder.record(Timestamp::START, &Event::DeadlineReached));
    assert_eq!(recorder.finish().unwrap_err().kind(), io::ErrorKind::StorageFull);
}
