//! Shapes that several answers share.

use keyward_core::principal::PrincipalRef;
use keyward_core::{Operation, Principal, Risk};
use serde::Serialize;
use utoipa::ToSchema;

/// Issuer and subject of somebody.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct Person {
    /// The issuer that vouches for them.
    #[schema(example = "https://idp.example.com")]
    issuer: String,
    /// The subject within the issuer.
    #[schema(example = "alice")]
    subject: String,
    /// A name for people to read; never used to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
}

impl From<&PrincipalRef> for Person {
    fn from(who: &PrincipalRef) -> Self {
        Self { issuer: who.issuer.to_string(), subject: who.subject.to_string(), name: None }
    }
}

/// A verified caller.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct PrincipalView {
    /// The issuer that vouches for them.
    #[schema(example = "https://idp.example.com")]
    issuer: String,
    /// The subject within the issuer.
    #[schema(example = "alice")]
    subject: String,
    /// `user`, `service` or `agent`.
    #[schema(example = "user")]
    kind: String,
    /// The groups that the token names.
    groups: Vec<String>,
    /// A name for people to read; never used to decide.
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    /// On whose behalf, nearest first.
    acting_for: Vec<Person>,
}

impl From<&Principal> for PrincipalView {
    fn from(who: &Principal) -> Self {
        Self {
            issuer: who.issuer.to_string(),
            subject: who.subject.to_string(),
            kind: who.kind.as_str().to_owned(),
            groups: who.groups.iter().map(ToString::to_string).collect(),
            name: who.name.as_deref().map(str::to_owned),
            acting_for: who.acting_for.iter().map(Person::from).collect(),
        }
    }
}

impl Person {
    /// With a name to read.
    pub(super) fn named(who: &PrincipalRef, name: Option<&str>) -> Self {
        Self { name: name.map(str::to_owned), ..Self::from(who) }
    }
}

/// What a call does, understood.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct OperationView {
    /// The intent, from a closed list.
    #[schema(example = "model.export")]
    class: String,
    /// The request method.
    method: String,
    /// The path at the upstream.
    path: String,
    /// The query, masked; empty when there is none.
    query: String,
    /// The model's name; empty when the request names none.
    model: String,
    /// The file's name; empty when the request names none.
    file: String,
    /// The tools that the request offers or calls.
    tools: Vec<String>,
    /// The caller asked for a stream.
    stream: bool,
    /// Length of the request's body in bytes, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_bytes: Option<u64>,
}

impl From<&Operation> for OperationView {
    fn from(it: &Operation) -> Self {
        Self {
            class: it.class.as_str().to_owned(),
            method: it.method.clone(),
            path: it.path.clone(),
            query: it.query.clone(),
            model: it.resource.model.clone(),
            file: it.resource.file.clone(),
            tools: it.resource.tools.clone(),
            stream: it.stream,
            body_bytes: it.body_bytes,
        }
    }
}

/// A header, its value masked.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct HeaderView {
    pub(super) name: String,
    pub(super) value: String,
}

/// How risky a call is: named signals, each with its points.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct RiskView {
    /// 0 to 100: the points together.
    #[schema(maximum = 100)]
    score: u8,
    signals: Vec<SignalView>,
}

/// Something that makes a call riskier.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub(super) struct SignalView {
    /// The word in policies.
    #[schema(example = "destructive_verb")]
    name: String,
    /// What it adds to the score.
    points: u8,
    /// What it means.
    why: String,
}

impl From<&Risk> for RiskView {
    fn from(risk: &Risk) -> Self {
        let signal = |it: &keyward_core::Signal| SignalView {
            name: it.as_str().to_owned(),
            points: it.points(),
            why: it.why().to_owned(),
        };
        Self { score: risk.score(), signals: risk.signals().iter().map(signal).collect() }
    }
}
