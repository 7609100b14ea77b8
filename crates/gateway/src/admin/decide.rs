//! Approvals over the API: waiting for them, deciding them, withdrawing them.
//!
//! Promise: whoever asked never decides, whatever their role; the store holds it, under its write lock. A decision is
//! a POST with a token; no GET changes anything (catalogue 108). A client that names the digest it looked at decides over
//! that request or none (catalogue 111). *Fails closed*: what cannot be recorded does not happen.

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::State;
use http::StatusCode;
use keyward_core::OperationClass;
use keyward_store::{ApprovalState, Narrower, NewVote, VoteDecision};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::Admin;
use super::approvals::ApprovalView;
use super::auth::Caller;
use super::input::{Change, Params, Segment};
use super::problem::{OnChange, OnRead, Problem};

/// The longest wait of one long poll.
pub const WAIT_MAX: Duration = Duration::from_mins(1);
/// Long polls at once; more are refused.
pub const WAITS_MAX: usize = 1_024;
/// How long a long poll waits when it does not say.
const WAIT_DEFAULT_SECONDS: u32 = 30;

/// How long to wait.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WaitParams {
    /// Seconds: 0 to 60, 30 when not given.
    #[param(maximum = 60)]
    timeout: Option<u32>,
}

/// Wait for a decision
///
/// Answers when the approval is not pending any more, or when the time is over; `state` tells which.
#[utoipa::path(get, path = "/api/v1/approvals/{id}/wait", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval"), WaitParams),
    responses(
        (status = 200, description = "The approval as it stands then", body = ApprovalView),
        OnRead,
    ))]
pub(super) async fn wait(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Segment(id): Segment,
    Params(params): Params<WaitParams>,
) -> Result<Json<ApprovalView>, Problem> {
    let seconds = params.timeout.unwrap_or(WAIT_DEFAULT_SECONDS);
    let patience = Duration::from_secs(u64::from(seconds)).min(WAIT_MAX);
    let mut approval = caller.look("approval.read", &id).await?;
    let Ok(_turn) = admin.waits.try_acquire() else { return Err(Problem::busy()) };
    let approvals = &caller.gateway.shared.approvals;
    if approval.state == ApprovalState::Pending && !patience.is_zero() {
        let mut changes = approvals.watch(approval.id, approval.binding.digest, approval.state);
        // What changed before the watch began is seen by looking again; what changes from now on, the watch tells.
        approval = approvals.get(approval.id).await?.ok_or_else(Problem::absent)?;
        if approval.state == ApprovalState::Pending {
            let decided = async { changes.wait_for(|state| *state != ApprovalState::Pending).await.is_ok() };
            let looked_at = tokio::select! {
                _ = decided => approvals.get(approval.id).await?,
                () = tokio::time::sleep(patience) => Some(approval),
                () = admin.stop.cancelled() => Some(approval),
            };
            approval = looked_at.ok_or_else(Problem::absent)?;
        }
    }
    Ok(Json(ApprovalView::new(&approval, &caller)))
}

/// A decision.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Decide {
    /// Why, for the requester and the record; at most 4,096 bytes.
    #[serde(default)]
    #[schema(max_length = 4096)]
    reason: String,
    /// The digest of the request that was looked at. When it is not the approval's, nothing is decided.
    #[serde(default)]
    digest: Option<String>,
    /// For a yes: the call runs within so many seconds, or the window is open for no longer.
    #[serde(default)]
    #[schema(minimum = 1)]
    seconds: Option<u64>,
    /// For a yes to a window: it lets no more calls through than that.
    #[serde(default)]
    #[schema(minimum = 1)]
    uses: Option<u32>,
}

/// Approve
///
/// Counts one person's approval. Enough of them let exactly this request through, once.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/approve", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")), request_body = Option<Decide>,
    responses(
        (status = 200, description = "The approval after it", body = ApprovalView),
        OnChange,
    ))]
pub(super) async fn approve(
    Segment(id): Segment,
    change: Change<Decide>,
) -> Result<Json<ApprovalView>, Problem> {
    decide(&id, change, VoteDecision::Approve, "approval.approve").await
}

/// Deny
///
/// Ends the approval at once. The requester is told the reason.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/deny", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")), request_body = Option<Decide>,
    responses(
        (status = 200, description = "The approval after it", body = ApprovalView),
        OnChange,
    ))]
pub(super) async fn deny(
    Segment(id): Segment,
    change: Change<Decide>,
) -> Result<Json<ApprovalView>, Problem> {
    decide(&id, change, VoteDecision::Deny, "approval.deny").await
}

async fn decide(
    id: &str,
    change: Change<Decide>,
    decision: VoteDecision,
    action: &'static str,
) -> Result<Json<ApprovalView>, Problem> {
    let Change { caller, asked } = change;
    let approval = caller.look(action, id).await?;
    caller.fresh(action, id)?;
    let digest = approval.binding.digest.to_string();
    if asked.digest.is_some_and(|seen| seen != digest) {
        let detail = "The approval is for another request than the one with this digest; look at it again.";
        return Err(caller.denied(action, id, Problem::new("other_digest", StatusCode::CONFLICT, detail)));
    }
    if let Err(why) = caller.gateway.shared.approvals.may_decide(&approval, caller.principal()) {
        return Err(caller.denied(action, id, why.into()));
    }
    let narrower = Narrower { seconds: asked.seconds, uses: asked.uses };
    let window = approval.operation.class == OperationClass::AccessGrant;
    let nothing = narrower.seconds == Some(0) || narrower.uses == Some(0);
    if nothing
        || (!narrower.is_empty() && (decision == VoteDecision::Deny || (narrower.uses.is_some() && !window)))
    {
        let detail = "`seconds` narrows a yes, `uses` a yes to a window, and neither is 0.";
        return Err(caller.denied(action, id, Problem::bad_request(detail)));
    }
    caller.record(action, id)?;
    let approvals = &caller.gateway.shared.approvals;
    // The store asks again who may, inside the transaction that changes the state.
    let vote = NewVote { decision, reason: asked.reason, narrower };
    match approvals.vote(approval.id, Arc::clone(caller.principal()), vote).await {
        Ok(change) => Ok(Json(ApprovalView::new(&change.approval, &caller))),
        Err(error) => Err(caller.denied(action, id, error.into())),
    }
}

/// A withdrawal.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Withdraw {
    /// Why; at most 4,096 bytes.
    #[serde(default)]
    #[schema(max_length = 4096)]
    reason: String,
}

/// Withdraw a request
///
/// By who asked, or on whose behalf it was asked.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/cancel", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")), request_body = Option<Withdraw>,
    responses(
        (status = 200, description = "The approval after it", body = ApprovalView),
        OnChange,
    ))]
pub(super) async fn cancel(
    Segment(id): Segment,
    change: Change<Withdraw>,
) -> Result<Json<ApprovalView>, Problem> {
    const ACTION: &str = "approval.cancel";
    let Change { caller, asked } = change;
    let approval = caller.look(ACTION, &id).await?;
    caller.record(ACTION, &id)?;
    let approvals = &caller.gateway.shared.approvals;
    match approvals.cancel(approval.id, Arc::clone(caller.principal()), asked.reason).await {
        Ok(change) => Ok(Json(ApprovalView::new(&change.approval, &caller))),
        Err(error) => Err(caller.denied(ACTION, &id, error.into())),
    }
}
