//! Escalation: who may decide as well once an approval waited long enough, and telling them so once.
//!
//! Promise: who may decide is a question of what is stored and of the time that the caller gives ([`may_decide`]); nothing has to
//! happen for it. That an escalation came is noted, and what is to be told of it is kept, in one transaction: once, however
//! often the process is killed, and also where nobody was there when it came.
//!
//! [`may_decide`]: super::may_decide

use keyward_core::Timestamp;

use super::row::approval;
use super::{Approval, ApprovalEvent, ApprovalState};
use crate::{Db, Notification, StoreError};

/// An escalation of an approval, at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Escalated {
    /// To which of [`ApprovalRule::lists`](keyward_core::ApprovalRule::lists) it adds, from 0.
    pub list: usize,
    /// Who may decide as well.
    pub to: Vec<String>,
    /// From when on.
    pub at: Timestamp,
    /// Whether it came.
    pub came: bool,
}

impl Approval {
    /// Its escalations, the first first: those that came while it waited, and, while it still does, those that will come.
    pub fn escalations(&self, now: Timestamp) -> Vec<Escalated> {
        let waits = self.state == ApprovalState::Pending && now < self.expires_at;
        let until = match self.state {
            ApprovalState::Pending => now,
            ApprovalState::Approved | ApprovalState::Denied | ApprovalState::Consumed => {
                self.votes.last().map_or(now, |vote| vote.at)
            }
            ApprovalState::Expired | ApprovalState::Cancelled | ApprovalState::Stale => {
                self.ended_at.unwrap_or(now)
            }
        };
        let of = |(list, escalate): (usize, &keyward_core::Escalation)| {
            let at = self.created_at.plus(escalate.after);
            Escalated { list, to: escalate.to.clone(), at, came: at <= until }
        };
        let mut all: Vec<Escalated> =
            self.approval.escalations().map(of).filter(|it| it.came || waits).collect();
        all.sort_by_key(|it| (it.at, it.list));
        all
    }
}

/// What waits and whose escalation came.
pub(super) const ESCALATIONS_DUE: &str = "SELECT * FROM approval WHERE state = 'pending' AND escalates_at <= $1 \
    AND expires_at > $1 ORDER BY escalates_at, id LIMIT $2";

impl Db {
    /// Approvals that wait and whose escalation came and was not noted yet, the oldest first.
    pub async fn approval_escalations_due(
        &self,
        now: Timestamp,
        most: u32,
    ) -> Result<Vec<Approval>, StoreError> {
        let rows = sqlx::query(ESCALATIONS_DUE)
            .bind(now.micros())
            .bind(i64::from(most))
            .fetch_all(self.reader())
            .await;
        rows.map_err(|e| self.fault(e))?.iter().map(approval).collect()
    }

    /// Notes that an escalation of this approval came, and keeps what is to be told of it. None when the approval is not any
    /// more what was read.
    pub async fn approval_escalate(
        &self,
        standing: &Approval,
        told: &[Notification],
        now: Timestamp,
    ) -> Result<Option<ApprovalEvent>, StoreError> {
        const SQL: &str = "UPDATE approval SET revision = revision + 1, escalates_at = $1 \
            WHERE id = $2 AND revision = $3 AND state = 'pending' AND escalates_at <= $4 AND expires_at > $4";
        let waited = now.since(standing.created_at);
        let next = standing.approval.next_escalation(waited).map(|after| standing.created_at.plus(after));
        let mut transaction = self.begin().await?;
        let changed = sqlx::query(SQL)
            .bind(next.map(Timestamp::micros))
            .bind(standing.id.to_string())
            .bind(standing.revision)
            .bind(now.micros())
            .execute(&mut *transaction)
            .await
            .map_err(|e| self.fault(e))?
            .rows_affected();
        if changed != 1 {
            return Ok(None);
        }
        self.notification_keep(&mut transaction, told).await?;
        transaction.commit().await.map_err(|e| self.fault(e))?;
        let came = standing.escalations(now).into_iter().filter(|it| it.came);
        let to: Vec<String> = came.flat_map(|it| it.to).collect();
        Ok(Some(ApprovalEvent {
            approval: standing.id,
            at: now,
            from: Some(ApprovalState::Pending),
            to: ApprovalState::Pending,
            by: None,
            reason: format!("escalated to {}", to.join(", ")),
        }))
    }
}
