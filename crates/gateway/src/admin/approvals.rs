//! Approvals over the API: seeing them.
//!
//! Promise: one's own, those that one may decide, now or once they escalate, and, recorded first, all for auditors and administrators. What the
//! caller may not see is answered like what does not exist (catalogue 110).

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use axum::Json;
use keyward_core::ApprovalId;
use keyward_store::{
    Approval, ApprovalFilter, ApprovalState, Escalated, RequestSummary, StateFilter, WhyNot,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Sight};
use super::input::{Params, Segment, rows};
use super::people::{HeaderView, OperationView, Person, PrincipalView, RiskView};
use super::problem::{OnRead, Problem};
use crate::clock;

/// Approvals in one answer when nothing is said, and at most.
const ROWS: (usize, usize) = (50, 200);
/// Approvals read from the database at a time, and looked through for one answer.
const PAGE: u32 = 50;
const LOOKED_THROUGH_MAX: usize = 2_000;

/// Where an approval stands.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum StateView {
    Pending,
    Approved,
    Denied,
    Expired,
    Cancelled,
    Stale,
    Consumed,
}

impl From<ApprovalState> for StateView {
    fn from(state: ApprovalState) -> Self {
        match state {
            ApprovalState::Pending => Self::Pending,
            ApprovalState::Approved => Self::Approved,
            ApprovalState::Denied => Self::Denied,
            ApprovalState::Expired => Self::Expired,
            ApprovalState::Cancelled => Self::Cancelled,
            ApprovalState::Stale => Self::Stale,
            ApprovalState::Consumed => Self::Consumed,
        }
    }
}

/// An approval in a list.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalRow {
    /// The approval.
    #[schema(example = "apr_01990000000070008000000000000001")]
    id: String,
    /// Where it stands.
    state: StateView,
    /// Who asks.
    requester: PrincipalView,
    /// The connection's name.
    connection: String,
    /// What would happen.
    operation: OperationView,
    /// The rule that asks for the approval.
    rule: String,
    /// The rule's sentence.
    reason: String,
    /// How risky it is.
    risk: RiskView,
    /// Whether the caller may approve or deny it, were it pending.
    may_i_decide: bool,
    /// How many approved so far.
    approvals: usize,
    /// How many distinct people have to approve.
    approvals_needed: u32,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it may be decided, and once approved, used.
    #[schema(format = DateTime)]
    expires_at: String,
    /// When it was over.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
}

/// An approval with everything that is needed to decide.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalView {
    #[serde(flatten)]
    row: ApprovalRow,
    /// SHA-256 of the exact request, in hex.
    digest: String,
    /// Version of the policy that asked for it.
    policy_version: String,
    /// Version of the credential that will be used; empty where the connection has none.
    credential_version: String,
    /// An approver is one of each of these lists: `group:NAME` or `user:ISSUER#SUBJECT`.
    approvers: Vec<Vec<String>>,
    /// Who is added to these lists because it waits, the first first: those who were, and, while it is pending, those who will be.
    escalations: Vec<EscalationView>,
    /// The call runs only while somebody who may decide watches it, and is ended when nobody did for so many seconds; absent
    /// where nobody has to.
    #[serde(skip_serializing_if = "Option::is_none")]
    moderated: Option<u64>,
    /// The votes so far, oldest first.
    votes: Vec<VoteView>,
    /// The request, masked.
    request: RequestView,
    /// Why the caller may not decide it.
    #[serde(skip_serializing_if = "Option::is_none")]
    why_not: Option<String>,
    /// References of the secrets that will be used; where the approval alone was asked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(example = json!(["keyward://openai"]))]
    secrets: Vec<String>,
    /// The last call like it that was approved and ran, where the caller may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    similar: Option<SimilarView>,
}

/// Who may decide as well, from a time on.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct EscalationView {
    /// To which of `approvers` they are added, from 0.
    list: usize,
    /// `group:NAME` or `user:ISSUER#SUBJECT`.
    #[schema(example = json!(["group:security-leads"]))]
    to: Vec<String>,
    /// From when on.
    #[schema(format = DateTime)]
    at: String,
    /// Whether that time has come.
    escalated: bool,
}

