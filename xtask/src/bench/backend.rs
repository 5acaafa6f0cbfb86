//! `cargo xtask bench backend`: what it costs to load a backend and to call it, here and in a process of its own.

use hearth_tests::Result;

use crate::cargo::{self, cargo};

/// Prints one JSON object.
pub(super) fn run() -> Result<()> {
    let packages = ["--package", "hearth-host", "--package", "hearth-backend-mock"];
    let binaries = cargo::build(&[&["--release"][..], &packages].concat())?;
    let mut bench =
        cargo(["run", "--release", "--quiet", "--package", "hearth-host", "--example", "backend_cost", "--"]);
    cargo::run(bench.arg(&binaries.hearth).arg(binaries.plugin("mock")))
}
