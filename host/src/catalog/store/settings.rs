//! What was set for a function as a whole, on disk.

use rusqlite::{Transaction, params};

use super::record::RecordError;
use super::{Store, StoreError};
use crate::catalog::qualified::FunctionSettings;

impl Store {
    /// What was set for a function as a whole, if anything was.
    pub(super) fn settings(&self, function: i64) -> Result<Option<String>, StoreError> {
        let mut rows =
            self.rows::<i64>("SELECT function, record FROM function_settings WHERE function = ?", function)?;
        Ok(rows.pop().map(|(_, text)| text))
    }
}

/// Understands what is stored for a function as a whole.
pub(super) fn read(text: Option<String>) -> Result<FunctionSettings, RecordError> {
    Ok(text.map_or_else(|| Ok(FunctionSettings::default()), |text| serde_json::from_str(&text))?)
}

/// Puts what is set for a function as a whole.
pub(super) fn put(
    transaction: &Transaction<'_>,
    function: i64,
    settings: &FunctionSettings,
) -> Result<(), StoreError> {
    let text = serde_json::to_string(settings).map_err(|error| StoreError::Unwritable(error.into()))?;
    let sql = "INSERT OR REPLACE INTO function_settings (function, record) VALUES (?, ?)";
    transaction.execute(sql, params![function, text])?;
    Ok(())
}
