//! What it costs to be given a warm instance and to give it back: prints one JSON object, in nanoseconds.
//!
//! Run it with `cargo run --release -p hearth-pool --example acquire_cost`.

#![expect(unsafe_code, reason = "counting allocations takes an allocator, and that trait is unsafe")]
#![expect(clippy::print_stdout, reason = "this program's answer is what it prints")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use hearth_pool::{
    Config, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, Pool,
    RequestId, Timestamp,
};

/// Pairs of acquire and release that are timed together: the clock itself takes some 25 ns to read.
const PAIRS: u32 = 1_000;

/// Of so many timings the median is told.
const TIMINGS: usize = 1_001;

fn main() {
    let one = Measured::of(1, 1, Order::InTurn);
    let hundred = Measured::of(1, 100, Order::InTurn);
    let ten_thousand = Measured::of(1, 10_000, Order::InTurn);
    let functions = Measured::of(10_000, 1, Order::InTurn);
    let scattered = Measured::of(10_000, 1, Order::Scattered);
    let all = [&one, &hundred, &ten_thousand, &functions, &scattered];
    let allocations: u64 = all.iter().map(|measured| measured.allocations).sum();
    println!(
        concat!(
            r#"{{"acquire_release_ns_1":{:.1},"acquire_release_ns_100":{:.1},"acquire_release_ns_10000":{:.1},"#,
            r#""acquire_release_ns_fn10000":{:.1},"acquire_release_ns_fn10000_scattered":{:.1},"#,
            r#""warm_allocations":{}}}"#
        ),
        one.nanos, hundred.nanos, ten_thousand.nanos, functions.nanos, scattered.nanos, allocations
    );
}

/// In which order functions are asked for.
#[derive(Clone, Copy)]
enum Order {
    /// One after the other, so that the processor can see what comes next.
    InTurn,
    /// At random, so that what exceeds the caches is paid for as well.
    Scattered,
}

/// What serving costs.
struct Measured {
    /// The median cost of a pair.
    nanos: f64,
    /// How often memory was allocated.
    allocations: u64,
}

impl Measured {
    /// With so many functions, of so many idle instances each.
    fn of(functions: u32, idle: u32, order: Order) -> Self {
        let mut host = Host::new(functions, idle);
        let mut last = 0u32;
        let mut next = || {
            last = match order {
                Order::InTurn => (last + 1) % functions,
                Order::Scattered => last.wrapping_mul(1_664_525).wrapping_add(1_013_904_223),
            };
            match order {
                Order::InTurn => FunctionId(last),
                Order::Scattered => FunctionId((last >> 8) % functions),
            }
        };
        for _ in 0..functions.max(PAIRS) * 20 {
            host.serve(next());
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed);
        let mut timings = [0.0; TIMINGS];
        for timing in &mut timings {
            let start = now();
            for _ in 0..PAIRS {
                host.serve(next());
            }
            *timing = start.elapsed().as_secs_f64() * 1e9 / f64::from(PAIRS);
        }
        let allocations = ALLOCATIONS.load(Ordering::Relaxed) - allocations;
        timings.sort_by(f64::total_cmp);
        Self { nanos: timings[TIMINGS / 2], allocations }
    }
}

/// A pool with nothing but warm instances, and time that goes by.
struct Host {
    pool: Pool,
    now: Timestamp,
    requests: u64,
}

impl Host {
    fn new(functions: u32, idle: u32) -> Self {
        let config = Config {
            account_concurrency: functions * idle,
            launches_at_once: functions * idle,
            ..Config::default()
        };
        let mut host = Self {
            pool: Pool::new(config).expect("the configuration holds"),
            now: Timestamp::START,
            requests: 0,
        };
        for function in (0..functions).map(FunctionId) {
            let spec = FunctionSpec {
                memory: MemoryMib(128),
                slots: 1,
                reserved: None,
                reserve_group: function.0,
                provisioned: 0,
            };
            host.tell(Event::Deployed { function, deploy: DeployId([0; 32]), spec });
            (0..idle).for_each(|_| host.request(function));
            let launched = host.asked();
            for instance in launched {
                host.tell(Event::Launched { instance });
            }
            let granted = host.asked();
            for instance in granted {
                host.release(instance);
            }
        }
        host
    }

    /// One invocation, from its request to its end.
    fn serve(&mut self, function: FunctionId) {
        self.request(function);
        match black_box(self.pool.next_effect()) {
            Some(Effect::Grant { instance, .. }) => self.release(instance),
            other => unreachable!("a warm instance was there, but {other:?}"),
        }
    }

    fn request(&mut self, function: FunctionId) {
        self.requests += 1;
        let deadline = self.now + Duration::from_secs(30);
        self.tell(Event::Requested { request: RequestId(self.requests), function, deadline });
    }

    fn release(&mut self, instance: InstanceId) {
        self.tell(Event::Released { instance, outcome: Outcome::Reusable });
    }

    fn tell(&mut self, event: Event) {
        self.now = self.now + Duration::from_nanos(100);
        self.pool.handle(self.now, event);
    }

    /// The instances that the pool asks to launch, or grants.
    fn asked(&mut self) -> Vec<InstanceId> {
        std::iter::from_fn(|| self.pool.next_effect())
            .map(|effect| match effect {
                Effect::Launch { instance, .. } | Effect::Grant { instance, .. } => instance,
                other => unreachable!("there is room, but {other:?}"),
            })
            .collect()
    }
}

#[expect(clippy::disallowed_methods, reason = "a measurement of time has to read the clock")]
fn now() -> Instant {
    Instant::now()
}

/// Counts how often memory is asked for.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it is; counting does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises about `layout` are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above with this `layout`, hence from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
