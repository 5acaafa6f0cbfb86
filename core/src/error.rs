//! The one error that travels.

use std::error::Error;
use std::fmt;

use crate::abi::wire_struct;
use crate::{ErrorKind, Meta};

wire_struct! {
    /// Why a call failed: `kind` and `retryable` say what the host does next, the rest is for people.
    pub struct BackendError / AbiBackendError {
        /// What went wrong.
        pub kind: ErrorKind,
        /// Whether the same call may succeed later.
        pub retryable: bool,
        /// What happened, to what, and what to do next: lower case, no full stop.
        pub message: String,
        /// The causes beneath, outermost first.
        pub chain: Vec<String>,
        /// For people: `engine`, `image`, ….
        pub meta: Meta,
    }
}

impl BackendError {
    /// An error of any kind that is not worth a retry.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, retryable: false, message: message.into(), chain: Vec::new(), meta: Meta::new() }
    }

    /// The answer of an operation that a backend does not implement.
    pub fn unsupported(operation: &str) -> Self {
        Self::new(ErrorKind::UNSUPPORTED, format!("this backend does not implement {operation}"))
    }

    /// The configuration is wrong, or something that is needed is missing; the message says what to do.
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::CONFIG, message)
    }

    /// There is no instance with this handle.
    pub fn not_found(handle: &str) -> Self {
        Self::new(ErrorKind::NOT_FOUND, format!("there is no instance {handle}"))
    }

    /// What the backend depends on does not answer; worth a retry.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::UNAVAILABLE, message).retryable()
    }

    /// Something failed that nobody foresaw.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::INTERNAL, message)
    }

    /// The same, marked as worth a retry.
    #[must_use]
    pub fn retryable(self) -> Self {
        Self { retryable: true, ..self }
    }

    /// The same, with `cause` and the causes beneath it.
    #[must_use]
    pub fn caused_by(mut self, cause: &(dyn Error + 'static)) -> Self {
        let mut next = Some(cause);
        while let Some(cause) = next {
            self.chain.push(cause.to_string());
            next = cause.source();
        }
        self
    }

    /// The same, with one more fact for people.
    #[must_use]
    pub fn with_meta(mut self, name: &str, value: impl Into<String>) -> Self {
        self.meta.insert(name.to_owned(), value.into());
        self
    }
}

impl fmt::Display for BackendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.chain.iter().try_for_each(|cause| write!(f, ": {cause}"))
    }
}

impl Error for BackendError {}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn an_error_reads_as_one_line_with_its_causes() {
        let cause = io::Error::other("connection refused");
        let error =
            BackendError::unavailable("the engine at unix:///run/engine does not answer").caused_by(&cause);
        assert_eq!(error.to_string(), "the engine at unix:///run/engine does not answer: connection refused");
        assert!(error.retryable);
    }
}
