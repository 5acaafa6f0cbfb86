//! Provisioned concurrency: instances that are kept ready.

use jiff::Timestamp;

/// What is provisioned for one qualifier of a function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Provisioned {
    /// Instances that are to be ready; at least 1.
    pub requested: u32,
    /// When it was last set.
    pub last_modified: Timestamp,
}
