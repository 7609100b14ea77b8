//! Small facts about the database itself.

use crate::{Db, StoreError};

impl Db {
    /// Keeps `value` under `name` unless there is one already; returns the one that stands.
    pub async fn meta_keep(&self, name: &str, value: &[u8]) -> Result<Vec<u8>, StoreError> {
        let mut transaction = self.begin().await?;
        sqlx::query("INSERT INTO meta (name, value) VALUES ($1, $2) ON CONFLICT (name) DO NOTHING")
            .bind(name)
            .bind(value)
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.fault(e))?;
        let standing = sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(|e| self.fault(e))?;
        transaction.commit().await.map_err(|e| self.fault(e))?;
        Ok(standing)
    }

    /// What is kept under `name`.
    pub async fn meta_get(&self, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        sqlx::query_scalar("SELECT value FROM meta WHERE name = $1")
            .bind(name)
            .fetch_optional(self.reader())
            .await
            .map_err(|e| self.fault(e))
    }
}
