//! Rules that decide: YAML documents with CEL conditions, compiled once, asked for every operation.
//!
//! **Promise.** A verdict depends on the facts and on the set of rules, never on the order of rules or documents:
//! `block` over `approve` over `allow`, and what no rule allows is blocked. A set that would load and do nothing, or
//! that names a field, a class, a group of detectors or a place that does not exist, does not load.
//!
//! Exceptions, each deliberate:
//! - a condition that fails while it is evaluated counts as a match for `block`, `approve` and `mask`, and as none for
//!   `allow`: *fails closed*;
//! - a field that the request does not have (a header, a tag, a model) reads as its empty value, so that conditions
//!   are total: *a rule that must not apply to absent values says so* (`"env" in connection.tags`);
//! - rules in `mode: observe` are reported and decide nothing: *by their author's choice*.

mod approval;
mod cache;
mod cases;
mod check;
mod condition;
mod decide;
mod document;
mod eval;
mod expr;
mod index;
mod limit;
mod load;
mod obligation;
mod packs;
mod place;
mod scene;
mod schema;
#[cfg(test)]
mod tests;
mod trace;
mod yaml;

use std::borrow::Cow;
use std::collections::HashSet;
use std::net::IpAddr;
use std::sync::Arc;

use self::cache::Cache;
use self::cases::Case;
use self::document::Effect;
use self::expr::{Read, Test};
use self::index::Index;
use self::schema::{NumberField, Table, TextsField};
use crate::{ApprovalRule, Connection, Decision, Operation, OperationClass, Principal, Risk, Timestamp};

pub use self::approval::{APPROVAL_TTL_MAX, APPROVERS_NEEDED_MAX, GRANT_MAX};
pub use self::cache::{DECISIONS_MAX, KEY_BYTES_MAX};
pub use self::check::CONDITION_DEPTH_MAX;
pub use self::condition::CONDITION_BYTES_MAX;
pub use self::document::{MESSAGE_CHARS_MAX, RULE_ID_BYTES_MAX, RULES_MAX};
pub use self::packs::{BASE_NAME, BUILTIN_PREFIX, builtin_names};
pub use self::scene::{Scene, SceneHeaders};
pub use self::trace::{Explanation, RuleTrace, Seen};
pub use self::yaml::SOURCE_BYTES_MAX;

/// One policy document (or several, divided by `---`), with the name that errors use for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySource {
    /// A file's path, or the name of a shipped pack (`builtin:base`).
    pub name: String,
    /// YAML.
    pub text: String,
}

/// Why a policy does not load: where, what, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct PolicyError {
    /// The source's name.
    pub file: String,
    /// Line, from 1.
    pub line: u64,
    /// Column in characters, from 1.
    pub column: u64,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

/// A header as policy reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeaderText<'a> {
    /// Not sent.
    Absent,
    /// Its value; several lines of one name are joined by `, `.
    Text(Cow<'a, str>),
    /// Sent, but not as text: a condition that reads it fails, and fails closed.
    Unreadable,
}

/// Gives policy the request headers that its rules name, and no others.
pub trait Headers {
    /// The header named `name` (lower case).
    fn header(&self, name: &str) -> HeaderText<'_>;
}

/// No headers at all.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoHeaders;

impl Headers for NoHeaders {
    fn header(&self, _name: &str) -> HeaderText<'_> {
        HeaderText::Absent
    }
}

/// What policy may ask of the request itself.
#[derive(Clone, Copy)]
pub struct RequestFacts<'a> {
    /// Its headers.
    pub headers: &'a dyn Headers,
    /// The socket's peer.
    pub peer: Option<IpAddr>,
    /// What detectors found in it; none where it was not, or could not be, looked at: a condition that reads it fails,
    /// and fails closed.
    pub findings: Option<&'a RequestFindings>,
    /// How risky the call is; none where nobody looked: a condition that reads it fails, and fails closed.
    pub risk: Option<&'a Risk>,
}

