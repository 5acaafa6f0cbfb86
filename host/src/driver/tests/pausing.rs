//! Instances that are not used are paused, and whoever is given one finds it awake.

use super::*;

const AFTER: Duration = Duration::from_secs(10);
const PAUSING: Duration = Duration::from_secs(1);
const MOMENT: Duration = Duration::from_millis(1);

fn world(fake: Fake) -> World {
    let fake = Fake { instant: true, pausing: PAUSING, ..fake };
    World::set(fake, Settings { pause_idle_after: Some(AFTER), ..settings() })
}

impl World {
    async fn use_once(&self, target: &Target) {
        self.acquire(target).await.unwrap().begin().finish();
    }

    async fn use_until_paused(&self, target: &Target) {
        self.use_once(target).await;
        tokio::time::sleep(AFTER + PAUSING * 2).await;
    }

    fn asked(&self) -> Vec<&'static str> {
        self.fake.pauses.lock().unwrap().clone()
    }

    fn states(&self) -> Vec<&'static str> {
        self.driver.instances().iter().map(Seen::state).collect()
    }
}

#[tokio::test(start_paused = true)]
async fn an_instance_is_paused_when_nobody_has_used_it_for_so_long() {
    let world = world(Fake::default());
    let target = world.deploy(0, None);
    for _ in 0..3 {
        world.use_once(&target).await;
        tokio::time::sleep(AFTER.saturating_sub(MOMENT)).await;
    }
    assert_eq!((world.asked(), world.states()), (vec![], vec!["idle"]));
    tokio::time::sleep(MOMENT + PAUSING + MOMENT).await;
    assert_eq!((world.asked(), world.states()), (vec!["pause"], vec!["paused"]));
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_is_given_a_paused_instance_waits_until_it_goes_on() {
    let world = world(Fake::default());
    let target = world.deploy(0, None);
    world.use_until_paused(&target).await;
    let before = world.clock.now();
    let held = world.acquire(&target).await.unwrap();
    assert_eq!(world.clock.now(), before + PAUSING);
    assert_eq!((world.asked(), world.states()), (vec!["pause", "resume"], vec!["busy"]));
    // However long it is used, nobody pauses it.
    tokio::time::sleep(AFTER * 3).await;
    assert_eq!(world.asked(), ["pause", "resume"]);
    drop(held);
    tokio::time::sleep(AFTER + PAUSING + MOMENT).await;
    assert_eq!(world.asked(), ["pause", "resume", "pause"]);
    assert_eq!(world.shut_down().await.left, 0);
}

#[tokio::test(start_paused = true)]
async fn whoever_comes_while_it_is_being_paused_waits_for_both() {
    let world = world(Fake::default());
    let target = world.deploy(0, None);
    world.use_once(&target).await;
    tokio::time::sleep(AFTER + PAUSING / 2).await;
    let before = world.clock.now();
    world.use_once(&target).await;
    assert_eq!(world.clock.now(), before + PAUSING / 2 + PAUSING);
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_cannot_be_resumed_is_replaced() {
    let world = world(Fake { stiff: true, ..Fake::default() });
    let target = world.deploy(0, None);
    world.use_until_paused(&target).await;
    let before = world.clock.now();
    world.use_once(&target).await;
    assert_eq!(world.clock.now(), before + PAUSING);
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 2);
    tokio::time::sleep(MOMENT).await;
    assert_eq!(world.fake.alive(), 1);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_it_past_their_deadline_or_its_death() {
    let world = world(Fake::default());
    let target = world.deploy(0, None);
    world.use_until_paused(&target).await;
    let (before, soon) = (world.clock.now(), PAUSING / 4);
    world.driver.acquire(&target, before + soon).await.unwrap_err();
    assert_eq!(world.clock.now(), before + soon);

    world.use_until_paused(&target).await;
    let handle = world.driver.instances()[0].instance.as_ref().unwrap().handle.clone();
    let before = world.clock.now();
    let waiting = world.use_once(&target);
    let dying = async {
        tokio::time::sleep(soon).await;
        world.fake.die(&handle);
    };
    tokio::join!(waiting, dying);
    assert_eq!(world.clock.now(), before + soon);
    assert_eq!(world.shut_down().await.left, 0);
}

#[tokio::test]
async fn a_backend_that_cannot_pause_is_told_at_the_start() {
    let settings = Settings { pause_idle_after: Some(AFTER), ..settings() };
    let info = BackendInfo::new("pods", "1", Capabilities::default());
    let started =
        Driver::new(Arc::new(Fake::default()), info, settings, Clock::start(), Arc::new(Metrics::new()));
    let expected = "pool.pause_idle_after_seconds: the backend pods cannot pause instances; take the setting out, or \
                    choose another backend";
    assert_eq!(started.unwrap_err().to_string(), expected);
}
