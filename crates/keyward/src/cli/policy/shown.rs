//! How rules fared, as text and as data: the same for a recorded request, another policy, and a question.

use keyward_core::policy::{Explanation, RuleTrace, Seen};
use serde::Serialize;
use serde_json::Value;

use super::super::Session;
use crate::exit::Failure;

/// How one rule fared. The admin API answers in the same shape.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct ShownRule {
    rule: String,
    effect: String,
    mode: String,
    matched: bool,
    failed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    when: Option<String>,
    values: Vec<ShownValue>,
}

/// What a condition read of one field: nothing where it is unknown, null where the request has none.
#[derive(Debug, Serialize, serde::Deserialize)]
pub(super) struct ShownValue {
    field: String,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present")]
    value: Option<Value>,
}

/// Null is a value.
fn present<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Value>, D::Error> {
    serde::Deserialize::deserialize(deserializer).map(Some)
}

pub(super) fn rules(explained: &Explanation) -> Vec<ShownRule> {
    explained.rules.iter().map(rule).collect()
}

fn rule(it: &RuleTrace) -> ShownRule {
    let value = |seen: &Seen| ShownValue { field: seen.field.clone(), value: seen.value.clone() };
    ShownRule {
        rule: it.rule.to_string(),
        effect: it.effect.to_owned(),
        mode: if it.observe { "observe" } else { "enforce" }.to_owned(),
        matched: it.matched,
        failed: it.failed,
        when: Some(it.when.to_string()),
        values: it.values.iter().map(value).collect(),
    }
}

/// A table of rules, those that matched first.
pub(super) fn table(rules: &[ShownRule], session: &Session) -> Result<(), Failure> {
    let mut sorted: Vec<&ShownRule> = rules.iter().collect();
    sorted.sort_by_key(|rule| !rule.matched);
    session.output.rows(&sorted, &["MATCHED", "RULE", "EFFECT", "READ"], |rule| {
        let matched = match (rule.matched, rule.failed) {
            (true, false) => "yes",
            (true, true) => "yes (unknown)",
            (false, false) => "no",
            (false, true) => "no (unknown)",
        };
        let effect =
            if rule.mode == "observe" { format!("{} (observe)", rule.effect) } else { rule.effect.clone() };
        let value = |value: &ShownValue| {
            let text = value.value.as_ref().map_or_else(|| "unknown".to_owned(), ToString::to_string);
            format!("{} = {text}", value.field)
        };
        let read: Vec<String> = rule.values.iter().map(value).collect();
        vec![matched.to_owned(), rule.rule.clone(), effect, read.join(", ")]
    })
}
