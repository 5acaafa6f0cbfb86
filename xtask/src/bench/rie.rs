//! `cargo xtask bench rie`: the runtime interface emulator, against AWS's own.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use hearth_tests::{Explain, Result};

use crate::cargo::{self, STATIC, STATIC_TARGET, cargo};
use crate::python;
use crate::workspaces;

/// The package that AWS's emulator comes in, and where it is in there.
const AWS_PACKAGE: &str = "aws-sam-cli==1.170.0";
const AWS_EMULATOR: &str = "samcli/local/rapid/aws-lambda-rie-x86_64";

pub(super) fn run(json: bool) -> Result<()> {
    // As it is put into images: one file that needs nothing else.
    let mut build = cargo(["build", "--release", "--package", "hearth-rie", "--bin", "rie"]);
    cargo::run(build.args(STATIC))?;
    cargo::run(&mut cargo(["build", "--release", "--package", "hearth-tests", "--bin", "hearth-bench"]))?;
    let target = cargo::target_dir()?;
    let mut bench = Command::new(target.join("release/hearth-bench"));
    bench.arg("rie").arg(target.join(STATIC_TARGET).join("release/rie")).arg(aws_emulator()?);
    cargo::run(bench.arg(workspaces::functions()?.join("echo")).args(json.then_some("--json")))
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
