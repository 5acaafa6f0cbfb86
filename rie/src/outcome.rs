//! What an invocation came to, with the exact bodies that AWS answers.

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderValue;

use crate::exit::Exit;
use crate::extensions::Failure;
use crate::payload::Payload;
use crate::stream::StreamError;

/// Largest buffered response, in bytes: 6 MiB and a hundred for the envelope.
pub(crate) const MAX_RESPONSE: u64 = 6 * 1024 * 1024 + 100;

/// What an invocation came to.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The handler returned.
    Returned { content_type: Option<HeaderValue>, payload: Payload },
    /// The handler or its runtime reported an error: its own body is the answer.
    Reported { content_type: Option<HeaderValue>, payload: Payload },
    /// The response was streamed; it may have ended with an error of the runtime's own.
    Streamed(Option<StreamError>),
    /// The handler never got to answer: the body is AWS's.
    Fault(Fault),
}

/// An end that the runtime did not report itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: FaultKind,
    pub(crate) message: String,
}

/// The error type of a [`Fault`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FaultKind {
    Exit,
    Timeout,
    ResponseTooLarge,
    InvalidEntrypoint,
    InvalidResponseMode,
    TruncatedResponse,
    Shutdown,
    /// An extension crashed, or reported an error of this type.
    Extension(Arc<str>),
}

impl FaultKind {
    /// As in `errorType`.
    pub(crate) fn error_type(&self) -> &str {
        match self {
            Self::Exit => "Runtime.ExitError",
            Self::Timeout => "Sandbox.Timedout",
            Self::ResponseTooLarge => "Function.ResponseSizeTooLarge",
            Self::InvalidEntrypoint => "Runtime.InvalidEntrypoint",
            Self::InvalidResponseMode => "Runtime.InvalidResponseModeHeader",
            Self::TruncatedResponse => "Runtime.TruncatedResponse",
            Self::Shutdown => "Sandbox.Failure",
            Self::Extension(error_type) => error_type,
        }
    }

    /// As in the REPORT line; absent where AWS counts the invocation as one that the function answered.
    pub(crate) fn status(&self) -> Option<&'static str> {
        match self {
            Self::Timeout => Some("timeout"),
            Self::ResponseTooLarge => None,
            Self::Exit
            | Self::InvalidEntrypoint
            | Self::InvalidResponseMode
            | Self::TruncatedResponse
            | Self::Shutdown
            | Self::Extension(_) => Some("error"),
        }
    }
}

impl Fault {
    /// The process ended before it answered.
    pub(crate) fn exit(request_id: &str, exit: Exit) -> Self {
        Self::of_request(FaultKind::Exit, request_id, exit)
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
        Self::of_request(FaultKind::Extension(failure.error_type.clone()), request_id, &failure.message)
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
    pub(crate) fn lines(&self, request_id: &str) -> Vec<String> {
        match &self.kind {
            FaultKind::Timeout => {
                let what = self.message.rsplit_once("Error: ").map_or(&*self.message, |(_, what)| what);
                vec![format!("{request_id} {what}")]
            }
            FaultKind::ResponseTooLarge => Vec::new(),
            _ => vec![self.message.clone(), self.kind.error_type().to_owned()],
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
