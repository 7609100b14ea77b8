//! Who may approve, and who may as well once nobody decided for a while.

use super::*;
use crate::{Approvers, Decision};

fn asks(approval: &str) -> Result<PolicySet, Vec<PolicyError>> {
    load(&format!("  - {{id: a, effect: approve, when: 'true', approval: {approval}}}\n"))
}

/// What is asked for by rules with these approvals, all of which match.
fn asked(approvals: &[&str]) -> ApprovalRule {
    let rule = |(number, approval): (usize, &&str)| {
        format!("  - {{id: r{number}, effect: approve, when: 'true', approval: {approval}}}\n")
    };
    let rules: String = approvals.iter().enumerate().map(rule).collect();
    let decision: Decision = load(&rules).expect("loads").decide_anew(&World::new().facts());
    decision.approval.expect("an approval")
}

fn with(groups: &[&str]) -> Principal {
    let groups = groups.iter().map(|group| Arc::from(*group)).collect();
    Principal { groups, ..World::new().principal }
}

#[test]
fn mistakes_in_an_escalation_stand_where_they_are() {
    let escalate = |it: &str| asks(&format!("{{approvers: ['group:g'], ttl: 1h, escalate: {it}}}"));
    assert!(escalate("{after: 15m, to: ['group:leads', 'user:i#a']}").is_ok());
    assert!(escalate("{after: 3599s, to: ['group:leads']}").is_ok());
    for (written, expected) in [
        ("{after: 1h, to: ['group:leads']}", "is over before it escalates"),
        ("{after: 2h, to: ['group:leads']}", "is over before it escalates"),
        ("{after: 0m, to: ['group:leads']}", "`after` must be more than 0"),
        ("{after: soon, to: ['group:leads']}", "is no duration"),
        ("{after: 15m, to: []}", "`to` adds nobody"),
        ("{after: 15m, to: ['group:g', 'group:g']}", "`to` adds nobody"),
        ("{after: 15m, to: ['leads']}", "`leads` is no approver"),
        ("{after: 15m, to: ['user:a']}", "`user:a` is no approver"),
        ("{after: 15m}", "needs `to`"),
        ("{to: ['group:leads']}", "needs `after`"),
        ("{after: 15m, to: ['group:leads'], min: 2}", "unknown key `min`"),
        ("15m", "must be a mapping"),
    ] {
        let errors = escalate(written).expect_err(written);
        assert!(errors.iter().any(|e| e.message.contains(expected)), "{written}: {errors:?}");
    }
    let text = "  - id: a\n    effect: approve\n    when: 'true'\n    approval:\n      approvers: ['group:g']\n      \
        ttl: 10m\n      escalate:\n        after: 10m\n        to: ['group:leads']\n";
    let errors = load(text).expect_err("the same time");
    assert_eq!((errors.len(), errors[0].line, errors[0].column), (1, 12, 16), "{errors:?}");
    // So many people can come together only with those who are added.
    let people = |min: u32| {
        asks(&format!(
            "{{approvers: ['user:i#a'], min: {min}, ttl: 1h, escalate: {{after: 1m, to: ['user:i#b']}}}}"
        ))
    };
    assert!(people(2).is_ok() && people(3).is_err());
}

#[test]
fn an_escalation_adds_people_from_its_time_on_and_takes_none_away() {
    let rule =
        asked(&["{approvers: ['group:g'], min: 2, ttl: 1h, escalate: {after: 15m, to: ['group:leads']}}"]);
    let minutes = Duration::from_mins;
    for waited in [Duration::ZERO, Duration::from_micros(899_999_999), minutes(15), minutes(59)] {
        assert!(rule.names(&with(&["g"]), waited), "{waited:?}");
        assert_eq!(rule.names(&with(&["leads"]), waited), waited >= minutes(15), "{waited:?}");
        assert!(!rule.names(&with(&["eng"]), waited));
    }
    assert_eq!(rule.named_after(&with(&["leads"])), Some(minutes(15)));
    assert_eq!(rule.named_after(&with(&["leads", "g"])), Some(Duration::ZERO));
    assert_eq!(rule.min, 2, "as many people as before");
    assert_eq!(rule.next_escalation(Duration::ZERO), Some(minutes(15)));
    assert_eq!(rule.next_escalation(minutes(15)), None);
    assert_eq!(rule.to_string(), "2 people of group:g, after 15 min also of group:leads");
}

#[test]
fn where_several_rules_ask_each_escalates_for_itself() {
    let minutes = Duration::from_mins;
    let rule = asked(&[
        "{approvers: ['group:g'], ttl: 1h, escalate: {after: 10m, to: ['group:leads']}}",
        "{approvers: ['group:h'], ttl: 2h, escalate: {after: 20m, to: ['group:leads', 'group:chiefs']}}",
    ]);
    assert_eq!(rule.named_after(&with(&["g", "h"])), Some(Duration::ZERO));
    assert_eq!(rule.named_after(&with(&["leads"])), Some(minutes(20)), "the later of both");
    assert_eq!(rule.named_after(&with(&["leads", "h"])), Some(minutes(10)));
    assert_eq!(rule.named_after(&with(&["chiefs"])), None, "one of each list");
    assert_eq!(rule.next_escalation(minutes(10)), Some(minutes(20)));

    // A rule that lets nobody be added holds, also over one with the same approvers that does.
    let (escalates, plain) = (
        "{approvers: ['group:g'], ttl: 1h, escalate: {after: 10m, to: ['group:leads']}}",
        "{approvers: ['group:g'], ttl: 1h}",
    );
    for both in [[escalates, plain], [plain, escalates]] {
        let rule = asked(&both);
        assert_eq!(rule.lists().count(), 1, "{rule}");
        assert_eq!(rule.named_after(&with(&["leads"])), None);
    }
    // The shorter time to live may end it before it escalates.
    let short = asked(&[escalates, "{approvers: ['group:leads', 'group:g'], ttl: 5m}"]);
    assert_eq!((short.named_after(&with(&["leads"])), short.next_escalation(Duration::ZERO)), (None, None));
}

#[test]
fn a_window_that_others_may_have_approved_is_not_one_of_a_rule_without_them() {
    let plain = asked(&["{approvers: ['group:g'], ttl: 1h}"]);
    let escalates =
        asked(&["{approvers: ['group:g'], ttl: 1h, escalate: {after: 10m, to: ['group:leads']}}"]);
    let later = asked(&["{approvers: ['group:g'], ttl: 1h, escalate: {after: 20m, to: ['group:leads']}}"]);
    assert!(escalates.covers(&escalates) && plain.covers(&escalates));
    assert!(!escalates.covers(&plain) && !escalates.covers(&later));
}

#[test]
fn approvers_are_written_as_before_where_nobody_is_added() {
    let plain: Approvers = vec!["group:g".to_owned()].into();
    assert_eq!(serde_json::json!(plain), serde_json::json!(["group:g"]));
    let rule = asked(&["{approvers: ['group:g'], ttl: 1h, escalate: {after: 10m, to: ['group:leads']}}"]);
    let text = serde_json::json!(rule).to_string();
    assert_eq!(serde_json::from_str::<ApprovalRule>(&text).expect("reads back"), rule);
}
