//! What a rule with `effect: limit` asks for.

use std::sync::Arc;
use std::time::Duration;

use super::document::span;
use super::yaml::{At, Report};
use crate::{LimitBy, LimitRule, Measure};

/// The longest time that a budget is for.
pub(super) const LIMIT_PER_MAX: Duration = Duration::from_hours(31 * 24);
/// The most that a budget can hold.
pub(super) const LIMIT_MOST_MAX: i64 = 1_000_000_000_000;

pub(super) fn read(report: &mut Report<'_>, node: &At) -> Option<LimitRule> {
    let map = report.map(node, "limit", &["requests", "tokens", "bytes", "per", "by"])?;
    let mut most = Vec::new();
    for measure in [Measure::Requests, Measure::Tokens, Measure::Bytes] {
        let Some(node) = map.get(measure.as_str()) else { continue };
        let number = report.number(node, measure.as_str(), 1..=LIMIT_MOST_MAX)?;
        most.push((measure, u64::try_from(number).ok()?));
    }
    if most.is_empty() {
        report.at(
            map.at,
            "the rule limits nothing: it has neither `requests` nor `tokens` nor `bytes`",
            None,
        );
        return None;
    }
    let per = map.need(report, "per", "limit").and_then(|per| span(report, per, "per", LIMIT_PER_MAX, "31d"));
    let by = map.get("by").map_or(Some(LimitBy::default()), |by| report.word(by, "by", &LimitBy::ALL));
    Some(LimitRule { rule: Arc::from(""), most, per: per?, by: by? })
}
