//! What went wrong, in words.

use std::fmt;

/// A failure that somebody will read. It says what happened, to what, and where possible what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(String);

/// What the harness answers.
pub type Result<T, E = Problem> = std::result::Result<T, E>;

impl Problem {
    /// A problem in these words.
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

/// Says what was being done when an error came up.
pub trait Explain<T> {
    /// Puts `doing` before the error's own words.
    fn explain(self, doing: impl fmt::Display) -> Result<T>;
}

impl<T, E: fmt::Display> Explain<T> for std::result::Result<T, E> {
    fn explain(self, doing: impl fmt::Display) -> Result<T> {
        self.map_err(|error| Problem::new(format!("{doing}: {error}")))
    }
}

impl<T> Explain<T> for Option<T> {
    fn explain(self, doing: impl fmt::Display) -> Result<T> {
        self.ok_or_else(|| Problem::new(doing.to_string()))
    }
}
