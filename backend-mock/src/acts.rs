//! What operations can do out of the ordinary.

use std::time::Duration;

use hearth_core::{BackendError, ErrorKind, EventKind, Meta};
use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// A time in milliseconds, or the bounds that it is chosen between.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(untagged, expecting = "expected a number of milliseconds, or the least and the most: [500, 2000]")]
pub enum Span {
    /// Always this long.
    Exactly(u64),
    /// From the first to the second, both included.
    Between(u64, u64),
}

/// What a launch does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LaunchAct {
    /// It takes this much longer.
    Delay {
        /// Milliseconds.
        ms: Span,
    },
    /// It fails.
    Fail(Failure),
    /// It never ends.
    Hang,
    /// It succeeds, and the instance ends by itself a while later.
    Exit(End),
}

/// What an invocation does.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum InvocationAct {
    /// It takes this much longer; the function's timeout ends it as it would in an emulator.
    Delay {
        /// Milliseconds.
        ms: Span,
    },
    /// It is refused for being one too many: the caller is told 429, and the instance goes on.
    Throttle,
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
    /// The instance ends, and the host is told how before the connection is closed.
    Exit(End),
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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum CallAct {
    /// It takes this much longer.
    Delay {
        /// Milliseconds.
        ms: Span,
    },
    /// It fails, and nothing is changed by it.
    Fail(Failure),
    /// It never ends, and nothing is changed by it.
    Hang,
}

/// What a function writes in one invocation, between START and END.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Lines {
    /// To its standard output.
    pub stdout: Vec<String>,
    /// To its standard error.
    pub stderr: Vec<String>,
}

/// How an instance ends by itself, and what the host is told of it.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// Milliseconds until then.
    pub after_ms: Span,
    /// What is said to have happened.
    pub kind: EndKind,
    /// Exit status of the function's process.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
    /// Name of the signal that killed it: `killed`, `segmentation fault`, ….
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<String>,
}

/// Ways to end.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EndKind {
    /// [`EventKind::EXITED`].
    #[default]
    Exited,
    /// [`EventKind::OOM`]: killed, for want of memory.
    Oom,
}

/// How an operation fails.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
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

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self::Exactly(0);

    pub(crate) fn choose(self, chance: &mut Chance) -> Duration {
        Duration::from_millis(match self {
            Self::Exactly(ms) => ms,
            Self::Between(least, most) => chance.between(least, most),
        })
    }
}

impl Default for Span {
    fn default() -> Self {
        Self::ZERO
    }
}

impl End {
    /// What the host is told.
    pub(crate) fn event(&self) -> (EventKind, Meta) {
        let (kind, signal) = match self.kind {
            EndKind::Exited => (EventKind::EXITED, None),
            EndKind::Oom => (EventKind::OOM, Some("killed")),
        };
        let signal = self.signal.as_deref().or(signal).map(str::to_owned);
        let facts = [
            ("reason", Some("the script says so".to_owned())),
            ("exit.status", self.status.map(|status| status.to_string())),
            ("exit.signal", signal),
        ];
        (kind, facts.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect())
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
