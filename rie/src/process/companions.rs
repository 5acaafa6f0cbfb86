//! The processes of the external extensions: they live beside the function's, each in a group of its own.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::sys::signal::Signal;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::{Group, Process};
use crate::clock::Instant;
use crate::config::Program;
use crate::exit::Exit;
use crate::log::{Logs, Origin};

/// The external extensions that run. Dropping it kills them.
#[derive(Debug, Default)]
pub(crate) struct Companions {
    ends: JoinSet<(Arc<str>, Exit)>,
    groups: Vec<(Arc<str>, Group)>,
}

/// The executables of a folder by name, in the order in which they are started. A folder that does not exist
/// has none.
pub(crate) fn find(folder: &Path) -> Vec<(Arc<str>, PathBuf)> {
    let paths = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let executable = |path: &PathBuf| {
        path.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.permissions().mode() & 0o111 != 0)
    };
    let named = |path: PathBuf| Some((Arc::from(path.file_name()?.to_str()?), path));
    let mut found: Vec<_> = paths.filter(executable).filter_map(named).collect();
    found.sort();
    found
}

impl Companions {
    /// Starts one more, in the environment of the function without what is its runtime's alone.
    pub(crate) async fn start(
        &mut self,
        name: Arc<str>,
        path: PathBuf,
        function: &Program,
        runtime_api: SocketAddr,
        logs: Arc<Logs>,
    ) -> io::Result<Group> {
        let of_runtime = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b"_");
        let environment =
            function.environment.iter().filter(|(name, _)| !of_runtime(name)).cloned().collect();
        let program = Program {
            path,
            arguments: Vec::new(),
            environment,
            directory: "/".into(),
            confinement: function.confinement.clone(),
        };
        let origins = [Origin::Extension, Origin::Extension];
        let (mut process, output) = Process::start(&program, runtime_api, origins, logs).await?;
        let group = process.group();
        self.groups.push((name.clone(), group));
        self.ends.spawn(async move {
            let exit = process.wait().await;
            output.drain();
            (name, exit)
        });
        Ok(group)
    }

    /// Waits until one of them is gone. May be dropped and called again at any time.
    pub(crate) async fn exited(&mut self) -> (Arc<str>, Group, Exit) {
        loop {
            match self.ends.join_next().await {
                Some(Ok((name, exit))) => {
                    let place = self.groups.iter().position(|(other, _)| *other == name);
                    if let Some(place) = place {
                        return (name, self.groups.swap_remove(place).1, exit);
                    }
                }
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// Kills those that were not told to end, gives the others until `deadline`, and kills what is left.
    /// Calls `gone` for each.
    pub(crate) async fn end(&mut self, told: &[Arc<str>], deadline: Instant, gone: impl Fn(Group, Exit)) {
        self.kill(|name| !told.contains(name));
        while !self.groups.is_empty() {
            match timeout_at(deadline, self.exited()).await {
                Ok((_, group, exit)) => gone(group, exit),
                Err(_) => break,
            }
        }
        self.kill(|_| true);
        while !self.groups.is_empty() {
            let (_, group, exit) = self.exited().await;
            gone(group, exit);
        }
    }

    fn kill(&self, which: impl Fn(&Arc<str>) -> bool) {
        for (_, group) in self.groups.iter().filter(|(name, _)| which(name)) {
            group.signal(Signal::SIGKILL);
        }
    }
}
