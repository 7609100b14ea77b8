//! What calls say inside, part D of the catalogue: what never reaches a model server, whoever asks.

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
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
        .replace("kind:", "tags: {private-urls: 'yes', server-fields: eng}, kind:");
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

#[test]
fn catalogue_89_a_field_of_the_servers_own_is_for_a_group() {
    let scene = scene(ALLOWED);
    for name in [
        "chat_template",
        "chat_template_kwargs",
        "template",
        "extra_body",
        "guided_json",
        "guided_regex",
        "guided_grammar",
        "structured_outputs",
        "mm_processor_kwargs",
        "logits_processors",
        "documents",
        "prompt_embeds",
        "kv_transfer_params",
    ] {
        let mut body = asking(&json!("hi"));
        body[name] = json!({"x": "(a+)+$"});
        for kind in ["vllm", "openai", "ollama", "tgi"] {
            refused(&scene, &format!("/{kind}/v1/chat/completions"), &body, 403, "no-server-fields");
        }
        // Alice is in the group `eng`.
        passes(&scene, "/inside/v1/chat/completions", &body);
        if !name.starts_with("guided_")
            && !["documents", "prompt_embeds", "kv_transfer_params"].contains(&name)
        {
            let mut body = asking(&json!("hi"));
            body[name.to_uppercase()] = json!("x");
            refused(&scene, "/ollama/v1/chat/completions", &body, 400, "other letters");
        }
    }
    let body = json!({"inputs": "x", "parameters": {"grammar": {"type": "regex", "value": "(a+)+$"}}});
    refused(&scene, "/tgi/generate", &body, 403, "no-server-fields");
    for field in ["response_format", "tools", "stream_options", "metadata", "user", "store"] {
        let mut body = asking(&json!("hi"));
        body[field] = if field == "tools" { json!([]) } else { json!({}) };
        passes(&scene, "/vllm/v1/chat/completions", &body);
    }
    let names: serde_json::Map<String, Value> = (0..300).map(|n| (format!("x{n}"), json!(0))).collect();
    refused(&scene, "/vllm/v1/chat/completions", &Value::Object(names), 400, "256 fields");
}

#[test]
fn catalogue_89_a_model_is_a_name_and_no_path() {
    let scene = scene(ALLOWED);
    for model in [
        "../../x",
        "/models/x",
        "a\\..\\b",
        "file:///etc/passwd2",
        "https://evil.example/m",
        "s3://b/k",
        "a\u{0}b",
        "..%2f..%2fx",
        "~/x",
        "C:/x",
    ] {
        for path in [
            "/vllm/v1/chat/completions",
            "/openai/v1/chat/completions",
            "/anthropic/v1/messages",
            "/ollama/api/chat",
            "/tgi/v1/chat/completions",
        ] {
            let mut body = asking(&json!("hi"));
            body["model"] = json!(model);
            refused(&scene, path, &body, 400, "`model` must be a model's name");
        }
    }
    for model in [
        "gpt-5",
        "org/name",
        "llama3:8b",
        "hf.co/org/repo:Q4_K_M",
        "ft:gpt-4o:org::id",
        "registry.example.com:5000/library/x:latest",
    ] {
        let mut body = asking(&json!("hi"));
        body["model"] = json!(model);
        passes(&scene, "/vllm/v1/chat/completions", &body);
        passes(&scene, "/ollama/api/chat", &body);
    }
}

