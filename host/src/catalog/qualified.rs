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
    /// When its runtime is updated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runtime_management: Option<RuntimeManagement>,
}

/// What was set for a function as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FunctionSettings {
    /// Whether a function that calls itself through others is let go on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recursive_loop: Option<RecursiveLoop>,
    /// Id of the code signing config that it follows; stored only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code_signing_config: Option<String>,
}

/// What becomes of a function that calls itself through other services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum RecursiveLoop {
    /// It goes on.
    Allow,
    /// It is stopped.
    #[default]
    Terminate,
}

/// When a version's runtime is updated; stored only, for the runtimes are this machine's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuntimeManagement {
    /// When.
    pub update_on: UpdateRuntimeOn,
    /// The version of the runtime that was chosen by hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version_arn: Option<String>,
}

/// When a runtime is updated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum UpdateRuntimeOn {
    /// As soon as there is another one.
    #[default]
    Auto,
    /// By hand.
    Manual,
    /// With the function.
    FunctionUpdate,
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
