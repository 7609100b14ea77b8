//! Sessions over the API: what was recorded, without the content of bodies.
//!
//! Promise: one's own sessions, or, recorded first, any for auditors and administrators. A session that is not the
//! caller's is answered like one that does not exist (catalogue 137).

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use keyward_core::SessionId;
use keyward_journal::read::{Exchange, ROWS_MAX, SessionFilter, SessionSummary};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Admin;
use super::auth::Caller;
use super::input::{Params, Segment, bounded, moment, rows};
use super::people::{OperationView, PrincipalView};
use super::problem::{OnRead, Problem};

/// Sessions, and exchanges of one, in one answer: when nothing is said, and at most.
const ROWS: (usize, usize) = (50, 500);
/// Exchanges of one session in one answer: when nothing is said, and at most.
const EXCHANGES: (usize, usize) = (200, 1_000);

/// A session.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionRow {
    /// The session.
    #[schema(example = "ses_01990000000070008000000000000001")]
    id: String,
    /// Whose it is.
    principal: PrincipalView,
    /// The connection's name.
    connection: String,
    /// The caller's network address.
    peer: String,
    /// When it began.
    #[schema(format = DateTime)]
    opened_at: String,
    /// When it ended; absent while it is open, or when the process died.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    closed_at: Option<String>,
    /// When something last happened in it.
    #[schema(format = DateTime)]
    last_at: String,
    /// Exchanges that reached the upstream.
    exchanges: u64,
    /// How the last finished exchange ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "completed")]
    last_end: Option<String>,
    /// Values that were masked.
    findings: u64,
}

/// A page of sessions, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionList {
    sessions: Vec<SessionRow>,
    /// Give this as `before` to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// More sessions match than are looked through; narrow the question by time.
    truncated: bool,
}

/// A session and its exchanges.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SessionView {
    #[serde(flatten)]
    session: SessionRow,
    /// In the order in which they reached the upstream; without content.
    requests: Vec<ExchangeView>,
    /// Give this as `after` to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// The session has more exchanges than are looked through.
    truncated: bool,
}

/// One exchange, without content.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct ExchangeView {
    /// The exchange.
    #[schema(example = "req_01990000000070008000000000000001")]
    id: String,
    /// When it was about to reach the upstream.
    #[schema(format = DateTime)]
    at: String,
    /// What it did.
    operation: OperationView,
    /// `allow` or `approve`.
    decision: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The approval that it consumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The reference of the secret that was injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
    /// The status that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    /// How it ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "completed")]
    end: Option<String>,
    /// When it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    ended_at: Option<String>,
    /// Bytes of response body sent to the caller.
    bytes_down: u64,
    /// What was masked.
    findings: Vec<FindingView>,
}

/// What was masked, counted.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct FindingView {
    /// The detector's id, or `known:NAME`.
    detector: String,
    /// How often.
    count: u64,
}

impl From<&SessionSummary> for SessionRow {
    fn from(it: &SessionSummary) -> Self {
        Self {
            id: it.session.to_string(),
            principal: PrincipalView::from(&*it.principal),
            connection: it.connection.to_string(),
            peer: it.peer.clone(),
            opened_at: it.opened.to_string(),
            closed_at: it.closed.map(|at| at.to_string()),
            last_at: it.last.to_string(),
            exchanges: it.exchanges,
            last_end: it.last_end.map(|end| end.as_str().to_owned()),
            findings: it.findings,
        }
    }
}

impl From<&Exchange> for ExchangeView {
    fn from(it: &Exchange) -> Self {
        let outcome = it.outcome.as_ref();
        let finding = |found: &keyward_journal::record::FindingCount| FindingView {
            detector: found.detector.to_string(),
            count: found.count,
        };
        Self {
            id: it.intent.request.to_string(),
            at: it.intent.at.to_string(),
            operation: OperationView::from(&*it.intent.operation),
            decision: it.intent.decision.verdict.as_str().to_owned(),
            rule: it.intent.decision.rule.as_deref().map(str::to_owned),
            approval: it.intent.approval.map(|id| id.to_string()),
            secret: it.intent.secret.as_ref().map(|secret| secret.reference.to_string()),
            status: outcome.and_then(|o| o.status).or_else(|| it.head.as_ref().map(|head| head.status)),
            end: outcome.map(|o| o.end.as_str().to_owned()),
            ended_at: outcome.map(|o| o.at.to_string()),
            bytes_down: outcome.map_or(0, |o| o.bytes_down),
            findings: outcome.map(|o| o.findings.iter().map(finding).collect()).unwrap_or_default(),
        }
    }
}

