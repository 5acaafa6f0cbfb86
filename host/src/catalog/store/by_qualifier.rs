//! What a function has by qualifier: provisioned concurrency, URLs, and what else was set for one. All are kept in
//! tables of one form.

use std::collections::BTreeMap;
use std::sync::Arc;

use rusqlite::{Transaction, params};

use super::record::{self, RecordError};
use super::{Store, StoreError};
use crate::catalog::function::{Function, FunctionKey};
use crate::catalog::provisioned::Provisioned;
use crate::catalog::qualified::Qualified;
use crate::catalog::url::FunctionUrl;

const PROVISIONED: &str = "provisioned_concurrency";
const URLS: &str = "function_urls";
const QUALIFIED: &str = "qualified";

type ByQualifier<T> = BTreeMap<String, Arc<T>>;

impl Store {
    /// What is provisioned for a function, whose row has this id.
    pub(super) fn provisioned(
        &self,
        id: i64,
        key: &FunctionKey,
    ) -> Result<ByQualifier<Provisioned>, StoreError> {
        self.by_qualifier(PROVISIONED, id, key, record::read_provisioned)
    }

    /// The URLs of a function, whose row has this id.
    pub(super) fn urls(&self, id: i64, key: &FunctionKey) -> Result<ByQualifier<FunctionUrl>, StoreError> {
        self.by_qualifier(URLS, id, key, record::read_url)
    }

    /// What else was set for the qualifiers of a function, whose row has this id.
    pub(super) fn qualified(&self, id: i64, key: &FunctionKey) -> Result<ByQualifier<Qualified>, StoreError> {
        self.by_qualifier(QUALIFIED, id, key, |text| Ok(serde_json::from_str(text)?))
    }

    fn by_qualifier<T>(
        &self,
        table: &str,
        id: i64,
        key: &FunctionKey,
        read: impl Fn(&str) -> Result<T, RecordError>,
    ) -> Result<ByQualifier<T>, StoreError> {
        let rows: Vec<(String, String)> =
            self.rows(&format!("SELECT qualifier, record FROM {table} WHERE function = ?"), id)?;
        let read = |(qualifier, text): (String, String)| {
            let of = format!("{}:{qualifier}", key.arn());
            let item = read(&text).map_err(|problem| StoreError::Record { of, problem })?;
            Ok((qualifier, Arc::new(item)))
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
    let rows = |table| Rows { transaction, table, function };
    rows(PROVISIONED).put(old.map(|old| &old.provisioned), &new.provisioned, record::write_provisioned)?;
    rows(URLS).put(old.map(|old| &old.urls), &new.urls, record::write_url)?;
    let write = |qualified: &Qualified| Ok(serde_json::to_string(qualified)?);
    rows(QUALIFIED).put(old.map(|old| &old.qualified), &new.qualified, write)
}

/// One function's rows in one of the tables.
struct Rows<'a> {
    transaction: &'a Transaction<'a>,
    table: &'static str,
    function: i64,
}

impl Rows<'_> {
    fn put<T: PartialEq>(
        &self,
        old: Option<&ByQualifier<T>>,
        new: &ByQualifier<T>,
        write: impl Fn(&T) -> Result<String, RecordError>,
    ) -> Result<(), StoreError> {
        let Self { transaction, table, function } = self;
        let gone = old.into_iter().flat_map(BTreeMap::keys).filter(|qualifier| !new.contains_key(*qualifier));
        for qualifier in gone {
            let sql = format!("DELETE FROM {table} WHERE function = ? AND qualifier = ?");
            transaction.execute(&sql, params![function, qualifier])?;
        }
        for (qualifier, item) in new {
            if old.and_then(|old| old.get(qualifier)) != Some(item) {
                let text = write(item).map_err(StoreError::Unwritable)?;
                let sql =
                    format!("INSERT OR REPLACE INTO {table} (function, qualifier, record) VALUES (?, ?, ?)");
                transaction.execute(&sql, params![function, qualifier, text])?;
            }
        }
        Ok(())
    }
}
