//! Records of sessions and exchanges: sealed with the session's key.

use std::sync::Arc;

use bytes::Bytes;
use keyward_core::principal::PrincipalRef;
use keyward_core::{
    ApprovalId, Decision, GrantId, Operation, Place, Principal, RequestId, Risk, SessionId, Timestamp,
    Verdict,
};
use serde::{Deserialize, Serialize};

use crate::encode::bytes_beside;

/// A session began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionOpened {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Whose it is.
    pub principal: Arc<Principal>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// The caller's network address.
    pub peer: String,
}

/// A session ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionClosed {
    /// The session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Why.
    pub reason: String,
}

/// The intent to act: who does what where, why it may, with which secret.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Intent {
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub principal: PrincipalRef,
    /// On whose behalf, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acting_for: Vec<PrincipalRef>,
    /// The connection's name.
    pub connection: Arc<str>,
    /// What it does.
    pub operation: Arc<Operation>,
    /// Why it may.
    pub decision: DecisionRecord,
    /// The exchange that this repeats: a second try with a newer credential, or an identical call that got the answer
    /// recorded for an approved one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<RequestId>,
    /// The approval that it consumed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// Who watched when it was sent; nobody where the call is not moderated. When each of them came and went is in the
    /// records of the administrative interface.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moderators: Vec<PrincipalRef>,
    /// The secret that is put on the wire.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretUse>,
    /// The request's digest in hex, where one was taken (held operations).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Headers of the request, masked, without credentials.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<HeaderField>,
    /// What is kept of the request's body.
    pub body: BodyNote,
    /// The body or its beginning, masked; more may follow as [`Record::RequestBody`](super::Record::RequestBody). Times count from `at`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "bytes_beside")]
    pub content: Vec<Frame>,
}

/// What is kept of a request's body.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BodyNote {
    /// There is none.
    Empty,
    /// Its masked content: in the intent and in the request-body records after it.
    Content,
    /// Only its length and SHA-256 in hex.
    Hashed {
        /// Length in bytes.
        bytes: u64,
        /// SHA-256 in hex.
        sha256: String,
    },
    /// Nothing: it was not looked at (a stream upwards).
    NotKept,
}

/// What policy answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DecisionRecord {
    /// Block, approve or allow.
    pub verdict: Verdict,
    /// The rule that decided; none for default deny.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Arc<str>>,
    /// The version of the policy: its hash in hex.
    pub policy: Arc<str>,
    /// Every enforced rule that matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub matched: Vec<Arc<str>>,
    /// Rules in `mode: observe` that would have matched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub observed: Vec<Arc<str>>,
    /// The signals of the call's risk; none where nobody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk: Option<Risk>,
    /// The window on whose strength it needed no approval of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<GrantId>,
}

impl DecisionRecord {
    /// What is kept of `decision`, taken by the policy of this version.
    pub fn new(decision: &Decision, policy: Arc<str>, risk: Option<Risk>) -> Self {
        Self {
            verdict: decision.verdict,
            rule: decision.rule.clone(),
            policy,
            matched: decision.matched.clone(),
            observed: decision.observed.clone(),
            risk,
            grant: None,
        }
    }
}

/// Which secret, which version of it. Never its value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretUse {
    /// The reference (`keyward://openai`).
    pub reference: Arc<str>,
    /// The version that the store named.
    pub version: Arc<str>,
}

/// One header or trailer field, value masked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeaderField {
    /// Name as it was sent.
    pub name: String,
    /// Value as text; see [`HeaderField::bytes`].
    pub value: String,
    /// The value was not UTF-8: each character of `value` stands for one byte (ISO 8859-1).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub latin1: bool,
}

impl HeaderField {
    /// A field from the bytes of its value; loses nothing.
    pub fn new(name: impl Into<String>, value: &[u8]) -> Self {
        match std::str::from_utf8(value) {
            Ok(text) => Self { name: name.into(), value: text.to_owned(), latin1: false },
            Err(_) => Self {
                name: name.into(),
                value: value.iter().map(|&b| char::from(b)).collect(),
                latin1: true,
            },
        }
    }

    /// The bytes of the value.
    pub fn bytes(&self) -> Vec<u8> {
        if self.latin1 {
            self.value.chars().map(|c| u8::try_from(u32::from(c)).unwrap_or(b'?')).collect()
        } else {
            self.value.as_bytes().to_vec()
        }
    }
}

/// A piece of a body and when it passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Microseconds since the exchange's [`Intent::at`].
    pub offset_us: u64,
    /// The bytes, masked.
    pub bytes: Bytes,
}

/// Pieces of one body, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyFrames {
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// The pieces.
    #[serde(with = "bytes_beside")]
    pub frames: Vec<Frame>,
}

/// The head of a response, as the caller got it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ResponseHead {
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// Status code.
    pub status: u16,
    /// Headers, masked.
    pub headers: Vec<HeaderField>,
}

/// How an exchange ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// The exchange.
    pub request: RequestId,
    /// Its session.
    pub session: SessionId,
    /// When.
    pub at: Timestamp,
    /// How.
    pub end: End,
    /// The status that the caller got; none when no head was sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Bytes of request body sent to the upstream.
    pub bytes_up: u64,
    /// Bytes of response body sent to the caller.
    pub bytes_down: u64,
    /// What was masked, counted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<FindingCount>,
    /// What went wrong, in the gateway's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// How an exchange ended, in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// Both sides finished.
    Completed,
    /// The upstream answered with an error status, and that passed to the caller.
    UpstreamError,
    /// The upstream could not be reached; no byte of the request was sent.
    UpstreamUnreachable,
    /// The upstream broke off.
    UpstreamReset,
    /// The upstream did not answer in time.
    UpstreamTimeout,
    /// The caller went away.
    ClientGone,
    /// The response could not be masked and was cut off.
    MaskFailed,
    /// The journal could not be written while the response ran.
    JournalFailed,
    /// The gateway refused after the intent was written (secret gone, limit hit).
    Refused,
    /// The gateway stopped before the exchange did.
    Stopped,
    /// Nobody knows: the gateway died with the exchange open. Written by the next start.
    Unknown,
    /// Its session was ended while it ran: by a lock, by somebody, or because what allowed it is gone.
    SessionEnded,
}

impl End {
    /// The word used in API and command line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamUnreachable => "upstream_unreachable",
            Self::UpstreamReset => "upstream_reset",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::ClientGone => "client_gone",
            Self::MaskFailed => "mask_failed",
            Self::JournalFailed => "journal_failed",
            Self::Refused => "refused",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
            Self::SessionEnded => "session_ended",
        }
    }
}

/// How often a detector hit in one place. Never where, never what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FindingCount {
    /// The detector's id, or `known:NAME`.
    pub detector: Arc<str>,
    /// Where.
    pub place: Place,
    /// How often.
    pub count: u64,
}
