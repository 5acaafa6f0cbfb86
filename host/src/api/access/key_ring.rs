//! The keys of those who may call.

use std::collections::BTreeMap;

use crate::sigv4::Keys;

/// Somebody who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// What they sign with.
    pub keys: Keys,
    /// Their account, if it is not the host's.
    pub account: Option<String>,
}

/// Everybody who may call, by access key id.
#[derive(Clone, Debug, Default)]
pub struct KeyRing {
    by_id: BTreeMap<String, KeyHolder>,
}

impl KeyRing {
    /// Of these.
    pub fn new(holders: impl IntoIterator<Item = KeyHolder>) -> Self {
        Self { by_id: holders.into_iter().map(|holder| (holder.keys.id.clone(), holder)).collect() }
    }

    /// Whose key this is.
    pub fn find(&self, key_id: &str) -> Option<&KeyHolder> {
        self.by_id.get(key_id)
    }

    /// Any of them: for a host's own requests to itself.
    pub fn first(&self) -> Option<&KeyHolder> {
        self.by_id.values().next()
    }
}
