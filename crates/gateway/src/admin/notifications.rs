//! Notifications over the API: whom the configuration tells, a test, and what could not be told.
//!
//! Promise: only by role; a test and a new try are recorded before they happen. Addresses that are secrets are not shown.

use axum::Json;
use http::StatusCode;
use keyward_core::NotificationId;
use keyward_store::{ApprovalState, Notification};
use serde::Serialize;
use utoipa::ToSchema;

use super::approvals::ApprovalView;
use super::auth::Caller;
use super::input::{Change, Segment};
use super::locks::Nothing;
use super::problem::{OnChange, OnRead, Problem};
use crate::clock;
use crate::notify::{Notice, Target};
use crate::session::chain;

/// Somebody who is told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct TargetView {
    /// Its name in the configuration.
    name: String,
    /// `webhook`, `slack`, `teams` or `email`.
    kind: String,
    /// The events that it is told of; empty: all.
    events: Vec<String>,
}

impl From<&Target> for TargetView {
    fn from(target: &Target) -> Self {
        Self { name: target.name.to_string(), kind: target.kind().to_owned(), events: target.events.clone() }
    }
}

/// Something that could not be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct DeadView {
    /// Which.
    #[schema(example = "ntf_01990000000070008000000000000001")]
    id: String,
    /// Whom.
    target: String,
    /// The event.
    event: String,
    /// What it is about: an approval or a window.
    subject: String,
    /// Since when.
    #[schema(format = DateTime)]
    created_at: String,
    /// How often it was tried.
    attempts: u32,
    /// Why the last try failed.
    error: String,
}

impl From<&Notification> for DeadView {
    fn from(dead: &Notification) -> Self {
        let notice: Option<Notice> = serde_json::from_str(&dead.notice).ok();
        let (event, subject) = notice.map(|notice| (notice.event, notice.subject)).unwrap_or_default();
        Self {
            id: dead.id.to_string(),
            target: dead.target.clone(),
            event,
            subject,
            created_at: dead.created_at.to_string(),
            attempts: dead.attempts,
            error: dead.error.clone(),
        }
    }
}

/// Whom the configuration tells, and what could not be told.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Notifications {
    /// In the configuration's order.
    targets: Vec<TargetView>,
    /// The newest first, at most 1,000.
    dead: Vec<DeadView>,
}

/// List notifications
#[utoipa::path(get, path = "/api/v1/notifications", tag = "notifications", security(("token" = [])),
    responses((status = 200, description = "Targets, and what could not be told", body = Notifications), OnRead))]
pub(super) async fn list(caller: Caller) -> Result<Json<Notifications>, Problem> {
    caller.audit("notifications.list", "all")?;
    seen(&caller).await
}

async fn seen(caller: &Caller) -> Result<Json<Notifications>, Problem> {
    let notifier = &caller.gateway.shared.notifier;
    let targets = notifier.targets().iter().map(|target| TargetView::from(&**target)).collect();
    let dead = notifier.dead().await?.iter().map(DeadView::from).collect();
    Ok(Json(Notifications { targets, dead }))
}

/// What came of a test.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Tested {
    /// Whether the target took it.
    told: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

/// Test a target
///
/// Sends it a test at once, in one try.
#[utoipa::path(post, path = "/api/v1/notifications/{name}/test", tag = "notifications", security(("token" = [])),
    params(("name" = String, Path, description = "The target's name")), request_body = Option<Nothing>,
    responses((status = 200, description = "What came of it", body = Tested), OnChange))]
pub(super) async fn test(Segment(name): Segment, change: Change<Nothing>) -> Result<Json<Tested>, Problem> {
    const ACTION: &str = "notification.test";
    let caller = change.caller;
    caller.administer(ACTION, &name)?;
    let shared = &caller.gateway.shared;
    let Some(sent) = shared.notifier.test(&name, shared).await else {
        return Err(caller.absent(ACTION, &name));
    };
    let error = sent.err().map(|error| chain(&error));
    Ok(Json(Tested { told: error.is_none(), error }))
}

/// Try again
#[utoipa::path(post, path = "/api/v1/notifications/{id}/retry", tag = "notifications", security(("token" = [])),
    params(("id" = String, Path, description = "What could not be told")), request_body = Option<Nothing>,
    responses((status = 200, description = "What is left", body = Notifications), OnChange))]
pub(super) async fn retry(
    Segment(id): Segment,
    change: Change<Nothing>,
) -> Result<Json<Notifications>, Problem> {
    const ACTION: &str = "notification.retry";
    let caller = change.caller;
    caller.administer(ACTION, &id)?;
    let dead: NotificationId = caller.id(ACTION, &id)?;
    if !caller.gateway.shared.notifier.again(dead).await? {
        return Err(caller.absent(ACTION, &id));
    }
    seen(&caller).await
}

/// Forget
#[utoipa::path(post, path = "/api/v1/notifications/{id}/forget", tag = "notifications", security(("token" = [])),
    params(("id" = String, Path, description = "What could not be told")), request_body = Option<Nothing>,
    responses((status = 200, description = "What is left", body = Notifications), OnChange))]
pub(super) async fn forget(
    Segment(id): Segment,
    change: Change<Nothing>,
) -> Result<Json<Notifications>, Problem> {
    const ACTION: &str = "notification.forget";
    let caller = change.caller;
    caller.administer(ACTION, &id)?;
    let dead: NotificationId = caller.id(ACTION, &id)?;
    if !caller.gateway.shared.notifier.forget(dead).await? {
        return Err(caller.absent(ACTION, &id));
    }
    seen(&caller).await
}

/// Remind
///
/// Tells those who may approve once more that somebody waits; by who asked, at most every five minutes.
#[utoipa::path(post, path = "/api/v1/approvals/{id}/nudge", tag = "approvals", security(("token" = [])),
    params(("id" = String, Path, description = "The approval")), request_body = Option<Nothing>,
    responses((status = 200, description = "The approval, told once more", body = ApprovalView), OnChange))]
pub(super) async fn nudge(
    Segment(id): Segment,
    change: Change<Nothing>,
) -> Result<Json<ApprovalView>, Problem> {
    const ACTION: &str = "approval.nudge";
    let caller = change.caller;
    let approval = caller.look(ACTION, &id).await?;
    let refuse = |code, status, detail: &'static str| {
        Err(caller.denied(ACTION, &id, Problem::new(code, status, detail)))
    };
    let me = caller.principal().reference();
    if !approval.principal.is(&me) && !approval.principal.acting_for.contains(&me) {
        return refuse("not_the_requester", StatusCode::FORBIDDEN, "Only who asked reminds.");
    }
    if approval.state != ApprovalState::Pending {
        return refuse("not_pending", StatusCode::CONFLICT, "This approval is decided already.");
    }
    let notifier = &caller.gateway.shared.notifier;
    if notifier.targets().iter().all(|target| !target.wants("approval.nudged")) {
        return refuse(
            "nobody_is_told",
            StatusCode::CONFLICT,
            "The configuration tells nobody of reminders.",
        );
    }
    if !notifier.may_nudge(approval.id, clock::now()) {
        return refuse(
            "nudged_already",
            StatusCode::CONFLICT,
            "They were reminded less than five minutes ago.",
        );
    }
    caller.record(ACTION, &id)?;
    notifier.tell_of("approval.nudged", &approval).await?;
    Ok(Json(ApprovalView::new(&approval, &caller)))
}
