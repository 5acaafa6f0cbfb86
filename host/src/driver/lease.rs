//! Possession of a slot of an instance, as a value: its type says what dropping it means.

use std::sync::Arc;

use hearth_pool::{Event, Outcome, Start};

use super::{Driver, Instance};

/// A slot that is held for an invocation which has not begun. Dropped, it goes back unharmed.
#[derive(Debug)]
pub struct Reserved(Seat);

/// A slot in which an invocation runs. Dropped, nobody knows what the instance does now: it is ended.
#[derive(Debug)]
pub struct InFlight(Seat);

/// Tells the pool how it ended: once, on drop.
#[derive(Debug)]
struct Seat {
    driver: Driver,
    instance: Arc<Instance>,
    start: Start,
    outcome: Outcome,
}

impl Reserved {
    pub(super) fn new(driver: Driver, instance: Arc<Instance>, start: Start) -> Self {
        if let Some(activity) = &instance.activity {
            activity.hold();
        }
        Self(Seat { driver, instance, start, outcome: Outcome::Reusable })
    }

    /// The instance that is held.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0.instance
    }

    /// Whether the instance has served before.
    pub fn start(&self) -> Start {
        self.0.start
    }

    /// The instance turned out not to be there: nothing was sent to it, and nobody else shall be given it.
    pub fn discard(mut self) {
        self.0.outcome = Outcome::Broken;
    }

    /// From here on, vanishing leaves the instance in an unknown state.
    pub fn begin(mut self) -> InFlight {
        self.0.outcome = Outcome::Broken;
        InFlight(self.0)
    }
}

impl InFlight {
    /// The instance that serves.
    pub fn instance(&self) -> &Arc<Instance> {
        &self.0.instance
    }

    /// The instance answered in full and may serve again.
    pub fn finish(mut self) {
        self.0.outcome = Outcome::Reusable;
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        if let Some(activity) = &self.instance.activity {
            activity.let_go();
        }
        self.driver.apply(Event::Released { instance: self.instance.id, outcome: self.outcome });
    }
}
