//! Who goes away early, and what ends slowly, takes nothing along and keeps nobody waiting.

use super::*;

const ENDING: Duration = Duration::from_secs(3);

fn slow_to_end() -> Fake {
    Fake { ending: ENDING, ..Fake::default() }
}

#[tokio::test(start_paused = true)]
async fn a_launch_outlives_whoever_it_was_begun_for() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let soon = tokio::time::timeout(LAUNCH / 2, world.acquire(&target)).await;
    assert!(soon.is_err(), "granted before it was launched");
    tokio::time::sleep(LAUNCH).await;
    assert_eq!(world.fake.alive(), 1);
    let before = world.clock.now();
    world.acquire(&target).await.unwrap().begin().finish();
    assert_eq!(world.clock.now(), before);
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 1);
    assert_eq!(world.shut_down().await.left, 0);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_end_of_an_instance_that_broke() {
    let world = World::new(slow_to_end());
    let target = world.deploy(0, None);
    let broken = world.acquire(&target).await.unwrap();
    let handle = broken.instance().handle.clone();
    broken.discard();
    let before = world.clock.now();
    let next = world.acquire(&target).await.unwrap();
    assert_eq!(world.clock.now(), before + LAUNCH);
    assert_ne!(next.instance().handle, handle);
    assert!(world.fake.alive.lock().unwrap().contains(&handle), "it was waited for");
}

#[tokio::test(start_paused = true)]
async fn a_host_that_stops_ends_its_instances_side_by_side() {
    let world = World::new(slow_to_end());
    let target = world.deploy(0, None);
    let mut held = Vec::new();
    for _ in 0..20 {
        held.push(world.acquire(&target).await.unwrap());
    }
    drop(held);
    let report = world.shut_down().await;
    assert_eq!((report.ended, report.left, report.took), (20, 0, ENDING));
}

#[tokio::test(start_paused = true)]
async fn a_termination_that_fails_is_tried_again_and_its_memory_counts_until_it_is_done() {
    let world = World::new(Fake { stubborn: 3, ..Fake::default() });
    let target = world.deploy(0, None);
    world.acquire(&target).await.unwrap().discard();
    tokio::time::sleep(effects::TERMINATE_RETRY * 6).await;
    assert_eq!(world.fake.terminations.load(Ordering::SeqCst), 3);
    assert_eq!(world.driver.snapshot().memory_used, MemoryMib(128));
    tokio::time::sleep(effects::TERMINATE_RETRY * 2).await;
    assert_eq!(world.fake.terminations.load(Ordering::SeqCst), 4);
    assert_eq!((world.fake.alive(), world.driver.snapshot().memory_used), (0, MemoryMib(0)));
}

/// With one instance allowed, it holds what the inner call needs: that is refused at its deadline, and the function
/// serves again.
#[tokio::test(start_paused = true)]
async fn a_function_that_calls_itself_beyond_its_limit_is_refused_at_the_deadline() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, Some(1));
    let outer = world.acquire(&target).await.unwrap().begin();
    let deadline = world.clock.now() + Duration::from_secs(3);
    let inner = world.driver.acquire(&target, deadline).await.unwrap_err();
    let waited_for = hearth_pool::WaitedFor::ReservedConcurrency;
    assert_eq!((inner.reason, world.clock.now()), (Refusal::Deadline(waited_for), deadline));
    outer.finish();
    world.acquire(&target).await.unwrap().begin().finish();
}
