//! What the engine's errors mean to the host.

use bollard::errors::Error;
use hearth_core::{BackendError, ErrorKind};

/// What could not be done, and why.
pub(crate) fn failure(doing: &str, error: &Error) -> BackendError {
    match error {
        Error::DockerResponseServerError { status_code, message } => {
            let kind = match status_code {
                404 => ErrorKind::NOT_FOUND,
                400 => ErrorKind::SPEC_REJECTED,
                _ if is_full(message) => ErrorKind::NO_CAPACITY,
                _ => ErrorKind::INTERNAL,
            };
            let error = BackendError::new(kind, format!("{doing}: {}", message.trim()));
            if *status_code >= 500 { error.retryable() } else { error }
        }
        Error::RequestTimeoutError => {
            BackendError::new(ErrorKind::TIMEOUT, format!("{doing}: the container engine takes too long"))
                .retryable()
        }
        error if is_gone(error) => {
            BackendError::unavailable(format!("{doing}: the container engine does not answer"))
                .caused_by(error)
        }
        error => BackendError::internal(doing).caused_by(error),
    }
}

/// Whether there is no such thing.
pub(crate) fn is_missing(error: &Error) -> bool {
    status(error) == Some(404)
}

/// Whether it is in the state already that it was to be brought into.
pub(crate) fn is_conflict(error: &Error) -> bool {
    matches!(status(error), Some(304 | 409))
}

/// Whether the engine could not be spoken to at all.
pub(crate) fn is_gone(error: &Error) -> bool {
    matches!(
        error,
        Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
            | Error::SocketNotFoundError(_)
    )
}

fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

fn is_full(message: &str) -> bool {
    message.contains("no space left on device") || message.contains("disk quota exceeded")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_of_the_engine_says_whether_to_try_again() {
        for (status_code, message, kind, retryable) in [
            (404, "No such image: a", ErrorKind::NOT_FOUND, false),
            (400, "invalid mount config", ErrorKind::SPEC_REJECTED, false),
            (409, "Conflict. The name is in use", ErrorKind::INTERNAL, false),
            (500, "write /x: no space left on device", ErrorKind::NO_CAPACITY, true),
            (500, "something broke", ErrorKind::INTERNAL, true),
        ] {
            let message = message.to_owned();
            let error = failure("it failed", &Error::DockerResponseServerError { status_code, message });
            assert_eq!((error.kind, error.retryable), (kind, retryable), "{error}");
        }
    }

    #[test]
    fn an_engine_that_is_gone_is_told_from_one_that_refuses() {
        let error = failure("the container cannot be made", &std::io::Error::other("broken pipe").into());
        assert_eq!((error.kind, error.retryable), (ErrorKind::UNAVAILABLE, true));
        let text = "the container cannot be made: the container engine does not answer: broken pipe";
        assert_eq!(error.to_string(), text);
    }
}
