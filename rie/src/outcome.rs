//! What an invocation came to, with the exact bodies that AWS answers.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::exit::Exit;
use crate::extensions::{Failure, FailureKind};
use crate::payload::Payload;
use crate::platform::{Status, Verdict};
use crate::stream::StreamError;

/// Largest buffered response, in bytes: 6 MiB and a hundred for the envelope.
pub(crate) const MAX_RESPONSE: u64 = 6 * 1024 * 1024 + 100;

/// What an invocation came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler returned.
    Returned { content_type: Option<HeaderValue>, payload: Payload },
    /// The handler or its runtime reported an error: its own body is the answer.
    Reported { error: Reported, content_type: Option<HeaderValue>, payload: Payload },
    /// The response was streamed, so many bytes of it; it may have ended with an error of the runtime's own.
    Streamed { error: Option<StreamError>, bytes: u64 },
    /// The handler never got to answer: the body is AWS's.
    Fault(Fault),
}

/// An error that the runtime reported, as records tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reported {
    pub(crate) error_type: Arc<str>,
    pub(crate) stage: ReportedIn,
}

/// What the runtime was doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReportedIn {
    Init,
    Invocation,
}

impl Reported {
    /// In AWS's records only types of these two families have names of their own.
    pub(crate) fn new(given: Option<&str>, stage: ReportedIn) -> Self {
        let named = |given: &&str| {
            ["Runtime.", "Function."].iter().any(|family| {
                let name = given.split_once(family).map_or("", |(_, name)| name);
                let mut letters = name.chars();
                letters.next().is_some_and(|first| first.is_ascii_uppercase())
                    && letters.next().is_some_and(|second| second.is_ascii_alphabetic())
            })
        };
        Self { error_type: given.filter(named).unwrap_or("Runtime.Unknown").into(), stage }
    }
}

impl Outcome {
    /// What became of the runtime's part, for its record.
    pub(crate) fn verdict_of_runtime(&self) -> Verdict<'_> {
        match self {
            Self::Reported { error, .. } => {
                Verdict { status: Status::Error, error_type: Some(&error.error_type) }
            }
            Self::Streamed { error: Some(error), .. } => {
                Verdict { status: Status::Error, error_type: error.error_type.to_str().ok() }
            }
            _ => self.verdict(),
        }
    }

    /// What became of the whole, for REPORT: AWS counts an invocation that the function answered with an error
    /// of its own as one that went well.
    pub(crate) fn verdict(&self) -> Verdict<'_> {
        match self {
            Self::Fault(fault) => fault.kind.verdict(),
            Self::Reported { error: Reported { error_type, stage: ReportedIn::Init }, .. } => {
                Verdict { status: Status::Error, error_type: Some(error_type) }
            }
            Self::Reported { .. } | Self::Returned { .. } | Self::Streamed { .. } => Verdict::SUCCESS,
        }
    }

    /// Of the response, as far as the function wrote it.
    pub(crate) fn produced_bytes(&self) -> u64 {
        match self {
            Self::Returned { payload, .. } | Self::Reported { payload, .. } => payload.length(),
            Self::Streamed { bytes, .. } => *bytes,
            Self::Fault(_) => 0,
        }
    }
}

/// An end that the runtime did not report itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

/// The error type of a [`Fault`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Exit,
    Timeout,
    ResponseTooLarge,
    InvalidEntrypoint,
    InvalidResponseMode,
    TruncatedResponse,
    Shutdown,
    OutOfMemory,
    /// An extension ended, and the sandbox with it.
    Extension(FailureKind),
}

impl FaultKind {
    /// As in `errorType`.
    pub(crate) fn error_type(self) -> &'static str {
        match self {
            Self::Exit => "Runtime.ExitError",
            Self::OutOfMemory => "Runtime.OutOfMemory",
            Self::Timeout => "Sandbox.Timedout",
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge",
            Self::InvalidEntrypoint => "Runtime.InvalidEntrypoint",
            Self::InvalidResponseMode => "Runtime.InvalidResponseModeHeader",
            Self::TruncatedResponse => "Runtime.TruncatedResponse",
            Self::Shutdown => "Sandbox.Failure",
            Self::Extension(kind) => kind.error_type(),
        }
    }

    /// As in the REPORT line.
    fn verdict(self) -> Verdict<'static> {
        let error_type = Some(self.error_type());
        match self {
            Self::Timeout => Verdict { status: Status::Timeout, error_type: None },
            // AWS counts it as one that the function answered.
            Self::ResponseTooLarge => Verdict::SUCCESS,
            Self::Exit
            | Self::OutOfMemory
            | Self::InvalidEntrypoint
            | Self::InvalidResponseMode
            | Self::TruncatedResponse
            | Self::Shutdown
            | Self::Extension(_) => Verdict { status: Status::Error, error_type },
        }
    }
}

