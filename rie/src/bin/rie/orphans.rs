//! In a container the emulator is the first process, and as such the parent of all that lost theirs: it has to
//! take note of their end, or they stay in the process table for ever.

use std::sync::Arc;

use hearth_rie::Instance;
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::{Pid, getpid};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

/// Begins to take care of orphans, if they come to this process.
pub(crate) fn adopt(instance: Arc<Instance>) -> Option<JoinHandle<()>> {
    if getpid() != Pid::from_raw(1) {
        return None;
    }
    let mut ended = signal(SignalKind::child()).ok()?;
    Some(tokio::spawn(async move {
        while ended.recv().await.is_some() {
            while let Some(orphan) =
                ended_child().filter(|child| !instance.own_processes().contains(&child.as_raw()))
            {
                // It has ended, so that this does not wait.
                let _ = waitpid(orphan, None);
            }
        }
    }))
}

/// A child that has ended and that nobody has taken note of. It stays so.
fn ended_child() -> Option<Pid> {
    let look = WaitPidFlag::WEXITED | WaitPidFlag::WNOHANG | WaitPidFlag::WNOWAIT;
    match waitid(Id::All, look) {
        Ok(WaitStatus::Exited(child, _) | WaitStatus::Signaled(child, ..)) => Some(child),
        _ => None,
    }
}
