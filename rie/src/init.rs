//! What the init phase came to.

use std::sync::Arc;
use std::time::Duration;

use crate::platform::{InitPhase, Status, Verdict};

/// What the init phase came to. The instance takes invocations in any case: after a failure it repeats the
/// init inside the first of them, and a second failure is that invocation's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// How it ended.
    pub outcome: InitOutcome,
    /// From the start of the process on.
    pub duration: Duration,
}

/// How the init phase ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum InitOutcome {
    /// The runtime asked for its first invocation.
    Ready,
    /// The runtime reported an error, ended, or could not be started.
    Failed {
        /// What it reported, or how it ended.
        reason: String,
    },
    /// It was not done within the limit.
    TimedOut,
}

impl InitOutcome {
    /// As in `GET /_hearth/instance` (docs/instance-protocol.md).
    pub fn name(&self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Failed { .. } => "failed",
            Self::TimedOut => "timed_out",
        }
    }
}

/// The end of the init of one process. That of the first one is the instance's [`Init`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InitEnd {
    pub(crate) phase: InitPhase,
    pub(crate) outcome: InitOutcome,
    pub(crate) duration: Duration,
    /// What AWS calls the error, if there was one.
    pub(crate) error_type: Option<Arc<str>>,
}

impl InitEnd {
    pub(crate) fn verdict(&self) -> Verdict<'_> {
        let status = match self.outcome {
            InitOutcome::Ready => Status::Success,
            InitOutcome::Failed { .. } => Status::Error,
            InitOutcome::TimedOut => Status::Timeout,
        };
        Verdict { status, error_type: self.error_type.as_deref() }
    }
}
