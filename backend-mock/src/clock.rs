//! The one place that reads time.

use std::time::{Instant, SystemTime};

/// Milliseconds since 1970.
#[expect(clippy::disallowed_methods, reason = "lines of a log carry the time of day")]
pub(crate) fn unix_ms() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// A point in time, to measure from.
#[expect(clippy::disallowed_methods, reason = "the log says how long an invocation took")]
pub(crate) fn now() -> Instant {
    Instant::now()
}
