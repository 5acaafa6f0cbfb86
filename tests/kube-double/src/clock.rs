//! The only reader of time.

use std::time::Instant;

use jiff::Timestamp;
use serde_json::{Value, json};

/// The time of day.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub(crate) fn now() -> Timestamp {
    Timestamp::try_from(std::time::SystemTime::now()).unwrap_or_default()
}

/// A point to measure from.
#[expect(clippy::disallowed_methods, reason = "this is the module that reads time")]
pub(crate) fn instant() -> Instant {
    Instant::now()
}

/// As objects carry it: whole seconds.
pub(crate) fn seconds(time: Timestamp) -> Value {
    json!(time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string())
}
