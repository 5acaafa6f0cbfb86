//! `cargo xtask bench rie`: the runtime interface emulator, against AWS's own.

use std::process::Command;

use hearth_tests::Result;

use crate::cargo::{self, cargo};
use crate::emulators;
use crate::workspaces;

pub(super) fn run(json: bool) -> Result<()> {
    let hearth = emulators::hearth()?;
    cargo::run(&mut cargo(["build", "--release", "--package", "hearth-tests", "--bin", "hearth-bench"]))?;
    let mut bench = Command::new(cargo::target_dir()?.join("release/hearth-bench"));
    bench.arg("rie").arg(hearth).arg(emulators::aws()?).arg(workspaces::functions()?.join("echo"));
    cargo::run(bench.args(json.then_some("--json")))
}
