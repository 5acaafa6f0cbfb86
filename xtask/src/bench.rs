//! `cargo xtask bench`: figures, each measured here and now.

use std::process::Command;

use clap::{Args, ValueEnum};
use hearth_tests::{Explain, Result};
use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::screen;

/// Measure
#[derive(Args, Debug)]
pub(crate) struct Bench {
    /// What to measure
    #[arg(value_enum)]
    what: What,

    /// Print one JSON object of numbers, and nothing else, on standard output
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum What {
    /// The warm path, against the instance itself and against nginx
    Invoke,
    /// Decisions of the pool
    Pool,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match self.what {
            What::Invoke => self.invoke(),
            What::Pool => self.pool(),
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

    /// The pool measures itself and prints one JSON object.
    fn pool(&self) -> Result<()> {
        let mut example =
            cargo(["run", "--release", "--quiet", "--package", "hearth-pool", "--example", "acquire_cost"]);
        if self.json {
            return cargo::run(&mut example);
        }
        let output = example.stderr(std::process::Stdio::inherit()).output().explain("cannot run cargo")?;
        let figures: Value =
            serde_json::from_slice(&output.stdout).explain("the pool's figures are not JSON")?;
        let mut rows = vec![vec!["FIGURE".to_owned(), "VALUE".to_owned()]];
        let figures = figures.as_object().explain("the pool's figures are no object")?;
        rows.extend(figures.iter().map(|(name, value)| vec![name.clone(), value.to_string()]));
        screen::table(&rows);
        Ok(())
    }
}
