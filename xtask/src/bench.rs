//! `cargo xtask bench`: figures, each measured here and now.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use clap::{Args, ValueEnum};
use hearth_tests::{Explain, Result};
use serde_json::Value;

use crate::cargo::{self, cargo};
use crate::python;
use crate::screen;

const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";
const STATIC_FLAGS: &str =
    r#"target.x86_64-unknown-linux-gnu.rustflags=["-C", "target-feature=+crt-static"]"#;

/// The package that AWS's emulator comes in, and where it is in there.
const AWS_PACKAGE: &str = "aws-sam-cli==1.170.0";
const AWS_EMULATOR: &str = "samcli/local/rapid/aws-lambda-rie-x86_64";

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
    /// The runtime interface emulator, against AWS's own
    Rie,
}

impl Bench {
    pub(crate) fn run(&self) -> Result<()> {
        match self.what {
            What::Invoke => self.invoke(),
            What::Pool => self.pool(),
            What::Rie => self.rie(),
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

    fn rie(&self) -> Result<()> {
        // As it is put into images: one file that needs nothing else.
        let mut build = cargo(["build", "--release", "--package", "hearth-rie", "--bin", "rie"]);
        build.args(["--target", STATIC_TARGET, "--config", STATIC_FLAGS]);
        cargo::run(&mut build)?;
        cargo::run(&mut cargo(["build", "--release", "--package", "hearth-tests", "--bin", "hearth-bench"]))?;
        let target = cargo::target_dir()?;
        let mut bench = Command::new(target.join("release/hearth-bench"));
        bench.arg("rie").arg(target.join(STATIC_TARGET).join("release/rie")).arg(aws_emulator()?);
        cargo::run(bench.args(self.json.then_some("--json")))
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

/// AWS's emulator, downloaded once.
fn aws_emulator() -> Result<PathBuf> {
    let folder = cargo::target_dir()?.join("aws-emulator");
    let emulator = folder.join(AWS_EMULATOR);
    if emulator.is_file() {
        return Ok(emulator);
    }
    let python = python::with_test_packages()?;
    fs::create_dir_all(&folder).explain(format_args!("cannot make {}", folder.display()))?;
    let mut download = Command::new(&python);
    download.args(["-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest"]);
    cargo::run(download.arg(&folder).arg(AWS_PACKAGE))?;
    let mut unpack = Command::new(&python);
    unpack.args(["-c", UNPACK, AWS_EMULATOR]).current_dir(&folder);
    cargo::run(&mut unpack)?;
    Ok(emulator)
}

/// Takes one file out of the package in this folder, and allows to run it.
const UNPACK: &str = "
import glob, os, sys, zipfile
[package] = glob.glob('*.whl')
os.chmod(zipfile.ZipFile(package).extract(sys.argv[1]), 0o755)
";
