mod findings;
mod laws;
mod masks;

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::principal::PrincipalRef;
use crate::{ConnectionKind, OperationClass, PrincipalKind, Resource, Upstream, Verdict};

fn known(name: &str) -> bool {
    ["credentials", "pii"].contains(&name)
}

fn source(rules: &str) -> PolicySource {
    let text = format!("apiVersion: keyward/v1\nkind: Policy\nmetadata: {{name: test}}\nrules:\n{rules}");
    PolicySource { name: "test.yaml".to_owned(), text }
}

fn load(rules: &str) -> Result<PolicySet, Vec<PolicyError>> {
    PolicySet::load(&[source(rules)], &known)
}

fn allow(when: &str) -> Result<PolicySet, Vec<PolicyError>> {
    load(&format!("  - id: a\n    effect: allow\n    when: |-\n      {when}\n"))
}

/// The message and help of the only mistake in a condition.
fn mistake(when: &str) -> String {
    let errors = allow(when).expect_err(when);
    assert_eq!(errors.len(), 1, "{when}: {errors:?}");
    let error = &errors[0];
    format!("{} ({})", error.message, error.help.as_deref().unwrap_or(""))
}

#[derive(Debug, Clone)]
struct World {
    principal: Principal,
    connection: Connection,
    operation: Operation,
    headers: BTreeMap<String, String>,
    findings: Option<RequestFindings>,
    broken: Option<String>,
    now: Timestamp,
}

impl Headers for World {
    fn header(&self, name: &str) -> HeaderText<'_> {
        if self.broken.as_deref() == Some(name) {
            return HeaderText::Unreadable;
        }
        self.headers.get(name).map_or(HeaderText::Absent, |value| HeaderText::Text(Cow::Borrowed(value)))
    }
}

impl World {
    fn new() -> Self {
        Self {
            principal: Principal {
                issuer: "https://issuer.example".into(),
                subject: "alice".into(),
                kind: PrincipalKind::User,
                groups: vec!["eng".into(), "ops".into()],
                name: None,
                acting_for: vec![PrincipalRef {
                    issuer: "https://issuer.example".into(),
                    subject: "bob".into(),
                }],
            },
            connection: Connection {
                name: "models".into(),
                kind: ConnectionKind::OpenAi,
                upstream: Upstream {
                    https: true,
                    host: "models.example".into(),
                    port: 443,
                    base_path: "/v1".into(),
                },
                tags: BTreeMap::from([("env".to_owned(), "prod".to_owned())]),
            },
            operation: Operation {
                class: OperationClass::ChatCompletions,
                resource: Resource {
                    model: "small".to_owned(),
                    file: String::new(),
                    tools: vec!["search".to_owned()],
                },
                method: "POST".to_owned(),
                path: "/chat/completions".to_owned(),
                query: String::new(),
                stream: true,
                body_bytes: Some(600),
                touches_secret_file: false,
            },
            headers: BTreeMap::from([("x-team".to_owned(), "blue".to_owned())]),
            broken: None,
            findings: Some(RequestFindings {
                detectors: vec!["email".into(), "github_token".into()],
                groups: vec!["credentials".into(), "pii".into()],
                count: 3,
            }),
            // Saturday 2026-01-31, 22:05 UTC
            now: Timestamp::from_micros(1_769_897_100_000_000),
        }
    }

    fn facts(&self) -> Facts<'_> {
        let peer = Some(IpAddr::from([10, 0, 0, 7]));
        Facts {
            principal: &self.principal,
            connection: &self.connection,
            operation: &self.operation,
            request: RequestFacts { headers: self, peer, findings: self.findings.as_ref() },
            now: self.now,
        }
    }
}

fn matches(when: &str, world: &World) -> bool {
    let policy = allow(when).unwrap_or_else(|errors| panic!("{when}: {errors:?}"));
    policy.decide(&world.facts()).verdict == Verdict::Allow
}

