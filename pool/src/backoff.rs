//! Launches after a launch has failed: one at a time, further and further apart.

use std::time::Duration;

use crate::Timestamp;
use crate::random::Random;

/// What a function's last launches say about its next one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Backoff {
    /// The last one succeeded, or there was none: as many as are wanted.
    #[default]
    Clear,
    /// The last one failed: one, and not before a moment.
    Failing {
        failures: Failures,
        /// When the next one may start.
        until: Timestamp,
    },
    /// The last one succeeded, and nothing was served since: as many as are wanted, but the next failure adds
    /// to those before.
    Recovering(Failures),
}

/// Failures in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failures {
    count: u32,
    /// When the last one was.
    last_at: Timestamp,
}

impl Backoff {
    /// How many launches may be under way, given how many are.
    pub(crate) fn room(self, now: Timestamp, under_way: u32) -> u32 {
        match self {
            Self::Clear | Self::Recovering(_) => u32::MAX,
            Self::Failing { until, .. } => u32::from(until <= now && under_way == 0),
        }
    }

    /// When a launch may start that may not start yet.
    pub(crate) fn until(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Failing { until, .. } if now < until => Some(until),
            Self::Failing { .. } | Self::Clear | Self::Recovering(_) => None,
        }
    }

    /// A launch has succeeded.
    #[must_use]
    pub(crate) const fn recovered(self) -> Self {
        match self {
            Self::Failing { failures, .. } | Self::Recovering(failures) => Self::Recovering(failures),
            Self::Clear => Self::Clear,
        }
    }

    /// A new instance has served.
    #[must_use]
    pub(crate) const fn served(self) -> Self {
        match self {
            Self::Recovering(_) => Self::Clear,
            Self::Clear | Self::Failing { .. } => self,
        }
    }

    /// A launch that began at `launched_at` has failed, or its instance died before it served anybody.
    #[must_use]
    pub(crate) fn failed(
        self,
        now: Timestamp,
        launched_at: Timestamp,
        limits: (Duration, Duration),
        random: &mut Random,
    ) -> Self {
        let count = match self {
            Self::Clear => 1,
            // One of a burst of which another has failed already: nothing new was learned.
            Self::Failing { failures, .. } if launched_at <= failures.last_at => return self,
            Self::Recovering(failures) if launched_at <= failures.last_at => failures.count,
            Self::Failing { failures, .. } | Self::Recovering(failures) => failures.count.saturating_add(1),
        };
        let failures = Failures { count, last_at: now };
        let (min, max) = limits;
        let longest = min.saturating_mul(2u32.saturating_pow(failures.count)).min(max);
        let until = now + random.upper_half(longest).max(min);
        Self::Failing { failures, until }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIMITS: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(30));

    fn pause(backoff: Backoff, now: Timestamp) -> Duration {
        backoff.until(now).expect("it is failing") - now
    }

    #[test]
    fn pauses_double_with_jitter_between_the_limits() {
        let (mut random, mut backoff, mut now) = (Random::new(3), Backoff::Clear, Timestamp::from_millis(1));
        for failures in 1u32..40 {
            backoff = backoff.failed(now, now, LIMITS, &mut random);
            let longest =
                Duration::from_millis(100).saturating_mul(2u32.saturating_pow(failures)).min(LIMITS.1);
            let pause = pause(backoff, now);
            assert!((longest / 2..=longest).contains(&pause), "{failures}: {pause:?}");
            now = now + pause;
        }
    }

    #[test]
    fn a_success_that_served_nobody_does_not_make_the_next_pause_short_again() {
        let (mut random, at) = (Random::new(0), Timestamp::from_millis);
        let failing = Backoff::Clear.failed(at(1), at(0), LIMITS, &mut random);
        let recovering = failing.recovered();
        assert_eq!((recovering.room(at(2), 5), recovering.until(at(2))), (u32::MAX, None));
        let again = recovering.failed(at(4), at(3), LIMITS, &mut random);
        assert!((Duration::from_millis(200)..=Duration::from_millis(400)).contains(&pause(again, at(4))));
    }

    #[test]
    fn a_burst_that_fails_together_counts_once() {
        let mut random = Random::new(0);
        let (launched, failed, later) =
            (Timestamp::from_millis(1), Timestamp::from_millis(5), Timestamp::from_millis(6));
        let first = Backoff::Clear.failed(failed, launched, LIMITS, &mut random);
        assert_eq!(first.failed(later, launched, LIMITS, &mut random), first);
    }

    #[test]
    fn one_probe_at_a_time_once_the_pause_is_over() {
        let now = Timestamp::from_millis(1);
        let backoff = Backoff::Clear.failed(now, now, LIMITS, &mut Random::new(0));
        let over = backoff.until(now).expect("it is failing");
        assert_eq!((backoff.room(now, 0), backoff.room(over, 0), backoff.room(over, 1)), (0, 1, 0));
        assert_eq!(backoff.until(over), None);
    }
}