/// What detectors found in a request: in its body, target and headers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RequestFindings {
    /// The detectors that found something, each once, sorted: their ids, or `known:NAME` for a known value.
    pub detectors: Vec<Arc<str>>,
    /// Their groups, each once, sorted; `known` for known values.
    pub groups: Vec<Arc<str>>,
    /// How much was found.
    pub count: u64,
}

/// Everything a verdict depends on.
#[derive(Clone, Copy)]
pub struct Facts<'a> {
    /// Who calls.
    pub principal: &'a Principal,
    /// Where to.
    pub connection: &'a Connection,
    /// What it does.
    pub operation: &'a Operation,
    /// The request itself.
    pub request: RequestFacts<'a>,
    /// When.
    pub now: Timestamp,
}

/// The outcome of one test that stands in a policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestResult {
    /// The source's name.
    pub file: String,
    /// Line of the test, from 1.
    pub line: u64,
    /// The test's name.
    pub name: String,
    /// What differed; none when it passed.
    pub failure: Option<String>,
}

impl TestResult {
    /// Whether what was expected came out.
    pub fn passed(&self) -> bool {
        self.failure.is_none()
    }
}

/// What the tests of a set came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestRun {
    /// Every test, in the order of the documents.
    pub results: Vec<TestResult>,
    /// The rules whose condition holds in none of the tests, sorted by id: their tests prove nothing.
    pub untouched: Vec<RulePlace>,
}

/// Where a rule stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RulePlace {
    /// Its id.
    pub rule: Arc<str>,
    /// The source's name.
    pub file: Arc<str>,
    /// Line, from 1.
    pub line: u64,
}

/// A set of rules, compiled. One set decides for all connections; share it behind an `Arc`.
pub struct PolicySet {
    version: Arc<str>,
    /// Sorted by id, so that what is reported does not depend on the order of documents.
    rules: Vec<Rule>,
    index: Index,
    /// Every fact that a condition reads.
    reads: Vec<Read>,
    cases: Vec<(Arc<str>, Case)>,
    cache: Cache,
}

/// A rule, compiled.
struct Rule {
    id: Arc<str>,
    /// Where it stands.
    file: Arc<str>,
    line: u64,
    effect: Effect,
    observe: bool,
    reason: Option<Arc<str>>,
    /// The condition as it is written.
    when: Arc<str>,
    condition: Test,
    /// What the condition reads, in its order.
    reads: Vec<Read>,
}

impl Rule {
    fn place(&self) -> RulePlace {
        RulePlace { rule: Arc::clone(&self.id), file: Arc::clone(&self.file), line: self.line }
    }
}

impl PolicySet {
    /// Compiles the documents. `detectors` are the names that `mask` rules may choose from: detectors and their groups.
    ///
    /// # Errors
    /// Every mistake found, in the order of the sources.
    pub fn load(sources: &[PolicySource], detectors: &[&str]) -> Result<Self, Vec<PolicyError>> {
        load::load(sources, detectors)
    }

    /// SHA-256, in hex, over the names and texts of the sources, whatever their order.
    pub fn version(&self) -> &Arc<str> {
        &self.version
    }

