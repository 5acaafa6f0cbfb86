//! What the backend tells without being asked.

use std::sync::OnceLock;

use hearth_core::{Event as BackendEvent, HostSink, Progress};
use hearth_pool::Event;
use tokio::runtime::Handle;

use super::Driver;

/// Takes a backend's messages. It exists before the driver does, since the backend is created first.
#[derive(Debug, Default)]
pub struct EventSink {
    driver: OnceLock<(Driver, Handle)>,
}

impl EventSink {
    /// From now on, messages reach this driver. What came before concerned nothing that it knows. Called on the
    /// driver's runtime: messages come on threads of the backend, which know nothing of it.
    pub fn connect(&self, driver: &Driver) {
        let _already_connected = self.driver.set((driver.clone(), Handle::current()));
    }
}

impl HostSink for EventSink {
    fn event(&self, event: BackendEvent) {
        if let Some((driver, runtime)) = self.driver.get() {
            let _entered = runtime.enter();
            driver.instance_ended(event);
        }
    }

    fn progress(&self, progress: Progress) {
        tracing::debug!(step = %progress.step, done = progress.done, total = progress.total, "preparing");
        if let Some((driver, _)) = self.driver.get() {
            driver.preparations().update(progress);
        }
    }
}

impl Driver {
    /// An instance ended by itself: it leaves the pool at once, and whoever waits for its answer is told.
    fn instance_ended(&self, event: BackendEvent) {
        let mut state = self.state();
        let Some(&id) = state.by_handle.get(&event.handle) else {
            if state.launches_under_way > 0 {
                state.early_exits.insert(event.handle, event.meta);
            }
            return;
        };
        if let Some(instance) = state.instance(id) {
            tracing::warn!(
                function = %instance.target.function.name,
                instance = %instance.name,
                cause = ?event.meta,
                "instance ended by itself"
            );
            instance.died(event.meta);
        }
        state.tell(self.shared.clock.now(), Event::Exited { instance: id });
        let actions = state.drain();
        self.perform(state, actions);
    }
}
