//! What the driver tells the pool, written down and told to another pool.

use hearth_pool::{Effect, Start};

use super::*;
use crate::simulate::recording::Recording;

/// How a request was answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Answered {
    Granted(InstanceId, Start),
    Refused(Refusal),
}

impl Answered {
    fn of(answer: &Result<Reserved, Refused>) -> Self {
        match answer {
            Ok(reserved) => Self::Granted(reserved.instance().id, reserved.start()),
            Err(refused) => Self::Refused(refused.reason),
        }
    }
}

/// A failed launch, warm and cold starts, a deadline, a death and a deploy; what was answered, and when.
async fn live(world: &World) -> Vec<(Timestamp, Answered)> {
    let mut answers = Vec::new();
    let mut note =
        |answer: &Result<Reserved, Refused>| answers.push((world.clock.now(), Answered::of(answer)));
    let target = world.deploy(0, Some(1));
    note(&world.acquire(&target).await);
    let first = world.acquire(&target).await;
    note(&first);
    let soon = world.clock.now() + Duration::from_millis(7);
    note(&world.driver.acquire(&target, soon).await);
    first.unwrap().begin().finish();
    let second = world.acquire(&target).await;
    note(&second);
    let second = second.unwrap();
    world.fake.die(&second.instance().handle.clone());
    drop(second);
    let third = world.acquire(&target).await;
    note(&third);
    let next = target_of_next_deploy();
    world.driver.deployed(&next, Limits { reserved: Some(2), provisioned: 0 });
    note(&world.acquire(&next).await);
    drop(third);
    world.driver.evict(&next);
    world.shut_down().await;
    note(&world.acquire(&next).await);
    answers
}

fn target_of_next_deploy() -> Arc<Target> {
    target(0, "image:next")
}

#[tokio::test(start_paused = true)]
async fn a_replay_decides_what_the_host_decided_at_the_same_moments() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.jsonl");
    let fake = Fake { failing: BTreeSet::from([0]), ..Fake::default() };
    let world = World::set(fake, Settings { record: Some(file.clone()), ..settings() });
    let answers = live(&world).await;
    world.driver.end_recording().await;

    let (mut replayed, mut launches, mut terminations) = (Vec::new(), 0, 0);
    let recording = Recording::read(&file).unwrap();
    assert!(!recording.is_cut_off);
    recording
        .replay(|now, effect| match *effect {
            Effect::Grant { instance, start, .. } => replayed.push((now, Answered::Granted(instance, start))),
            Effect::Refuse { reason, .. } => replayed.push((now, Answered::Refused(reason))),
            Effect::Launch { .. } => launches += 1,
            Effect::Terminate { .. } => terminations += 1,
        })
        .unwrap();
    assert_eq!(replayed, answers);
    assert_eq!(launches, world.fake.launches.load(Ordering::SeqCst));
    assert_eq!(terminations, world.fake.terminations.load(Ordering::SeqCst));
    assert_eq!((launches, terminations), (4, 3));
}

/// Whatever is in the file when the host is killed: it says so, and shows the rest.
#[tokio::test(start_paused = true)]
async fn the_recording_of_a_former_run_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (file, former) = (folder.path().join("it.jsonl"), folder.path().join("it.jsonl.1"));
    let run = |number: u32| {
        let world = World::set(Fake::default(), Settings { record: Some(file.clone()), ..settings() });
        async move {
            (0..number).for_each(|number| drop(world.deploy(number, None)));
            world.driver.end_recording().await;
        }
    };
    run(3).await;
    run(5).await;
    assert_eq!(Recording::read(&former).unwrap().len(), 3);
    assert_eq!(Recording::read(&file).unwrap().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_file_that_cannot_be_written_is_told_at_the_start() {
    let settings = Settings { record: Some("/proc/nowhere/it.jsonl".into()), ..settings() };
    let fake = Arc::new(Fake::default());
    let info = fake.info();
    let refused = Driver::new(fake, info, settings, Clock::start(), Arc::new(Metrics::new())).unwrap_err();
    let message = refused.to_string();
    assert!(message.starts_with("cannot record to /proc/nowhere/it.jsonl: "), "{message}");
}
