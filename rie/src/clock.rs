//! The only place that reads time.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A point in time that durations and deadlines are counted from; it never jumps.
pub(crate) type Instant = tokio::time::Instant;

/// The present, for durations and deadlines.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Milliseconds since 1970, for people and for the deadline that the function sees.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub(crate) fn unix_ms() -> u64 {
    let since_1970 = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since_1970.as_millis()).unwrap_or(u64::MAX)
}
