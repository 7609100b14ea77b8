//! A policy document: what it may say, held against that key by key.

use std::sync::Arc;
use std::time::Duration;

use serde_saphyr::Location;

use super::cases::{self, Case};
use super::yaml::{At, Map, Node, Report, documents};
use super::{approval, limit, obligation};
use crate::{ApprovalRule, ConsultRule, LimitRule, MaskRule, OnFailure};

/// Most rules of one set.
pub const RULES_MAX: usize = 2000;
/// Longest rule id, in bytes; it travels in a header.
pub const RULE_ID_BYTES_MAX: usize = 64;
/// Longest sentence for the caller, in characters.
pub const MESSAGE_CHARS_MAX: usize = 500;

/// What a rule does when its condition holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Effect {
    Allow,
    Block,
    Approve(ApprovalRule),
    /// The obligation; its `rule` is filled in when it is decided.
    Mask(MaskRule),
    /// The same of a budget.
    Limit(LimitRule),
    /// The same of a decision point.
    Consult(ConsultRule),
}

/// A rule whose condition is still text.
#[derive(Debug)]
pub(super) struct RuleText {
    pub(super) id: Arc<str>,
    pub(super) at: Location,
    pub(super) effect: Effect,
    pub(super) observe: bool,
    pub(super) reason: Option<Arc<str>>,
    pub(super) when: String,
    pub(super) when_at: Location,
}

/// What one source holds.
#[derive(Debug, Default)]
pub(super) struct Document {
    pub(super) rules: Vec<RuleText>,
    pub(super) cases: Vec<Case>,
}

const RULE_KEYS: &[&str] = &[
    "id",
    "effect",
    "mode",
    "when",
    "reason",
    "message",
    "description",
    "approval",
    "mask",
    "limit",
    "consult",
];

/// Reads every document of a source.
pub(super) fn read(report: &mut Report<'_>, text: &str, detectors: &[&str]) -> Document {
    let mut document = Document::default();
    let parts = documents(report, text);
    if parts.is_empty() && report.errors.is_empty() {
        report.line(1, 1, "the source holds no policy document", None);
    }
    for part in &parts {
        read_one(report, part, detectors, &mut document);
    }
    document
}

fn read_one(report: &mut Report<'_>, part: &At, detectors: &[&str], into: &mut Document) {
    let Some(map) = report.map(part, "a policy", &["apiVersion", "kind", "metadata", "rules", "tests"])
    else {
        return;
    };
    if let Some(version) = map.need(report, "apiVersion", "a policy") {
        report.word(version, "apiVersion", &[("keyward/v1", ())]);
    }
    if let Some(kind) = map.need(report, "kind", "a policy") {
        report.word(kind, "kind", &[("Policy", ())]);
    }
    if let Some(metadata) = map.need(report, "metadata", "a policy")
        && let Some(metadata) = report.map(metadata, "metadata", &["name", "description"])
        && let Some(name) = metadata.need(report, "name", "metadata")
    {
        report.text(name, "name");
    }
    if let Some(rules) = map.need(report, "rules", "a policy") {
        for rule in report.list(rules, "rules") {
            let before = report.errors.len();
            let read = read_rule(report, rule, detectors);
            if before == report.errors.len() {
                into.rules.extend(read);
            }
        }
    }
    if let Some(tests) = map.get("tests") {
        let cases = report.list(tests, "tests").iter().filter_map(|test| cases::read(report, test));
        into.cases.extend(cases.collect::<Vec<_>>());
    }
}

#[derive(Clone, Copy)]
enum EffectWord {
    Allow,
    Block,
    Approve,
    Mask,
    Limit,
    Consult,
}

fn read_rule(report: &mut Report<'_>, rule: &At, detectors: &[&str]) -> Option<RuleText> {
    let map = report.map(rule, "a rule", RULE_KEYS)?;
    let id = map.need(report, "id", "a rule").and_then(|id| read_id(report, id));
    let words = [
        ("allow", EffectWord::Allow),
        ("block", EffectWord::Block),
        ("approve", EffectWord::Approve),
        ("mask", EffectWord::Mask),
        ("limit", EffectWord::Limit),
        ("consult", EffectWord::Consult),
    ];
    let effect =
        map.need(report, "effect", "a rule").and_then(|effect| report.word(effect, "effect", &words));
    let observe = map
        .get("mode")
        .map_or(Some(false), |mode| report.word(mode, "mode", &[("enforce", false), ("observe", true)]));
    let when = map.need(report, "when", "a rule");
    let when_text = match when.map(|when| &when.value) {
        Some(Node::Bool(value)) => Some(value.to_string()),
        Some(_) => when.and_then(|when| report.text(when, "when")).map(str::to_owned),
        None => None,
    };
    let reason = read_reason(report, map);
    let effect = effect.and_then(|effect| read_effect(report, map, effect, detectors));
    Some(RuleText {
        id: id?,
        at: map.at,
        effect: effect?,
        observe: observe?,
        reason,
        when: when_text?,
        when_at: when?.referenced,
    })
}

