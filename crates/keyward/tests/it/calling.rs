//! Calls of tools in a model's answer: a blocked one does not reach the caller whole, streamed or not.

use keyward_journal::record::End;
use serde_json::{Value, json};

use crate::kit::{Upstream, World, keyed, post_json, reply};

const SECRET: &str = concat!("calling-", "credential-0123456789");

const RULES: &str = "  - {id: all, effect: allow, when: 'operation.class in [\"chat.completions\", \"responses\"]'}
  - {id: no-secret-files, effect: block, when: operation.touches_secret_file, message: Not those.}
  - {id: no-bash, effect: block, when: 'operation.class in [\"tool.call\", \"shell.exec\"] && \"bash\" in operation.resource.tools'}
  - {id: ask-first, effect: approve, when: '\"deploy\" in operation.resource.tools', reason: Look first, approval: {approvers: ['group:model-owners'], min: 1, bind: request, ttl: 10m}}
";

fn events(documents: &[Value]) -> String {
    let event = |document: &Value| {
        let kind = document["type"].as_str().map(|kind| format!("event: {kind}\n")).unwrap_or_default();
        format!("{kind}data: {document}\n\n")
    };
    documents.iter().map(event).collect::<Vec<_>>().concat()
}

/// A stream of OpenAI's chat that calls a tool, its arguments one letter at a time.
fn chat(tool: &str, arguments: &str) -> String {
    let event = |delta: Value, reason: Value| json!({"id": "c", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let call = |name: Option<&str>, piece: &str| {
        event(
            json!({"tool_calls": [{"index": 0, "function": {"name": name, "arguments": piece}}]}),
            Value::Null,
        )
    };
    let mut documents = vec![event(json!({"content": "Let me look. "}), Value::Null), call(Some(tool), "")];
    documents.extend(arguments.chars().map(|letter| call(None, &letter.to_string())));
    documents.push(event(json!({}), json!("tool_calls")));
    events(&documents) + "data: [DONE]\n\n"
}

fn messages(tool: &str, arguments: &str) -> String {
    let mut documents = vec![
        json!({"type": "message_start", "message": {"content": [], "stop_reason": null}}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "t", "name": tool, "input": {}}}),
    ];
    documents.extend(arguments.chars().map(|letter| {
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": letter.to_string()}})
    }));
    documents.push(json!({"type": "content_block_stop", "index": 0}));
    documents.push(json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}}));
    events(&documents)
}

/// What the caller gets of an answer to a chat, and how the exchange ended.
fn answered(kind: &str, content_type: &str, answer: &str) -> (crate::kit::Answer, End) {
    let upstream = Upstream::saying(reply("200 OK", &[("content-type", content_type)], answer));
    let world = World::new(&keyed("models", kind, &upstream.url(), "KEY"), RULES).secret("KEY", SECRET);
    let gateway = world.start();
    let path = if kind == "anthropic" { "/models/v1/messages" } else { "/models/v1/chat/completions" };
    let body = r#"{"model": "m", "stream": true, "messages": [{"role": "user", "content": "go on"}]}"#;
    let answer = post_json(gateway.data, path, &world.alice(), body);
    assert_eq!(upstream.seen().len(), 1, "{answer:?}");
    (answer, world.outcome().end)
}

#[test]
fn catalogue_96_a_blocked_tool_call_in_a_stream_ends_it_before_its_last_byte() {
    let arguments = r#"{"path": "/root/.aws/credentials"}"#;
    for (kind, tool, arguments, rule) in [
        ("openai", "read_file", arguments, "no-secret-files"),
        ("anthropic", "read_file", arguments, "no-secret-files"),
        ("openai", "bash", "{\"command\": \"ls\"}", "no-bash"),
        ("anthropic", "bash", "{\"command\": \"ls\"}", "no-bash"),
        ("openai", "deploy", "{}", "ask-first"),
    ] {
        let stream = if kind == "openai" { chat(tool, arguments) } else { messages(tool, arguments) };
        let (answer, end) = answered(kind, "text/event-stream", &stream);
        let text = answer.text();
        assert_eq!((answer.status, answer.complete, end), (200, true, End::Refused), "{kind} {tool}: {text}");
        assert!(
            !text.contains("finish_reason\":\"tool_calls") && !text.contains("content_block_stop"),
            "{text}"
        );
        let last = if kind == "openai" { "\"arguments\":\"}\"" } else { "\"partial_json\":\"}\"" };
        assert!(!text.contains(last) && !text.contains("[DONE]"), "the end of the call left: {text}");
        // The stream ends with an error in the caller's dialect.
        let event = text.trim_end().rsplit("\n\n").next().unwrap();
        let data = event.lines().find_map(|line| line.strip_prefix("data: ")).unwrap();
        let error: Value = serde_json::from_str(data).unwrap();
        let message = error["error"]["message"].as_str().unwrap();
        assert!(message.contains(&format!("\"{rule}\"")) && message.contains("tool call"), "{message}");
        assert_eq!(event.starts_with("event: error\n"), kind == "anthropic", "{event}");
    }
}

#[test]
fn a_blocked_tool_call_in_an_answer_that_is_no_stream_is_a_403() {
    let call = |tool: &str, arguments: &str| {
        json!({"id": "c", "choices": [{"index": 0, "finish_reason": "tool_calls", "message": {"role": "assistant",
            "content": null, "tool_calls": [{"id": "1", "type": "function", "function": {"name": tool, "arguments": arguments}}]}}]})
        .to_string()
    };
    let (answer, end) = answered("openai", "application/json", &call("bash", "{}"));
    assert_eq!((answer.status, answer.code().as_str(), end), (403, "blocked_by_policy", End::Refused));
    assert!(answer.text().contains("no-bash"), "{}", answer.text());
    // Beyond what is there at once it breaks off.
    let long = call("read_file", &json!({"path": "~/.ssh/id_rsa", "more": "x".repeat(300_000)}).to_string());
    let (answer, end) = answered("openai", "application/json", &long);
    assert!(!answer.complete || answer.status == 403, "{}", answer.status);
    assert!(!answer.text().contains("id_rsa"));
    assert_eq!(end, End::Refused);
}

/// The arguments of all calls in a stream, joined: the masker may move letters from one delta to the next.
fn joined(stream: &str) -> String {
    let deltas = stream.lines().filter_map(|line| line.strip_prefix("data: ")?.parse::<Value>().ok());
    let piece = |event: Value| {
        let openai = event["choices"][0]["delta"]["tool_calls"][0]["function"]["arguments"].as_str();
        openai.or(event["delta"]["partial_json"].as_str()).unwrap_or_default().to_owned()
    };
    deltas.map(piece).collect()
}

#[test]
fn tool_calls_that_no_rule_speaks_of_pass() {
    let arguments = r#"{"query": "cats {and} \"dogs\"", "n": [1, 2]}"#;
    for (kind, stream) in
        [("openai", chat("search", arguments)), ("anthropic", messages("search", arguments))]
    {
        let (answer, end) = answered(kind, "text/event-stream; charset=utf-8", &stream);
        assert_eq!(
            (joined(&answer.text()).as_str(), end, answer.complete),
            (arguments, End::Completed, true)
        );
        assert_eq!(answer.text().lines().count(), stream.lines().count());
    }
}
