//! Every way an approval changes. See the module above for what is promised.

use std::time::Duration;

use keyward_core::{ApprovalId, Approvers, Principal, Timestamp};
use sqlx::SqliteConnection;

use super::outcome::{CancelError, Change, Consumption, CreateError, Created, VoteError};
use super::row::approval;
use super::{
    APPROVERS_MAX, Approval, ApprovalEvent, ApprovalState, Binding, MIN_APPROVALS_MAX, NewApproval, NewVote,
    OPERATION_BYTES_MAX, REASON_BYTES_MAX, SUMMARY_BYTES_MAX, TTL_MAX, Vote, VoteDecision, may_decide,
};
use crate::{Db, StoreError};

/// Ends what waits in one state and whose time ran out.
pub(super) const EXPIRE: &str = "UPDATE approval SET state = 'expired', revision = revision + 1, ended_at = $1 \
    WHERE state = $2 AND state IN ('pending', 'approved') AND expires_at <= $1 RETURNING id";

impl Db {
    /// The live approval for this exact request: the one there is, or a new one. However many ask at once, one is made.
    ///
    /// One whose time ran out, or that was asked for under another policy or credential, ends here and is replaced.
    pub async fn approval_create_or_attach(
        &self,
        new: &NewApproval,
        now: Timestamp,
    ) -> Result<Created, CreateError> {
        let texts = Texts::of(new)?;
        let mut transaction = self.begin().await?;
        let mut events = Vec::new();
        if let Some(mut live) = self.live_for(&mut transaction, &new.binding).await? {
            if live.expires_at > now && live.binding == new.binding {
                return Ok(Created { approval: live, created: false, events });
            }
            let (to, reason) = if live.expires_at <= now {
                (ApprovalState::Expired, "")
            } else {
                (ApprovalState::Stale, "policy or credential changed")
            };
            events.push(self.step(&mut transaction, &mut live, Step::by_itself(to, reason), now).await?);
        }
        if self.held_by_requester(&mut transaction, new, now).await? >= i64::from(new.live_max) {
            return Err(CreateError::TooManyLive { limit: new.live_max });
        }
        let made = self.insert(&mut transaction, new, &texts, now).await?;
        events.push(ApprovalEvent {
            approval: made.id,
            at: now,
            from: None,
            to: ApprovalState::Pending,
            by: Some(new.principal.reference()),
            reason: new.reason.clone(),
        });
        self.commit(transaction).await?;
        Ok(Created { approval: made, created: true, events })
    }

    /// Counts one person's decision. A denial ends it at once, also by somebody who approved before; an approval that
    /// completes the number that the rule asks for makes it approved.
    pub async fn approval_vote(
        &self,
        id: ApprovalId,
        by: &Principal,
        new: &NewVote,
        now: Timestamp,
    ) -> Result<Change, VoteError> {
        let NewVote { decision, reason, narrower } = new;
        let decision = *decision;
        if reason.len() > REASON_BYTES_MAX {
            return Err(VoteError::ReasonTooLong);
        }
        let mut transaction = self.begin().await?;
        let mut standing = self.load(&mut transaction, id).await?.ok_or(VoteError::NotFound)?;
        // Who may not decide learns that first, and nothing by trying at another time.
        let people = self.people();
        may_decide(&standing, by, &people, now).map_err(VoteError::Refused)?;
        match effective(&standing, now) {
            ApprovalState::Pending => {}
            over => return Err(VoteError::NotPending(over)),
        }
        let person = by.reference();
        let before = standing.votes.iter().any(|vote| people.same(&vote.by, &person));
        if before && decision == VoteDecision::Approve {
            return Err(VoteError::AlreadyVoted);
        }
        standing.votes.retain(|vote| !people.same(&vote.by, &person));
        standing.votes.push(Vote {
            by: person.clone(),
            name: by.name.as_deref().map(str::to_owned),
            decision,
            reason: reason.clone(),
            narrower: *narrower,
            at: now,
        });
        let enough = standing.approvals() >= usize::try_from(standing.approval.min).unwrap_or(usize::MAX);
        let to = match decision {
            VoteDecision::Deny => ApprovalState::Denied,
            VoteDecision::Approve if enough => ApprovalState::Approved,
            VoteDecision::Approve => ApprovalState::Pending,
        };
        let step = Step { to, by: Some(person), reason: reason.clone() };
        let event = self.step(&mut transaction, &mut standing, step, now).await?;
        self.commit(transaction).await?;
        Ok(Change { approval: standing, events: vec![event] })
    }

