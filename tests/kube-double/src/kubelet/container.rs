//! One run of a container, from the kubelet's side of the shim.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::process::{Child, Command};

use super::groups::Group;
use super::journal::Journal;
use crate::runtime::{Order, Report, SHIM, Spec};

/// A container whose command runs. Dropping it kills it.
#[derive(Debug)]
pub(super) struct Container {
    pub(super) id: String,
    /// Process number 1 of it, as the machine numbers it.
    pub(super) pid: u32,
    pub(super) journal: Journal,
    pub(super) group: Option<Group>,
    termination_log: PathBuf,
    orders: Orders,
}

/// The way to a running container.
#[derive(Clone, Debug)]
pub(super) struct Orders(Arc<OwnedWriteHalf>);

/// What tells when a container has ended.
#[derive(Debug)]
pub(super) struct Ending {
    reports: BufReader<OwnedReadHalf>,
    shim: Child,
}

/// A container whose command could not be run.
#[derive(Debug)]
pub(super) struct NotStarted(pub(super) String);

impl Container {
    pub(super) async fn start(
        spec: &Spec,
        group: Option<Group>,
        termination_log: PathBuf,
    ) -> Result<(Self, Ending), NotStarted> {
        let refuse = |error: io::Error| NotStarted(error.to_string());
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(refuse)?;
        ours.set_nonblocking(true).map_err(refuse)?;
        let mut shim = Command::new("/proc/self/exe");
        shim.arg(SHIM).stdin(Stdio::from(std::os::fd::OwnedFd::from(theirs)));
        shim.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut shim = shim.spawn().map_err(refuse)?;
        // The command keeps its copy of what it spawned with; the socket shall end with the shim.
        let journal = Journal::new();
        if let (Some(output), Some(errors)) = (shim.stdout.take(), shim.stderr.take()) {
            journal.read(output);
            journal.read(errors);
        }
        let (reports, mut orders) = UnixStream::from_std(ours).map_err(refuse)?.into_split();
        let mut reports = BufReader::new(reports);
        let line = serde_json::to_string(spec).map_err(|error| NotStarted(error.to_string()))?;
        orders.write_all(format!("{line}\n").as_bytes()).await.map_err(refuse)?;
        let pid = match next_report(&mut reports).await {
            Some(Report::Started { pid }) => pid,
            Some(Report::Failed { why }) => return Err(NotStarted(why)),
            _ => return Err(NotStarted("the shim ended at once".to_owned())),
        };
        let id = format!("containerd://{0}{0}", uuid::Uuid::new_v4().simple());
        let orders = Orders(Arc::new(orders));
        Ok((Self { id, pid, journal, group, termination_log, orders }, Ending { reports, shim }))
    }

    /// Sends a signal to its first process. One that has ended does not hear it.
    pub(super) fn order(&self, order: Order) {
        self.orders.send(order);
    }

    pub(super) fn orders(&self) -> Orders {
        self.orders.clone()
    }

    pub(super) fn was_out_of_memory(&self) -> bool {
        self.group.as_ref().is_some_and(Group::was_out_of_memory)
    }

    /// How many bytes it has written to its own root, which is in a file system of its own.
    pub(super) fn written(&self) -> u64 {
        let root = format!("/proc/{}/root", self.pid);
        let size = nix::sys::statvfs::statvfs(root.as_str());
        size.map_or(0, |it| (it.blocks() - it.blocks_free()) * it.fragment_size())
    }

    /// What it left as its last words.
    pub(super) fn last_words(&self) -> Option<String> {
        let text = std::fs::read(&self.termination_log).ok()?;
        let text = String::from_utf8_lossy(&text[..text.len().min(4096)]).into_owned();
        Some(text).filter(|text| !text.is_empty())
    }
}

impl Orders {
    pub(super) fn send(&self, order: Order) {
        if let Ok(line) = serde_json::to_string(&order) {
            // A socket that is full belongs to a shim that reads no more.
            drop(self.0.try_write(format!("{line}\n").as_bytes()));
        }
    }
}

impl Ending {
    /// Waits for the end: the exit code, 128 and the signal for one that was killed.
    pub(super) async fn wait(mut self) -> i32 {
        let report = next_report(&mut self.reports).await;
        drop(self.shim.wait().await);
        match report {
            Some(Report::Exited { code }) => code,
            _ => 137,
        }
    }
}

async fn next_report(reports: &mut BufReader<OwnedReadHalf>) -> Option<Report> {
    let mut line = String::new();
    reports.read_line(&mut line).await.ok()?;
    serde_json::from_str(&line).ok()
}
