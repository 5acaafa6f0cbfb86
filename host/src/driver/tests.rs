//! The driver over a backend in the same process: exact on paused time, and under load on real threads.

mod endings;
mod pausing;
mod provisioning;
mod random_work;
mod recording;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use hearth_core::{BackendError, ErrorKind, EventKind, Instance as Answer};

use super::*;
use crate::catalog::function::{
    Architecture, Code, FunctionConfig, FunctionKey, ImageCode, LogFormat, Logging, SnapStart, Tracing,
    VersionName,
};
use crate::catalog::{Deploy, Numbers};

const LAUNCH: Duration = Duration::from_millis(500);
const FOR_EVER: Duration = Duration::from_secs(3600);

/// Launches take a while, and fail or die as they are told. It knows what lives.
#[derive(Default)]
struct Fake {
    launches: AtomicU64,
    /// Launches take no time.
    instant: bool,
    /// Launches by number, from 0, that fail.
    failing: BTreeSet<u64>,
    /// Launches by number that end before they have answered.
    dying: BTreeSet<u64>,
    /// Launches by number of which the init fails.
    uninitialized: BTreeSet<u64>,
    /// Every initialization type that an instance was launched with.
    initializations: Mutex<Vec<String>>,
    alive: Mutex<BTreeSet<String>>,
    most_alive: AtomicUsize,
    terminations: AtomicU64,
    /// How long a termination takes.
    ending: Duration,
    /// So many terminations fail before the first one succeeds.
    stubborn: u64,
    /// How long it takes to pause an instance, and to resume it.
    pausing: Duration,
    /// Instances cannot be resumed.
    stiff: bool,
    /// What of both was asked for.
    pauses: Mutex<Vec<&'static str>>,
    sink: Mutex<Option<Arc<EventSink>>>,
}

#[async_trait::async_trait]
impl Backend for Fake {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("fake", "1", Capabilities::PAUSE)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> hearth_core::Result<Answer> {
        let number = self.launches.fetch_add(1, Ordering::SeqCst);
        self.initializations.lock().unwrap().push(spec.env["AWS_LAMBDA_INITIALIZATION_TYPE"].clone());
        if !self.instant {
            tokio::time::sleep(LAUNCH).await;
        }
        if self.failing.contains(&number) {
            return Err(BackendError::new(ErrorKind::INTERNAL, "told to fail"));
        }
        let mut alive = self.alive.lock().unwrap();
        alive.insert(spec.instance_id.clone());
        self.most_alive.fetch_max(alive.len(), Ordering::SeqCst);
        drop(alive);
        if self.dying.contains(&number) {
            self.die(&spec.instance_id);
        }
        let outcome = if self.uninitialized.contains(&number) { "failed" } else { "ready" };
        Ok(Answer {
            handle: spec.instance_id.clone(),
            endpoint: "127.0.0.1:1".to_owned(),
            meta: Meta::from([("init.outcome".to_owned(), outcome.to_owned())]),
            ..Answer::default()
        })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, _grace_ms: u64) -> hearth_core::Result<()> {
        let number = self.terminations.fetch_add(1, Ordering::SeqCst);
        if number < self.stubborn {
            return Err(BackendError::new(ErrorKind::UNAVAILABLE, "told not to end"));
        }
        if self.ending.is_zero() {
            tokio::task::yield_now().await;
        } else {
            tokio::time::sleep(self.ending).await;
        }
        self.alive.lock().unwrap().remove(handle);
        Ok(())
    }

    async fn pause(&self, _cx: &CallContext, _handle: &str) -> hearth_core::Result<()> {
        self.pauses.lock().unwrap().push("pause");
        tokio::time::sleep(self.pausing).await;
        Ok(())
    }

    async fn resume(&self, _cx: &CallContext, handle: &str) -> hearth_core::Result<()> {
        self.pauses.lock().unwrap().push("resume");
        tokio::time::sleep(self.pausing).await;
        if self.stiff { Err(BackendError::not_found(handle)) } else { Ok(()) }
    }
}

impl Fake {
    fn die(&self, handle: &str) {
        let sink = self.sink.lock().unwrap().clone().unwrap();
        let meta = Meta::from([("reason".to_owned(), "told to die".to_owned())]);
        let event = hearth_core::Event { kind: EventKind::EXITED, handle: handle.to_owned(), meta };
        // As a plugin does: on a thread that is not the host's.
        let told = std::thread::spawn(move || hearth_core::HostSink::event(&*sink, event));
        told.join().unwrap();
    }

