//! Windows over the API: seen, ended at once, and signed for where they were opened by break-glass. How they open is in
//! [`super::opening`].
//!
//! Promise: who asked, who may approve and administrators end one; what is answered with 200 holds from then on. Nobody signs for
//! a break-glass of their own.

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use axum::Json;
use http::StatusCode;
use keyward_core::GrantId;
use keyward_store::Grant;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Caller, Sight};
use super::input::{Change, Params, Segment};
use super::people::Person;
use super::problem::{OnChange, OnRead, Problem};
use crate::clock;
use crate::grants::REASON_BYTES_MAX;

/// A window.
#[derive(Debug, Serialize, ToSchema)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the API")]
pub(super) struct GrantView {
    /// Which.
    #[schema(example = "grt_01990000000070008000000000000001")]
    id: String,
    /// `pending`, `open`, `over` or `refused`.
    state: String,
    /// Whose calls it lets through.
    requester: Person,
    /// Where to.
    connection: String,
    /// Of which operation classes; empty for break-glass: all.
    classes: Vec<String>,
    /// Why, in the requester's words.
    reason: String,
    /// It was opened without an approval.
    break_glass: bool,
    /// The approval that opens it.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// How long it is open, in seconds.
    seconds: u64,
    /// How many calls it let through.
    uses: u32,
    /// How many it lets through; absent: any number.
    #[serde(skip_serializing_if = "Option::is_none")]
    uses_max: Option<u32>,
    /// When it was asked for.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it opened.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    starts_at: Option<String>,
    /// When it closes by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Who ended it; absent: time, or nobody approved.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_by: Option<Person>,
    /// Why it ended.
    #[serde(skip_serializing_if = "String::is_empty")]
    ended_why: String,
    /// A break-glass for which nobody signed yet.
    wants_review: bool,
    /// Who signed for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reviewed_by: Option<Person>,
    /// What they found.
    #[serde(skip_serializing_if = "String::is_empty")]
    review: String,
    /// Whether the caller may end it.
    may_i_end: bool,
    /// Whether the caller may sign for it.
    may_i_review: bool,
}

impl GrantView {
    pub(super) fn new(grant: &Grant, caller: &Caller) -> Self {
        let now = clock::now();
        let person = |who: &Option<keyward_core::PrincipalRef>| who.as_ref().map(Person::from);
        Self {
            id: grant.id.to_string(),
            state: grant.state(now).to_owned(),
            requester: Person::named(&grant.principal.reference(), grant.principal.name.as_deref()),
            connection: grant.connection.to_string(),
            classes: grant.classes.iter().map(ToString::to_string).collect(),
            reason: grant.reason.clone(),
            break_glass: grant.break_glass,
            approval: grant.approval.map(|id| id.to_string()),
            seconds: grant.seconds,
            uses: grant.uses,
            uses_max: grant.uses_max,
            created_at: grant.created_at.to_string(),
            starts_at: grant.starts_at.map(|at| at.to_string()),
            expires_at: grant.expires_at.map(|at| at.to_string()),
            ended_at: grant.ended_at.map(|at| at.to_string()),
            ended_by: person(&grant.ended_by),
            ended_why: grant.ended_why.clone(),
            wants_review: grant.wants_review(),
            reviewed_by: person(&grant.reviewed_by),
            review: grant.review.clone(),
            may_i_end: grant.ended_at.is_none() && caller.ends(grant).is_some(),
            may_i_review: grant.wants_review() && caller.reviews(grant),
        }
    }
}

/// Windows.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct GrantList {
    /// The newest first.
    grants: Vec<GrantView>,
}

/// Which windows to list.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Only one's own.
    #[serde(default)]
    mine: bool,
    /// Also those that are over or were refused.
    #[serde(default)]
    over: bool,
}

impl Caller {
    fn owns(&self, grant: &Grant) -> bool {
        let me = self.principal().reference();
        grant.principal.is(&me) || grant.principal.acting_for.contains(&me)
    }

    /// Why the caller may see a window.
    fn may_see(&self, grant: &Grant) -> Option<Sight> {
        let named = grant.asked.as_ref().is_some_and(|asked| asked.named_after(self.principal()).is_some());
        if self.owns(grant) || named { Some(Sight::Own) } else { self.audits().then_some(Sight::Role) }
    }

    /// Why the caller may end a window; none where they may not.
    fn ends(&self, grant: &Grant) -> Option<Sight> {
        self.may_see(grant).filter(|sight| *sight == Sight::Own || self.administers())
    }

    /// Whether the caller may sign for a break-glass: somebody else, by their role.
    fn reviews(&self, grant: &Grant) -> bool {
        let theirs = self.principal().acting_for.iter().any(|who| grant.principal.is(who));
        self.audits() && !self.owns(grant) && !theirs
    }
}

/// List windows
///
/// One's own, those that one may approve, and for auditors and administrators all.
#[utoipa::path(get, path = "/api/v1/grants", tag = "grants", security(("token" = [])), params(ListParams),
    responses((status = 200, description = "The windows, the newest first", body = GrantList), OnRead))]
