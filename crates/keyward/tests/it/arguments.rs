//! Secret files in whatever a request carries, part D of the catalogue: no spelling reaches the upstream.

use keyward_journal::record::End;
use serde_json::{Value, json};

use crate::kit::{Gateway, Upstream, World, call, http, keyed, post_json, reply};

const SECRET: &str = concat!("arguments-", "credential-0123456789");

const RULES: &str = "  - {id: all, effect: allow, when: 'true'}
  - {id: no-secret-files, effect: block, when: operation.touches_secret_file, message: Not those.}
  - {id: no-dangerous-sql, effect: block, when: 'operation.class in [\"sql.ddl\", \"sql.admin\"]'}
";

struct Scene {
    upstream: Upstream,
    world: World,
    gateway: Gateway,
}

impl Scene {
    fn new() -> Self {
        let upstream = Upstream::saying(reply("200 OK", &[("content-type", "application/json")], "{}"));
        let connections = http("plain", &upstream.url()) + &keyed("models", "openai", &upstream.url(), "KEY");
        let world = World::new(&connections, RULES).secret("KEY", SECRET);
        let gateway = world.start();
        Self { upstream, world, gateway }
    }

    /// Sends a request that must not get further.
    fn refused(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let before = self.upstream.seen().len();
        let answer = call(self.gateway.data, method, path, &self.world.alice(), headers, body.as_bytes());
        let says = answer.text();
        assert_eq!(answer.status, 403, "{method} {path} {headers:?} {body}: {says}");
        assert!(says.contains("no-secret-files"), "{says}");
        assert_eq!(self.upstream.seen().len(), before, "{method} {path} {body}");
    }