    /// Withdraws a live approval, by who asked for it or on whose behalf it was asked.
    pub async fn approval_cancel(
        &self,
        id: ApprovalId,
        by: &Principal,
        reason: &str,
        now: Timestamp,
    ) -> Result<Change, CancelError> {
        if reason.len() > REASON_BYTES_MAX {
            return Err(CancelError::ReasonTooLong);
        }
        let mut transaction = self.begin().await?;
        let mut standing = self.load(&mut transaction, id).await?.ok_or(CancelError::NotFound)?;
        let person = by.reference();
        if person != standing.principal.reference() && !standing.principal.acting_for.contains(&person) {
            return Err(CancelError::NotTheRequester);
        }
        let state = effective(&standing, now);
        if !state.is_live() {
            return Err(CancelError::NotLive(state));
        }
        let step = Step { to: ApprovalState::Cancelled, by: Some(person), reason: reason.to_owned() };
        let event = self.step(&mut transaction, &mut standing, step, now).await?;
        self.commit(transaction).await?;
        Ok(Change { approval: standing, events: vec![event] })
    }

    /// Ends a live approval because what it was bound to changed. None when it was not live.
    pub async fn approval_mark_stale(
        &self,
        id: ApprovalId,
        reason: &str,
        now: Timestamp,
    ) -> Result<Option<Change>, StoreError> {
        let mut transaction = self.begin().await?;
        let Some(mut standing) = self.load(&mut transaction, id).await? else { return Ok(None) };
        if !effective(&standing, now).is_live() {
            return Ok(None);
        }
        let step = Step::by_itself(ApprovalState::Stale, reason);
        let event = self.step(&mut transaction, &mut standing, step, now).await?;
        self.commit(transaction).await?;
        Ok(Some(Change { approval: standing, events: vec![event] }))
    }

    /// Uses an approval: the last step before the request is forwarded, after its intent was journaled (so that no
    /// approval is burned for an act that could not be recorded). `binding` is what holds *now*.
    pub async fn approval_consume(
        &self,
        id: ApprovalId,
        binding: &Binding,
        now: Timestamp,
    ) -> Result<Consumption, StoreError> {
        let mut transaction = self.begin().await?;
        let Some(mut standing) = self.load(&mut transaction, id).await? else {
            return Ok(Consumption::NotApproved(None));
        };
        if standing.binding.digest != binding.digest {
            return Ok(Consumption::OtherRequest);
        }
        let state = effective(&standing, now);
        let fresh = standing.binding == *binding;
        if state != ApprovalState::Approved {
            return Ok(Consumption::NotApproved(Some(state)));
        }
        let step = if fresh {
            Step::by_itself(ApprovalState::Consumed, "")
        } else {
            Step::by_itself(ApprovalState::Stale, "policy or credential changed")
        };
        let event = self.step(&mut transaction, &mut standing, step, now).await?;
        self.commit(transaction).await?;
        let change = Box::new(Change { approval: standing, events: vec![event] });
        Ok(if fresh { Consumption::Won(change) } else { Consumption::Void(change) })
    }