/// Which sessions.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListParams {
    /// Part of `ISSUER#SUBJECT` or of the name.
    principal: Option<String>,
    /// The connection's whole name.
    connection: Option<String>,
    /// Opened at or after this time (RFC 3339).
    since: Option<String>,
    /// Opened before this time (RFC 3339).
    until: Option<String>,
    /// Only the caller's own.
    #[serde(default)]
    mine: bool,
    /// How many at most: 1 to 500, 50 when not given.
    limit: Option<u32>,
    /// Only those older than this session: `next` of the page before.
    before: Option<String>,
}

/// List sessions
///
/// One's own; for auditors and administrators, all.
#[utoipa::path(get, path = "/api/v1/sessions", tag = "sessions", params(ListParams), security(("token" = [])),
    responses((status = 200, description = "The newest first", body = SessionList), OnRead))]
pub(super) async fn list(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Params(params): Params<ListParams>,
) -> Result<Json<SessionList>, Problem> {
    let before: Option<SessionId> = match params.before.as_deref() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::bad_request("`before` is not a session."))?),
    };
    let mut filter = SessionFilter {
        principal: bounded("principal", params.principal)?,
        connection: bounded("connection", params.connection)?,
        since: moment("since", params.since.as_deref())?,
        until: moment("until", params.until.as_deref())?,
        limit: None,
    };
    let most = rows(params.limit, ROWS.0, ROWS.1);
    let only_mine = params.mine || !caller.audits();
    let me = only_mine.then(|| caller.principal().reference());
    let named = filter.principal.clone();
    match &me {
        Some(me) => filter.principal = Some(me.to_string()),
        None => caller.record("sessions.list", named.as_deref().unwrap_or("all"))?,
    }
    let found = admin.scan(move |records| records.sessions(&filter)).await?;
    let truncated = found.len() >= ROWS_MAX;
    let older = match before {
        None => 0,
        Some(id) => found.iter().position(|row| row.session == id).map_or(found.len(), |index| index + 1),
    };
    // The filter takes parts of names; what is the caller's own is decided by the whole.
    let visible = |row: &&SessionSummary| {
        me.as_ref().is_none_or(|me| row.principal.reference() == *me)
            && named.as_ref().is_none_or(|part| {
                row.principal.to_string().contains(part)
                    || row.principal.name.as_ref().is_some_and(|name| name.contains(part.as_str()))
            })
    };
    let mut rows = found.iter().skip(older).filter(visible);
    let sessions: Vec<SessionRow> = rows.by_ref().take(most).map(SessionRow::from).collect();
    let next = rows.next().and(sessions.last()).map(|row| row.id.clone());
    Ok(Json(SessionList { sessions, next, truncated }))
}

/// Which part of a session.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ShowParams {
    /// How many exchanges at most: 1 to 1,000, 200 when not given.
    limit: Option<u32>,
    /// Only those after this exchange: `next` of the page before.
    after: Option<String>,
}

/// Show a session and its exchanges
#[utoipa::path(get, path = "/api/v1/sessions/{id}", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "The session"), ShowParams),
    responses((status = 200, description = "The session", body = SessionView), OnRead))]
pub(super) async fn show(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Segment(id): Segment,
    Params(params): Params<ShowParams>,
) -> Result<Json<SessionView>, Problem> {
    let after = match params.after.as_deref() {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::bad_request("`after` is not an exchange."))?),
    };
    let session = look(&admin, &caller, "session.read", &id).await?;
    let found = admin.scan(move |records| records.exchanges(session.session, 0)).await?;
    let skipped = match after {
        None => 0,
        Some(id) => {
            let index = found.exchanges.iter().position(|it| it.intent.request == id);
            index.map_or(found.exchanges.len(), |index| index + 1)
        }
    };
    let most = rows(params.limit, EXCHANGES.0, EXCHANGES.1);
    let mut rows = found.exchanges.iter().skip(skipped);
    let requests: Vec<ExchangeView> = rows.by_ref().take(most).map(ExchangeView::from).collect();
    let next = rows.next().and(requests.last()).map(|it| it.id.clone());
    let truncated = found.exchanges.len() >= ROWS_MAX;
    Ok(Json(SessionView { session: SessionRow::from(&session), requests, next, truncated }))
}

/// Finds a session that the caller may see. A look by role is recorded before it is granted.
pub(super) async fn look(
    admin: &Admin,
    caller: &Caller,
    action: &'static str,
    text: &str,
) -> Result<SessionSummary, Problem> {
    let id: SessionId = caller.id(action, text)?;
    match admin.scan(move |records| records.session(id)).await? {
        Some(session) if session.principal.reference() == caller.principal().reference() => Ok(session),
        Some(session) if caller.audits() => {
            caller.record(action, text)?;
            Ok(session)
        }
        _ => Err(caller.absent(action, text)),
    }
}