    fn passes(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) {
        let answer = call(self.gateway.data, method, path, &self.world.alice(), headers, body.as_bytes());
        assert_eq!(answer.status, 200, "{method} {path} {headers:?} {body}: {}", answer.text());
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const PARTS: (&str, &str) = ("content-type", "multipart/form-data; boundary=b");

fn upload(disposition: &str, content: &str) -> String {
    format!("--b\r\nContent-Disposition: form-data; {disposition}\r\n\r\n{content}\r\n--b--\r\n")
}

/// The text with every byte that a URL would not hold in plain percent-encoded.
fn encoded(text: &str) -> String {
    let byte =
        |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { format!("%{b:02X}") };
    text.bytes().map(byte).collect::<Vec<_>>().concat()
}

/// A conversation in which the model has called a tool.
fn chat(arguments: &Value) -> String {
    json!({"model": "m", "messages": [{"role": "assistant", "tool_calls": [
        {"id": "1", "type": "function", "function": {"name": "run", "arguments": arguments.to_string()}}]}]})
    .to_string()
}

#[test]
fn catalogue_80_a_secret_file_is_refused_wherever_a_request_names_it() {
    let scene = Scene::new();
    for file in [
        "/app/.env",
        "/root/.aws/credentials",
        "/proc/self/environ",
        "/var/run/secrets/kubernetes.io/serviceaccount/token",
        "/models/small/config.pbtxt",
        "/root/.ssh/id_rsa",
        "/etc/shadow",
        "/home/model-server/config.properties",
    ] {
        scene.refused("GET", &format!("/plain/files{file}"), &[], "");
        scene.refused("GET", &format!("/plain/files?path={}", encoded(file)), &[], "");
        scene.refused("POST", "/plain/files", &[JSON], &json!({"a": [{"b": file}]}).to_string());
        scene.refused("POST", "/plain/files", &[FORM], &format!("a=b&path={}", encoded(file)));
        scene.refused("PUT", "/plain/files", &[("x-amz-copy-source", file)], "");
        scene.refused(
            "POST",
            "/plain/files",
            &[PARTS],
            &upload(&format!("name=\"file\"; filename=\"{file}\""), "x"),
        );
        scene.refused("POST", "/models/v1/files", &[PARTS], &upload("name=\"path\"", file));
        scene.refused("POST", "/models/v1/chat/completions", &[JSON], &chat(&json!({"path": file})));
    }
    scene.passes(
        "GET",
        "/plain/files/src/environment.ts?path=docs%2Fenv.md",
        &[("x-amz-copy-source", "/a/b.txt")],
        "",
    );
    scene.passes("POST", "/plain/files", &[PARTS], &upload("name=\"file\"; filename=\"a.txt\"", "see .env"));
    let prose = json!({"model": "m", "messages": [{"role": "user", "content": "What belongs into .env and /etc/passwd?"}]});
    scene.passes("POST", "/models/v1/chat/completions", &[JSON], &prose.to_string());
    let schema = json!({"model": "m", "messages": [{}], "tools": [{"type": "function", "function": {"name": "read",
        "parameters": {"type": "object", "properties": {"action": {"description": "never .env"}}}}}]});
    scene.passes("POST", "/models/v1/chat/completions", &[JSON], &schema.to_string());
}

const SPELLINGS: &[&str] = &[
    "/etc//passwd",
    "/./etc/./passwd",
    "/x/../etc/passwd",
    "/etc/passwd\0.png",
    "${HOME}/.aws/credentials",
    "/e?c/p*",
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "\u{2215}etc\u{2215}passwd",
    "\\etc\\passwd",
    "/proc/self/root/etc/passwd",
    "\u{ff0e}env",
    ".\u{200b}env",
    ".e[n]v",
    "/etc/{passwd,x}",
    "%252e%2565nv",
    ".e''nv",
    "LmVudg==",
    "$'\\x2eenv'",
];

#[test]
fn catalogue_81_87_every_spelling_and_every_value_is_judged_alike() {
    let scene = Scene::new();
    for spelling in SPELLINGS {
        let encoded = encoded(spelling);
        scene.refused("GET", &format!("/plain/x?cmd=ls&cmd={encoded}"), &[], "");
        scene.refused("POST", "/plain/x?cmd=ls", &[FORM], &format!("cmd=ls&cmd={encoded}"));
        scene.refused("POST", "/plain/x", &[JSON], &json!({"list": ["ls", spelling]}).to_string());
        scene.refused("POST", "/models/v1/chat/completions", &[JSON], &chat(&json!({"file": spelling})));
    }
    scene.refused("POST", &format!("/plain/x?cmd={}", encoded("cat .env")), &[FORM], "cmd=ls");
    scene.passes("POST", "/plain/x?cmd=ls&cmd=pwd", &[FORM], "cmd=ls&cmd=date");
    // The same in every dialect's calls.
    let script = "a=.en; cat ${a}v";
    for body in [
        json!({"model": "m", "input": [{"type": "function_call", "name": "x", "arguments": json!({"c": script}).to_string()}]}),
        json!({"model": "m", "input": [{"type": "local_shell_call", "action": {"command": ["sh", "-c", script]}}]}),
        json!({"model": "m", "input": [{"type": "tool_use", "input": {"deep": [{"c": script}]}}]}),
        json!({"model": "m", "input": [{"parts": [{"functionCall": {"name": "x", "args": {"c": script}}}]}]}),
    ] {
        scene.refused("POST", "/models/v1/responses", &[JSON], &body.to_string());
    }
}

#[test]
fn catalogue_88_a_url_of_a_metadata_service_is_refused_however_it_is_spelled() {
    let scene = Scene::new();
    for host in [
        "169.254.169.254",
        "2852039166",
        "0xA9FEA9FE",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "metadata.google.internal",
        "169.254.169.254.nip.io",
        "[fd00:ec2::254]",
        "100.100.100.200",
        "public.example\\@169.254.169.254",
    ] {
        let url = format!("http://{host}/latest/");
        let part = |kind: &str| json!({"type": kind, kind: {"url": url}});
        for content in [part("image_url"), part("audio_url"), part("file_url")] {
            let body = json!({"model": "m", "messages": [{"role": "user", "content": [content]}]});
            scene.refused("POST", "/models/v1/chat/completions", &[JSON], &body.to_string());
        }
        let tool = json!({"model": "m", "input": "hi", "tools": [{"type": "mcp", "server_label": "x", "server_url": url}]});
        scene.refused("POST", "/models/v1/responses", &[JSON], &tool.to_string());
        scene.refused("GET", &format!("/plain/fetch?url={}", encoded(&url)), &[], "");
    }
    let public = json!({"model": "m", "messages": [{"role": "user", "content": [
        {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}]}]});
    scene.passes("POST", "/models/v1/chat/completions", &[JSON], &public.to_string());
}

#[test]
fn catalogue_96_a_shell_spelling_or_dangerous_sql_in_a_streamed_call_ends_the_stream() {
    for (tool, arguments, rule) in [
        ("bash", json!({"command": "cd /root && cat .e''nv"}), "no-secret-files"),
        ("bash", json!({"command": "echo Y2F0IC5lbnY= | base64 -d | sh"}), "no-secret-files"),
        ("bash", json!({"command": "a=/etc; cat $a/$(echo passwd)"}), "no-secret-files"),
        ("run_sql", json!({"sql": "SELECT 1; DROP TABLE users"}), "no-dangerous-sql"),
        ("run_sql", json!({"sql": "COPY t TO PROGRAM 'sh'"}), "no-dangerous-sql"),
    ] {
        let event = |delta: Value, reason: Value| {
            format!(
                "data: {}\n\n",
                json!({"choices": [{"index": 0, "delta": delta, "finish_reason": reason}]})
            )
        };
        let piece = |name: Option<&str>, text: &str| {
            event(
                json!({"tool_calls": [{"index": 0, "function": {"name": name, "arguments": text}}]}),
                Value::Null,
            )
        };
        let pieces: String =
            arguments.to_string().chars().map(|c| piece(None, &c.to_string())).collect::<Vec<_>>().concat();
        let stream =
            piece(Some(tool), "") + &pieces + &event(json!({}), json!("tool_calls")) + "data: [DONE]\n\n";
        let upstream = Upstream::saying(reply("200 OK", &[("content-type", "text/event-stream")], &stream));
        let world =
            World::new(&keyed("models", "openai", &upstream.url(), "KEY"), RULES).secret("KEY", SECRET);
        let gateway = world.start();
        let body = r#"{"model": "m", "stream": true, "messages": [{}]}"#;
        let answer = post_json(gateway.data, "/models/v1/chat/completions", &world.alice(), body);
        let text = answer.text();
        assert_eq!((answer.status, world.outcome().end), (200, End::Refused), "{text}");
        assert!(
            text.contains(rule) && !text.contains("[DONE]") && !text.contains("\"arguments\":\"}\""),
            "{text}"
        );
    }
}
