//! Windows over the API: asked for, to be approved like a call, and opened at once by break-glass.
//!
//! Promise: a window is asked for by who signed in themselves, and opened by the approval of others, or by break-glass for those
//! whom the configuration names, with a reason, recorded before it opens and open to a review until somebody else signs.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use http::StatusCode;
use keyward_core::{
    ApprovalId, ApprovalRule, GrantId, Operation, OperationClass, PrincipalKind, RequestDigest, RequestId,
    Resource, Risk, risk,
};
use keyward_store::{Binding, CreateError, Grant, NewApproval, RequestSummary};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::auth::Caller;
use super::grants::{GrantView, reasoned};
use super::input::Change;
use super::problem::{OnChange, Problem};
use crate::clock;
use crate::grants::{GrantError, NewGrant};
use crate::hold::AskError;
use crate::notify::Notice;
use crate::route::Target;

/// How long a window is open where nothing is said.
const LIFE: Duration = Duration::from_hours(1);
/// Most classes that one window names.
const CLASSES_MAX: usize = 50;

/// A window to ask for.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AskGrant {
    /// Where to.
    #[serde(default)]
    #[schema(example = "models")]
    connection: String,
    /// Of which operation classes; at least one.
    #[serde(default)]
    #[schema(example = json!(["model.export"]), min_items = 1, max_items = 50)]
    classes: Vec<String>,
    /// For how many seconds; 3,600 when not given.
    #[serde(default)]
    seconds: Option<u64>,
    /// For how many calls; without it any number.
    #[serde(default)]
    #[schema(minimum = 1)]
    uses: Option<u32>,
    /// Why; who approves reads it. At most 1,024 bytes.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
}

/// Ask for a window
///
/// It opens when those approve it who would have to approve each call of it.
#[utoipa::path(post, path = "/api/v1/grants", tag = "grants", security(("token" = [])), request_body = AskGrant,
    responses((status = 200, description = "The window, waiting for its approval", body = GrantView), OnChange))]
pub(super) async fn ask(change: Change<AskGrant>) -> Result<Json<GrantView>, Problem> {
    const ACTION: &str = "grant.ask";
    let Change { caller, asked } = change;
    let id = GrantId::new(clock::fresh_id());
    let target = format!("{id} on {}", asked.connection);
    let refuse = |problem| caller.denied(ACTION, &target, problem);
    let (place, new, rule) = caller.new_grant(&asked).map_err(refuse)?;
    caller.record(ACTION, &target)?;
    let shared = &caller.gateway.shared;
    let approval = approval_of(&caller, place, id, (&new, rule));
    let approval_id = approval.id;
    let watched = shared.approvals.ask(approval, RequestId::new(clock::fresh_id())).await;
    drop(watched.map_err(|error| refuse(not_asked(error)))?);
    let grant = Grant { approval: Some(approval_id), ..new.into_grant(id, clock::now()) };
    let grant = shared.grants.add(grant).await.map_err(|error| refuse(not_added(error)))?;
    shared.follow_grant(id);
    Ok(Json(GrantView::new(&grant, &caller)))
}

impl Caller {
    /// What is asked for, within its bounds and what the policy lets be asked for.
    fn new_grant(&self, asked: &AskGrant) -> Result<(&Target, NewGrant, ApprovalRule), Problem> {
        let place = self.place(&asked.connection)?;
        let reason = reasoned(&asked.reason)?;
        if asked.classes.is_empty() || asked.classes.len() > CLASSES_MAX {
            let detail = "`classes` names 1 to 50 operation classes, such as `model.export`.";
            return Err(Problem::bad_request(detail));
        }
        let classes =
            asked.classes.iter().map(|word| word.parse()).collect::<Result<Vec<OperationClass>, _>>();
        let classes =
            classes.map_err(|_| Problem::bad_request("`classes` has a word that is no operation class."))?;
        if asked.uses == Some(0) {
            return Err(Problem::bad_request("`uses` is 0: such a window lets nothing through."));
        }
        let connection = &place.settings.connection.name;
        let rule = self.gateway.policy.window_for(&classes, &place.settings.connection).ok_or_else(|| {
            let detail = "No rule on this connection lets a window be approved for these classes: calls are approved \
                one by one, or need no approval; or the connection has no owner who could.";
            Problem::new("no_window", StatusCode::CONFLICT, detail)
        })?;
        let life = asked.seconds.map_or(LIFE, Duration::from_secs);
        let most = rule.grant.unwrap_or(Duration::ZERO);
        if life.is_zero() || life > most {
            return Err(Problem::bad_request(format!(
                "`seconds` is from 1 to {}, the longest window that the rules let be approved there.",
                most.as_secs()
            )));
        }
        let new = NewGrant {
            principal: Arc::clone(self.principal()),
            connection: Arc::clone(connection),
            classes,
            reason,
            life,
            uses_max: asked.uses,
            asked: Some(rule.clone()),
        };
        Ok((place, new, rule))
    }
}