fn read_id(report: &mut Report<'_>, node: &At) -> Option<Arc<str>> {
    let id = report.text(node, "id")?;
    let sound = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b);
    if id.is_empty() || id.len() > RULE_ID_BYTES_MAX || !id.bytes().all(sound) {
        let help = format!("use lower-case letters, digits, `-`, `_` and `.`, at most {RULE_ID_BYTES_MAX}");
        report.at(node.referenced, "this cannot be the id of a rule", Some(help));
        return None;
    }
    Some(Arc::from(id))
}

/// The sentence for the caller: `message`, or else `reason`.
fn read_reason(report: &mut Report<'_>, map: Map<'_>) -> Option<Arc<str>> {
    let mut sentence = None;
    for key in ["reason", "message", "description"] {
        let Some(node) = map.get(key) else { continue };
        let Some(text) = report.text(node, key) else { continue };
        if text.chars().count() > MESSAGE_CHARS_MAX || text.trim_end().chars().any(char::is_control) {
            let message = format!("`{key}` is one line of at most {MESSAGE_CHARS_MAX} characters");
            report.at(node.referenced, message, None);
        } else if key != "description" && !text.trim().is_empty() {
            sentence = Some(Arc::from(text.trim()));
        }
    }
    sentence
}

fn read_effect(
    report: &mut Report<'_>,
    map: Map<'_>,
    effect: EffectWord,
    detectors: &[&str],
) -> Option<Effect> {
    for (key, wanted) in [
        ("approval", matches!(effect, EffectWord::Approve)),
        ("mask", matches!(effect, EffectWord::Mask)),
        ("limit", matches!(effect, EffectWord::Limit)),
        ("consult", matches!(effect, EffectWord::Consult)),
    ] {
        if let Some(node) = map.get(key)
            && !wanted
        {
            let message = format!("`{key}` does nothing in a rule with another effect");
            report.at(node.referenced, message, Some("remove it, or change `effect`".to_owned()));
        }
    }
    match effect {
        EffectWord::Allow => Some(Effect::Allow),
        EffectWord::Block => Some(Effect::Block),
        EffectWord::Approve => {
            let asked = map.need(report, "approval", "a rule with `effect: approve`")?;
            approval::read(report, asked).map(Effect::Approve)
        }
        EffectWord::Mask => {
            let mask = map.need(report, "mask", "a rule with `effect: mask`")?;
            obligation::read(report, mask, detectors).map(Effect::Mask)
        }
        EffectWord::Limit => {
            let limit = map.need(report, "limit", "a rule with `effect: limit`")?;
            limit::read(report, limit).map(Effect::Limit)
        }
        EffectWord::Consult => {
            let consult = map.need(report, "consult", "a rule with `effect: consult`")?;
            read_consult(report, consult).map(Effect::Consult)
        }
    }
}

/// Whom to ask; that the configuration knows them is for the composition to check.
fn read_consult(report: &mut Report<'_>, node: &At) -> Option<ConsultRule> {
    let map = report.map(node, "consult", &["point", "on_failure"])?;
    let point = map.need(report, "point", "consult").and_then(|point| report.text(point, "point"));
    let on_failure = map
        .get("on_failure")
        .map_or(Some(OnFailure::default()), |node| report.word(node, "on_failure", &OnFailure::ALL));
    Some(ConsultRule { rule: Arc::from(""), point: Arc::from(point?), on_failure: on_failure? })
}

/// A span of time of more than nothing, and at most `most`.
pub(super) fn span(
    report: &mut Report<'_>,
    node: &At,
    key: &str,
    most: Duration,
    most_text: &str,
) -> Option<Duration> {
    let text = report.text(node, key)?;
    let Some(span) = duration(text) else {
        let help = Some("write a number and `s`, `m`, `h` or `d`, like `15m`".to_owned());
        report.at(node.referenced, format!("`{text}` is no duration"), help);
        return None;
    };
    if span.is_zero() || span > most {
        let message = format!("`{key}` must be more than 0 and at most {most_text}");
        report.at(node.referenced, message, None);
        return None;
    }
    Some(span)
}

fn duration(text: &str) -> Option<Duration> {
    let unit = text.chars().last()?;
    let number = text.strip_suffix(unit)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    if number.is_empty() || !number.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    number.parse::<u64>().ok()?.checked_mul(seconds).map(Duration::from_secs)
}
