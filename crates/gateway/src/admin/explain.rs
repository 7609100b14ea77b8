//! Why a request was decided as it was: every rule of today's policy over the facts of then.
//!
//! Promise: one's own requests, or, recorded first, any for auditors and administrators; another's request is answered like
//! one that does not exist. Conditions as they are written are the policy's, and are shown to roles alone.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use keyward_core::RequestId;
use keyward_core::policy::{RuleTrace, Seen};
use keyward_journal::read::{Judged, SessionSummary};
use keyward_journal::record::DecisionRecord;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::Admin;
use super::auth::Caller;
use super::input::Segment;
use super::problem::{OnRead, Problem};
use crate::recall;

/// Why a request was decided as it was.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExplanationView {
    /// The request.
    #[schema(example = "req_01990000000070008000000000000001")]
    request: String,
    /// When it was decided.
    #[schema(format = DateTime)]
    at: String,
    /// What was decided then; absent where the request was refused before policy was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<RecordedView>,
    /// The code of its refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "blocked")]
    code: Option<String>,
    /// The version of the policy that `verdict` and `rules` are of: the one in force.
    policy: String,
    /// The policy is the one that decided then.
    same_policy: bool,
    /// What today's policy says of it; absent where nobody understood the request, or its connection is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "block")]
    verdict: Option<String>,
    /// The rule behind `verdict`; absent where no rule allows the request.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// What the caller would be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Whom it would wait for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "1 person of group:model-owners, after 15 min also of group:security-leads")]
    approval: Option<String>,
    /// Every rule, sorted by id.
    rules: Vec<RuleView>,
    /// The facts, as the `given` of a policy test: paste them into one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    given: Option<Value>,
}

/// A decision as recorded.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RecordedView {
    /// `allow`, `approve` or `block`.
    verdict: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The policy's version.
    policy: String,
    /// Enforced rules that matched.
    matched: Vec<String>,
    /// Rules in `mode: observe` that matched.
    observed: Vec<String>,
}

/// How one rule fared.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct RuleView {
    /// Its id.
    rule: String,
    /// `allow`, `block`, `approve` or `mask`.
    effect: String,
    /// `enforce` or `observe`.
    mode: String,
    /// It applies.
    matched: bool,
    /// Its condition could not be evaluated over what is known, and counts as a match where that is the safer side.
    failed: bool,
    /// Its condition; for roles alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    /// Every field that the condition reads.
    values: Vec<ValueView>,
}

/// What a condition read.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ValueView {
    /// The field as conditions name it.
    #[schema(example = "operation.class")]
    field: String,
    /// Its value; absent where it is unknown, null where the request has none.
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<Value>,
}

impl From<&DecisionRecord> for RecordedView {
    fn from(it: &DecisionRecord) -> Self {
        let texts = |ids: &[Arc<str>]| ids.iter().map(ToString::to_string).collect();
        Self {
            verdict: it.verdict.as_str().to_owned(),
            rule: it.rule.as_deref().map(str::to_owned),
            policy: it.policy.to_string(),
            matched: texts(&it.matched),
            observed: texts(&it.observed),
        }
    }
}

impl RuleView {
    pub(super) fn new(it: RuleTrace, conditions: bool) -> Self {
        let value = |seen: Seen| ValueView { field: seen.field, value: seen.value };
        Self {
            rule: it.rule.to_string(),
            effect: it.effect.to_owned(),
            mode: if it.observe { "observe" } else { "enforce" }.to_owned(),
            matched: it.matched,
            failed: it.failed,
            when: conditions.then(|| it.when.to_string()),
            values: it.values.into_iter().map(value).collect(),
        }
    }
}

/// Explain a decision
///
/// Every rule of the policy in force, over the facts of the request as they were recorded.
#[utoipa::path(get, path = "/api/v1/requests/{id}/explanation", tag = "policy", security(("token" = [])),
    params(("id" = String, Path, description = "The request")),
    responses((status = 200, description = "Every rule, and what it read", body = ExplanationView), OnRead))]
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Segment(id): Segment,
) -> Result<Json<ExplanationView>, Problem> {
    const ACTION: &str = "request.explain";
    let request: RequestId = caller.id(ACTION, &id)?;
    let found = admin
        .scan(move |records| {
            let Some(judged) = records.request(request)? else { return Ok(None) };
            let session = match &judged {
                Judged::Sent(intent) => Some(intent.session),
                Judged::Refused(refused) => refused.session,
            };
            let Some(session) = session else { return Ok(None) };
            Ok(records.session(session)?.map(|session| (judged, session)))
        })
        .await?;
    match found {
        Some((judged, session)) if session.principal.reference() == caller.principal().reference() => {
            Ok(Json(explain(&caller, request, &judged, &session)))
        }
        Some((judged, session)) if caller.audits() => {
            caller.record(ACTION, &id)?;
            Ok(Json(explain(&caller, request, &judged, &session)))
        }
        _ => Err(caller.absent(ACTION, &id)),
    }
}

fn explain(
    caller: &Caller,
    request: RequestId,
    judged: &Judged,
    session: &SessionSummary,
) -> ExplanationView {
    let gateway = &caller.gateway;
    let recorded = recall::decision(judged);
    let version = gateway.policy.version();
    let scene = gateway.routes.named(&session.connection).and_then(|target| {
        recall::scene(judged, &session.principal, &session.peer, &target.settings.connection)
    });
    let explained = scene.as_ref().map(|scene| gateway.policy.explain(&scene.facts()));
    let at = match judged {
        Judged::Sent(intent) => intent.at,
        Judged::Refused(refused) => refused.at,
    };
    ExplanationView {
        request: request.to_string(),
        at: at.to_string(),
        recorded: recorded.map(RecordedView::from),
        code: recall::refusal(judged).map(|refused| refused.code.clone()),
        policy: version.to_string(),
        same_policy: recorded.is_some_and(|recorded| recorded.policy == *version),
        verdict: explained.as_ref().map(|it| it.decision.verdict.as_str().to_owned()),
        rule: explained.as_ref().and_then(|it| it.decision.rule.as_deref().map(str::to_owned)),
        reason: explained.as_ref().and_then(|it| it.decision.reason.as_deref().map(str::to_owned)),
        approval: explained.as_ref().and_then(|it| it.decision.approval.as_ref().map(ToString::to_string)),
        rules: explained
            .map(|it| it.rules.into_iter().map(|rule| RuleView::new(rule, caller.audits())).collect())
            .unwrap_or_default(),
        given: scene.as_ref().map(keyward_core::policy::Scene::given),
    }
}
