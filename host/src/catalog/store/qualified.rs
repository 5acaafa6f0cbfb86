//! What a function has by qualifier.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::{Store, StoreError, record};
use crate::catalog::function::{Function, FunctionKey};
use crate::catalog::provisioned::Provisioned;

impl Store {
    /// What is provisioned for the qualifiers of a function, whose row has this id.
    pub(super) fn provisioned(
        &self,
        id: i64,
        key: &FunctionKey,
    ) -> Result<BTreeMap<String, Arc<Provisioned>>, StoreError> {
        let rows = self
            .rows::<String>("SELECT qualifier, record FROM provisioned_concurrency WHERE function = ?", id)?;
        let read = |(qualifier, text): (String, String)| {
            let provisioned = record::read_provisioned(&text).map_err(|problem| StoreError::Record {
                of: format!("{}:{qualifier}", key.arn()),
                problem,
            })?;
            Ok((qualifier, Arc::new(provisioned)))
        };
        rows.into_iter().map(read).collect()
    }
}

/// Puts what `new` has in the place of what `old` has; only what differs is written.
pub(super) fn put(
    transaction: &Transaction<'_>,
    function: i64,
    old: Option<&Function>,
    new: &Function,
) -> Result<(), StoreError> {
    let none = BTreeMap::new();
    let old = old.map_or(&none, |old| &old.provisioned);
    for qualifier in old.keys().filter(|qualifier| !new.provisioned.contains_key(*qualifier)) {
        let sql = "DELETE FROM provisioned_concurrency WHERE function = ? AND qualifier = ?";
        transaction.execute(sql, params![function, qualifier])?;
    }
    for (qualifier, provisioned) in &new.provisioned {
        if old.get(qualifier) != Some(provisioned) {
            let text = record::write_provisioned(provisioned).map_err(StoreError::Unwritable)?;
            let sql = "INSERT OR REPLACE INTO provisioned_concurrency (function, qualifier, record) VALUES (?, ?, ?)";
            transaction.execute(sql, params![function, qualifier, text])?;
        }
    }
    Ok(())
}
