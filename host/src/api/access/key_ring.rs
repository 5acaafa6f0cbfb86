//! The keys of those who may call.

use std::collections::BTreeMap;

use crate::api::arn::is_account;
use crate::sigv4::{FunctionKeys, Keys};

/// Somebody who may call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyHolder {
    /// What they sign with.
    pub keys: Keys,
    /// Their account, if it is not the host's.
    pub account: Option<String>,
}

/// Everybody who may call, by access key id.
#[derive(Clone, Debug)]
pub struct KeyRing {
    by_id: BTreeMap<String, KeyHolder>,
    functions: FunctionKeys,
}

impl KeyRing {
    /// Of these, and of functions.
    pub fn new(holders: impl IntoIterator<Item = KeyHolder>) -> Self {
        let by_id = holders.into_iter().map(|holder| (holder.keys.id.clone(), holder)).collect();
        Self { by_id, functions: FunctionKeys::secret() }
    }

    /// Whose key this is.
    pub fn find(&self, key_id: &str) -> Option<KeyHolder> {
        let function = || KeyHolder { keys: self.functions.of(key_id), account: Some(key_id.to_owned()) };
        self.by_id.get(key_id).cloned().or_else(|| is_account(key_id).then(function))
    }

    /// The account of a key, if it is not the host's.
    pub fn account_of<'a>(&'a self, key_id: &'a str) -> Option<&'a str> {
        match self.by_id.get(key_id) {
            Some(holder) => holder.account.as_deref(),
            None => Some(key_id).filter(|key_id| is_account(key_id)),
        }
    }

    /// What functions sign with.
    pub fn functions(&self) -> &FunctionKeys {
        &self.functions
    }

    /// Any of those who may call: for requests that the command line makes.
    pub fn first(&self) -> Option<&KeyHolder> {
        self.by_id.values().next()
    }
}
