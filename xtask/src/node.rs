//! AWS's client of the Runtime API for Node, which is compiled where it is installed.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hearth_tests::{Explain, Problem, Result};

use crate::cargo;

const PACKAGE: &str = "aws-lambda-ric";
const VERSION: &str = "3.3.0";
/// What it takes to compile it.
const TOOLS: [&str; 5] = ["npm", "cmake", "autoreconf", "libtoolize", "g++"];

/// The script that starts a function on it, installed once. `None` if this machine lacks a tool that it takes.
pub(crate) fn runtime_client() -> Result<Option<PathBuf>> {
    let folder = cargo::target_dir()?.join("test-node").join(VERSION);
    let script = folder.join("node_modules").join(PACKAGE).join("bin/index.mjs");
    // Written last: a folder without it was not finished.
    let stamp = folder.join("installed.txt");
    if stamp.exists() {
        return Ok(Some(script));
    }
    if !TOOLS.iter().all(|tool| is_here(tool)) {
        return Ok(None);
    }
    fs::create_dir_all(&folder).explain(format_args!("cannot make {}", folder.display()))?;
    let mut npm = Command::new("npm");
    npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
    npm.arg(format!("{PACKAGE}@{VERSION}"));
    if let Some(headers) = headers_of_node() {
        npm.env("npm_config_nodedir", headers);
    }
    let output = npm.stdin(Stdio::null()).output().explain("cannot run npm")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(Problem::new(format!("{PACKAGE} cannot be installed: {}", said.trim())));
    }
    fs::write(&stamp, "").explain(format_args!("cannot write {}", stamp.display()))?;
    Ok(Some(script))
}

fn is_here(tool: &str) -> bool {
    let version = Command::new(tool).arg("--version").stdout(Stdio::null()).stderr(Stdio::null()).status();
    version.is_ok_and(|status| status.success())
}

/// Where node keeps its headers, if it came with them; otherwise npm downloads them.
fn headers_of_node() -> Option<PathBuf> {
    let output = Command::new("node").args(["-p", "process.execPath"]).output().ok()?;
    let node = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    let prefix = node.parent()?.parent()?.to_owned();
    prefix.join("include/node/node.h").exists().then_some(prefix)
}
