//! The workspaces beside the main one that it does not build: functions on AWS's crates, and AWS's SDK for Rust.

use std::path::PathBuf;
use std::process::Command;

use hearth_tests::Result;

use crate::cargo::{self, STATIC, STATIC_TARGET, cargo};

/// A workspace in a folder of `tests/`. It has a lock file of its own.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Workspace {
    /// Functions and extensions on AWS's crates.
    Functions,
    /// Tests with AWS's SDK for Rust.
    Clients,
}

impl Workspace {
    /// All of them.
    pub(crate) const ALL: [Self; 2] = [Self::Functions, Self::Clients];

    /// Its folder in `tests/`, and in the target folder.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Functions => "functions-rust",
            Self::Clients => "clients-rust",
        }
    }

    /// A cargo subcommand for it.
    pub(crate) fn cargo<const N: usize>(self, args: [&str; N]) -> Command {
        let mut command = cargo(args);
        command.args(["--manifest-path", &format!("tests/{}/Cargo.toml", self.name())]);
        command
    }

    /// The same for a subcommand that builds: into a folder of its own, so that it waits for no other build.
    pub(crate) fn build<const N: usize>(self, args: [&str; N]) -> Result<Command> {
        let mut command = self.cargo(args);
        command.args(["--locked", "--target-dir"]).arg(self.target_dir()?);
        Ok(command)
    }

    fn target_dir(self) -> Result<PathBuf> {
        Ok(cargo::target_dir()?.join(self.name()))
    }
}

/// Builds the functions, as executables that need nothing else, and answers the folder they are in.
pub(crate) fn functions() -> Result<PathBuf> {
    cargo::run(Workspace::Functions.build(["build", "--quiet", "--release"])?.args(STATIC))?;
    Ok(Workspace::Functions.target_dir()?.join(STATIC_TARGET).join("release"))
}
