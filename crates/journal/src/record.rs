//! What a journal says: the vocabulary of records.
//!
//! The journal stores what it is given. There is no way to ask it for raw bodies: a caller hands over content that was
//! masked already. Outside text (paths, header values, reasons) is data here; encoding keeps one record one record.
//!
//! The numbers of [`Kind`] are on disk: they are only ever added to.

mod event;
mod exchange;

use keyward_core::SessionId;
use serde::{Deserialize, Serialize};

pub use event::{AdminEvent, ApprovalEvent, ConfigEvent, Refused, Resumed, Shredded, Started, Stopped};
pub use exchange::{
    BodyFrames, BodyNote, DecisionRecord, End, FindingCount, Frame, HeaderField, Intent, Outcome,
    ResponseHead, SecretUse, SessionClosed, SessionOpened,
};

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Record {
    /// The gateway started; nothing recorded before it is still going on.
    Started(Started),
    /// The gateway stopped in order.
    Stopped(Stopped),
    /// A session began.
    SessionOpened(SessionOpened),
    /// A session ended.
    SessionClosed(SessionClosed),
    /// An exchange is about to reach its upstream: written before its first byte does.
    Intent(Box<Intent>),
    /// More of a request's body, where it did not fit into its intent.
    RequestBody(BodyFrames),
    /// Status and headers of a response, as the caller got them.
    ResponseHead(ResponseHead),
    /// A part of a response's body, as the caller got it, with the time of each piece.
    Frames(BodyFrames),
    /// How an exchange ended; each intent gets one.
    Outcome(Outcome),
    /// A request that never reached an upstream.
    Refused(Box<Refused>),
    /// A step in the life of an approval.
    Approval(ApprovalEvent),
    /// A configuration was loaded, or refused.
    Config(ConfigEvent),
    /// Somebody used the administrative interface, or was denied.
    Admin(AdminEvent),
    /// The journal could not be written for a while, and can again.
    Resumed(Resumed),
    /// A session's content was made unreadable on purpose.
    Shredded(Shredded),
}

/// The number of a record's kind in its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Kind {
    /// [`Record::Started`]
    Started = 1,
    /// [`Record::Stopped`]
    Stopped = 2,
    /// [`Record::SessionOpened`]
    SessionOpened = 3,
    /// [`Record::SessionClosed`]
    SessionClosed = 4,
    /// [`Record::Intent`]
    Intent = 5,
    /// [`Record::RequestBody`]
    RequestBody = 6,
    /// [`Record::ResponseHead`]
    ResponseHead = 7,
    /// [`Record::Frames`]
    Frames = 8,
    /// [`Record::Outcome`]
    Outcome = 9,
    /// [`Record::Refused`]
    Refused = 10,
    /// [`Record::Approval`]
    Approval = 11,
    /// [`Record::Config`]
    Config = 12,
    /// [`Record::Admin`]
    Admin = 13,
    /// [`Record::Resumed`]
    Resumed = 14,
    /// [`Record::Shredded`]
    Shredded = 15,
}

impl Record {
    /// The kind, as its frame carries it in clear.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Started(_) => Kind::Started,
            Self::Stopped(_) => Kind::Stopped,
            Self::SessionOpened(_) => Kind::SessionOpened,
            Self::SessionClosed(_) => Kind::SessionClosed,
            Self::Intent(_) => Kind::Intent,
            Self::RequestBody(_) => Kind::RequestBody,
            Self::ResponseHead(_) => Kind::ResponseHead,
            Self::Frames(_) => Kind::Frames,
            Self::Outcome(_) => Kind::Outcome,
            Self::Refused(_) => Kind::Refused,
            Self::Approval(_) => Kind::Approval,
            Self::Config(_) => Kind::Config,
            Self::Admin(_) => Kind::Admin,
            Self::Resumed(_) => Kind::Resumed,
            Self::Shredded(_) => Kind::Shredded,
        }
    }

    /// The session whose key seals this record. A record that names a session but must outlive its content
    /// (refusals, approvals, shredding) is sealed with the journal's own key.
    pub fn session(&self) -> Option<SessionId> {
        match self {
            Self::SessionOpened(it) => Some(it.session),
            Self::SessionClosed(it) => Some(it.session),
            Self::Intent(it) => Some(it.session),
            Self::RequestBody(it) | Self::Frames(it) => Some(it.session),
            Self::ResponseHead(it) => Some(it.session),
            Self::Outcome(it) => Some(it.session),
            Self::Started(_)
            | Self::Stopped(_)
            | Self::Refused(_)
            | Self::Approval(_)
            | Self::Config(_)
            | Self::Admin(_)
            | Self::Resumed(_)
            | Self::Shredded(_) => None,
        }
    }
}
