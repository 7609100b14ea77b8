//! Rows of the embedded secret store: sealed bytes by name and version. What is in them, this crate cannot know.

use keyward_core::Timestamp;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;

use crate::{Db, StoreError};

/// Versions kept per name: the current one and the one before it.
pub const VERSIONS_KEPT: i64 = 2;

/// One version of a secret as it lies in the database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedSecret {
    /// 1 for the first value; grows by one with every value and is never given twice.
    pub version: i64,
    /// The sealed value.
    pub sealed: Vec<u8>,
    /// When it was put.
    pub created_at: Timestamp,
}

/// What may be listed of a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretVersionMeta {
    /// The secret's name.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// When it was put.
    pub created_at: Timestamp,
}

impl Db {
    /// Keeps `sealed` as `version` of `name` and drops versions older than the one before it, in one transaction.
    /// False, and nothing is changed, unless `version` is one more than the newest there is (1 for a new name):
    /// somebody else was quicker.
    pub async fn secret_put(
        &self,
        name: &str,
        version: i64,
        sealed: &[u8],
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let fault = |e| self.fault(e);
        let mut transaction = self.begin().await?;
        let newest: i64 = sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM secret WHERE name = $1")
            .bind(name)
            .fetch_one(&mut *transaction)
            .await
            .map_err(fault)?;
        if newest.checked_add(1) != Some(version) {
            return Ok(false);
        }
        sqlx::query("INSERT INTO secret (name, version, sealed, created_at) VALUES ($1, $2, $3, $4)")
            .bind(name)
            .bind(version)
            .bind(sealed)
            .bind(now.micros())
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        sqlx::query("DELETE FROM secret WHERE name = $1 AND version <= $2")
            .bind(name)
            .bind(version.saturating_sub(VERSIONS_KEPT))
            .execute(&mut *transaction)
            .await
            .map_err(fault)?;
        transaction.commit().await.map_err(fault)?;
        Ok(true)
    }

    /// The versions of `name` that are kept, newest first; empty when there is no such secret.
    pub async fn secret_get(&self, name: &str) -> Result<Vec<SealedSecret>, StoreError> {
        sqlx::query("SELECT version, sealed, created_at FROM secret WHERE name = $1 ORDER BY version DESC")
            .bind(name)
            .try_map(|row: SqliteRow| {
                Ok(SealedSecret {
                    version: row.try_get("version")?,
                    sealed: row.try_get("sealed")?,
                    created_at: Timestamp::from_micros(row.try_get("created_at")?),
                })
            })
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))
    }

    /// All names and versions, by name, newest version first.
    pub async fn secret_list(&self) -> Result<Vec<SecretVersionMeta>, StoreError> {
        sqlx::query("SELECT name, version, created_at FROM secret ORDER BY name, version DESC")
            .try_map(|row: SqliteRow| {
                Ok(SecretVersionMeta {
                    name: row.try_get("name")?,
                    version: row.try_get("version")?,
                    created_at: Timestamp::from_micros(row.try_get("created_at")?),
                })
            })
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))
    }
}