pub(super) async fn list(
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<GrantList>, Problem> {
    if caller.audits() && !params.mine {
        caller.record("grants.list", "all")?;
    }
    let now = clock::now();
    let found = caller.gateway.shared.grants.list().await?;
    let wanted = |grant: &&Grant| {
        let over = !matches!(grant.state(now), "pending" | "open") && !grant.wants_review();
        (params.over || !over)
            && if params.mine { caller.owns(grant) } else { caller.may_see(grant).is_some() }
    };
    let grants = found.iter().filter(wanted).map(|grant| GrantView::new(grant, &caller)).collect();
    Ok(Json(GrantList { grants }))
}

/// Show a window
#[utoipa::path(get, path = "/api/v1/grants/{id}", tag = "grants", security(("token" = [])),
    params(("id" = String, Path, description = "The window")),
    responses((status = 200, description = "The window", body = GrantView), OnRead))]
pub(super) async fn show(caller: Caller, Segment(id): Segment) -> Result<Json<GrantView>, Problem> {
    let grant = caller.grant("grant.read", &id).await?;
    if caller.may_see(&grant) == Some(Sight::Role) {
        caller.record("grant.read", &id)?;
    }
    Ok(Json(GrantView::new(&grant, &caller)))
}

impl Caller {
    /// A window that the caller may see.
    async fn grant(&self, action: &'static str, id: &str) -> Result<Grant, Problem> {
        let grant: GrantId = self.id(action, id)?;
        let found = self.gateway.shared.grants.get(grant).await?;
        found.filter(|grant| self.may_see(grant).is_some()).ok_or_else(|| self.absent(action, id))
    }
}

/// Why, in words.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Words {
    /// At most 1,024 bytes.
    #[serde(default)]
    #[schema(max_length = 1024)]
    reason: String,
}

/// End a window
///
/// Calls of it that are under way end with an error. By who asked for it, who may approve it, and administrators.
#[utoipa::path(post, path = "/api/v1/grants/{id}/revoke", tag = "grants", security(("token" = [])),
    params(("id" = String, Path, description = "The window")), request_body = Option<Words>,
    responses((status = 200, description = "The window, over", body = GrantView), OnChange))]
pub(super) async fn revoke(Segment(id): Segment, change: Change<Words>) -> Result<Json<GrantView>, Problem> {
    const ACTION: &str = "grant.revoke";
    let Change { caller, asked } = change;
    let grant = caller.grant(ACTION, &id).await?;
    if asked.reason.len() > REASON_BYTES_MAX {
        return Err(Problem::bad_request("`reason` is longer than 1,024 bytes."));
    }
    caller.own_or_administer(caller.may_see(&grant).unwrap_or(Sight::Role), ACTION, &id)?;
    let shared = &caller.gateway.shared;
    let by = caller.principal().reference();
    let why = if asked.reason.is_empty() { "it was revoked" } else { &asked.reason };
    let ended = shared.grants.end(grant.id, Some(&by), why, (&shared.sessions, &shared.journal)).await?;
    if !ended {
        let problem = Problem::new("over", StatusCode::CONFLICT, "This window is over already.");
        return Err(caller.denied(ACTION, &id, problem));
    }
    if let (Some(approval), None) = (grant.approval, grant.starts_at) {
        shared.approvals.mark_stale(approval, "the window was withdrawn").await?;
    }
    let grant = caller.grant(ACTION, &id).await?;
    Ok(Json(GrantView::new(&grant, &caller)))
}

/// Sign for a break-glass
///
/// By an auditor or an administrator who is not the one who broke the glass.
#[utoipa::path(post, path = "/api/v1/grants/{id}/review", tag = "grants", security(("token" = [])),
    params(("id" = String, Path, description = "The window")), request_body = Option<Words>,
    responses((status = 200, description = "The window, signed for", body = GrantView), OnChange))]
pub(super) async fn review(Segment(id): Segment, change: Change<Words>) -> Result<Json<GrantView>, Problem> {
    const ACTION: &str = "grant.review";
    let Change { caller, asked } = change;
    let grant = caller.grant(ACTION, &id).await?;
    let refuse = |code, status, detail: &'static str| {
        Err(caller.denied(ACTION, &id, Problem::new(code, status, detail)))
    };
    if !caller.reviews(&grant) {
        let detail = "Somebody else with the role auditor or admin signs for it.";
        return refuse("not_yours_to_review", StatusCode::FORBIDDEN, detail);
    }
    if !grant.wants_review() {
        return refuse("no_review", StatusCode::CONFLICT, "This window wants no review.");
    }
    let words = reasoned(&asked.reason)?;
    caller.fresh(ACTION, &id)?;
    caller.record(ACTION, &id)?;
    let by = caller.principal().reference();
    if !caller.gateway.shared.grants.review(grant.id, &by, &words).await? {
        return refuse("no_review", StatusCode::CONFLICT, "Somebody signed for it already.");
    }
    let grant = caller.grant(ACTION, &id).await?;
    Ok(Json(GrantView::new(&grant, &caller)))
}

/// Words that have to say something.
pub(super) fn reasoned(reason: &str) -> Result<String, Problem> {
    let words = reason.trim();
    if words.is_empty() || words.len() > REASON_BYTES_MAX {
        return Err(Problem::bad_request("`reason` says why in 1 to 1,024 bytes."));
    }
    Ok(words.to_owned())
}
