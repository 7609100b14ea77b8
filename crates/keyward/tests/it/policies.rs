//! `keyward policy`: what it says of documents, in every format, and how it ends.

use std::process::Output;

use serde_json::Value;

use crate::kit::{ALLOW, Answer, Person, Upstream, World, call, get, http, keyed, reply};

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

/// `policy eval` as a member of these groups; the exit code and what it prints as JSON.
fn evaluated(world: &World, groups: &[&str], rest: &[&str]) -> (i32, Value, String) {
    let mut words = vec!["policy", "eval", "-o", "json", "--as", "https://idp.example#alice"];
    words.extend(groups.iter().flat_map(|group| ["--group", group]));
    words.extend(rest);
    let (code, out, err) = ended(&world.run(&words));
    (code, serde_json::from_str(&out).unwrap_or_default(), err)
}

#[test]
fn policy_eval_says_what_would_happen_and_sends_nothing() {
    let upstream = Upstream::saying(reply("200 OK", &[], "never"));
    let connections =
        keyed("models", "openai", &upstream.url(), "MODEL_KEY") + &http("plain", &upstream.url());
    let world = World::new(&connections, ALLOW).secret("MODEL_KEY", "k-0123456789");
    let configuration = world.configuration().replace("[policy.yaml]", "['builtin:base']");
    std::fs::write(world.path("keyward.yaml"), configuration).unwrap();

    let chat = [
        "models",
        "--",
        "curl",
        "http://gw:8700/models/v1/chat/completions",
        "--json",
        r#"{"model":"m","messages":[{}]}"#,
    ];
    let (code, told, err) = evaluated(&world, &["eng"], &chat);
    assert_eq!(code, 0, "{err}");
    assert_eq!((&told["verdict"], &told["rule"]), (&"allow".into(), &"chat-for-engineers".into()));
    assert_eq!(told["given"]["operation"]["class"], "chat.completions");
    assert_eq!(told["given"]["operation"]["resource"]["model"], "m");
    assert_eq!(told["mask"][0]["rule"], "mask-credentials");

    let (code, told, _) = evaluated(&world, &["sales"], &chat);
    assert_eq!((code, &told["verdict"], told.get("rule")), (13, &"block".into(), None));
    let (code, told, _) = evaluated(&world, &["eng"], &["models", "--path", "/v1/models/m/weights"]);
    assert_eq!((code, &told["rule"]), (10, &"export-needs-owner".into()));
    assert!(told["approval"].as_str().unwrap().contains("model-owners"), "{told}");
    let (code, told, _) =
        evaluated(&world, &["eng"], &["models", "--path", "/v1/nothing", "--method", "PATCH"]);
    assert_eq!((code, &told["rule"]), (13, &"no-unknown-calls".into()));

    // What the edge refuses, no rule sees.
    let (code, _, err) = evaluated(&world, &["eng"], &["models", "--path", "/v1//models"]);
    assert_eq!(code, 1);
    assert!(err.contains("refuses this call before any rule"), "{err}");
    let (code, _, _) = evaluated(&world, &["eng"], &["nowhere", "--path", "/x"]);
    assert_eq!(code, 3);
    let (code, _, err) = evaluated(&world, &["eng"], &["models", "--", "curl", "-T", "x", "/y"]);
    assert_eq!(code, 2, "{err}");
    assert!(upstream.saw_nothing());
}

#[test]
fn policy_explain_tells_the_caller_and_nobody_else_why() {
    let upstream = Upstream::saying(reply("200 OK", &[], "ok"));
    let rules = "  - {id: reads, effect: allow, when: 'operation.method == \"GET\" && request.headers[\"x-team\"] != \"red\"'}
  - {id: no-admin, effect: block, when: 'operation.path.startsWith(\"/admin\")', message: Closed.}
";
    let world =
        World::new(&http("plain", &upstream.url()), rules).with("roles: {auditor: ['group:model-owners']}");
    let gateway = world.start();
    let (alice, olivia) = (world.alice(), world.olivia());
    let sent = call(gateway.data, "GET", "/plain/x", &alice, &[("x-team", "blue")], b"");
    let blocked = get(gateway.data, "/plain/admin/x", &alice);
    assert_eq!((sent.status, blocked.status), (200, 403));
    let server = format!("http://{}", gateway.admin);
    let explain = |token: &str, id: &str, more: &[&str]| {
        let mut words = vec!["policy", "explain", id, "--server", &server];
        words.extend(more);
        ended(&world.command(&words).env("KEYWARD_TOKEN", token).output().unwrap())
    };
    let id = |answer: &Answer| answer.header("keyward-request-id").to_owned();

    let (code, out, err) = explain(&alice, &id(&blocked), &["-o", "json"]);
    assert_eq!(code, 0, "{err}");
    let told: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&told["recorded"]["rule"], &told["same_policy"]), (&"no-admin".into(), &true.into()));
    assert_eq!(told["rules"][0]["matched"], true);
    assert_eq!(
        told["rules"][0]["values"][0],
        serde_json::json!({"field": "operation.path", "value": "/admin/x"})
    );
    assert!(told["rules"][0].get("when").is_none(), "conditions are for roles");

    let (code, out, _) = explain(&alice, &id(&sent), &[]);
    assert_eq!(code, 0);
    assert!(
        out.contains("allow by reads") && out.contains("request.headers[\"x-team\"] = \"blue\""),
        "{out}"
    );

    let other = document(
        &world,
        "other.yaml",
        "rules:\n  - {id: blue-only, effect: block, when: 'request.headers[\"x-team\"] == \"blue\"'}\n",
    );
    let (code, out, _) = explain(&alice, &id(&sent), &["--policy", &other]);
    assert_eq!(code, 0);
    assert!(out.contains("with these documents: block by blue-only"), "{out}");

    // Somebody else's is not there; for an auditor it is, with the conditions.
    let bot = world.token(Person::CiBot);
    assert_eq!(explain(&bot, &id(&sent), &[]).0, 3);
    let (code, out, err) = explain(&olivia, &id(&sent), &["-o", "json"]);
    assert_eq!(code, 0, "{err}");
    assert!(out.contains("\"when\""), "{out}");
}

