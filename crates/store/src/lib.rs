//! Control state: what must survive a restart and be decided once, in a database.
//!
//! Promise: every change of an approval's state is one compare-and-set inside one transaction, so whoever races, one
//! wins and the others learn what the state is. No clock and no randomness in here: time and identifiers are
//! arguments. A database that is damaged, foreign or newer is refused with a sentence that says what to do.
//! Exceptions: none of this is on the path of an allowed call (the design's §1.8); secrets lie here only sealed.
//!
//! In suggested reading order:

mod columns;
mod db;
mod error;

pub mod approval;
pub mod grant;
pub mod lock;
pub mod meta;
pub mod notification;
pub mod secret;
pub mod seen;
pub mod token;

pub use approval::{
    Approval, ApprovalEvent, ApprovalFilter, ApprovalState, Binding, CancelError, Change, Consumption,
    CreateError, Created, Escalated, Narrower, NewApproval, NewVote, RequestSummary, StateFilter, Vote,
    VoteDecision, VoteError, WhyNot, may_decide,
};
pub use db::Db;
pub use error::StoreError;
pub use grant::Grant;
pub use lock::Lock;
pub use notification::Notification;
pub use secret::{SealedSecret, SecretVersionMeta};
pub use token::ClientToken;
