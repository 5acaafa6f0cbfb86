//! What a sandbox is made of.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use hearth_core::{BackendError, LaunchSpec, Result};

use crate::{Config, failed, rejected};

/// Of the machine's own files, what programs need to run. What is not there is left out.
const SYSTEM: [&str; 10] = [
    "/usr",
    "/bin",
    "/lib",
    "/lib64",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/resolv.conf",
    "/etc/ssl",
];

/// What all sandboxes have in common.
pub(crate) struct Sandbox {
    bwrap: String,
    rie: PathBuf,
    pub(crate) version: String,
}

impl Sandbox {
    /// Fails if there can be no sandboxes on this machine.
    pub(crate) fn new(config: &Config) -> Result<Self> {
        let Config { bwrap, rie } = config.clone();
        let version = said(Command::new(&bwrap).arg("--version")).map_err(|error| {
            BackendError::config(format!(
                "{bwrap} does not run: {error}; apt-get install bubblewrap, or set `bwrap`"
            ))
        })?;
        let trial = ["--unshare-pid", "--ro-bind", "/", "/", "--proc", "/proc", "true"];
        said(Command::new(&bwrap).args(trial)).map_err(|error| {
            BackendError::config(format!(
                "{bwrap} cannot make a sandbox here: {error}; it needs user namespaces, or root"
            ))
        })?;
        let found = find(&rie)
            .ok_or_else(|| BackendError::config(format!("there is no {rie}; set `rie` to its path")))?;
        Ok(Self { bwrap, rie: found, version })
    }

    /// Starts an instance, and where it will listen. The host dying, or just bubblewrap, is its end as well.
    pub(crate) fn command(&self, spec: &LaunchSpec) -> Result<(Command, SocketAddr)> {
        let code =
            spec.code.as_ref().ok_or_else(|| rejected("this backend runs functions from zip files only"))?;
        if !Path::new(&code.dir_path).join("bootstrap").is_file() {
            return Err(rejected(
                "there is no `bootstrap` in the code: this backend runs provided.* functions only",
            ));
        }
        if spec.layers.len() > 1 {
            return Err(rejected("this backend takes one layer at most"));
        }
        let [invocations, runtime_api] = own_addresses();
        let tmp_bytes = u64::from(spec.ephemeral_storage_mb.max(1)) << 20;
        let mut command = Command::new(&self.bwrap);
        command.args(["--die-with-parent", "--new-session", "--cap-drop", "ALL"]);
        command.args(["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--hostname", "localhost"]);
        for path in SYSTEM {
            command.args(["--ro-bind-try", path, path]);
        }
        command.args(["--proc", "/proc", "--dev", "/dev"]);
        command.args(["--perms", "1777", "--size", &tmp_bytes.to_string(), "--tmpfs", "/tmp"]);
        command.args(["--ro-bind", &code.dir_path, "/var/task", "--chdir", "/var/task"]);
        for layer in &spec.layers {
            command.args(["--ro-bind", &layer.dir_path, "/opt"]);
        }
        command.arg("--ro-bind").arg(&self.rie).args(["/run/rie", "/run/rie"]);
        command.args(["--runtime-interface-emulator-address", &invocations.to_string()]);
        command.args(["--runtime-api-address", &runtime_api.to_string()]);
        command.args(["./bootstrap", &spec.handler]);
        // Through the environment, and not as arguments, which everybody on the machine may read.
        command
            .env_clear()
            .envs([("PATH", "/usr/local/bin:/usr/bin:/bin:/opt/bin"), ("LAMBDA_TASK_ROOT", "/var/task")])
            .envs(&spec.env)
            .envs(&spec.secret_env)
            .env("HEARTH_RIE_TOKEN", &spec.token);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Ok((command, invocations))
    }
}

/// What a program says that ends well; what it complains of otherwise.
fn said(command: &mut Command) -> Result<String, String> {
    let Output { status, stdout, stderr } = command.output().map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(if status.success() { &stdout } else { &stderr }).trim().to_owned();
    if status.success() { Ok(text) } else { Err(text) }
}

/// The file of a program, which will be called by another name in the sandbox.
fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).map(|folder| folder.join(program));
    // A path that is absolute replaces the folder.
    folders.into_iter().find(|file| file.is_file())
}

/// Addresses of the instance's own, by lot: a port that is free now may be taken by the time it is listened on.
fn own_addresses() -> [SocketAddr; 2] {
    let [a, b, c, ..] = RandomState::new().hash_one(()).to_be_bytes();
    [8080, 9001].map(|port| (Ipv4Addr::new(127, a | 0x80, b, c), port).into())
}
