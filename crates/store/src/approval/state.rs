//! The states of an approval and the words for them.

use std::fmt;
use std::str::FromStr;

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$vdoc])* $variant,)* }
        impl $name {
            /// The word used in database, API and journal.
            pub const fn as_str(self) -> &'static str { match self { $(Self::$variant => $word,)* } }
        }
        impl FromStr for $name {
            type Err = UnknownState;
            fn from_str(text: &str) -> Result<Self, UnknownState> {
                match text { $($word => Ok(Self::$variant),)* _ => Err(UnknownState) }
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result { f.write_str(self.as_str()) }
        }
    };
}

words!(
    /// Where an approval stands.
    ApprovalState {
        /// Waits for people.
        Pending = "pending",
        /// May be used once.
        Approved = "approved",
        /// Somebody said no.
        Denied = "denied",
        /// Its time ran out.
        Expired = "expired",
        /// Its requester withdrew it.
        Cancelled = "cancelled",
        /// What it was bound to changed.
        Stale = "stale",
        /// It was used.
        Consumed = "consumed",
    }
);

words!(
    /// What a person says.
    VoteDecision {
        /// It may happen.
        Approve = "approve",
        /// It may not.
        Deny = "deny",
    }
);

/// A word that is none of the states or decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a word for the state of an approval, or for a decision")]
pub struct UnknownState;

impl ApprovalState {
    /// Whether something can still become of it: pending or approved.
    pub const fn is_live(self) -> bool {
        matches!(self, Self::Pending | Self::Approved)
    }
}
