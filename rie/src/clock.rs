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

/// What [`unix_ms`] was, or will be, at a point in time.
pub(crate) fn unix_ms_at(time: Instant) -> u64 {
    let (now, unix) = (now(), unix_ms());
    let distance = |duration: Duration| u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    match time.checked_duration_since(now) {
        Some(ahead) => unix.saturating_add(distance(ahead)),
        None => unix.saturating_sub(distance(now - time)),
    }
}

/// A time since 1970, for machines and for people: `2024-05-20T16:29:45.008Z`.
pub(crate) fn rfc_3339(unix_ms: u64) -> String {
    let time = i64::try_from(unix_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    format!("{:.3}", time.unwrap_or(jiff::Timestamp::MAX))
}
