//! What belongs to a version or an alias besides what it runs, and to a function besides its versions.
//!
//! These values are stored as they are here: a field that is added later must be optional.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Statement;

/// What was set for one qualifier of a function: `$LATEST`, a version or an alias.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Qualified {
    /// How its asynchronous invocations are treated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_invoke: Option<EventInvokeConfig>,
    /// Who may use it, in the order in which it was granted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub policy: Vec<Statement>,
}

/// How asynchronous invocations are treated. What is `None` is as for every function.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInvokeConfig {
    /// Retries after tries in which the function failed: 0 to 2.
    pub max_retries: Option<u32>,
    /// From 60 to 21,600.
    pub max_age_seconds: Option<u32>,
    /// ARN of whom a success is told.
    pub on_success: Option<String>,
    /// ARN of whom it is told that an event is given up.
    pub on_failure: Option<String>,
    /// When this was last changed.
    pub last_modified: Timestamp,
}
