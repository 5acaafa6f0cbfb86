//! Where the built binary and the built plugins are.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::{Explain, Problem, Result};

/// The `hearth` binary and the folder with its plugins.
#[derive(Clone, Debug)]
pub struct Binaries {
    /// The host.
    pub hearth: PathBuf,
    /// The folder that holds the plugins, `libhearth_backend_<name>.so`.
    pub plugins: PathBuf,
}

impl Binaries {
    /// Those named by `HEARTH_BIN` and `HEARTH_PLUGIN_PATH`; otherwise those that cargo put beside this very
    /// executable, which are built first if they are not there.
    pub fn find() -> Result<Self> {
        if let Some(hearth) = variable("HEARTH_BIN") {
            let hearth = PathBuf::from(hearth);
            let beside = hearth.parent().map(Path::to_owned).unwrap_or_default();
            return Ok(Self {
                plugins: variable("HEARTH_PLUGIN_PATH").map_or(beside, PathBuf::from),
                hearth,
            });
        }
        let profile = profile_dir()?;
        let binaries = Self { hearth: profile.join("hearth"), plugins: profile.clone() };
        if !binaries.are_built() {
            build(&profile)?;
        }
        if binaries.are_built() {
            Ok(binaries)
        } else {
            Err(Problem::new(format!(
                "there is no hearth with its plugins in {}: build it",
                profile.display()
            )))
        }
    }

    /// The file of a plugin.
    pub fn plugin(&self, name: &str) -> PathBuf {
        self.plugins.join(format!("libhearth_backend_{name}.so"))
    }

    fn are_built(&self) -> bool {
        self.hearth.is_file() && ["process", "mock"].iter().all(|name| self.plugin(name).is_file())
    }
}

/// The folder of the profile that this executable was built in: `target/debug`, say. A test's executable is in
/// `deps` below it.
fn profile_dir() -> Result<PathBuf> {
    let executable = std::env::current_exe().explain("cannot tell where this executable is")?;
    let folder = executable.parent().explain("this executable is in no folder")?;
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    profile.map(Path::to_owned).explain("this executable is in no target folder")
}

/// The same selection as `cargo xtask test` builds, so that nothing is built twice with other features.
fn build(profile: &Path) -> Result<()> {
    let target = profile.parent().explain("the profile is in no target folder")?;
    let mut cargo = Command::new("cargo");
    cargo.args(["build", "--quiet", "--workspace", "--all-targets", "--target-dir"]).arg(target);
    if profile.ends_with("release") {
        cargo.arg("--release");
    }
    let status = cargo.current_dir(env!("CARGO_MANIFEST_DIR")).status().explain("cannot run cargo build")?;
    if status.success() { Ok(()) } else { Err(Problem::new(format!("cargo build: {status}"))) }
}

#[expect(clippy::disallowed_methods, reason = "the one place in the harness that reads the environment")]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