#[test]
fn catalogue_92_what_ends_or_stalls_a_server_is_a_400() {
    let scene = scene(ALLOWED);
    let with = |name: &str, value: Value| {
        let mut body = asking(&json!("hi"));
        body[name] = value;
        body
    };
    let stops: Vec<String> = (0..1_000).map(|n| n.to_string()).collect();
    for (body, says) in [
        (with("messages", json!([])), "nothing to answer"),
        (with("messages", json!(null)), "nothing to answer"),
        (with("max_tokens", json!(-1)), "`max_tokens`"),
        (with("max_tokens", json!(1e12)), "`max_tokens`"),
        (with("max_tokens", json!("9")), "`max_tokens`"),
        (with("n", json!(0)), "`n`"),
        (with("n", json!(100_000)), "`n`"),
        (with("best_of", json!(100_000)), "`best_of`"),
        (with("top_logprobs", json!(-5)), "`top_logprobs`"),
        (with("logprobs", json!(1_000_000)), "`logprobs`"),
        (with("temperature", json!("hot")), "`temperature`"),
        (with("stop", json!(stops)), "`stop`"),
    ] {
        refused(&scene, "/vllm/v1/chat/completions", &body, 400, says);
        refused(&scene, "/openai/v1/chat/completions", &body, 400, says);
    }
    for prompt in [json!(""), json!(null), json!([])] {
        refused(
            &scene,
            "/vllm/v1/completions",
            &json!({"model": "m", "prompt": prompt}),
            400,
            "nothing to answer",
        );
        refused(
            &scene,
            "/openai/v1/responses",
            &json!({"model": "m", "input": prompt}),
            400,
            "nothing to answer",
        );
        refused(
            &scene,
            "/openai/v1/embeddings",
            &json!({"model": "m", "input": prompt}),
            400,
            "nothing to answer",
        );
        refused(&scene, "/tgi/generate", &json!({"inputs": prompt}), 400, "nothing to answer");
    }
    refused(
        &scene,
        "/gemini/v1beta/models/m:generateContent",
        &json!({"contents": []}),
        400,
        "nothing to answer",
    );
    // What the real servers take.
    for (path, body) in [
        ("/openai/v1/chat/completions", with("max_tokens", json!(null))),
        ("/openai/v1/chat/completions", with("stop", json!(null))),
        ("/openai/v1/chat/completions", with("logprobs", json!(true))),
        (
            "/openai/v1/chat/completions",
            with("messages", json!([{"role": "assistant", "content": null, "tool_calls": []}])),
        ),
        ("/anthropic/v1/messages", with("messages", json!([{"role": "assistant", "content": []}]))),
        ("/openai/v1/responses", json!({"model": "m", "input": [], "previous_response_id": "r"})),
        (
            "/gemini/v1beta/models/m:generateContent",
            json!({"contents": {"parts": [{"text": "hi"}]}, "generationConfig": {"maxOutputTokens": "9"}}),
        ),
        ("/ollama/api/generate", json!({"model": "m", "prompt": ""})),
        ("/ollama/api/chat", json!({"model": "m", "messages": [], "options": {"num_predict": -1}})),
        (
            "/vllm/v1/completions",
            json!({"model": "m", "prompt": [1, 2], "prompt_logprobs": -1, "top_k": -1, "echo": true, "max_tokens": 0}),
        ),
    ] {
        passes(&scene, path, &body);
    }
}

/// A PNG that declares this many pixels on each side.
fn png(side: u32) -> Vec<u8> {
    [&b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..], &side.to_be_bytes(), &side.to_be_bytes(), &[8, 6, 0, 0, 0]]
        .concat()
}

/// Opus in Ogg of this many seconds, as its pages declare.
fn opus(seconds: i64) -> Vec<u8> {
    let page = |flags: u8, position: i64, packet: &[u8]| {
        let length = u8::try_from(packet.len()).unwrap();
        [b"OggS\0", &[flags][..], &position.to_le_bytes(), &[0; 12], &[1, length], packet].concat()
    };
    [page(2, 0, b"OpusHead\x01\x02\0\0\0\0\0\0\0\0\0"), page(0, seconds * 48_000, &[0xfc, 0])].concat()
}