    /// Ends every live approval whose time ran out. To be called every second or so; what it has not reached yet
    /// can be neither decided nor used.
    pub async fn approval_expire(&self, now: Timestamp) -> Result<Vec<ApprovalEvent>, StoreError> {
        let mut transaction = self.begin().await?;
        let mut events = Vec::new();
        for from in [ApprovalState::Pending, ApprovalState::Approved] {
            let ids: Vec<String> = sqlx::query_scalar(EXPIRE)
                .bind(now.micros())
                .bind(from.as_str())
                .fetch_all(&mut *transaction)
                .await
                .map_err(|e| self.fault(e))?;
            for id in ids {
                events.push(ApprovalEvent {
                    approval: id.parse().map_err(|_| super::row::wrong("id"))?,
                    at: now,
                    from: Some(from),
                    to: ApprovalState::Expired,
                    by: None,
                    reason: String::new(),
                });
            }
        }
        self.commit(transaction).await?;
        Ok(events)
    }

    /// Writes `step` over exactly the revision and state that `standing` was read with, and `standing`'s votes.
    async fn step(
        &self,
        connection: &mut SqliteConnection,
        standing: &mut Approval,
        step: Step,
        now: Timestamp,
    ) -> Result<ApprovalEvent, StoreError> {
        const SQL: &str = "UPDATE approval \
            SET state = $1, revision = revision + 1, votes = $2, expires_at = $3, ended_at = $4 \
            WHERE id = $5 AND revision = $6 AND state = $7";
        let from = standing.state;
        if step.to == ApprovalState::Approved {
            let narrower = standing.narrowest().seconds.map_or(Duration::MAX, Duration::from_secs);
            standing.expires_at = now.plus(standing.approval.ttl.min(narrower));
        }
        standing.ended_at = (!step.to.is_live()).then_some(now);
        let votes = serde_json::to_string(&standing.votes).map_err(|_| super::row::wrong("votes"))?;
        let changed = sqlx::query(SQL)
            .bind(step.to.as_str())
            .bind(votes)
            .bind(standing.expires_at.micros())
            .bind(standing.ended_at.map(Timestamp::micros))
            .bind(standing.id.to_string())
            .bind(standing.revision)
            .bind(from.as_str())
            .execute(connection)
            .await
            .map_err(|e| self.fault(e))?
            .rows_affected();
        if changed != 1 {
            // Under the write lock nobody else can have changed it; an engine without that lock ends up here.
            return Err(StoreError::Busy { path: self.path().into() });
        }
        standing.state = step.to;
        standing.revision = standing.revision.saturating_add(1);
        let Step { to, by, reason } = step;
        Ok(ApprovalEvent { approval: standing.id, at: now, from: Some(from), to, by, reason })
    }

    async fn load(
        &self,
        connection: &mut SqliteConnection,
        id: ApprovalId,
    ) -> Result<Option<Approval>, StoreError> {
        let row = sqlx::query("SELECT * FROM approval WHERE id = $1")
            .bind(id.to_string())
            .fetch_optional(connection)
            .await
            .map_err(|e| self.fault(e))?;
        row.as_ref().map(approval).transpose()
    }

    async fn live_for(
        &self,
        connection: &mut SqliteConnection,
        binding: &Binding,
    ) -> Result<Option<Approval>, StoreError> {
        const SQL: &str = "SELECT * FROM approval WHERE digest = $1 AND state IN ('pending', 'approved')";
        let row = sqlx::query(SQL)
            .bind(binding.digest.to_string())
            .fetch_optional(connection)
            .await
            .map_err(|e| self.fault(e))?;
        row.as_ref().map(approval).transpose()
    }

    /// How many live approvals `new`'s requester has, counted up to their limit.
    async fn held_by_requester(
        &self,
        connection: &mut SqliteConnection,
        new: &NewApproval,
        now: Timestamp,
    ) -> Result<i64, StoreError> {
        const SQL: &str = "SELECT count(*) FROM (SELECT expires_at FROM approval \
            WHERE requester_issuer = $1 AND requester_subject = $2 AND state IN ('pending', 'approved') \
            AND expires_at > $3 LIMIT $4) AS held";
        sqlx::query_scalar(SQL)
            .bind(&*new.principal.issuer)
            .bind(&*new.principal.subject)
            .bind(now.micros())
            .bind(i64::from(new.live_max))
            .fetch_one(connection)
            .await
            .map_err(|e| self.fault(e))
    }

