//! The function's process, or rather the group of processes that it leads.

mod before_exec;
pub(crate) mod companions;
mod spawner;
pub(crate) mod usage;

use std::io;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::process::{Child, Command};

use crate::config::{Confinement, Program};
use crate::exit::Exit;
use crate::log::{Logs, Origin};
use crate::output::Output;

/// A running process and its group. Dropping it kills the group.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Group,
}

/// A process group, named by its leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Group(Pid);

impl Process {
    /// Starts the program as the leader of a group of its own.
    pub(crate) async fn start(
        program: &Program,
        runtime_api: SocketAddr,
        origins: [Origin; 2],
        logs: Arc<Logs>,
    ) -> io::Result<(Self, Arc<Output>)> {
        let (output, writers) = Output::open(logs, origins)?;
        let mut command = std::process::Command::new(&program.path);
        command
            .args(&program.arguments)
            .env_clear()
            .envs(program.environment.iter().map(|(name, value)| (name, value)))
            .env("AWS_LAMBDA_RUNTIME_API", runtime_api.to_string())
            .current_dir(&program.directory)
            .stdin(Stdio::null())
            .stdout(writers.stdout)
            .stderr(writers.stderr)
            .process_group(0);
        before_exec::confine(&mut command, &program.confinement);
        let child = spawner::spawn(Command::from(command)).await?;
        let group = Group::led_by(&child)?;
        let output = Arc::new(output);
        tokio::spawn(output.clone().pump());
        Ok((Self { child, group }, output))
    }

    pub(crate) fn group(&self) -> Group {
        self.group
    }

    /// Waits for the leader, then kills what it left behind.
    pub(crate) async fn wait(&mut self) -> Exit {
        let status = self.child.wait().await;
        // Between the two calls the number could only be given to somebody else if the kernel had gone once
        // around all of them.
        self.group.signal(Signal::SIGKILL);
        // Waiting can only fail if somebody else has waited for the child, and nobody does.
        status.map_or(Exit::Status(0), Exit::from)
    }
}

/// Whether a process of ours may have a `/tmp` of its own on this machine ([`Confinement::private_tmp`]), and a
/// table of hosts ([`Confinement::hosts`]).
///
/// [`Confinement::private_tmp`]: crate::Confinement::private_tmp
/// [`Confinement::hosts`]: crate::Confinement::hosts
pub async fn private_mounts_work(tmp: &Path, hosts: &Path) -> bool {
    let mut command = std::process::Command::new("/bin/true");
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (private_tmp, hosts) = (Some(tmp.to_owned()), Some(hosts.to_owned()));
    before_exec::confine(&mut command, &Confinement { private_tmp, hosts, ..Confinement::default() });
    match spawner::spawn(Command::from(command)).await {
        Ok(mut child) => child.wait().await.is_ok_and(|status| status.success()),
        Err(_) => false,
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Once it has been waited for, its number may belong to another.
        if self.child.id().is_some() {
            self.group.signal(Signal::SIGKILL);
        }
    }
}

impl Group {
    fn led_by(child: &Child) -> io::Result<Self> {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        id.map(|id| Self(Pid::from_raw(id))).ok_or_else(|| io::Error::other("the process has no number"))
    }

    pub(crate) fn id(self) -> i32 {
        self.0.as_raw()
    }

    /// Sends a signal to all processes of the group. That there are none any more is success.
    pub(crate) fn signal(self, signal: Signal) {
        match killpg(self.0, signal) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => tracing::warn!(group = self.id(), %signal, %error, "cannot signal a process group"),
        }
    }
}