#[test]
fn catalogue_91_what_unpacks_to_gigabytes_is_a_413_in_every_dialect_and_upload() {
    let scene = scene(ALLOWED);
    let chats = |data: &str, kind: &str| {
        vec![
            (
                "/vllm/v1/chat/completions",
                asking(
                    &json!([{"type": "image_url", "image_url": {"url": format!("data:{kind};base64,{data}")}}]),
                ),
            ),
            (
                "/openai/v1/responses",
                json!({"model": "m", "input": [{"role": "user", "content": [{"type": "input_image", "image_url": format!("data:{kind};base64,{data}")}]}]}),
            ),
            (
                "/openai/v1/chat/completions",
                asking(&json!([{"type": "input_audio", "input_audio": {"data": data, "format": "x"}}])),
            ),
            (
                "/anthropic/v1/messages",
                asking(
                    &json!([{"type": "image", "source": {"type": "base64", "media_type": kind, "data": data}}]),
                ),
            ),
            (
                "/gemini/v1beta/models/m:generateContent",
                json!({"contents": [{"parts": [{"inlineData": {"mimeType": kind, "data": data}}]}]}),
            ),
            (
                "/ollama/api/chat",
                json!({"model": "m", "messages": [{"role": "user", "content": "x", "images": [data]}]}),
            ),
            ("/ollama/api/generate", json!({"model": "m", "prompt": "x", "images": [data]})),
        ]
    };
    for (bytes, kind, fine) in [
        (png(8_000), "image/png", true),
        (png(60_000), "image/png", false),
        (opus(60), "audio/ogg", true),
        (opus(40_000), "audio/ogg", false),
    ] {
        for (path, body) in chats(&BASE64_STANDARD.encode(&bytes), kind) {
            if fine { passes(&scene, path, &body) } else { refused(&scene, path, &body, 413, "decoded") }
        }
        let head = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nvision\r\n--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.bin\"\r\n\r\n";
        let form = [head.as_bytes(), &bytes, b"\r\n--b--\r\n"].concat();
        for path in ["/vllm/v1/audio/transcriptions", "/openai/v1/images/edits", "/openai/v1/files"] {
            let before = scene.upstream.seen().len();
            let answer = scene.post(path, &[("Content-Type", "multipart/form-data; boundary=b")], &form);
            assert_eq!(answer.status, if fine { 200 } else { 413 }, "{path}: {}", answer.text());
            assert_eq!(scene.upstream.seen().len(), before + usize::from(fine), "{path}");
        }
    }
    let tiff =
        asking(&json!([{"type": "image_url", "image_url": {"url": "data:image/tiff;base64,SUkqAAgAAAA="}}]));
    refused(&scene, "/vllm/v1/chat/completions", &tiff, 415, "cannot be told");
}

const BATCHES: &str = "  - {id: all, effect: allow, when: 'operation.class != \"unknown\"'}
  - {id: no-training, effect: block, when: 'operation.class == \"finetune.create\"', message: Not that.}
  - {id: no-big-model, effect: block, when: 'operation.resource.model == \"big\"', message: Not that one.}
  - {id: not-this-file, effect: block, when: 'operation.resource.file == \"file-secret\"', message: Not that file.}
  - {id: embeddings-wait, effect: approve, when: 'operation.class == \"embeddings\"', reason: Asks, approval: {approvers: ['group:model-owners'], min: 1, ttl: 1m}}
";

fn upload(scene: &Scene, purpose: &str, lines: &[String]) -> Answer {
    let file = lines.join("\n");
    let body = format!(
        "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\n{purpose}\r\n--b\r\nContent-Disposition: form-data; \
         name=\"file\"; filename=\"a.jsonl\"\r\n\r\n{file}\r\n--b--\r\n"
    );
    let headers = [("Content-Type", "multipart/form-data; boundary=b"), ("Prefer", "respond-async")];
    scene.post("/openai/v1/files", &headers, body.as_bytes())
}

