//! What documents may hold, how much of it, and where mistakes are shown.

use super::*;

#[test]
fn mistakes_stand_where_they_are() {
    let text = "apiVersion: keyward/v1\nkind: Policy\nmetadata: {name: x}\nrules:\n  \
        - {id: one, effect: allow, when: 'operation.stream && operation.classs == \"x\"'}\n  \
        - id: two\n    efect: allow\n    when: |\n      operation.stream\n      && principal.kind == 'usr'\n  \
        - id: TWO\n    effect: mask\n    when: 'true'\n    mask: {detect: [credentals], where: []}\n";
    let source = PolicySource { name: "p.yaml".to_owned(), text: text.to_owned() };
    let errors = PolicySet::load(&[source], DETECTORS).expect_err("must not load");
    let places: Vec<(u64, u64)> = errors.iter().map(|e| (e.line, e.column)).collect();
    assert_eq!(errors[0].to_string(), "p.yaml:5:66: `operation` has no field `classs`");
    assert!(places.contains(&(7, 5)), "unknown key `efect`: {errors:?}");
    assert!(places.contains(&(11, 9)), "id: {errors:?}");
    assert!(places.contains(&(14, 21)), "detector: {errors:?}");
    assert!(errors.iter().any(|e| e.message.contains("masks nowhere")), "{errors:?}");
    assert!(errors.len() >= 6, "all at once: {errors:?}");
}

#[test]
fn what_would_do_nothing_does_not_load() {
    let approve = |approval: &str| {
        load(&format!("  - {{id: a, effect: approve, when: 'true', approval: {approval}}}\n"))
    };
    let good = "{approvers: ['group:g'], min: 1, ttl: 15m}";
    assert!(approve(good).is_ok());
    for (approval, expected) in [
        ("{approvers: [], min: 1, ttl: 15m}", "nobody could approve"),
        ("{approvers: ['g'], min: 1, ttl: 15m}", "`g` is no approver"),
        ("{approvers: ['group:g'], min: 0, ttl: 15m}", "`min` is 0"),
        ("{approvers: ['group:g'], min: 21, ttl: 15m}", "`min` is 21"),
        ("{approvers: ['user:i#a'], min: 2, ttl: 15m}", "2 people must approve, and 1 are named"),
        ("{approvers: ['group:g'], ttl: 0m}", "more than 0"),
        ("{approvers: ['group:g'], ttl: 8d}", "at most 7d"),
        ("{approvers: ['group:g'], ttl: soon}", "is no duration"),
        ("{approvers: ['group:g']}", "needs `ttl`"),
        ("{approvers: ['group:g'], ttl: 1m, bind: session}", "`bind` cannot be `session`"),
    ] {
        let errors = approve(approval).expect_err(approval);
        assert!(errors.iter().any(|e| e.message.contains(expected)), "{approval}: {errors:?}");
    }
    for (rules, expected) in [
        ("  []\n", "has no rule"),
        ("  - {id: a, effect: approve, when: 'true'}\n", "needs `approval`"),
        ("  - {id: a, effect: mask, when: 'true'}\n", "needs `mask`"),
        ("  - {id: a, effect: mask, when: 'true', mask: {detect: [], where: [stream]}}\n", "masks nothing"),
        ("  - {id: a, effect: allow, when: 'true', mask: {detect: [pii]}}\n", "does nothing"),
        ("  - {id: a, effect: limit, when: 'true'}\n", "needs `limit`"),
        ("  - {id: a, effect: limit, when: 'true', limit: {per: 1h}}\n", "limits nothing"),
        ("  - {id: a, effect: limit, when: 'true', limit: {requests: 5}}\n", "needs `per`"),
        ("  - {id: a, effect: limit, when: 'true', limit: {requests: 0, per: 1h}}\n", "`requests` is 0"),
        ("  - {id: a, effect: limit, when: 'true', limit: {tokens: 5, per: 32d}}\n", "at most 31d"),
        (
            "  - {id: a, effect: limit, when: 'true', limit: {bytes: 5, per: 1h, by: team}}\n",
            "`by` cannot be `team`",
        ),
        ("  - {id: a, effect: block, when: 'true', limit: {bytes: 5, per: 1h}}\n", "does nothing"),
        ("  - {id: a, effect: permit, when: 'true'}\n", "`effect` cannot be `permit`"),
        ("  - {id: a, effect: allow}\n", "needs `when`"),
        ("  - {id: a, effect: allow, when: 'true', mode: off}\n", "`mode`"),
        (
            "  - {id: a, effect: allow, when: 'true'}\n  - {id: a, effect: block, when: 'true'}\n",
            "two rules `a`",
        ),
        ("  - {id: a, effect: allow, effect: block, when: 'true'}\n", "not valid YAML"),
        (
            "  - {id: a, effect: allow, when: 'true'}\ntests:\n  - {name: t, given: {}, expect: {verdict: allow, rules: [b]}}\n",
            "there is no rule `b`",
        ),
        (
            "  - {id: a, effect: allow, when: 'true'}\ntests:\n  - {name: t, given: {principle: {}}, expect: {verdict: allow}}\n",
            "unknown key `principle`",
        ),
    ] {
        let errors = load(rules).expect_err(rules);
        assert!(errors.iter().any(|e| e.message.contains(expected)), "{rules}: {errors:?}");
    }
    assert!(PolicySet::load(&[], DETECTORS).is_err());
    let empty = PolicySource { name: "e".to_owned(), text: String::new() };
    assert!(PolicySet::load(&[empty], DETECTORS).is_err());
    let one = PolicySource { name: "one".to_owned(), ..source("  - {id: a, effect: allow, when: 'true'}\n") };
    let two = PolicySource { name: "two".to_owned(), ..one.clone() };
    let errors = PolicySet::load(&[one, two], DETECTORS).expect_err("the same id in two sources");
    assert_eq!(errors[0].file, "two");
    assert_eq!(errors[0].help.as_deref(), Some("the other one stands in one, line 5"));
}

