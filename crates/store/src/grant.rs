//! Grants: windows in which calls of a kind need no approval of their own. Whether one is open is a question of the time that
//! the caller gives.
//!
//! Promise: a use of a window with a bounded number of uses is one compare-and-set, so that however many calls race, no more
//! than allowed go through.

use std::sync::Arc;

use keyward_core::{ApprovalId, ApprovalRule, GrantId, OperationClass, Principal, PrincipalRef, Timestamp};
use sqlx::sqlite::SqliteRow;

use crate::columns::Columns;
use crate::{Db, StoreError};

/// Most grants that a list gives.
pub const GRANT_LIST_MAX: u32 = 1_000;

/// A window, asked for, open or over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Which.
    pub id: GrantId,
    /// Whose calls it lets through.
    pub principal: Arc<Principal>,
    /// Where to.
    pub connection: Arc<str>,
    /// Of which operation classes; empty for break-glass: all.
    pub classes: Vec<OperationClass>,
    /// Why, in the requester's words.
    pub reason: String,
    /// It was opened without an approval.
    pub break_glass: bool,
    /// The approval that opens it.
    pub approval: Option<ApprovalId>,
    /// Who had to approve it.
    pub asked: Option<ApprovalRule>,
    /// How long it is open, in seconds.
    pub seconds: u64,
    /// How many calls it lets through; none: any number.
    pub uses_max: Option<u32>,
    /// How many it let through, as far as that is written.
    pub uses: u32,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// When it opened.
    pub starts_at: Option<Timestamp>,
    /// When it closes by itself.
    pub expires_at: Option<Timestamp>,
    /// When it ended, or was refused.
    pub ended_at: Option<Timestamp>,
    /// Who ended it; none: time, or nobody approved.
    pub ended_by: Option<PrincipalRef>,
    /// Why it ended.
    pub ended_why: String,
    /// When somebody signed for a break-glass.
    pub reviewed_at: Option<Timestamp>,
    /// Who.
    pub reviewed_by: Option<PrincipalRef>,
    /// What they found.
    pub review: String,
}

impl Grant {
    /// Whether it lets calls through at this time.
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.starts_at.is_some_and(|start| start <= now)
            && self.expires_at.is_some_and(|end| now < end)
            && self.ended_at.is_none()
            && self.uses_max.is_none_or(|most| self.uses < most)
    }

    /// The word for where it stands.
    pub fn state(&self, now: Timestamp) -> &'static str {
        match (self.starts_at, self.ended_at) {
            _ if self.is_open(now) => "open",
            (None, None) => "pending",
            (None, Some(_)) => "refused",
            (Some(_), _) => "over",
        }
    }

    /// Whether somebody still has to sign for it.
    pub const fn wants_review(&self) -> bool {
        self.break_glass && self.reviewed_at.is_none()
    }
}

impl Db {
    /// Keeps a new grant.
    pub async fn grant_add(&self, grant: &Grant) -> Result<(), StoreError> {
        let statement = sqlx::query(
            "INSERT INTO access_grant (id, principal, connection, classes, reason, break_glass, approval, asked, seconds, \
             uses_max, uses, created_at, starts_at, expires_at, ended_why, review) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '', '')",
        )
        .bind(grant.id.to_string())
        .bind(serde_json::json!(*grant.principal).to_string())
        .bind(&*grant.connection)
        .bind(serde_json::json!(grant.classes).to_string())
        .bind(&grant.reason)
        .bind(i64::from(grant.break_glass))
        .bind(grant.approval.map(|id| id.to_string()))
        .bind(grant.asked.as_ref().map(|rule| serde_json::json!(rule).to_string()))
        .bind(i64::try_from(grant.seconds).unwrap_or(i64::MAX))
        .bind(grant.uses_max.map(i64::from))
        .bind(i64::from(grant.uses))
        .bind(grant.created_at.micros())
        .bind(grant.starts_at.map(Timestamp::micros))
        .bind(grant.expires_at.map(Timestamp::micros));
        self.change(statement).await.map(drop)
    }

