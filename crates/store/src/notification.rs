//! What has to be told to people outside, until it was. Whether one is due is a question of the time that the caller gives.

use keyward_core::{NotificationId, Timestamp};
use sqlx::SqliteConnection;
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::{Db, StoreError};

/// Most notifications that wait or failed; past it the oldest that failed goes.
pub const NOTIFICATIONS_MAX: u32 = 10_000;

/// One thing to tell to one target.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notification {
    /// Which.
    pub id: NotificationId,
    /// Whom: the name of a target in the configuration.
    pub target: String,
    /// What, as JSON.
    pub notice: String,
    /// Since when.
    pub created_at: Timestamp,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; none: never by itself.
    pub next_at: Option<Timestamp>,
    /// Why the last try failed; empty before the first.
    pub error: String,
}

impl Db {
    /// Keeps notifications until they were told.
    pub async fn notification_add(&self, new: &[Notification]) -> Result<(), StoreError> {
        let mut transaction = self.begin().await?;
        self.notification_keep(&mut transaction, new).await?;
        transaction.commit().await.map_err(|e| self.fault(e))
    }

    /// The same, as a part of a greater change.
    pub(crate) async fn notification_keep(
        &self,
        connection: &mut SqliteConnection,
        new: &[Notification],
    ) -> Result<(), StoreError> {
        for one in new {
            sqlx::query(
                "INSERT INTO notification (id, target, notice, created_at, attempts, next_at, error) \
                 VALUES ($1, $2, $3, $4, 0, $5, '')",
            )
            .bind(one.id.to_string())
            .bind(&one.target)
            .bind(&one.notice)
            .bind(one.created_at.micros())
            .bind(one.next_at.map(Timestamp::micros))
            .execute(&mut *connection)
            .await
            .map_err(|e| self.fault(e))?;
        }
        sqlx::query(
            "DELETE FROM notification WHERE id IN (SELECT id FROM notification ORDER BY next_at IS NULL, id DESC \
             LIMIT -1 OFFSET $1)",
        )
        .bind(i64::from(NOTIFICATIONS_MAX))
        .execute(&mut *connection)
        .await
        .map_err(|e| self.fault(e))?;
        Ok(())
    }

    /// Those that are due, oldest first.
    pub async fn notification_due(&self, now: Timestamp, most: u32) -> Result<Vec<Notification>, StoreError> {
        const SQL: &str = "SELECT * FROM notification WHERE next_at <= $1 ORDER BY next_at, id LIMIT $2";
        let rows = sqlx::query(SQL).bind(now.micros()).bind(i64::from(most)).fetch_all(self.reader()).await;
        rows.map_err(|e| self.fault(e))?.iter().map(read).collect()
    }

    /// When the next one is due; none where none waits.
    pub async fn notification_next(&self) -> Result<Option<Timestamp>, StoreError> {
        const SQL: &str = "SELECT min(next_at) FROM notification WHERE next_at IS NOT NULL";
        let next: Option<i64> =
            sqlx::query_scalar(SQL).fetch_one(self.reader()).await.map_err(|e| self.fault(e))?;
        Ok(next.map(Timestamp::from_micros))
    }

    /// Those that failed and are not tried again by themselves, newest first.
    pub async fn notification_dead(&self, most: u32) -> Result<Vec<Notification>, StoreError> {
        const SQL: &str = "SELECT * FROM notification WHERE next_at IS NULL ORDER BY id DESC LIMIT $1";
        let rows = sqlx::query(SQL).bind(i64::from(most)).fetch_all(self.reader()).await;
        rows.map_err(|e| self.fault(e))?.iter().map(read).collect()
    }

    /// Forgets one: it was told, or nobody wants it any more. False when there is none.
    pub async fn notification_remove(&self, id: NotificationId) -> Result<bool, StoreError> {
        let statement = sqlx::query("DELETE FROM notification WHERE id = $1").bind(id.to_string());
        Ok(self.change(statement).await? == 1)
    }

    /// Notes that a try failed, and when the next is; none: it is not tried again by itself. Or, with no error, that it is
    /// tried again from the beginning. False when there is none.
    pub async fn notification_again(
        &self,
        id: NotificationId,
        attempts: u32,
        next_at: Option<Timestamp>,
        error: &str,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE notification SET attempts = $2, next_at = $3, error = $4 WHERE id = $1";
        let statement = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(i64::from(attempts))
            .bind(next_at.map(Timestamp::micros))
            .bind(error);
        Ok(self.change(statement).await? == 1)
    }
}

fn read(row: &SqliteRow) -> Result<Notification, StoreError> {
    let columns = Columns { table: "notification", row };
    Ok(Notification {
        id: columns.parsed("id")?,
        target: columns.text("target")?.to_owned(),
        notice: columns.text("notice")?.to_owned(),
        created_at: columns.moment("created_at")?,
        attempts: u32::try_from(columns.number("attempts")?).map_err(|_| columns.wrong("attempts"))?,
        next_at: columns.moment_or_none("next_at")?,
        error: columns.text("error")?.to_owned(),
    })
}