#[test]
fn limits_hold_at_the_limit() {
    let rule = |id: &str, message: &str| {
        format!("  - {{id: {id}, effect: allow, when: 'true', message: '{message}'}}\n")
    };
    assert!(load(&rule(&"a".repeat(RULE_ID_BYTES_MAX), "m")).is_ok());
    assert!(load(&rule(&"a".repeat(RULE_ID_BYTES_MAX + 1), "m")).is_err());
    assert!(load(&rule("a", &"é".repeat(MESSAGE_CHARS_MAX))).is_ok());
    assert!(load(&rule("a", &"é".repeat(MESSAGE_CHARS_MAX + 1))).is_err());

    let rules = |count: usize| (0..count).map(|n| rule(&format!("r{n}"), "m")).collect::<Vec<_>>().concat();
    assert!(load(&rules(RULES_MAX)).is_ok());
    let errors = load(&rules(RULES_MAX + 1)).expect_err("too many rules");
    assert!(errors[0].message.contains("2001 rules"), "{errors:?}");

    let mut long = source(&rule("a", "m"));
    long.text.push('#');
    long.text.push_str(&"x".repeat(SOURCE_BYTES_MAX - long.text.len()));
    assert!(PolicySet::load(std::slice::from_ref(&long), DETECTORS).is_ok());
    long.text.push('x');
    assert!(PolicySet::load(&[long], DETECTORS).is_err());

    // Each level is one `!`; the flag at the bottom is one more.
    let nested = |levels: usize| format!("{}operation.stream{}", "!(".repeat(levels), ")".repeat(levels));
    assert!(allow(&nested(CONDITION_DEPTH_MAX - 1)).is_ok());
    assert!(allow(&nested(CONDITION_DEPTH_MAX)).is_err());
}

