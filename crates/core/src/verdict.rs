//! What policy answers: a verdict, the rule behind it, and obligations beside it.

use std::sync::Arc;
use std::time::Duration;

use crate::{ApprovalRule, FieldRule, JsonPath};

/// The answer, ordered: when several rules match, the greatest wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// It may happen.
    Allow,
    /// It may happen once a human approved it.
    Approve,
    /// It may not happen.
    Block,
}

impl Verdict {
    /// The word used in policy, API, headers and journal.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approve => "approve",
            Self::Block => "block",
        }
    }
}

/// What a masked value becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Style {
    /// `[REDACTED:detector]`
    #[default]
    Redact,
    /// The same value gets the same placeholder within a session.
    Token,
    /// The same value gets the same placeholder under the deployment's key, in every session.
    Hash,
    /// Nothing stands in its place.
    Drop,
    /// The placeholder ends with the value's last four characters, where enough of it stays secret.
    #[serde(rename = "keep-last-4")]
    KeepLast4,
    /// A card, an identifier or a phone number becomes another one of the same form, under the deployment's key.
    FormatPreserving,
}

impl Style {
    /// Every style, by the word of policies and of the command line.
    pub const ALL: [(&'static str, Self); 6] = [
        ("redact", Self::Redact),
        ("token", Self::Token),
        ("hash", Self::Hash),
        ("drop", Self::Drop),
        ("keep-last-4", Self::KeepLast4),
        ("format-preserving", Self::FormatPreserving),
    ];

    /// The style that holds where two are asked for: the one that shows less of the value; among those that show nothing
    /// of it, one that was asked for rather than the default.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        let rank = |style: Self| match style {
            Self::Drop => 0,
            Self::Hash => 1,
            Self::Token => 2,
            Self::Redact => 3,
            Self::FormatPreserving => 4,
            Self::KeepLast4 => 5,
        };
        if rank(other) < rank(self) { other } else { self }
    }
}

/// One `mask` obligation. The injected credential is masked whether or not there is one.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct MaskRule {
    /// The rule that asks for it.
    pub rule: Arc<str>,
    /// Detector groups or ids: `credentials`, `pii`, `aws_access_key_id`, …; may be empty where there are `fields`.
    pub detect: Vec<Arc<str>>,
    /// Where to look: `response`, `stream`, `headers`, `errors`; never empty.
    pub places: Vec<crate::finding::Place>,
    /// What a value becomes.
    pub style: Style,
    /// Places that are masked whatever they hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldRule>,
    /// Places in JSON that no detector looks at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub except: Vec<JsonPath>,
}

/// Whose calls share one budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LimitBy {
    /// Those of one principal.
    #[default]
    Principal,
    /// Those of the members of a group; who is in several draws from each.
    Group,
    /// Those on one connection.
    Connection,
    /// All that the rule matches.
    All,
}

impl LimitBy {
    /// By the word of policies.
    pub const ALL: [(&'static str, Self); 4] = [
        ("principal", Self::Principal),
        ("group", Self::Group),
        ("connection", Self::Connection),
        ("all", Self::All),
    ];
}

/// What a budget counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Calls.
    Requests,
    /// Tokens, in and out, as the model server reports them.
    Tokens,
    /// Bytes of bodies, up and down.
    Bytes,
}

impl Measure {
    /// The word of policies.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::Bytes => "bytes",
        }
    }
}

/// One `limit` obligation: so much in so much time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRule {
    /// The rule that asks for it.
    pub rule: Arc<str>,
    /// What is counted, and how much of it; never empty.
    pub most: Vec<(Measure, u64)>,
    /// In how much time.
    pub per: Duration,
    /// Whose calls share it.
    pub by: LimitBy,
}

/// What becomes of a call when a decision point that has to be asked does not answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum OnFailure {
    /// It is blocked.
    #[default]
    Block,
    /// The verdict stands without it.
    Ignore,
}

impl OnFailure {
    /// By the word of policies.
    pub const ALL: [(&'static str, Self); 2] = [("block", Self::Block), ("ignore", Self::Ignore)];
}

/// One `consult` obligation: a decision point outside that may forbid what the rules would let pass.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConsultRule {
    /// The rule that asks for it.
    pub rule: Arc<str>,
    /// The decision point's name in the configuration.
    pub point: Arc<str>,
    /// When it does not answer.
    pub on_failure: OnFailure,
}

/// The whole answer of policy for one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Block, approve or allow.
    pub verdict: Verdict,
    /// The rule that decided (of several, the first by id); none when no rule allowed it (default deny).
    pub rule: Option<Arc<str>>,
    /// The sentence for the caller: the rule's `message` or `reason`.
    pub reason: Option<Arc<str>>,
    /// Set when the verdict is [`Verdict::Approve`].
    pub approval: Option<ApprovalRule>,
    /// What must be masked; obligations of all matching rules.
    pub mask: Vec<MaskRule>,
    /// Budgets that the call draws from; those of all matching rules.
    pub limits: Vec<LimitRule>,
    /// Who has to be asked as well, where the verdict is not [`Verdict::Block`].
    pub consult: Vec<ConsultRule>,
    /// Every enforced rule that matched, sorted by id.
    pub matched: Vec<Arc<str>>,
    /// Rules in `mode: observe` that would have matched.
    pub observed: Vec<Arc<str>>,
}

impl Decision {
    /// The decision over two operations that happen together or not at all: the stricter verdict with the rule behind
    /// it, and the obligations of both.
    #[must_use]
    pub fn and(mut self, other: &Self) -> Self {
        if other.verdict > self.verdict {
            self.verdict = other.verdict;
            self.rule.clone_from(&other.rule);
            self.reason.clone_from(&other.reason);
        }
        let asked = match (self.approval.take(), &other.approval) {
            (Some(mine), Some(other)) => Some(mine.and(other)),
            (mine, other) => mine.or_else(|| other.clone()),
        };
        self.approval = asked.filter(|_| self.verdict == Verdict::Approve);
        add_missing(&mut self.mask, &other.mask);
        add_missing(&mut self.limits, &other.limits);
        add_missing(&mut self.consult, &other.consult);
        for (mine, other) in [(&mut self.matched, &other.matched), (&mut self.observed, &other.observed)] {
            mine.extend(other.iter().cloned());
            mine.sort();
            mine.dedup();
        }
        self
    }
}

/// Adds what is not there yet.
fn add_missing<T: Clone + PartialEq>(to: &mut Vec<T>, more: &[T]) {
    for one in more {
        if !to.contains(one) {
            to.push(one.clone());
        }
    }
}
