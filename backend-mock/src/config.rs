//! What the user writes: delays, and what goes wrong when.

use hearth_core::{BackendError, ErrorKind};
use serde::{Deserialize, Serialize};

/// Configuration of the mock backend.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How long the preparation of each deploy takes.
    pub prepare_delay_ms: u64,
    /// How long each launch takes.
    pub launch_delay_ms: u64,
    /// How long each invocation takes.
    pub answer_delay_ms: u64,
    /// Whether an invocation without the instance's token is refused. Without the check, anything that can
    /// reach the port can measure an instance by itself.
    pub check_token: bool,
    /// Preparations that go another way.
    pub preparations: Vec<Rule<CallAct>>,
    /// Launches that go another way.
    pub launches: Vec<Rule<LaunchAct>>,
    /// Invocations that go another way.
    pub invocations: Vec<Rule<InvocationAct>>,
    /// Terminations that go another way.
    pub terminations: Vec<Rule<CallAct>>,
}

/// Something that happens at the n-th operation, and at those that follow it if it says so. Where several rules
/// fit, the first one counts.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Rule<Act> {
    /// The first operation that it concerns: 1 is the first of all.
    pub nth: u64,
    /// How many it concerns, one after the other; 0 means all that follow.
    #[serde(default = "once")]
    pub times: u64,
    /// The function whose operations are counted; without it, those of all functions are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub function: Option<String>,
    /// What happens.
    #[serde(rename = "do")]
    pub act: Act,
}

/// What a launch does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LaunchAct {
    /// It takes this much longer.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// It fails.
    Fail(Failure),
    /// It never ends.
    Hang,
    /// It succeeds, and the instance ends by itself a while later.
    Exit {
        /// Milliseconds after the launch.
        after_ms: u64,
    },
}

/// What an invocation does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InvocationAct {
    /// It takes this much longer; the function's timeout ends it as it would in an emulator.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// The function fails.
    FunctionError {
        /// `errorType` of the answer.
        r#type: String,
        /// `errorMessage` of the answer.
        message: String,
    },
    /// The function answers this in place of its event.
    Answer {
        /// The body, as it is.
        body: String,
    },
    /// The instance ends: the connection is closed without an answer, and the host is told.
    Crash,
    /// It is never answered, and no timeout ends it: the emulator itself is stuck.
    Hang,
    /// The endpoint answers with another status.
    Status {
        /// HTTP status code.
        code: u16,
        /// The body.
        #[serde(default)]
        body: String,
    },
    /// The endpoint answers with something that is not HTTP.
    Garbage,
    /// The answer ends in the middle of its body.
    CutOff,
}

/// What a preparation or a termination does.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CallAct {
    /// It takes this much longer.
    Delay {
        /// Milliseconds.
        ms: u64,
    },
    /// It fails, and nothing is changed by it.
    Fail(Failure),
    /// It never ends, and nothing is changed by it.
    Hang,
}

/// How an operation fails.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Failure {
    /// What the error says.
    pub message: String,
    /// What kind of error it is.
    #[serde(default)]
    pub kind: FailureKind,
    /// Whether the error says that another try may help.
    #[serde(default)]
    pub retryable: bool,
}

/// Kinds of errors that can be asked for.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// [`ErrorKind::INTERNAL`].
    #[default]
    Internal,
    /// [`ErrorKind::NO_CAPACITY`].
    NoCapacity,
    /// [`ErrorKind::SPEC_REJECTED`].
    SpecRejected,
    /// [`ErrorKind::TIMEOUT`].
    Timeout,
    /// [`ErrorKind::UNAVAILABLE`].
    Unavailable,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            prepare_delay_ms: 0,
            launch_delay_ms: 0,
            answer_delay_ms: 0,
            check_token: true,
            preparations: Vec::new(),
            launches: Vec::new(),
            invocations: Vec::new(),
            terminations: Vec::new(),
        }
    }
}

impl From<&Failure> for BackendError {
    fn from(failure: &Failure) -> Self {
        let kind = match failure.kind {
            FailureKind::Internal => ErrorKind::INTERNAL,
            FailureKind::NoCapacity => ErrorKind::NO_CAPACITY,
            FailureKind::SpecRejected => ErrorKind::SPEC_REJECTED,
            FailureKind::Timeout => ErrorKind::TIMEOUT,
            FailureKind::Unavailable => ErrorKind::UNAVAILABLE,
        };
        let error = Self::new(kind, failure.message.clone());
        if failure.retryable { error.retryable() } else { error }
    }
}

fn once() -> u64 {
    1
}
