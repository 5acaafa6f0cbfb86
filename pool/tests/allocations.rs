//! Serving allocates nothing, once the tables have grown to what is in use.

#![expect(unsafe_code, reason = "counting allocations takes an allocator, and that trait is unsafe")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::time::Duration;

use hearth_pool::{
    Config, DeployId, Effect, Event, FunctionId, FunctionSpec, InstanceId, MemoryMib, Outcome, Pool,
    RequestId, Timestamp,
};

#[test]
fn a_warm_invocation_allocates_nothing_however_many_instances_and_functions_there_are() {
    for (functions, idle, slots) in [(1, 1, 1), (1, 100, 1), (1, 10_000, 1), (10_000, 1, 1), (10, 10, 4)] {
        let mut host = Host::new(functions, idle, FunctionSpec { slots, ..SPEC });
        let mut serve_all = || {
            for function in (0..functions).cycle().take(30_000).map(FunctionId) {
                host.request(function);
                let granted = host.granted().expect("a warm instance was there");
                host.release(granted);
            }
        };
        serve_all();
        assert_eq!(
            allocations_during(serve_all),
            0,
            "{functions} functions, {idle} instances, {slots} slots"
        );
    }
}

#[test]
fn handing_an_instance_to_those_who_wait_allocates_nothing() {
    let mut host = Host::new(1, 1, FunctionSpec { reserved: Some(1), ..SPEC });
    let mut serve_a_line = || {
        for _ in 0..10_000 {
            host.request(FunctionId(0));
            let mut granted = host.granted().expect("a warm instance was there");
            (0..5).for_each(|_| host.request(FunctionId(0)));
            assert_eq!(host.granted(), None);
            for _ in 0..5 {
                host.release(granted);
                granted = host.granted().expect("it is handed on");
            }
            host.release(granted);
        }
    };
    serve_a_line();
    assert_eq!(allocations_during(serve_a_line), 0);
}

const SPEC: FunctionSpec =
    FunctionSpec { memory: MemoryMib(128), slots: 1, reserved: None, reserve_group: 0, provisioned: 0 };

/// A pool with nothing but warm instances, and time that goes by.
struct Host {
    pool: Pool,
    now: Timestamp,
    requests: u64,
}

impl Host {
    fn new(functions: u32, idle: u32, spec: FunctionSpec) -> Self {
        let live = functions * idle;
        let config = Config { account_concurrency: live, launches_at_once: live, ..Config::default() };
        let mut host = Self {
            pool: Pool::new(config).expect("the configuration holds"),
            now: Timestamp::START,
            requests: 0,
        };
        for function in (0..functions).map(FunctionId) {
            let spec = FunctionSpec { reserve_group: function.0, ..spec };
            host.tell(Event::Deployed { function, deploy: DeployId([0; 32]), spec });
            (0..idle * spec.slots).for_each(|_| host.request(function));
            let launches: Vec<Effect> = std::iter::from_fn(|| host.pool.next_effect()).collect();
            for launch in launches {
                let Effect::Launch { instance, .. } = launch else { panic!("there is room, but {launch:?}") };
                host.tell(Event::Launched { instance });
            }
            let granted: Vec<InstanceId> = std::iter::from_fn(|| host.granted()).collect();
            for instance in granted {
                host.release(instance);
            }
        }
        host
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
        self.now = self.now + Duration::from_micros(1);
        self.pool.handle(self.now, event);
    }

    fn granted(&mut self) -> Option<InstanceId> {
        match self.pool.next_effect()? {
            Effect::Grant { instance, .. } => Some(instance),
            other => panic!("only grants were due, but {other:?}"),
        }
    }
}

fn allocations_during(run: impl FnOnce()) -> u64 {
    let before = ALLOCATIONS.get();
    run();
    ALLOCATIONS.get() - before
}

/// Counts how often this thread asks for memory.
struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

#[global_allocator]
static COUNTING: Counting = Counting;

// SAFETY: every call is handed on to the system's allocator as it is; counting does not allocate, since the
// counter is made at compile time and never dropped.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller's promises about `layout` are the ones that the system's allocator asks for.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: `pointer` came from `alloc` above with this `layout`, hence from the system's allocator.
        unsafe { System.dealloc(pointer, layout) }
    }
}
