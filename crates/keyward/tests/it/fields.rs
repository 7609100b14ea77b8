//! What calls say inside, part D of the catalogue: what never reaches a model server, whoever asks.

use serde_json::{Value, json};

use crate::kit::{Answer, Gateway, Scene, Upstream, World, keyed, reply};

const SECRET: &str = concat!("fields-", "credential-0123456789");
const ALLOWED: &str = "  - {id: all, effect: allow, when: 'true'}\n";
const JSON: (&str, &str) = ("Content-Type", "application/json");

/// A connection of each kind, named so, beside the pack for model servers.
fn scene(rules: &str) -> Scene {
    let upstream = Upstream::answering(|_| reply("200 OK", &[("content-type", "application/json")], "{}"));
    let kinds = ["openai", "anthropic", "gemini", "vllm", "tgi", "ollama"];
    let mut connections = kinds.map(|kind| keyed(kind, kind, &upstream.url(), "KEY")).concat();
    connections += &keyed("inside", "vllm", &upstream.url(), "KEY")
        .replace("kind:", "tags: {private-urls: 'yes'}, kind:");
    let world = World::new(&connections, rules).secret("KEY", SECRET);
    let configuration = world.configuration().replace("[policy.yaml]", "['builtin:inference', policy.yaml]");
    std::fs::write(world.path("keyward.yaml"), configuration).unwrap();
    let gateway = Gateway::start(world.command(&["serve"]));
    let token = world.alice();
    Scene { upstream, world, gateway, token }
}

fn post(scene: &Scene, path: &str, body: &Value) -> Answer {
    scene.post(path, &[JSON], body.to_string().as_bytes())
}

/// Ends in this status, says this, and nothing leaves.
#[track_caller]
fn refused(scene: &Scene, path: &str, body: &Value, status: u16, says: &str) {
    let before = scene.upstream.seen().len();
    let answer = post(scene, path, body);
    let text = answer.text();
    assert_eq!(answer.status, status, "{path} {body}: {text}");
    assert!(text.contains(says), "{path} {body}: {text}");
    assert_eq!(scene.upstream.seen().len(), before, "{path} {body} reached the upstream");
}

/// Passes, byte for byte.
#[track_caller]
fn passes(scene: &Scene, path: &str, body: &Value) {
    let before = scene.upstream.seen().len();
    let answer = post(scene, path, body);
    assert_eq!(answer.status, 200, "{path} {body}: {}", answer.text());
    let seen = scene.upstream.seen();
    assert_eq!(seen.len(), before + 1);
    assert_eq!(seen.last().unwrap().body, body.to_string().as_bytes());
}

fn asking(content: &Value) -> Value {
    json!({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": content}]})
}

#[test]
fn catalogue_88_a_url_that_leads_inside_is_refused_wherever_a_server_may_fetch_it() {
    let scene = scene(ALLOWED);
    for host in [
        "10.0.0.5",
        "192.168.0.1:8080",
        "127.1",
        "2130706433",
        "0x7f000001",
        "0177.0.0.1",
        "[::1]",
        "[::ffff:10.0.0.1]",
        "[64:ff9b::a00:1]",
        "[fd00::1]",
        "100.64.0.1",
        "0.0.0.0",
        "localhost",
        "app.localhost",
        "vault",
        "db.internal",
        "printer.local",
        "api.default.svc",
        "10-0-0-1.nip.io",
        "public.example\\@10.0.0.1",
        "public.example@10.0.0.1",
    ] {
        let url = format!("http://{host}/x.png");
        for kind in ["image_url", "audio_url", "video_url", "input_audio"] {
            let body = asking(&json!([{"type": kind, kind: {"url": url}}]));
            refused(&scene, "/vllm/v1/chat/completions", &body, 403, "no-private-urls");
        }
        let body = json!({"model": "m", "input": "hi", "tools": [{"type": "mcp", "server_label": "x", "server_url": url}]});
        refused(&scene, "/openai/v1/responses", &body, 403, "no-private-urls");
        let body = asking(&json!([{"type": "image", "source": {"type": "url", "url": url}}]));
        refused(&scene, "/anthropic/v1/messages", &body, 403, "no-private-urls");
        let body = json!({"contents": [{"parts": [{"fileData": {"fileUri": url}}]}]});
        refused(&scene, "/gemini/v1beta/models/m:generateContent", &body, 403, "no-private-urls");
        // Under a name that nobody has heard of.
        refused(
            &scene,
            "/vllm/v1/pooling",
            &json!({"model": "m", "input": "x", "hyper": {"thing": [url]}}),
            403,
            "no-private-urls",
        );
        if !url.contains(['[', '\\']) {
            let body = json!({"inputs": format!("![]({url})What is this?")});
            refused(&scene, "/tgi/generate", &body, 403, "no-private-urls");
        }
    }
    refused(
        &scene,
        "/vllm/v1/chat/completions",
        &asking(&json!([{"type": "image_url", "image_url": {"url": "file:///etc/hostname"}}])),
        403,
        "no-private-urls",
    );
    for url in ["https://example.com/cat.png", "http://8.8.8.8/x", "data:image/png;base64,iVBORw0KGgo="] {
        passes(
            &scene,
            "/vllm/v1/chat/completions",
            &asking(&json!([{"type": "image_url", "image_url": {"url": url}}])),
        );
    }
    // Prose is for the model to read, and a connection may say that its server fetches inside.
    passes(&scene, "/vllm/v1/chat/completions", &asking(&json!("http://localhost:3000/")));
    passes(&scene, "/openai/v1/embeddings", &json!({"model": "m", "input": ["http://localhost/", "x"]}));
    passes(
        &scene,
        "/vllm/v1/chat/completions",
        &asking(&json!([{"type": "text", "text": "![](http://10.0.0.1/x.png)"}])),
    );
    passes(
        &scene,
        "/inside/v1/chat/completions",
        &asking(&json!([{"type": "image_url", "image_url": {"url": "http://10.0.0.5/x"}}])),
    );
}