#[test]
fn the_base_policy_loads_and_its_tests_pass() {
    let policy = PolicySet::load(&[PolicySource::base()], &known).expect("base policy");
    let results = policy.run_tests();
    assert!(results.len() >= 19);
    for result in &results {
        assert!(result.passed(), "{result:?}");
    }
    // Every rule is touched by a test that names it.
    for id in policy.rule_ids() {
        assert!(BASE.matches(&**id).count() >= 2, "no test names {id}");
    }
}

#[test]
fn conditions_mean_what_they_say() {
    let world = World::new();
    for when in [
        "operation.class == 'chat.completions' && 'eng' in principal.groups",
        "operation.class in ['embeddings', 'chat.completions']",
        "operation.class != 'unknown' && !operation.touches_secret_file",
        "operation.class.startsWith('chat.')",
        "principal.groups.exists(g, g.startsWith('en')) && principal.groups.all(g, size(g) == 3)",
        "principal.groups.exists_one(g, g == 'ops')",
        "principal.groups.exists(g, operation.resource.tools.all(t, g != t))",
        "principal.id == 'https://issuer.example#alice' && principal.kind == 'user'",
        "principal.acting_for.exists(p, p.endsWith('#bob')) && principal.acting_for.size() == 1",
        "connection.tags.env == 'prod' && connection.tags['env'] == 'prod' && has(connection.tags.env)",
        "connection.tags.zone == '' && !has(connection.tags.zone) && !('zone' in connection.tags)",
        "connection.upstream.host.endsWith('.example') && connection.name == 'models'",
        "request.headers['X-Team'] == 'blue' && 'x-team' in request.headers",
        "request.peer.startsWith('10.') || false",
        "operation.body_bytes > 500 && operation.body_bytes % 7 == 5 && operation.body_bytes + 1 <= 601",
        "operation.stream == true && (operation.stream ? true : false)",
        "time.hour >= 22 && time.weekday in ['sat', 'sun'] && time.date == '2026-01-31' && time.minute == 5",
        "time.hour in [21, 22] && time.year == 2026 && time.month == 1 && time.day == 31",
        "'PROD' == 'PROD' && request.headers['x-team'].lowerAscii() == 'blue'",
        "operation.path.contains('completions') && operation.method == 'POST' && -operation.body_bytes < 0",
        "has(operation.resource.model) && !has(operation.resource.file) && has(principal.groups)",
    ] {
        assert!(matches(when, &world), "{when}");
        assert!(!matches(&format!("!({when})"), &world), "not {when}");
    }
}

#[test]
fn mistakes_name_the_nearest_right_word() {
    for (when, expected) in [
        ("operation.classs == 'unknown'", "`operation` has no field `classs` (did you mean `class`?)"),
        ("operations.class == 'unknown'", "unknown name `operations` (did you mean `operation`?)"),
        (
            "operation.resource.modl == 'x'",
            "`operation.resource` has no field `modl` (did you mean `model`?)",
        ),
        (
            "operation.class == 'chat.completion'",
            "is not an operation class (did you mean `chat.completions`?)",
        ),
        ("'model.exprt' == operation.class", "did you mean `model.export`?"),
        ("operation.class in ['embeddings', 'chat']", "\"chat\" is not an operation class"),
        ("operation.class.startsWith('chats')", "fits nothing that is an operation class"),
        ("principal.kind == 'users'", "did you mean `user`?"),
        ("operation.class.foo == 'x'", "`operation.class` has no fields"),
        ("operation.class.foo.bar == 'x'", "has no fields"),
        ("operation", "`operation` is no value itself"),
        ("operation.class", "this is a text, and a boolean is needed here"),
        ("operation.class == 1", "a text is compared with a number"),
        ("operation.body_bytes", "this is a number"),
        ("principal.groups == ['eng']", "not compared as a whole"),
        ("principal.groups[0] == 'eng'", "has no places to ask for (use `in`, `exists` or `all`)"),
        ("principal.groups.exist(g, g == 'eng')", "did you mean `exists`?"),
        ("principal.groups.exists(g, h == 'eng')", "unknown name `h`"),
        ("principal.groups.exists(operation, true)", "already means something else"),
        ("principal.groups.map(g, g).size() == 1", "`map` cannot be used like this"),
        ("principal.name == 'Alice'", "is for people to read"),
        ("finding.detector == 'x'", "did you mean `detectors`"),
        ("request.headers['authorization'] == 'x'", "carries a credential"),
        ("request.headers[operation.path] == 'x'", "a text written out"),
        ("operation.method == 'post'", "write \"POST\""),
        ("operation.path == 'v1/models'", "paths start with `/`"),
        ("operation.class in []", "the list is empty"),
        ("operation.path.contains('')", "the empty text"),
        ("operation.stream && operation.path", "this is a text, and a boolean is needed here"),
        ("operation.body_bytes > 1.5", "no field holds a value of this type"),
        ("operation.path == null", "no field holds a value of this type"),
        ("time.weekday == 'sut'", "did you mean `sat`?"),
        ("false", "always false"),
        ("operation.path.matches('.*')", "cannot be used like this"),
    ] {
        let got = mistake(when);
        assert!(got.contains(expected), "{when}: {got}");
    }
}