impl Fault {
    /// The process ended before it answered.
    pub(crate) fn exit(request_id: &str, exit: Exit) -> Self {
        Self::of_request(FaultKind::Exit, request_id, exit)
    }

    /// The process was killed, since it used more memory than the function has.
    pub(crate) fn out_of_memory(request_id: &str) -> Self {
        Self::of_request(FaultKind::OutOfMemory, request_id, Exit::KILLED)
    }

    /// The function's timeout came first.
    pub(crate) fn timeout(request_id: &str, timeout: Duration) -> Self {
        let seconds = timeout.as_secs_f64();
        Self::of_request(
            FaultKind::Timeout,
            request_id,
            format_args!("Task timed out after {seconds:.2} seconds"),
        )
    }

    /// There is no process, because its program cannot be started.
    pub(crate) fn not_started(request_id: &str, reason: &str) -> Self {
        Self::of_request(FaultKind::InvalidEntrypoint, request_id, reason)
    }

    /// The instance was shut down under the invocation.
    pub(crate) fn shutdown(request_id: &str) -> Self {
        Self::of_request(FaultKind::Shutdown, request_id, "the instance was shut down")
    }

    /// An extension ended, and the sandbox with it.
    pub(crate) fn extension(request_id: &str, failure: &Failure) -> Self {
        Self::of_request(FaultKind::Extension(failure.kind), request_id, &failure.message)
    }

    /// The response is over the limit.
    pub(crate) fn response_too_large(limit: u64) -> Self {
        let message = format!("Response payload size exceeded maximum allowed payload size ({limit} bytes).");
        Self { kind: FaultKind::ResponseTooLarge, message }
    }

    /// The runtime broke off in the middle of its response.
    pub(crate) fn truncated_response(request_id: &str) -> Self {
        Self::of_request(FaultKind::TruncatedResponse, request_id, "the runtime broke off its response")
    }

    /// The runtime asked for a response mode that does not exist.
    pub(crate) fn invalid_response_mode(request_id: &str) -> Self {
        Self::of_request(FaultKind::InvalidResponseMode, request_id, "Invalid function response mode")
    }

    fn of_request(kind: FaultKind, request_id: &str, what: impl Display) -> Self {
        Self { kind, message: format!("RequestId: {request_id} Error: {what}") }
    }

    /// What the log says of it, above the END line.
    pub(crate) fn text(&self, request_id: &str) -> Option<String> {
        match &self.kind {
            FaultKind::Timeout => {
                let what = self.message.rsplit_once("Error: ").map_or(&*self.message, |(_, what)| what);
                Some(format!("{request_id} {what}"))
            }
            FaultKind::ResponseTooLarge => None,
            kind => Some(format!("{}\n{}", self.message, kind.error_type())),
        }
    }

    /// The body of the answer.
    pub(crate) fn body(&self) -> String {
        let (error_type, message) =
            (serde_json::Value::from(self.kind.error_type()), serde_json::Value::from(self.message.as_str()));
        match &self.kind {
            // AWS puts the members of this one in the other order.
            FaultKind::ResponseTooLarge => {
                format!(r#"{{"errorMessage":{message},"errorType":{error_type}}}"#)
            }
            _ => format!(r#"{{"errorType":{error_type},"errorMessage":{message}}}"#),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_errors_of_known_families_have_names_in_records() {
        for (given, named) in [
            (Some("Runtime.ImportModuleError"), "Runtime.ImportModuleError"),
            (Some("Function.Own"), "Function.Own"),
            (Some("Exception"), "Runtime.Unknown"),
            (Some("Runtime.x"), "Runtime.Unknown"),
            (None, "Runtime.Unknown"),
        ] {
            assert_eq!(&*Reported::new(given, ReportedIn::Init).error_type, named);
        }
    }

    #[test]
    fn faults_have_the_bodies_that_aws_answers() {
        for (fault, body) in [
            (
                Fault::exit("id", Exit::Status(0)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited without providing a reason"}"#,
            ),
            (
                Fault::exit("id", Exit::Status(127)),
                r#"{"errorType":"Runtime.ExitError","errorMessage":"RequestId: id Error: Runtime exited with error: exit status 127"}"#,
            ),
            (
                Fault::out_of_memory("id"),
                r#"{"errorType":"Runtime.OutOfMemory","errorMessage":"RequestId: id Error: Runtime exited with error: signal: killed"}"#,
            ),
            (
                Fault::timeout("id", Duration::from_secs(1)),
                r#"{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: id Error: Task timed out after 1.00 seconds"}"#,
            ),
            (
                Fault::response_too_large(6_291_556),
                r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#,
            ),
        ] {
            assert_eq!(fault.body(), body);
        }
    }
}
