//! Who may approve, and who may as well once nobody decided for a while.

use super::*;
use crate::{Approvers, Decision, OWNER};

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

const OWNED: &str = "  - {id: a, effect: approve, when: 'connection.name != \"free\"', reason: Ask, approval: {approvers: [owner, 'group:g'], \
    bind: operation, ttl: 1h, grant: 1h, escalate: {after: 10m, to: [owner, 'group:leads']}}}\n";

#[test]
fn the_owner_is_whoever_owns_the_connection() {
    let policy = load(OWNED).expect("loads");
    let mut world = World::new();
    world.connection.owners =
        vec!["group:platform".to_owned(), "user:https://issuer.example#carol".to_owned()];
    let asked = policy.decide(&world.facts()).approval.clone().expect("an approval");
    assert_eq!(asked.approvers.names, ["group:platform", "user:https://issuer.example#carol", "group:g"]);
    let escalate = asked.approvers.escalate.as_ref().expect("an escalation");
    assert_eq!(escalate.to, ["group:platform", "user:https://issuer.example#carol", "group:leads"]);
    assert!(
        asked.names(&with(&["platform"]), Duration::ZERO) && !asked.names(&with(&[OWNER]), Duration::ZERO)
    );
    let carol = Principal { subject: "carol".into(), ..with(&[]) };
    assert!(asked.names(&carol, Duration::ZERO));
    // What is remembered is remembered for these owners.
    world.connection.owners = vec!["group:others".to_owned()];
    let others = policy.decide(&world.facts()).approval.clone().expect("an approval");
    assert_eq!(others.approvers.names, ["group:others", "group:g"]);
    assert!(!others.covers(&asked) && !asked.covers(&others), "a window of other owners is another");
    let window = policy.window_for(&[OperationClass::ChatCompletions], &world.connection);
    assert!(window.expect("a window").covers(&others));
    // As it stands in the rule it names nobody.
    let rule = asked_as_written();
    assert!(rule.asks_owner() && !rule.names(&with(&[OWNER, "owner"]), Duration::from_mins(59)));
}

/// The rule before anybody looked up the owners.
fn asked_as_written() -> ApprovalRule {
    ApprovalRule {
        approvers: vec![OWNER.to_owned()].into(),
        and: Vec::new(),
        min: 1,
        ttl: Duration::from_hours(1),
        bind: crate::Bind::Request,
        grant: None,
        moderated: None,
    }
}

#[test]
fn a_connection_without_an_owner_is_refused_whoever_else_is_named() {
    let policy = load(OWNED).expect("loads");
    let mut world = World::new();
    world.connection.owners.clear();
    let decision = policy.decide(&world.facts());
    assert_eq!((decision.verdict, decision.rule.as_deref()), (Verdict::Block, Some("a")));
    let reason = decision.reason.as_deref().expect("a sentence");
    assert!(reason.contains("owner of the connection `models`") && decision.approval.is_none(), "{reason}");
    assert_eq!(policy.window_for(&[OperationClass::ChatCompletions], &world.connection), None);
    let explained = policy.explain(&world.facts());
    assert!(explained.rules[0].values.iter().any(|seen| seen.field == "connection.owners"), "{explained:?}");
    // Beside another rule that would ask others, too.
    let both = load(&format!(
        "{OWNED}  - {{id: b, effect: approve, when: 'true', reason: B, approval: {{approvers: ['group:h'], ttl: 1h}}}}\n"
    ));
    assert_eq!(both.expect("loads").decide(&world.facts()).verdict, Verdict::Block);
    let named: Vec<_> = policy.asks_owner_of("models").map(|place| place.rule.to_string()).collect();
    assert_eq!(named, ["a"]);
}

#[test]
fn conditions_read_who_owns_the_connection() {
    let world = World::new();
    assert!(matches("\"group:platform\" in connection.owners && size(connection.owners) == 1", &world));
    assert!(matches("connection.owners.exists(owner, owner.startsWith(\"group:\"))", &world));
}
