//! What accounts have besides functions and layers, on disk.

use rusqlite::params;

use super::{Store, StoreError};
use crate::catalog::resource::{Place, Resource};

impl Store {
    /// Every stored value of a kind.
    pub fn resources<R: Resource>(&self) -> Result<Vec<(Place, R)>, StoreError> {
        let sql = format!("SELECT account, region, id, record FROM {}", R::TABLE);
        let mut query = self.connection.prepare(&sql)?;
        let mut rows = query.query([])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let [id, text]: [String; 2] = [row.get(2)?, row.get(3)?];
            let record = serde_json::from_str(&text)
                .map_err(|error| StoreError::Record { of: id, problem: error.into() })?;
            found.push((Place { account: row.get(0)?, region: row.get(1)? }, record));
        }
        Ok(found)
    }

    /// Puts a value in the place of the one with its id.
    pub fn put_resource<R: Resource>(&mut self, place: &Place, resource: &R) -> Result<(), StoreError> {
        let text = serde_json::to_string(resource).map_err(|error| StoreError::Unwritable(error.into()))?;
        let sql =
            format!("INSERT OR REPLACE INTO {} (account, region, id, record) VALUES (?, ?, ?, ?)", R::TABLE);
        self.connection.execute(&sql, params![place.account, place.region, resource.id(), text])?;
        Ok(())
    }

    /// Removes a value.
    pub fn delete_resource<R: Resource>(&mut self, place: &Place, id: &str) -> Result<(), StoreError> {
        let sql = format!("DELETE FROM {} WHERE account = ? AND region = ? AND id = ?", R::TABLE);
        self.connection.execute(&sql, params![place.account, place.region, id])?;
        Ok(())
    }
}
