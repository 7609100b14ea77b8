//! Budgets and risk: obligations and facts of policy.

use super::*;
use crate::{LimitBy, Measure, OnFailure, Signal};

#[test]
fn budgets_of_all_matching_rules_add_up_and_change_no_verdict() {
    let policy = load(
        "  - {id: all, effect: allow, when: 'true'}
  - {id: a, effect: limit, when: 'true', limit: {requests: 600, tokens: 100000, per: 1h}}
  - {id: b, effect: limit, when: '!operation.stream', limit: {bytes: 5, per: 2d, by: group}}
  - {id: c, effect: limit, mode: observe, when: 'true', limit: {bytes: 5, per: 2d, by: all}}
",
    )
    .unwrap();
    let decision = policy.decide(&World::new().facts());
    assert_eq!(decision.verdict, Verdict::Allow);
    let [limit] = &decision.limits[..] else { panic!("{decision:?}") };
    assert_eq!((&*limit.rule, limit.by, limit.per.as_secs()), ("a", LimitBy::Principal, 3600));
    assert_eq!(limit.most, [(Measure::Requests, 600), (Measure::Tokens, 100_000)]);
    assert_eq!(decision.observed.iter().map(|rule| &**rule).collect::<Vec<_>>(), ["c"]);
}

#[test]
fn who_has_to_be_asked_is_told_and_changes_no_verdict() {
    let policy = load(
        "  - {id: all, effect: allow, when: 'true'}
  - {id: a, effect: consult, when: 'true', consult: {point: opa}}
  - {id: b, effect: consult, when: '!operation.stream', consult: {point: opa, on_failure: ignore}}
  - {id: c, effect: consult, mode: observe, when: 'true', consult: {point: other}}
",
    )
    .unwrap();
    let decision = policy.decide(&World::new().facts());
    assert_eq!(decision.verdict, Verdict::Allow);
    let asked: Vec<_> = decision.consult.iter().map(|it| (&*it.rule, &*it.point, it.on_failure)).collect();
    assert_eq!(asked, [("a", "opa", OnFailure::Block)]);
    assert_eq!(policy.consulted().map(|(point, _)| &**point).collect::<Vec<_>>(), ["opa", "opa", "other"]);
    for (wrong, said) in [
        ("  - {id: a, effect: consult, when: 'true'}\n", "consult"),
        ("  - {id: a, effect: consult, when: 'true', consult: {}}\n", "point"),
        (
            "  - {id: a, effect: consult, when: 'true', consult: {point: x, on_failure: allow}}\n",
            "on_failure",
        ),
        ("  - {id: a, effect: allow, when: 'true', consult: {point: x}}\n", "consult"),
    ] {
        let errors = load(wrong).unwrap_err();
        assert!(errors.iter().any(|error| error.message.contains(said)), "{wrong}: {errors:?}");
    }
}

#[test]
fn risk_is_read_by_score_and_by_name_and_unknown_falls_to_the_safe_side() {
    let policy = load(
        "  - {id: all, effect: allow, when: 'risk.score < 60'}
  - {id: tools, effect: block, when: '\"changed_tool\" in risk.signals'}
  - {id: many, effect: approve, when: 'size(risk.signals) > 1', approval: {approvers: ['group:g'], min: 1, ttl: 1m}}
",
    )
    .unwrap();
    assert!(policy.reads_risk() && policy.reads_findings());
    let verdict = |risk: Option<Risk>| policy.decide(&World { risk, ..World::new() }.facts()).verdict;
    assert_eq!(verdict(Some(Risk::default())), Verdict::Allow);
    assert_eq!(verdict(Some(Risk::of([Signal::ToolChanged]))), Verdict::Block);
    assert_eq!(verdict(Some(Risk::of([Signal::OffHours, Signal::Volume]))), Verdict::Approve);
    assert_eq!(verdict(None), Verdict::Block);
}