/// The approval that opens a window: an operation of its own, before those who would approve each call.
fn approval_of(
    caller: &Caller,
    place: &Target,
    id: GrantId,
    (new, rule): (&NewGrant, ApprovalRule),
) -> NewApproval {
    let classes: Vec<String> = new.classes.iter().map(ToString::to_string).collect();
    let asked = json!({"grant": id, "connection": new.connection, "classes": classes, "seconds": new.life.as_secs(),
        "uses": new.uses_max, "reason": new.reason});
    let body = serde_json::to_string_pretty(&asked).unwrap_or_default();
    let operation = Operation {
        class: OperationClass::AccessGrant,
        resource: Resource { tools: classes.clone(), ..Resource::default() },
        method: "POST".to_owned(),
        path: format!("/grants/{id}"),
        query: String::new(),
        stream: false,
        body_bytes: Some(body.len() as u64),
        touches_secret_file: false,
        fetches_private: false,
        fields: Vec::new(),
        inner: Vec::new(),
    };
    let connection = &place.settings.connection;
    let digest = RequestDigest::of(&new.principal, connection, &operation, &[], body.as_bytes());
    let policy_version = caller.gateway.policy.version().to_string();
    let signals = new.classes.iter().flat_map(|class| {
        let of = Operation { class: *class, ..operation.clone() };
        risk::shown(&of, clock::now(), false).collect::<Vec<_>>()
    });
    let risk = Risk::of(signals);
    NewApproval {
        id: ApprovalId::new(clock::fresh_id()),
        binding: Binding { digest, policy_version, credential_version: String::new() },
        principal: (*new.principal).clone(),
        connection: connection.name.to_string(),
        rule: "access-window".to_owned(),
        reason: format!(
            "A window of {} s on {} for {}: {}",
            new.life.as_secs(),
            connection.name,
            classes.join(", "),
            new.reason
        ),
        approval: rule,
        summary: RequestSummary { headers: Vec::new(), body_bytes: body.len() as u64, body, complete: true },
        risk,
        operation,
        live_max: caller.gateway.holding.pending_per_principal_max,
    }
}

fn not_asked(error: AskError) -> Problem {
    match error {
        AskError::Create(CreateError::Store(error)) => error.into(),
        AskError::Create(CreateError::TooManyLive { limit }) => Problem::new(
            "approval_quota",
            StatusCode::CONFLICT,
            format!(
                "You have {limit} requests waiting for approval, the most there may be; cancel one or wait."
            ),
        ),
        AskError::Create(CreateError::Invalid(_)) | AskError::TooManyWaiters => Problem::internal(),
    }
}

fn not_added(error: GrantError) -> Problem {
    match error {
        GrantError::TooMany => Problem::new(
            "too_many_grants",
            StatusCode::CONFLICT,
            "There are 1,000 windows already; some have to end first.",
        ),
        GrantError::Store(error) => error.into(),
    }
}

/// A window that is opened at once.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct BreakGlass {
    /// Where to.
    #[serde(default)]
    connection: String,
    /// For how many seconds; as long as the configuration lets it when not given.
    #[serde(default)]
    seconds: Option<u64>,
    /// Why; it is told to everybody who is alerted. At most 1,024 bytes.
    #[serde(default)]
    #[schema(min_length = 1, max_length = 1024)]
    reason: String,
}

/// Break the glass
///
/// Opens a window at once, without an approval, for those whom the configuration names. What a rule blocks stays blocked. It
/// is told at once, and stays open to a review until somebody else signs for it.
#[utoipa::path(post, path = "/api/v1/break-glass", tag = "grants", security(("token" = [])), request_body = BreakGlass,
    responses((status = 200, description = "The window, open", body = GrantView), OnChange))]
pub(super) async fn break_glass(change: Change<BreakGlass>) -> Result<Json<GrantView>, Problem> {
    const ACTION: &str = "break_glass";
    let Change { caller, asked } = change;
    let id = GrantId::new(clock::fresh_id());
    let target =
        format!("{id} on {}: {}", asked.connection, asked.reason.chars().take(200).collect::<String>());
    let refuse = |problem| caller.denied(ACTION, &target, problem);
    caller.fresh(ACTION, &target)?;
    let new = caller.new_break_glass(&asked).map_err(refuse)?;
    caller.record(ACTION, &target)?;
    let shared = &caller.gateway.shared;
    let grant = new.into_grant(id, clock::now());
    let grant = shared.grants.add(grant).await.map_err(|error| refuse(not_added(error)))?;
    tracing::warn!(grant = %id, principal = %caller.principal(), connection = &*grant.connection, "BREAK-GLASS: a window was opened without an approval");
    shared.metrics.broke_glass();
    let notice = Notice::of_break_glass(&grant, &caller.gateway.public_url);
    if let Err(error) = shared.notifier.tell(&notice).await {
        tracing::error!(grant = %id, error = &error as &dyn std::error::Error, "a break-glass was told to nobody");
    }
    Ok(Json(GrantView::new(&grant, &caller)))
}

impl Caller {
    fn new_break_glass(&self, asked: &BreakGlass) -> Result<NewGrant, Problem> {
        let forbidden = |code, detail: &'static str| Problem::new(code, StatusCode::FORBIDDEN, detail);
        let Some(most) = self.gateway.break_glass else {
            return Err(forbidden("no_break_glass", "This gateway's configuration has no `break_glass`."));
        };
        let named = self.gateway.roles.has("break_glass", self.principal());
        if self.principal().kind != PrincipalKind::User || !named {
            return Err(forbidden(
                "no_break_glass",
                "Only people whom `break_glass` of the configuration names break the glass.",
            ));
        }
        let place = self.place(&asked.connection)?;
        let life = asked.seconds.map_or(most, Duration::from_secs);
        if life.is_zero() || life > most {
            let detail = format!("`seconds` is from 1 to {}.", most.as_secs());
            return Err(Problem::bad_request(detail));
        }
        Ok(NewGrant {
            principal: Arc::clone(self.principal()),
            connection: Arc::clone(&place.settings.connection.name),
            classes: Vec::new(),
            reason: reasoned(&asked.reason)?,
            life,
            uses_max: None,
            asked: None,
        })
    }
}
