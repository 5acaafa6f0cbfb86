//! The instances of this host process, from before their containers are made until those are gone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use hearth_core::{EventKind, Meta};
use tokio::sync::watch;

use crate::users::User;

/// All of them, by handle. A handle is the name of the container.
#[derive(Debug, Default)]
pub(crate) struct Instances(Mutex<HashMap<String, Arc<Instance>>>);

/// One instance.
#[derive(Debug)]
pub(crate) struct Instance {
    pub(crate) handle: String,
    /// Whom it runs as, until it is forgotten; nothing if others say that.
    _user: Option<User>,
    state: Mutex<State>,
    end: watch::Sender<Option<End>>,
}

#[derive(Clone, Copy, Debug)]
struct State {
    phase: Phase,
    /// Whether this host paused it.
    is_paused: bool,
    /// Whether the kernel has killed a process of it for its memory.
    ran_out_of_memory: bool,
}

/// `Launching` → `Running` → `Ending`; `Launching` → `Ending`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    /// Whoever launches it looks after it.
    Launching,
    /// The host may invoke it, and wants to know if it ends.
    Running,
    /// It is being removed.
    Ending,
}

/// How a container ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) kind: EventKind,
    /// Why, for people.
    pub(crate) meta: Meta,
}

impl End {
    /// A container that was ended by something other than itself.
    pub(crate) fn because(reason: &str) -> Self {
        Self { kind: EventKind::EXITED, meta: [("reason".to_owned(), reason.to_owned())].into() }
    }
}

impl Instances {
    /// Enters an instance whose container is about to be made.
    pub(crate) fn begin(&self, handle: &str, user: Option<User>) -> Arc<Instance> {
        let state = State { phase: Phase::Launching, is_paused: false, ran_out_of_memory: false };
        let instance = Arc::new(Instance {
            handle: handle.to_owned(),
            _user: user,
            state: Mutex::new(state),
            end: watch::Sender::new(None),
        });
        self.table().insert(handle.to_owned(), instance.clone());
        instance
    }

    pub(crate) fn get(&self, handle: &str) -> Option<Arc<Instance>> {
        self.table().get(handle).cloned()
    }

    /// Its container is gone.
    pub(crate) fn forget(&self, handle: &str) {
        self.table().remove(handle);
    }

    /// Those that the host may invoke.
    pub(crate) fn running(&self) -> Vec<Arc<Instance>> {
        self.table().values().filter(|instance| instance.state().phase == Phase::Running).cloned().collect()
    }

    fn table(&self) -> MutexGuard<'_, HashMap<String, Arc<Instance>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Instance {
    /// Hands it over to the host, unless it has ended already.
    pub(crate) fn launched(&self) -> Result<(), End> {
        let mut state = self.state();
        if let Some(end) = &*self.end.borrow() {
            return Err(end.clone());
        }
        state.phase = Phase::Running;
        Ok(())
    }

    /// It is being removed: its end is no news to the host any more.
    pub(crate) fn ending(&self) {
        self.state().phase = Phase::Ending;
    }

    /// The engine says that it ended. Returns whether the host must be told: once, and only of what it may invoke.
    pub(crate) fn ended(&self, end: End) -> bool {
        let mut state = self.state();
        let is_news = state.phase == Phase::Running;
        if is_news {
            state.phase = Phase::Ending;
        }
        self.end.send_if_modified(|known| {
            known.is_none() && {
                *known = Some(end);
                true
            }
        });
        is_news
    }

    /// Waits until the engine says that it ended.
    pub(crate) async fn end(&self) -> End {
        let mut end = self.end.subscribe();
        loop {
            if let Some(end) = &*end.borrow_and_update() {
                return end.clone();
            }
            // The sender is part of this very instance, so that this cannot fail.
            drop(end.changed().await);
        }
    }

    pub(crate) fn set_paused(&self, is_paused: bool) {
        self.state().is_paused = is_paused;
    }

    /// Whether it was this host that paused it.
    pub(crate) fn is_paused(&self) -> bool {
        self.state().is_paused
    }

    pub(crate) fn set_out_of_memory(&self) {
        self.state().ran_out_of_memory = true;
    }

    pub(crate) fn ran_out_of_memory(&self) -> bool {
        self.state().ran_out_of_memory
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_host_is_told_once_and_only_of_what_it_may_invoke() {
        let instances = Instances::default();
        let (launching, running, ending) = (
            instances.begin("launching", None),
            instances.begin("running", None),
            instances.begin("ending", None),
        );
        running.launched().unwrap();
        ending.launched().unwrap();
        assert_eq!(instances.running().len(), 2);
        ending.ending();
        let end = || End::because("as told");
        let news = [&launching, &running, &running, &ending].map(|instance| instance.ended(end()));
        assert_eq!(news, [false, true, false, false]);
        for instance in [launching.clone(), running, ending] {
            assert_eq!(instance.end().await, end());
        }
        assert_eq!(launching.launched(), Err(end()), "it ended before it was handed over");
        assert!(instances.running().is_empty());
    }
}
