//! What detectors found in a request, as conditions read it.

use super::*;

#[test]
fn conditions_read_what_was_found() {
    let world = World::new();
    for when in [
        "finding.count == 3",
        "finding.count > 0 && size(finding.detectors) == 2",
        "\"github_token\" in finding.detectors",
        "\"credentials\" in finding.groups && !(\"known\" in finding.groups)",
        "finding.detectors.exists(it, it.startsWith(\"git\"))",
    ] {
        assert!(matches(when, &world), "{when}");
    }
    for when in ["finding.count > 3", "\"aws\" in finding.detectors", "finding.groups.all(it, it == \"pii\")"]
    {
        assert!(!matches(when, &world), "{when}");
    }
    assert!(allow("finding.count > 0").unwrap().reads_findings());
    assert!(allow("\"pii\" in finding.groups").unwrap().reads_findings());
    assert!(!allow("operation.stream").unwrap().reads_findings());
}

#[test]
fn a_request_that_was_not_looked_into_fails_closed() {
    let mut world = World::new();
    world.findings = None;
    for when in ["finding.count == 0", "size(finding.groups) == 0", "!(\"credentials\" in finding.groups)"] {
        assert!(!matches(when, &world), "an allow rule does not match: {when}");
        let rules = format!(
            "  - {{id: all, effect: allow, when: 'true'}}\n  - {{id: no, effect: block, when: '{when}'}}\n"
        );
        let policy = load(&rules).unwrap();
        assert_eq!(policy.decide(&world.facts()).verdict, Verdict::Block, "a block rule does: {when}");
    }
    // What was remembered for a request without findings is not given to one that nobody looked into.
    let policy = allow("finding.count == 3").unwrap();
    assert_eq!(policy.decide(&World::new().facts()).verdict, Verdict::Allow);
    assert_eq!(policy.decide(&world.facts()).verdict, Verdict::Block);
}

#[test]
fn tests_in_documents_say_what_was_found() {
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: no-keys, effect: block, when: '\"credentials\" in finding.groups'}
tests:
  - {name: a key, given: {finding: {detectors: [github_token], groups: [credentials]}}, expect: {verdict: block, rules: [no-keys]}}
  - {name: nothing, given: {}, expect: {verdict: allow, not_rules: [no-keys]}}
";
    let results = load(rules).unwrap().run_tests().results;
    assert_eq!(results.len(), 2);
    assert!(results.iter().all(TestResult::passed), "{results:?}");
}
