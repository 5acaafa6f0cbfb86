//! Runs cargo in the repository.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use hearth_tests::{Binaries, Explain, Problem, Result};
use serde_json::Value;

/// The target of executables that need nothing else from the machine, and the arguments that build for it.
pub(crate) const STATIC_TARGET: &str = "x86_64-unknown-linux-gnu";
pub(crate) const STATIC: [&str; 4] = [
    "--target",
    STATIC_TARGET,
    "--config",
    r#"target.x86_64-unknown-linux-gnu.rustflags=["-C", "target-feature=+crt-static"]"#,
];

/// The folder of the repository.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// Cargo in the repository, as if it were called by hand.
pub(crate) fn cargo<T: AsRef<str>>(args: impl IntoIterator<Item = T>) -> Command {
    let mut command = Command::new("cargo");
    // What `cargo run` tells this program about itself would be taken for a statement about other packages.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO_PKG_") || text.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name);
        }
    }
    for arg in args {
        command.arg(arg.as_ref());
    }
    command.current_dir(root());
    command
}

/// Runs a command that may use the terminal as it likes.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let words: Vec<_> = [command.get_program()].into_iter().chain(command.get_args()).collect();
    let line = words.iter().map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ");
    let status = command.status().explain(format_args!("cannot run `{line}`"))?;
    if status.success() { Ok(()) } else { Err(Problem::new(format!("`{line}` ended with {status}"))) }
}

/// Builds and answers where hearth and its plugins are. Cargo shows its own progress.
pub(crate) fn build(args: &[&str]) -> Result<Binaries> {
    let mut child = cargo(["build", "--message-format=json-render-diagnostics"])
        .args(args)
        .stdout(Stdio::piped())
        .spawn()
        .explain("cannot run cargo")?;
    let messages = BufReader::new(child.stdout.take().explain("cargo has no output")?);
    let mut hearth = None;
    for line in messages.lines() {
        let message: Value =
            serde_json::from_str(&line.explain("cannot read what cargo says")?).unwrap_or_default();
        if message["target"]["name"] == "hearth" && message["profile"]["test"] == false {
            hearth = message["executable"].as_str().map(PathBuf::from).or(hearth);
        }
    }
    let status = child.wait().explain("cannot wait for cargo")?;
    if !status.success() {
        return Err(Problem::new("the build failed"));
    }
    let hearth = hearth.explain("cargo built no hearth")?;
    let plugins = hearth.parent().explain("hearth was built into no folder")?.to_owned();
    Ok(Binaries { hearth, plugins })
}

/// Where cargo puts what it builds.
pub(crate) fn target_dir() -> Result<PathBuf> {
    let output = cargo(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .stderr(Stdio::inherit())
        .output()
        .explain("cannot run cargo")?;
    let metadata: Value = serde_json::from_slice(&output.stdout).explain("cargo metadata")?;
    metadata["target_directory"]
        .as_str()
        .map(PathBuf::from)
        .explain("cargo metadata names no target directory")
}

/// Whether a cargo subcommand is installed.
pub(crate) fn has(subcommand: &str) -> bool {
    let version = cargo([subcommand, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}
