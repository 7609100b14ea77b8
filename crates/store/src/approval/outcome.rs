//! What each change of an approval gives, and why it may be refused.

use super::{Approval, ApprovalEvent, ApprovalState, REASON_BYTES_MAX, WhyNot};
use crate::StoreError;

/// An approval after a change, and what happened to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// As it stands now.
    pub approval: Approval,
    /// For the journal, in order.
    pub events: Vec<ApprovalEvent>,
}

/// What asking for an approval gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The live approval for this request.
    pub approval: Approval,
    /// Whether it was made just now; otherwise the request attached to one that was there.
    pub created: bool,
    /// For the journal, in order; may name an older approval of the same request that ended on the way.
    pub events: Vec<ApprovalEvent>,
}

/// Why no approval could be asked for.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The requester has as many live approvals as they may have.
    #[error("too many requests of this principal wait for approval already: at most {limit}")]
    TooManyLive {
        /// How many they may have.
        limit: u32,
    },
    /// A part of it breaks a limit, or could never be approved.
    #[error("such an approval cannot be asked for: {0}")]
    Invalid(&'static str),
    /// The database.
    #[error("the approval could not be kept")]
    Store(#[from] StoreError),
}

/// Why a vote does not count.
#[derive(Debug, thiserror::Error)]
pub enum VoteError {
    /// No such approval.
    #[error("no such approval")]
    NotFound,
    /// It is decided, used or over.
    #[error("the approval is not pending any more: it is {0}")]
    NotPending(ApprovalState),
    /// This person approved already; it counts once.
    #[error("this person approved already, and counts once")]
    AlreadyVoted,
    /// This principal may not decide over it.
    #[error("{0}")]
    Refused(WhyNot),
    /// The reason is longer than [`REASON_BYTES_MAX`].
    #[error("the reason is longer than {REASON_BYTES_MAX} bytes")]
    ReasonTooLong,
    /// The database.
    #[error("the vote could not be kept")]
    Store(#[from] StoreError),
}

/// Why an approval was not cancelled.
#[derive(Debug, thiserror::Error)]
pub enum CancelError {
    /// No such approval.
    #[error("no such approval")]
    NotFound,
    /// It is over.
    #[error("the approval is over: it is {0}")]
    NotLive(ApprovalState),
    /// Only who asked, or on whose behalf it was asked, withdraws.
    #[error("only the requester cancels; an approver denies")]
    NotTheRequester,
    /// The reason is longer than [`REASON_BYTES_MAX`].
    #[error("the reason is longer than {REASON_BYTES_MAX} bytes")]
    ReasonTooLong,
    /// The database.
    #[error("the cancellation could not be kept")]
    Store(#[from] StoreError),
}

/// What an attempt to use an approval came to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "only `Won` may be acted on"]
pub enum Consumption {
    /// This caller, and nobody else ever, may act.
    Won(Box<Change>),
    /// It is not approved (any more); none when there is no such approval.
    NotApproved(Option<ApprovalState>),
    /// It is for another request. It stays as it was.
    OtherRequest,
    /// Policy or credential changed since it was asked for: it became stale just now.
    Void(Box<Change>),
}
