//! The catalog on disk: SQLite, committed before anybody is told.
//!
//! The store knows functions and layers as wholes. A change is the difference between two of them, written in
//! one transaction, so that a kill at any moment leaves the old one or the new one.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::alias::Alias;
use super::function::{Code, Function, FunctionKey, Version, VersionName};
use super::layer::{Layer, LayerKey, LayerVersion};
use record::RecordError;

pub use record::digest_of;

mod by_qualifier;
pub mod record;
mod resources;
mod schema;
mod settings;
#[cfg(test)]
mod tests;

/// Why the store cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A later version of hearth wrote it.
    #[error(
        "the database was written by a newer hearth: its schema is {found}, this one knows up to {known}"
    )]
    Newer {
        /// Schema version on disk.
        found: u32,
        /// Schema version of this host.
        known: u32,
    },
    /// Another process has it open.
    #[error("the database {0} is in use by another process: stop that one, or choose another data directory")]
    InUse(PathBuf),
    /// A stored record means nothing to this host.
    #[error("the record of {of} cannot be read: {problem}")]
    Record {
        /// ARN.
        of: String,
        /// What is wrong with it.
        problem: RecordError,
    },
    /// A value to be stored cannot be written as JSON.
    #[error("a record cannot be written: {0}")]
    Unwritable(RecordError),
    /// SQLite failed.
    #[error("the database failed: {0}")]
    Database(#[from] rusqlite::Error),
}

