//! What was set for the qualifiers of functions, on disk.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::record::RecordError;
use super::{Store, StoreError};
use crate::catalog::qualified::{FunctionSettings, Qualified};

type ByQualifier = BTreeMap<String, Arc<Qualified>>;

impl Store {
    /// What was set for the qualifiers of a function.
    pub(super) fn qualified(&self, function: i64) -> Result<Vec<(String, String)>, StoreError> {
        self.rows("SELECT qualifier, record FROM qualified WHERE function = ?", function)
    }

    /// What was set for a function as a whole, if anything was.
    pub(super) fn settings(&self, function: i64) -> Result<Option<String>, StoreError> {
        let mut rows =
            self.rows::<i64>("SELECT function, record FROM function_settings WHERE function = ?", function)?;
        Ok(rows.pop().map(|(_, text)| text))
    }
}

/// Understands what is stored for a function as a whole.
pub(super) fn read_settings(text: Option<String>) -> Result<FunctionSettings, RecordError> {
    Ok(text.map_or_else(|| Ok(FunctionSettings::default()), |text| serde_json::from_str(&text))?)
}

/// Puts what is set for a function as a whole.
pub(super) fn put_settings(
    transaction: &Transaction<'_>,
    function: i64,
    settings: &FunctionSettings,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(settings).map_err(|error| StoreError::Unwritable(error.into()))?;
    let sql = "INSERT OR REPLACE INTO function_settings (function, record) VALUES (?, ?)";
    transaction.execute(sql, params![function, text])?;
    Ok(())
}

/// Understands what is stored.
pub(super) fn read(rows: Vec<(String, String)>) -> Result<ByQualifier, RecordError> {
    rows.into_iter()
        .map(|(qualifier, text)| Ok((qualifier, Arc::new(serde_json::from_str(&text)?))))
        .collect()
}

/// Puts `new` in the place of `old`; only what differs is written.
pub(super) fn put(
    transaction: &Transaction<'_>,
    function: i64,
    old: Option<&ByQualifier>,
    new: &ByQualifier,
) -> Result<(), StoreError> {
    for (qualifier, qualified) in new {
        let stored = old.and_then(|old| old.get(qualifier));
        if !stored.is_some_and(|stored| Arc::ptr_eq(stored, qualified)) {
            let text =
                serde_json::to_string(&**qualified).map_err(|error| StoreError::Unwritable(error.into()))?;
            let sql = "INSERT OR REPLACE INTO qualified (function, qualifier, record) VALUES (?, ?, ?)";
            transaction.execute(sql, params![function, qualifier, text])?;
        }
    }
    let gone = old.into_iter().flat_map(BTreeMap::keys).filter(|qualifier| !new.contains_key(*qualifier));
    for qualifier in gone {
        let sql = "DELETE FROM qualified WHERE function = ? AND qualifier = ?";
        transaction.execute(sql, params![function, qualifier])?;
    }
    Ok(())
}
