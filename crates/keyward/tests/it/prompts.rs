//! Secrets in what a caller sends: blocked or masked by rule, before a byte of them has left.

use serde_json::Value;

use crate::kit::{Scene, Upstream, World, call, holds, keyed, post_json, reply, until_true};

const KEY: &str = concat!("prompting-", "credential-0123456789");
/// Made up for this test.
const LEAKED: &str = concat!("ghp_", "Zk3vTq8Wn1LsYb6Rd0HxGm4Jc7Pf2AeUi9Ko");
const CHAT: &str = "/models/v1/chat/completions";
const JSON: (&str, &str) = ("Content-Type", "application/json");

const BLOCK: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: no-keys-in-prompts, effect: block, when: '\"credentials\" in finding.groups || \"known\" in finding.groups', message: The prompt holds a credential.}
";
const MASK: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: mask-prompts, effect: mask, when: 'true', mask: {detect: [credentials], where: [request], style: redact}}
";

fn scene(rules: &str) -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "application/json")], "{}"));
    let world = World::new(&keyed("models", "openai", &upstream.url(), "KEY"), rules).secret("KEY", KEY);
    Scene::of(upstream, world)
}

fn prompt(content: &str) -> String {
    format!(
        "{{ \"model\": \"m\",\n  \"messages\": [{{\"role\": \"user\", \"content\": \"{content}\"}}], \"unknown\": [1.0, 1e2] }}\n"
    )
}

/// The ways in which a prompt may hold it.
fn spellings() -> Vec<(&'static str, String)> {
    let escaped: Vec<String> = LEAKED.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect();
    let escaped = escaped.concat();
    vec![
        ("plain", prompt(&format!("my token is {LEAKED}, fix it"))),
        ("escaped", prompt(&format!("my token is {escaped}"))),
        ("a line of its own", prompt(&format!("x\\n{LEAKED}\\ny"))),
        ("a name", format!("{{\"model\": \"m\", \"messages\": [{{}}], \"{LEAKED}\": 1}}")),
        ("JSON in it", prompt(&format!("{{\\\"token\\\": \\\"{LEAKED}\\\"}}"))),
    ]
}

