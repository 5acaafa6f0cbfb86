//! `cargo xtask bench pool`: what decisions cost, each figure beside its bar.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;

use hearth_tests::{Explain, Result};
use serde_json::{Map, Value};

use super::bars::{self, Bar};
use crate::cargo;

/// A trace that is the same everywhere, if there is no other.
const SYNTHETIC: &str = "functions=1000,minutes=1440,rate=1000,seed=1";

/// Figures that must not differ by more than [`FLAT`], however much there is in the pool.
const ALIKE: [&str; 4] = [
    "acquire_release_ns_1",
    "acquire_release_ns_100",
    "acquire_release_ns_10000",
    "acquire_release_ns_fn10000",
];
const FLAT: f64 = 1.25;

/// Every bar, by the figure's name.
const BARS: [(&str, Bar); 8] = [
    (ALIKE[0], Bar::AtMost(200.0)),
    (ALIKE[1], Bar::AtMost(200.0)),
    (ALIKE[2], Bar::AtMost(200.0)),
    (ALIKE[3], Bar::AtMost(200.0)),
    ("acquire_release_spread", Bar::AtMost(FLAT)),
    ("warm_allocations", Bar::AtMost(0.0)),
    ("driver_ns", Bar::AtMost(2_000.0)),
    ("trace_invocations_per_s", Bar::AtLeast(1_000_000.0)),
];

/// Measures, one after the other, so that no measurement disturbs another.
pub(super) fn run(json: bool, traces: Option<&Path>) -> Result<()> {
    let binaries = cargo::build(&["--release", "--package", "hearth-host"])?;
    let mut figures = bars::example("hearth-pool", "acquire_cost", &[])?;
    figures.insert("acquire_release_spread".to_owned(), spread(&figures)?.into());
    figures.extend(bars::example("hearth-host", "driver_cost", &[])?);
    let (trace, arguments) = trace(traces);
    let mut simulate = Command::new(&binaries.hearth);
    simulate.args(["simulate", "--policy", "ttl:10m", "--json"]).args(&arguments);
    let rate = bars::object(&mut simulate)?
        .remove("trace_invocations_per_s")
        .explain("the simulator does not tell how fast it was")?;
    figures.insert("trace_invocations_per_s".to_owned(), rate);
    if json {
        return bars::print_json(figures);
    }
    bars::print_table(&figures, &BARS)?;
    anstream::println!("\n  trace_invocations_per_s: {trace}");
    Ok(())
}

/// How much more the dearest pair costs than the cheapest.
fn spread(figures: &Map<String, Value>) -> Result<f64> {
    let alike = ALIKE.map(|name| figures.get(name).and_then(Value::as_f64));
    let alike: Option<Vec<f64>> = alike.into_iter().collect();
    let alike = alike.explain("a figure of the pool is missing")?;
    let dearest = alike.iter().copied().fold(f64::MIN, f64::max);
    Ok(dearest / alike.iter().copied().fold(f64::MAX, f64::min))
}

/// The trace in words, and as arguments: a day of the real world if it is at hand, else one out of a seed.
fn trace(traces: Option<&Path>) -> (String, Vec<PathBuf>) {
    let beside = cargo::root().join("../shared/traces");
    let folder = traces.unwrap_or(&beside);
    let file = |name: &str| folder.join(format!("azure-1350-{name}.csv.xz"));
    let [invocations, durations, memory] = ["invocations", "durations", "memory"].map(file);
    if [&invocations, &durations, &memory].iter().all(|file| file.is_file()) {
        let arguments = vec![invocations, "--durations".into(), durations, "--memory".into(), memory];
        (format!("the day in {}", folder.display()), arguments)
    } else {
        let name = format!("a synthetic day ({SYNTHETIC})");
        (name, ["--synthetic", SYNTHETIC].map(|it| PathBuf::from(OsStr::new(it))).to_vec())
    }
}