/// The database, for the one thread that writes it.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens or creates the database and brings it to the present schema.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        let mut connection = Connection::open(path)?;
        // One host per data directory, and no waiting for another. It also spares the shared-memory file.
        connection.busy_timeout(Duration::ZERO)?;
        connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
        let journal =
            connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0));
        if let Err(rusqlite::Error::SqliteFailure(failure, _)) = &journal
            && failure.code == rusqlite::ErrorCode::DatabaseBusy
        {
            return Err(StoreError::InUse(path.to_owned()));
        }
        journal?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "foreign_keys", true)?;
        schema::migrate(&mut connection)?;
        Ok(Self { connection })
    }

    /// Every stored function. Versions have no targets and hold no packages yet.
    pub fn functions(&self) -> Result<Vec<Function>, StoreError> {
        let mut query = self.connection.prepare(
            "SELECT id, account, region, name, last_published, reserved_concurrency FROM functions ORDER BY id",
        )?;
        let mut rows = query.query([])?;
        let mut functions = Vec::new();
        while let Some(row) = rows.next()? {
            let [account, region, name]: [String; 3] = [row.get(1)?, row.get(2)?, row.get(3)?];
            let key = FunctionKey::new(&account, &region, &name);
            functions.push(self.function(row.get(0)?, key, row.get(4)?, row.get(5)?)?);
        }
        Ok(functions)
    }

    fn function(
        &self,
        id: i64,
        key: FunctionKey,
        published: u32,
        reserved: Option<u32>,
    ) -> Result<Function, StoreError> {
        let of = || key.arn();
        let unreadable = |problem| StoreError::Record { of: of(), problem };
        let mut versions = BTreeMap::new();
        for (number, text) in
            self.rows::<u32>("SELECT version, record FROM versions WHERE function = ?", id)?
        {
            let name = if number == 0 { VersionName::Latest } else { VersionName::Number(number) };
            versions.insert(number, Arc::new(record::read_version(name, &text).map_err(unreadable)?));
        }
        let mut aliases = BTreeMap::new();
        for (name, text) in self.rows::<String>("SELECT name, record FROM aliases WHERE function = ?", id)? {
            let alias = record::read_alias(name.clone(), &text).map_err(unreadable)?;
            aliases.insert(name, Arc::new(alias));
        }
        let provisioned = self.provisioned(id, &key)?;
        let urls = self.urls(id, &key)?;
        let tags = self.rows("SELECT name, value FROM tags WHERE function = ?", id)?.into_iter().collect();
        let qualified = self.qualified(id, &key)?;
        let settings = settings::read(self.settings(id)?).map_err(unreadable)?;
        let latest = versions.remove(&0).ok_or_else(|| unreadable(RecordError::Field("$LATEST")))?;
        Ok(Function {
            key,
            latest,
            versions,
            aliases,
            last_published: published,
            reserved_concurrency: reserved,
            provisioned,
            urls,
            tags,
            qualified,
            settings,
        })
    }

    /// Every stored layer. Versions do not hold their packages yet.
    pub fn layers(&self) -> Result<Vec<(LayerKey, Layer)>, StoreError> {
        let mut query = self
            .connection
            .prepare("SELECT id, account, region, name, last_published FROM layers ORDER BY id")?;
        let mut rows = query.query([])?;
        let mut layers = Vec::new();
        while let Some(row) = rows.next()? {
            let key = LayerKey { account: row.get(1)?, region: row.get(2)?, name: row.get(3)? };
            let mut layer = Layer { versions: BTreeMap::new(), last_published: row.get(4)? };
            let id = row.get(0)?;
            for (number, text) in
                self.rows("SELECT version, record FROM layer_versions WHERE layer = ?", id)?
            {
                let version = record::read_layer_version(number, &text)
                    .map_err(|problem| StoreError::Record { of: key.arn(), problem })?;
                layer.versions.insert(number, Arc::new(version));
            }
            layers.push((key, layer));
        }
        Ok(layers)
    }

    /// Pairs of a key and a text.
    fn rows<K: rusqlite::types::FromSql>(&self, sql: &str, of: i64) -> Result<Vec<(K, String)>, StoreError> {
        let mut query = self.connection.prepare_cached(sql)?;
        let rows = query.query_map([of], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Puts `new` in the place of `old`, which is what is stored; only what differs is written.
    pub fn put_function(&mut self, old: Option<&Function>, new: &Function) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let id = put_function_row(&transaction, new)?;
        let stored = |version: &Version| old.and_then(|old| old.version(version.name));
        for version in new.all_versions() {
            if !stored(version).is_some_and(|stored| Arc::ptr_eq(stored, version)) {
                put_version(&transaction, id, version)?;
            }
        }
        for alias in new.aliases.values() {
            let stored = old.and_then(|old| old.aliases.get(&alias.name));
            if !stored.is_some_and(|stored| Arc::ptr_eq(stored, alias)) {
                put_alias(&transaction, id, alias)?;
            }
        }
        by_qualifier::put(&transaction, id, old, new)?;
        if let Some(old) = old {
            delete_missing(&transaction, id, old, new)?;
        }
        if old.map(|old| &old.tags) != Some(&new.tags) {
            put_tags(&transaction, id, &new.tags)?;
        }
        if old.map(|old| &old.settings) != Some(&new.settings) {
            settings::put(&transaction, id, &new.settings)?;
        }
        Ok(transaction.commit()?)
    }

    /// Removes a function and all that belongs to it.
    pub fn delete_function(&mut self, key: &FunctionKey) -> Result<(), StoreError> {
        let sql = "DELETE FROM functions WHERE account = ? AND region = ? AND name = ?";
        self.connection.execute(sql, params![&*key.account, &*key.region, &*key.name])?;
        Ok(())
    }

    /// Adds a version to a layer, which is made if it is new.
    pub fn add_layer_version(&mut self, key: &LayerKey, version: &LayerVersion) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        let id: i64 = transaction.query_row(
            "INSERT INTO layers (account, region, name, last_published) VALUES (?, ?, ?, ?)
             ON CONFLICT DO UPDATE SET last_published = excluded.last_published RETURNING id",
            params![key.account, key.region, key.name, version.number],
            |row| row.get(0),
        )?;
        let text = record::write_layer_version(version).map_err(StoreError::Unwritable)?;
        transaction.execute(
            "INSERT INTO layer_versions (layer, version, code_sha256, record) VALUES (?, ?, ?, ?)",
            params![id, version.number, version.package.sha256.to_string(), text],
        )?;
        Ok(transaction.commit()?)
    }

    /// Writes what may change of a layer's version.
    pub fn update_layer_version(&mut self, key: &LayerKey, version: &LayerVersion) -> Result<(), StoreError> {
        let text = record::write_layer_version(version).map_err(StoreError::Unwritable)?;
        self.connection.execute(
            "UPDATE layer_versions SET record = ? WHERE version = ?
             AND layer = (SELECT id FROM layers WHERE account = ? AND region = ? AND name = ?)",
            params![text, version.number, key.account, key.region, key.name],
        )?;
        Ok(())
    }

    /// Removes one version of a layer. The layer stays, so that its numbers are not used again.
    pub fn delete_layer_version(&mut self, key: &LayerKey, number: u32) -> Result<(), StoreError> {
        self.connection.execute(
            "DELETE FROM layer_versions WHERE version = ?
             AND layer = (SELECT id FROM layers WHERE account = ? AND region = ? AND name = ?)",
            params![number, key.account, key.region, key.name],
        )?;
        Ok(())
    }
}

