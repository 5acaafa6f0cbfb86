//! AWS's JSON: one struct for each request and response, and nothing else.
//!
//! Requests take every member as optional: what is missing is for the checks to say. Members that nobody knows
//! are ignored, as AWS does.

use jiff::Timestamp;

pub(super) mod alias;
pub(super) mod blob;
pub(super) mod code_signing;
pub(super) mod event_invoke;
pub(super) mod event_source;
pub(super) mod function;
pub(super) mod layer;
pub(super) mod policy;
pub(super) mod provisioned;
pub(super) mod settings;
pub(super) mod url;

/// A date in the protocol's own form; some members have a text instead.
fn epoch_seconds(date: Timestamp) -> f64 {
    date.as_duration().as_secs_f64()
}
