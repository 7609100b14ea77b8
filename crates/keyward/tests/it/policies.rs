//! `keyward policy`: what it says of documents, in every format, and how it ends.

use std::process::Output;

use serde_json::Value;

use crate::kit::{ALLOW, World, http};

/// A document in the world's directory.
fn document(world: &World, name: &str, rest: &str) -> String {
    let path = world.path(name);
    std::fs::write(
        &path,
        format!("apiVersion: keyward/v1\nkind: Policy\nmetadata: {{name: {name}}}\n{rest}"),
    )
    .unwrap();
    path.display().to_string()
}

/// The world whose configuration is written, and never served.
fn world() -> World {
    let world = World::new(&http("plain", "http://127.0.0.1:9"), ALLOW);
    world.write_configuration();
    world
}

fn ended(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const TESTED: &str = "rules:
  - {id: stream, effect: allow, when: operation.stream}
  - {id: no-shell, effect: block, when: 'operation.class == \"shell.exec\"'}
tests:
  - {name: 'streams <pass> & end', given: {operation: {stream: true}}, expect: {verdict: allow, rules: [stream]}}
";

#[test]
fn policy_test_speaks_text_tap_junit_and_json() {
    let world = world();
    let file = document(&world, "own.yaml", TESTED);
    let (code, out, _) = ended(&world.run(&["policy", "test", &file]));
    assert_eq!(code, 0);
    assert!(out.contains("NO TEST TOUCHES") && out.contains("no-shell"), "{out}");

    let (code, out, err) = ended(&world.run(&["policy", "test", "--strict", "--format", "tap", &file]));
    assert_eq!(code, 14, "{err}");
    assert!(out.starts_with("TAP version 14\n1..2\nok 1 - streams"), "{out}");
    assert!(out.contains("\nnot ok 2 - rule no-shell\n") && out.contains("line: 6"), "{out}");
    assert!(err.contains("1 rules are touched by no test"), "{err}");

    let (code, out, _) = ended(&world.run(&["policy", "test", "--format", "junit", &file]));
    assert_eq!(code, 0);
    assert!(
        out.contains("name=\"streams &lt;pass&gt; &amp; end\"") && out.contains("skipped=\"1\""),
        "{out}"
    );

    let (code, out, _) = ended(&world.run(&["policy", "test", "-o", "json", &file]));
    let results: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &results["tests"][0]["passed"]), (0, &Value::Bool(true)));
    assert_eq!(results["untouched"][0]["rule"], "no-shell");

    let (code, _, err) = ended(&world.run(&["policy", "test", "-o", "json", "--format", "tap", &file]));
    assert_eq!(code, 2, "{err}");
}

#[test]
fn a_failing_policy_test_ends_with_14_and_says_what_differed() {
    let world = world();
    let file = document(&world, "own.yaml", &TESTED.replace("verdict: allow", "verdict: block"));
    for format in ["text", "tap", "junit"] {
        let (code, out, err) = ended(&world.run(&["policy", "test", "--format", format, &file]));
        assert_eq!(code, 14, "{format}");
        assert!(out.contains("the verdict is allow (by stream), not block"), "{format}: {out}");
        assert!(err.contains("1 of 1 policy tests failed"), "{err}");
    }
}

#[test]
fn policy_validate_names_every_mistake_with_its_place_and_the_nearest_word() {
    let world = world();
    let file = document(
        &world,
        "wrong.yaml",
        "rules:
  - id: a
    effect: allow
    when: >-
      operation.stream
      && operation.classs == 'unknown'
  - {id: b, effect: block, when: \"operation.class == 'model.exprt'\"}
  - {id: c, effect: block, when: 'operation.stream && operation.body_bytes == operation.path'}
  - {id: d, effect: mask, when: 'true', mask: {detect: [github_pta], where: [response]}}
",
    );
    let (code, out, _) = ended(&world.run(&["policy", "validate", "-o", "json", &file]));
    assert_eq!(code, 1);
    let told: Value = serde_json::from_str(&out).unwrap();
    let places: Vec<(u64, u64, &str, &str)> = told["problems"]
        .as_array()
        .unwrap()
        .iter()
        .map(|problem| {
            let number = |key: &str| problem[key].as_u64().unwrap();
            let text = |key: &str| problem[key].as_str().unwrap_or_default();
            (number("line"), number("column"), text("message"), text("help"))
        })
        .collect();
    assert_eq!(places[0], (9, 19, "`operation` has no field `classs`", "did you mean `class`?"));
    assert_eq!(places[1].3, "did you mean `model.export`?");
    assert_eq!((places[1].0, places[2].0, places[2].2), (10, 11, "a number is compared with a text"));
    assert!(places[3].3.starts_with("did you mean `github_pat`?"), "{places:?}");
    assert_eq!(places.len(), 4);

    let (code, _, err) = ended(&world.run(&["policy", "validate", &file]));
    assert_eq!(code, 1);
    assert!(err.contains("wrong.yaml:9:19") && err.contains("help: did you mean `class`?"), "{err}");
}

#[test]
fn every_shipped_pack_is_tested_by_name_alone_and_with_all_others() {
    let world = world();
    let packs = ["base", "inference", "secret-files", "agents", "pii"].map(|name| format!("builtin:{name}"));
    let test = |names: &[&str]| ended(&world.run(&[&["policy", "test", "--strict"], names].concat()));
    for pack in &packs {
        let (code, out, err) = test(&[pack]);
        assert_eq!(code, 0, "{pack}: {out}{err}");
    }
    let all: Vec<&str> = packs.iter().map(String::as_str).collect();
    let (code, out, err) = test(&all);
    assert_eq!(code, 0, "{out}{err}");

    let (code, _, err) = test(&["builtin:agent"]);
    assert_eq!(code, 3);
    assert!(err.contains("did you mean `builtin:agents`?"), "{err}");
}

#[test]
fn a_configuration_takes_packs_by_name() {
    let world = world();
    let configuration =
        world.configuration().replace("[policy.yaml]", "['builtin:base', 'builtin:agents', policy.yaml]");
    std::fs::write(world.path("keyward.yaml"), configuration).unwrap();
    let (code, out, err) = ended(&world.run(&["policy", "validate", "-o", "json"]));
    assert_eq!(code, 0, "{err}");
    let valid: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(valid["documents"][1], "builtin:agents");
}
