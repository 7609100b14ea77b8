//! Trying a request: what policy would say, without anything being sent.

use serde_json::{Value, json};

use crate::kit::{Answer, Who, World};

const TRY: &str = "POST /api/v1/policy/try";

async fn tried(world: &World, asked: Value) -> Answer {
    world.ask(Who::Auditor, TRY, "/api/v1/policy/try", Some(asked)).await
}

fn chat(more: &Value) -> Value {
    let mut asked = json!({
        "connection": "models",
        "path": "/v1/chat/completions",
        "body": r#"{"model": "small", "messages": [{"role": "user", "content": "hello"}]}"#,
        "as": {"subject": "alice", "groups": ["eng"]},
    });
    for (name, value) in more.as_object().unwrap() {
        asked[name] = value.clone();
    }
    asked
}

#[tokio::test]
async fn the_verdict_comes_with_every_rule_and_what_it_read() {
    let world = World::start().await;
    let answer = tried(&world, chat(&json!({}))).await.json();
    assert!(["allow", "block", "approve"].contains(&answer["verdict"].as_str().unwrap()), "{answer}");
    assert_eq!(
        (&answer["operation"]["class"], &answer["operation"]["model"]),
        (&json!("chat.completions"), &json!("small"))
    );
    let gateway = world.current.load_full();
    assert_eq!(answer["policy"], json!(&**gateway.policy.version()));
    let rules = answer["rules"].as_array().unwrap();
    assert_eq!(rules.len(), gateway.policy.rule_ids().count());
    assert!(rules.iter().all(|rule| rule["when"].is_string()), "{answer}");
    let principal = &answer["given"]["principal"];
    assert_eq!((&principal["subject"], &principal["groups"]), (&json!("alice"), &json!(["eng"])));
    assert_eq!(principal["issuer"], json!(&*world.principal(Who::Auditor).issuer), "one's own issuer");
    let agent = json!({"issuer": "https://other", "subject": "robot", "kind": "agent"});
    let other = tried(&world, chat(&json!({"as": agent}))).await.json();
    let principal = &other["given"]["principal"];
    assert_eq!((&principal["issuer"], &principal["kind"]), (&json!("https://other"), &json!("agent")));
}

#[tokio::test]
async fn what_the_data_path_refuses_is_refused_before_any_rule() {
    let world = World::start().await;
    for more in [
        json!({"path": "/v1//chat/completions"}),
        json!({"path": "/v1/chat/../completions"}),
        json!({"body": r#"{"model": "a", "model": "b"}"#}),
        json!({"body": "no JSON"}),
        json!({"method": "TRACE"}),
        json!({"headers": [{"name": "transfer-encoding", "value": "chunked"}, {"name": "content-length", "value": "1"}]}),
    ] {
        let answer = tried(&world, chat(&more)).await;
        assert_eq!(answer.status, 200, "{more}: {:?}", answer.body);
        let answer = answer.json();
        assert!(answer["refused"].is_string() && answer.get("verdict").is_none(), "{more}: {answer}");
        assert_eq!(answer["rules"], json!([]), "{more}");
    }
}

#[tokio::test]
async fn a_credential_among_the_headers_is_read_by_nothing() {
    let world = World::start().await;
    let secret = "sk-trial-0123456789abcdef";
    let headers = ["authorization", "x-api-key", "cookie", "X-Team"]
        .map(|name| json!({"name": name, "value": if name == "X-Team" { "blue" } else { secret }}));
    let answer = tried(&world, chat(&json!({"headers": headers}))).await;
    assert_eq!(answer.json()["given"]["request"]["headers"]["x-team"], "blue");
    let text = String::from_utf8(answer.body.to_vec()).unwrap();
    assert!(!text.contains(secret), "{text}");
}

#[tokio::test]
async fn what_is_no_request_is_said() {
    let world = World::start().await;
    for more in [
        json!({"connection": "nowhere"}),
        json!({"path": "v1/chat/completions"}),
        json!({"path": "http://evil.example/x"}),
        json!({"path": "/a b"}),
        json!({"method": "GET THIS"}),
        json!({"headers": [{"name": "a b", "value": "c"}]}),
        json!({"headers": [{"name": "a", "value": "b\r\nc: d"}]}),
        json!({"headers": vec![json!({"name": "a", "value": "b"}); 101]}),
        json!({"as": {"subject": ""}}),
        json!({"as": {"subject": "x".repeat(513)}}),
        json!({"as": {"subject": "x", "groups": vec!["g"; 101]}}),
        json!({"as": {"subject": "x", "kind": "robot"}}),
        json!({"unknown": true}),
    ] {
        let answer = tried(&world, chat(&more)).await;
        assert_eq!(
            (answer.status, answer.code().as_str()),
            (400, "bad_request"),
            "{more}: {:?}",
            answer.body
        );
    }
    let long = tried(&world, chat(&json!({"body": "x".repeat(64 * 1024)}))).await;
    assert_eq!(long.status, 413);
}

#[tokio::test]
async fn nothing_but_the_asking_is_recorded() {
    let world = World::start().await;
    let (_, from) = world.admin_records(0);
    tried(&world, chat(&json!({}))).await;
    let (events, _) = world.admin_records(from);
    let said: Vec<_> = events.iter().map(|it| (it.action.as_str(), it.target.as_str(), it.allowed)).collect();
    assert_eq!(said, [("policy.try", "alice on models", true)]);
    let sessions = world.records.sessions(&keyward_journal::read::SessionFilter::default()).unwrap();
    assert!(sessions.is_empty());
}
