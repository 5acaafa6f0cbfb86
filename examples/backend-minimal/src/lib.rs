//! A backend in a hundred lines: each instance is a process of `rie`, which runs the function's `bootstrap`.
#![forbid(unsafe_code)]

use std::collections::{HashMap, hash_map::RandomState};
use std::hash::BuildHasher;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hearth_core::serde::{Deserialize, Serialize};
use hearth_core::{
    Backend, BackendError, BackendInfo, CallContext, ErrorKind, Host, Instance, LaunchSpec, Meta, Plugin,
    Protocol, Result, async_trait, export_backend,
};

#[derive(Serialize, Deserialize)]
#[serde(crate = "hearth_core::serde", default, deny_unknown_fields)]
pub struct Config {
    /// The emulator: a path, or a name to be found in PATH.
    rie: String,
}

impl Default for Config {
    fn default() -> Self {
        Self { rie: "rie".to_owned() }
    }
}

pub struct Minimal {
    config: Config,
    instances: Mutex<HashMap<String, Process>>,
}

/// Dropping it kills it; the function's own process dies with it.
struct Process(Child);

impl Plugin for Minimal {
    type Config = Config;

    async fn create(config: Config, _host: Host) -> Result<Self> {
        Ok(Self { config, instances: Mutex::default() })
    }
}

#[async_trait]
impl Backend for Minimal {
    fn info(&self) -> BackendInfo {
        BackendInfo::new("minimal", env!("CARGO_PKG_VERSION"), Self::CAPABILITIES)
    }

    async fn launch(&self, _cx: &CallContext, spec: &LaunchSpec) -> Result<Instance> {
        let code = spec.code.as_ref().ok_or_else(|| {
            BackendError::new(ErrorKind::SPEC_REJECTED, "this backend runs functions from zip files only")
        })?;
        let [invocations, runtime_api] = own_addresses();
        // setpriv: the process dies with this one, so that a killed host leaves no orphan.
        let mut process = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", &self.config.rie])
            .args(["--runtime-interface-emulator-address", &invocations.to_string()])
            .args(["--runtime-api-address", &runtime_api.to_string()])
            .args(["./bootstrap", &spec.handler])
            .current_dir(&code.dir_path)
            .envs(&spec.env)
            .envs(&spec.secret_env)
            .env("HEARTH_RIE_TOKEN", &spec.token)
            .stdin(Stdio::null())
            .stdout(std::io::stderr()) // what the function writes appears among the host's own lines
            .spawn()
            .map(Process)
            .map_err(failed("cannot start setpriv"))?;
        while TcpStream::connect(invocations).is_err() {
            if let Ok(Some(status)) = process.0.try_wait() {
                let rie = &self.config.rie;
                return Err(BackendError::internal(format!("{rie} ended with {status} before it listened")));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        let handle = spec.instance_id.clone();
        self.instances.lock().unwrap_or_else(PoisonError::into_inner).insert(handle.clone(), process);
        Ok(Instance {
            handle,
            endpoint: invocations.to_string(),
            protocol: Protocol::HEARTH_1,
            meta: Meta::new(),
        })
    }

    async fn terminate(&self, _cx: &CallContext, handle: &str, grace_ms: u64) -> Result<()> {
        let process = self.instances.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
        if let Some(mut process) = process {
            drop(Command::new("kill").arg(process.0.id().to_string()).status());
            for _ in 0..grace_ms {
                if process.0.try_wait().is_ok_and(|status| status.is_some()) {
                    break;
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill().and_then(|()| self.0.wait()));
    }
}

export_backend!(Minimal, "minimal");

/// Addresses of the instance's own, by lot: a port that is free now may be taken by the time it is listened on.
fn own_addresses() -> [SocketAddr; 2] {
    let [a, b, c, ..] = RandomState::new().hash_one(()).to_be_bytes();
    [8080, 9001].map(|port| (Ipv4Addr::new(127, a | 0x80, b, c), port).into())
}

fn failed(what: &str) -> impl FnOnce(std::io::Error) -> BackendError {
    move |error| BackendError::internal(what).caused_by(&error)
}
