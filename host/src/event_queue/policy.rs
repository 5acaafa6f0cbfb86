//! What follows on a try to run an event.
//!
//! AWS: "Lambda retries the function twice, after one and two minutes; throttled events and system errors return
//! to the queue, with a back-off from one second to five minutes, for up to six hours"
//! (docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html).

use std::time::Duration;

use super::Entry;
use crate::destinations::Condition;

/// How often and how long an event is tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Pauses after tries in which the function failed; as many retries as there are pauses.
    pub retry_delays: Vec<Duration>,
    /// An event that has not succeeded by then is given up.
    pub max_age: Duration,
    /// The first pause after a try in which the event could not be run; it doubles.
    pub backoff_min: Duration,
    /// The longest such pause.
    pub backoff_max: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            retry_delays: vec![Duration::from_secs(60), Duration::from_secs(120)],
            max_age: Duration::from_secs(6 * 60 * 60),
            backoff_min: Duration::from_secs(1),
            backoff_max: Duration::from_secs(5 * 60),
        }
    }
}

/// What came of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attempt {
    Succeeded,
    FunctionFailed,
    /// Throttled, or no instance could be had.
    NotRun,
    /// The function may have no instance at all.
    Forbidden,
    /// The function has called itself, through others, too often.
    InALoop,
    FunctionGone,
    HostStops,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    Done,
    Again { failures: u32, refusals: u32, due_ms: i64 },
    GiveUp(Condition),
    LeaveToNextHost,
}

impl Policy {
    /// The same, as far as one function's own settings leave it.
    pub(super) fn limited(&self, max_retries: Option<u32>, max_age_seconds: Option<u32>) -> Self {
        let mut retry_delays = self.retry_delays.clone();
        retry_delays.truncate(max_retries.map_or(usize::MAX, |retries| retries as usize));
        let max_age = max_age_seconds.map_or(self.max_age, |seconds| Duration::from_secs(seconds.into()));
        Self { retry_delays, max_age, ..*self }
    }

    pub(super) fn next(&self, entry: &Entry, attempt: Attempt, now_ms: i64) -> Next {
        match attempt {
            Attempt::Succeeded => Next::Done,
            Attempt::HostStops => Next::LeaveToNextHost,
            Attempt::FunctionGone => Next::GiveUp(Condition::FunctionDeleted),
            Attempt::InALoop => Next::GiveUp(Condition::RecursiveInvocation),
            Attempt::Forbidden => Next::GiveUp(Condition::ZeroReservedConcurrency),
            Attempt::FunctionFailed => match self.retry_delays.get(entry.failures as usize) {
                Some(&delay) => self.again(entry, entry.failures + 1, 0, delay, now_ms),
                None => Next::GiveUp(Condition::RetriesExhausted),
            },
            Attempt::NotRun => {
                let delay =
                    self.backoff_min.saturating_mul(1 << entry.refusals.min(20)).min(self.backoff_max);
                self.again(entry, entry.failures, entry.refusals + 1, delay, now_ms)
            }
        }
    }

    fn again(&self, entry: &Entry, failures: u32, refusals: u32, delay: Duration, now_ms: i64) -> Next {
        let due_ms = now_ms.saturating_add(millis(delay));
        if due_ms.saturating_sub(entry.accepted_ms) > millis(self.max_age) {
            return Next::GiveUp(Condition::EventAgeExceeded);
        }
        Next::Again { failures, refusals, due_ms }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::QueuedEvent;
    use super::*;

    fn entry(failures: u32, refusals: u32, accepted_ms: i64) -> Entry {
        let event = QueuedEvent {
            account: String::new(),
            region: String::new(),
            function: String::new(),
            qualifier: None,
            arn: String::new(),
            request_id: String::new(),
            payload: bytes::Bytes::new(),
            client_context: None,
            trace_id: None,
            tenant_id: None,
        };
        Entry { id: 1, event, failures, refusals, accepted_ms, due_ms: 0 }
    }

    #[test]
    fn what_follows_on_each_outcome() {
        let again = |failures, refusals, due_ms| Next::Again { failures, refusals, due_ms };
        let six_hours = 6 * 60 * 60 * 1000;
        for (entry, attempt, now, next) in [
            (entry(0, 0, 0), Attempt::Succeeded, 0, Next::Done),
            (entry(0, 0, 0), Attempt::FunctionFailed, 0, again(1, 0, 60_000)),
            (entry(1, 3, 0), Attempt::FunctionFailed, 70_000, again(2, 0, 190_000)),
            (entry(2, 0, 0), Attempt::FunctionFailed, 0, Next::GiveUp(Condition::RetriesExhausted)),
            (entry(0, 0, 0), Attempt::NotRun, 0, again(0, 1, 1000)),
            (entry(1, 4, 0), Attempt::NotRun, 0, again(1, 5, 16_000)),
            (entry(0, 60, 0), Attempt::NotRun, 0, again(0, 61, 300_000)),
            (entry(0, 0, 0), Attempt::NotRun, six_hours, Next::GiveUp(Condition::EventAgeExceeded)),
            (entry(1, 0, 0), Attempt::FunctionFailed, six_hours, Next::GiveUp(Condition::EventAgeExceeded)),
            (entry(0, 0, 0), Attempt::FunctionGone, 0, Next::GiveUp(Condition::FunctionDeleted)),
            (entry(0, 0, 0), Attempt::Forbidden, 0, Next::GiveUp(Condition::ZeroReservedConcurrency)),
            (entry(0, 0, 0), Attempt::HostStops, 0, Next::LeaveToNextHost),
        ] {
            assert_eq!(Policy::default().next(&entry, attempt, now), next, "{attempt:?} after {entry:?}");
        }
    }

    #[test]
    fn a_functions_own_settings_limit_retries_and_age() {
        let limited = |retries, age| Policy::default().limited(retries, age);
        assert_eq!(limited(None, None), Policy::default());
        for (policy, failures, next) in [
            (limited(Some(0), None), 0, Next::GiveUp(Condition::RetriesExhausted)),
            (limited(Some(1), None), 0, Next::Again { failures: 1, refusals: 0, due_ms: 60_000 }),
            (limited(Some(1), None), 1, Next::GiveUp(Condition::RetriesExhausted)),
            (limited(None, Some(60)), 0, Next::Again { failures: 1, refusals: 0, due_ms: 60_000 }),
            (limited(None, Some(60)), 1, Next::GiveUp(Condition::EventAgeExceeded)),
        ] {
            let entry = entry(failures, 0, 0);
            assert_eq!(policy.next(&entry, Attempt::FunctionFailed, 0), next, "{policy:?} {failures}");
        }
    }
}
