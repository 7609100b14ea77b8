//! The tests that stand in a policy document: facts in part, and the verdict that is expected.

use std::collections::HashSet;
use std::sync::Arc;

use serde_saphyr::Location;

use super::yaml::{At, Report, nearest};
use super::{PolicySet, Scene, TestResult, scene};
use crate::Verdict;

/// One test.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) at: Location,
    scene: Scene,
    /// None where only the rules are told.
    verdict: Option<Verdict>,
    /// Rules that must be among those that matched, and where the test names them.
    rules: Vec<(String, Location)>,
    /// Rules that must not.
    not_rules: Vec<(String, Location)>,
}

impl Case {
    /// Names every rule of the test that does not exist.
    pub(super) fn check(&self, report: &mut Report<'_>, ids: &[&str]) {
        for (id, at) in self.rules.iter().chain(&self.not_rules) {
            if !ids.contains(&id.as_str()) {
                report.at(*at, format!("there is no rule `{id}`"), Some(nearest(id, ids)));
            }
        }
    }

    /// Runs it, and notes which rules its facts touch.
    pub(super) fn run(&self, policy: &PolicySet, file: &str, touched: &mut HashSet<Arc<str>>) -> TestResult {
        let decision = policy.decide(&self.scene.facts());
        touched.extend(decision.matched.iter().chain(&decision.observed).cloned());
        let named = |id: &str| decision.matched.iter().chain(&decision.observed).any(|rule| &**rule == id);
        let mut differences = Vec::new();
        if let Some(wanted) = self.verdict.filter(|wanted| *wanted != decision.verdict) {
            let by = decision.rule.as_deref().unwrap_or("no rule");
            let (want, got) = (wanted.as_str(), decision.verdict.as_str());
            differences.push(format!("the verdict is {got} (by {by}), not {want}"));
        }
        for (id, _) in self.rules.iter().filter(|(id, _)| !named(id)) {
            differences.push(format!("rule {id} did not match"));
        }
        for (id, _) in self.not_rules.iter().filter(|(id, _)| named(id)) {
            differences.push(format!("rule {id} matched"));
        }
        TestResult {
            file: file.to_owned(),
            line: self.at.line(),
            name: self.name.clone(),
            failure: (!differences.is_empty()).then(|| differences.join("; ")),
        }
    }
}

/// Reads one test; what it does not give is a harmless default.
pub(super) fn read(report: &mut Report<'_>, node: &At) -> Option<Case> {
    let map = report.map(node, "a test", &["name", "given", "expect"])?;
    let name = map.need(report, "name", "a test").and_then(|name| report.text(name, "name"));
    let scene = map.need(report, "given", "a test").and_then(|given| scene::read(report, given));
    let expect = map
        .need(report, "expect", "a test")
        .and_then(|expect| report.map(expect, "expect", &["verdict", "rules", "not_rules"]));
    let (name, expect) = (name?.to_owned(), expect?);

    let words = [("allow", Verdict::Allow), ("approve", Verdict::Approve), ("block", Verdict::Block)];
    let verdict = match expect.get("verdict") {
        Some(verdict) => report.word(verdict, "verdict", &words).map(Some),
        None => Some(None),
    };
    let mut named = |key: &str| match expect.get(key) {
        Some(node) => report.texts(node, key).into_iter().map(|(id, at)| (id.to_owned(), at)).collect(),
        None => Vec::new(),
    };
    let (rules, not_rules) = (named("rules"), named("not_rules"));
    if verdict == Some(None) && rules.is_empty() && not_rules.is_empty() {
        report.at(
            expect.at,
            "the test expects nothing: it has none of `verdict`, `rules` and `not_rules`",
            None,
        );
    }

    Some(Case { name, at: map.at, scene: scene?, verdict: verdict?, rules, not_rules })
}
