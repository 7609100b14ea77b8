//! From matching rules to one decision.

use std::sync::Arc;

use super::document::Effect;
use super::eval::holds;
use super::{Facts, Rule};
use crate::{ApprovalRule, ConsultRule, Decision, LimitRule, MaskRule, Verdict};

/// Asks the candidates among the rules. `rules` are sorted by id, and `candidates` are numbers of them in their order.
pub(super) fn decide(rules: &[Rule], candidates: impl Iterator<Item = usize>, facts: &Facts<'_>) -> Decision {
    let mut decision = Decision {
        verdict: Verdict::Block,
        rule: None,
        reason: None,
        approval: None,
        mask: Vec::new(),
        limits: Vec::new(),
        consult: Vec::new(),
        matched: Vec::new(),
        observed: Vec::new(),
    };
    let mut deciding: Option<(Verdict, &Rule)> = None;
    let owners = &facts.connection.owners;
    let mut approval: Option<ApprovalRule> = None;
    let candidates = candidates.filter_map(|number| rules.get(number));
    for rule in candidates.filter(|rule| matches(rule, facts)) {
        if rule.observe {
            decision.observed.push(Arc::clone(&rule.id));
            continue;
        }
        decision.matched.push(Arc::clone(&rule.id));
        let verdict = match &rule.effect {
            Effect::Allow => Verdict::Allow,
            Effect::Block => Verdict::Block,
            Effect::Approve(asked) => match asked.owned_by(owners) {
                Some(asked) => {
                    approval = Some(match approval {
                        Some(known) => known.and(&asked),
                        None => asked,
                    });
                    Verdict::Approve
                }
                None => Verdict::Block,
            },
            Effect::Mask(what) => {
                decision.mask.push(MaskRule { rule: Arc::clone(&rule.id), ..what.clone() });
                continue;
            }
            Effect::Limit(what) => {
                decision.limits.push(LimitRule { rule: Arc::clone(&rule.id), ..what.clone() });
                continue;
            }
            Effect::Consult(whom) => {
                decision.consult.push(ConsultRule { rule: Arc::clone(&rule.id), ..whom.clone() });
                continue;
            }
        };
        if deciding.is_none_or(|(known, _)| verdict > known) {
            deciding = Some((verdict, rule));
        }
    }
    if let Some((verdict, rule)) = deciding {
        decision.verdict = verdict;
        decision.rule = Some(Arc::clone(&rule.id));
        decision.reason = match &rule.effect {
            Effect::Approve(_) if verdict == Verdict::Block => Some(ownerless(facts)),
            _ => rule.reason.clone(),
        };
        decision.approval = approval.filter(|_| verdict == Verdict::Approve);
    }
    decision
}

/// The sentence for a call that only the owners of its connection could approve, where nobody says who they are.
fn ownerless(facts: &Facts<'_>) -> Arc<str> {
    let name = &facts.connection.name;
    Arc::from(format!(
        "It asks an owner of the connection `{name}` for approval, and the gateway's configuration names none (`owner`)."
    ))
}

/// Whether the rule applies. A condition that fails applies wherever that is the safer side.
fn matches(rule: &Rule, facts: &Facts<'_>) -> bool {
    holds(&rule.condition, facts).unwrap_or(!matches!(rule.effect, Effect::Allow))
}
