//! Records that outlive any session: sealed with the segment's own key.

use std::sync::Arc;

use keyward_core::principal::PrincipalRef;
use keyward_core::{ApprovalId, Operation, RequestId, SessionId, Timestamp};
use serde::{Deserialize, Serialize};

use super::DecisionRecord;

/// The gateway started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Started {
    /// When.
    pub at: Timestamp,
    /// The program's version.
    pub version: String,
}

/// The gateway stopped.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stopped {
    /// When.
    pub at: Timestamp,
    /// Why: a signal, an error.
    pub reason: String,
}

/// A request that never reached an upstream: bad token, blocked, malformed, expired approval.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Refused {
    /// The exchange.
    pub request: RequestId,
    /// Its session, when it got that far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session: Option<SessionId>,
    /// When.
    pub at: Timestamp,
    /// Who, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub principal: Option<PrincipalRef>,
    /// The connection's name, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<Arc<str>>,
    /// What it would have done, when understood.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Arc<Operation>>,
    /// What policy answered, when asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<DecisionRecord>,
    /// The stable code of the refusal (`blocked`, `token_expired`).
    pub code: String,
    /// The status that the caller got.
    pub status: u16,
    /// The caller's network address.
    pub peer: String,
    /// The gateway's private detail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// A step in the life of an approval.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApprovalEvent {
    /// The approval.
    pub approval: ApprovalId,
    /// The exchange that asked or that consumed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request: Option<RequestId>,
    /// When.
    pub at: Timestamp,
    /// State before; none at its creation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// State after.
    pub to: String,
    /// Who did it; none when time did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalRef>,
    /// The reason given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The digest of the request that it covers, in hex.
    pub digest: String,
}

/// A configuration was loaded, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigEvent {
    /// When.
    pub at: Timestamp,
    /// It is in force now; otherwise the last good one stays.
    pub accepted: bool,
    /// Hash of the configuration in hex; empty where it could not be read.
    pub version: String,
    /// Hash of the policy in hex; empty where it could not be read.
    pub policy: String,
    /// What brought it: `start`, `signal`, `file`.
    pub cause: String,
    /// Why it was refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// Somebody used the administrative interface, or was denied.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AdminEvent {
    /// When.
    pub at: Timestamp,
    /// Who; none when nobody was identified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<PrincipalRef>,
    /// What (`secret.put`, `session.read`).
    pub action: String,
    /// On what (a name, an id).
    pub target: String,
    /// Whether it was allowed.
    pub allowed: bool,
    /// The caller's network address.
    pub peer: String,
    /// More about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

/// The journal could not be written for a while. Written by the journal itself as the first record after the gap.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resumed {
    /// When it could be written again.
    pub at: Timestamp,
    /// When the first record was refused.
    pub since: Timestamp,
    /// How many records were refused in between.
    pub refused: u64,
    /// Why.
    pub reason: String,
}

/// A session's key was destroyed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shredded {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: PrincipalRef,
    /// The reason given.
    pub reason: String,
}
