//! Approvals: a decision by people for one exact request.
//!
//! Promise: `pending -> approved | denied | expired | cancelled | stale`, and `approved -> consumed | expired |
//! cancelled | stale`; nothing else, ever. One live (pending or approved) approval per request digest. Nobody decides
//! over what they, or anyone they act for or who acts for them, asked for. Distinct people are counted. A denial ends
//! it at once. One consumer wins, and only for the very request, policy and credential that were approved. All of it
//! holds against any number of concurrent callers and processes: each change is one transaction that holds the
//! write lock, and each update compares the state that it replaces.
//! Exceptions: what is not decided in time is expired — *fails closed*. A row that cannot be understood is an error
//! and releases nothing — *fails closed*. Wall-clock steps are the caller's to smooth: `now` is believed.
//!
//! Each change comes back with its [`ApprovalEvent`]s for the caller to journal. A future that is dropped halfway may
//! have committed without anybody learning it; run changes in a task of their own where the caller may go away.

mod change;
mod decide;
mod escalate;
mod outcome;
mod row;
mod state;

use std::time::Duration;

use keyward_core::principal::PrincipalRef;
use keyward_core::{ApprovalId, ApprovalRule, Operation, Principal, RequestDigest, Risk, Timestamp};

pub use decide::{WhyNot, may_decide};
pub use escalate::Escalated;
pub use outcome::{CancelError, Change, Consumption, CreateError, Created, VoteError};
pub use row::{ApprovalFilter, LIST_MAX, StateFilter};
pub use state::{ApprovalState, UnknownState, VoteDecision};

/// Longest reason of a vote or cancellation, in bytes.
pub const REASON_BYTES_MAX: usize = 4 * 1024;
/// Longest summary, counted in bytes of its JSON.
pub const SUMMARY_BYTES_MAX: usize = 256 * 1024;
/// Longest operation, counted in bytes of its JSON.
pub const OPERATION_BYTES_MAX: usize = 64 * 1024;
/// Most approvers that the rules behind one approval may name together.
pub const APPROVERS_MAX: usize = 64;
/// Most people that one rule may ask for.
pub const MIN_APPROVALS_MAX: u32 = 16;
/// Longest time to live of an approval.
pub const TTL_MAX: Duration = Duration::from_hours(24 * 31);

/// What an approval is bound to. When any part of it is different at release, the approval is void.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Binding {
    /// The exact request.
    pub digest: RequestDigest,
    /// Version of the policy that asked for the approval.
    pub policy_version: String,
    /// Version of the credential that will be used; empty where the connection has none.
    pub credential_version: String,
}

/// What the approver is shown of the request. Masked by the caller: this crate keeps it as it is.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct RequestSummary {
    /// Headers that matter, names in lower case, values masked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<(String, String)>,
    /// The masked body as text, from its beginning.
    pub body: String,
    /// Length of the real body in bytes.
    pub body_bytes: u64,
    /// Whether `body` shows all of it.
    pub complete: bool,
}

/// An approval to ask for.
#[derive(Debug, Clone)]
pub struct NewApproval {
    /// Made by the caller from a UUID version 7, so that identifiers sort by time.
    pub id: ApprovalId,
    /// What it is bound to.
    pub binding: Binding,
    /// Who asks.
    pub principal: Principal,
    /// The connection's name.
    pub connection: String,
    /// What would happen; its query masked by the caller.
    pub operation: Operation,
    /// The rule that asks for the approval.
    pub rule: String,
    /// The rule's sentence for people.
    pub reason: String,
    /// Who may approve, how many, for how long.
    pub approval: ApprovalRule,
    /// What the approver is shown.
    pub summary: RequestSummary,
    /// How risky the call is.
    pub risk: Risk,
    /// Most live approvals that this principal may have, this one counted.
    pub live_max: u32,
}

/// Narrower bounds than were asked for: what an approver adds to a yes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub struct Narrower {
    /// For how many seconds: an approved call may run, or a window is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<u64>,
    /// How many calls a window lets through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uses: Option<u32>,
}

