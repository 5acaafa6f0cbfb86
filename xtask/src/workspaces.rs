//! The workspaces beside the main one that it does not build: functions on AWS's crates, and AWS's SDK for Rust.

use std::path::PathBuf;
use std::process::Command;

use hearth_tests::Result;

use crate::cargo::{self, STATIC, STATIC_TARGET, cargo};

/// Builds the functions, as executables that need nothing else, and answers the folder they are in.
pub(crate) fn functions() -> Result<PathBuf> {
    cargo::run(of("functions-rust", ["build", "--quiet", "--release"])?.args(STATIC))?;
    Ok(target_dir("functions-rust")?.join(STATIC_TARGET).join("release"))
}

/// A cargo command for the workspace `tests/NAME`, with its own lock file. It builds into a folder of its own, so
/// that it waits for no other build.
pub(crate) fn of<const N: usize>(name: &str, args: [&str; N]) -> Result<Command> {
    let mut command = cargo(args);
    command.args(["--locked", "--manifest-path", &format!("tests/{name}/Cargo.toml"), "--target-dir"]);
    command.arg(target_dir(name)?);
    Ok(command)
}

fn target_dir(name: &str) -> Result<PathBuf> {
    Ok(cargo::target_dir()?.join(name))
}
