//! What it costs to load a backend and to call it, in this process and in one of its own: prints one JSON object, in
//! milliseconds and microseconds.
//!
//! `cargo xtask bench backend` runs it as `backend_cost HEARTH LIBRARY`, with the library of the mock.

#![expect(clippy::print_stdout, reason = "this program's answer is what it prints")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use hearth_core::{CallContext, Event, HostInfo, HostSink, LaunchSpec, Progress};
use hearth_host::plugin::{self, LoadOptions, Loaded, Program};

/// Of so many loads and calls the median is told.
const LOADS: usize = 21;
const CALLS: usize = 10_001;
/// Calls before any of them is timed.
const WARM_UP: usize = 1_000;

#[tokio::main]
async fn main() {
    let args: Vec<_> = std::env::args_os().skip(1).collect();
    let [hearth, library] = &args[..] else { panic!("usage: backend_cost HEARTH LIBRARY") };
    let args = ["--log", "error", "backend", "host"].map(str::to_owned).to_vec();
    let program = Program { executable: hearth.into(), args };
    let here = Measured::of(library.as_ref(), None).await;
    let isolated = Measured::of(library.as_ref(), Some(program)).await;
    println!(
        concat!(
            r#"{{"load_again_ms":{:.2},"isolated_load_ms":{:.2},"call_us":{:.1},"isolated_call_us":{:.1},"#,
            r#""launch_us":{:.1},"isolated_launch_us":{:.1}}}"#
        ),
        here.load * 1e3,
        isolated.load * 1e3,
        here.call * 1e6,
        isolated.call * 1e6,
        here.launch * 1e6,
        isolated.launch * 1e6
    );
}

/// Medians, in seconds.
struct Measured {
    /// From the file to a backend that is ready. In this process, the library is open already but for the first time.
    load: f64,
    /// A call that does next to nothing.
    call: f64,
    /// A launch of an instance that is ready at once, and its end.
    launch: f64,
}

impl Measured {
    async fn of(library: &Path, isolate: Option<Program>) -> Self {
        let mut loads = Vec::new();
        for _ in 1..LOADS {
            let (loaded, took) = load(library, isolate.clone()).await;
            loaded.backend.shutdown(&CallContext::default()).await.expect("it has nothing to shut down");
            loads.push(took);
        }
        let (loaded, took) = load(library, isolate).await;
        loads.push(took);
        let spec = LaunchSpec { instance_id: "one".to_owned(), ..LaunchSpec::default() };
        let cx = CallContext::default();
        loaded.backend.launch(&cx, &spec).await.expect("an instance of the mock");
        let call = median_of_calls(|| inspect(&loaded)).await;
        let launch = median_of_calls(|| launch(&loaded)).await;
        loaded.backend.shutdown(&cx).await.expect("its instance goes");
        Self { load: median(loads), call, launch }
    }
}

async fn load(library: &Path, isolate: Option<Program>) -> (Loaded, Duration) {
    let options = LoadOptions {
        host_info: HostInfo { owner: "bench".to_owned(), epoch: "now".to_owned(), ..HostInfo::default() },
        log_filter: "error".to_owned(),
        isolate,
        ..LoadOptions::default()
    };
    let start = now();
    let loaded = plugin::load(library, options, Arc::new(Deaf)).await.expect("the mock");
    (loaded, start.elapsed())
}

async fn inspect(loaded: &Loaded) {
    let status = loaded.backend.inspect(&CallContext::default(), "one").await;
    status.expect("it was launched");
}

async fn launch(loaded: &Loaded) {
    let (cx, spec) =
        (CallContext::default(), LaunchSpec { instance_id: "two".to_owned(), ..LaunchSpec::default() });
    let instance = loaded.backend.launch(&cx, &spec).await.expect("an instance of the mock");
    loaded.backend.terminate(&cx, &instance.handle, 0).await.expect("it ends");
}

async fn median_of_calls<F: Future<Output = ()>>(call: impl Fn() -> F) -> f64 {
    for _ in 0..WARM_UP {
        call().await;
    }
    let mut timings = Vec::with_capacity(CALLS);
    for _ in 0..CALLS {
        let start = now();
        call().await;
        timings.push(start.elapsed());
    }
    median(timings)
}

fn median(mut timings: Vec<Duration>) -> f64 {
    timings.sort();
    timings[timings.len() / 2].as_secs_f64()
}

#[expect(clippy::disallowed_methods, reason = "a measurement reads the clock")]
fn now() -> Instant {
    Instant::now()
}

/// A host that does not listen.
struct Deaf;

impl HostSink for Deaf {
    fn event(&self, _event: Event) {}
    fn progress(&self, _progress: Progress) {}
}
