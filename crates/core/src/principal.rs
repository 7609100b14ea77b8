//! Who calls.

use std::fmt;
use std::sync::Arc;

/// What kind of caller a principal is.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum PrincipalKind {
    /// A person.
    #[default]
    User,
    /// A machine: a CI job, a pipeline, a Kubernetes service account.
    Service,
    /// A program that acts by a model's choice, usually on behalf of a person.
    Agent,
}

impl PrincipalKind {
    /// The word used in policy, API and journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Agent => "agent",
        }
    }
}

/// A verified caller: the issuer that vouches for it and the subject that the issuer names. Two issuers never name
/// the same principal, whatever their subjects are (catalogue 22).
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Principal {
    /// The issuer's identifier (`iss`), byte for byte.
    pub issuer: Arc<str>,
    /// The subject (`sub`), unique within the issuer.
    pub subject: Arc<str>,
    /// User, service or agent.
    pub kind: PrincipalKind,
    /// The groups that the token names, byte for byte (catalogue 21).
    pub groups: Vec<Arc<str>>,
    /// A name for people to read; never used to decide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Arc<str>>,
    /// On whose behalf it acts, nearest first (RFC 8693 `act`); empty for most.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub acting_for: Vec<PrincipalRef>,
}

/// Issuer and subject of a principal in a chain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
pub struct PrincipalRef {
    /// The issuer's identifier.
    pub issuer: Arc<str>,
    /// The subject within the issuer.
    pub subject: Arc<str>,
}

impl Principal {
    /// Issuer and subject alone.
    pub fn reference(&self) -> PrincipalRef {
        PrincipalRef { issuer: Arc::clone(&self.issuer), subject: Arc::clone(&self.subject) }
    }

    /// Whether it is the one that is named.
    pub fn is(&self, named: &PrincipalRef) -> bool {
        self.issuer == named.issuer && self.subject == named.subject
    }

    /// Whether the token named exactly this group.
    pub fn is_in(&self, group: &str) -> bool {
        self.groups.iter().any(|g| &**g == group)
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.subject)
    }
}

impl fmt::Display for PrincipalRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}#{}", self.issuer, self.subject)
    }
}
