//! What the host holds of a backend in another process.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Handles of the instances that were launched and have not ended.
#[derive(Debug, Default)]
pub(super) struct Instances(Mutex<BTreeSet<String>>);

impl Instances {
    pub(super) fn launched(&self, handle: String) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(handle);
    }

    pub(super) fn gone(&self, handle: &str) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).remove(handle);
    }

    pub(super) fn all(&self) -> BTreeSet<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