#[test]
fn a_prompt_with_a_credential_is_blocked_by_rule() {
    let scene = scene(BLOCK);
    for (name, body) in spellings() {
        let answer = scene.post(CHAT, &[JSON], body.as_bytes());
        assert_eq!((answer.status, answer.code().as_str()), (403, "blocked_by_policy"), "{name}");
        assert!(answer.text().contains("no-keys-in-prompts") && !answer.text().contains(LEAKED), "{name}");
    }
    // In the target and in headers as well; and the connection's own credential once it was used.
    let clean = prompt("hello");
    let query = format!("{CHAT}?note={LEAKED}");
    assert_eq!(scene.post(&query, &[JSON], clean.as_bytes()).status, 403);
    assert_eq!(scene.post(CHAT, &[JSON, ("X-Note", LEAKED)], clean.as_bytes()).status, 403);
    // An upload that no rule but this one looks at.
    let upload = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nfine-tune\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{{\"token\": \"{LEAKED}\"}}\r\n--b--\r\n"
    );
    let multipart = ("Content-Type", "multipart/form-data; boundary=b");
    assert_eq!(scene.post("/models/v1/files", &[multipart], upload.as_bytes()).status, 403);
    assert!(scene.upstream.saw_nothing());
    assert_eq!(scene.post(CHAT, &[JSON], clean.as_bytes()).status, 200);
    assert_eq!(scene.upstream.only().body, clean.as_bytes());
    let own = prompt(&format!("the gateway's key is {KEY}"));
    assert_eq!(scene.post(CHAT, &[JSON], own.as_bytes()).status, 403, "the connection's own credential");
    let log = scene.gateway.log();
    assert!(!log.contains(LEAKED) && !log.contains(KEY));
}

#[test]
fn a_prompt_with_a_credential_is_masked_by_rule() {
    let scene = scene(MASK);
    for (number, (name, body)) in spellings().into_iter().enumerate() {
        let headers = [JSON, ("Content-MD5", "x"), ("Digest", "sha-256=x")];
        assert_eq!(scene.post(CHAT, &headers, body.as_bytes()).status, 200, "{name}");
        let seen = scene.upstream.seen().swap_remove(number);
        let text = String::from_utf8(seen.body.clone()).unwrap();
        assert!(
            seen.complete && !text.contains(&LEAKED[4..20]) && text.contains("[REDACTED:"),
            "{name}: {text}"
        );
        let json: Value =
            serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}: {text}"));
        assert_eq!(json["model"], "m");
        assert_eq!(seen.all("content-length"), [text.len().to_string()], "{name}");
        assert!(seen.all("content-md5").is_empty() && seen.all("digest").is_empty());
    }
    // Everything around it is as it was.
    let body = prompt(&format!("my token is {LEAKED}, fix it"));
    let (before, after) = body.split_once(LEAKED).unwrap();
    let sent = String::from_utf8(scene.upstream.seen()[0].body.clone()).unwrap();
    assert!(sent.starts_with(before) && sent.ends_with(after), "{sent}");
    let clean = prompt("nothing to see");
    assert_eq!(scene.post(CHAT, &[JSON], clean.as_bytes()).status, 200);
    assert_eq!(scene.upstream.seen().pop().unwrap().body, clean.as_bytes());
    // It is on record what was masked, never the value.
    until_true("the outcomes", || scene.world.outcomes().len() == 6);
    let requests = |outcome: &keyward_journal::record::Outcome| {
        outcome.findings.iter().any(|found| found.place == keyward_core::Place::Request)
    };
    assert_eq!(scene.world.outcomes().iter().filter(|outcome| requests(outcome)).count(), 5);
    for intent in scene.world.intents() {
        assert!(!intent.content.iter().any(|frame| holds(&frame.bytes, LEAKED.as_bytes())));
    }
}

#[test]
fn a_request_that_cannot_be_looked_into_fails_closed() {
    for (rules, status) in [(BLOCK, 403), (MASK, 415)] {
        let scene = scene(rules);
        let headers = [("Content-Type", "application/octet-stream"), ("Content-Encoding", "br")];
        let answer = scene.post("/models/v1/files", &headers, b"whatever this is");
        assert!(answer.status == status || answer.status == 415, "{answer:?}");
        assert!(scene.upstream.saw_nothing());
    }
}

#[test]
fn what_is_approved_is_what_is_sent_after_masking() {
    let rules = format!(
        "{MASK}  - {{id: held, effect: approve, when: 'operation.class == \"chat.completions\"', reason: Look, approval: {{approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}}}}\n"
    );
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "application/json")], "{}"));
    let world = World::new(&keyed("models", "openai", &upstream.url(), "KEY"), &rules)
        .with("holding: {wait: 1s, stream_commit_after: 200ms, keepalive: 1s}")
        .secret("KEY", KEY);
    let gateway = world.start();
    let body = prompt(&format!("my token is {LEAKED}"));
    assert_eq!(post_json(gateway.data, CHAT, &world.alice(), &body).status, 409);
    let pending = call(gateway.admin, "GET", "/api/v1/approvals?state=pending", &world.olivia(), &[], b"");
    assert!(!pending.text().contains(LEAKED));
    let id = pending.json()["approvals"][0]["id"].as_str().unwrap().to_owned();
    let approve = format!("/api/v1/approvals/{id}/approve");
    assert_eq!(call(gateway.admin, "POST", &approve, &world.olivia(), &[JSON], b"{}").status, 200);
    assert_eq!(post_json(gateway.data, CHAT, &world.alice(), &body).status, 200);
    let sent = String::from_utf8(upstream.only().body).unwrap();
    assert!(sent.contains("[REDACTED:") && !sent.contains(LEAKED), "{sent}");
}
