//! The tables, and how an older form of them becomes this one.

use rusqlite::Connection;

use super::StoreError;

/// Each step takes the database from one schema version to the next; the version is the number of steps taken.
/// A step that was ever released does not change any more.
const MIGRATIONS: [&str; 3] = [
    "
    CREATE TABLE functions (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        name TEXT NOT NULL,
        last_published INTEGER NOT NULL,
        reserved_concurrency INTEGER,
        UNIQUE (account, region, name)
    ) STRICT;

    -- Version 0 is $LATEST.
    CREATE TABLE versions (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        version INTEGER NOT NULL,
        code_sha256 TEXT,
        record TEXT NOT NULL,
        PRIMARY KEY (function, version)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE aliases (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        name TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (function, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE tags (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (function, name)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE layers (
        id INTEGER PRIMARY KEY,
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        name TEXT NOT NULL,
        last_published INTEGER NOT NULL,
        UNIQUE (account, region, name)
    ) STRICT;

    CREATE TABLE layer_versions (
        layer INTEGER NOT NULL REFERENCES layers ON DELETE CASCADE,
        version INTEGER NOT NULL,
        code_sha256 TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (layer, version)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- What was set for $LATEST, a version or an alias.
    CREATE TABLE qualified (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        qualifier TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (function, qualifier)
    ) STRICT, WITHOUT ROWID;

    -- What was set for a function as a whole.
    CREATE TABLE function_settings (
        function INTEGER PRIMARY KEY REFERENCES functions ON DELETE CASCADE,
        record TEXT NOT NULL
    ) STRICT;

    CREATE TABLE code_signing_configs (
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        id TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (account, region, id)
    ) STRICT, WITHOUT ROWID;

    CREATE TABLE event_source_mappings (
        account TEXT NOT NULL,
        region TEXT NOT NULL,
        id TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (account, region, id)
    ) STRICT, WITHOUT ROWID;
",
    "
    -- The qualifier is a version's number or an alias.
    CREATE TABLE provisioned_concurrency (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        qualifier TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (function, qualifier)
    ) STRICT, WITHOUT ROWID;

    -- The qualifier is an alias, or $LATEST for the function itself.
    CREATE TABLE function_urls (
        function INTEGER NOT NULL REFERENCES functions ON DELETE CASCADE,
        qualifier TEXT NOT NULL,
        record TEXT NOT NULL,
        PRIMARY KEY (function, qualifier)
    ) STRICT, WITHOUT ROWID;
",
];

/// Brings the database to this host's schema; refuses one that is newer.
pub(super) fn migrate(connection: &mut Connection) -> Result<(), StoreError> {
    let known = u32::try_from(MIGRATIONS.len()).unwrap_or(u32::MAX);
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(StoreError::Newer { found, known });
    }
    for (version, sql) in (1..=known).zip(MIGRATIONS).skip_while(|(version, _)| *version <= found) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(sql)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}
