//! What it costs that a backend is a plugin, as a JSON object of numbers: the time from a file to a backend that is
//! ready, and what a call takes through the interface and without it. The argument is the mock's file; the same backend
//! is linked into this program as well.
//!
//! `cargo xtask bench plugin` builds both in release and runs it.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use hearth_backend_mock::{Config, Mock};
use hearth_core::{Backend, CallContext, Event, Host, HostInfo, HostSink, LaunchSpec, Plugin as _, Progress};
use hearth_host::plugin::{self, LoadOptions, Loaded};
use hearth_tests::{Explain, Problem, Result, Stopwatch};
use serde_json::json;

/// How often the file is loaded: each time a copy of it, which the system has not mapped yet.
const LOADS: usize = 21;
/// Rounds of calls, direct and through the interface in turn.
const ROUNDS: usize = 15;
const CALLS: u32 = 2_000;

const INSTANCE: &str = "i-1";

/// A host that does not listen.
struct Deaf;

impl HostSink for Deaf {
    fn event(&self, _event: Event) {}
    fn progress(&self, _progress: Progress) {}
}

#[tokio::main]
async fn main() -> Result<()> {
    let file = std::env::args_os().nth(1).explain("give me the file of the mock backend")?;
    let (load_ms, loaded) = load(file.as_ref()).await?;
    let direct = Mock::create(Config::default(), Host::new(HostInfo::default(), Deaf)).await;
    let direct = direct.explain("the mock cannot be created")?;
    launch(&direct).await?;
    launch(&*loaded.backend).await?;
    let (mut direct_ns, mut plugin_ns) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        direct_ns.push(call(&direct).await?);
        plugin_ns.push(call(&*loaded.backend).await?);
    }
    let (direct_ns, plugin_ns) = (median(direct_ns), median(plugin_ns));
    print(&json!({
        "load_ms": load_ms,
        "call_direct_ns": direct_ns,
        "call_plugin_ns": plugin_ns,
        "call_overhead_us": (plugin_ns - direct_ns) / 1e3,
    }));
    Ok(())
}

/// The median time from a file to a backend that is ready, in milliseconds, and one of those backends.
async fn load(file: &Path) -> Result<(f64, Loaded)> {
    let folder = tempfile::tempdir().explain("cannot make a folder")?;
    let mut times = Vec::new();
    let mut last = None;
    for number in 0..LOADS {
        let copy = folder.path().join(format!("{number}.so"));
        fs::copy(file, &copy).explain(format_args!("cannot copy {}", file.display()))?;
        let loading = Stopwatch::start();
        let loaded = plugin::load(&copy, LoadOptions::default(), Arc::new(Deaf)).await;
        times.push(loading.elapsed().as_secs_f64() * 1e3);
        last = Some(loaded.map_err(|error| Problem::new(error.to_string()))?);
    }
    Ok((median(times), last.explain("nothing was loaded")?))
}

async fn launch(backend: &dyn Backend) -> Result<()> {
    let spec = LaunchSpec { instance_id: INSTANCE.to_owned(), ..LaunchSpec::default() };
    backend.launch(&CallContext::default(), &spec).await.explain("the launch failed").map(drop)
}

/// What a call takes on average, in nanoseconds: one whose answer has a few strings.
async fn call(backend: &dyn Backend) -> Result<f64> {
    let cx = CallContext::default();
    let calling = Stopwatch::start();
    for _ in 0..CALLS {
        backend.inspect(&cx, INSTANCE).await.explain("the instance is not there")?;
    }
    Ok(calling.elapsed().as_secs_f64() * 1e9 / f64::from(CALLS))
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::print_stdout, reason = "the figures are what this program is for")]
fn print(figures: &serde_json::Value) {
    println!("{figures}");
}