    async fn insert(
        &self,
        connection: &mut SqliteConnection,
        new: &NewApproval,
        texts: &Texts,
        now: Timestamp,
    ) -> Result<Approval, StoreError> {
        const SQL: &str = "INSERT INTO approval (id, revision, state, digest, policy_version, credential_version, \
            requester_issuer, requester_subject, principal, connection, operation, rule, reason, asked, \
            summary, risk, votes, created_at, expires_at, ended_at, escalates_at) \
            VALUES ($1, 0, 'pending', $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, '[]', $15, $16, NULL, $17) \
            RETURNING *";
        let row = sqlx::query(SQL)
            .bind(new.id.to_string())
            .bind(new.binding.digest.to_string())
            .bind(&new.binding.policy_version)
            .bind(&new.binding.credential_version)
            .bind(&*new.principal.issuer)
            .bind(&*new.principal.subject)
            .bind(&texts.principal)
            .bind(&new.connection)
            .bind(&texts.operation)
            .bind(&new.rule)
            .bind(&new.reason)
            .bind(&texts.asked)
            .bind(&texts.summary)
            .bind(&texts.risk)
            .bind(now.micros())
            .bind(now.plus(new.approval.ttl).micros())
            .bind(new.approval.next_escalation(Duration::ZERO).map(|after| now.plus(after).micros()))
            .fetch_one(connection)
            .await
            .map_err(|e| self.fault(e))?;
        approval(&row)
    }

    async fn commit(&self, transaction: sqlx::SqliteTransaction<'static>) -> Result<(), StoreError> {
        transaction.commit().await.map_err(|e| self.fault(e))
    }
}

/// One change of state.
struct Step {
    to: ApprovalState,
    by: Option<keyward_core::principal::PrincipalRef>,
    reason: String,
}

impl Step {
    fn by_itself(to: ApprovalState, reason: &str) -> Self {
        Self { to, by: None, reason: reason.to_owned() }
    }
}

/// The state that counts at `now`: a live approval whose time ran out is expired, written so or not.
fn effective(standing: &Approval, now: Timestamp) -> ApprovalState {
    if standing.state.is_live() && standing.expires_at <= now {
        ApprovalState::Expired
    } else {
        standing.state
    }
}

/// The JSON columns of a new approval, within their limits.
struct Texts {
    principal: String,
    operation: String,
    asked: String,
    summary: String,
    risk: String,
}

impl Texts {
    fn of(new: &NewApproval) -> Result<Self, CreateError> {
        let rule = &new.approval;
        let refuse = |why| Err(CreateError::Invalid(why));
        let added = |list: &Approvers| list.escalate.as_ref().map_or(0, |escalate| escalate.to.len());
        if rule.lists().any(|list| list.names.is_empty()) {
            return refuse("the rule names no approver");
        }
        if rule.lists().map(|list| list.names.len() + added(list)).sum::<usize>() > APPROVERS_MAX {
            return refuse("the rule names too many approvers");
        }
        if rule.min == 0 || rule.min > MIN_APPROVALS_MAX {
            return refuse("the rule asks for no approval at all, or for too many");
        }
        if rule.ttl.is_zero() || rule.ttl > TTL_MAX {
            return refuse("the rule's time to live is zero, or longer than 31 days");
        }
        let unserializable = |_| CreateError::Invalid("a part of it cannot be written as JSON");
        let texts = Self {
            principal: serde_json::to_string(&new.principal).map_err(unserializable)?,
            operation: serde_json::to_string(&new.operation).map_err(unserializable)?,
            asked: serde_json::to_string(rule).map_err(unserializable)?,
            summary: serde_json::to_string(&new.summary).map_err(unserializable)?,
            risk: serde_json::to_string(&new.risk).map_err(unserializable)?,
        };
        if texts.summary.len() > SUMMARY_BYTES_MAX {
            return refuse("the summary is too long");
        }
        if texts.operation.len() > OPERATION_BYTES_MAX {
            return refuse("the operation is too long");
        }
        Ok(texts)
    }
}
