//! When the processes of an instance stand still: between invocations, and while somebody wants them to.

use nix::sys::signal::Signal;
use tokio::sync::Notify;

use super::Emulator;
use crate::clock::Instant;
use crate::process::Group;
use crate::sandbox::Sandbox;

/// Why the processes stand still. Changed only under the sandbox's lock.
#[derive(Debug, Default)]
pub(crate) struct Standstill {
    frozen: bool,
    paused: bool,
}

/// Tells the freezer what happens to it.
#[derive(Debug, Default)]
pub(super) struct FreezerSignals {
    rested: Notify,
    thawed: Notify,
}

impl Emulator {
    /// Freezer: since when the instance has had nothing to do.
    pub(crate) fn resting_since(&self) -> Option<Instant> {
        self.sandbox().resting_since()
    }

    /// Freezer: the instance may have nothing to do.
    pub(crate) async fn rested(&self) {
        self.freezer.rested.notified().await;
    }

    /// Freezer: the processes were set going again.
    pub(crate) async fn thawed(&self) {
        self.freezer.thawed.notified().await;
    }

    /// Freezer: stops the processes, unless something has happened since. Returns whether it did. Subscribers to
    /// telemetry are given what there is for them first.
    pub(crate) fn freeze(&self, since: Instant) -> bool {
        let mut sandbox = self.sandbox();
        if sandbox.resting_since() != Some(since) || self.logs.telemetry.is_delivering() {
            return false;
        }
        sandbox.standstill.frozen = true;
        self.signal(Signal::SIGSTOP);
        true
    }

    /// Sets frozen processes going again.
    pub(super) fn thaw(&self, sandbox: &mut Sandbox) {
        self.thaw_those(sandbox, self.groups());
    }

    /// The same, once the function's process is gone, whose number may be another's by now.
    pub(super) fn thaw_companions(&self, sandbox: &mut Sandbox) {
        self.thaw_those(sandbox, self.companions().into_iter());
    }

    fn thaw_those(&self, sandbox: &mut Sandbox, groups: impl Iterator<Item = Group>) {
        if std::mem::take(&mut sandbox.standstill.frozen) {
            if !sandbox.standstill.paused {
                groups.for_each(|group| group.signal(Signal::SIGCONT));
            }
            self.freezer.thawed.notify_one();
        }
    }

    /// Tells the freezer that the instance rests, if it does.
    pub(super) fn may_rest(&self, sandbox: &Sandbox) {
        if sandbox.resting_since().is_some() {
            self.freezer.rested.notify_one();
        }
    }

    /// Stops the processes until [`resume`](Self::resume), whatever comes meanwhile.
    pub(crate) fn pause(&self) {
        self.sandbox().standstill.paused = true;
        self.signal(Signal::SIGSTOP);
    }

    /// Ends a pause.
    pub(crate) fn resume(&self) {
        let mut sandbox = self.sandbox();
        sandbox.standstill.paused = false;
        if !sandbox.standstill.frozen {
            self.signal(Signal::SIGCONT);
        }
    }

    fn signal(&self, signal: Signal) {
        self.groups().for_each(|group| group.signal(signal));
    }
}