impl From<Escalated> for EscalationView {
    fn from(it: Escalated) -> Self {
        Self { list: it.list, to: it.to, at: it.at.to_string(), escalated: it.came }
    }
}

/// A call that was approved before.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SimilarView {
    /// Its approval.
    id: String,
    /// When it ran.
    #[schema(format = DateTime)]
    decided_at: String,
    request: RequestView,
}

/// One person's decision.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct VoteView {
    by: Person,
    /// `approve` or `deny`.
    decision: String,
    /// Their words; empty when they gave none.
    reason: String,
    #[schema(format = DateTime)]
    at: String,
}

/// What an approver is shown of a request.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RequestView {
    /// Headers that matter, masked.
    headers: Vec<HeaderView>,
    /// The masked body as text, from its beginning.
    body: String,
    /// Length of the real body in bytes.
    body_bytes: u64,
    /// Whether `body` shows all of it.
    complete: bool,
}

/// A page of approvals, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ApprovalList {
    approvals: Vec<ApprovalRow>,
    /// Give this as `before` to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

impl ApprovalRow {
    fn new(it: &Approval, viewer: &Caller) -> Self {
        Self {
            id: it.id.to_string(),
            state: it.state.into(),
            requester: PrincipalView::from(&it.principal),
            connection: it.connection.clone(),
            operation: OperationView::from(&it.operation),
            rule: it.rule.clone(),
            reason: it.reason.clone(),
            risk: RiskView::from(&it.risk),
            may_i_decide: viewer.may_decide(it).is_ok(),
            approvals: it.approvals(),
            approvals_needed: it.approval.min,
            created_at: it.created_at.to_string(),
            expires_at: it.expires_at.to_string(),
            ended_at: it.ended_at.map(|at| at.to_string()),
        }
    }
}

impl ApprovalView {
    pub(super) fn new(it: &Approval, viewer: &Caller) -> Self {
        Self {
            row: ApprovalRow::new(it, viewer),
            digest: it.binding.digest.to_string(),
            policy_version: it.binding.policy_version.clone(),
            credential_version: it.binding.credential_version.clone(),
            approvers: it.approval.lists().map(|list| list.names.clone()).collect(),
            escalations: it.escalations(clock::now()).into_iter().map(EscalationView::from).collect(),
            moderated: it.approval.moderated.map(|grace| grace.as_secs()),
            votes: it.votes.iter().map(VoteView::from).collect(),
            request: RequestView::from(&it.summary),
            why_not: viewer.may_decide(it).err().map(|why| why.to_string()),
            secrets: Vec::new(),
            similar: None,
        }
    }
}

impl From<&RequestSummary> for RequestView {
    fn from(summary: &RequestSummary) -> Self {
        let header =
            |(name, value): &(String, String)| HeaderView { name: name.clone(), value: value.clone() };
        Self {
            headers: summary.headers.iter().map(header).collect(),
            body: summary.body.clone(),
            body_bytes: summary.body_bytes,
            complete: summary.complete,
        }
    }
}

impl From<&keyward_store::Vote> for VoteView {
    fn from(vote: &keyward_store::Vote) -> Self {
        Self {
            by: Person::named(&vote.by, vote.name.as_deref()),
            decision: vote.decision.as_str().to_owned(),
            reason: vote.reason.clone(),
            at: vote.at.to_string(),
        }
    }
}

impl Caller {
    fn may_decide(&self, approval: &Approval) -> Result<(), WhyNot> {
        self.gateway.shared.approvals.may_decide(approval, self.principal())
    }

    /// Why the caller sees this approval; none when they do not.
    fn sight(&self, approval: &Approval) -> Option<Sight> {
        let me = self.principal().reference();
        let mine = me == approval.principal.reference() || approval.principal.acting_for.contains(&me);
        if mine || matches!(self.may_decide(approval), Ok(()) | Err(WhyNot::NotYet(_))) {
            return Some(Sight::Own);
        }
        self.audits().then_some(Sight::Role)
    }

    /// Whether the caller sees this approval.
    pub(super) fn sees(&self, approval: &Approval) -> bool {
        self.sight(approval).is_some()
    }

