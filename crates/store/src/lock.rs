//! Locks: who or what is kept out, and by whom. Whether one is in force is a question of the time that the caller gives.

use keyward_core::{LockId, LockTarget, PrincipalRef, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::{Db, StoreError};

/// A lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lock {
    /// Which.
    pub id: LockId,
    /// Whom it keeps out.
    pub target: LockTarget,
    /// Why, for the one who is kept out and for the record.
    pub reason: String,
    /// Who made it.
    pub created_by: PrincipalRef,
    /// When.
    pub created_at: Timestamp,
    /// Until when; none: until it is lifted.
    pub expires_at: Option<Timestamp>,
}

impl Lock {
    /// Whether it holds at this time.
    pub fn holds(&self, now: Timestamp) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

impl Db {
    /// Keeps a new lock.
    pub async fn lock_add(&self, lock: &Lock) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO lock (id, target, reason, created_by, created_at, expires_at) VALUES ($1, $2, $3, $4, $5, $6)",
        )
        .bind(lock.id.to_string())
        .bind(lock.target.to_string())
        .bind(&lock.reason)
        .bind(person(&lock.created_by))
        .bind(lock.created_at.micros())
        .bind(lock.expires_at.map(Timestamp::micros));
        self.change(statement).await.map(drop)
    }

    /// Lifts a lock. False when there is none of this name that was not lifted.
    pub async fn lock_lift(&self, id: LockId, by: &PrincipalRef, now: Timestamp) -> Result<bool, StoreError> {
        let statement =
            sqlx::query("UPDATE lock SET lifted_by = $2, lifted_at = $3 WHERE id = $1 AND lifted_at IS NULL")
                .bind(id.to_string())
                .bind(person(by))
                .bind(now.micros());
        Ok(self.change(statement).await? == 1)
    }

    /// All locks that were not lifted, oldest first; some may be over by their own time.
    pub async fn lock_list(&self) -> Result<Vec<Lock>, StoreError> {
        sqlx::query("SELECT * FROM lock WHERE lifted_at IS NULL ORDER BY id")
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))?
            .iter()
            .map(read)
            .collect()
    }
}

fn person(who: &PrincipalRef) -> String {
    serde_json::json!(who).to_string()
}

fn read(row: &SqliteRow) -> Result<Lock, StoreError> {
    let columns = Columns { table: "lock", row };
    Ok(Lock {
        id: columns.parsed("id")?,
        target: columns.parsed("target")?,
        reason: columns.text("reason")?.to_owned(),
        created_by: columns.json("created_by")?,
        created_at: columns.moment("created_at")?,
        expires_at: columns.moment_or_none("expires_at")?,
    })
}
