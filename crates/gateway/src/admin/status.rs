//! Probes, metrics, and who one is. What is served here without a token names parts and says whether they work; it
//! holds no address, no path and no secret.

use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::{Caller, Role};
use super::people::PrincipalView;
use super::problem::{OnRead, Problem};
use super::{Admin, Exposure};
use crate::clock;
use crate::snapshot::Gateway;

/// How long a part may take to say that it works.
const PROBE_MAX: Duration = Duration::from_secs(3);

/// The process is alive.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Health {
    /// `ok`
    status: String,
}

/// Alive
///
/// Answers as long as the process can. Without a token.
#[utoipa::path(get, path = "/healthz", tag = "status",
    responses((status = 200, description = "The process is alive", body = Health)))]
pub(super) async fn healthz() -> Json<Health> {
    Json(Health { status: "ok".to_owned() })
}

/// Whether governed calls can be served.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Readiness {
    /// All parts work.
    ready: bool,
    /// Each part.
    parts: Vec<Part>,
}

/// A part that governed calls need.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Part {
    /// `journal`, `database`, `identity`.
    name: String,
    /// Whether it works.
    ok: bool,
    /// Why not.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

impl Part {
    fn new(name: &str, fault: Option<&str>) -> Self {
        Self { name: name.to_owned(), ok: fault.is_none(), reason: fault.map(str::to_owned) }
    }
}

/// Ready
///
/// Whether the journal can be written, the database answers, and the keys of at least one issuer are at hand or can be
/// fetched. Without a token.
#[utoipa::path(get, path = "/readyz", tag = "status",
    responses(
        (status = 200, description = "Ready", body = Readiness),
        (status = 503, description = "Not ready, and why", body = Readiness),
    ))]
pub(super) async fn readyz(State(admin): State<Arc<Admin>>) -> Response {
    let gateway = admin.current.load_full();
    let journal =
        gateway.shared.journal.healthy().err().map(|_| "it cannot be written, so no call goes through");
    let database = match tokio::time::timeout(PROBE_MAX, gateway.shared.db.ping()).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) | Err(_) => Some("it does not answer, so no call can be approved"),
    };
    let identity =
        (!has_keys(&gateway).await).then_some("no issuer's keys can be had, so nobody can be identified");
    let parts =
        vec![Part::new("journal", journal), Part::new("database", database), Part::new("identity", identity)];
    let ready = parts.iter().all(|part| part.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(Readiness { ready, parts })).into_response()
}

/// Whether at least one issuer's keys are there; asks the issuers only when none are.
async fn has_keys(gateway: &Gateway) -> bool {
    if gateway.identity.health().iter().any(|issuer| issuer.keys > 0) {
        return true;
    }
    let warm = gateway.identity.warm(clock::now());
    tokio::time::timeout(PROBE_MAX, warm).await.is_ok_and(|all| all.iter().any(|issuer| issuer.keys > 0))
}

/// Metrics
///
/// For Prometheus. Without a token where the admin listener is bound to a loopback address; elsewhere it needs the
/// role auditor or admin.
#[utoipa::path(get, path = "/metrics", tag = "status", security((), ("token" = [])),
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text"), OnRead))]
pub(super) async fn metrics(State(admin): State<Arc<Admin>>, request: Request) -> Result<Response, Problem> {
    use axum::extract::FromRequestParts as _;

    if admin.exposure == Exposure::Network {
        let (mut parts, _) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, &admin).await?;
        caller.audit("metrics.read", "metrics")?;
    }
    let text = admin.current.load().shared.metrics.text().map_err(|_| Problem::internal())?;
    let kind = HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    Ok(([(CONTENT_TYPE, kind)], text).into_response())
}

/// Who the caller is to the gateway.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Whoami {
    principal: PrincipalView,
    /// Roles of the admin API.
    roles: Vec<Role>,
    /// From when on the token is refused.
    #[schema(format = DateTime)]
    token_expires_at: String,
    /// What a browser's changes carry in the header `keyward-csrf`; absent for programs with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    csrf: Option<String>,
}

/// Who am I
#[utoipa::path(get, path = "/api/v1/whoami", tag = "status", security(("token" = [])),
    responses((status = 200, description = "The caller", body = Whoami), OnRead))]
pub(super) async fn whoami(caller: Caller) -> Json<Whoami> {
    Json(Whoami {
        principal: PrincipalView::from(&**caller.principal()),
        token_expires_at: caller.verified.expires_at.to_string(),
        csrf: caller.web.as_ref().map(|web| web.csrf.clone()),
        roles: caller.roles,
    })
}

/// The policy in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct PolicyView {
    /// SHA-256 of its documents, in hex.
    version: String,
    /// The names of its rules, sorted.
    rules: Vec<String>,
}

/// The policy in force
#[utoipa::path(get, path = "/api/v1/policy", tag = "status", security(("token" = [])),
    responses((status = 200, description = "Version and rules", body = PolicyView), OnRead))]
pub(super) async fn policy(caller: Caller) -> Result<Json<PolicyView>, Problem> {
    caller.audit("policy.read", "policy")?;
    let policy = &caller.gateway.policy;
    let rules = policy.rule_ids().map(ToString::to_string).collect();
    Ok(Json(PolicyView { version: policy.version().to_string(), rules }))
}

/// The journal.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct JournalView {
    /// Whether it can be written.
    healthy: bool,
    /// The public key that its checkpoints are signed with (C2SP signed note).
    verifier: String,
}

/// The journal's state
///
/// `keyward verify` on the gateway's machine proves its content.
#[utoipa::path(get, path = "/api/v1/journal", tag = "status", security(("token" = [])),
    responses((status = 200, description = "Its health and its public key", body = JournalView), OnRead))]
pub(super) async fn journal(caller: Caller) -> Result<Json<JournalView>, Problem> {
    caller.audit("journal.read", "journal")?;
    let journal = &caller.gateway.shared.journal;
    Ok(Json(JournalView { healthy: journal.healthy().is_ok(), verifier: journal.verifier() }))
}
