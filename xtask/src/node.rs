//! AWS's packages for Node: its client of the Runtime API, which is compiled where it is installed, and its SDK.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use hearth_tests::{Explain, Problem, Result};

use crate::cargo;

/// A package of npm's, and what it takes to install it.
struct Package {
    name: &'static str,
    version: &'static str,
    tools: &'static [&'static str],
}

const RUNTIME_CLIENT: Package = Package {
    name: "aws-lambda-ric",
    version: "3.3.0",
    tools: &["npm", "cmake", "autoreconf", "libtoolize", "g++"],
};
const SDK: Package = Package { name: "@aws-sdk/client-lambda", version: "3.1164.0", tools: &["node", "npm"] };

/// The script that starts a function on the Runtime API's client, installed once. `None` if this machine lacks a tool
/// that it takes.
pub(crate) fn runtime_client() -> Result<Option<PathBuf>> {
    let folder = RUNTIME_CLIENT.install()?;
    Ok(folder.map(|folder| folder.join("node_modules").join(RUNTIME_CLIENT.name).join("bin/index.mjs")))
}

/// The folder that the SDK's client for Lambda is installed in. `None` if this machine lacks a tool that it takes.
pub(crate) fn sdk() -> Result<Option<PathBuf>> {
    SDK.install()
}

impl Package {
    /// The folder that it is in, installed once. `None` if this machine lacks a tool that it takes.
    fn install(&self) -> Result<Option<PathBuf>> {
        let Self { name, version, tools } = self;
        let folder = cargo::target_dir()?.join("test-node").join(name.replace('/', "-")).join(version);
        // Written last: a folder without it was not finished.
        let stamp = folder.join("installed.txt");
        if stamp.exists() {
            return Ok(Some(folder));
        }
        if !tools.iter().all(|tool| is_here(tool)) {
            return Ok(None);
        }
        fs::create_dir_all(&folder).explain(format_args!("cannot make {}", folder.display()))?;
        let mut npm = Command::new("npm");
        npm.args(["install", "--no-audit", "--no-fund", "--prefix"]).arg(&folder);
        npm.arg(format!("{name}@{version}"));
        if let Some(headers) = headers_of_node() {
            npm.env("npm_config_nodedir", headers);
        }
        let output = npm.stdin(Stdio::null()).output().explain("cannot run npm")?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr);
            return Err(Problem::new(format!("{name} cannot be installed: {}", said.trim())));
        }
        fs::write(&stamp, "").explain(format_args!("cannot write {}", stamp.display()))?;
        Ok(Some(folder))
    }
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
