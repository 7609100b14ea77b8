//! What conditions mean, and what is said about those that mean nothing.

use super::*;

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
        "'messages' in operation.fields && !operation.fields.exists(f, f.startsWith('guided_')) && size(operation.fields) == 2",
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
fn the_headers_that_rules_read_are_known() {
    let policy = allow("request.headers['X-Team'] == 'a' || has(request.headers.zone)").expect("loads");
    assert_eq!(policy.headers_read().collect::<Vec<_>>(), ["x-team", "zone"]);
}
