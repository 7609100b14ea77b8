//! What things are and what is allowed: the words of Keyward as types, and the policy that decides over them.
//!
//! Pure: no sockets, no files, no clock, no randomness. Time enters as a [`Timestamp`], random bytes as an
//! argument. In suggested reading order:

mod id;
mod time;

pub mod approval;
pub mod connection;
pub mod digest;
pub mod field;
pub mod finding;
pub mod lock;
pub mod operation;
pub mod people;
pub mod policy;
pub mod principal;
pub mod risk;
pub mod seal;
pub mod verdict;

pub use approval::{ApprovalRule, Approvers, Bind, Escalation, OWNER};
pub use connection::{Connection, ConnectionKind, Upstream};
pub use digest::RequestDigest;
pub use field::{Field, FieldRule, JsonPath};
pub use finding::{Confidence, Finding, Place};
pub use id::{
    ApprovalId, ClientTokenId, GrantId, LockId, NotificationId, ParseIdError, RequestId, SessionId,
};
pub use lock::{LockTarget, LockTargetError};
pub use operation::{Operation, OperationClass, Resource};
pub use people::People;
pub use principal::{Principal, PrincipalKind, PrincipalRef};
pub use risk::{Risk, Signal};
pub use time::{Timestamp, span};
pub use verdict::{ConsultRule, Decision, LimitBy, LimitRule, MaskRule, Measure, OnFailure, Style, Verdict};
