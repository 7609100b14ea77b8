//! Who or what is kept out at once, whatever policy and tokens say.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use crate::{Principal, PrincipalRef};

/// Whom a lock keeps out: a person (and whoever acts for them), the members of a group, or everybody on a connection.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum LockTarget {
    /// `user:ISSUER#SUBJECT`
    User(PrincipalRef),
    /// `group:NAME`
    Group(Arc<str>),
    /// `connection:NAME`
    Connection(Arc<str>),
}

/// A text that names nothing that can be locked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("write what to lock as user:ISSUER#SUBJECT, group:NAME or connection:NAME")]
pub struct LockTargetError;

impl LockTarget {
    /// Whether it keeps this caller out; `connection` is where they want to go, none on the admin API.
    pub fn hits(&self, principal: &Principal, connection: Option<&str>) -> bool {
        match self {
            Self::User(user) => principal.is(user) || principal.acting_for.contains(user),
            Self::Group(group) => principal.is_in(group),
            Self::Connection(name) => connection == Some(&**name),
        }
    }
}

impl fmt::Display for LockTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User(user) => write!(f, "user:{user}"),
            Self::Group(name) => write!(f, "group:{name}"),
            Self::Connection(name) => write!(f, "connection:{name}"),
        }
    }
}

impl FromStr for LockTarget {
    type Err = LockTargetError;

    fn from_str(text: &str) -> Result<Self, LockTargetError> {
        let (kind, name) =
            text.split_once(':').filter(|(_, name)| !name.is_empty()).ok_or(LockTargetError)?;
        match kind {
            // An issuer holds no `#` (OpenID Connect Core, section 2), so the first one ends it.
            "user" => {
                let (issuer, subject) = name.split_once('#').ok_or(LockTargetError)?;
                if issuer.is_empty() || subject.is_empty() {
                    return Err(LockTargetError);
                }
                Ok(Self::User(PrincipalRef { issuer: issuer.into(), subject: subject.into() }))
            }
            "group" => Ok(Self::Group(name.into())),
            "connection" => Ok(Self::Connection(name.into())),
            _ => Err(LockTargetError),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrincipalKind;

    fn alice() -> Principal {
        Principal {
            issuer: "https://idp".into(),
            subject: "alice".into(),
            kind: PrincipalKind::User,
            groups: vec!["eng".into()],
            name: None,
            acting_for: Vec::new(),
        }
    }

    fn target(text: &str) -> LockTarget {
        text.parse().unwrap()
    }

    #[test]
    fn a_lock_hits_exactly_what_it_names() {
        for text in ["user:https://idp#alice", "group:eng", "connection:models"] {
            assert!(target(text).hits(&alice(), Some("models")), "{text}");
            assert_eq!(target(text).to_string(), text);
        }
        for text in [
            "user:https://idp#Alice",
            "user:https://idp/#alice",
            "group:Eng",
            "group:eng ",
            "connection:model",
        ] {
            assert!(!target(text).hits(&alice(), Some("models")), "{text}");
        }
        assert!(!target("connection:models").hits(&alice(), None));
    }

    #[test]
    fn whoever_acts_for_a_locked_person_is_locked() {
        let mut agent = alice();
        agent.subject = "agent".into();
        agent.acting_for = vec![alice().reference()];
        assert!(target("user:https://idp#alice").hits(&agent, None));
    }

    #[test]
    fn what_names_nothing_is_refused() {
        for text in ["", "alice", "user:", "user:alice", "user:#a", "user:https://idp#", "group:", "role:x"] {
            assert_eq!(text.parse::<LockTarget>(), Err(LockTargetError), "{text}");
        }
    }
}
