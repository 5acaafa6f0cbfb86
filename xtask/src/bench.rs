//! `cargo xtask bench`: figures, each measured here and now.

mod backend;
mod bars;
mod docker;
mod k8s;
mod plugin;
mod pool;
mod rie;

use std::path::PathBuf;
use std::process::Command;

use clap::{Args, ValueEnum};
use hearth_tests::Result;

use crate::cargo;

/// Measure
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum)]
    what: What,

    /// Print one JSON object of numbers, and nothing else, on standard output
    #[arg(long)]
    json: bool,

    /// With pool: the folder of the trace to simulate [default: ../shared/traces, or a synthetic one]
    #[arg(long, value_name = "DIR")]
    traces: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The warm path, against the instance itself and against nginx
    Invoke,
    /// Decisions of the pool and of its driver, and a day of them in virtual time
    Pool,
    /// Loading and calling a backend, in the host's process and in one of its own
    Backend,
    /// Loading a backend, and calls through the interface against direct ones
    Plugin,
    /// The runtime interface emulator, against AWS's own
    Rie,
    /// Containers through hearth, against the floor of the engine and against AWS's emulator
    Docker,
    /// Pods through hearth, against the same pods by themselves
    K8s,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match self.what {
            What::Invoke => self.invoke(),
            What::Pool => pool::run(self.json, self.traces.as_deref()),
            What::Backend => backend::run(),
            What::Plugin => plugin::run(self.json),
            What::Rie => rie::run(self.json),
            What::Docker => docker::run(self.json),
            What::K8s => k8s::run(self.json),
        }
    }

    fn invoke(&self) -> Result<()> {
        let packages = ["hearth-host", "hearth-backend-mock", "hearth-tests"];
        let mut args = vec!["--release"];
        args.extend(packages.iter().flat_map(|package| ["--package", package]));
        let binaries = cargo::build(&args)?;
        let mut bench = Command::new(binaries.plugins.join("hearth-bench"));
        bench.arg("invoke").args(self.json.then_some("--json"));
        bench.env("HEARTH_BIN", &binaries.hearth).env("HEARTH_PLUGIN_PATH", &binaries.plugins);
        cargo::run(&mut bench)
    }
}
