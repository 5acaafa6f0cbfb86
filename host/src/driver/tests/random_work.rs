//! Whatever many tasks do at once, on real threads: no cap is exceeded, and in the end nothing is left.

use hearth_pool::{Effect, QueuePolicy};

use super::*;
use crate::simulate::recording::Recording;

const TASKS: u64 = 16;
/// Reserved by function 0.
const CAP: u32 = 6;
/// What all functions share.
const ACCOUNT: u32 = 20;

/// What came of the operations.
#[derive(Debug, Default)]
struct Tally {
    done: AtomicU64,
    finished: AtomicU64,
    given_back: AtomicU64,
    broken: AtomicU64,
    crashed: AtomicU64,
    gone: AtomicU64,
    refused: AtomicU64,
}

/// A number, at random, the same for the same seed.
fn next(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// One function has reserved concurrency, three share what is left; every seventh launch fails.
fn world(record: Option<PathBuf>) -> Arc<World> {
    let pool = hearth_pool::Config {
        account_concurrency: ACCOUNT,
        memory_budget: Some(MemoryMib(128 * u64::from(ACCOUNT - 2))),
        queue: QueuePolicy::Wait { max_waiters: 10_000 },
        backoff_min: Duration::from_millis(1),
        backoff_max: Duration::from_millis(2),
        ..hearth_pool::Config::default()
    };
    let failing = (0..1_000_000).step_by(7).collect();
    Arc::new(World::set(
        Fake { instant: true, failing, ..Fake::default() },
        Settings { pool, record, ..settings() },
    ))
}

/// Many tasks do `operations` each.
async fn work(world: &Arc<World>, operations: u64) -> Arc<Tally> {
    let targets: Vec<_> = (0..4).map(|number| world.deploy(number, (number == 0).then_some(CAP))).collect();
    let held: Arc<Vec<AtomicUsize>> = Arc::new(targets.iter().map(|_| AtomicUsize::new(0)).collect());
    let tally = Arc::new(Tally::default());
    let tasks: Vec<_> = (0..TASKS)
        .map(|seed| {
            let (world, targets, held, tally) = (world.clone(), targets.clone(), held.clone(), tally.clone());
            tokio::spawn(async move {
                let mut seed = seed;
                for _ in 0..operations {
                    let choice = usize::try_from(next(&mut seed)).unwrap() % targets.len();
                    let outcome = operate(&world, &targets[choice], &held[choice], next(&mut seed)).await;
                    outcome(&tally).fetch_add(1, Ordering::Relaxed);
                    tally.done.fetch_add(1, Ordering::Relaxed);
                    assert!(held[0].load(Ordering::SeqCst) <= CAP as usize);
                    let all: usize = held.iter().map(|held| held.load(Ordering::SeqCst)).sum();
                    assert!(all <= ACCOUNT as usize);
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    tally
}

/// Acquires, and then does what the dice say. Answers where that is counted.
async fn operate(world: &World, target: &Target, held: &AtomicUsize, dice: u64) -> fn(&Tally) -> &AtomicU64 {
    let acquire = world.acquire(target);
    let acquired = if dice.is_multiple_of(5) {
        // Goes away after a moment, granted or not.
        tokio::select! {
            biased;
            acquired = acquire => acquired,
            () = tokio::task::yield_now() => return |tally| &tally.gone,
        }
    } else {
        acquire.await
    };
    let Ok(reserved) = acquired else { return |tally| &tally.refused };
    held.fetch_add(1, Ordering::SeqCst);
    if dice.is_multiple_of(3) {
        tokio::task::yield_now().await;
    }
    held.fetch_sub(1, Ordering::SeqCst);
    match dice % 50 {
        0 => {
            world.fake.die(&reserved.instance().handle.clone());
            |tally| &tally.crashed
        }
        1 => {
            reserved.discard();
            |tally| &tally.broken
        }
        2 => {
            drop(reserved.begin());
            |tally| &tally.broken
        }
        3 => {
            drop(reserved);
            |tally| &tally.given_back
        }
        _ => {
            reserved.begin().finish();
            |tally| &tally.finished
        }
    }
}

/// The host goes down, and leaves nothing.
async fn check_that_nothing_is_left(world: &World) {
    let report = world.shut_down().await;
    assert_eq!((report.left, report.cut_off), (0, 0));
    assert_eq!(world.fake.alive(), 0);
    assert!(world.fake.most_alive.load(Ordering::SeqCst) <= ACCOUNT as usize - 2, "above the memory budget");
    assert_eq!(world.driver.snapshot().memory_used, MemoryMib(0));
    let state = world.driver.state();
    assert!(state.waiting.is_empty() && state.by_handle.is_empty() && state.early_exits.is_empty());
    assert!(state.instances.iter().all(Option::is_none));
    assert_eq!(state.launches_under_way, 0);
    assert_eq!(state.pool.audit(), Ok(()));
}

/// A million operations, counted.
pub(super) async fn do_a_million_operations() {
    const OPERATIONS: u64 = 1_000_000;
    let world = world(None);
    let tally = work(&world, OPERATIONS / TASKS).await;
    assert_eq!(tally.done.load(Ordering::Relaxed), OPERATIONS);
    for (kind, at_least) in [
        (&tally.finished, OPERATIONS / 2),
        (&tally.given_back, OPERATIONS / 100),
        (&tally.broken, OPERATIONS / 50),
        (&tally.crashed, OPERATIONS / 500),
        (&tally.gone, OPERATIONS / 100),
        (&tally.refused, 1),
    ] {
        assert!(at_least <= kind.load(Ordering::Relaxed), "{tally:?}");
    }
    check_that_nothing_is_left(&world).await;
}

/// Events are written down in the order in which the pool saw them, however many threads there are: in any other
/// the pool would have decided differently.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_recording_of_many_tasks_replays_as_it_went() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("it.jsonl");
    let world = world(Some(file.clone()));
    work(&world, 1_000).await;
    check_that_nothing_is_left(&world).await;
    world.driver.end_recording().await;
    let (mut launches, mut terminations) = (0, 0);
    let recording = Recording::read(&file).unwrap();
    recording
        .replay(|_, effect| match effect {
            Effect::Launch { .. } => launches += 1,
            Effect::Terminate { .. } => terminations += 1,
            Effect::Grant { .. } | Effect::Refuse { .. } => {}
        })
        .unwrap();
    assert_eq!(launches, world.fake.launches.load(Ordering::SeqCst));
    assert_eq!(terminations, world.fake.terminations.load(Ordering::SeqCst));
    assert!(100 < launches, "{launches}");
}
