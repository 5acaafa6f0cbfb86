//! What the API server's errors mean to the host.

use std::time::Duration;

use hearth_core::{BackendError, ErrorKind};
use kube::Error;

/// How long the API server may take for an answer. It may be slow; it must not be waited for for ever.
const ANSWER_LIMIT: Duration = Duration::from_secs(60);

/// Makes a call, and gives up once it takes too long.
pub(crate) async fn answer<T>(call: impl Future<Output = kube::Result<T>>) -> kube::Result<T> {
    let answered = tokio::time::timeout(ANSWER_LIMIT, call).await;
    answered
        .unwrap_or_else(|_| Err(Error::Service(format!("no answer in {} s", ANSWER_LIMIT.as_secs()).into())))
}

/// What could not be done, and why.
pub(crate) fn failure(doing: &str, error: &Error) -> BackendError {
    let gone = || BackendError::unavailable(format!("{doing}: the API server does not answer"));
    let status = match error {
        Error::Api(status) => status,
        Error::Service(cause) => return gone().caused_by(cause.as_ref()),
        Error::HyperError(cause) => return gone().caused_by(cause),
        Error::ReadEvents(cause) => return gone().caused_by(cause),
        error => return BackendError::internal(doing).caused_by(error),
    };
    let kind = match status.code {
        // One reason for many causes: only the message tells a full quota from a right that is missing.
        403 if status.message.contains("exceeded quota") => ErrorKind::NO_CAPACITY,
        403 => ErrorKind::CONFIG,
        404 => ErrorKind::NOT_FOUND,
        400 | 413 | 422 => ErrorKind::SPEC_REJECTED,
        401 | 429 | 500.. => ErrorKind::UNAVAILABLE,
        _ => ErrorKind::INTERNAL,
    };
    let message = if status.message.is_empty() { &status.reason } else { &status.message };
    let failed = BackendError::new(kind, format!("{doing}: {}", message.trim()));
    let passes = kind == ErrorKind::NO_CAPACITY || kind == ErrorKind::UNAVAILABLE;
    if passes { failed.retryable() } else { failed }
}

/// Whether there is no such thing.
pub(crate) fn is_missing(error: &Error) -> bool {
    code(error) == Some(404)
}

/// Whether its name is taken.
pub(crate) fn is_taken(error: &Error) -> bool {
    matches!(error, Error::Api(status) if status.code == 409 && status.reason == "AlreadyExists")
}

/// Whether the server could not be spoken to at all.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(error, Error::Service(_) | Error::HyperError(_) | Error::ReadEvents(_))
}

fn code(error: &Error) -> Option<u16> {
    match error {
        Error::Api(status) => Some(status.code),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    #[test]
    fn an_answer_of_the_api_server_says_whether_to_try_again() {
        for (code, message, kind, retryable) in [
            (
                403,
                r#"pods "a" is forbidden: exceeded quota: q, requested: pods=1, used: pods=2, limited: pods=2"#,
                ErrorKind::NO_CAPACITY,
                true,
            ),
            (
                403,
                r#"pods "a" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot != true"#,
                ErrorKind::CONFIG,
                false,
            ),
            (401, "Unauthorized", ErrorKind::UNAVAILABLE, true),
            (404, r#"namespaces "a" not found"#, ErrorKind::NOT_FOUND, false),
            (409, r#"pods "a" already exists"#, ErrorKind::INTERNAL, false),
            (422, r#"Pod "a" is invalid: spec.containers: Required value"#, ErrorKind::SPEC_REJECTED, false),
            (429, "Too many requests, please try again later.", ErrorKind::UNAVAILABLE, true),
            (500, "error dialing backend", ErrorKind::UNAVAILABLE, true),
            (504, "Timeout: Too large resource version", ErrorKind::UNAVAILABLE, true),
        ] {
            let status = Status { code, message: message.to_owned(), ..Status::default() };
            let error = failure("it failed", &Error::Api(Box::new(status)));
            assert_eq!((error.kind, error.retryable), (kind, retryable), "{error}");
            assert_eq!(error.to_string(), format!("it failed: {message}"));
        }
    }

    #[test]
    fn a_server_that_is_gone_is_told_from_one_that_refuses() {
        let error = failure("the pod cannot be made", &Error::Service("connection refused".into()));
        assert_eq!((error.kind, error.retryable), (ErrorKind::UNAVAILABLE, true));
        let text = "the pod cannot be made: the API server does not answer: connection refused";
        assert_eq!(error.to_string(), text);
    }
}