    /// Loads an approval that the caller may see. A look by role is recorded before it is granted.
    pub(super) async fn look(&self, action: &'static str, text: &str) -> Result<Approval, Problem> {
        let id: ApprovalId = self.id(action, text)?;
        let approval = self.gateway.shared.approvals.get(id).await?;
        let sight = approval.as_ref().and_then(|approval| self.sight(approval));
        match (approval, sight) {
            (Some(approval), Some(Sight::Own)) => Ok(approval),
            (Some(approval), Some(Sight::Role)) => {
                self.record(action, text)?;
                Ok(approval)
            }
            _ => Err(self.absent(action, text)),
        }
    }
}

/// Which approvals.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// One state, or `live` for pending and approved.
    #[param(example = "pending")]
    state: Option<String>,
    /// Only those that the caller asked for.
    #[serde(default)]
    mine: bool,
    /// How many at most: 1 to 200, 50 when not given.
    limit: Option<u32>,
    /// Only those older than this approval: `next` of the page before.
    before: Option<String>,
}

/// List approvals
///
/// One's own and those that one may decide; for auditors and administrators, all.
#[utoipa::path(get, path = "/api/v1/approvals", tag = "approvals", params(ListParams), security(("token" = [])),
    responses(
        (status = 200, description = "The newest first", body = ApprovalList),
        OnRead,
    ))]
pub(super) async fn list(
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<ApprovalList>, Problem> {
    let state = state_filter(params.state.as_deref())?;
    let mut before = match params.before.as_deref() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::bad_request("`before` is not an approval."))?),
    };
    if caller.audits() && !params.mine {
        caller.record("approvals.list", params.state.as_deref().unwrap_or("all"))?;
    }
    let most = rows(params.limit, ROWS.0, ROWS.1);
    let me = caller.principal().reference();
    // Who acts for the caller is another requester, so only a plain search by requester would miss those.
    let mine = |it: &Approval| me == it.principal.reference() || it.principal.acting_for.contains(&me);
    let mut approvals = Vec::new();
    let mut looked_through = 0;
    let next = loop {
        let filter = ApprovalFilter { state, requester: None, before, limit: PAGE };
        let page = caller.gateway.shared.db.approval_list(&filter).await?;
        let full = page.len() >= usize::try_from(PAGE).unwrap_or(usize::MAX);
        looked_through += page.len();
        for approval in page {
            if approvals.len() >= most {
                break;
            }
            before = Some(approval.id);
            if caller.sight(&approval).is_some() && (!params.mine || mine(&approval)) {
                approvals.push(ApprovalRow::new(&approval, &caller));
            }
        }
        if approvals.len() >= most || (full && looked_through >= LOOKED_THROUGH_MAX) {
            break before.map(|id| id.to_string());
        }
        if !full {
            break None;
        }
    };
    Ok(Json(ApprovalList { approvals, next }))
}

fn state_filter(text: Option<&str>) -> Result<StateFilter, Problem> {
    match text {
        None | Some("" | "all") => Ok(StateFilter::Any),
        Some("live") => Ok(StateFilter::Live),
        Some(word) => word.parse().map(StateFilter::Is).map_err(|_| {
            Problem::bad_request(
                "`state` is one of pending, approved, denied, expired, cancelled, stale, consumed, live, all.",
            )
        }),
    }
}

/// Show an approval
#[utoipa::path(get, path = "/api/v1/approvals/{id}", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")),
    responses(
        (status = 200, description = "The approval", body = ApprovalView),
        OnRead,
    ))]
pub(super) async fn show(caller: Caller, Segment(id): Segment) -> Result<Json<ApprovalView>, Problem> {
    let approval = caller.look("approval.read", &id).await?;
    let mut view = ApprovalView::new(&approval, &caller);
    let target = caller.gateway.routes.named(&approval.connection);
    let credential = target.and_then(|target| target.settings.credential.as_ref());
    view.secrets = credential.map(|credential| credential.reference.to_string()).into_iter().collect();
    let similar = caller.gateway.shared.db.approval_similar(&approval).await?;
    view.similar = similar.filter(|similar| caller.sees(similar)).map(|similar| SimilarView {
        id: similar.id.to_string(),
        decided_at: similar.ended_at.unwrap_or(similar.created_at).to_string(),
        request: RequestView::from(&similar.summary),
    });
    Ok(Json(view))
}