#[test]
fn catalogue_95_every_request_of_a_batch_is_judged_and_one_refuses_all() {
    let scene = scene(BATCHES);
    let line = |url: &str, body: Value| {
        json!({"custom_id": "x", "method": "POST", "url": url, "body": body}).to_string()
    };
    let chat = |model: &str| {
        line("/v1/chat/completions", json!({"model": model, "messages": [{"role": "user", "content": "x"}]}))
    };
    let secret = line(
        "/v1/chat/completions",
        json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://10.0.0.1/"}}]}]}),
    );
    let fine = chat("m");
    for purpose in ["batch", "user_data"] {
        for (bad, status, says) in [
            (chat("big"), 403, "no-big-model"),
            (line("/v1/fine_tuning/jobs", json!({"model": "m"})), 403, "no-training"),
            (line("/v1/nobody/knows", json!({})), 403, "no rule allows"),
            (secret.clone(), 403, "no-private-urls"),
            ("{\"url\": ".to_owned(), 400, "Request 3"),
            (line("/v1/chat/completions", json!({"model": "../m"})), 400, "Request 3"),
            (line("https://evil.example/v1/chat/completions", json!({})), 400, "Request 3"),
        ] {
            let answer = upload(&scene, purpose, &[fine.clone(), fine.clone(), bad.clone(), fine.clone()]);
            assert_eq!(answer.status, status, "{bad}: {}", answer.text());
            assert!(answer.text().contains(says), "{bad}: {}", answer.text());
            assert!(scene.upstream.saw_nothing(), "{bad}");
        }
    }
    let many = vec![json!({"method": "GET", "url": "/v1/models"}).to_string(); 10_001];
    assert_eq!(upload(&scene, "batch", &many).status, 413);
    let message = |model: &str| json!({"custom_id": "x", "params": {"model": model, "max_tokens": 1, "messages": [{"role": "user", "content": "x"}]}});
    let batch =
        |models: &[&str]| json!({"requests": models.iter().map(|model| message(model)).collect::<Vec<_>>()});
    refused(&scene, "/anthropic/v1/messages/batches", &batch(&["m", "big"]), 403, "no-big-model");
    let gemini = |key: &str, url: &str| json!({"batch": {key: {"requests": {"requests": [{"request": {"contents": [{"parts": [{"fileData": {"fileUri": url}}]}]}}]}}}});
    for key in ["inputConfig", "input_config"] {
        refused(
            &scene,
            "/gemini/v1beta/models/m:batchGenerateContent",
            &gemini(key, "http://10.0.0.1/"),
            403,
            "no-private-urls",
        );
        refused(
            &scene,
            "/gemini/v1beta/models/big:batchGenerateContent",
            &gemini(key, "https://example.com/"),
            403,
            "no-big-model",
        );
    }
    for endpoint in ["/v1/fine_tuning/jobs", "/v1/nobody/knows"] {
        refused(&scene, "/openai/v1/batches", &json!({"endpoint": endpoint, "input_file_id": "f"}), 403, "");
    }
    assert!(scene.upstream.saw_nothing());

    // One that needs an approval makes the whole wait.
    let embed = line("/v1/embeddings", json!({"model": "m", "input": "x"}));
    let held = upload(&scene, "batch", &[fine.clone(), embed]);
    assert_eq!(held.status, 202, "{}", held.text());
    assert!(scene.upstream.saw_nothing());

    assert_eq!(upload(&scene, "batch", &[fine.clone(), fine]).status, 200);
    passes(&scene, "/anthropic/v1/messages/batches", &batch(&["m", "n"]));
    passes(&scene, "/openai/v1/batches", &json!({"endpoint": "/v1/chat/completions", "input_file_id": "f"}));
    passes(
        &scene,
        "/gemini/v1beta/models/m:batchGenerateContent",
        &gemini("inputConfig", "https://example.com/x"),
    );
}

#[test]
fn catalogue_85_a_file_is_judged_at_its_upload_and_named_at_its_use() {
    let scene = scene(BATCHES);
    let used = |file: &str| {
        json!({"model": "m", "input": [{"role": "user", "content": [
        {"type": "input_file", "file_id": "file-1"}, {"type": "input_file", "file_id": file}]}]})
    };
    refused(&scene, "/openai/v1/responses", &used("file-secret"), 403, "not-this-file");
    refused(
        &scene,
        "/openai/v1/batches",
        &json!({"endpoint": "/v1/chat/completions", "input_file_id": "file-secret"}),
        403,
        "not-this-file",
    );
    refused(
        &scene,
        "/openai/v1/uploads",
        &json!({"purpose": "batch", "filename": "a", "bytes": 9}),
        403,
        "no-uploads-in-parts",
    );
    let part =
        "--b\r\nContent-Disposition: form-data; name=\"data\"; filename=\"a\"\r\n\r\n{\"url\":\r\n--b--\r\n";
    let headers = [("Content-Type", "multipart/form-data; boundary=b")];
    for path in ["/openai/v1/uploads/u/parts", "/gemini/upload/v1beta/files"] {
        let answer = scene.post(path, &headers, part.as_bytes());
        assert_eq!(answer.status, 403, "{path}");
        assert!(answer.text().contains("no-uploads-in-parts"), "{}", answer.text());
    }
    assert!(scene.upstream.saw_nothing());
    passes(&scene, "/openai/v1/responses", &used("file-2"));
}