impl Narrower {
    /// Whether nothing is narrower.
    pub const fn is_empty(&self) -> bool {
        self.seconds.is_none() && self.uses.is_none()
    }
}

/// A decision that a person makes.
#[derive(Debug, Clone)]
pub struct NewVote {
    /// Approve or deny.
    pub decision: VoteDecision,
    /// Their words; may be empty.
    pub reason: String,
    /// The bounds that they add to a yes.
    pub narrower: Narrower,
}

/// One person's decision.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Vote {
    /// Who.
    pub by: PrincipalRef,
    /// Their name for people to read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Approve or deny.
    pub decision: VoteDecision,
    /// Their words; empty when they gave none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The bounds that they added to a yes.
    #[serde(default, skip_serializing_if = "Narrower::is_empty")]
    pub narrower: Narrower,
    /// When.
    pub at: Timestamp,
}

/// An approval as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// Its identifier.
    pub id: ApprovalId,
    /// Grows by one with every change.
    pub revision: i64,
    /// Where it stands.
    pub state: ApprovalState,
    /// What it is bound to.
    pub binding: Binding,
    /// Who asked.
    pub principal: Principal,
    /// The connection's name.
    pub connection: String,
    /// What would happen.
    pub operation: Operation,
    /// The rule that asked for the approval.
    pub rule: String,
    /// The rule's sentence for people.
    pub reason: String,
    /// Who may approve, how many, for how long.
    pub approval: ApprovalRule,
    /// What the approver is shown.
    pub summary: RequestSummary,
    /// How risky the call is.
    pub risk: Risk,
    /// The votes so far, oldest first; one per person.
    pub votes: Vec<Vote>,
    /// When it was asked for.
    pub created_at: Timestamp,
    /// Until when it may be decided, and once approved, used: the time to live counts anew from the last approval.
    pub expires_at: Timestamp,
    /// When it reached a state that is not live.
    pub ended_at: Option<Timestamp>,
}

impl Approval {
    /// How many people approved so far.
    pub fn approvals(&self) -> usize {
        self.votes.iter().filter(|vote| vote.decision == VoteDecision::Approve).count()
    }

    /// The narrowest bounds that anybody added to a yes.
    pub fn narrowest(&self) -> Narrower {
        let said = self.votes.iter().filter(|vote| vote.decision == VoteDecision::Approve);
        let said: Vec<Narrower> = said.map(|vote| vote.narrower).collect();
        Narrower {
            seconds: said.iter().filter_map(|it| it.seconds).min(),
            uses: said.iter().filter_map(|it| it.uses).min(),
        }
    }
}

/// One thing that happened to an approval, for the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalEvent {
    /// Which approval.
    pub approval: ApprovalId,
    /// When.
    pub at: Timestamp,
    /// The state before; none when it was just made.
    pub from: Option<ApprovalState>,
    /// The state after; equal to `from` for a vote that did not decide yet, and for an escalation.
    pub to: ApprovalState,
    /// Who did it; none when time or Keyward itself did.
    pub by: Option<PrincipalRef>,
    /// Why; empty when nobody said.
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use sqlx::{AssertSqlSafe, Row as _};

    use crate::Db;

    // Twice a second, and beside every decision: the time must not grow with what waits.
    #[tokio::test]
    async fn what_is_due_is_found_by_its_time() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(dir.path().join("keyward.db")).await.unwrap();
        for (sql, found_by) in [
            (super::change::EXPIRE, "INDEX approval_due (state=? AND expires_at<?)"),
            (super::escalate::ESCALATIONS_DUE, "INDEX approval_escalates (state=? AND escalates_at<?)"),
        ] {
            let plan = sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")));
            let steps: Vec<String> =
                plan.fetch_all(db.reader()).await.unwrap().iter().map(|row| row.get("detail")).collect();
            assert!(matches!(steps.as_slice(), [only] if only.ends_with(found_by)), "{sql}: {steps:?}");
        }
    }
}