    fn alive(&self) -> usize {
        self.alive.lock().unwrap().len()
    }
}

struct World {
    driver: Driver,
    fake: Arc<Fake>,
    clock: Clock,
}

impl World {
    fn new(fake: Fake) -> Self {
        Self::with(fake, hearth_pool::Config { launches_at_once: 1000, ..hearth_pool::Config::default() })
    }

    fn with(fake: Fake, pool: hearth_pool::Config) -> Self {
        Self::set(fake, Settings { pool, ..settings() })
    }

    fn set(fake: Fake, settings: Settings) -> Self {
        let fake = Arc::new(fake);
        let clock = Clock::start();
        let metrics = Arc::new(Metrics::new());
        let driver = Driver::new(fake.clone(), fake.info(), settings, clock, metrics).unwrap();
        let sink = Arc::new(EventSink::default());
        sink.connect(&driver);
        *fake.sink.lock().unwrap() = Some(sink);
        tokio::spawn(driver.clone().run_timer());
        Self { driver, fake, clock }
    }

    fn deploy(&self, number: u32, reserved: Option<u32>) -> Arc<Target> {
        let target = target(number, &format!("image:{number}"));
        self.driver.deployed(&target, Limits { reserved, provisioned: 0 });
        target
    }

    async fn acquire(&self, target: &Target) -> Result<Reserved, Refused> {
        self.driver.acquire(target, self.clock.now() + FOR_EVER).await
    }

    async fn shut_down(&self) -> ShutDown {
        self.driver.shut_down(FOR_EVER, FOR_EVER, std::future::pending()).await
    }
}

fn settings() -> Settings {
    Settings {
        pool: hearth_pool::Config::default(),
        terminate_grace: Duration::ZERO,
        pause_idle_after: None,
        record: None,
        logs: None,
        function_keys: FunctionKeys::known(),
    }
}

/// A function of image `uri`, which needs no code on disk.
pub(crate) fn target(number: u32, uri: &str) -> Arc<Target> {
    let key = FunctionKey::new("000000000000", "us-east-1", &format!("f{number}"));
    let config = FunctionConfig {
        code: Code::Image(ImageCode { uri: uri.to_owned(), ..ImageCode::default() }),
        architecture: Architecture::X86_64,
        role: String::new(),
        description: String::new(),
        timeout_seconds: 3,
        memory_mb: 128,
        ephemeral_storage_mb: 512,
        environment: None,
        kms_key_arn: None,
        tracing: Tracing::PassThrough,
        logging: Logging { group: "/aws/lambda/f".to_owned(), format: LogFormat::Text },
        vpc: None,
        dead_letter_arn: None,
        file_systems: Vec::new(),
        snap_start: SnapStart::default(),
    };
    let none = BTreeMap::new();
    let deploy = Deploy::new(&key, VersionName::Latest, &config, Vec::new(), &none, &none);
    let numbers = Numbers { function_id: number, reserve_group: number };
    Arc::new(Target::new(&key, VersionName::Latest, &config, numbers, Arc::new(deploy)))
}

#[tokio::test(start_paused = true)]
async fn a_second_invocation_gets_the_instance_of_the_first() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let first = world.acquire(&target).await.unwrap();
    assert_eq!(world.clock.now(), Timestamp::START + LAUNCH);
    let name = first.instance().name.clone();
    first.begin().finish();
    let second = world.acquire(&target).await.unwrap();
    assert_eq!(second.instance().name, name);
    assert_eq!(world.clock.now(), Timestamp::START + LAUNCH);
}

#[tokio::test(start_paused = true)]
async fn a_hundred_at_once_are_all_served_after_one_launch() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let requests: Vec<_> = (0..100)
        .map(|_| {
            let (driver, target, deadline) =
                (world.driver.clone(), target.clone(), world.clock.now() + FOR_EVER);
            tokio::spawn(async move { driver.acquire(&target, deadline).await.map(Reserved::begin) })
        })
        .collect();
    for request in requests {
        request.await.unwrap().unwrap().finish();
    }
    assert_eq!(world.clock.now(), Timestamp::START + LAUNCH);
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 100);
}

