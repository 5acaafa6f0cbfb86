//! What a function's starts and invocations take, learned from what they took.

use std::time::Duration;

use crate::Timestamp;

/// Running means of one function. Old samples fade.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Load {
    changed_at: Timestamp,
    /// Slots in use, summed over time: as many nanoseconds as the completed invocations took together.
    slot_nanos: u64,
    completions: u32,
    start: Option<Duration>,
}

/// Completions after which the older ones count half.
const MEMORY: u32 = 64;

/// The latest start counts for one part in so many, all before it for the others.
const START_PARTS: u32 = 4;

impl Load {
    /// Assumed where nothing is known: the order of a container's start.
    pub(crate) const UNKNOWN_START: Duration = Duration::from_secs(1);

    /// Up to now, so many slots were in use.
    #[inline]
    pub(crate) fn changed(&mut self, now: Timestamp, serving: u32) {
        let elapsed = now.as_nanos() - self.changed_at.as_nanos();
        self.slot_nanos = self.slot_nanos.saturating_add(elapsed.saturating_mul(u64::from(serving)));
        self.changed_at = now;
    }

    /// An invocation has ended; until now so many slots were in use, its own included.
    #[inline]
    pub(crate) fn completed(&mut self, now: Timestamp, serving: u32) {
        self.changed(now, serving);
        self.completions += 1;
        if self.completions == MEMORY {
            self.completions /= 2;
            self.slot_nanos /= 2;
        }
    }

    /// A launch has succeeded.
    pub(crate) fn started(&mut self, took: Duration) {
        self.start = Some(match self.start {
            None => took,
            Some(mean) => (mean * (START_PARTS - 1) + took) / START_PARTS,
        });
    }

    /// What a start takes; `None` if there was none yet.
    pub(crate) const fn start_time(&self) -> Option<Duration> {
        self.start
    }

    /// How many invocations so many busy slots will complete within the time of a start; none if nothing is
    /// known.
    pub(crate) fn completions_during_a_start(&self, slots: u32) -> u32 {
        let start = self.start.unwrap_or_default().as_nanos();
        let completions = start * u128::from(slots) * u128::from(self.completions);
        u32::try_from(completions / u128::from(self.slot_nanos.max(1))).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlapping_invocations_are_timed_by_the_slots_that_they_hold() {
        let mut load = Load::default();
        let at = Timestamp::from_millis;
        load.changed(at(0), 0);
        load.changed(at(10), 1);
        load.completed(at(20), 2);
        load.completed(at(30), 1);
        load.started(Duration::from_millis(60));
        // They took 20 ms each, so that one slot completes three within a start of 60 ms.
        assert_eq!(load.completions_during_a_start(1), 3);
        assert_eq!(load.completions_during_a_start(5), 15);
    }

    #[test]
    fn a_start_counts_for_a_quarter_of_what_was_known() {
        let mut load = Load::default();
        assert_eq!(load.start_time(), None);
        load.started(Duration::from_millis(100));
        load.started(Duration::from_millis(500));
        assert_eq!(load.start_time(), Some(Duration::from_millis(200)));
    }
}
