//! Facts that are written down and read again, and why a decision fell as it did.

use super::*;

fn scene() -> Scene {
    let world = World::new();
    Scene {
        principal: world.principal,
        connection: Connection {
            // Not of the facts: a scene writes down what conditions read.
            upstream: Upstream {
                https: true,
                host: "models.example".into(),
                port: 443,
                base_path: "".into(),
            },
            ..world.connection
        },
        operation: world.operation,
        headers: SceneHeaders::Known(world.headers),
        peer: Some(IpAddr::from([10, 0, 0, 7])),
        risk: world.risk,
        findings: world.findings,
        now: world.now,
    }
}

#[test]
fn a_scene_is_read_as_it_was_written() {
    let known = scene();
    let read = Scene::parse("x", &known.given().to_string()).expect("reads");
    assert_eq!(read, known);
    let unknown = Scene {
        headers: SceneHeaders::Unknown,
        findings: None,
        peer: None,
        operation: Operation { body_bytes: None, ..known.operation.clone() },
        ..known
    };
    assert_eq!(Scene::parse("x", &unknown.given().to_string()).expect("reads"), unknown);
}

#[test]
fn what_is_no_scene_is_told() {
    for (text, says) in [
        ("", "no policy document"),
        ("[]", "must be a mapping"),
        ("{principle: {}}", "unknown key `principle`"),
        ("{time: noon}", "no point in time"),
    ] {
        let errors = Scene::parse("facts", text).expect_err(text);
        assert!(errors[0].message.contains(says) || text.is_empty(), "{text}: {errors:?}");
        assert_eq!(errors[0].file, "facts");
    }
}

#[test]
fn each_rule_says_whether_it_matched_and_what_it_read() {
    let policy = load(
        "  - {id: a, effect: allow, when: '\"eng\" in principal.groups && operation.stream'}
  - {id: b, effect: block, when: 'connection.tags.env == \"test\" || has(connection.tags.zone)'}
  - {id: c, effect: block, mode: observe, when: 'request.headers[\"X-Lost\"] == \"x\"'}
  - {id: d, effect: allow, when: 'request.headers[\"x-lost\"] == \"x\"'}
",
    )
    .expect("loads");
    let mut world = World::new();
    world.broken = Some("x-lost".to_owned());
    let explained = policy.explain(&world.facts());
    assert_eq!(explained.decision, *policy.decide(&world.facts()));
    let told: Vec<(&str, bool, bool)> =
        explained.rules.iter().map(|rule| (&*rule.rule, rule.matched, rule.failed)).collect();
    assert_eq!(told, [("a", true, false), ("b", false, false), ("c", true, true), ("d", false, true)]);
    let values = |number: usize| {
        let shown = |seen: &Seen| {
            format!("{}={}", seen.field, seen.value.as_ref().map_or("?".to_owned(), ToString::to_string))
        };
        explained.rules[number].values.iter().map(shown).collect::<Vec<_>>()
    };
    assert_eq!(values(0), ["principal.groups=[\"eng\",\"ops\"]", "operation.stream=true"]);
    assert_eq!(values(1), ["connection.tags[\"env\"]=\"prod\"", "connection.tags[\"zone\"]=null"]);
    assert_eq!(values(2), ["request.headers[\"x-lost\"]=?"]);
    assert_eq!(
        explained.rules[1].when.as_ref(),
        "connection.tags.env == \"test\" || has(connection.tags.zone)"
    );
    assert!(explained.rules[2].observe);
}

#[test]
fn what_matched_is_what_the_decision_says() {
    let policy = load(LADDER).expect("loads");
    let mut world = World::new();
    for (stream, secret) in [(true, true), (true, false), (false, true), (false, false)] {
        (world.operation.stream, world.operation.touches_secret_file) = (stream, secret);
        let explained = policy.explain(&world.facts());
        let ids = |observe: bool| {
            let of = explained.rules.iter().filter(|rule| rule.matched && rule.observe == observe);
            of.map(|rule| Arc::clone(&rule.rule)).collect::<Vec<_>>()
        };
        assert_eq!(ids(false), explained.decision.matched);
        assert_eq!(ids(true), explained.decision.observed);
    }
}