fn put_function_row(transaction: &Transaction<'_>, function: &Function) -> Result<i64, StoreError> {
    let FunctionKey { account, region, name } = &function.key;
    let update = "UPDATE functions SET last_published = ?, reserved_concurrency = ?
                  WHERE account = ? AND region = ? AND name = ? RETURNING id";
    let values =
        params![function.last_published, function.reserved_concurrency, &**account, &**region, &**name];
    if let Some(id) = transaction.query_row(update, values, |row| row.get(0)).optional()? {
        return Ok(id);
    }
    let insert = "INSERT INTO functions (last_published, reserved_concurrency, account, region, name)
                  VALUES (?, ?, ?, ?, ?)";
    transaction.execute(insert, values)?;
    Ok(transaction.last_insert_rowid())
}

fn put_version(transaction: &Transaction<'_>, function: i64, version: &Version) -> Result<(), StoreError> {
    let text = record::write_version(version).map_err(StoreError::Unwritable)?;
    let code_sha256 = match &version.config.code {
        Code::Zip(zip) => Some(zip.package.sha256.to_string()),
        Code::Image(_) => None,
    };
    transaction.execute(
        "INSERT OR REPLACE INTO versions (function, version, code_sha256, record) VALUES (?, ?, ?, ?)",
        params![function, number(version.name), code_sha256, text],
    )?;
    Ok(())
}

fn put_alias(transaction: &Transaction<'_>, function: i64, alias: &Alias) -> Result<(), StoreError> {
    let text = record::write_alias(alias).map_err(StoreError::Unwritable)?;
    let sql = "INSERT OR REPLACE INTO aliases (function, name, record) VALUES (?, ?, ?)";
    transaction.execute(sql, params![function, alias.name, text])?;
    Ok(())
}

fn put_tags(
    transaction: &Transaction<'_>,
    function: i64,
    tags: &BTreeMap<String, String>,
) -> Result<(), StoreError> {
    transaction.execute("DELETE FROM tags WHERE function = ?", [function])?;
    for (name, value) in tags {
        let sql = "INSERT INTO tags (function, name, value) VALUES (?, ?, ?)";
        transaction.execute(sql, params![function, name, value])?;
    }
    Ok(())
}

fn delete_missing(
    transaction: &Transaction<'_>,
    function: i64,
    old: &Function,
    new: &Function,
) -> Result<(), StoreError> {
    for name in old.versions.keys().filter(|name| !new.versions.contains_key(name)) {
        transaction
            .execute("DELETE FROM versions WHERE function = ? AND version = ?", params![function, name])?;
    }
    for name in old.aliases.keys().filter(|name| !new.aliases.contains_key(*name)) {
        transaction
            .execute("DELETE FROM aliases WHERE function = ? AND name = ?", params![function, name])?;
    }
    Ok(())
}

fn number(name: VersionName) -> u32 {
    match name {
        VersionName::Latest => 0,
        VersionName::Number(number) => number,
    }
}