#[test]
fn rules_that_only_observe_are_counted_and_each_decision_names_its_policy() {
    let upstream = Upstream::saying(reply("200 OK", &[], "ok"));
    let rules = "  - {id: all, effect: allow, when: 'true'}
  - {id: no-writes, effect: block, mode: observe, when: 'operation.method != \"GET\"'}
";
    let world = World::new(&http("plain", &upstream.url()), rules);
    let gateway = world.start();
    let token = world.alice();
    for method in ["GET", "POST", "DELETE"] {
        assert_eq!(call(gateway.data, method, "/plain/x", &token, &[], b"").status, 200, "{method}");
    }
    let metrics = get(gateway.admin, "/metrics", "").text();
    assert!(metrics.contains("keyward_policy_observed_total{rule=\"no-writes\"} 2"), "{metrics}");
    let (_, out, _) = ended(&world.run(&["policy", "validate", "-o", "json"]));
    let valid: Value = serde_json::from_str(&out).unwrap();
    let version = valid["version"].as_str().unwrap();
    let log = gateway.log();
    let decided: Vec<Value> = log
        .lines()
        .filter(|line| line.contains("call decided"))
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(decided.len(), 3, "{log}");
    assert!(decided.iter().all(|line| line.to_string().contains(version)), "{log}");
    assert_eq!(decided.iter().filter(|line| line.to_string().contains("no-writes")).count(), 2, "{log}");
}

#[test]
fn policy_simulate_decides_the_recorded_requests_anew() {
    let upstream = Upstream::answering(|_| reply("200 OK", &[], "ok"));
    let rules = format!("{ALLOW}  - {{id: no-put, effect: block, when: 'operation.method == \"PUT\"'}}\n");
    let world = World::new(&http("plain", &upstream.url()), &rules);
    let gateway = world.start();
    let (alice, bot) = (world.alice(), world.token(Person::CiBot));
    for (method, token, status) in
        [("GET", &alice, 200), ("GET", &bot, 200), ("DELETE", &alice, 200), ("PUT", &alice, 403)]
    {
        assert_eq!(call(gateway.data, method, "/plain/x", token, &[], b"").status, status, "{method}");
    }
    let file = document(
        &world,
        "new.yaml",
        "rules:
  - {id: all, effect: allow, when: 'true'}
  - {id: no-delete, effect: block, when: 'operation.method == \"DELETE\"'}
  - {id: hold-bots, effect: approve, when: 'principal.subject == \"ci-bot\"', approval: {approvers: ['group:g'], min: 1, ttl: 1m}}
  - {id: mask, effect: mask, when: 'operation.method == \"GET\"', mask: {detect: [credentials], where: [response]}}
  - {id: odd, effect: block, when: 'finding.count > 0 && principal.subject == \"alice\" && operation.method == \"GET\"'}
",
    );
    let changed = |arguments: &[&str]| {
        let arguments = [&["policy", "simulate", "--policy", &file, "-o", "json"], arguments].concat();
        let (code, out, err) = ended(&world.run(&arguments));
        assert_eq!(code, 0, "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let told = changed(&["--since", "1h"]);
    assert_eq!((&told["requests"], &told["unchanged"]), (&4.into(), &0.into()), "{told}");
    let row = |change: &str, rule: &str| {
        let rows = told["changes"].as_array().unwrap();
        let row = rows.iter().find(|row| row["change"] == change && row["rule"] == rule);
        row.unwrap_or_else(|| panic!("{change} {rule}: {told}")).clone()
    };
    assert_eq!(row("allow -> block", "no-delete")["requests"], 1);
    assert_eq!(row("allow -> approve", "hold-bots")["principals"], 1);
    assert_eq!(row("block -> allow", "all")["requests"], 1, "what was blocked then");
    // What detectors found was not recorded, so this is only what may be.
    assert_eq!(row("allow -> block", "odd")["uncertain"], 1);
    let example = row("allow -> block", "no-delete")["examples"][0].as_str().unwrap().to_owned();
    assert!(world.intents().iter().any(|intent| intent.request.to_string() == example));
    assert_eq!(changed(&["--since", "1h", "--until", "30m"])["requests"], 0);
    let (code, out, _) = ended(&world.run(&["policy", "simulate", "--policy", &file]));
    assert!(code == 0 && out.contains("CHANGE") && out.contains("no-delete"), "{out}");
    assert_eq!(upstream.seen().len(), 3, "nothing is sent");
}