#[test]
fn mistakes_stand_where_they_are() {
    let text = "apiVersion: keyward/v1\nkind: Policy\nmetadata: {name: x}\nrules:\n  \
        - {id: one, effect: allow, when: 'operation.stream && operation.classs == \"x\"'}\n  \
        - id: two\n    efect: allow\n    when: |\n      operation.stream\n      && principal.kind == 'usr'\n  \
        - id: TWO\n    effect: mask\n    when: 'true'\n    mask: {detect: [credentals], where: []}\n";
    let source = PolicySource { name: "p.yaml".to_owned(), text: text.to_owned() };
    let errors = PolicySet::load(&[source], &known).expect_err("must not load");
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
    assert!(PolicySet::load(&[], &known).is_err());
    let empty = PolicySource { name: "e".to_owned(), text: String::new() };
    assert!(PolicySet::load(&[empty], &known).is_err());
    let one = PolicySource { name: "one".to_owned(), ..source("  - {id: a, effect: allow, when: 'true'}\n") };
    let two = PolicySource { name: "two".to_owned(), ..one.clone() };
    let errors = PolicySet::load(&[one, two], &known).expect_err("the same id in two sources");
    assert_eq!(errors[0].file, "two");
    assert_eq!(errors[0].help.as_deref(), Some("the other one stands in one, line 5"));
}

const LADDER: &str = "  - {id: z-allow, effect: allow, when: 'true'}
  - {id: y-approve, effect: approve, when: 'operation.stream', reason: Y, approval: {approvers: ['group:g', 'group:h'], min: 1, ttl: 1h}}
  - {id: b-approve, effect: approve, when: 'operation.stream', message: B, approval: {approvers: ['group:k'], min: 2, ttl: 30m}}
  - {id: a-block, effect: block, when: 'operation.touches_secret_file', message: No}
  - {id: n-block, effect: block, mode: observe, when: 'true'}
  - {id: m-one, effect: mask, when: 'true', mask: {detect: [credentials], where: [stream]}}
  - {id: m-two, effect: mask, when: 'operation.stream', mask: {detect: [pii], where: [response], style: token}}
";

