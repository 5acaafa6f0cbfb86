//! What it costs to be given a warm instance by the driver and to give it back: prints one JSON object, in nanoseconds.
//!
//! Run it with `cargo run --release -p hearth-host --example driver_cost`.

#![expect(clippy::print_stdout, reason = "this program's answer is what it prints")]

use std::collections::BTreeMap;
use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use hearth_core::{Backend, BackendInfo, CallContext, Instance, LaunchSpec};
use hearth_host::catalog::function::{
    Architecture, Code, FunctionConfig, FunctionKey, ImageCode, LogFormat, Logging, SnapStart, Tracing,
    VersionName,
};
use hearth_host::catalog::{Deploy, Deployer, Limits, Numbers, Target};
use hearth_host::clock::Clock;
use hearth_host::driver::{Driver, Reserved, Settings};
use hearth_host::metrics::Metrics;
use hearth_host::sigv4::FunctionKeys;

/// Pairs of acquire and release that are timed together: the clock itself takes some 25 ns to read.
const PAIRS: u32 = 1_000;

/// Of so many timings the median is told.
const TIMINGS: usize = 1_001;

#[tokio::main]
async fn main() {
    let clock = Clock::start();
    let settings = Settings {
        pool: hearth_pool::Config::default(),
        terminate_grace: Duration::ZERO,
        pause_idle_after: None,
        record: std::env::args_os().nth(1).map(Into::into),
        logs: None,
        function_keys: FunctionKeys::known(),
    };
    let backend = Arc::new(Nowhere);
    let info = backend.info();
    let driver = Driver::new(backend, info, settings, clock, Arc::new(Metrics::new()))
        .expect("the configuration holds");
    tokio::spawn(driver.clone().run_timer());
    let target = target();
    driver.deployed(&target, Limits { reserved: None, provisioned: 0 });
    let first = driver.acquire(&target, clock.now() + Duration::from_secs(60)).await;
    first.expect("the launch succeeds").begin().finish();

    let serve = || acquire(&driver, clock, &target).begin().finish();
    (0..PAIRS * 20).for_each(|_| serve());
    let mut timings = [0.0; TIMINGS];
    for timing in &mut timings {
        let start = now();
        (0..PAIRS).for_each(|_| serve());
        *timing = start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS);
    }
    timings.sort_by(f64::total_cmp);
    println!(r#"{{"driver_ns":{:.1}}}"#, timings[TIMINGS / 2]);
    driver.end_recording().await;
}

/// A warm instance is there: nothing is waited for.
fn acquire(driver: &Driver, clock: Clock, target: &Target) -> Reserved {
    let acquire = pin!(driver.acquire(target, clock.now() + Duration::from_secs(60)));
    match black_box(acquire.poll(&mut Context::from_waker(Waker::noop()))) {
        Poll::Ready(Ok(reserved)) => reserved,
        other => unreachable!("a warm instance was there, but {other:?}"),
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement of time has to read the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Instances that nobody will ever talk to.
struct Nowhere;

#[async_trait::async_trait]
impl Backend for Nowhere {
    fn info(&self) -> BackendInfo {
        BackendInfo::default()
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> hearth_core::Result<Instance> {
        let endpoint = "127.0.0.1:1".to_owned();
        Ok(Instance { handle: spec.instance_id.clone(), endpoint, ..Instance::default() })
    }

    async fn terminate(&self, _cx: &CallContext, _handle: &str, _grace_ms: u64) -> hearth_core::Result<()> {
        Ok(())
    }
}

/// A function of an image, which needs no code on disk.
fn target() -> Arc<Target> {
    let key = FunctionKey::new("000000000000", "us-east-1", "measured");
    let config = FunctionConfig {
        code: Code::Image(ImageCode { uri: "image".to_owned(), ..ImageCode::default() }),
        architecture: Architecture::X86_64,
        role: String::new(),
        description: String::new(),
        timeout_seconds: 3,
        memory_mb: 128,
        ephemeral_storage_mb: 512,
        environment: None,
        kms_key_arn: None,
        tracing: Tracing::PassThrough,
        logging: Logging { group: "/aws/lambda/measured".to_owned(), format: LogFormat::Text },
        vpc: None,
        dead_letter_arn: None,
        file_systems: Vec::new(),
        snap_start: SnapStart::default(),
    };
    let none = BTreeMap::new();
    let deploy = Deploy::new(&key, VersionName::Latest, &config, Vec::new(), &none, &none);
    let numbers = Numbers { function_id: 0, reserve_group: 0 };
    Arc::new(Target::new(&key, VersionName::Latest, &config, numbers, Arc::new(deploy)))
}
