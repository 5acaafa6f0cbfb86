//! The keys of those who may call.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::api::arn::is_account;
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
#[derive(Clone, Debug)]
pub struct KeyRing {
    by_id: BTreeMap<String, KeyHolder>,
    functions: FunctionKeys,
}

/// What functions sign with when they call this host or another service: their account's number is the access key id,
/// so that they stay in that account.
#[derive(Clone, Debug)]
pub struct FunctionKeys {
    secret: String,
    session_token: String,
}

impl FunctionKeys {
    /// For a host that lets anybody call: the same for all, and no secret.
    pub fn known() -> Self {
        Self { secret: "hearth".to_owned(), session_token: "hearth".to_owned() }
    }

    /// For a host that asks for signatures: nobody knows them but this host and what it runs. Functions do not outlive
    /// their host, and so need no others after a restart.
    pub fn secret() -> Self {
        let random = || format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple());
        Self { secret: random(), session_token: random() }
    }

    /// Those of an account's functions.
    pub fn of(&self, account: &str) -> Keys {
        Keys {
            id: account.to_owned(),
            secret: self.secret.clone(),
            session_token: Some(self.session_token.clone()),
        }
    }
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