#[test]
fn block_over_approve_over_allow_and_obligations_add_up() {
    let policy = load(LADDER).expect("loads");
    let mut world = World::new();
    let decision = policy.decide(&world.facts());
    assert_eq!(decision.verdict, Verdict::Approve);
    assert_eq!(decision.rule.as_deref(), Some("b-approve"));
    assert_eq!(decision.reason.as_deref(), Some("B"));
    let approval = decision.approval.clone().expect("approval");
    assert_eq!((approval.min, approval.ttl), (2, Duration::from_mins(30)));
    assert_eq!(approval.approvers, ["group:k"]);
    assert_eq!(approval.and, [["group:g", "group:h"]]);
    let with = |groups: &[&str]| {
        let mut approver = world.principal.clone();
        approver.groups = groups.iter().map(|g| Arc::from(*g)).collect();
        approval.names(&approver)
    };
    assert!(with(&["k", "h"]));
    assert!(!with(&["k"]) && !with(&["g", "h"]) && !with(&["group:k", "h"]) && !with(&[]));
    assert_eq!(decision.mask.iter().map(|m| &*m.rule).collect::<Vec<_>>(), ["m-one", "m-two"]);
    assert_eq!(
        decision.matched.iter().map(|m| &**m).collect::<Vec<_>>(),
        ["b-approve", "m-one", "m-two", "y-approve", "z-allow"]
    );
    assert_eq!(decision.observed.iter().map(|m| &**m).collect::<Vec<_>>(), ["n-block"]);

    world.operation.touches_secret_file = true;
    let decision = policy.decide(&world.facts());
    assert_eq!((decision.verdict, decision.rule.as_deref()), (Verdict::Block, Some("a-block")));
    assert!(decision.approval.is_none());

    world.operation.touches_secret_file = false;
    world.operation.stream = false;
    let decision = policy.decide(&world.facts());
    assert_eq!((decision.verdict, decision.rule.as_deref()), (Verdict::Allow, Some("z-allow")));
    assert_eq!(decision.mask.len(), 1);
}

#[test]
fn approvers_are_named_by_issuer_and_subject() {
    let rule = crate::ApprovalRule {
        approvers: vec!["user:https://issuer.example#alice".to_owned()],
        and: Vec::new(),
        min: 1,
        ttl: Duration::from_secs(1),
    };
    let mut principal = World::new().principal;
    assert!(rule.names(&principal));
    principal.issuer = "https://other.example".into();
    assert!(!rule.names(&principal));
}

#[test]
fn nothing_allows_by_default() {
    let policy = load("  - {id: m, effect: mask, when: 'true', mask: {detect: [pii], where: [stream]}}\n")
        .expect("loads");
    let decision = policy.decide(&World::new().facts());
    assert_eq!((decision.verdict, decision.rule.clone()), (Verdict::Block, None));
}

#[test]
fn a_condition_that_fails_falls_to_the_safe_side() {
    let rules = |when: &str| {
        format!(
            "  - {{id: a, effect: allow, when: 'true'}}\n  - {{id: b, effect: block, when: {when}}}\n  \
             - {{id: m, effect: mask, when: {when}, mask: {{detect: [pii], where: [stream]}}}}\n"
        )
    };
    let mut world = World::new();
    world.broken = Some("x-team".to_owned());
    world.operation.body_bytes = None;
    for when in [
        "'request.headers[\"x-team\"] == \"red\"'",
        "'operation.body_bytes > 100000'",
        "'operation.body_bytes < 100000'",
        "'1 / (operation.resource.tools.size() - 1) == 5'",
        "'9223372036854775807 + operation.resource.tools.size() == 5'",
    ] {
        let policy = load(&rules(when)).expect(when);
        let decision = policy.decide(&world.facts());
        assert_eq!((decision.verdict, decision.mask.len()), (Verdict::Block, 1), "{when}");
        assert!(!matches(when.trim_matches('\''), &world), "an allow rule must not match: {when}");
    }
    // As in CEL, a side that decides alone wins over one that fails.
    assert!(matches("operation.body_bytes > 5 || operation.stream", &world));
    let policy = load(&rules("'operation.body_bytes > 5 && !operation.stream'")).expect("loads");
    assert_eq!(policy.decide(&world.facts()).verdict, Verdict::Allow);
}

