//! The ledger over the API: who used a secret, what somebody did. For auditors and administrators; each question is
//! recorded before it is answered (catalogue 142).

#![expect(unused_qualifications, reason = "utoipa qualifies the types of parameters in what it makes")]

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use keyward_core::RequestId;
use keyward_journal::read::{LedgerFilter, LedgerRow, ROWS_MAX};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Admin;
use super::auth::Caller;
use super::input::{Params, bounded, moment, rows};
use super::people::Person;
use super::problem::{OnRead, Problem};

/// Rows in one answer: when nothing is said, and at most.
const ROWS: (usize, usize) = (100, 1_000);

/// One row of the ledger: an exchange, and the secret that was injected for it.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct UseView {
    /// Number of its record in the journal.
    sequence: u64,
    /// When.
    #[schema(format = DateTime)]
    at: String,
    /// The secret's reference; absent where nothing was injected.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "keyward://openai")]
    secret: Option<String>,
    /// The secret's version.
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    /// Who.
    principal: Person,
    /// On whose behalf, nearest first.
    acting_for: Vec<Person>,
    /// The connection's name.
    connection: String,
    /// The operation's class.
    class: String,
    /// Its method at the upstream.
    method: String,
    /// Its path at the upstream.
    path: String,
    /// `allow` or `approve`.
    decision: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The policy's version.
    policy: String,
    /// The approval that it consumed.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<String>,
    /// The exchange.
    request: String,
    /// Its session.
    session: String,
    /// How it ended; absent while it runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<String>,
    /// The status that the caller got.
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
}

/// A page of the ledger, the newest first.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Ledger {
    rows: Vec<UseView>,
    /// Give this as `before` to go on; absent when there is no more.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    /// More rows match than are looked through; narrow the question by time.
    truncated: bool,
}

impl From<&LedgerRow> for UseView {
    fn from(it: &LedgerRow) -> Self {
        Self {
            sequence: it.sequence,
            at: it.at.to_string(),
            secret: it.secret.as_ref().map(|secret| secret.reference.to_string()),
            version: it.secret.as_ref().map(|secret| secret.version.to_string()),
            principal: Person::from(&it.principal),
            acting_for: it.acting_for.iter().map(Person::from).collect(),
            connection: it.connection.to_string(),
            class: it.class.as_str().to_owned(),
            method: it.method.clone(),
            path: it.path.clone(),
            decision: it.verdict.as_str().to_owned(),
            rule: it.rule.as_deref().map(str::to_owned),
            policy: it.policy.to_string(),
            approval: it.approval.map(|id| id.to_string()),
            request: it.request.to_string(),
            session: it.session.to_string(),
            end: it.end.map(|end| end.as_str().to_owned()),
            status: it.status,
        }
    }
}

/// Which secret, when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhoUsedParams {
    /// The secret's whole reference.
    #[param(example = "keyward://openai")]
    secret: String,
    /// At or after this time (RFC 3339).
    since: Option<String>,
    /// Before this time (RFC 3339).
    until: Option<String>,
    /// How many rows at most: 1 to 1,000, 100 when not given.
    limit: Option<u32>,
    /// Only those older than this exchange: `next` of the page before.
    before: Option<String>,
}

/// Who used a secret
///
/// One row per injection. Needs the role auditor or admin.
#[utoipa::path(get, path = "/api/v1/audit/who-used", tag = "audit", params(WhoUsedParams), security(("token" = [])),
    responses((status = 200, description = "The newest first", body = Ledger), OnRead))]
pub(super) async fn who_used(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Params(params): Params<WhoUsedParams>,
) -> Result<Json<Ledger>, Problem> {
    caller.audit("audit.who_used", &params.secret)?;
    let secret = required("secret", params.secret)?;
    let filter = LedgerFilter {
        secret: Some(secret),
        since: moment("since", params.since.as_deref())?,
        until: moment("until", params.until.as_deref())?,
        with_secret_only: true,
        ..LedgerFilter::default()
    };
    answer(&admin, filter, params.limit, params.before.as_deref()).await
}

/// Which principal, when.
#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct WhatParams {
    /// Part of `ISSUER#SUBJECT`; also matches those on whose behalf a call was made.
    principal: String,
    /// The connection's whole name.
    connection: Option<String>,
    /// At or after this time (RFC 3339).
    since: Option<String>,
    /// Before this time (RFC 3339).
    until: Option<String>,
    /// How many rows at most: 1 to 1,000, 100 when not given.
    limit: Option<u32>,
    /// Only those older than this exchange: `next` of the page before.
    before: Option<String>,
}

/// What a principal did
///
/// One row per exchange. Needs the role auditor or admin.
#[utoipa::path(get, path = "/api/v1/audit/what", tag = "audit", params(WhatParams), security(("token" = [])),
    responses((status = 200, description = "The newest first", body = Ledger), OnRead))]
pub(super) async fn what(
    State(admin): State<Arc<Admin>>,
    caller: Caller,
    Params(params): Params<WhatParams>,
) -> Result<Json<Ledger>, Problem> {
    caller.audit("audit.what", &params.principal)?;
    let principal = required("principal", params.principal)?;
    let filter = LedgerFilter {
        principal: Some(principal),
        connection: bounded("connection", params.connection)?,
        since: moment("since", params.since.as_deref())?,
        until: moment("until", params.until.as_deref())?,
        ..LedgerFilter::default()
    };
    answer(&admin, filter, params.limit, params.before.as_deref()).await
}

fn required(name: &str, value: String) -> Result<String, Problem> {
    bounded(name, Some(value))?.ok_or_else(|| Problem::bad_request(format!("The parameter {name} is empty.")))
}

async fn answer(
    admin: &Admin,
    filter: LedgerFilter,
    limit: Option<u32>,
    before: Option<&str>,
) -> Result<Json<Ledger>, Problem> {
    let before: Option<RequestId> = match before {
        None => None,
        Some(text) => Some(text.parse().map_err(|_| Problem::bad_request("`before` is not an exchange."))?),
    };
    let found = admin.scan(move |records| records.ledger(&filter)).await?;
    let older = match before {
        None => 0,
        Some(id) => found.iter().position(|row| row.request == id).map_or(found.len(), |index| index + 1),
    };
    let mut rest = found.iter().skip(older);
    let views: Vec<UseView> = rest.by_ref().take(rows(limit, ROWS.0, ROWS.1)).map(UseView::from).collect();
    let next = rest.next().and(views.last()).map(|row| row.request.clone());
    Ok(Json(Ledger { rows: views, next, truncated: found.len() >= ROWS_MAX }))
}