#[tokio::test(start_paused = true)]
async fn a_failed_launch_tells_its_cause_to_whoever_waits() {
    let world = World::new(Fake { failing: BTreeSet::from([0]), ..Fake::default() });
    let target = world.deploy(0, None);
    let refused = world.acquire(&target).await.unwrap_err();
    assert!(matches!(refused.reason, Refusal::LaunchFailed(_)), "{refused:?}");
    assert_eq!(refused.launch_error.unwrap().message, "told to fail");
    world.acquire(&target).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_dies_in_its_launch_is_granted_to_nobody() {
    let world = World::new(Fake { dying: BTreeSet::from([0]), ..Fake::default() });
    let target = world.deploy(0, None);
    let refused = world.acquire(&target).await.unwrap_err();
    let message = refused.launch_error.unwrap().message.clone();
    assert_eq!(message, "the instance ended as soon as it was launched: told to die");
    assert_eq!(world.fake.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_instance_that_dies_while_it_serves_tells_whoever_waits_for_its_answer() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let in_flight = world.acquire(&target).await.unwrap().begin();
    let instance = in_flight.instance().clone();
    world.fake.die(&instance.handle);
    assert_eq!(instance.death().await.unwrap()["reason"], "told to die");
    drop(in_flight);
    let next = world.acquire(&target).await.unwrap();
    assert_ne!(next.instance().name, instance.name);
}

#[tokio::test(start_paused = true)]
async fn a_reservation_that_nobody_used_goes_back_and_a_lost_invocation_does_not() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let reserved = world.acquire(&target).await.unwrap();
    let name = reserved.instance().name.clone();
    drop(reserved);
    let again = world.acquire(&target).await.unwrap();
    assert_eq!(again.instance().name, name);
    drop(again.begin());
    let other = world.acquire(&target).await.unwrap();
    assert_ne!(other.instance().name, name);
}

#[tokio::test(start_paused = true)]
async fn an_idle_instance_goes_exactly_when_its_keep_alive_ends() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    world.acquire(&target).await.unwrap().begin().finish();
    tokio::time::sleep(Duration::from_millis(599_999)).await;
    assert_eq!(world.fake.alive(), 1);
    tokio::time::sleep(Duration::from_millis(2)).await;
    assert_eq!(world.fake.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_deploy_lets_what_runs_finish_and_grants_the_new_one() {
    let world = World::new(Fake::default());
    let former = world.deploy(0, None);
    let running = world.acquire(&former).await.unwrap().begin();
    let latter = target(0, "image:new");
    world.driver.deployed(&latter, Limits::default());
    let fresh = world.acquire(&latter).await.unwrap().begin();
    assert_eq!(fresh.instance().target.deploy.id, latter.deploy.id);
    assert!(world.fake.alive.lock().unwrap().contains(&running.instance().handle));
    running.finish();
    fresh.finish();
    assert_eq!(world.shut_down().await.left, 0);
    assert_eq!(world.fake.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn shutdown_waits_for_what_runs_and_ends_what_arrives_late() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let running = world.acquire(&target).await.unwrap().begin();
    let waiting = tokio::spawn({
        let (driver, target, deadline) = (world.driver.clone(), target.clone(), world.clock.now() + FOR_EVER);
        async move { driver.acquire(&target, deadline).await.map(drop) }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (report, ()) = tokio::join!(world.shut_down(), async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        running.finish();
    });
    assert_eq!(waiting.await.unwrap().unwrap_err().reason, Refusal::ShuttingDown);
    assert_eq!(world.fake.launches.load(Ordering::SeqCst), 2);
    assert_eq!(world.fake.alive(), 0);
    assert_eq!((report.finished, report.cut_off, report.left), (1, 0, 0));
    assert_eq!(report.took, Duration::from_secs(2));
}

#[tokio::test(start_paused = true)]
async fn shutdown_cuts_off_what_outlasts_the_grace_period() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    let running = world.acquire(&target).await.unwrap().begin();
    let instance = running.instance().clone();
    let invocation = tokio::spawn(async move {
        instance.death().await;
        drop(running);
    });
    let report = world.driver.shut_down(Duration::from_secs(8), FOR_EVER, std::future::pending()).await;
    invocation.await.unwrap();
    assert_eq!((report.finished, report.cut_off, report.left), (0, 1, 0));
    assert_eq!(world.fake.alive(), 0);
}

#[tokio::test(start_paused = true)]
async fn evict_says_how_many_there_were() {
    let world = World::new(Fake::default());
    let target = world.deploy(0, None);
    assert_eq!(world.driver.evict(&target), 0);
    world.acquire(&target).await.unwrap().begin().finish();
    assert_eq!(world.driver.evict(&target), 1);
    tokio::time::sleep(Duration::from_millis(1)).await;
    assert_eq!(world.fake.alive(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn random_work_from_many_tasks_keeps_the_caps_and_leaks_nothing() {
    random_work::do_a_million_operations().await;
}