#[test]
fn hostile_conditions_are_errors() {
    let texts = [
        "(".repeat(2000),
        "[".repeat(1900),
        "!".repeat(2000) + "true",
        "-".repeat(2000) + "1 == 1",
        "! ".repeat(1000) + "true",
        "true ? ".repeat(250) + "true",
        "true ? true : ".repeat(140) + "true",
        "a.".repeat(1000) + "b",
        "a[".repeat(1000),
        "1+".repeat(1000) + "1 == 1",
        "true == ".repeat(250) + "true",
        "'".to_owned() + &"\\".repeat(1000),
        "\u{0}\u{1}\u{ffff}".to_owned(),
        "r'".to_owned(),
        "b'\\xff' == b''".to_owned(),
        "9999999999999999999999 == 1".to_owned(),
        "\\u{110000}".to_owned(),
        "`a` == 'b'".to_owned(),
        "a.?b".to_owned(),
        "x".repeat(CONDITION_BYTES_MAX + 1),
        "{}.a".to_owned(),
        "Foo{a: 1}".to_owned(),
        "principal.groups.exists(g, ".repeat(70) + "true" + &")".repeat(70),
        "...".to_owned(),
        "true &&".to_owned(),
        String::new(),
    ];
    for text in texts {
        let yaml = serde_json::to_string(&text).expect("json");
        let rules = format!("  - {{id: a, effect: allow, when: {yaml}}}\n");
        assert!(load(&rules).is_err(), "{text:.40}");
    }
    let long = "operation.stream || ".repeat(100) + "true";
    assert!(long.len() <= CONDITION_BYTES_MAX && allow(&long).is_ok());
    let exact = format!("{}true", " ".repeat(CONDITION_BYTES_MAX - 4));
    let json = serde_json::to_string(&exact).expect("json");
    assert!(load(&format!("  - {{id: a, effect: allow, when: {json}}}\n")).is_ok());
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
    assert!(PolicySet::load(std::slice::from_ref(&long), &known).is_ok());
    long.text.push('x');
    assert!(PolicySet::load(&[long], &known).is_err());

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
        |sources: &[PolicySource]| PolicySet::load(sources, &known).expect("loads").version().to_string();
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
    let results = policy.run_tests();
    assert_eq!(results.len(), 1);
    assert_eq!(results[0].line, 7);
    assert_eq!(results[0].failure.as_deref(), Some("the verdict is allow (by a), not block; rule a matched"));
}

#[test]
fn the_headers_that_rules_read_are_known() {
    let policy = allow("request.headers['X-Team'] == 'a' || has(request.headers.zone)").expect("loads");
    assert_eq!(policy.headers_read().collect::<Vec<_>>(), ["x-team", "zone"]);
}

#[test]
fn decisions_are_remembered_within_bounds() {
    let policy =
        load("  - {id: a, effect: allow, when: 'operation.path == \"/7\" || operation.query == \"q\"'}\n")
            .expect("loads");
    let mut world = World::new();
    for n in 0..(3 * DECISIONS_MAX) {
        world.operation.path = format!("/{n}");
        let expected = if n == 7 { Verdict::Allow } else { Verdict::Block };
        assert_eq!(policy.decide(&world.facts()).verdict, expected);
    }
    assert!(policy.cache.len() <= 2 * DECISIONS_MAX);
    let before = policy.cache.len();
    world.operation.path = format!("/{}", "x".repeat(KEY_BYTES_MAX));
    for _ in 0..2 {
        assert_eq!(policy.decide(&world.facts()).verdict, Verdict::Block);
    }
    assert_eq!(policy.cache.len(), before, "too long a key is not remembered");
    // A fact that no rule reads does not make another decision.
    world.operation.path = "/7".to_owned();
    let first = policy.decide(&world.facts());
    world.operation.resource.model = "other".to_owned();
    assert!(Arc::ptr_eq(&first, &policy.decide(&world.facts())));
}
