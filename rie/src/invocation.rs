//! One invocation, and whoever waits for its answer.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use tokio::sync::oneshot;

use crate::clock::Instant;
use crate::exit::Exit;
use crate::extensions::Failure;
use crate::outcome::{Fault, FaultKind, Outcome};
use crate::payload::Payload;
use crate::platform::Tracing;
use crate::stream::{Ending, ResponseStream};

/// An invocation as the runtime gets it.
#[derive(Debug)]
pub(crate) struct Event {
    pub(crate) id: Arc<str>,
    pub(crate) headers: HeaderMap,
    pub(crate) payload: Payload,
}

impl Event {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The trace that it belongs to, if there is one.
    pub(crate) fn tracing(&self) -> Option<Tracing<'_>> {
        self.header("lambda-runtime-trace-id").map(Tracing::of)
    }
}

/// An invocation that was accepted. Whatever happens, it is answered once.
#[derive(Debug)]
pub(crate) struct Invocation {
    pub(crate) id: Arc<str>,
    pub(crate) event: Arc<Event>,
    pub(crate) begun: Instant,
    pub(crate) timeout: Duration,
    /// The init phase that went before it, if it is the first.
    pub(crate) init: Option<Duration>,
    /// Whether the log has its START.
    pub(crate) announced: bool,
    /// When the runtime began to answer.
    pub(crate) responding: Option<Instant>,
    pub(crate) caller: Caller,
}

/// Who is told what became of an invocation.
#[derive(Debug)]
pub(crate) enum Caller {
    /// Somebody who waits for the beginning of an answer, and would take it whole or as a stream.
    Waiting(oneshot::Sender<Answer>, ResponseMode),
    /// Somebody who has it, and is only told how it ended.
    Streaming(oneshot::Sender<Ending>),
}

/// How a caller takes the response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ResponseMode {
    Buffered,
    Streaming,
}

/// What the caller of an invocation is told.
#[derive(Debug)]
pub(crate) enum Answer {
    Whole { outcome: Outcome, log_tail: Option<String>, health: Health },
    Stream { content_type: Option<HeaderValue>, body: ResponseStream },
}

/// Whether the instance may be used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    Reusable,
    Broken,
}

/// How a process ended, or that it never began.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ProcessEnd {
    Exited(Exit),
    /// It was killed for its memory.
    OutOfMemory,
    NotStarted(String),
    /// It was ended because an extension had.
    Extension(Failure),
}

impl fmt::Display for ProcessEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(exit) => exit.fmt(f),
            Self::OutOfMemory => Exit::KILLED.fmt(f),
            Self::NotStarted(reason) => f.write_str(reason),
            Self::Extension(failure) => write!(f, "{}: {}", failure.kind.error_type(), failure.message),
        }
    }
}

impl ProcessEnd {
    /// As in the record of an init that it put an end to.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Exited(_) => FaultKind::Exit.error_type(),
            Self::OutOfMemory => FaultKind::OutOfMemory.error_type(),
            Self::NotStarted(_) => FaultKind::InvalidEntrypoint.error_type(),
            Self::Extension(failure) => failure.kind.error_type(),
        }
    }
}

impl Invocation {
    pub(crate) fn new(event: Arc<Event>, begun: Instant, timeout: Duration, caller: Caller) -> Self {
        Self {
            id: event.id.clone(),
            event,
            begun,
            timeout,
            init: None,
            announced: false,
            responding: None,
            caller,
        }
    }

    pub(crate) fn deadline(&self) -> Instant {
        self.begun + self.timeout
    }

    /// With the outcome that the end of the process means for it.
    pub(crate) fn ended_by(self, end: &ProcessEnd) -> (Self, Outcome) {
        let fault = match end {
            ProcessEnd::Exited(exit) => Fault::exit(&self.id, *exit),
            ProcessEnd::OutOfMemory => Fault::out_of_memory(&self.id),
            ProcessEnd::NotStarted(reason) => Fault::not_started(&self.id, reason),
            ProcessEnd::Extension(failure) => Fault::extension(&self.id, failure),
        };
        (self, Outcome::Fault(fault))
    }

    /// With the outcome that its time is up.
    pub(crate) fn timed_out(self) -> (Self, Outcome) {
        let fault = Fault::timeout(&self.id, self.timeout);
        (self, Outcome::Fault(fault))
    }
}