    /// Opens a grant that waits. False when it does not wait any more.
    pub async fn grant_open(&self, grant: &Grant) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE access_grant SET seconds = $2, uses_max = $3, starts_at = $4, expires_at = $5 \
            WHERE id = $1 AND starts_at IS NULL AND ended_at IS NULL";
        let statement = sqlx::query(SQL)
            .bind(grant.id.to_string())
            .bind(i64::try_from(grant.seconds).unwrap_or(i64::MAX))
            .bind(grant.uses_max.map(i64::from))
            .bind(grant.starts_at.map(Timestamp::micros))
            .bind(grant.expires_at.map(Timestamp::micros));
        Ok(self.change(statement).await? == 1)
    }

    /// Ends a grant that waits or is open. False when it was over already.
    pub async fn grant_end(
        &self,
        id: GrantId,
        by: Option<&PrincipalRef>,
        why: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE access_grant SET ended_at = $2, ended_by = $3, ended_why = $4 \
            WHERE id = $1 AND ended_at IS NULL";
        let statement = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(now.micros())
            .bind(by.map(|by| serde_json::json!(by).to_string()))
            .bind(why);
        Ok(self.change(statement).await? == 1)
    }

    /// Counts one use of an open grant: how many there are with it. None when there are no more.
    pub async fn grant_use(&self, id: GrantId, now: Timestamp) -> Result<Option<u32>, StoreError> {
        const SQL: &str = "UPDATE access_grant SET uses = uses + 1 WHERE id = $1 AND ended_at IS NULL \
            AND starts_at <= $2 AND expires_at > $2 AND (uses_max IS NULL OR uses < uses_max) RETURNING uses";
        let mut transaction = self.begin().await?;
        let uses: Option<i64> = sqlx::query_scalar(SQL)
            .bind(id.to_string())
            .bind(now.micros())
            .fetch_optional(&mut *transaction)
            .await
            .map_err(|e| self.fault(e))?;
        transaction.commit().await.map_err(|e| self.fault(e))?;
        Ok(uses.and_then(|uses| u32::try_from(uses).ok()))
    }

    /// Signs for a break-glass. False when somebody did before.
    pub async fn grant_review(
        &self,
        id: GrantId,
        by: &PrincipalRef,
        words: &str,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        const SQL: &str = "UPDATE access_grant SET reviewed_at = $2, reviewed_by = $3, review = $4 \
            WHERE id = $1 AND break_glass = 1 AND reviewed_at IS NULL";
        let statement = sqlx::query(SQL)
            .bind(id.to_string())
            .bind(now.micros())
            .bind(serde_json::json!(by).to_string())
            .bind(words);
        Ok(self.change(statement).await? == 1)
    }

    /// The newest grants, at most [`GRANT_LIST_MAX`], and every one that waits, is open or wants a review.
    pub async fn grant_list(&self) -> Result<Vec<Grant>, StoreError> {
        const SQL: &str = "SELECT * FROM access_grant WHERE ended_at IS NULL \
            OR (break_glass = 1 AND reviewed_at IS NULL) \
            OR id IN (SELECT id FROM access_grant ORDER BY id DESC LIMIT $1) ORDER BY id DESC";
        sqlx::query(SQL)
            .bind(i64::from(GRANT_LIST_MAX))
            .fetch_all(self.reader())
            .await
            .map_err(|e| self.fault(e))?
            .iter()
            .map(read)
            .collect()
    }

    /// One grant.
    pub async fn grant_get(&self, id: GrantId) -> Result<Option<Grant>, StoreError> {
        let row = sqlx::query("SELECT * FROM access_grant WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(self.reader())
            .await
            .map_err(|e| self.fault(e))?;
        row.as_ref().map(read).transpose()
    }
}

fn read(row: &SqliteRow) -> Result<Grant, StoreError> {
    let columns = Columns { table: "access_grant", row };
    let count = |column| u32::try_from(columns.number(column)?).map_err(|_| columns.wrong(column));
    Ok(Grant {
        id: columns.parsed("id")?,
        principal: Arc::new(columns.json("principal")?),
        connection: columns.text("connection")?.into(),
        classes: columns.json("classes")?,
        reason: columns.text("reason")?.to_owned(),
        break_glass: columns.number("break_glass")? == 1,
        approval: columns
            .text_or_none("approval")?
            .map(|id| id.parse().map_err(|_| columns.wrong("approval")))
            .transpose()?,
        asked: columns.json_or_none("asked")?,
        seconds: u64::try_from(columns.number("seconds")?).map_err(|_| columns.wrong("seconds"))?,
        uses_max: columns.number_or_none("uses_max")?.map(|_| count("uses_max")).transpose()?,
        uses: count("uses")?,
        created_at: columns.moment("created_at")?,
        starts_at: columns.moment_or_none("starts_at")?,
        expires_at: columns.moment_or_none("expires_at")?,
        ended_at: columns.moment_or_none("ended_at")?,
        ended_by: columns.json_or_none("ended_by")?,
        ended_why: columns.text("ended_why")?.to_owned(),
        reviewed_at: columns.moment_or_none("reviewed_at")?,
        reviewed_by: columns.json_or_none("reviewed_by")?,
        review: columns.text("review")?.to_owned(),
    })
}
