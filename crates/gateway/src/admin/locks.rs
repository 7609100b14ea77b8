//! Keeping somebody out at once, and ending sessions (catalogue 17, 18).
//!
//! Promise: what is answered with 200 holds from then on: no request of whom a lock hits goes on, and what was under way
//! has ended. Only administrators lock; everybody may end a session of their own. Recorded before it happens.

use std::time::Duration;

use axum::Json;
use http::StatusCode;
use keyward_core::{LockId, LockTarget, SessionId};
use keyward_store::Lock;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Caller, Sight};
use super::input::{Change, Segment, bounded};
use super::people::Person;
use super::problem::{OnChange, OnRead, Problem};
use crate::clock;
use crate::locks::LockError;

/// The longest reason, in bytes.
const REASON_BYTES_MAX: usize = 1_024;
/// The longest time of a lock with an end, in seconds: a year. Longer means: until it is lifted.
const SECONDS_MAX: u64 = 366 * 24 * 3_600;

/// A lock in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LockView {
    /// The lock.
    #[schema(example = "lck_01990000000070008000000000000001")]
    id: String,
    /// Whom it keeps out: `user:ISSUER#SUBJECT`, `group:NAME` or `connection:NAME`.
    target: String,
    /// Why; the one who is kept out is told.
    reason: String,
    /// Who made it.
    created_by: Person,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when; absent: until it is lifted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(format = DateTime)]
    expires_at: Option<String>,
}

impl From<&Lock> for LockView {
    fn from(lock: &Lock) -> Self {
        Self {
            id: lock.id.to_string(),
            target: lock.target.to_string(),
            reason: lock.reason.clone(),
            created_by: Person::from(&lock.created_by),
            created_at: lock.created_at.to_string(),
            expires_at: lock.expires_at.map(|at| at.to_string()),
        }
    }
}

/// The locks in force.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct LockList {
    /// The oldest first.
    locks: Vec<LockView>,
}

/// List locks
#[utoipa::path(get, path = "/api/v1/locks", tag = "locks", security(("token" = [])),
    responses((status = 200, description = "Those in force", body = LockList), OnRead))]
pub(super) async fn list(caller: Caller) -> Result<Json<LockList>, Problem> {
    caller.audit("locks.list", "all")?;
    let locks = caller.gateway.shared.locks.in_force(clock::now());
    Ok(Json(LockList { locks: locks.iter().map(|lock| LockView::from(&**lock)).collect() }))
}

/// A lock to make.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct NewLock {
    /// Whom to keep out: `user:ISSUER#SUBJECT`, `group:NAME` or `connection:NAME`.
    #[serde(default)]
    #[schema(example = "user:https://idp.example.com#alice")]
    target: String,
    /// Why; the one who is kept out is told. At most 1,024 bytes.
    #[serde(default)]
    #[schema(max_length = 1024)]
    reason: String,
    /// For how many seconds; without it until it is lifted.
    #[serde(default)]
    seconds: Option<u64>,
}

/// Lock
///
/// Keeps a person (and whoever acts for them), a group or a connection out, and ends their sessions.
#[utoipa::path(post, path = "/api/v1/locks", tag = "locks", security(("token" = [])), request_body = NewLock,
    responses((status = 200, description = "The lock, in force", body = LockView), OnChange))]
pub(super) async fn add(change: Change<NewLock>) -> Result<Json<LockView>, Problem> {
    let Change { caller, asked } = change;
    let action = "lock.add";
    caller.administer(action, &asked.target)?;
    let refuse = |problem| Err(caller.denied(action, &asked.target, problem));
    let target: LockTarget = match asked.target.parse() {
        Ok(target) => target,
        Err(error) => return refuse(Problem::bad_request(format!("`target`: {error}."))),
    };
    if asked.reason.len() > REASON_BYTES_MAX {
        return refuse(Problem::bad_request("`reason` is longer than 1,024 bytes."));
    }
    if target.hits(caller.principal(), None) {
        let detail = "This lock would keep you out yourself; let another administrator make it.";
        return refuse(Problem::new("locks_oneself", StatusCode::CONFLICT, detail));
    }
    let end = asked.seconds.filter(|seconds| *seconds <= SECONDS_MAX);
    let expires_at = end.map(|seconds| clock::now().plus(Duration::from_secs(seconds)));
    let shared = &caller.gateway.shared;
    let by = caller.principal().reference();
    let made =
        shared.locks.add(target, asked.reason.clone(), by, expires_at, (&shared.sessions, &shared.journal));
    match made.await {
        Ok(lock) => Ok(Json(LockView::from(&*lock))),
        Err(LockError::TooMany) => refuse(Problem::new(
            "too_many_locks",
            StatusCode::CONFLICT,
            "There are 1,000 locks already; lift some.",
        )),
        Err(LockError::Store(error)) => refuse(error.into()),
    }
}

/// Lift a lock
#[utoipa::path(post, path = "/api/v1/locks/{id}/lift", tag = "locks", security(("token" = [])),
    params(("id" = String, Path, description = "The lock")), request_body = Option<Nothing>,
    responses((status = 200, description = "The locks that are left", body = LockList), OnChange))]
pub(super) async fn lift(Segment(id): Segment, change: Change<Nothing>) -> Result<Json<LockList>, Problem> {
    let caller = change.caller;
    let action = "lock.lift";
    caller.administer(action, &id)?;
    let lock: LockId = caller.id(action, &id)?;
    let locks = &caller.gateway.shared.locks;
    if !locks.lift(lock, &caller.principal().reference()).await? {
        return Err(caller.absent(action, &id));
    }
    let left = locks.in_force(clock::now());
    Ok(Json(LockList { locks: left.iter().map(|lock| LockView::from(&**lock)).collect() }))
}

/// Nothing is said.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Why a session is ended.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Kill {
    /// For the one whose it is, and for the record; at most 512 bytes.
    #[serde(default)]
    #[schema(max_length = 512)]
    reason: String,
}

/// What was ended.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct Killed {
    /// The session.
    id: String,
}

/// End a session
///
/// Every call of it that is under way ends with an error. One's own; for administrators, any. Whoever it was may begin a
/// new one: a lock keeps them out.
#[utoipa::path(post, path = "/api/v1/sessions/{id}/kill", tag = "sessions", security(("token" = [])),
    params(("id" = String, Path, description = "The session")), request_body = Option<Kill>,
    responses((status = 200, description = "It is over", body = Killed), OnChange))]
pub(super) async fn kill(Segment(id): Segment, change: Change<Kill>) -> Result<Json<Killed>, Problem> {
    let Change { caller, asked } = change;
    let action = "session.kill";
    let session: SessionId = caller.id(action, &id)?;
    let shared = &caller.gateway.shared;
    let owner = shared.sessions.owner(session);
    let mine = owner.as_ref().is_some_and(|owner| owner.reference() == caller.principal().reference());
    let Some(owner) = owner.filter(|_| mine || caller.audits()) else {
        return Err(caller.absent(action, &id));
    };
    caller.own_or_administer(if mine { Sight::Own } else { Sight::Role }, action, &id)?;
    let reason = bounded("reason", Some(asked.reason))?.unwrap_or_default();
    let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
    let why = if mine { format!("by its owner{why}") } else { format!("by an administrator{why}") };
    if !shared.sessions.kill(&shared.journal, session, &why) {
        return Err(caller.absent(action, &id)); // it ended in between
    }
    tracing::info!(%session, principal = %owner, "session ended");
    Ok(Json(Killed { id }))
}