#[test]
fn the_version_follows_names_and_texts_alone() {
    let a = PolicySource { name: "a".to_owned(), ..source("  - {id: a, effect: allow, when: 'true'}\n") };
    let b = PolicySource {
        name: "b".to_owned(),
        ..source("  - {id: b, effect: block, when: 'operation.stream'}\n")
    };
    let version =
        |sources: &[PolicySource]| PolicySet::load(sources, DETECTORS).expect("loads").version().to_string();
    let both = version(&[a.clone(), b.clone()]);
    assert_eq!(both.len(), 64);
    assert_eq!(both, version(&[b.clone(), a.clone()]));
    assert_ne!(both, version(std::slice::from_ref(&a)));
    let renamed = PolicySource { name: "c".to_owned(), ..b };
    assert_ne!(both, version(&[a, renamed]));
}

#[test]
fn a_failing_test_says_what_differed() {
    let policy = load(
        "  - {id: a, effect: allow, when: 'operation.stream'}\ntests:\n  \
         - {name: t, given: {operation: {stream: true}}, expect: {verdict: block, not_rules: [a]}}\n",
    )
    .expect("loads");
    let results = policy.run_tests().results;
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].line, 7);
    assert_eq!(results[0].failure.as_deref(), Some("the verdict is allow (by a), not block; rule a matched"));
}

#[test]
fn rules_that_no_test_touches_are_named() {
    let policy = load(
        "  - {id: b, effect: block, when: 'operation.touches_secret_file'}
  - {id: a, effect: allow, when: 'operation.stream'}
  - {id: o, effect: block, mode: observe, when: 'operation.stream'}
  - {id: c, effect: block, when: 'operation.class == \"shell.exec\"'}
tests:
  - {name: t, given: {operation: {stream: true}}, expect: {verdict: allow, not_rules: [b]}}
",
    )
    .expect("loads");
    let untouched: Vec<(String, u64)> =
        policy.run_tests().untouched.iter().map(|place| (place.rule.to_string(), place.line)).collect();
    assert_eq!(untouched, [("b".to_owned(), 5), ("c".to_owned(), 8)]);
}

/// The mistake stands at `@`, whichever way the condition is written.
#[test]
fn a_mistake_in_any_scalar_has_its_own_place() {
    for when in [
        "when: operation.path != '/é' && operation@.classs == 'é'",
        "when: 'true || ''usrr'' == principal@.knd'",
        r#"when: "true || \"é\" == principal@.knd || true""#,
        "when: \"'a' in principal.groups && 5 < operation@.body_byte\"",
        "when: '''a'' in principal.groups && ''b'' == operation@.classs'",
        "when: >-\n      operation.stream\n      && (true\n      || 'x' == operation@.classs)",
        "when: |\n      'é' in principal.groups\n      && 'usr' == principal@.knd",
        "when: >\n\n      operation.stream\n        && 5 > operation@.body_byte",
        "when: operation.stream &&\n      true && 'x' == operation@.classs",
    ] {
        let rules = format!("  - id: a\n    effect: allow\n    {when}\n");
        let marked = source(&rules).text;
        let above = marked.split('@').next().expect("marked");
        let want = (above.lines().count(), above.lines().last().map_or(0, |line| line.chars().count()));
        let errors = load(&rules.replace('@', "")).expect_err(when);
        let [error] = errors.as_slice() else { panic!("{when}: {errors:?}") };
        assert_eq!((error.line, error.column), (want.0 as u64, want.1 as u64 + 1), "{when}: {error}");
    }
}

#[test]
fn the_nearest_detector_is_named() {
    let errors =
        load("  - {id: m, effect: mask, when: 'true', mask: {detect: [credentals], where: [stream]}}\n");
    let help = errors.expect_err("no such detector")[0].help.clone().expect("help");
    assert!(help.starts_with("did you mean `credentials`? `keyward mask --list`"), "{help}");
}