    /// The verdict, the rule behind it, and the obligations. What the operation holds is judged with it: the strictest
    /// verdict holds for the whole, and obligations add up.
    pub fn decide(&self, facts: &Facts<'_>) -> Arc<Decision> {
        let alone = |facts: &Facts<'_>| {
            self.cache
                .get_or(&self.reads, facts, || decide::decide(&self.rules, self.candidates(facts), facts))
        };
        let outer = alone(facts);
        if facts.operation.inner.is_empty() {
            return outer;
        }
        let inner = facts.operation.inner.iter().map(|operation| alone(&Facts { operation, ..*facts }));
        Arc::new(inner.fold((*outer).clone(), |all, one| all.and(&one)))
    }

    /// The rules that may apply, in their order.
    fn candidates(&self, facts: &Facts<'_>) -> impl Iterator<Item = usize> {
        self.index.candidates(facts.operation.class, &facts.connection.name)
    }

    /// [`Self::decide`] without what it remembers: what a decision over new facts costs.
    pub fn decide_anew(&self, facts: &Facts<'_>) -> Decision {
        let alone = |facts: &Facts<'_>| decide::decide(&self.rules, self.candidates(facts), facts);
        let inner = facts.operation.inner.iter().map(|operation| alone(&Facts { operation, ..*facts }));
        inner.fold(alone(facts), |all, one| all.and(&one))
    }

    /// The names of all rules, sorted.
    pub fn rule_ids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.rules.iter().map(|rule| &rule.id)
    }

    /// Who has to approve a window for these classes on a connection in place of single calls: the rules that may ask for an
    /// approval there and let windows be approved, together. None where there is no such rule, or one that asks an owner of the
    /// connection, which has none.
    pub fn window_for(&self, classes: &[OperationClass], connection: &Connection) -> Option<ApprovalRule> {
        let numbers: std::collections::BTreeSet<usize> =
            classes.iter().flat_map(|class| self.index.candidates(*class, &connection.name)).collect();
        let asked = numbers.into_iter().filter_map(|number| match self.rules.get(number) {
            Some(Rule { effect: Effect::Approve(asked), observe: false, .. }) if asked.grant.is_some() => {
                Some(asked.owned_by(&connection.owners))
            }
            _ => None,
        });
        asked.collect::<Option<Vec<_>>>()?.into_iter().reduce(|all, one| all.and(&one))
    }

    /// The rules in force that may apply to a connection of this name and ask its owners.
    pub fn asks_owner_of(&self, connection: &str) -> impl Iterator<Item = RulePlace> {
        let classes = OperationClass::ALL.iter();
        let numbers: std::collections::BTreeSet<usize> =
            classes.flat_map(|class| self.index.candidates(*class, connection)).collect();
        numbers.into_iter().filter_map(|number| match self.rules.get(number) {
            Some(rule @ Rule { effect: Effect::Approve(asked), observe: false, .. })
                if asked.asks_owner() =>
            {
                Some(rule.place())
            }
            _ => None,
        })
    }

    /// The decision points that rules consult, each with the rule.
    pub fn consulted(&self) -> impl Iterator<Item = (&Arc<str>, RulePlace)> {
        self.rules.iter().filter_map(|rule| match &rule.effect {
            Effect::Consult(whom) => Some((&whom.point, rule.place())),
            _ => None,
        })
    }

    /// The request headers (lower case) that rules read: what an approval must be bound to beside the body.
    pub fn headers_read(&self) -> impl Iterator<Item = &str> {
        self.reads.iter().filter_map(|read| match read {
            Read::Entry(Table::Headers, name) => Some(&**name),
            _ => None,
        })
    }

    /// Whether a rule reads what detectors found in the request, by itself or as a part of the risk.
    pub fn reads_findings(&self) -> bool {
        self.reads_risk()
            || self.reads.iter().any(|read| {
                matches!(
                    read,
                    Read::Texts(TextsField::FindingDetectors | TextsField::FindingGroups)
                        | Read::Number(NumberField::FindingCount)
                )
            })
    }

    /// Whether a rule reads how risky the call is.
    pub fn reads_risk(&self) -> bool {
        self.reads.iter().any(|read| {
            matches!(read, Read::Texts(TextsField::RiskSignals) | Read::Number(NumberField::RiskScore))
        })
    }

    /// Runs the tests that stand in the documents.
    pub fn run_tests(&self) -> TestRun {
        let mut touched = HashSet::new();
        let results = self.cases.iter().map(|(file, case)| case.run(self, file, &mut touched)).collect();
        let untouched =
            self.rules.iter().filter(|rule| !touched.contains(&rule.id)).map(Rule::place).collect();
        TestRun { results, untouched }
    }
}

impl std::fmt::Debug for PolicySet {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PolicySet")
            .field("version", &self.version)
            .field("rules", &self.rules.len())
            .finish_non_exhaustive()
    }
}
