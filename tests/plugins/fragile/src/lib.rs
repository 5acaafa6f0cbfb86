//! Ends its process as it is told; its instances live on, as containers do. Each is a file in the backend's directory,
//! and lives as long as that.

#![forbid(unsafe_code)]

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use futures_util::stream;
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, Capabilities, Host, HostInfo, Instance, InstanceStatus,
    LaunchSpec, LogLine, LogStream, LogStreamKind, Meta, Plugin, Protocol, Result, State, async_trait,
};
use serde::{Deserialize, Serialize};

#[derive(Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
struct Config {
    /// The program of an instance.
    instance: PathBuf,
    /// Whether it lists what lives.
    lists: bool,
    /// Whether the process ends as soon as a backend is created.
    aborts: bool,
}

struct Fragile {
    config: Config,
    host: HostInfo,
}

impl Plugin for Fragile {
    type Config = Config;

    const CAPABILITIES: Capabilities = Capabilities::LIST.with(Capabilities::LOGS);

    async fn create(config: Config, host: Host) -> Result<Self> {
        if config.aborts {
            std::process::abort();
        }
        let fragile = Self { config, host: host.info().clone() };
        fs::create_dir_all(fragile.path("instances")).map_err(failed)?;
        while fragile.path("hold").exists() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(fragile)
    }
}

impl Fragile {
    fn path(&self, name: &str) -> PathBuf {
        Path::new(&self.host.state_dir).join(name)
    }

    fn life(&self, handle: &str) -> PathBuf {
        self.path("instances").join(handle).with_extension("json")
    }

    /// Whether this is the first time.
    fn is_first(&self, what: &str) -> bool {
        fs::File::create_new(self.path(what)).is_ok()
    }

    fn start(&self, spec: &LaunchSpec) -> std::io::Result<String> {
        let status = InstanceStatus {
            handle: spec.instance_id.clone(),
            state: State::RUNNING,
            function: spec.function.clone(),
            deploy_id: spec.deploy_id.clone(),
            owner: self.host.owner.clone(),
            epoch: self.host.epoch.clone(),
            meta: Meta::new(),
        };
        let life = self.life(&spec.instance_id);
        fs::write(&life, serde_json::to_vec(&status)?)?;
        let mut command = Command::new(&self.config.instance);
        command.arg(life).process_group(0).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn()?;
        let mut address = String::new();
        BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address)?;
        Ok(address.trim().to_owned())
    }
}

#[async_trait]
impl Backend for Fragile {
    fn info(&self) -> BackendInfo {
        let capabilities = if self.config.lists {
            Self::CAPABILITIES
        } else {
            Self::CAPABILITIES.without(Capabilities::LIST)
        };
        BackendInfo::new("fragile", env!("CARGO_PKG_VERSION"), capabilities)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        if spec.function == "aborts" && self.is_first("aborted") {
            std::process::abort();
        }
        let endpoint = self.start(spec).map_err(failed)?;
        if spec.function == "loses" && self.is_first("lost") {
            std::process::abort();
        }
        let handle = spec.instance_id.clone();
        Ok(Instance { handle, endpoint, protocol: Protocol::AWS_RIE, meta: Meta::new() })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, _grace_ms: u64) -> Result<()> {
        // One that is not there is one that is gone.
        let _gone = fs::remove_file(self.life(handle));
        Ok(())
    }

    async fn list(&self, _cx: &CallContext) -> Result<Vec<InstanceStatus>> {
        if !self.config.lists {
            return Err(BackendError::unsupported("list"));
        }
        let files = fs::read_dir(self.path("instances")).map_err(failed)?.flatten();
        let files = files.filter(|file| file.path().extension().is_some_and(|it| it == "json"));
        Ok(files.filter_map(|file| serde_json::from_slice(&fs::read(file.path()).ok()?).ok()).collect())
    }

    /// Each line has a millisecond of its own.
    async fn logs(&self, _cx: &CallContext, handle: &str, since_ms: u64) -> Result<LogStream> {
        let life = self.life(handle);
        Ok(Box::pin(stream::unfold((life, since_ms), |(life, at)| async move {
            loop {
                let is_alive = life.exists();
                let log = fs::read_to_string(life.with_extension("log")).unwrap_or_default();
                let line = usize::try_from(at).ok().and_then(|at| log.lines().nth(at));
                if let Some(line) = line {
                    let line = LogLine { stream: LogStreamKind::STDOUT, unix_ms: at, line: line.to_owned() };
                    return Some((line, (life, at + 1)));
                }
                if !is_alive {
                    return None;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        })))
    }
}

fn failed(error: impl std::error::Error + 'static) -> BackendError {
    BackendError::internal("the test's backend cannot go on").caused_by(&error)
}

hearth_core::export_backend!(Fragile, "fragile");
